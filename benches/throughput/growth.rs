//! What grows with the number of certificates: `scripts/bench growth`.
//!
//! One record is filled further and further. At each size a process of its own opens it, so that its memory is its own, and
//! prints one line.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use vitae::agent::Trust;
use vitae::authority::{self, Authority, RevocationAsked};
use vitae::clock::{SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::ids::{CaName, Reason, Serial};

use crate::fill::{Filling, fill};
use crate::first::{Asker, Questions};
use crate::kept::Stayer;
use crate::load::{Client, Crowd};
use crate::ocsp::parties;
use crate::revoke::{question, until_revoked};
use crate::stage::Stage;
use crate::{Outcome, cpu, scene, wire};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const CLIENTS: usize = 64;
/// Questions before the memory is looked at again.
const QUESTIONS: usize = 100_000;
/// Certificates that are asked about again and again.
const POPULAR: usize = 500;
const LENGTH: Duration = Duration::from_secs(2);
const REVOCATIONS: usize = 15;

/// The sizes, one after the other. `quick` leaves the largest out.
pub(crate) fn measure(client: &Runtime, quick: bool) -> Outcome<()> {
    let folder = scene::folder()?;
    let (dir, policy) = (folder.path().join("data"), folder.path().join("config"));
    let config = scene::policy(&policy)?;
    client.block_on(init(&dir, &config))?;
    println!("What grows. {}, one record, filled further from line to line; 1 of 100 revoked.", cpu::model());
    println!(
        "\n{:>12} {:>9} {:>10} {:>15} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "certificates",
        "issued/s",
        "revoked ms",
        "first/s (cpu us)",
        "kept/s",
        "lists ms",
        "entries",
        "start ms",
        "MB",
        "MB then",
        "file MB"
    );
    let mut known = 0;
    for size in SIZES.into_iter().take(if quick { 2 } else { SIZES.len() }) {
        let begun = Instant::now();
        let filling = Filling { first: known, count: size - known, revoked: 100, shards: 8 };
        let serials = client.block_on(fill(&dir, &filling))?;
        let filled = begun.elapsed();
        known = size;
        // The lists that became due by the filling are published here, not when the start is timed.
        client.block_on(open(&dir, &config))?.shutdown();
        // Not all: they would be a good part of the memory that is looked at.
        let step = serials.len().div_ceil(QUESTIONS);
        let some: Vec<u8> = serials.iter().step_by(step).flat_map(|serial| *serial.as_bytes()).collect();
        fs::write(folder.path().join("serials"), some)?;
        let mut one = Command::new(std::env::current_exe()?);
        one.args(["--bench", "grown"]).arg(folder.path()).arg(size.to_string());
        if !one.status()?.success() {
            return Err("the process that measures one size failed".into());
        }
        eprintln!("    (filled in {:.0} s)", filled.as_secs_f64());
    }
    Ok(())
}

async fn init(dir: &Path, config: &Config) -> Outcome<()> {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    authority::init(dir, Arc::new(config.clone()), clock, random).await?;
    Ok(())
}

async fn open(dir: &Path, config: &Config) -> Outcome<Authority> {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    Ok(Authority::open(dir, Arc::new(config.clone()), clock, random).await?)
}

/// One size, in a process of its own.
pub(crate) fn one(client: &Runtime, folder: &Path, size: usize, cores: usize) -> Outcome<()> {
    let dir = folder.join("data");
    let config = Config::load(&folder.join("config")).map_err(|error| error.to_string())?;
    let file = fs::metadata(dir.join("vitae.redb"))?.len();
    let bytes = fs::read(folder.join("serials"))?;
    let (serials, _) = bytes.as_chunks::<16>();
    let serials: Vec<Serial> = serials.iter().map(|bytes| Serial::from_bytes(*bytes)).collect();

    let stage = Stage::open(&dir, config, cores)?;
    let memory = megabytes()?;

    let to_revoke: Vec<Serial> = serials.iter().rev().take(REVOCATIONS).copied().collect();
    let host = stage.addresses.status.to_string();
    let questions = Questions::about(serials, QUESTIONS, &stage.authority, host.clone())?;
    let paths = questions.paths(POPULAR);
    let questions = Arc::new(questions);
    let (first, first_cpu) = first(client, &stage, &questions)?;
    let memory_then = megabytes()?;

    let popular: Arc<Vec<_>> = Arc::new(paths.iter().map(|path| wire::get(path, &host)).collect());
    let mut parties = Crowd::new(parties(CLIENTS, &popular, stage.addresses.status, client)?, 0.0);
    parties.round(client, LENGTH / 4)?;
    let kept = rate(&mut parties, client)?;

    let revoked = revocations(client, &stage, &to_revoke)?;
    let (lists, entries) = lists(client, &stage)?;
    let issued = issued(client, &stage, &dir, size)?;
    println!(
        "{size:>12} {issued:>9.0} {revoked:>10.1} {:>15} {kept:>10.0} {lists:>9.0} {entries:>9} {:>9.0} {memory:>9} {memory_then:>9} {:>9}",
        format!("{first:.0} ({first_cpu:.0})"),
        stage.opened_in.as_secs_f64() * 1000.0,
        file >> 20,
    );
    stage.strike()
}

fn rate<C: Client>(crowd: &mut Crowd<C>, client: &Runtime) -> Outcome<f64> {
    let round = crowd.round(client, LENGTH)?;
    Ok(per_second(round.latencies.len(), round.took))
}

fn per_second(count: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = count as f64;
    count / took.as_secs_f64()
}

/// First answers a second and the processor time of one, of as many questions as there are, up to a bound.
fn first(client: &Runtime, stage: &Stage, questions: &Arc<Questions>) -> Outcome<(f64, f64)> {
    let askers = Asker::all(CLIENTS, questions, stage.addresses.status, client)?;
    let mut askers = Crowd::new(askers, 0.0);
    let round = askers.round(client, Duration::from_secs(30))?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let each = round.spent.values().sum::<u64>() as f64 / 1000.0 / round.latencies.len() as f64;
    Ok((per_second(round.latencies.len(), round.took), each))
}

/// From the command to the first OCSP answer that says so: the median, in milliseconds.
fn revocations(client: &Runtime, stage: &Stage, serials: &[Serial]) -> Outcome<f64> {
    let operator = stage.authority.local_operator()?;
    let mut took = Vec::new();
    for serial in serials {
        let request = question(&stage.authority, *serial)?;
        let asked =
            RevocationAsked { serials: vec![*serial], reason: Reason::KeyCompromise, invalid_since: None };
        let begun = Instant::now();
        let (authority, operator) = (Arc::clone(&stage.authority), operator.clone());
        let revoking = stage.server.spawn(async move { authority.revoke(&operator, asked).await });
        let pause = Duration::from_micros(100);
        let seen = client.block_on(until_revoked(stage.addresses.status, &request, begun, pause))?;
        stage.server.block_on(revoking)??;
        took.push(seen);
    }
    took.sort();
    Ok(took[took.len() / 2].as_secs_f64() * 1000.0)
}

/// All lists of the CA with their deltas, from the record to their places, in milliseconds, and their entries.
fn lists(client: &Runtime, stage: &Stage) -> Outcome<(f64, u64)> {
    let (operator, name) = (stage.authority.local_operator()?, "operational".parse::<CaName>()?);
    let begun = Instant::now();
    let lists = client.block_on(stage.authority.publish_crl(&operator, &name))?;
    Ok((begun.elapsed().as_secs_f64() * 1000.0, lists.iter().map(|list| list.entries).sum()))
}

/// Enrolments a second, on connections that stay open.
fn issued(client: &Runtime, stage: &Stage, dir: &Path, size: usize) -> Outcome<f64> {
    let trust = Trust::from_pem(&fs::read_to_string(dir.join("ca/chain.pem"))?)?;
    // The record is the same at each size, and so are the devices in it.
    let numbers = size..size + CLIENTS;
    let devices =
        stage.server.block_on(scene::fleet(&stage.authority, &trust, stage.addresses.est, numbers))?;
    let mut stayers = Crowd::new(Stayer::all(&devices, client)?, 200.0);
    stayers.round(client, LENGTH / 4)?;
    rate(&mut stayers, client)
}

/// What this process has in memory.
fn megabytes() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no such figure")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}
