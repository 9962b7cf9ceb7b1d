//! Clients that ask again as soon as they are answered, all at the same time.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::measure::{Round, micros};
use crate::{Outcome, cpu};

/// One client.
pub(crate) trait Client: Send + 'static {
    /// Makes ready what `asks` requests need. Not timed.
    fn prepare(&mut self, _asks: usize) -> Outcome<()> {
        Ok(())
    }

    /// Asks once and is answered. `false`: nothing is left that was prepared.
    fn act(&mut self) -> impl Future<Output = Outcome<bool>> + Send;
}

/// Clients between their rounds.
pub(crate) struct Crowd<C> {
    clients: Vec<C>,
    /// The fastest pace of one client so far, per second.
    pace: f64,
}

impl<C: Client> Crowd<C> {
    /// `pace` is a guess, for the first round: how often a second one client asks.
    pub(crate) fn new(clients: Vec<C>, pace: f64) -> Self {
        Self { clients, pace }
    }

    pub(crate) fn round(&mut self, runtime: &Runtime, length: Duration) -> Outcome<Round> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "thousands at most")]
        let asks = (self.pace * length.as_secs_f64() * 1.5) as usize + 16;
        prepare(&mut self.clients, asks)?;
        let clients = std::mem::take(&mut self.clients);
        let before = cpu::spent();
        let begun = Instant::now();
        let (back, mut round, fastest) = runtime.block_on(everyone(clients, begun, length))?;
        round.took = begun.elapsed();
        round.spent = cpu::since(&before);
        self.clients = back;
        #[expect(clippy::cast_precision_loss, reason = "thousands at most")]
        let pace = fastest as f64 / round.took.as_secs_f64();
        self.pace = self.pace.max(pace);
        Ok(round)
    }
}

fn prepare<C: Client>(clients: &mut [C], asks: usize) -> Outcome<()> {
    let share = clients.len().div_ceil(std::thread::available_parallelism()?.get()).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = clients
            .chunks_mut(share)
            .map(|chunk| scope.spawn(move || chunk.iter_mut().try_for_each(|client| client.prepare(asks))))
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a client panicked")?)
    })
}

/// Ends at the time, or when the first client has nothing left: nobody goes on with half the load.
async fn everyone<C: Client>(
    clients: Vec<C>,
    begun: Instant,
    length: Duration,
) -> Outcome<(Vec<C>, Round, usize)> {
    let (stop, stopped) = watch::channel(false);
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let (stop, stopped) = (stop.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while begun.elapsed() < length && !*stopped.borrow() {
                    let asked = Instant::now();
                    if !client.act().await? {
                        stop.send_replace(true);
                        break;
                    }
                    latencies.push(micros(asked));
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>((client, latencies))
            })
        })
        .collect();
    let (mut back, mut round, mut fastest) = (Vec::new(), Round::default(), 0);
    for task in tasks {
        let (client, latencies) = task.await??;
        fastest = fastest.max(latencies.len());
        round.latencies.extend(latencies);
        back.push(client);
    }
    Ok((back, round, fastest))
}
