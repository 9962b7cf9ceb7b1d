//! One connection from the moment it is let in: its place, how it ends, and the 503 of those that have none.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as Task, Poll};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use hyper_util::server::graceful::{GracefulConnection, Watcher};
use tokio::sync::watch;

use super::accept::Context;
use super::places::{Place, Seat, TurnedAway};

/// What a connection that makes way has for its last bytes.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Somebody who was let in.
pub(super) struct Visit {
    /// `None` on the local socket, which has room for all.
    seated: Option<Seated>,
    pub(super) from: Option<IpAddr>,
    has_asked: AtomicBool,
    stopping: watch::Receiver<bool>,
    /// Held to the end: the server waits for all watchers when it stops.
    _watcher: Watcher,
}

/// Where it sits.
pub(super) enum Seated {
    Place(Place),
    /// All it will hear is that there is no place.
    TurnedAway(TurnedAway),
}

/// How a connection ended.
pub(super) enum Ended {
    Orderly,
    /// It had asked nothing, or not to the end, when its time was over.
    Silent,
    /// It did not read what it had asked for.
    DidNotRead,
    Broken(hyper::Error),
}

impl Visit {
    pub(super) fn new(context: &Context, seated: Option<Seated>, from: Option<IpAddr>) -> Self {
        Self {
            seated,
            from,
            has_asked: AtomicBool::new(false),
            stopping: context.stopping.clone(),
            _watcher: context.graceful.watcher(),
        }
    }

    fn place(&self) -> Option<&Place> {
        match &self.seated {
            Some(Seated::Place(place)) => Some(place),
            _ => None,
        }
    }

    pub(super) fn seat(&self) -> Option<&Arc<Seat>> {
        self.place().map(Place::seat)
    }

    /// What it hears if it has no place.
    pub(super) fn turned_away(&self) -> Option<Response<Full<Bytes>>> {
        match &self.seated {
            Some(Seated::TurnedAway(turned_away)) => Some(no_place(turned_away.later)),
            _ => None,
        }
    }

    /// Whether a request has come on it.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// A request has come; the rest of it is waited for.
    pub(super) fn hears<B>(&self, request: Request<B>) -> Request<Heard<B>> {
        self.has_asked.store(true, Ordering::Relaxed);
        let seat = self.seat().map(Arc::clone);
        if let Some(seat) = &seat {
            seat.busy();
        }
        request.map(|body| Heard { body, seat })
    }

    /// Turns true when the server stops.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// The next word is the client's.
    pub(super) fn waits(&self) {
        if let Some(seat) = self.seat() {
            seat.waits(self.has_asked(), Instant::now());
        }
    }

    /// Ends when the place has gone to somebody else; never for who has none.
    pub(super) async fn lost(&self) {
        match self.place() {
            Some(place) => place.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Serves to the end: until the client has had enough, the server stops, or somebody else needs the place.
    pub(super) async fn serve<C>(&self, connection: C) -> Ended
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let mut connection = std::pin::pin!(connection);
        let mut stopping = self.stopping.clone();
        let lost = tokio::select! {
            ended = connection.as_mut() => return how(ended),
            () = self.lost() => true,
            // Nobody who could tell is as good as told.
            _ = stopping.wait_for(|stopping| *stopping) => false,
        };
        connection.as_mut().graceful_shutdown();
        // A request that came in the last moment is answered all the same.
        if lost && self.seat().is_some_and(|seat| !seat.is_busy()) {
            return tokio::time::timeout(LAST_WORDS, connection).await.map_or(Ended::Orderly, how);
        }
        how(connection.await)
    }
}

/// A request's body, which tells whether we or the client are waited for.
pub(super) struct Heard<B> {
    body: B,
    seat: Option<Arc<Seat>>,
}

impl<B: Body + Unpin> Body for Heard<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Some(seat) = &self.seat {
            match frame {
                Poll::Ready(_) => seat.busy(),
                // As long as it waits, however often it is looked after.
                Poll::Pending if !seat.is_busy() => {}
                Poll::Pending => seat.waits(false, Instant::now()),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn how(ended: Result<(), hyper::Error>) -> Ended {
    let Err(error) = ended else { return Ended::Orderly };
    if error.is_timeout() {
        return Ended::Silent;
    }
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match cause {
        Some(cause) if cause.kind() == std::io::ErrorKind::TimedOut => Ended::DidNotRead,
        _ => Ended::Broken(error),
    }
}

/// The only answer of a connection without a place.
fn no_place(later: u64) -> Response<Full<Bytes>> {
    let text = "every place is taken: try again later\n";
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(later));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
