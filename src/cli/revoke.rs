//! `vitae revoke`: certificates by serial number.

use super::Failure;
use super::arguments::{Global, Revoke};
use super::client::Admin;
use super::output;
use crate::admin::RevocationBody;
use crate::authority::Revocation;

pub(super) async fn run(global: &Global, revoke: Revoke) -> Result<(), Failure> {
    let body = RevocationBody {
        serials: revoke.serials,
        reason: revoke.reason,
        invalid_since: revoke.invalid_since,
    };
    let done: Revocation = Admin::connect(global).await?.post("/api/v1/revocations", &body).await?;
    if global.json {
        return output::json(&done);
    }
    for serial in &done.serials {
        output::line(format!("revoked {serial}: {}, {} (event {})", done.reason, done.at, done.event))?;
    }
    for list in &done.lists {
        output::line(format!("  in CRL {} of {}", list.number, list.ca))?;
    }
    Ok(())
}
