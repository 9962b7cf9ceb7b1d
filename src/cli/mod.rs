//! The command line: one file a command, and the only place that ends the process.

mod agent;
mod approve;
mod arguments;
mod ca;
mod cert;
mod check;
mod check_filter;
mod client;
mod config;
mod crl;
mod demo;
mod device;
mod events;
mod identity;
mod init;
mod log;
mod output;
mod release;
mod revoke;
mod revoke_job;
mod serve;
mod sse;
mod status_copy;
mod token;
mod transport_key;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

/// Done, refused or failed, used wrongly: the three exit codes.
const REFUSED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was refused, or a check failed.
    Refused(String),
    /// It was asked for in a wrong way.
    Usage(String),
}

impl<E: std::error::Error> From<E> for Failure {
    /// An error's own text and those of its causes.
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.contains(&next) {
                text = format!("{text}: {next}");
            }
            cause = error.source();
        }
        Self::Refused(text)
    }
}

/// Reads the arguments, runs the command, gives the exit code.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vitae: cannot start: {error}");
            return ExitCode::from(REFUSED);
        }
    };
    match runtime.block_on(dispatch(arguments)) {
        Ok(code) => code,
        Err(Failure::Refused(text)) => {
            eprintln!("vitae: {text}");
            ExitCode::from(REFUSED)
        }
        Err(Failure::Usage(text)) => {
            eprintln!("vitae: {text}");
            ExitCode::from(WRONG_USAGE)
        }
    }
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let global = arguments.global;
    let done = match arguments.command {
        Command::Demo(demo) => demo::run(&global, demo).await,
        Command::Init => init::run(&global).await,
        Command::Serve(serve) => serve::run(&global, serve).await,
        Command::StatusCopy { to } => status_copy::run(&global, &to),
        Command::Config(command) => config::run(&global, &command),
        Command::Check => check::run(&global),
        // Its answer is an exit code of its own.
        Command::CheckFilter(asked) => return check_filter::run(&global, &asked),
        Command::Device(command) => device::run(&global, command).await,
        Command::Identity(command) => identity::run(&global, command).await,
        Command::Token(command) => token::run(&global, command).await,
        Command::Approve(command) => approve::run(&global, command).await,
        Command::TransportKey(command) => transport_key::run(&global, &command),
        Command::Cert(command) => cert::run(&global, command).await,
        Command::Revoke(revoke) => revoke::run(&global, revoke).await,
        Command::Release { serials } => release::run(&global, serials).await,
        Command::Crl(command) => crl::run(&global, command).await,
        Command::Ca(command) => ca::run(&global, command).await,
        Command::Agent(command) => agent::run(&global, command).await,
        Command::Events(events) => events::run(&global, events).await,
        Command::Log(command) => log::run(&global, &command).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}
