//! A server on a record that exists already.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vitae::authority::Authority;
use vitae::clock::{SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::server::{self, Addresses, Listeners};

use crate::Outcome;

pub(crate) struct Stage {
    pub(crate) authority: Arc<Authority>,
    pub(crate) addresses: Addresses,
    pub(crate) server: Runtime,
    /// What opening the record took.
    pub(crate) opened_in: Duration,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), server::ServeError>>,
}

impl Stage {
    pub(crate) fn open(dir: &Path, config: Config, cores: usize) -> Outcome<Self> {
        let server =
            Builder::new_multi_thread().worker_threads(cores).thread_name("server").enable_all().build()?;
        let listeners = {
            let _inside = server.enter();
            Listeners::bind_anywhere()?
        };
        let addresses = listeners.addresses()?;
        let config = Arc::new(config.with_listeners(addresses.est, addresses.status, addresses.admin));
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let begun = Instant::now();
        let authority = Arc::new(server.block_on(Authority::open(dir, config, clock, random))?);
        let opened_in = begun.elapsed();
        let (stop, stopped) = oneshot::channel::<()>();
        let served =
            server.spawn({
                let (authority, dir) = (Arc::clone(&authority), dir.to_owned());
                // A sender that is gone is as good as a word.
                async move {
                    server::serve(authority, listeners, &dir, async { stopped.await.unwrap_or(()) }).await
                }
            });
        Ok(Self { authority, addresses, server, opened_in, stop, served })
    }

    pub(crate) fn strike(self) -> Outcome<()> {
        // A server that has ended needs no word.
        let _ = self.stop.send(());
        self.server.block_on(self.served)??;
        self.authority.shutdown();
        Ok(())
    }
}
