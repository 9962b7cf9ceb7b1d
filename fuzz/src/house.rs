//! A real authority behind its doors. Its store promises and forgets, so that every input meets the same record.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::{Request, Response};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use vitae::authority::{self, Authority, Fold, Peer, RevocationAsked};
use vitae::clock::{Clock, ManualClock, Random, SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::fleet::Event;
use vitae::fleet::register::NewDevice;
use vitae::ids::{EventNumber, HolderId, Reason, Serial};
use vitae::ledger::entry;
use vitae::pki::certificate::Certificate;
use vitae::status::Status;
use vitae::store::memory::MemoryRows;
use vitae::store::redb::RedbStore;
use vitae::store::{Commit, Committed, EVENTS, Expected, Head, Pending, Store, StoreError, View, rebuild};
use vitae::telemetry::Metrics;

pub(crate) struct House {
    /// One at a time, so that commits can be counted; a broken target must not break the next one too.
    runtime: Mutex<Runtime>,
    pub(crate) authority: Arc<Authority>,
    status: Status,
    /// Whoever asks here has shown no certificate.
    stranger: Peer,
    /// How many commits were promised.
    commits: Arc<AtomicUsize>,
    /// A device in the field, and a token with which it may enrol.
    pub(crate) device: HolderId,
    pub(crate) token: String,
    /// Of two certificates that the operational CA issued.
    pub(crate) good: Serial,
    pub(crate) revoked: Serial,
}

/// An answer, body and all.
pub(crate) struct Reply {
    pub(crate) head: Response<()>,
    pub(crate) body: Vec<u8>,
    /// How many commits it took.
    pub(crate) commits: usize,
}

impl House {
    /// Opened by the first input, kept for all others.
    pub(crate) fn get() -> &'static Self {
        static HOUSE: OnceLock<House> = OnceLock::new();
        HOUSE.get_or_init(Self::open)
    }

    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime needs nothing");
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let dir = folder.path().join("data");
        // The bodies are compiled into the tests of the program too, whose manifest lies one folder higher.
        let policy = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|dir| dir.join("ca-config"));
        let policy = policy.into_iter().find(|dir| dir.is_dir()).expect("the policy lies beside the source");
        let config = Arc::new(Config::load(&policy).expect("the shipped policy is good"));
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let made = runtime.block_on(Furnished::make(&dir, &config, &clock));

        let commits = Arc::new(AtomicUsize::new(0));
        let store = Arc::new(Forgetful { rows: made.rows, commits: Arc::clone(&commits) });
        let authority = Authority::with_store(&dir, config, clock, Arc::new(Counted::default()), store);
        let authority = Arc::new(authority.expect("what was made can be opened"));
        Self {
            runtime: Mutex::new(runtime),
            status: Status::new(Arc::clone(&authority), Arc::new(Metrics::default())),
            authority,
            stranger: Peer::default(),
            commits,
            device: made.device,
            token: made.token,
            good: made.good,
            revoked: made.revoked,
        }
    }

    pub(crate) fn est(&self, request: Request<Full<Bytes>>) -> Reply {
        self.reply(vitae::est::handle(&self.authority, &self.stranger, request))
    }

    pub(crate) fn status(&self, request: Request<Full<Bytes>>) -> Reply {
        self.reply(self.status.handle(request))
    }

    fn reply<B>(&self, answer: impl Future<Output = Response<B>>) -> Reply
    where
        B: Body<Data = Bytes, Error: std::fmt::Debug>,
    {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.commits.load(Ordering::SeqCst);
        let (head, body) = runtime.block_on(async {
            let (head, body) = answer.await.into_parts();
            let body = body.collect().await.expect("what is published can be read");
            (Response::from_parts(head, ()), body.to_bytes().to_vec())
        });
        Reply { head, body, commits: self.commits.load(Ordering::SeqCst) - before }
    }
}

/// A fresh authority in which a little has happened.
struct Furnished {
    rows: MemoryRows,
    device: HolderId,
    token: String,
    good: Serial,
    revoked: Serial,
}

impl Furnished {
    async fn make(dir: &Path, config: &Arc<Config>, clock: &Arc<ManualClock>) -> Self {
        let (time, random) = (Arc::<ManualClock>::clone(clock), Arc::new(SystemRandom));
        let made = authority::init(dir, Arc::clone(config), time.clone(), random.clone()).await;
        made.expect("a new folder takes a new authority");
        let store = RedbStore::open(&dir.join("vitae.redb"), 1 << 24, Arc::new(Fold)).expect("it is there");
        let store: Arc<dyn Store<Event>> = Arc::new(store);
        let authority = Authority::with_store(dir, Arc::clone(config), time, random, Arc::clone(&store));
        let authority = authority.expect("what was made can be opened");

        let operator = authority.local_operator().expect("there is one");
        let device = NewDevice {
            maker: "brannoc".parse().expect("a maker of the policy"),
            model: "P3".to_owned(),
            serial: "BR000001".to_owned(),
            udi_di: None,
            site: None,
            lot: None,
            owner: None,
            stage: Some("deployment".parse().expect("a stage of the policy")),
        };
        let device = authority.register_device(&operator, device).await.expect("it is new").id;
        let token = async || {
            let token = authority.issue_token(&operator, &device, None, Duration::from_secs(3600)).await;
            token.unwrap_or_else(|_| panic!("a device may have a token")).secret.to_string()
        };
        let mut serials = Vec::new();
        for scalar in [3, 5] {
            let csr = super::by_hand::request_of(scalar);
            let request = super::est_door::enroll(&device, &token().await, &csr);
            let (head, body) = vitae::est::handle(&authority, &Peer::default(), request).await.into_parts();
            let body = body.collect().await.expect("what is published can be read");
            assert_eq!(head.status, 200, "{body:?}");
            let issued = super::est_door::certificate_in(&body.to_bytes());
            serials.push(Certificate::from_der(&issued).expect("a certificate").serial().expect("of ours"));
        }
        let [good, revoked] = serials[..] else { unreachable!("two were issued") };
        let asked =
            RevocationAsked { serials: vec![revoked], reason: Reason::KeyCompromise, invalid_since: None };
        authority.revoke(&operator, asked).await.expect("a good one can be revoked");
        let token = token().await;

        let snapshot = store.snapshot().expect("it can be read");
        let decode = |bytes: &[u8]| {
            let corrupt =
                |error: entry::EntryError| StoreError::Corrupt { table: EVENTS.0, reason: error.to_string() };
            let entry = entry::decode::<Event>(bytes).map_err(corrupt)?;
            Ok((entry.number, entry.time, entry.event))
        };
        let rows = rebuild::rebuild(&*snapshot, &Fold, &decode).expect("a log is replayed");
        drop(snapshot);
        authority.shutdown();
        Self { rows, device, token, good, revoked }
    }
}

/// Takes each commit as a store would, and is unchanged afterwards.
struct Forgetful {
    rows: MemoryRows,
    commits: Arc<AtomicUsize>,
}

impl Store<Event> for Forgetful {
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        Ok(Box::new(self.rows.clone()))
    }

    fn commit(&self, commit: Commit<Event>) -> Pending {
        let unchanged =
            |expected: &Expected| self.rows.get(expected.table, &expected.key) == Ok(expected.value.clone());
        assert!(commit.expected.iter().all(unchanged), "nothing ever changes here");
        self.commits.fetch_add(1, Ordering::SeqCst);
        let head = Head::read(&self.rows);
        Box::pin(std::future::ready(
            head.map(|head| Committed { first: head.next, at: commit.at.max(head.at) }).map_err(Into::into),
        ))
    }

    /// Nothing comes any more.
    fn head(&self) -> watch::Receiver<EventNumber> {
        watch::channel(EventNumber(0)).1
    }

    fn shutdown(&self) {}
}

/// Numbers that look like any others and are the same in every run.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Random for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            *byte = (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }
}
