//! Lets many devices do the same thing at the same time, and says how long it took.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::fleet::Unit;
use crate::cli::{Failure, output};

/// Devices at work at the same time.
const AT_ONCE: usize = 16;

/// How many did it, in which time.
pub(super) struct Pace {
    pub(super) count: usize,
    pub(super) took: Duration,
}

impl Pace {
    pub(super) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a demo has a few hundred devices")]
        let count = self.count as f64;
        count / self.took.as_secs_f64().max(0.001)
    }
}

/// Every unit goes through `act` once; the first failure ends it all.
pub(super) async fn everyone<A, F>(what: &'static str, units: &mut Vec<Unit>, act: A) -> Result<Pace, Failure>
where
    A: Fn(Unit) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Unit, Failure>> + Send,
{
    let count = units.len();
    let bar = output::progress(what, count as u64);
    let begun = Instant::now();
    let waiting = Arc::new(Mutex::new(std::mem::take(units).into_iter().enumerate()));
    let act = Arc::new(act);
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (waiting, act, bar) = (Arc::clone(&waiting), Arc::clone(&act), bar.clone());
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let next = waiting.lock().await.next();
                let Some((place, unit)) = next else { return Ok::<_, Failure>(done) };
                done.push((place, act(unit).await?));
                bar.inc(1);
            }
        });
    }
    let mut done = Vec::with_capacity(count);
    while let Some(worker) = workers.join_next().await {
        done.extend(worker??);
    }
    bar.finish_and_clear();
    done.sort_by_key(|(place, _)| *place);
    units.extend(done.into_iter().map(|(_, unit)| unit));
    Ok(Pace { count, took: begun.elapsed() })
}
