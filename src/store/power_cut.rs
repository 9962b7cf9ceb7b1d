//! What is left after the disk fails or the power goes at any moment: everything that was answered, and a whole log.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io;
use std::sync::{Arc, Mutex};

use ::redb::{ConcurrencyMode, StorageBackend};

use super::contract::CACHE;
use super::redb::RedbStore;
use super::testing::{Lines, assert_whole, at, entries, get, put};
use super::{CommitError, Store, StoreError};

/// Disks write whole sectors.
const SECTOR: usize = 512;

/// A disk in memory that knows what a power cut would leave.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<State>>);

#[derive(Clone, Debug)]
struct State {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// What was asked for since the last sync, in order. A power cut keeps any part of it.
    unsynced: Vec<Change>,
    calls: usize,
    fails: Fails,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

/// Which of the calls that change the disk fail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fails {
    Never,
    From(usize),
    Only(usize),
}

/// How much of what was not synced is there after a power cut.
#[derive(Clone, Copy, Debug)]
enum Left {
    Nothing,
    Everything,
    /// Some sectors and not others, drawn from this number.
    Sectors(u64),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(len) => image.resize(*len, 0),
            Self::Write(offset, bytes) => {
                let end = offset + bytes.len();
                image.resize(image.len().max(end), 0);
                image[*offset..end].copy_from_slice(bytes);
            }
        }
    }

    /// The parts a disk does one at a time.
    fn sectors(&self) -> Vec<Self> {
        match self {
            Self::Length(_) => vec![self.clone()],
            Self::Write(offset, bytes) => (bytes.chunks(SECTOR).enumerate())
                .map(|(n, part)| Self::Write(offset + n * SECTOR, part.to_vec()))
                .collect(),
        }
    }
}

impl Disk {
    fn holding(image: Vec<u8>, fails: Fails) -> Self {
        let durable = image.clone();
        Self(Arc::new(Mutex::new(State { live: image, durable, unsynced: Vec::new(), calls: 0, fails })))
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let failed = state.fail();
        // A call that fails may have done its work, or part of it.
        state.unsynced.push(change.clone());
        failed?;
        change.apply(&mut state.live);
        Ok(())
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    fn after_power_cut(&self, left: Left) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        let mut image = state.durable.clone();
        let mut draw = match left {
            Left::Nothing => return image,
            Left::Everything => None,
            Left::Sectors(seed) => Some(seed),
        };
        for part in state.unsynced.iter().flat_map(Change::sectors) {
            let kept = draw.as_mut().is_none_or(|draw| {
                // SplitMix64: small, and the same on every run.
                *draw = draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *draw;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (z ^ (z >> 31)) & 1 == 1
            });
            if kept {
                part.apply(&mut image);
            }
        }
        image
    }
}

impl State {
    fn fail(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        let fails = match self.fails {
            Fails::Never => false,
            Fails::From(first) => call >= first,
            Fails::Only(only) => call == only,
        };
        if fails { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let from = state.live.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.fail()?;
        state.durable = state.live.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()))
    }
}

fn open(disk: &Disk) -> Result<RedbStore<Lines>, StoreError> {
    RedbStore::with_backend(disk.clone(), ConcurrencyMode::ExclusiveWriter, CACHE, Arc::new(Lines::default()))
}

/// Commits in groups of one and of several, and enough bytes that the file has to grow. Returns the keys that were
/// answered, in order.
async fn work(store: &RedbStore<Lines>) -> Vec<String> {
    let mut answered = Vec::new();
    let mut broken = false;
    for round in 0..8 {
        let keys: Vec<String> = (0..=round % 3).map(|n| format!("{round}.{n}")).collect();
        let value = "x".repeat(if round % 2 == 0 { 100 } else { 30_000 });
        let waiting: Vec<_> =
            keys.iter().map(|key| store.commit(at(round, [put(key, &value), put("last", key)]))).collect();
        for (key, pending) in keys.into_iter().zip(waiting) {
            match pending.await {
                Ok(_) => {
                    assert!(!broken, "nothing is answered after a failure");
                    answered.push(key);
                }
                Err(CommitError::Store(StoreError::Failed(_))) => broken = true,
                Err(other) => panic!("{other}"),
            }
        }
        // Looking while it is broken may fail, but what is seen is true.
        if let Ok(view) = store.snapshot()
            && let (Some(last), Ok(Some(seen))) = (answered.last(), view.get(super::testing::ROWS, b"last"))
        {
            assert!(seen >= last.clone().into_bytes());
        }
    }
    answered
}

/// Opens what a power cut left, and looks whether it is all there.
async fn assert_kept(disk: &Disk, answered: &[String], left: Left, told: &str) {
    let image = Disk::holding(disk.after_power_cut(left), Fails::Never);
    let store = open(&image).unwrap_or_else(|error| panic!("{told}, left {left:?}: {error}"));
    let view = store.snapshot().unwrap();
    assert_whole(&*view);
    for key in answered {
        assert!(get(&*view, key).is_some(), "{told}, left {left:?}: {key} was answered and is gone");
    }
    let found = entries(&*view).len();
    assert!(found >= answered.len() * 2 && found.is_multiple_of(2), "{told}, left {left:?}: half a commit");
    // And it works on.
    store.commit(at(99, [put("after", "1")])).await.unwrap();
    assert_eq!(entries(&*store.snapshot().unwrap()).len(), found + 1);
}

const LEFT: [Left; 5] =
    [Left::Nothing, Left::Everything, Left::Sectors(1), Left::Sectors(2), Left::Sectors(3)];

#[tokio::test]
async fn what_was_answered_survives_a_failure_at_any_call() {
    // A store that has been made: making one is a moment at which nothing can have been answered yet.
    let blank = Disk::holding(Vec::new(), Fails::Never);
    open(&blank).unwrap().close().unwrap();
    let blank = blank.after_power_cut(Left::Nothing);

    let healthy = Disk::holding(blank.clone(), Fails::Never);
    let store = open(&healthy).unwrap();
    let all = work(&store).await;
    assert_eq!(all.len(), 15);
    store.close().unwrap();
    let calls = healthy.calls();
    assert!(calls > 50, "only {calls} calls were made: this tests too little");

    for call in 0..calls {
        for fails in [Fails::From(call), Fails::Only(call)] {
            let disk = Disk::holding(blank.clone(), fails);
            let told = format!("{fails:?} of {calls} calls");
            let answered = match open(&disk) {
                Ok(store) => work(&store).await,
                Err(_) => Vec::new(),
            };
            for left in LEFT {
                assert_kept(&disk, &answered, left, &told).await;
            }
        }
    }
}

#[test]
fn a_half_made_store_is_made_again_or_named() {
    let healthy = Disk::holding(Vec::new(), Fails::Never);
    let store = open(&healthy).unwrap();
    let calls = healthy.calls();
    drop(store);
    for call in 0..calls {
        let disk = Disk::holding(Vec::new(), Fails::From(call));
        assert!(open(&disk).is_err(), "call {call} of {calls} failed");
        for left in LEFT {
            let image = Disk::holding(disk.after_power_cut(left), Fails::Never);
            match open(&image) {
                Ok(store) => assert_eq!(entries(&*store.snapshot().unwrap()), Vec::<String>::new()),
                // redb does not take a half-made file for an empty one. Nothing can have been answered, so the
                // text may say what it is.
                Err(StoreError::Open { reason, .. }) => assert!(reason.contains("first start"), "{reason}"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}
