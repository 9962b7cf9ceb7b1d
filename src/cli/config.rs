//! `vitae config check`: says everything that is wrong with the policy folder.

use super::arguments::{ConfigCommand, Global};
use super::{Failure, output};
use crate::config::Config;

pub(super) fn run(global: &Global, command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check => {
            let config = Config::load(global.config())
                .map_err(|errors| Failure::Refused(format!("the configuration is refused\n{errors}")))?;
            if global.json {
                return output::json(&serde_json::json!({ "digest": config.digest() }));
            }
            output::line(format!("{} is sound, digest {}", global.config().display(), config.digest()))
        }
    }
}
