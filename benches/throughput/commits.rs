//! Row 4: many committers at once, beside one that waits for each commit before it makes the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Runtime;
use vitae::authority::Fold;
use vitae::clock::{Clock, SystemClock};
use vitae::fleet::rows::DEVICE;
use vitae::fleet::{Actor, Event, Fact};
use vitae::ids::HolderId;
use vitae::store::redb::RedbStore;
use vitae::store::{Commit, Expected, Store};

use crate::load::{Client, Crowd};
use crate::measure::{Plan, Row};
use crate::{Outcome, scene};

/// As many as fill a group of the writer.
const COMMITTERS: usize = 256;
const CACHE: usize = 256 << 20;

/// Registers device after device.
struct Committer {
    store: Arc<RedbStore<Fold>>,
    next: Arc<AtomicU64>,
}

impl Client for Committer {
    async fn act(&mut self) -> Outcome<bool> {
        let serial = format!("BENCH{:09}", self.next.fetch_add(1, Ordering::Relaxed));
        let maker = "brannoc".parse()?;
        let device = HolderId::device(&maker, "P3", &serial);
        let fact = Fact::DeviceRegistered {
            device: device.clone(),
            maker,
            model: "P3".to_owned(),
            serial,
            udi_di: Some("00860012345678".to_owned()),
            site: Some("General Hospital".to_owned()),
            lot: Some("L2026-11".to_owned()),
            owner: None,
            stage: "manufacturing".parse()?,
            marks: BTreeSet::new(),
        };
        let actor =
            Actor::Operator { role: "mfr-line".parse()?, name: "line 1".to_owned(), credential: None };
        let absent = Expected { table: DEVICE, key: device.as_str().as_bytes().to_vec(), value: None };
        let commit =
            Commit { at: SystemClock.now(), events: vec![Event { actor, fact }], expected: vec![absent] };
        self.store.commit(commit).await?;
        Ok(true)
    }
}

pub(crate) fn measure(client: &Runtime, plan: &Plan) -> Outcome<Row> {
    let folder = scene::folder()?;
    let store = Arc::new(RedbStore::open(&folder.path().join("commits.redb"), CACHE, Arc::new(Fold))?);
    let next = Arc::new(AtomicU64::new(0));
    let committer = || Committer { store: Arc::clone(&store), next: Arc::clone(&next) };
    let mut many = Crowd::new((0..COMMITTERS).map(|_| committer()).collect(), 0.0);
    let mut one = Crowd::new(vec![committer()], 0.0);
    Row::measure(
        "4 durable commits, 256 committers",
        "one committer after the other",
        4.0,
        plan,
        |length| many.round(client, length),
        |length| one.round(client, length),
    )
}
