//! `vitae identity`: machine identities that are no devices.

use super::Failure;
use super::arguments::{Global, IdentityCommand};
use super::client::Admin;
use super::output;
use crate::admin::NewIdentityBody;
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
            let identities: Vec<Identity> = admin.get("/api/v1/identities").await?;
            if global.json {
                return output::json(&identities);
            }
            let rows: Vec<Vec<String>> = identities
                .iter()
                .map(|identity| {
                    vec![identity.id.to_string(), identity.owner.clone(), identity.purpose.clone()]
                })
                .collect();
            output::table(&["IDENTITY", "OWNER", "PURPOSE"], &rows)
        }
    }
}
