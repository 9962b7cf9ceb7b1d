//! The accept loop that all doors share: limits, TLS handshake, one task for each connection.

use std::future::Future;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConnection;
use tokio_rustls::server::TlsStream;

use super::linger::Linger;
use super::places::{Entry, Places};
use super::share::Share;
use super::tls_failure;
use super::visit::{Ended, Seated, Visit};
use crate::authority::{Authority, Peer, PresentedChain};
use crate::fleet::enrol::Bindings;
use crate::rate::{Buckets, Neighbourhood};
use crate::telemetry::{Metrics, Shed, TlsFailure};

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
    /// Of the processors, for handshakes.
    pub(super) share: Share,
}

impl Shared {
    /// Counts it, and tells the log now and then.
    pub(super) fn shed(&self, why: Shed, from: Option<IpAddr>) {
        if let Some(times) = self.metrics.shed(why, self.authority.clock().now()) {
            tracing::warn!(
                reason = why.name(),
                times,
                ?from,
                "load is shed: see vitae_shed_total in /metrics"
            );
        }
    }

    /// What a connection's end says about the load.
    pub(super) fn ended(&self, visit: &Visit, ended: Ended) {
        match ended {
            Ended::Orderly => {}
            // A client that has asked and keeps its connection open does no wrong.
            Ended::Silent if visit.has_asked() => {}
            Ended::Silent => self.shed(Shed::SlowHeader, visit.from),
            Ended::DidNotRead => self.shed(Shed::SlowReader, visit.from),
            Ended::Broken(error) => tracing::debug!(%error, from = ?visit.from, "a connection broke off"),
        }
    }
}

/// What every accept loop needs.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) shared: Shared,
    /// Only the loops hold it: when they have ended, the connections left are those it watches.
    pub(super) graceful: Arc<GracefulShutdown>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// How many addresses a listener remembers; a few megabytes at most.
const ADDRESSES: usize = 65_536;

/// Accepts until the server stops. Nobody is left to wait without a word: who cannot have a place is told so, or closed.
pub(super) async fn accept<S, F>(context: Context, listener: TcpListener, serve: S)
where
    S: Fn(Shared, Visit, TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be served"),
    };
    let shared = &context.shared;
    let limits = shared.authority.config().server().limits();
    let places = Places::new(limits.max_connections, limits.max_turned_away, Instant::now());
    let rate: Buckets<Neighbourhood> = Buckets::new(limits.connections_per_address, ADDRESSES);
    let mut stopping = context.stopping.clone();
    loop {
        let accepted = tokio::select! {
            _ = stopping.changed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok((stream, from)) => (stream, from.ip()),
            Err(error) => {
                rest_after(shared, &error).await;
                continue;
            }
        };
        let now = shared.authority.clock().now();
        if limits.is_rated(from) && rate.take(&from.into(), now).is_err() {
            shared.shed(Shed::ConnectionRate, Some(from));
            continue;
        }
        let (entry, made_way) = places.enter(Instant::now());
        (0..made_way).for_each(|_| shared.shed(Shed::MadeWay, None));
        let seat = match entry {
            Entry::Place(place) => Seated::Place(place),
            Entry::TurnedAway(turned_away) => {
                shared.shed(Shed::TurnedAway, Some(from));
                Seated::TurnedAway(turned_away)
            }
            Entry::Closed => {
                shared.shed(Shed::Closed, Some(from));
                continue;
            }
        };
        // Small answers must not wait for a full packet.
        let _ = stream.set_nodelay(true);
        let visit = Visit::new(&context, Some(seat), Some(from));
        tokio::spawn(serve(shared.clone(), visit, stream));
    }
}

pub(super) async fn rest_after(shared: &Shared, error: &io::Error) {
    // A peer that gave up while it waited in the queue is no trouble of ours.
    if error.kind() == io::ErrorKind::ConnectionAborted {
        return;
    }
    if let Some(times) = shared.metrics.shed(Shed::NotAccepted, shared.authority.clock().now()) {
        tracing::warn!(%error, times, "cannot accept a connection");
    }
    tokio::time::sleep(REST).await;
}

/// The handshake, under its time limit and with its share of the processors. `None`: the peer was not let in.
pub(super) async fn handshake<S>(
    shared: &Shared,
    visit: &Visit,
    acceptor: &TlsAcceptor,
    stream: S,
) -> Option<(TlsStream<S>, Peer)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limit = shared.authority.config().server().limits().handshake_timeout;
    let accepted = acceptor.accept(stream).into_fallible();
    let accepted = shared.share.limit(accepted, visit.seat().map(Arc::as_ref));
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(limit, accepted) => accepted,
        () = visit.lost() => return None,
    };
    visit.waits();
    let (reason, error, refused) = match accepted {
        Ok(Ok(stream)) => {
            let peer = peer_of(stream.get_ref().1, visit.from);
            return Some((stream, peer));
        }
        Ok(Err((error, stream))) => (tls_failure::reason(&error), error.to_string(), Some(stream)),
        Err(_) => (TlsFailure::Timeout, "took too long".to_owned(), None),
    };
    shared.metrics.tls_failed(reason);
    // Anybody who can reach the port can cause it, so it is not for a log that is kept.
    let from = visit.from.map(tracing::field::display);
    tracing::debug!(from, reason = reason.name(), error, "TLS handshake failed");
    if let Some(stream) = refused {
        // In TLS 1.3 a client may have sent its request already; it must still be able to read the alert.
        tokio::select! {
            _ = async { Linger::new(stream).shutdown().await } => {}
            () = visit.lost() => {}
        }
    }
    None
}

/// To be called when the handshake is complete: the peer has signed it with the key of its first certificate, or is the
/// one who did so when the session that is resumed began.
fn peer_of(connection: &ServerConnection, address: Option<IpAddr>) -> Peer {
    let chain = connection.peer_certificates().map(|chain| {
        PresentedChain::proven_by_handshake(chain.iter().map(|certificate| certificate.to_vec()).collect())
    });
    Peer { chain, address, bindings: Bindings::default() }
}
