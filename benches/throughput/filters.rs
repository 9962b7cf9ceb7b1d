//! Row 14: what a revocation filter weighs beside the CRL of the same record, what it takes to build, and how fast it is asked.

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use vitae::authority::FilterState;
use vitae::clock::{Clock, ManualClock, SystemClock};
use vitae::ids::{CaName, Digest, Serial};
use vitae::pki::crl;
use vitae::pki::filter::{self, Answer};

use crate::measure::{Plan, Round, Row};
use crate::{Outcome, cpu, lists, scene};

/// One in so many is revoked.
const REVOKED: usize = 100;
/// Look-ups between two looks at the time.
const BATCH: usize = 64;

pub(crate) fn measure(client: &Runtime, plan: &Plan, certificates: usize) -> Outcome<Row> {
    let folder = scene::folder()?;
    let dir = folder.path().join("data");
    let config = Arc::new(lists::policy(&folder.path().join("config"))?);
    let clock = ManualClock::at(SystemClock.now());
    let authority =
        client.block_on(lists::made(&dir, config, Arc::new(clock.clone()), certificates, REVOKED))?;
    let name: CaName = "operational".parse()?;
    let list = client.block_on(authority.publish_crl(&authority.local_operator()?, &name))?;
    let list: Vec<u8> = list.first().ok_or("no list")?.whole()?;

    let build = || {
        clock.advance(Duration::from_secs(3600));
        Ok(client.block_on(authority.publish_filters())?)
    };
    // Pages of the store are read for the first time here.
    build()?;
    let begun = Instant::now();
    let added = lists::added(&build)?;
    let took = begun.elapsed();
    let FilterState::Published(published) = authority.filter(&name) else {
        return Err("there is no filter".into());
    };
    println!(
        "  14: {} certificates, {} revoked: filter {} bytes, CRL {} bytes, {:.0} times; built in {:.1} s, {added} MB added",
        published.covered,
        published.revoked,
        published.der.len(),
        list.len(),
        ratio(list.len(), published.der.len()),
        took.as_secs_f64(),
    );

    let pem = fs::read_to_string(dir.join("ca/operational.pem"))?;
    let ca = vitae::pki::pem::certificates(&pem)?.remove(0);
    let key = vitae::pki::certificate::Certificate::from_der(&ca)?.public_key()?;
    let filter = filter::open(&published.der, &key)?;
    let mut serials: Vec<Serial> = Vec::new();
    crl::parse_each(&list, |entry| serials.extend(entry.own_serial()))?;
    for serial in &serials {
        if filter.of_serial(serial.as_bytes()) != Answer::Revoked {
            return Err("the filter is wrong".into());
        }
    }
    // Good ones, as most questions are about: hardly any passes the first level.
    let at = SystemClock.now() - Duration::from_secs(7200);
    serials.extend((0..serials.len() * 9).map(|_| Serial::generate(at, &vitae::clock::SystemRandom)));
    let hashed = [7; 34];
    Row::measure(
        "14 look-ups in a filter, one in ten revoked",
        "SHA-256 of 34 bytes",
        0.3,
        plan,
        |length| {
            again(length, &serials, |serial| {
                black_box(filter.of_serial(serial.as_bytes()));
            })
        },
        |length| {
            again(length, &serials, |_| {
                black_box(Digest::of(black_box(&hashed)));
            })
        },
    )
}

fn ratio(large: usize, small: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let ratio = large as f64 / small as f64;
    ratio
}

fn again(length: Duration, serials: &[Serial], act: impl Fn(&Serial)) -> Outcome<Round> {
    let (before, begun) = (cpu::spent(), Instant::now());
    let mut latencies = Vec::new();
    let mut batches = serials.chunks(BATCH).cycle();
    while begun.elapsed() < length {
        let asked = Instant::now();
        let batch = batches.next().ok_or("nothing to ask")?;
        batch.iter().for_each(&act);
        let each = u32::try_from(asked.elapsed().as_micros() / BATCH as u128).unwrap_or(u32::MAX);
        latencies.extend(std::iter::repeat_n(each, batch.len()));
    }
    Ok(Round { took: begun.elapsed(), latencies, spent: cpu::since(&before) })
}
