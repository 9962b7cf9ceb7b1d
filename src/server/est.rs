//! The EST listener: https on hyper directly, HTTP/1.1 only, header names in Title-Case for older clients.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;

use super::accept::{Context, LONGEST_HEAD, Shared, accept};
use super::bindings;
use super::challenge::Challenge;
use super::heads::Watched;
use super::linger::Linger;
use super::patient::Patient;
use crate::est;

pub(super) async fn run(context: Context, listener: TcpListener, tls: Arc<ServerConfig>) {
    accept(context, listener, move |shared, watcher, stream| {
        serve(shared, watcher, Arc::clone(&tls), stream)
    })
    .await;
}

async fn serve(shared: Shared, watcher: Watcher, tls: Arc<ServerConfig>, stream: TcpStream) {
    let from = stream.peer_addr().ok();
    let Some((stream, peer)) = bindings::accept(&shared, &tls, stream, from).await else { return };
    let limits = shared.authority.config().server().limits();
    let (stream, heads) = Watched::new(Linger::new(stream));
    let (peer, heads) = (&peer, &heads);
    let (authority, metrics) = (&shared.authority, &shared.metrics);
    let service = service_fn(|request| async move {
        let response = heads.guard(request, |request| est::handle(authority, peer, request)).await;
        metrics.est_answered(response.status().as_u16());
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        // A client may say all it has to say and close its side before it reads: `gnutls-cli <request` does.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Challenge(Patient::new(stream, limits.request_timeout))), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "an EST connection broke off");
    }
}
