//! `vitae demo`: the whole story on loopback, with real TLS, keys and store; only the devices are played.

mod cast;
mod commands;
mod fleet;
mod stage;
mod status;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::arguments::{Demo, Global, LogLevel};
use super::serve::{close, log_to_stderr, open, stop_signal};
use super::{Failure, output};
use crate::authority;
use crate::clock::{SystemClock, SystemRandom};
use crate::config::Config;
use crate::server::{self, Addresses, Listeners};

/// Everything the story needs to know of the house it happens in.
pub(super) struct House {
    pub(super) dir: PathBuf,
    pub(super) config: PathBuf,
    pub(super) addresses: Addresses,
    /// For the admin door.
    pub(super) global: Global,
}

pub(super) async fn run(global: &Global, demo: Demo) -> Result<(), Failure> {
    // The story prints what happens; the log speaks only of trouble.
    log_to_stderr(global, LogLevel::Warn);
    let stop = stop_signal()?;
    let (temporary, dir) = folder(global)?;
    let config = Config::load(global.config())?;
    // The usual ports, so that commands look as in the manual; any others when those are taken.
    let listeners = Listeners::bind(config.server()).or_else(|_| Listeners::bind_anywhere())?;
    let addresses = listeners.addresses()?;
    let config = Arc::new(config.with_listeners(addresses.est, addresses.status, addresses.admin));

    output::line(format!("Vitae demo: {} devices, data in {}", demo.devices, dir.display()))?;
    let begun = std::time::Instant::now();
    authority::init(&dir, Arc::clone(&config), Arc::new(SystemClock), Arc::new(SystemRandom)).await?;
    output::line(format!(
        "\n 1. A new authority: {} CAs, each with its OCSP signer and CRL, in {:.0?}",
        config.hierarchy().cas().len(),
        begun.elapsed()
    ))?;
    let authority = open(&dir, config).await?;

    let (tell, told) = oneshot::channel::<()>();
    let served = tokio::spawn({
        let (authority, dir) = (Arc::clone(&authority), dir.clone());
        // A sender that is gone is as good as a word.
        async move { server::serve(authority, listeners, &dir, async { told.await.unwrap_or(()) }).await }
    });
    // The ports are bound already; the admin socket is as soon as the server has begun.
    while std::os::unix::net::UnixStream::connect(dir.join("admin.sock")).is_err() && !served.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let global = Global { dir: Some(dir.clone()), server: None, ..global.clone() };
    let house = House { dir, config: global.config().to_owned(), addresses, global };
    let told = tokio::select! {
        told = story::tell(&house, &demo) => told,
        () = ended(&served) => Err(Failure::Refused("the server ended before the story did".to_owned())),
    };
    if told.is_ok() && !demo.once {
        output::line("\nServing until Ctrl-C.")?;
        stop.await;
    }
    // A server that has ended needs no word.
    let _ = tell.send(());
    served.await??;
    close(authority).await;
    drop(temporary);
    told
}

/// Ends when the server does, which it should not.
async fn ended<T>(served: &tokio::task::JoinHandle<T>) {
    while !served.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// A folder that was named, or one that goes with the demo.
fn folder(global: &Global) -> Result<(Option<TempDir>, PathBuf), Failure> {
    if let Some(dir) = &global.dir {
        return Ok((None, Path::new(dir).to_owned()));
    }
    let temporary = tempfile::Builder::new().prefix("vitae-demo-").tempdir()?;
    let dir = temporary.path().join("data");
    Ok((Some(temporary), dir))
}
