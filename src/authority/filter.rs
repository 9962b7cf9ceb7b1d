//! Builds, signs and publishes the revocation filters of the CAs that have one (`docs/FILTER.md`).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::Authority;
use super::ca::{IssuingCa, file_error};
use super::error::{Failed, OpenError};
use super::files;
use super::projection::frontier;
use crate::clock::Timestamp;
use crate::config::{Config, FilterPolicy};
use crate::fleet::filter::{FilterRow, for_each_live, last_filter};
use crate::fleet::rows::FILTER;
use crate::fleet::{Actor, Fact};
use crate::ids::{CaName, Digest, EventNumber};
use crate::pki::filter::{FilterTemplate, RevocationFilter, SignedFilter};
use crate::store::{Expected, StoreError, View};

/// A serial number is drawn before its certificate is on record. No request takes nearly as long as this, so whatever has an
/// older number and is not on record never will be.
const UNDER_WAY: Duration = Duration::from_secs(300);

/// A filter as it is served.
#[derive(Debug)]
pub struct PublishedFilter {
    pub number: u64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    /// Certificates whose serial number begins with a later moment are not in it.
    pub covered_to: Timestamp,
    pub covered: u64,
    pub revoked: u64,
    pub digest: Digest,
    /// CMS SignedData in DER.
    pub der: Arc<[u8]>,
}

/// Whether a CA has a filter.
#[derive(Clone, Debug)]
pub enum FilterState {
    /// Policy wants none.
    None,
    /// Upkeep will make the first one.
    Awaited,
    Published(Arc<PublishedFilter>),
}

/// The filters of the CAs that have one.
pub(super) struct Filters(BTreeMap<CaName, Slot>);

struct Slot {
    policy: FilterPolicy,
    published: ArcSwapOption<PublishedFilter>,
    /// Builds wait for each other here.
    building: tokio::sync::Mutex<()>,
}

impl Filters {
    pub(super) fn of(config: &Config) -> Self {
        let slot = |policy| Slot {
            policy,
            published: ArcSwapOption::empty(),
            building: tokio::sync::Mutex::new(()),
        };
        let cas = config.hierarchy().cas().iter();
        Self(cas.filter_map(|ca| Some((ca.name().clone(), slot(ca.filter()?)))).collect())
    }
}

/// What a build gave, before it is signed.
struct Built {
    filter: RevocationFilter,
    last: Option<FilterRow>,
    last_bytes: Option<Vec<u8>>,
}

/// Tells a build that nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Authority {
    /// The filter that a CA publishes now.
    pub fn filter(&self, ca: &CaName) -> FilterState {
        match self.filters.0.get(ca) {
            None => FilterState::None,
            Some(slot) => slot.published.load_full().map_or(FilterState::Awaited, FilterState::Published),
        }
    }

    /// Publishes every filter whose interval is over; to be called every minute or so. Changes of status within an interval
    /// share a build. Dropping the future stops a build. What cannot be done for one CA keeps no other waiting.
    pub async fn publish_filters(&self) -> Result<(), Failed<std::convert::Infallible>> {
        let mut outcomes = Vec::new();
        for (name, slot) in &self.filters.0 {
            let Some(ca) = self.ca(name) else { continue };
            let published = self.publish_filter_if_due(ca, slot).await;
            outcomes.push(published.map_err(|error| Failed::Unavailable(format!("{name}: {error}"))));
        }
        outcomes.into_iter().collect()
    }

    async fn publish_filter_if_due(
        &self,
        ca: &IssuingCa,
        slot: &Slot,
    ) -> Result<(), Failed<std::convert::Infallible>> {
        let _turn = slot.building.lock().await;
        let now = self.clock.now();
        let fresh = slot.published.load().as_ref().is_some_and(|filter| {
            let age = now.since(filter.this_update);
            // A policy with shorter lengths takes effect at once.
            age < slot.policy.interval() && now < filter.next_update
        });
        // A CA that has ended has no unexpired certificates and signs nothing.
        if fresh || now > ca.not_after() {
            return Ok(());
        }
        let Built { filter, last, last_bytes } = self.build_filter(ca, slot.policy, now).await?;
        let unsigned = SignedFilter::new(&filter, ca.public_key().key_id(), ca.signer.kind());
        let signature = ca.signer.sign(unsigned.bytes()).await?;
        let der = unsigned.assemble(&signature).map_err(|error| Failed::Unavailable(error.to_string()))?;
        let facts = filter.facts();
        let digest = Digest::of(&der);
        let fact = Fact::FilterPublished {
            ca: ca.name().clone(),
            number: facts.number,
            this_update: facts.this_update,
            next_update: facts.next_update,
            covered_to: facts.covered_to,
            events: facts.events,
            covered: facts.covered,
            revoked: facts.revoked,
            digest,
        };
        debug_assert!(last.is_none_or(|last| last.number < facts.number), "numbers grow");
        // The number is taken before the filter is seen: a crash in between skips it and never uses one twice.
        let key = ca.name().as_str().as_bytes().to_vec();
        let expected = vec![Expected { table: FILTER, key, value: last_bytes }];
        self.commit(&Actor::System, vec![fact], expected, self.clock.now()).await?;
        let path = files::filter(&self.dir, ca.name());
        files::replace(&path, &der)
            .map_err(|error| Failed::Unavailable(format!("cannot write {}: {error}", path.display())))?;
        tracing::info!(
            ca = %ca.name(), number = facts.number, covered = facts.covered, revoked = facts.revoked,
            octets = der.len(), "published a revocation filter"
        );
        slot.published.store(Some(Arc::new(PublishedFilter {
            number: facts.number,
            this_update: facts.this_update,
            next_update: facts.next_update,
            covered_to: facts.covered_to,
            covered: facts.covered,
            revoked: facts.revoked,
            digest,
            der: der.into(),
        })));
        Ok(())
    }

    /// From one snapshot, on a thread that may block.
    async fn build_filter(
        &self,
        ca: &IssuingCa,
        policy: FilterPolicy,
        now: Timestamp,
    ) -> Result<Built, Failed<std::convert::Infallible>> {
        let snapshot = self.snapshot()?;
        let last_bytes = snapshot.get(FILTER, ca.name().as_str().as_bytes())?;
        let last = last_filter(&*snapshot, ca.name())?;
        let before = last.as_ref().map_or(Timestamp::EPOCH, |last| last.this_update);
        // Not before the filter that it replaces, whatever the clock does.
        let this_update = now.max(before).whole_second();
        // Gateways refuse a smaller number than they know. Seconds since 1970 stay above what was published before the
        // record was restored from an older copy.
        let number = last.as_ref().map_or(0, |last| last.number + 1).max(this_update.secs());
        let template = FilterTemplate {
            ca_key: ca.public_key().digest(),
            number,
            this_update,
            next_update: this_update + policy.lifetime(),
            covered_to: now - UNDER_WAY,
            events: EventNumber(frontier(&*snapshot)?.size()),
        };
        let stop = StopOnDrop(Arc::default());
        let (name, stopped) = (ca.name().clone(), Arc::clone(&stop.0));
        let building = tokio::task::spawn_blocking(move || build(&*snapshot, &name, template, &stopped));
        let filter = building
            .await
            .map_err(|error| Failed::Unavailable(format!("the build ended badly: {error}")))?
            .map_err(Failed::Unavailable)?;
        Ok(Built { filter, last, last_bytes })
    }

    /// Serves the filters of the last run again, when they are what the record says.
    pub(super) fn load_filters(&self) -> Result<(), OpenError> {
        self.take_up_filters(&*self.snapshot()?).map(drop)
    }

    /// Serves the filters that the record names, as far as their files are there, else those of before. Whether all were there.
    pub(super) fn take_up_filters(&self, view: &dyn View) -> Result<bool, OpenError> {
        let mut all = true;
        for (name, slot) in &self.filters.0 {
            let Some(row) = last_filter(view, name)? else { continue };
            if slot.published.load().as_ref().is_some_and(|now| now.digest == row.digest) {
                continue;
            }
            let path = files::filter(&self.dir, name);
            let der = match fs::read(&path) {
                Ok(der) => der,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    all = false;
                    continue;
                }
                Err(error) => return Err(file_error(&path, &error)),
            };
            let is_it = Digest::of(&der) == row.digest;
            all &= is_it;
            if is_it {
                slot.published.store(Some(Arc::new(PublishedFilter {
                    number: row.number,
                    this_update: row.this_update,
                    next_update: row.next_update,
                    covered_to: row.covered_to,
                    covered: row.covered,
                    revoked: row.revoked,
                    digest: row.digest,
                    der: der.into(),
                })));
            }
        }
        Ok(all)
    }
}

fn build(
    view: &dyn View,
    ca: &CaName,
    template: FilterTemplate,
    stopped: &AtomicBool,
) -> Result<RevocationFilter, String> {
    let (from, covered_to) = (template.this_update, template.covered_to);
    let built = template.build(|see| {
        let mut cut = false;
        for_each_live(view, ca, from, covered_to, &mut |serial, revoked| {
            see(serial, revoked);
            cut = stopped.load(Ordering::Relaxed);
            if cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .map_err(|error: StoreError| error.to_string())?;
        if cut { Err("it was stopped".to_owned()) } else { Ok(()) }
    });
    built.map_err(|error| error.to_string())
}
