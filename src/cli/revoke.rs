//! `vitae revoke`: certificates by serial number, or all that a selector holds of as one job.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::arguments::Global;
use super::client::Admin;
use super::output;
use super::revoke_job;
use crate::admin::RevocationBody;
use crate::authority::Revocation;
use crate::clock::Timestamp;
use crate::ids::{JobId, Reason, Serial};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Revoke {
    #[command(subcommand)]
    command: Option<RevokeCommand>,
    #[arg(required_unless_present = "selector")]
    serials: Vec<Serial>,
    #[arg(
        long = "where",
        value_name = "SELECTOR",
        conflicts_with = "serials",
        help = "All that a selector holds of, such as 'model=P3 and lot in (L2307, L2308) and not-after<2026-12-01'; fields \
                are device, maker, model, lot, site, owner, stage, mark, signer, profile, issuer, stage-at-issue, \
                owner-at-issue, enrolled-by, key, serial, status, issued, not-before, not-after"
    )]
    selector: Option<String>,
    /// key-compromise, superseded, cessation-of-operation, affiliation-changed, privilege-withdrawn,
    /// certificate-hold or unspecified
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<Reason>,
    /// From when on the key is not to be trusted (RFC 3339 time or date)
    #[arg(long, value_name = "TIME")]
    invalid_since: Option<Timestamp>,
    /// With --where: what would be hit and what stops working; nothing is revoked
    #[arg(long, requires = "selector", conflicts_with = "serials")]
    dry_run: bool,
    /// With --where: the exact number of certificates, as --dry-run tells it
    #[arg(long, value_name = "N", requires = "selector", conflicts_with_all = ["dry_run", "serials"])]
    confirm: Option<u64>,
    /// With --confirm: do not wait for the end of the job
    #[arg(long, requires = "confirm")]
    no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum RevokeCommand {
    /// List the jobs that revoke all that a selector holds of, last asked first
    Jobs,
    /// Show a job
    Job {
        job: JobId,
        /// Wait for its end
        #[arg(long)]
        wait: bool,
    },
    /// The signed proof of a job's effect: what it says, or the signed document itself
    Proof {
        job: JobId,
        /// Write the signed document to this file, CMS in DER: check it with
        /// 'openssl cms -verify -inform DER -in FILE -CAfile DIR/ca/root.pem'
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(super) async fn run(global: &Global, revoke: Revoke) -> Result<(), Failure> {
    match (revoke.command, revoke.selector) {
        (Some(command), _) => revoke_job::run(global, command).await,
        (None, Some(selector)) => match (revoke.reason, revoke.confirm) {
            (reason, _) if revoke.dry_run => revoke_job::dry_run(global, selector, reason).await,
            (Some(reason), Some(confirm)) => {
                let body = crate::admin::JobBody {
                    selector,
                    reason,
                    invalid_since: revoke.invalid_since,
                    confirm,
                };
                revoke_job::begin(global, &body, !revoke.no_wait).await
            }
            _ => Err(Failure::Usage(
                "look at what it hits with --dry-run first, then revoke that with --reason REASON and --confirm N"
                    .to_owned(),
            )),
        },
        (None, None) => {
            let reason = revoke.reason.ok_or_else(|| Failure::Usage("say why with --reason".to_owned()))?;
            by_serial(global, revoke.serials, reason, revoke.invalid_since).await
        }
    }
}

async fn by_serial(
    global: &Global,
    serials: Vec<Serial>,
    reason: Reason,
    invalid_since: Option<Timestamp>,
) -> Result<(), Failure> {
    let body = RevocationBody { serials, reason, invalid_since };
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
