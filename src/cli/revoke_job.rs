//! `vitae revoke --where` and what follows from it: dry run, job, proof.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Failure;
use super::arguments::Global;
use super::client::Admin;
use super::output;
use super::revoke::RevokeCommand;
use crate::admin::{JobBody, RadiusBody};
use crate::authority::{BlastRadius, Hit, JobStatus, JobView, ProofView};
use crate::ids::{JobId, Reason};

/// A job is looked at this often.
const GLANCE: Duration = Duration::from_millis(100);

pub(super) async fn run(global: &Global, command: RevokeCommand) -> Result<(), Failure> {
    let mut admin = Admin::connect(global).await?;
    match command {
        RevokeCommand::Jobs => {
            let jobs: Vec<JobView> = admin.get("/api/v1/revocation-jobs").await?;
            if global.json { output::json(&jobs) } else { list(&jobs) }
        }
        RevokeCommand::Job { job, wait } => {
            let view: JobView = if wait {
                until_done(&mut admin, job).await?
            } else {
                admin.get(&format!("/api/v1/revocation-jobs/{job}")).await?
            };
            if global.json { output::json(&view) } else { show(&view) }
        }
        RevokeCommand::Proof { job, out } => proof(global, &mut admin, job, out.as_deref()).await,
    }
}

pub(super) async fn dry_run(
    global: &Global,
    selector: String,
    reason: Option<Reason>,
) -> Result<(), Failure> {
    let body = RadiusBody { selector, reason };
    let radius: BlastRadius =
        Admin::connect(global).await?.post("/api/v1/revocation-jobs/dry-run", &body).await?;
    if global.json { output::json(&radius) } else { told(&radius) }
}

pub(super) async fn begin(global: &Global, body: &JobBody, wait: bool) -> Result<(), Failure> {
    let mut admin = Admin::connect(global).await?;
    let begun: JobView = admin.post("/api/v1/revocation-jobs", body).await?;
    if !wait {
        return if global.json { output::json(&begun) } else { output::line(begun.job) };
    }
    if !global.json {
        output::line(format!(
            "job {}: {} certificates; it goes on if this command is ended",
            begun.job, begun.count
        ))?;
    }
    let ended = until_done(&mut admin, begun.job).await?;
    if global.json {
        return output::json(&ended);
    }
    show(&ended)?;
    output::line(format!("the proof: vitae revoke proof {}", ended.job))
}

async fn until_done(admin: &mut Admin, job: JobId) -> Result<JobView, Failure> {
    let path = format!("/api/v1/revocation-jobs/{job}");
    let mut view: JobView = admin.get(&path).await?;
    let bar = output::progress("revoked", view.count);
    loop {
        bar.set_position(view.revoked + view.skipped);
        match view.status {
            JobStatus::Done => {
                bar.finish_and_clear();
                return Ok(view);
            }
            JobStatus::Dropped => {
                bar.finish_and_clear();
                return Err(Failure::Refused(format!(
                    "the job {job} was dropped: the server ended before its list was whole; nothing was revoked, so \
                     ask again"
                )));
            }
            JobStatus::Proving => bar.set_message("publishing, proving"),
            JobStatus::Listing | JobStatus::Running => {}
        }
        tokio::time::sleep(GLANCE).await;
        view = admin.get(&path).await?;
    }
}

fn told(radius: &BlastRadius) -> Result<(), Failure> {
    output::line(format!("where {}", radius.selector))?;
    output::line(format!(
        "{} certificates of {} devices, {} of them life-supporting",
        radius.certificates, radius.devices, radius.life_supporting
    ))?;
    let table = |what: &str, hits: &BTreeMap<String, Hit>| {
        if hits.is_empty() {
            return Ok(());
        }
        output::line("")?;
        let rows: Vec<Vec<String>> = hits
            .iter()
            .map(|(name, hit)| vec![name.clone(), hit.certificates.to_string(), hit.devices.to_string()])
            .collect();
        output::table(&[what, "CERTIFICATES", "DEVICES"], &rows)
    };
    table("PROFILE", &radius.by_profile)?;
    table("MODEL", &radius.by_model)?;
    table("SITE", &radius.by_site)?;
    table("STAGE", &radius.by_stage)?;
    output::line("")?;
    for (profile, devices) in &radius.lose_newest {
        output::line(format!("stops: {devices} devices lose their newest certificate of profile {profile}"))?;
    }
    for machine in &radius.machines {
        let what = match machine.kind.as_str() {
            "signer" => "what it has signed is refused from then on",
            "ra" => "it can enrol no device any more",
            _ => "it cannot show who it is any more",
        };
        output::line(format!("stops: {} ({}): {what}", machine.id, machine.purpose))?;
    }
    if radius.more_machines > 0 {
        output::line(format!("stops: {} machines more", radius.more_machines))?;
    }
    for own in &radius.own {
        output::line(format!(
            "refused: {} of profile {} are the authority's own; write 'and device!=vitae'",
            own.certificates, own.profile
        ))?;
    }
    match radius.certificates {
        0 => output::line("nothing that can still be revoked matches"),
        count => output::line(format!("to revoke them: --reason REASON --confirm {count}")),
    }
}

fn list(jobs: &[JobView]) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            vec![
                job.job.to_string(),
                job.status.to_string(),
                job.count.to_string(),
                job.revoked.to_string(),
                job.skipped.to_string(),
                job.reason.to_string(),
                job.asked.to_string(),
                job.by.clone(),
                job.selector.clone(),
            ]
        })
        .collect();
    output::table(&["JOB", "STATUS", "COUNT", "REVOKED", "SKIPPED", "REASON", "ASKED", "BY", "WHERE"], &rows)
}

fn show(job: &JobView) -> Result<(), Failure> {
    let lists: Vec<String> = job.lists.iter().map(|list| format!("{} {}", list.ca, list.shard)).collect();
    for (name, value) in [
        ("job", job.job.to_string()),
        ("status", job.status.to_string()),
        ("where", job.selector.clone()),
        ("reason", job.reason.to_string()),
        ("invalid since", output::or_dash(job.invalid_since)),
        ("asked", format!("{} (event {}) by {}", job.asked, job.event, job.by)),
        ("certificates", job.count.to_string()),
        ("revoked", job.revoked.to_string()),
        ("skipped", job.skipped.to_string()),
        ("in lists of", lists.join(", ")),
        ("ended", output::or_dash(job.ended)),
        ("match by now", output::or_dash(job.left)),
    ] {
        output::line(format!("{name:15}{value}"))?;
    }
    Ok(())
}

async fn proof(global: &Global, admin: &mut Admin, job: JobId, out: Option<&Path>) -> Result<(), Failure> {
    let proof: ProofView = admin.get(&format!("/api/v1/revocation-jobs/{job}/proof")).await?;
    if let Some(path) = out {
        let der = STANDARD.decode(&proof.cms)?;
        return fs::write(path, der)
            .map_err(|error| Failure::Refused(format!("cannot write {}: {error}", path.display())));
    }
    if global.json { output::json(&proof) } else { told_proof(&proof.document) }
}

fn told_proof(document: &Value) -> Result<(), Failure> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let (decision, done) = (&document["decision"], &document["done"]);
    output::line(format!(
        "{} revoked, {} skipped of {} where {}",
        text(&done["revoked"]),
        text(&done["skipped"]),
        text(&decision["confirmed"]),
        text(&decision["selector"])
    ))?;
    output::line(format!(
        "decided {} by {}, reason {}; the last one recorded after {} ms; {} match by now",
        text(&decision["time"]),
        text(&decision["by"]),
        text(&decision["reason"]),
        text(&done["last"]["after_ms"]),
        text(&document["still_matching"])
    ))?;
    let rows = |value: &Value, row: &dyn Fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
        value.as_array().map(|all| all.iter().map(row).collect()).unwrap_or_default()
    };
    output::line("")?;
    let lists = rows(&document["lists"], &|list| {
        let fetched = &list["fetched"];
        ["ca", "shard", "number", "this_update", "sha256"]
            .iter()
            .map(|name| text(&list[*name]))
            .chain([fetched.get("trouble").map_or_else(|| text(&fetched["after_ms"]), text)])
            .collect()
    });
    output::table(&["CA", "SHARD", "CRL", "THIS UPDATE", "SHA-256", "SEEN AFTER ms"], &lists)?;
    output::line("")?;
    output::line(format!("looked at through {}: {}", text(&document["door"]), text(&document["sampling"])))?;
    let samples = rows(&document["samples"], &|sample| {
        let (ocsp, crl) = (&sample["ocsp"], &sample["crl"]);
        vec![
            text(&sample["serial"]),
            text(&sample["profile"]),
            ocsp.get("trouble").map_or_else(|| text(&ocsp["status"]), text),
            text(&ocsp["revoked_at"]),
            text(&ocsp["after_ms"]),
            text(&crl["listed"]),
            text(&crl["after_ms"]),
        ]
    });
    output::table(&["SERIAL", "PROFILE", "OCSP", "REVOKED AT", "AFTER ms", "IN CRL", "AFTER ms"], &samples)
}
