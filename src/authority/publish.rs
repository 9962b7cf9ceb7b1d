//! Publishes the revocation lists of a CA's shards (RFC 5280 section 5), complete ones and deltas.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::Authority;
use super::ca::{self, IssuingCa, ShardLists};
use super::caller::{Operator, OperatorRefused, permit};
use super::error::{Failed, OpenError};
use super::files;
use super::list_file::{Content, Written, sync_folder};
use super::list_schedule::{Due, Known, due, is_scheduled};
use super::press::{Facts, Order, Press, PressError, aside, file_error};
use crate::clock::Timestamp;
use crate::fleet::Actor;
use crate::fleet::listing::{self, CrlRow};
use crate::fleet::rows::CRL;
use crate::ids::{CaName, Digest, EventNumber, ShardId};
use crate::store::{Expected, StoreError, View};

/// As many shards are recorded by one commit: each keeps files open until then.
const AT_ONCE: usize = 32;

/// A list as it is served.
#[derive(Debug)]
pub struct PublishedCrl {
    pub shard: ShardId,
    pub number: u64,
    /// For a delta: the number of the complete list that it goes on from.
    pub base: Option<u64>,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub entries: u64,
    /// Every event below this number is in it; for a delta, in it or in its base.
    pub covers: EventNumber,
    /// SHA-256 of its DER.
    pub digest: Digest,
    pub bytes: u64,
    pub content: Content,
}

impl PublishedCrl {
    /// Its DER, however long it is. Waits for the disk.
    pub fn whole(&self) -> std::io::Result<Vec<u8>> {
        let mut der = vec![0; usize::try_from(self.bytes).map_err(std::io::Error::other)?];
        self.content.read_at(0, &mut der)?;
        Ok(der)
    }
}

/// Why a list cannot be published on command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error("there is no CA {0}")]
    UnknownCa(CaName),
}

impl<R> From<PressError> for Failed<R> {
    fn from(error: PressError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Authority {
    /// Publishes fresh lists of all shards of one CA on command, and gives the complete ones.
    pub async fn publish_crl(
        &self,
        operator: &Operator,
        ca: &CaName,
    ) -> Result<Vec<Arc<PublishedCrl>>, Failed<PublishRefused>> {
        permit(operator, "crl.publish")?;
        let ca = self.ca(ca).ok_or_else(|| Failed::Refused(PublishRefused::UnknownCa(ca.clone())))?;
        let _turn = ca.publishing.lock().await;
        let orders = {
            let snapshot = self.snapshot()?;
            let shards = shards_in_use(&*snapshot, ca)?;
            self.orders(&*snapshot, ca, &shards.into_iter().collect())?
        };
        self.publish(ca, orders, operator.actor()).await
    }

    /// Publishes the lists that must show event `event`, and gives those that do. That it is done does not depend on the
    /// outcome here: a list that cannot be built now is built by the next upkeep, and OCSP answers from the record
    /// meanwhile. Whoever waits at the same time shares a build, whichever shards of a CA he waits for.
    pub(super) async fn publish_covering(
        &self,
        shards: &BTreeSet<ShardId>,
        event: EventNumber,
    ) -> Vec<Arc<PublishedCrl>> {
        let mut by_ca: BTreeMap<&CaName, BTreeSet<u32>> = BTreeMap::new();
        for shard in shards {
            by_ca.entry(&shard.ca).or_default().insert(shard.shard);
        }
        let mut lists = Vec::new();
        for (ca, shards) in by_ca.into_iter().filter_map(|(ca, shards)| Some((self.ca(ca)?, shards))) {
            if let Err(error) = self.cover(ca, &shards, event).await {
                tracing::error!(ca = %ca.name(), %error, "a change of status is recorded but not yet listed");
            }
            let covering = shards.iter().filter_map(|shard| ca.list(*shard));
            lists.extend(covering.filter(|list| list.covers > event));
        }
        lists
    }

    async fn cover(
        &self,
        ca: &IssuingCa,
        shards: &BTreeSet<u32>,
        event: EventNumber,
    ) -> Result<(), Failed<PublishRefused>> {
        let wanted = || ca.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted().extend(shards);
        let _turn = ca.publishing.lock().await;
        let is_lacking = |shard: &u32| ca.list(*shard).is_none_or(|list| list.covers <= event);
        let mut lacking: BTreeSet<u32> = shards.iter().copied().filter(is_lacking).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let others = std::mem::take(&mut *wanted());
        let orders = {
            let snapshot = self.snapshot()?;
            for shard in others.difference(&lacking.clone()) {
                let id = ShardId { ca: ca.name().clone(), shard: *shard };
                let change = listing::last_change(&*snapshot, &id)?;
                if ca.list(*shard).is_none_or(|list| change.is_some_and(|change| list.covers <= change)) {
                    lacking.insert(*shard);
                }
            }
            self.orders(&*snapshot, ca, &lacking)?
        };
        self.publish(ca, orders, Actor::System).await?;
        Ok(())
    }

    /// Publishes what has no list yet, whose file is not the recorded one, and what ends soon.
    pub(super) async fn publish_due(&self, ca: &IssuingCa) -> Result<(), Failed<PublishRefused>> {
        let _turn = ca.publishing.lock().await;
        let (orders, in_use) = {
            let snapshot = self.snapshot()?;
            let in_use = shards_in_use(&*snapshot, ca)?;
            let mut orders = Vec::new();
            for shard in &in_use {
                let (known, mut order) = self.look(&*snapshot, ca, *shard)?;
                match due(ca.settings(), &known.known(), self.clock.now()) {
                    Due::Nothing => continue,
                    Due::Delta => (order.complete, order.scheduled) = (false, false),
                    Due::Complete { scheduled } => (order.complete, order.scheduled) = (true, scheduled),
                }
                orders.push(order);
            }
            (orders, in_use)
        };
        self.drop_unused(ca, &in_use);
        self.publish(ca, orders, Actor::System).await?;
        Ok(())
    }

    fn orders(
        &self,
        view: &dyn View,
        ca: &IssuingCa,
        shards: &BTreeSet<u32>,
    ) -> Result<Vec<Order>, StoreError> {
        let order = |shard: &u32| {
            let (known, mut order) = self.look(view, ca, *shard)?;
            order.scheduled = is_scheduled(ca.settings(), &known.known(), self.clock.now());
            Ok(order)
        };
        shards.iter().map(order).collect()
    }

    /// What is known about a shard, and the order for a complete list of it.
    fn look(&self, view: &dyn View, ca: &IssuingCa, shard: u32) -> Result<(Looked, Order), StoreError> {
        let id = ShardId { ca: ca.name().clone(), shard };
        let row = listing::published(view, &id)?;
        let lists = ca.lists();
        let lists = lists.get(&shard);
        let whole = ca.settings().crl_shards() == 1 && shards_in_use(view, ca)?.len() == 1;
        let names = ca.scope_names(shard, row.as_ref().map_or(&[], |row| &row.names));
        let known = Looked {
            shard,
            complete_served: row
                .as_ref()
                .zip(lists)
                .is_some_and(|(row, now)| now.complete.number == row.number),
            delta_served: row.as_ref().and_then(|row| row.delta).is_some_and(|row| {
                lists.and_then(|lists| lists.delta.as_ref()).is_some_and(|now| now.number == row.number)
            }),
            last_change: listing::last_change(view, &id)?,
            scope_changed: row.as_ref().is_some_and(|row| (&row.names, row.whole) != (&names, whole)),
            row,
        };
        let order = Order {
            shard,
            complete: true,
            scheduled: false,
            unseen: known.row.is_some() && !known.complete_served,
            names,
            whole,
            delta_url: ca.delta_url(shard),
        };
        Ok((known, order))
    }

    /// Builds, records and publishes, and gives the complete lists. The caller holds `ca.publishing`.
    async fn publish(
        &self,
        ca: &IssuingCa,
        orders: Vec<Order>,
        actor: Actor,
    ) -> Result<Vec<Arc<PublishedCrl>>, Failed<PublishRefused>> {
        let mut published = Vec::new();
        for orders in orders.chunks(AT_ONCE) {
            published.extend(self.publish_some(ca, orders, &actor).await?);
        }
        Ok(published)
    }

    async fn publish_some(
        &self,
        ca: &IssuingCa,
        orders: &[Order],
        actor: &Actor,
    ) -> Result<Vec<Arc<PublishedCrl>>, Failed<PublishRefused>> {
        let press = Arc::new(self.press(ca));
        let mut written: Vec<(Facts, Written)> = Vec::new();
        let mut expected = Vec::new();
        for order in orders {
            let view = self.snapshot()?;
            let key = listing::shard_key(&ShardId { ca: ca.name().clone(), shard: order.shard });
            expected.push(Expected { table: CRL, value: view.get(CRL, &key)?, key });
            let order = order.clone();
            for proof in aside(&press, move |press| press.set(&*view, &order)).await? {
                let signature = ca.signer.sign_hashed(&proof.draft.hashed).await?;
                written.push(aside(&press, move |press| press.write(proof, &signature)).await?);
            }
        }
        let facts = written.iter().map(|(facts, written)| facts.fact(ca.name(), written.digest)).collect();
        // The numbers are taken before the lists are seen: a crash in between skips them and never uses them twice (C05).
        self.commit(actor, facts, expected, self.clock.now()).await?;
        let lists = aside(&press, move |press| {
            let folder = files::crls(&press.dir);
            let put = |(facts, written): (Facts, Written)| {
                let (digest, bytes) = (written.digest, written.bytes);
                let content = written.publish().map_err(|error| file_error(&folder, error))?;
                Ok(Arc::new(PublishedCrl {
                    shard: ShardId { ca: press.ca.clone(), shard: facts.shard },
                    number: facts.number,
                    base: facts.base,
                    this_update: facts.this_update,
                    next_update: facts.next_update,
                    entries: facts.entries,
                    covers: facts.covers,
                    digest,
                    bytes,
                    content,
                }))
            };
            let lists = written.into_iter().map(put).collect::<Result<Vec<_>, PressError>>()?;
            sync_folder(&folder).map_err(|error| file_error(&folder, error))?;
            Ok(lists)
        })
        .await?;
        let mut served = (*ca.lists()).clone();
        for list in &lists {
            let number = list.shard.shard;
            match list.base {
                None => drop(served.insert(number, ShardLists { complete: Arc::clone(list), delta: None })),
                Some(_) => {
                    if let Some(lists) = served.get_mut(&number) {
                        lists.delta = Some(Arc::clone(list));
                    }
                }
            }
            tracing::debug!(shard = %list.shard, number = list.number, base = list.base, entries = list.entries, "published a CRL");
        }
        ca.lists.store(Arc::new(served));
        let entries: u64 = lists.iter().map(|list| list.entries).sum();
        tracing::info!(ca = %ca.name(), lists = lists.len(), entries, "published CRLs");
        Ok(lists.into_iter().filter(|list| list.base.is_none()).collect())
    }

    fn press(&self, ca: &IssuingCa) -> Press {
        Press {
            dir: self.dir.clone(),
            ca: ca.name().clone(),
            subject: ca.subject().clone(),
            public_key: ca.public_key().clone(),
            judge: ca.judge.clone(),
            kind: ca.signer.kind(),
            users_only: ca.has_users_only(),
            lifetime: ca.settings().crl_lifetime(),
            delta_lifetime: ca.settings().delta_lifetime(),
            now: self.clock.now(),
        }
    }

    /// What nobody names any more is served until its last list ends.
    fn drop_unused(&self, ca: &IssuingCa, in_use: &BTreeSet<u32>) {
        let now = self.clock.now();
        let mut served = (*ca.lists()).clone();
        let before = served.len();
        served.retain(|shard, lists| in_use.contains(shard) || now <= lists.complete.next_update);
        if served.len() < before {
            ca.lists.store(Arc::new(served));
        }
    }

    /// Serves the files of the last run again, when they are what the record says.
    pub(super) fn load_crls(&self) -> Result<(), OpenError> {
        self.remove_unfinished();
        let snapshot = self.snapshot()?;
        for ca in self.cas() {
            let in_use = shards_in_use(&*snapshot, ca)?;
            let mut served = BTreeMap::new();
            for row in listing::all_published(&*snapshot, ca.name())? {
                if !in_use.contains(&row.shard) && self.clock.now() > row.next_update {
                    continue;
                }
                if let Some(complete) = load(files::crl(&self.dir, ca.name(), row.shard), of_complete(&row))?
                {
                    let delta = match of_delta(&row) {
                        Some(delta) => load(files::delta_crl(&self.dir, ca.name(), row.shard), delta)?,
                        None => None,
                    };
                    served.insert(row.shard, ShardLists { complete, delta });
                }
            }
            ca.lists.store(Arc::new(served));
        }
        Ok(())
    }

    /// What a run that was killed was about to publish.
    fn remove_unfinished(&self) {
        let Ok(entries) = fs::read_dir(files::crls(&self.dir)) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "new") {
                // What stays is overwritten by the next list.
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// [`Known`], with the row.
struct Looked {
    shard: u32,
    row: Option<CrlRow>,
    complete_served: bool,
    delta_served: bool,
    last_change: Option<EventNumber>,
    scope_changed: bool,
}

impl Looked {
    fn known(&self) -> Known<'_> {
        Known {
            shard: self.shard,
            row: self.row.as_ref(),
            complete_served: self.complete_served,
            delta_served: self.delta_served,
            last_change: self.last_change,
            scope_changed: self.scope_changed,
        }
    }
}

/// The shards that new certificates get, and those that older ones name: as long as one of them has not ended, or has not
/// been on a scheduled list since.
pub(super) fn shards_in_use(view: &dyn View, ca: &IssuingCa) -> Result<BTreeSet<u32>, StoreError> {
    let mut shards: BTreeSet<u32> = (0..ca.settings().crl_shards()).collect();
    for (shard, named) in listing::shards_named(view, ca.name())? {
        let row = listing::published(view, &ShardId { ca: ca.name().clone(), shard })?;
        if row.is_none_or(|row| row.next_without <= named.until || row.entries > 0) {
            shards.insert(shard);
        }
    }
    Ok(shards)
}

/// A list as the record has it, all but its content.
pub(super) struct Recorded {
    shard: ShardId,
    number: u64,
    base: Option<u64>,
    this_update: Timestamp,
    next_update: Timestamp,
    entries: u64,
    covers: EventNumber,
    pub(super) digest: Digest,
}

pub(super) fn of_complete(row: &CrlRow) -> Recorded {
    Recorded {
        shard: row.shard_id(),
        number: row.number,
        base: None,
        this_update: row.this_update,
        next_update: row.next_update,
        entries: row.entries,
        covers: row.covers,
        digest: row.digest,
    }
}

pub(super) fn of_delta(row: &CrlRow) -> Option<Recorded> {
    row.delta.map(|delta| Recorded {
        shard: row.shard_id(),
        number: delta.number,
        base: Some(delta.base),
        this_update: delta.this_update,
        next_update: delta.next_update,
        entries: delta.entries,
        covers: delta.covers,
        digest: delta.digest,
    })
}

pub(super) fn load(path: PathBuf, recorded: Recorded) -> Result<Option<Arc<PublishedCrl>>, OpenError> {
    let loaded = Content::load(&path, &recorded.digest).map_err(|error| ca::file_error(&path, &error))?;
    let Recorded { shard, number, base, this_update, next_update, entries, covers, digest } = recorded;
    Ok(loaded.map(|(content, bytes)| {
        Arc::new(PublishedCrl {
            shard,
            number,
            base,
            this_update,
            next_update,
            entries,
            covers,
            digest,
            bytes,
            content,
        })
    }))
}
