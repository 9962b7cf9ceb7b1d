//! Row 10: a revocation list of a million entries from the record to its place, beside hashing and writing the same bytes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use vitae::authority::{self, Authority, Fold};
use vitae::clock::{Clock, SystemClock, SystemRandom, Timestamp};
use vitae::config::Config;
use vitae::fleet::{Actor, Cause, Event, Fact};
use vitae::ids::{CaName, Digest, HolderId, Reason, Serial};
use vitae::store::redb::RedbStore;
use vitae::store::{Commit, Store};

use crate::measure::{Plan, Round, Row, micros};
use crate::{Outcome, cpu, fill, scene};

/// Small, so that the pages of the store do not hide what a list takes.
const CACHE: usize = 16 << 20;
/// Events that are committed together while the record is made.
const GROUP: usize = 4096;
const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn measure(client: &Runtime, plan: &Plan, entries: usize) -> Outcome<Row> {
    let folder = scene::folder()?;
    let dir = folder.path().join("data");
    let config = Arc::new(policy(&folder.path().join("config"))?);
    let authority = client.block_on(made(&dir, config, Arc::new(SystemClock), entries, 1))?;
    let (name, operator) = ("operational".parse::<CaName>()?, authority.local_operator()?);
    let publish = || {
        let lists = client.block_on(authority.publish_crl(&operator, &name))?;
        match lists.as_slice() {
            [list] if list.entries == entries as u64 => Ok(Arc::clone(list)),
            _ => Err("the list has not the entries that were made".into()),
        }
    };
    let bytes = publish()?.whole()?;
    println!(
        "  10: {entries} entries, {} bytes, {} MB added at the peak",
        bytes.len(),
        added(&|| publish().map(drop))?
    );

    let place = folder.path().join("beside");
    Row::measure(
        "10 a CRL of a million entries, recorded and served",
        "SHA-256 of the same bytes, written and synced",
        0.33,
        plan,
        |length| again(length, || publish().map(drop)),
        |length| again(length, || hashed_and_written(&bytes, &place)),
    )
}

fn again(length: Duration, mut act: impl FnMut() -> Outcome<()>) -> Outcome<Round> {
    let (before, begun) = (cpu::spent(), Instant::now());
    let mut latencies = Vec::new();
    while latencies.is_empty() || begun.elapsed() < length {
        let asked = Instant::now();
        act()?;
        latencies.push(micros(asked));
    }
    Ok(Round { took: begun.elapsed(), latencies, spent: cpu::since(&before) })
}

fn hashed_and_written(bytes: &[u8], place: &Path) -> Outcome<()> {
    std::hint::black_box(Digest::of(bytes));
    let beside = place.with_extension("new");
    fs::write(&beside, bytes)?;
    File::open(&beside)?.sync_all()?;
    fs::rename(&beside, place)?;
    File::open(place.parent().ok_or("a folder")?)?.sync_all()?;
    Ok(())
}

/// Memory at its highest while a list is published, beyond what there was before, in MB.
pub(crate) fn added(publish: &dyn Fn() -> Outcome<()>) -> Outcome<u64> {
    let kilobytes = |name: &str| {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such figure")?;
        Ok::<u64, Box<dyn std::error::Error + Send + Sync>>(line.trim().trim_end_matches(" kB").parse()?)
    };
    let before = kilobytes("VmRSS:")?;
    // Linux forgets the peak of before (proc(5), clear_refs).
    fs::write("/proc/self/clear_refs", "5")?;
    publish()?;
    Ok(kilobytes("VmHWM:")?.saturating_sub(before) / 1024)
}

/// The shipped policy with one list and no deltas: the list of a million entries is one list.
pub(crate) fn policy(dir: &Path) -> Outcome<Config> {
    scene::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ca-config"), dir)?;
    let file: PathBuf = dir.join("hierarchy.toml");
    let text = fs::read_to_string(&file)?;
    let (shards, deltas) = ("crl-shards = 8\n", "delta-lifetime = \"6h\"\n");
    if !text.contains(shards) || !text.contains(deltas) {
        return Err("hierarchy.toml does not say what it said".into());
    }
    fs::write(&file, text.replace(shards, "").replace(deltas, ""))?;
    Config::load(dir).map_err(|error| error.to_string().into())
}

/// An authority with so many certificates, each n-th of which is revoked, made by the events that make them. They are
/// numbered an hour before they are on record, as if that had been an hour ago.
pub(crate) async fn made(
    dir: &Path,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    certificates: usize,
    nth: usize,
) -> Outcome<Authority> {
    let random = Arc::new(SystemRandom);
    authority::init(dir, Arc::clone(&config), clock.clone(), random.clone()).await?;
    {
        let store = RedbStore::open(&dir.join("vitae.redb"), 512 << 20, Arc::new(Fold))?;
        let now = SystemClock.now();
        let mut left = certificates;
        let mut pending = Vec::new();
        while left > 0 {
            let serials: Vec<Serial> =
                (0..left.min(GROUP)).map(|_| Serial::generate(now - HOUR, &SystemRandom)).collect();
            let first = certificates - left;
            left -= serials.len();
            let issued = serials.iter().map(|serial| issued(*serial, now));
            let issued = issued.collect::<Outcome<Vec<_>>>()?;
            let chosen = serials.iter().enumerate().filter(|(n, _)| (first + n).is_multiple_of(nth));
            let revoked = chosen.map(|(_, serial)| Fact::CertificateRevoked {
                serial: *serial,
                reason: Reason::Superseded,
                invalid_since: None,
                cause: Cause::Command,
            });
            let facts = issued.into_iter().chain(revoked);
            let events = facts.map(|fact| Event { actor: Actor::System, fact }).collect();
            pending.push(store.commit(Commit { at: now, events, expected: Vec::new() }));
            if pending.len() >= 8 {
                for one in std::mem::take(&mut pending) {
                    one.await?;
                }
            }
        }
        for one in pending {
            one.await?;
        }
        store.close()?;
    }
    let store = RedbStore::open(&dir.join("vitae.redb"), CACHE, Arc::new(Fold))?;
    let authority = Authority::with_store(dir, config, clock, random, Arc::new(store))?;
    authority.upkeep().await?;
    Ok(authority)
}

fn issued(serial: Serial, now: Timestamp) -> Outcome<Fact> {
    Ok(Fact::CertificateIssued(Box::new(fill::issuance(serial, HolderId::authority(), now)?)))
}
