//! `vitae check`: with the server stopped, holds the store against itself.

use super::arguments::Global;
use super::{Failure, log, output};
use crate::authority;

pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let report = authority::check(global.dir())?;
    if global.json {
        output::json(&report)?;
    } else {
        log::show(&report)?;
    }
    log::verdict(&report)
}
