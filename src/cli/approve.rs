//! `vitae approve`: what waits for an operator's word, and that word.

use super::Failure;
use super::arguments::{ApproveCommand, ApproveList, Global};
use super::client::Admin;
use super::output::{self, or_dash};
use crate::admin::{ApprovalBody, DenialBody};
use crate::authority::ApprovalView;
use crate::fleet::Proof;
use crate::fleet::approval::ApprovalStatus;

pub(super) async fn run(global: &Global, command: ApproveCommand) -> Result<(), Failure> {
    let mut admin = Admin::connect(global).await?;
    let (id, view): (_, ApprovalView) = match command {
        ApproveCommand::List(filter) => return list(global, &mut admin, filter).await,
        ApproveCommand::Grant { id, reason } => {
            (id, admin.post(&format!("/api/v1/approvals/{id}/grant"), &ApprovalBody { reason }).await?)
        }
        ApproveCommand::Deny { id, reason } => {
            (id, admin.post(&format!("/api/v1/approvals/{id}/deny"), &DenialBody { reason }).await?)
        }
        ApproveCommand::Cancel { id, reason } => {
            (id, admin.post(&format!("/api/v1/approvals/{id}/cancel"), &ApprovalBody { reason }).await?)
        }
    };
    if global.json {
        return output::json(&view);
    }
    output::line(format!("{id}: {}, {} for profile {}", view.status, view.device, view.profile))
}

async fn list(global: &Global, admin: &mut Admin, list: ApproveList) -> Result<(), Failure> {
    let status = if list.all { None } else { Some(ApprovalStatus::Pending.to_string()) };
    let filter = [
        ("status", status),
        ("device", list.device.map(|device| device.to_string())),
        ("after", list.page.after),
    ];
    let approvals: Vec<ApprovalView> = admin.list("/api/v1/approvals", &filter, list.page.limit).await?;
    if global.json {
        return output::json(&approvals);
    }
    let rows: Vec<Vec<String>> = approvals
        .iter()
        .map(|view| {
            vec![
                view.id.to_string(),
                view.device.to_string(),
                view.profile.to_string(),
                view.status.to_string(),
                view.asked.to_string(),
                view.expires.to_string(),
                credential(&view.proof),
                or_dash(view.source),
                or_dash(view.decided_by.as_ref()),
            ]
        })
        .collect();
    output::table(
        &["ID", "DEVICE", "PROFILE", "STATUS", "ASKED", "EXPIRES", "CREDENTIAL", "FROM", "DECIDED BY"],
        &rows,
    )
}

/// In few words; JSON says which one exactly.
fn credential(proof: &Proof) -> String {
    match proof {
        Proof::BirthCertificate { serial } => format!("birth certificate {serial}"),
        Proof::MakerCertificate { maker, .. } => format!("birth certificate of {maker}"),
        Proof::Token { .. } => "token".to_owned(),
        Proof::CurrentCertificate { serial } => format!("certificate {serial}"),
        Proof::RegistrationAuthority { ra, .. } => format!("registration authority {ra}"),
        Proof::Authority => "the authority".to_owned(),
    }
}
