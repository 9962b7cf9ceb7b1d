//! `vitae log`: the ledger of events.

use super::arguments::{Global, LogCommand};
use super::client::{Admin, nothing};
use super::{Failure, output};
use crate::authority::LogReport;

pub(super) async fn run(global: &Global, command: &LogCommand) -> Result<(), Failure> {
    match command {
        LogCommand::Verify => {
            let report: LogReport =
                Admin::connect(global).await?.post("/api/v1/log/verify", &nothing()).await?;
            if global.json {
                output::json(&report)?;
            } else {
                show(&report)?;
            }
            verdict(&report)
        }
    }
}

pub(super) fn show(report: &LogReport) -> Result<(), Failure> {
    output::line(format!("stored:     {} events, root {}", report.stored.size, report.stored.root))?;
    output::line(format!("recomputed: {} events, root {}", report.computed.size, report.computed.root))?;
    for bad in report.bad_entries.iter().chain(&report.table_differences) {
        output::line(format!("differs:    {bad}"))?;
    }
    Ok(())
}

pub(super) fn verdict(report: &LogReport) -> Result<(), Failure> {
    if report.is_sound() {
        Ok(())
    } else {
        Err(Failure::Refused(
            "the record does not agree with itself: keep a copy of the store and compare it with a backup"
                .to_owned(),
        ))
    }
}
