//! Moves a device from stage to stage; what that does to its certificates is in the same commit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Authority;
use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use crate::fleet::movement::{self, Details, Holdings};
use crate::fleet::{Device, Fact, rows};
use crate::ids::{EventNumber, HolderId, Serial, ShardId, StageName};
use crate::store::{StoreError, View};

/// Why a device was not moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error("{0} is not a registered device")]
    UnknownDevice(HolderId),
    #[error(transparent)]
    Rules(#[from] movement::MoveRefused),
}

/// A move that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub device: Device,
    pub from: StageName,
    pub transition: String,
    /// The first event of the move; those of the certificates follow it.
    pub event: EventNumber,
    pub revoked: Vec<Serial>,
    pub held: Vec<Serial>,
    pub released: Vec<Serial>,
}

impl Authority {
    pub async fn move_device(
        &self,
        operator: &Operator,
        id: &HolderId,
        to: &StageName,
        details: &Details,
    ) -> Result<Moved, Failed<MoveRefused>> {
        permit(operator, "device.move")?;
        let (committed, facts) = self
            .transact(&operator.actor(), |view, now| {
                let device = rows::device(view, id)?
                    .ok_or_else(|| Failed::Refused(MoveRefused::UnknownDevice(id.clone())))?;
                let holdings = Holdings::of(view, &self.config, id)?;
                let lifecycle = self.config.lifecycle();
                let facts =
                    movement::decide(lifecycle, &device, &holdings, operator.role(), to, details, now)
                        .map_err(|why| Failed::Refused(why.into()))?;
                Ok((facts.clone(), facts))
            })
            .await?;

        let snapshot = self.snapshot()?;
        let device = self.just_written(rows::device(&*snapshot, id)?, id)?;
        let mut moved = Moved {
            from: device.stage.clone(),
            device,
            transition: String::new(),
            event: committed.first,
            revoked: Vec::new(),
            held: Vec::new(),
            released: Vec::new(),
        };
        let shards = shards_of(&*snapshot, &facts)?;
        for fact in facts {
            let (serial, list) = match fact {
                Fact::DeviceMoved { from, transition, .. } => {
                    moved.from = from;
                    moved.transition = transition;
                    continue;
                }
                Fact::CertificateRevoked { serial, .. } => (serial, &mut moved.revoked),
                Fact::CertificateHeld { serial, .. } => (serial, &mut moved.held),
                Fact::CertificateReleased { serial, .. } => (serial, &mut moved.released),
                _ => continue,
            };
            list.push(serial);
        }
        drop(snapshot);
        tracing::info!(device = %id, stage = %to, transition = moved.transition, event = %moved.event, "moved");
        self.publish_covering(&shards, committed.first).await;
        Ok(moved)
    }
}

/// The shards whose lists these facts change.
pub(super) fn shards_of(view: &dyn View, facts: &[Fact]) -> Result<BTreeSet<ShardId>, StoreError> {
    let mut shards = BTreeSet::new();
    for fact in facts {
        if let Fact::CertificateRevoked { serial, .. }
        | Fact::CertificateHeld { serial, .. }
        | Fact::CertificateReleased { serial, .. } = fact
        {
            shards.extend(rows::certificate(view, serial)?.map(|row| row.shard_id()));
        }
    }
    Ok(shards)
}
