//! Releases certificates from their hold and sees to it that the world is told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Authority;
use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use super::query::entry_at;
use super::revoke::RevocationList;
use crate::clock::Timestamp;
use crate::fleet::{Cause, Fact, release, rows};
use crate::ids::{EventNumber, HolderId, Serial};
use crate::store::{StoreError, View};

/// Why nothing was released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error("name at least one serial number")]
    Nothing,
    #[error(transparent)]
    Rules(#[from] release::ReleaseRefused),
}

/// What was released, and the lists that say it no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    pub serials: Vec<Serial>,
    pub holders: Vec<HolderId>,
    pub at: Timestamp,
    pub event: EventNumber,
    pub lists: Vec<RevocationList>,
}

impl Authority {
    /// All of them or none.
    pub async fn release(
        &self,
        operator: &Operator,
        serials: &[Serial],
    ) -> Result<Released, Failed<ReleaseRefused>> {
        permit(operator, "certificate.release")?;
        let serials: BTreeSet<Serial> = serials.iter().copied().collect();
        if serials.is_empty() {
            return Err(Failed::Refused(ReleaseRefused::Nothing));
        }
        let refused = |why: release::ReleaseRefused| Failed::Refused(ReleaseRefused::Rules(why));
        let (committed, (holders, shards)) = self
            .transact(&operator.actor(), |view, now| {
                let (mut facts, mut holders, mut shards) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
                for serial in &serials {
                    let row = rows::certificate(view, serial)?
                        .ok_or_else(|| refused(release::ReleaseRefused::Unknown(*serial)))?;
                    if row.holder == HolderId::authority() {
                        permit(operator, "ca.revoke")?;
                    }
                    let held_by = held_by(view, &row)?;
                    let key = rows::key_row(view, &row.key)?;
                    facts.push(release::decide(&row, held_by.as_ref(), key.as_ref(), now).map_err(refused)?);
                    shards.insert(row.shard_id());
                    holders.insert(row.holder);
                }
                Ok((facts, (holders, shards)))
            })
            .await?;
        tracing::info!(count = serials.len(), event = %committed.first, "released");
        let lists = self.publish_covering(&shards, committed.first).await;
        Ok(Released {
            serials: serials.into_iter().collect(),
            holders: holders.into_iter().collect(),
            at: committed.at,
            event: committed.first,
            lists: lists.iter().map(|list| RevocationList::of(list)).collect(),
        })
    }
}

/// Why a certificate was put on hold: the event says it, which is never written again.
fn held_by(view: &dyn View, row: &rows::CertificateRow) -> Result<Option<Cause>, StoreError> {
    if row.status != rows::Status::Held {
        return Ok(None);
    }
    Ok(match entry_at(view, row.status_since.event)?.event.fact {
        Fact::CertificateHeld { cause, .. } => Some(cause),
        _ => None,
    })
}
