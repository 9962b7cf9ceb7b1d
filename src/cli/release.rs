//! `vitae release`: ends the hold of certificates.

use super::Failure;
use super::arguments::Global;
use super::client::Admin;
use super::output;
use crate::admin::ReleaseBody;
use crate::authority::Released;
use crate::ids::Serial;

pub(super) async fn run(global: &Global, serials: Vec<Serial>) -> Result<(), Failure> {
    let body = ReleaseBody { serials };
    let done: Released = Admin::connect(global).await?.post("/api/v1/releases", &body).await?;
    if global.json {
        return output::json(&done);
    }
    for serial in &done.serials {
        output::line(format!("released {serial}: {} (event {})", done.at, done.event))?;
    }
    for list in &done.lists {
        output::line(format!("  no more in CRL {} of {}", list.number, list.ca))?;
    }
    Ok(())
}
