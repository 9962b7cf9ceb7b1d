//! Revokes single certificates and sees to it that the world is told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use super::{Authority, PublishedCrl};
use crate::clock::Timestamp;
use crate::fleet::{Fact, revoke, rows};
use crate::ids::{CaName, EventNumber, HolderId, Reason, Serial};

/// Why nothing was revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error("name at least one serial number")]
    Nothing,
    #[error(transparent)]
    Rules(#[from] revoke::RevokeRefused),
}

/// What shall be revoked. All of it happens or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationAsked {
    pub serials: Vec<Serial>,
    pub reason: Reason,
    pub invalid_since: Option<Timestamp>,
}

/// What was revoked, and where it can be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    pub serials: Vec<Serial>,
    pub holders: Vec<HolderId>,
    pub reason: Reason,
    pub at: Timestamp,
    pub event: EventNumber,
    /// The lists that carry it now. OCSP answers follow the record at once.
    pub lists: Vec<RevocationList>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationList {
    pub ca: CaName,
    pub shard: u32,
    pub number: u64,
}

impl RevocationList {
    pub(super) fn of(list: &PublishedCrl) -> Self {
        Self { ca: list.shard.ca.clone(), shard: list.shard.shard, number: list.number }
    }
}

impl Authority {
    pub async fn revoke(
        &self,
        operator: &Operator,
        asked: RevocationAsked,
    ) -> Result<Revocation, Failed<RevokeRefused>> {
        permit(operator, "certificate.revoke")?;
        let serials: BTreeSet<Serial> = asked.serials.iter().copied().collect();
        if serials.is_empty() {
            return Err(Failed::Refused(RevokeRefused::Nothing));
        }
        let (committed, (holders, shards)) = self
            .transact(&operator.actor(), |view, now| {
                let mut facts: Vec<Fact> = Vec::new();
                let mut holders = BTreeSet::new();
                let mut shards = BTreeSet::new();
                for serial in &serials {
                    let row = rows::certificate(view, serial)?
                        .ok_or_else(|| refused(revoke::RevokeRefused::Unknown(*serial)))?;
                    if row.holder == HolderId::authority() {
                        permit(operator, "ca.revoke")?;
                    }
                    let is_root = self
                        .cas()
                        .any(|ca| ca.settings().issuer().is_none() && ca.public_key().digest() == row.key);
                    facts.push(
                        revoke::decide(&row, is_root, asked.reason, asked.invalid_since, now)
                            .map_err(refused)?,
                    );
                    shards.insert(row.shard_id());
                    holders.insert(row.holder);
                }
                Ok((facts, (holders, shards)))
            })
            .await?;
        tracing::info!(count = serials.len(), reason = %asked.reason, event = %committed.first, "revoked");
        let lists = self.publish_covering(&shards, committed.first).await;
        Ok(Revocation {
            serials: serials.into_iter().collect(),
            holders: holders.into_iter().collect(),
            reason: asked.reason,
            at: committed.at,
            event: committed.first,
            lists: lists.iter().map(|list| RevocationList::of(list)).collect(),
        })
    }
}

fn refused(why: revoke::RevokeRefused) -> Failed<RevokeRefused> {
    Failed::Refused(why.into())
}
