//! The accept loop that all doors share: limits, TLS handshake, one task for each connection.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConnection;
use tokio_rustls::server::TlsStream;

use super::linger::Linger;
use super::tls_failure;
use crate::authority::{Authority, Peer, PresentedChain};
use crate::fleet::enrol::Bindings;
use crate::telemetry::{Metrics, TlsFailure};

/// After an accept that failed for want of files or memory, a short rest lets some be freed.
const REST: Duration = Duration::from_millis(50);

/// Bytes that one connection may make us hold before its head is complete; with the limit of connections this bounds
/// the memory that strangers can take. A question to OCSP in a path is half as long at most.
pub(super) const LONGEST_HEAD: usize = 64 * 1024;

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) authority: Arc<Authority>,
    pub(super) metrics: Arc<Metrics>,
}

/// What every accept loop needs.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) shared: Shared,
    /// Only the loops hold it: when they have ended, the connections left are those it watches.
    pub(super) graceful: Arc<GracefulShutdown>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Accepts until the server stops; above the limit of open connections, new ones wait in the system's queue.
pub(super) async fn accept<S, F>(context: Context, listener: TcpListener, serve: S)
where
    S: Fn(Shared, Watcher, TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be served"),
    };
    let places =
        Arc::new(Semaphore::new(context.shared.authority.config().server().limits().max_connections));
    let mut stopping = context.stopping.clone();
    loop {
        let accepted = async {
            // The semaphore is never closed, so there is always a place in the end.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            _ = stopping.changed() => return,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Small answers must not wait for a full packet.
                let _ = stream.set_nodelay(true);
                let connection = serve(context.shared.clone(), context.graceful.watcher(), stream);
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => rest_after(&error).await,
        }
    }
}

pub(super) async fn rest_after(error: &io::Error) {
    // A peer that gave up while it waited in the queue is no trouble of ours.
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(REST).await;
    }
}

/// The handshake, under its time limit. `None`: the peer was not let in.
pub(super) async fn handshake<S>(
    shared: &Shared,
    acceptor: &TlsAcceptor,
    stream: S,
    from: Option<SocketAddr>,
) -> Option<(TlsStream<S>, Peer)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limit = shared.authority.config().server().limits().handshake_timeout;
    let (reason, error, refused) =
        match tokio::time::timeout(limit, acceptor.accept(stream).into_fallible()).await {
            Ok(Ok(stream)) => {
                let peer = peer_of(stream.get_ref().1, from);
                return Some((stream, peer));
            }
            Ok(Err((error, stream))) => (tls_failure::reason(&error), error.to_string(), Some(stream)),
            Err(_) => (TlsFailure::Timeout, "took too long".to_owned(), None),
        };
    shared.metrics.tls_failed(reason);
    // Anybody who can reach the port can cause it, so it is not for a log that is kept.
    let from = from.map(tracing::field::display);
    tracing::debug!(from, reason = reason.name(), error, "TLS handshake failed");
    if let Some(stream) = refused {
        // In TLS 1.3 a client may have sent its request already; it must still be able to read the alert.
        let _ = Linger::new(stream).shutdown().await;
    }
    None
}

/// To be called when the handshake is complete: the peer has signed it with the key of its first certificate, or is the
/// one who did so when the session that is resumed began.
fn peer_of(connection: &ServerConnection, address: Option<SocketAddr>) -> Peer {
    let chain = connection.peer_certificates().map(|chain| {
        PresentedChain::proven_by_handshake(chain.iter().map(|certificate| certificate.to_vec()).collect())
    });
    Peer { chain, address: address.map(|address| address.ip()), bindings: Bindings::default() }
}
