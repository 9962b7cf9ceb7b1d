//! The status listener alone, for an authority that follows the record of another process.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{accept, drain, share, status};
use crate::authority::Authority;
use crate::telemetry::Metrics;

/// The record is looked at this often: a revocation ends the kept answers about its certificate within that time.
const LOOK: Duration = Duration::from_millis(500);

/// Serves until `stop` ends, then answers what is in flight and returns.
pub async fn serve_status(authority: Arc<Authority>, listener: TcpListener, stop: impl Future<Output = ()>) {
    let (tell, told) = watch::channel(false);
    let context = accept::Context {
        shared: accept::Shared {
            authority: Arc::clone(&authority),
            metrics: Arc::new(Metrics::default()),
            share: share::Share::of_workers(authority.config().server().limits().handshake_share),
        },
        graceful: Arc::new(GracefulShutdown::new()),
        stopping: told.clone(),
    };
    let mut doors = JoinSet::new();
    doors.spawn(status::run(context.clone(), listener));
    doors.spawn(follow(authority, told));
    stop.await;
    // Nobody listening any more is as good as told.
    let _ = tell.send(true);
    drain(doors, context).await;
}

async fn follow(authority: Arc<Authority>, mut stopping: watch::Receiver<bool>) {
    // What goes wrong each time is told once.
    let mut trouble = String::new();
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let theirs = Arc::clone(&authority);
        let looked = tokio::task::spawn_blocking(move || theirs.catch_up()).await;
        let now = match looked {
            Ok(Ok(())) => String::new(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        if now != trouble {
            if now.is_empty() {
                tracing::info!("the record is followed again");
            } else {
                tracing::error!(error = now, "cannot follow the record; it is tried again all the time");
            }
            trouble = now;
        }
    }
}
