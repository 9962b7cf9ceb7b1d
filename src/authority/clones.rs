//! Records a suspected copy, and does about it what the policy says.

use std::convert::Infallible;
use std::net::IpAddr;

use super::Authority;
use super::enrol::SAME_REFUSAL_AGAIN;
use super::movement::shards_of;
use crate::clock::Timestamp;
use crate::fleet::enrol::Suspicion;
use crate::fleet::movement::{self, Holdings};
use crate::fleet::{Actor, Fact, rows};
use crate::store::{StoreError, View};

impl Authority {
    /// Once an hour for each certificate that is presented, however often it asks. One that is too old to be renewed, by
    /// whomever, moves no device: a key that leaked years ago would be a switch that takes a device from its patient.
    pub(super) async fn record_suspicion(&self, suspicion: &Suspicion, source: Option<IpAddr>) {
        let Suspicion { holder, presented, current, .. } = suspicion;
        let recorded = self
            .transact::<_, Infallible>(&Actor::System, |view, now| {
                let facts = self.consequences(view, suspicion, source, now)?;
                Ok((facts.clone(), facts))
            })
            .await;
        let (committed, facts) = match recorded {
            Ok(recorded) => recorded,
            Err(error) => {
                return tracing::error!(%holder, %presented, %error, "a suspected copy cannot be recorded");
            }
        };
        if facts.is_empty() {
            return;
        }
        let moved = facts.iter().find_map(|fact| match fact {
            Fact::DeviceMoved { to, .. } => Some(tracing::field::display(to)),
            _ => None,
        });
        tracing::warn!(%holder, %presented, %current, ?source, moved, "a copy is suspected");
        let shards = self.snapshot().and_then(|view| shards_of(&*view, &facts));
        match shards {
            Ok(shards) => drop(self.publish_covering(&shards, committed.first).await),
            Err(error) => tracing::error!(%holder, %error, "the lists follow with the next upkeep"),
        }
    }

    fn consequences(
        &self,
        view: &dyn View,
        suspicion: &Suspicion,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Vec<Fact>, StoreError> {
        let Suspicion { holder, profile, presented, current, key, current_source, renewable } = suspicion;
        let told = rows::certificate(view, presented)?.and_then(|row| row.suspected);
        if told.is_some_and(|at| now < at.time + SAME_REFUSAL_AGAIN) {
            return Ok(Vec::new());
        }
        let mut facts = vec![Fact::CloneSuspected {
            holder: holder.clone(),
            profile: profile.clone(),
            presented: *presented,
            current: *current,
            key: *key,
            source,
            current_source: *current_source,
        }];
        let lifecycle = self.config.lifecycle();
        let move_to = lifecycle.clones().move_to().filter(|_| *renewable);
        if let (Some(to), Some(device)) = (move_to, rows::device(view, holder)?) {
            let holdings = Holdings::of(view, &self.config, holder)?;
            let reason = format!("a copy of certificate {presented}, which {current} replaced, is suspected");
            let moved = movement::by_authority(lifecycle, &device, &holdings, to, reason, now);
            facts.extend(moved.unwrap_or_default());
        }
        Ok(facts)
    }
}
