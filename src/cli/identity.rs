//! `vitae identity`: machine identities that are no devices.

use super::Failure;
use super::arguments::{Global, IdentityCommand};
use super::client::Admin;
use super::output::{self, or_dash};
use crate::admin::NewIdentityBody;
use crate::authority::{EnrolledView, IdentityView};
use crate::fleet::Identity;

pub(super) async fn run(global: &Global, command: IdentityCommand) -> Result<(), Failure> {
    let mut admin = Admin::connect(global).await?;
    match command {
        IdentityCommand::Register(new) => {
            let body = NewIdentityBody {
                kind: new.kind,
                name: new.name,
                maker: new.maker,
                owner: new.owner,
                purpose: new.purpose,
            };
            let identity: Identity = admin.post("/api/v1/identities", &body).await?;
            if global.json { output::json(&identity) } else { output::line(&identity.id) }
        }
        IdentityCommand::List => {
            let identities: Vec<IdentityView> = admin.get("/api/v1/identities").await?;
            if global.json {
                return output::json(&identities);
            }
            let rows: Vec<Vec<String>> = identities
                .iter()
                .map(|IdentityView { identity, enrolled }| {
                    vec![
                        identity.id.to_string(),
                        identity.owner.clone(),
                        identity.purpose.clone(),
                        or_dash(enrolled.as_ref().map(shares)),
                    ]
                })
                .collect();
            output::table(&["IDENTITY", "OWNER", "PURPOSE", "ENROLLED"], &rows)
        }
    }
}

/// What a registration authority had issued to devices, of what it may.
fn shares(enrolled: &EnrolledView) -> String {
    let EnrolledView { ever, today, quota, per_day } = enrolled;
    let of = quota.map_or_else(|| "no entry in roles.toml".to_owned(), |quota| format!("of {quota}"));
    match per_day {
        None => format!("{ever} {of}"),
        Some(per_day) => format!("{ever} {of}, today {today} of {per_day}"),
    }
}
