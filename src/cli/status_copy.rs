//! `vitae status-copy`: what a responder on another machine needs, beside the running server or without it.

use std::path::Path;
use std::sync::Arc;

use super::arguments::{Global, LogLevel};
use super::serve::log_to_stderr;
use super::{Failure, output};
use crate::authority::Authority;
use crate::clock::{SystemClock, SystemRandom};
use crate::config::Config;

pub(super) fn run(global: &Global, to: &Path) -> Result<(), Failure> {
    log_to_stderr(global, LogLevel::Warn);
    let config = Arc::new(Config::load(global.config())?);
    let authority =
        Authority::open_to_follow(global.dir(), config, Arc::new(SystemClock), Arc::new(SystemRandom))?;
    let copy = authority.copy_status(to)?;
    if global.json {
        return output::json(&copy);
    }
    output::line(format!("{} certificates, known until {}", copy.certificates, copy.known_until))
}
