//! One receiver: its connection, and what it makes of a message. It may be slow, broken or hostile, and costs no more than
//! its timeout and a few kilobytes.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::http::response::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::Webhook;
use crate::http::{Client, HttpError, Trust, TrustError};

/// Of an answer so much is read, to keep its connection; what it says is of no interest.
const LARGEST_ANSWER: usize = 16 * 1024;

/// CloudEvents HTTP binding, structured mode.
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// Why an event was not taken. The texts are for the operator, and hold nothing that the receiver wrote.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("cannot connect: {0}")]
    Unreachable(std::io::Error),
    #[error("the name {0} leads to another machine, and http is for this one")]
    NotLocal(String),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("it answered {0}, and redirects are not followed: write the new address into webhooks.toml")]
    Redirect(StatusCode),
    #[error("it answered {status}")]
    Status { status: StatusCode, retry_after: Option<Duration> },
    #[error("no request can be made: {0}")]
    Request(hyper::http::Error),
}

impl NotTaken {
    /// How long it wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// One event, signed.
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    /// Seconds since 1970.
    pub(super) timestamp: u64,
    pub(super) signature: &'a str,
    pub(super) body: Bytes,
}

pub(super) struct Receiver {
    url: Uri,
    host: String,
    port: u16,
    /// `None`: plain http, to this machine.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    /// The connection that served the last message, where it can serve another.
    kept: Option<Client>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BadReceiver {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("'{0}' is no name of a TLS server")]
    Name(String),
}

impl Receiver {
    /// `own` are the anchors to trust where the policy names none.
    pub(super) fn new(settings: &Webhook, own: impl FnOnce() -> Vec<Vec<u8>>) -> Result<Self, BadReceiver> {
        let url = settings.url().clone();
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_tls = url.scheme_str() == Some("https");
        let tls = if is_tls {
            let trust = Trust::from_der(settings.trust().map_or_else(own, <[_]>::to_vec))?;
            let name = ServerName::try_from(host.clone()).map_err(|_| BadReceiver::Name(host.clone()))?;
            Some((TlsConnector::from(trust.tls(None)?), name))
        } else {
            None
        };
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { url, host, port, tls, timeout: settings.timeout(), kept: None })
    }

    /// Ends within the timeout and a little more, whatever the receiver does.
    pub(super) async fn post(&mut self, message: Message<'_>) -> Result<(), NotTaken> {
        let timeout = self.timeout;
        // Cut off in the middle, its connection goes with it.
        let answered = tokio::time::timeout(timeout, self.answer(message)).await;
        let (client, answer) = answered.unwrap_or(Err(NotTaken::Timeout(timeout)))?;
        let (head, body) = answer.into_parts();
        // An answer without an end must not make a failure of a success.
        let rest = tokio::time::timeout(timeout / 4, Limited::new(body, LARGEST_ANSWER).collect()).await;
        self.kept = matches!(rest, Ok(Ok(_))).then_some(client);
        judge(&head)
    }

    /// The head of the answer; the body is still to come.
    async fn answer(&mut self, message: Message<'_>) -> Result<(Client, Response<Incoming>), NotTaken> {
        let request = || self.request(&message).map_err(NotTaken::Request);
        let (first, again) = (request()?, request()?);
        if let Some(mut client) = self.kept.take().filter(|client| !client.is_closed()) {
            // A receiver may have closed it meanwhile, which is no failure.
            if let Ok(answer) = client.open(first).await {
                return Ok((client, answer));
            }
        }
        let mut client = self.connect().await?;
        let answer = client.open(again).await?;
        Ok((client, answer))
    }

    fn request(&self, message: &Message<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let host = self.url.authority().map_or(self.host.as_str(), |authority| authority.as_str());
        Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("vitae/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, CLOUD_EVENT)
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(Full::new(message.body.clone()))
    }

    async fn connect(&self) -> Result<Client, NotTaken> {
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(NotTaken::Unreachable)?;
        stream.set_nodelay(true).map_err(NotTaken::Unreachable)?;
        match &self.tls {
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), stream).await.map_err(NotTaken::Unreachable)?;
                Ok(Client::new(stream).await?)
            }
            None => {
                let to = stream.peer_addr().map_err(NotTaken::Unreachable)?;
                if !to.ip().is_loopback() {
                    return Err(NotTaken::NotLocal(self.host.clone()));
                }
                Ok(Client::new(stream).await?)
            }
        }
    }
}

/// The status decides. The body is read only so that the connection can be used again.
fn judge(head: &Parts) -> Result<(), NotTaken> {
    match head.status {
        status if status.is_success() => Ok(()),
        status if status.is_redirection() => Err(NotTaken::Redirect(status)),
        status => {
            let seconds = head.headers.get(RETRY_AFTER).and_then(seconds);
            Err(NotTaken::Status { status, retry_after: seconds.map(Duration::from_secs) })
        }
    }
}

fn seconds(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}
