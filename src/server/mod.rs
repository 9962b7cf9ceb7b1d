//! Listeners, TLS, limits and a graceful end: everything between the sockets and the doors.

mod accept;
mod admin;
mod bindings;
mod challenge;
mod door;
mod est;
mod heads;
mod linger;
mod listeners;
mod overheard;
mod patient;
mod places;
mod responder;
mod share;
mod status;
mod tls;
mod tls_failure;
mod visit;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use listeners::{Addresses, BindError, Listeners, bind_status};
pub use responder::serve_status;
pub use tls::TlsError;

use crate::authority::{Authority, PublicDoor};
use crate::hooks;
use crate::telemetry::Metrics;

/// What ends by itself is looked at this often.
const UPKEEP: Duration = Duration::from_secs(60);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the status listener has no address: {0}")]
    Address(#[from] std::io::Error),
}

/// Serves until `stop` ends, then answers what is in flight and returns; whoever holds the authority closes it.
pub async fn serve(
    authority: Arc<Authority>,
    listeners: Listeners,
    dir: &Path,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let socket = listeners::bind_socket(dir)?;
    let (tell, told) = watch::channel(false);
    let mut doors = JoinSet::new();
    let context = accept::Context {
        shared: accept::Shared {
            authority: Arc::clone(&authority),
            metrics: Arc::new(Metrics::default()),
            share: share::Share::of_workers(authority.config().server().limits().handshake_share),
        },
        graceful: Arc::new(GracefulShutdown::new()),
        stopping: told.clone(),
    };
    doors.spawn(est::run(context.clone(), listeners.est, tls::est(&authority)?));
    let public: Arc<dyn PublicDoor> = Arc::new(door::Loopback::to(&listeners.status)?);
    doors.spawn(status::run(context.clone(), listeners.status));
    doors.spawn(admin::run_tls(context.clone(), listeners.admin, tls::admin(&authority)?));
    doors.spawn(admin::run_socket(context.clone(), socket));
    doors.spawn(hooks::run(Arc::clone(&authority), Arc::clone(&context.shared.metrics), told.clone()));
    doors.spawn(filters(Arc::clone(&authority), told.clone()));
    doors.spawn(upkeep(Arc::clone(&authority), told.clone()));
    doors.spawn(jobs(Arc::clone(&authority), public, told));

    stop.await;
    // Nobody listening any more is as good as told.
    let _ = tell.send(true);
    drain(doors, context).await;
    Ok(())
}

/// Waits, within reason, until the doors are closed and all connections have ended. They have been told to.
async fn drain(mut doors: JoinSet<()>, context: accept::Context) {
    tracing::info!("stopping: no new connections, requests in progress are answered");
    let grace = context.shared.authority.config().server().limits().shutdown_grace;
    let graceful = Arc::clone(&context.graceful);
    let drained = tokio::time::timeout(grace, async {
        while doors.join_next().await.is_some() {}
        drop(context);
        // The doors are closed and have let go of it.
        if let Ok(graceful) = Arc::try_unwrap(graceful) {
            graceful.shutdown().await;
        }
    });
    if drained.await.is_err() {
        tracing::warn!(?grace, "some connections did not end in time and are cut");
    }
}

/// What is not done when the server stops goes on when it starts again.
async fn jobs(authority: Arc<Authority>, door: Arc<dyn PublicDoor>, mut stopping: watch::Receiver<bool>) {
    tokio::select! {
        _ = stopping.changed() => {}
        () = authority.work_off_jobs(door) => {}
    }
}

/// Beside all other upkeep, because a filter of millions of certificates takes a while.
async fn filters(authority: Arc<Authority>, mut stopping: watch::Receiver<bool>) {
    loop {
        let round = async {
            tokio::time::sleep(UPKEEP).await;
            authority.publish_filters().await
        };
        // A round that is left undone stops building.
        let done = tokio::select! {
            _ = stopping.changed() => return,
            done = round => done,
        };
        if let Err(error) = done {
            tracing::error!(%error, "a revocation filter could not be published; it is tried again in a minute");
        }
    }
}

async fn upkeep(authority: Arc<Authority>, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            () = tokio::time::sleep(UPKEEP) => {}
        }
        if let Err(error) = authority.upkeep().await {
            tracing::error!(%error, "upkeep failed; it is tried again in a minute");
        }
    }
}
