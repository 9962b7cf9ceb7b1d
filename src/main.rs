//! The `vitae` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    vitae::cli::run()
}
