//! Certificates by the thousand: events that are committed as the authority commits them, for certificates that nobody holds.

use std::sync::{Arc, OnceLock};

use vitae::clock::{Clock, ManualClock, SystemRandom, Timestamp};
use vitae::fleet::{Actor, Cause, Der, Event, Fact, Issuance, Proof};
use vitae::ids::{Digest, HolderId, Reason, Serial};
use vitae::store::{Commit, Store, View};

use super::{House, Policy};

/// The store of a house.
#[derive(Clone, Default)]
pub(crate) struct Bulk(Arc<OnceLock<Arc<dyn Store<Event>>>>);

impl Bulk {
    pub(crate) async fn house(edit: impl FnOnce(&Policy)) -> (House, Self) {
        let bulk = Self::default();
        let kept = bulk.clone();
        let house = House::on_store_with(edit, move |inner| {
            assert!(kept.0.set(Arc::clone(&inner)).is_ok());
            inner
        });
        let house = house.await;
        house.authority.upkeep().await.unwrap();
        (house, bulk)
    }

    pub(crate) fn view(&self) -> Box<dyn View + Send> {
        self.0.get().unwrap().snapshot().unwrap()
    }

    pub(crate) async fn commit(&self, clock: &ManualClock, facts: Vec<Fact>) {
        let events = facts.into_iter().map(|fact| Event { actor: Actor::System, fact }).collect();
        let commit = Commit { at: clock.now(), events, expected: Vec::new() };
        self.0.get().unwrap().commit(commit).await.unwrap();
    }

    /// Certificates of the CA `operational` that end at `not_after`.
    pub(crate) async fn issue(
        &self,
        clock: &ManualClock,
        count: usize,
        not_after: Timestamp,
        shards: u32,
    ) -> Vec<Serial> {
        let now = clock.now();
        let serials: Vec<Serial> = (0..count).map(|_| Serial::generate(now, &SystemRandom)).collect();
        let facts = serials.iter().map(|serial| {
            Fact::CertificateIssued(Box::new(Issuance {
                serial: *serial,
                ca: "operational".parse().unwrap(),
                profile: "ldev".parse().unwrap(),
                profile_version: Digest::of(b"a profile"),
                holder: HolderId::identity("bulk", &serial.to_string()),
                stage: None,
                stage_event: None,
                owner: None,
                proof: Proof::Authority,
                approval: None,
                replaces: None,
                overlap_ends: None,
                after_expiry: None,
                not_before: now,
                not_after,
                renew: None,
                key: Digest::of(serial.as_bytes()),
                shard: serial.shard(shards),
                source: None,
                server_key: false,
                certificate: Der(serial.as_bytes().to_vec()),
            }))
        });
        self.commit(clock, facts.collect()).await;
        serials
    }

    pub(crate) async fn revoke(&self, clock: &ManualClock, serials: &[Serial], reason: Reason) {
        let fact = |serial: &Serial| match reason {
            Reason::CertificateHold => Fact::CertificateHeld { serial: *serial, cause: Cause::Command },
            _ => Fact::CertificateRevoked {
                serial: *serial,
                reason,
                invalid_since: None,
                cause: Cause::Command,
            },
        };
        self.commit(clock, serials.iter().map(fact).collect()).await;
    }

    pub(crate) async fn release(&self, clock: &ManualClock, serial: Serial) {
        self.commit(clock, vec![Fact::CertificateReleased { serial, cause: Cause::Command }]).await;
    }
}
