//! Rows 6 and 7: questions to an authority that knows a million certificates.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use vitae::authority;
use vitae::clock::{SystemClock, SystemRandom};

use crate::fill::{Filling, fill};
use crate::first::Questions;
use crate::measure::Plan;
use crate::ocsp::{Door, beside_hyper};
use crate::stage::Stage;
use crate::{DEVICES, Outcome, first, scene};

/// Certificates that are asked about again and again in row 7.
const POPULAR: usize = 1000;

pub(crate) fn measure(
    client: &Runtime,
    plan: &Plan,
    certificates: usize,
    cores: usize,
    wanted: &dyn Fn(u32) -> bool,
) -> Outcome<()> {
    let folder = scene::folder()?;
    let dir = folder.path().join("data");
    let config = scene::policy(&folder.path().join("config"))?;
    let begun = Instant::now();
    let serials = client.block_on(async {
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        authority::init(&dir, Arc::new(config.clone()), clock, random).await?;
        fill(&dir, &Filling { first: 0, count: certificates, revoked: 100, shards: 8 }).await
    })?;
    println!("  6, 7: {certificates} certificates known, recorded in {:.0} s", begun.elapsed().as_secs_f64());

    let stage = Stage::open(&dir, config, cores)?;
    let host = stage.addresses.status.to_string();
    let questions = Arc::new(Questions::about(serials, usize::MAX, &stage.authority, host)?);
    if wanted(7) {
        let door = Door {
            status: stage.addresses.status,
            authority: &stage.authority,
            server: &stage.server,
            clients: DEVICES,
        };
        let paths = questions.paths(POPULAR);
        beside_hyper("7 OCSP by GET, a million known, answers kept", 0.9, &door, &paths, client, plan)?
            .print();
        // These are no first questions any more.
        questions.skip(POPULAR);
    }
    if wanted(6) {
        first::measure(&stage, &questions, client, plan, DEVICES, cores)?.print();
    }
    stage.strike()
}
