//! Rows 12 and 13: all certificates of a fleet revoked as one job, beside bare inserts of the rows that changed; and how long
//! the last of them is still called good.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use vitae::authority::{self, Authority, JobAsked, JobStatus};
use vitae::clock::{SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::ids::{CaName, JobId, Reason, Serial};
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, HashAlg, ParsedResponse, ParsedStatus};

use crate::fill::{Filling, fill};
use crate::measure::{Plan, Round, Row};
use crate::stage::Stage;
use crate::{Outcome, cpu, scene, wire};

const MANY: usize = 100_000;
const FEW: usize = 10_000;
/// As many certificates as the job puts into one commit.
const GROUP: usize = 1000;
const CACHE: usize = 256 << 20;
/// A hundred questions a second cost the server next to nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// What the job of one round did.
struct Done {
    round: Round,
    /// From the confirmation to the first answer that calls the last certificate revoked.
    last_answer: Duration,
    /// To the end: lists published, effect seen, proof signed.
    proven: Duration,
}

pub(crate) fn measure(client: &Runtime, plan: &Plan, cores: usize) -> Outcome<Row> {
    let count = if plan.length < Duration::from_secs(1) { FEW } else { MANY };
    let folder = scene::folder()?;
    let config = scene::policy(&folder.path().join("config"))?;
    let furnished = folder.path().join("furnished");
    let last = client.block_on(furnish(&furnished, &config, count))?;
    let (mut jobs, mut inserts) = (Vec::new(), Vec::new());
    let (mut answers, mut proofs) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds.min(3) {
        let dir = folder.path().join(format!("round-{round}"));
        scene::copy(&furnished, &dir)?;
        let done = job(client, &dir, config.clone(), count, last, cores)?;
        jobs.push(done.round);
        answers.push(done.last_answer);
        proofs.push(done.proven);
        inserts.push(bare(&furnished, &dir, &folder.path().join("bare.redb"), count)?);
        fs::remove_dir_all(&dir)?;
    }
    answers.sort();
    proofs.sort();
    let row = Row::of(
        "12 certificates revoked by one job",
        "bare inserts of the rows that changed",
        0.5,
        jobs,
        inserts,
    )?;
    println!(
        "13 last of {count} answers revoked at OCSP {:.0} ms after it was confirmed ({:.0}-{:.0}), proven after {:.0} ms",
        millis(answers[answers.len() / 2]),
        millis(answers[0]),
        millis(answers[answers.len() - 1]),
        millis(proofs[proofs.len() / 2]),
    );
    Ok(row)
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1000.0
}

/// A record with many pumps at work, each with one certificate; the serial number of the last.
async fn furnish(dir: &Path, config: &Config, count: usize) -> Outcome<Serial> {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    authority::init(dir, Arc::new(config.clone()), clock, random).await?;
    let filling = Filling { first: 0, count, revoked: 0, shards: 1 };
    fill(dir, &filling).await?.pop().ok_or_else(|| "a record without certificates".into())
}

/// Revokes all of them on a server of its own.
fn job(
    client: &Runtime,
    dir: &Path,
    config: Config,
    count: usize,
    last: Serial,
    cores: usize,
) -> Outcome<Done> {
    let stage = Stage::open(dir, config, cores)?;
    let (authority, server) = (&stage.authority, &stage.server);
    let request = question(authority, last)?;
    let before = cpu::spent();
    let begun = Instant::now();
    let asked = JobAsked {
        selector: "model=P3".to_owned(),
        reason: Reason::CessationOfOperation,
        invalid_since: None,
        confirm: count as u64,
    };
    let operator = authority.local_operator()?;
    let asking = server.spawn(Arc::clone(authority).revoke_where(operator, asked));
    let last_answer = client.block_on(until_revoked(stage.addresses.status, &request, begun, PAUSE))?;
    let job = server.block_on(asking)??.job;
    let (took, spent, proven) = server.block_on(until_done(authority, job, begun, &before))?;
    stage.strike()?;
    let each = u32::try_from(took.as_micros() / count as u128)?;
    Ok(Done { round: Round { took, latencies: vec![each; count], spent }, last_answer, proven })
}

pub(crate) fn question(authority: &Authority, serial: Serial) -> Outcome<Vec<u8>> {
    let name: CaName = "operational".parse()?;
    let ca = authority.ca(&name).ok_or("there is no CA operational")?;
    let issuer = Certificate::from_der(ca.certificate())?;
    let asked =
        ocsp::request(issuer.subject_der(), ca.public_key(), serial.as_bytes(), HashAlg::Sha256, None)?;
    let head = format!(
        "POST /ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        asked.len()
    );
    Ok([head.into_bytes(), asked].concat())
}

/// Asks again after each pause.
pub(crate) async fn until_revoked(
    address: std::net::SocketAddr,
    request: &[u8],
    begun: Instant,
    pause: Duration,
) -> Outcome<Duration> {
    let mut stream = TcpStream::connect(address).await?;
    let mut buffer = Vec::new();
    loop {
        let answer = wire::exchange(&mut stream, request, &mut buffer).await?;
        let ParsedResponse::Basic(basic) = ocsp::parse_response(answer.body)? else {
            return Err("OCSP answers with an error".into());
        };
        if matches!(basic.singles[0].status, ParsedStatus::Revoked { .. }) {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(pause).await;
    }
}

async fn until_done(
    authority: &Authority,
    job: JobId,
    begun: Instant,
    before: &cpu::Spent,
) -> Outcome<(Duration, cpu::Spent, Duration)> {
    let operator = authority.local_operator()?;
    let mut revoked = None;
    loop {
        let view = authority.revocation_job(&operator, &job)?;
        if revoked.is_none() && view.revoked == view.count {
            revoked = Some((begun.elapsed(), cpu::since(before)));
        }
        if view.status == JobStatus::Done {
            let (took, spent) = revoked.ok_or("it ended without revoking all")?;
            return Ok((took, spent, begun.elapsed()));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

type Rows = BTreeMap<String, Vec<(Vec<u8>, Vec<u8>)>>;

fn table(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// Writes what the job has changed into the record as it was before, in groups of the same size and as durable.
fn bare(before: &Path, after: &Path, scratch: &Path, count: usize) -> Outcome<Round> {
    fs::copy(before.join("vitae.redb"), scratch)?;
    let changed = changed(scratch, &after.join("vitae.redb"))?;
    let database = Database::builder().set_cache_size(CACHE).open(scratch)?;
    let groups = count.div_ceil(GROUP);
    let spent = cpu::spent();
    let begun = Instant::now();
    for group in 0..groups {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        for (name, rows) in &changed {
            let mut table = transaction.open_table(table(name))?;
            let share = rows.len().div_ceil(groups);
            for (key, value) in rows.iter().skip(group * share).take(share) {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        transaction.commit()?;
    }
    let took = begun.elapsed();
    let each = u32::try_from(took.as_micros() / count as u128)?;
    Ok(Round { took, latencies: vec![each; count], spent: cpu::since(&spent) })
}

/// Every row that is new or another one.
fn changed(before: &Path, after: &Path) -> Outcome<Rows> {
    let (before, after) = (Database::open(before)?, Database::open(after)?);
    let (old, new) = (before.begin_read()?, after.begin_read()?);
    let known: BTreeSet<String> = old.list_tables()?.map(|table| table.name().to_owned()).collect();
    let mut changed = Rows::new();
    for name in new.list_tables()?.map(|table| table.name().to_owned()).collect::<Vec<_>>() {
        let old = if known.contains(&name) { Some(old.open_table(table(&name))?) } else { None };
        let mut rows = Vec::new();
        for entry in new.open_table(table(&name))?.iter()? {
            let (key, value) = entry?;
            let (key, value) = (key.value(), value.value());
            let was = old.as_ref().map(|old| old.get(key)).transpose()?.flatten();
            if was.is_none_or(|was| was.value() != value) {
                rows.push((key.to_vec(), value.to_vec()));
            }
        }
        changed.insert(name, rows);
    }
    Ok(changed)
}
