//! `vitae crl`: the published lists.

use super::Failure;
use super::arguments::{CrlCommand, Global};
use super::client::{Admin, nothing};
use super::output;
use crate::authority::{CaView, CrlView};

pub(super) async fn run(global: &Global, command: CrlCommand) -> Result<(), Failure> {
    let mut admin = Admin::connect(global).await?;
    let lists: Vec<CrlView> = match command {
        CrlCommand::List => admin.get("/api/v1/crls").await?,
        CrlCommand::Publish { ca: Some(ca) } => admin.post(&format!("/api/v1/crls/{ca}"), &nothing()).await?,
        CrlCommand::Publish { ca: None } => {
            let cas: Vec<CaView> = admin.get("/api/v1/cas").await?;
            let mut lists = Vec::new();
            for ca in cas {
                let fresh: Vec<CrlView> = admin.post(&format!("/api/v1/crls/{}", ca.ca), &nothing()).await?;
                lists.extend(fresh);
            }
            lists
        }
    };
    if global.json {
        return output::json(&lists);
    }
    let rows: Vec<Vec<String>> = lists
        .iter()
        .map(|list| {
            vec![
                list.ca.to_string(),
                list.shard.to_string(),
                list.number.to_string(),
                list.base.map_or_else(String::new, |base| base.to_string()),
                list.entries.to_string(),
                list.bytes.to_string(),
                list.this_update.to_string(),
                list.next_update.to_string(),
            ]
        })
        .collect();
    output::table(
        &["CA", "SHARD", "NUMBER", "DELTA ON", "ENTRIES", "BYTES", "THIS UPDATE", "NEXT UPDATE"],
        &rows,
    )
}
