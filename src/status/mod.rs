//! The status door, plain http: OCSP, CRLs, CA certificates, and what watches the server's health.

mod body;
mod cache;
mod dates;
mod files;
mod filter;
mod ocsp;
mod range;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::authority::Authority;
use crate::telemetry::Metrics;
pub use body::{Answer, ListBody};
use cache::Cache;

/// The status door of one authority.
pub struct Status {
    authority: Arc<Authority>,
    metrics: Arc<Metrics>,
    cache: Cache,
    /// The last question could not be answered from the record.
    out_of_order: AtomicBool,
}

impl Status {
    pub fn new(authority: Arc<Authority>, metrics: Arc<Metrics>) -> Self {
        let cache = Cache::new(authority.config().server().limits().ocsp_cache_bytes);
        Self { authority, metrics, cache, out_of_order: AtomicBool::new(false) }
    }

    /// Answers one request. The path is taken as it was sent: base64 may hold `//`, `+` and `=` (B20, B21).
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Answer>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let path = request.uri().path().trim_start_matches('/');
        let reads = request.method() == Method::GET || request.method() == Method::HEAD;
        match path.strip_prefix("crl/").filter(|_| reads) {
            Some(rest) => match rest.strip_suffix("/filter") {
                Some(ca) => filter::get(self, ca, request.headers()).map(Answer::Whole),
                None => files::crl(self, rest, request.headers()),
            },
            None => self.answer(request).await.map(Answer::Whole),
        }
    }

    /// All but lists, which can be long.
    async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let path = request.uri().path();
        // Some clients join a base that ends in a slash with a path that begins with one (B22).
        let path = path.trim_start_matches('/');
        let reads = request.method() == Method::GET || request.method() == Method::HEAD;
        if path == "ocsp" {
            return if request.method() == Method::POST {
                ocsp::post(self, request).await
            } else {
                method_not_allowed("POST")
            };
        }
        if !reads {
            return method_not_allowed("GET, HEAD");
        }
        if let Some(encoded) = path.strip_prefix("ocsp/") {
            return ocsp::get(self, encoded, request.headers()).await;
        }
        if let Some(rest) = path.strip_prefix("ca/") {
            return files::ca(self, rest);
        }
        match path {
            "health" => text(StatusCode::OK, "alive\n"),
            "ready" => self.ready(),
            "metrics" => text(StatusCode::OK, self.metrics.text()),
            _ => text(StatusCode::NOT_FOUND, "no such path\n"),
        }
    }

    /// Ready: every CA has a list to serve; a responder of its own can also answer OCSP.
    fn ready(&self) -> Response<Full<Bytes>> {
        match self.authority.not_ready() {
            None => text(StatusCode::OK, "ready\n"),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        }
    }
}

/// The answer to a request that took too long.
pub fn timed_out() -> Response<Full<Bytes>> {
    text(StatusCode::REQUEST_TIMEOUT, "the request took too long\n")
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
    headers: &[(HeaderName, HeaderValue)],
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let map = response.headers_mut();
    map.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in headers {
        map.insert(name, value.clone());
    }
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, "text/plain", body, &[(CACHE_CONTROL, HeaderValue::from_static("no-store"))])
}

fn method_not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed} here\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
