//! The authority as a responder in a process of its own: it tells what another process records, and records nothing.
//!
//! What it says is true as far as its record is known to be whole: to this moment while a process that writes has the same
//! file open, and else to the last event, or to the moment at which the file was copied. An OCSP answer is dated by that,
//! and when even its end is past, there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Authority;
use super::ca::{CaKeys, IssuingCa, ShardLists};
use super::error::OpenError;
use super::files;
use super::own::OCSP;
use super::publish::{load, of_complete, of_delta, shards_in_use};
use super::watch::changed_by;
use crate::clock::{Clock, Random, Timestamp};
use crate::config::Config;
use crate::fleet::rows::{self, Status};
use crate::fleet::{Event, Fact, listing};
use crate::ids::{EventNumber, HolderId, Serial};
use crate::ledger::entry;
use crate::store::follower::RedbFollower;
use crate::store::{EVENTS, Head, Range, StoreError, View, copy, event_key};

/// What a responder knows of the record that it follows.
pub(super) struct Following {
    store: Arc<RedbFollower>,
    /// The record is known to be whole up to here, in milliseconds.
    known_until: AtomicI64,
    seen: Mutex<Seen>,
}

struct Seen {
    next: EventNumber,
    /// The files of some lists or filters are not yet, or not any more, those that the record names.
    lists_lag: bool,
}

/// What the events since the last look ask for.
#[derive(Default)]
struct News {
    changed: Vec<Serial>,
    lists: bool,
    own: bool,
}

impl Authority {
    /// Opens a data folder to tell status from it and nothing else. Writes nothing, and needs no key but those of the OCSP
    /// signers; a CA without one answers no OCSP request.
    pub fn open_to_follow(
        dir: &Path,
        config: Arc<Config>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, OpenError> {
        let path = files::store(dir);
        if !path.exists() {
            return Err(OpenError::NotInitialised { dir: dir.display().to_string() });
        }
        let store = Arc::new(RedbFollower::open(&path, config.server().cache_bytes())?);
        let following = Following {
            store: Arc::clone(&store),
            known_until: AtomicI64::new(0),
            // Before the first event: the first look takes up all there is.
            seen: Mutex::new(Seen { next: EventNumber(0), lists_lag: true }),
        };
        let mut authority = Self::assemble(dir, config, clock, random, store, CaKeys::Elsewhere)?;
        authority.following = Some(following);
        authority.catch_up()?;
        for ca in authority.cas().filter(|ca| ca.ocsp.load().is_none()) {
            let name = ca.name();
            tracing::warn!(ca = %name, "no OCSP signer: its key is not in keys/, or its certificate is not valid now");
        }
        Ok(authority)
    }

    /// Takes up what was recorded since the last time; to be called often. Waits for the disk. After an error all goes on as
    /// it was, and the next call tries again.
    pub fn catch_up(&self) -> Result<(), OpenError> {
        self.take_in().map(drop)
    }

    /// [`Self::catch_up`], with the snapshot that it has looked at, and whether all lists that it names are served.
    pub(super) fn take_in(&self) -> Result<(Box<dyn View + Send>, bool), OpenError> {
        let Some(following) = &self.following else { return Ok((self.snapshot()?, true)) };
        let mut seen = following.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // In this order: what was whole at that moment is in a snapshot that is taken afterwards.
        let now = self.clock.now();
        let replaced = following.store.reopen_if_replaced()?;
        let written = following.store.is_being_written();
        let snapshot = self.snapshot()?;
        let head = Head::read(&*snapshot)?;
        if replaced {
            tracing::info!(events = head.next.0, "another copy of the record was put in place");
        }
        let recorded = copy::whole_until(&*snapshot)?.unwrap_or(head.at).max(head.at);
        let whole_until = if written { now } else { recorded.min(now) };
        let before = Timestamp::from_millis(following.known_until.load(Ordering::Acquire));
        let known_until = if replaced { whole_until } else { whole_until.max(before) };

        let first = seen.next == EventNumber(0);
        let news = if replaced || first { None } else { news_since(&*snapshot, seen.next, head.next)? };
        if let Some(news) = &news {
            self.watches.end(&news.changed);
        } else {
            self.watches.end_all_but(&self.good_signers(&*snapshot)?);
        }
        // Only now, and only after what it ends was ended: what fails below is tried again, and ending twice does no harm.
        if news.as_ref().is_none_or(|news| news.own) {
            self.take_up_signers(&*snapshot)?;
        }
        if seen.lists_lag || news.as_ref().is_none_or(|news| news.lists) {
            seen.lists_lag = true;
            let lists = self.take_up_lists(&*snapshot)?;
            seen.lists_lag = !(self.take_up_filters(&*snapshot)? && lists);
        }
        seen.next = head.next;
        following.known_until.store(known_until.millis(), Ordering::Release);
        following.store.tell(head.next);
        let all_lists = !seen.lists_lag;
        Ok((snapshot, all_lists))
    }

    /// Up to when the record that is read now is known to be whole.
    pub(super) fn known_until(&self, now: Timestamp) -> Timestamp {
        let following = self.following.as_ref();
        following.map_or(now, |following| {
            Timestamp::from_millis(following.known_until.load(Ordering::Acquire)).min(now)
        })
    }

    /// Why the status door cannot tell all that it should; `None` when it can.
    pub fn not_ready(&self) -> Option<String> {
        if !self.cas().all(IssuingCa::has_every_list) {
            return Some("a CRL is missing".to_owned());
        }
        let now = self.clock.now();
        self.following.as_ref()?;
        self.cas().filter(|ca| now <= ca.not_after()).find_map(|ca| self.lacks(ca, now))
    }

    fn lacks(&self, ca: &IssuingCa, now: Timestamp) -> Option<String> {
        let name = ca.name();
        let ended = |lists: &ShardLists| {
            now > lists.complete.next_update
                || lists.delta.as_ref().is_some_and(|delta| now > delta.next_update)
        };
        if ca.lists().values().any(ended) {
            return Some(format!("a CRL of {name} has ended: what the server publishes does not come here"));
        }
        let known_until = self.known_until(now);
        if known_until.whole_second() + ca.settings().ocsp_lifetime() <= now {
            return Some(format!(
                "the record is known up to {known_until} only, too long ago for OCSP of {name}"
            ));
        }
        match &*ca.ocsp.load() {
            Some(signer) if now <= signer.not_after && signer.standing.is_current() => None,
            _ => Some(format!("{name} has no OCSP signer that is valid, with its key in keys/")),
        }
    }

    /// Signers whose certificates stand as they did: what they sign is good.
    fn good_signers(&self, view: &dyn View) -> Result<BTreeSet<Serial>, StoreError> {
        let mut good = BTreeSet::new();
        for signer in self.cas().filter_map(|ca| ca.ocsp.load_full()) {
            if rows::certificate(view, &signer.serial)?.is_some_and(|row| row.status == Status::Good) {
                good.insert(signer.serial);
            }
        }
        Ok(good)
    }

    fn take_up_signers(&self, view: &dyn View) -> Result<(), OpenError> {
        for ca in self.cas() {
            let Some(own) = self.newest_own(view, OCSP, Some(ca))? else { continue };
            let is_in_use = ca
                .ocsp
                .load()
                .as_ref()
                .is_some_and(|now| now.serial == own.row.serial && now.standing.is_current());
            if !is_in_use {
                self.use_as_ocsp_signer(ca, own)?;
            }
        }
        Ok(())
    }

    /// Serves the lists that the record names, as far as their files are there; a list whose successor is on its way stays.
    /// Whether all were there.
    fn take_up_lists(&self, view: &dyn View) -> Result<bool, OpenError> {
        let (mut all, now) = (true, self.clock.now());
        for ca in self.cas() {
            let (in_use, had) = (shards_in_use(view, ca)?, ca.lists());
            let mut served = BTreeMap::new();
            for row in listing::all_published(view, ca.name())? {
                if !in_use.contains(&row.shard) && now > row.next_update {
                    continue;
                }
                let had = had.get(&row.shard);
                let complete = match had.map(|had| &had.complete).filter(|had| had.digest == row.digest) {
                    Some(had) => Some(Arc::clone(had)),
                    None => load(files::crl(&self.dir, ca.name(), row.shard), of_complete(&row))?,
                };
                let Some(complete) = complete else {
                    all = false;
                    served.extend(had.map(|had| (row.shard, had.clone())));
                    continue;
                };
                let delta = match of_delta(&row) {
                    None => None,
                    Some(recorded) => {
                        let had = had.and_then(|had| had.delta.as_ref());
                        match had.filter(|had| had.digest == recorded.digest) {
                            Some(had) => Some(Arc::clone(had)),
                            None => load(files::delta_crl(&self.dir, ca.name(), row.shard), recorded)?,
                        }
                    }
                };
                all &= delta.is_some() == row.delta.is_some();
                served.insert(row.shard, ShardLists { complete, delta });
            }
            ca.lists.store(Arc::new(served));
        }
        Ok(all)
    }
}

/// What the events from `from` up to `to` ask for; `None` when they are not there to be read.
fn news_since(view: &dyn View, from: EventNumber, to: EventNumber) -> Result<Option<News>, StoreError> {
    let mut news = News::default();
    if from == to {
        return Ok(Some(news));
    }
    if from > to {
        return Ok(None);
    }
    let (mut read, mut unreadable) = (from, false);
    let range = Range { from: &event_key(from), to: Some(&event_key(to)), backwards: false };
    view.scan(EVENTS, range, &mut |key, bytes| {
        // What cannot be read here is trouble of the one that writes; everything is looked at anew then.
        let Ok(entry) = entry::decode::<Event>(bytes) else {
            unreadable = true;
            return ControlFlow::Break(());
        };
        unreadable |= key != event_key(read);
        read = EventNumber(read.0 + 1);
        news.changed.extend(changed_by(&entry.event.fact));
        match &entry.event.fact {
            Fact::CrlPublished { .. } | Fact::DeltaCrlPublished { .. } | Fact::FilterPublished { .. } => {
                news.lists = true;
            }
            Fact::CertificateIssued(issuance) => news.own |= issuance.holder == HolderId::authority(),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok((read == to && !unreadable).then_some(news))
}
