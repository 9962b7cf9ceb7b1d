//! `vitae cert`: list, show, trace.

use super::Failure;
use super::arguments::{CertCommand, CertList, Global};
use super::client::{Admin, escape};
use super::device::history;
use super::output::{self, or_dash};
use crate::authority::{CertificateView, Link, Trace};
use crate::fleet::At;

pub(super) async fn run(global: &Global, command: CertCommand) -> Result<(), Failure> {
    let mut admin = Admin::connect(global).await?;
    match command {
        CertCommand::List(filter) => list(global, &mut admin, filter).await,
        CertCommand::Show { serial, pem: true } => {
            let text = admin.get_text(&format!("/api/v1/certificates/{serial}/pem")).await?;
            output::line(text.trim_end())
        }
        CertCommand::Show { serial, pem: false } => {
            let view: CertificateView = admin.get(&format!("/api/v1/certificates/{serial}")).await?;
            if global.json { output::json(&view) } else { show(&view) }
        }
        CertCommand::Trace { serial, as_of } => {
            let query = as_of.map(|at| format!("?as_of={}", escape(&at.to_string()))).unwrap_or_default();
            let trace: Trace = admin.get(&format!("/api/v1/certificates/{serial}/trace{query}")).await?;
            if global.json { output::json(&trace) } else { show_trace(&trace) }
        }
    }
}

async fn list(global: &Global, admin: &mut Admin, list: CertList) -> Result<(), Failure> {
    let filter = [
        ("device", list.device.map(|device| device.to_string())),
        ("status", list.status),
        ("profile", list.profile.map(|profile| profile.to_string())),
        ("enrolled_by", list.enrolled_by.map(|ra| ra.to_string())),
        ("after", list.page.after),
    ];
    let certificates: Vec<CertificateView> =
        admin.list("/api/v1/certificates", &filter, list.page.limit).await?;
    if global.json {
        return output::json(&certificates);
    }
    let rows: Vec<Vec<String>> = certificates
        .iter()
        .map(|view| {
            vec![
                view.serial.to_string(),
                view.issuer.to_string(),
                or_dash(view.profile.as_ref()),
                view.device.to_string(),
                view.status.clone(),
                view.not_after.to_string(),
            ]
        })
        .collect();
    output::table(&["SERIAL", "ISSUER", "PROFILE", "DEVICE", "STATUS", "NOT AFTER"], &rows)
}

fn show(view: &CertificateView) -> Result<(), Failure> {
    let reason = view.reason.map(|reason| format!(", {reason}")).unwrap_or_default();
    for (name, value) in [
        ("serial", view.serial.to_string()),
        ("issuer", view.issuer.to_string()),
        ("profile", or_dash(view.profile.as_ref())),
        ("device", view.device.to_string()),
        ("status", format!("{} since {}{reason}", view.status, view.status_since)),
        ("stage at issue", or_dash(view.stage_at_issue.as_ref())),
        ("enrolled by", or_dash(view.enrolled_by.as_ref())),
        ("not before", view.not_before.to_string()),
        ("not after", view.not_after.to_string()),
        ("renew", renewal(view)),
        ("replaces", or_dash(view.replaces)),
        ("replaced by", or_dash(view.replaced_by)),
        ("overlap ends", or_dash(view.overlap_ends)),
        ("key", view.key.to_string()),
        ("fingerprint", view.fingerprint.to_string()),
    ] {
        output::line(format!("{name:16}{value}"))?;
    }
    Ok(())
}

/// The moment that the authority has chosen for it.
fn renewal(view: &CertificateView) -> String {
    or_dash(view.renew.map(|window| format!("{} to {}", window.from, window.until)))
}

pub(super) fn show_trace(trace: &Trace) -> Result<(), Failure> {
    let view = &trace.certificate;
    let at = |at: At| format!("{} (event {})", at.time, at.event);
    let link =
        |link: &Option<Link>| or_dash(link.as_ref().map(|link| format!("{}, {}", link.serial, at(link.at))));
    let reason = view.reason.map(|reason| format!(", {reason}")).unwrap_or_default();
    let mut lines = vec![
        (
            "certificate",
            format!("{}, profile {}, by CA {}", view.serial, or_dash(view.profile.as_ref()), view.issuer),
        ),
        ("status", format!("{}{reason}, since {}", view.status, at(trace.status_since))),
        ("issued", at(trace.issued)),
        ("good until", view.not_after.to_string()),
        ("renew", renewal(view)),
    ];
    match &trace.device {
        None => lines.push(("holder", view.device.to_string())),
        Some(device) => {
            let since = device.stage_at_issue_since.map(at).unwrap_or_default();
            lines.push((
                "device",
                format!(
                    "{} (maker {}, model {}, serial {})",
                    device.id, device.maker, device.model, device.serial
                ),
            ));
            lines.push((
                "stage at issue",
                format!("{} since {since}", or_dash(device.stage_at_issue.as_ref())),
            ));
            lines.push(("stage now", format!("{} since {}", device.stage_now, at(device.stage_now_since))));
            lines.push((
                "owner",
                format!(
                    "{} at issue, {} now",
                    or_dash(device.owner_at_issue.as_ref()),
                    or_dash(device.owner_now.as_ref())
                ),
            ));
        }
    }
    lines.push((
        "approved by",
        format!("{}: {}, {}", trace.approved_by.who, trace.approved_by.how, at(trace.approved_by.at)),
    ));
    if trace.server_key {
        lines.push(("key", "made by the authority, which sent it to the holder and kept none".to_owned()));
    }
    lines.push(("enrolment", format!("{}, {}", trace.enrolment.serial, at(trace.enrolment.at))));
    lines.push(("replaces", link(&trace.replaces)));
    lines.push(("replaced by", link(&trace.replaced_by)));
    if let Some(as_of) = trace.as_of {
        lines.push(("as of", as_of.to_string()));
    }
    for (name, value) in lines {
        output::line(format!("{name:16}{value}"))?;
    }
    history(&trace.events)
}
