//! `vitae serve`: serves until SIGTERM or Ctrl-C, all doors or the status door alone.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

use super::Failure;
use super::arguments::{Global, LogFormat, LogLevel, Part, Serve};
use crate::authority::Authority;
use crate::clock::{SystemClock, SystemRandom};
use crate::config::Config;
use crate::server::{self, Listeners};

pub(super) async fn run(global: &Global, serve: Serve) -> Result<(), Failure> {
    log_to_stderr(global, LogLevel::Info);
    let config = Config::load(global.config())?;
    match serve.only {
        None => run_all(global, config).await,
        Some(Part::Status) => run_status(global, config, serve.listen).await,
    }
}

/// The record is another process's, so there is nothing to close.
async fn run_status(global: &Global, config: Config, listen: Option<SocketAddr>) -> Result<(), Failure> {
    let listener = server::bind_status(listen.unwrap_or(config.server().status()))?;
    let address = listener.local_addr()?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let authority = Arc::new(Authority::open_to_follow(global.dir(), Arc::new(config), clock, random)?);
    tracing::info!(
        status = %format_args!("http://{address}/"),
        dir = %global.dir().display(),
        "serving status alone",
    );
    server::serve_status(authority, listener, stop_signal()?).await;
    tracing::info!("stopped");
    Ok(())
}

async fn run_all(global: &Global, config: Config) -> Result<(), Failure> {
    let listeners = Listeners::bind(config.server())?;
    let addresses = listeners.addresses()?;
    let config = Arc::new(config.with_listeners(addresses.est, addresses.status, addresses.admin));
    let authority = open(global.dir(), config).await?;
    tracing::info!(
        est = %format_args!("https://{}/.well-known/est/", addresses.est),
        status = %format_args!("http://{}/", addresses.status),
        admin = %format_args!("https://{}/api/v1/", addresses.admin),
        dir = %global.dir().display(),
        "serving",
    );
    let stop = stop_signal()?;
    server::serve(Arc::clone(&authority), listeners, global.dir(), stop).await?;
    close(authority).await;
    tracing::info!("stopped");
    Ok(())
}

pub(super) async fn open(dir: &Path, config: Arc<Config>) -> Result<Arc<Authority>, Failure> {
    Ok(Arc::new(Authority::open(dir, config, Arc::new(SystemClock), Arc::new(SystemRandom)).await?))
}

/// The last one out closes the store; that waits for the disk, so it is not done where others run.
pub(super) async fn close(authority: Arc<Authority>) {
    // A panic while closing has been reported by the runtime.
    let _ = tokio::task::spawn_blocking(move || authority.shutdown()).await;
}

/// Ends with the first SIGTERM or Ctrl-C.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// `usual`: where the command line does not say how much.
pub(super) fn log_to_stderr(global: &Global, usual: LogLevel) {
    let level = match global.log_level.unwrap_or(usual) {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    match global.log_format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}
