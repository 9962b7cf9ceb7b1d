//! `vitae ca`: the CAs of the hierarchy.

use super::Failure;
use super::arguments::{CaCommand, Global};
use super::client::Admin;
use super::output::{self, or_dash};
use crate::authority::CaView;
use crate::ids::ProfileName;

pub(super) async fn run(global: &Global, command: CaCommand) -> Result<(), Failure> {
    let cas: Vec<CaView> = Admin::connect(global).await?.get("/api/v1/cas").await?;
    match command {
        CaCommand::List if global.json => output::json(&cas),
        CaCommand::List => {
            let rows: Vec<Vec<String>> = cas
                .iter()
                .map(|ca| {
                    vec![
                        ca.ca.to_string(),
                        or_dash(ca.issuer.as_ref()),
                        names(&ca.profiles),
                        ca.not_after.to_string(),
                    ]
                })
                .collect();
            output::table(&["CA", "ISSUER", "PROFILES", "NOT AFTER"], &rows)
        }
        CaCommand::Show { ca: name } => {
            let ca = cas.iter().find(|ca| ca.ca == name);
            let ca = ca.ok_or_else(|| Failure::Refused(format!("there is no CA {name}")))?;
            if global.json {
                return output::json(ca);
            }
            for (name, value) in [
                ("ca", ca.ca.to_string()),
                ("common name", ca.common_name.clone()),
                ("issuer", or_dash(ca.issuer.as_ref())),
                ("profiles", names(&ca.profiles)),
                ("not before", ca.not_before.to_string()),
                ("not after", ca.not_after.to_string()),
                ("fingerprint", ca.fingerprint.to_string()),
            ] {
                output::line(format!("{name:14}{value}"))?;
            }
            Ok(())
        }
    }
}

fn names(profiles: &[ProfileName]) -> String {
    let names: Vec<String> = profiles.iter().map(ToString::to_string).collect();
    names.join(", ")
}
