//! The record as it grows, as server-sent events (WHATWG HTML section 9.2): one CloudEvents document each, resumable by the
//! number of the event.

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hyper::body::{Bytes, Frame};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::operator::{AdminPeer, By};
use super::problem::Problem;
use crate::authority::{Authority, CloudEvent, Failed, Feed, FeedFilter, HookView};
use crate::ids::{CaName, EventNumber, HolderId};

/// Browsers and libraries come back after so many milliseconds.
const BACK_AFTER: &str = "retry: 1000\n";

const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Turns true when the server stops: a stream has no end of its own.
#[derive(Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub fn told_by(stopping: watch::Receiver<bool>) -> Self {
        Self(stopping)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// The first event; without it and Last-Event-ID, the next one that is recorded.
    from: Option<u64>,
    /// Kinds of events, separated by commas.
    #[serde(rename = "type")]
    kinds: Option<String>,
    holder: Option<HolderId>,
    ca: Option<CaName>,
    /// false: the stream ends with what is recorded already.
    follow: Option<bool>,
}

pub(super) async fn hooks(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
) -> Result<Json<Vec<HookView>>, Problem> {
    Ok(Json(authority.hooks(&operator)?))
}

pub(super) async fn follow(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Extension(peer): Extension<AdminPeer>,
    Extension(Stopping(stopping)): Extension<Stopping>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked?;
    let from = last_seen(&headers)?.or(asked.from.map(EventNumber));
    let kinds = asked.kinds.as_deref().map(FeedFilter::parse_kinds).transpose();
    let filter = FeedFilter {
        kinds: kinds.map_err(Failed::Refused)?.unwrap_or_default(),
        holder: asked.holder,
        ca: asked.ca,
    };
    let feed = match authority.feed(&operator, filter, from) {
        Ok(feed) => feed,
        Err(refused) => {
            let mut refusal = Problem::from(refused).into_response();
            if refusal.status() == StatusCode::SERVICE_UNAVAILABLE {
                refusal.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
            }
            return Ok(refusal);
        }
    };
    let until = (asked.follow == Some(false)).then(|| feed.head());
    let following = Following { authority, peer, stopping, feed, until, begun: false };
    let mut response = Response::new(Body::new(Stream(Some(Box::pin(following.step())))));
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // The connection has no use afterwards, and its end is how HTTP/1.0 clients see that of the stream.
        (CONNECTION, "close"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// What a client that comes back has seen last: more recent than what its URL says.
fn last_seen(headers: &HeaderMap) -> Result<Option<EventNumber>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse::<u64>().ok()?.checked_add(1));
    let number = number.ok_or_else(|| {
        Problem::bad_request("Last-Event-ID is not the number of an event: send back the id that came last")
    })?;
    Ok(Some(EventNumber(number)))
}

/// Somebody who follows the record.
struct Following {
    authority: Arc<Authority>,
    peer: AdminPeer,
    stopping: watch::Receiver<bool>,
    feed: Feed,
    until: Option<EventNumber>,
    begun: bool,
}

type Step = Pin<Box<dyn Future<Output = Option<(Bytes, Following)>> + Send>>;

impl Following {
    /// The next piece of the stream, as soon as there is one; `None`: its end.
    async fn step(mut self) -> Option<(Bytes, Self)> {
        if !self.begun {
            self.begun = true;
            let place = format!("{BACK_AFTER}{}", self.place());
            return Some((place.into(), self));
        }
        let alive = Instant::now() + self.authority.config().server().limits().event_keep_alive;
        loop {
            let is_over = self.until.is_some_and(|until| self.feed.next() >= until);
            if is_over || *self.stopping.borrow() || !self.may_follow() {
                return None;
            }
            let page = match self.feed.page().await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "a stream of events is broken off");
                    return None;
                }
            };
            if !page.is_empty() {
                return Some((page.iter().map(message).collect::<String>().into(), self));
            }
            if self.until.is_none() && self.feed.is_at_head() {
                tokio::select! {
                    () = self.feed.wait() => {}
                    _ = self.stopping.wait_for(|stopping| *stopping) => {}
                    () = sleep_until(alive) => {}
                }
            }
            if Instant::now() >= alive && self.may_follow() {
                return Some((self.place().into(), self));
            }
        }
    }

    fn may_follow(&self) -> bool {
        let permitted = self
            .peer
            .operator(&self.authority)
            .and_then(|operator| self.authority.may_follow(&operator).map_err(Problem::from));
        permitted.is_ok()
    }

    /// A sign of life that also says how far it has been looked, so that a client that is told little comes back to the
    /// right place: without data it is no event (section 9.2.6).
    fn place(&self) -> String {
        match self.feed.next().0.checked_sub(1) {
            Some(last) => format!(": alive\nid: {last}\n\n"),
            None => ": alive\n\n".to_owned(),
        }
    }
}

fn message(event: &CloudEvent) -> String {
    let mut text = format!("id: {}\nevent: {}\ndata: ", event.id, event.kind);
    // It is made of JSON values, which have no other form, and is one line.
    let data = serde_json::to_string(event).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(text, "{data}\n\n");
    text
}

/// Makes each piece when the one before has been taken: nobody's slowness piles anything up here.
struct Stream(Option<Step>);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(step) = &mut self.0 else { return Poll::Ready(None) };
        let Poll::Ready(done) = step.as_mut().poll(context) else { return Poll::Pending };
        let (piece, following) = done.unzip();
        self.0 = following.map(|following| Box::pin(following.step()) as Step);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
