//! The EST door (RFC 7030): parse, call `authority`, encode.

mod answer;
mod body;
mod credentials;
mod csrattrs;
mod operations;
mod path;
mod renewal_info;
mod serverkeygen;

use std::error::Error;

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::{Method, Request, Response};

pub use answer::WELL_KNOWN;

use crate::authority::{Authority, Peer};
use answer::Answer;
use path::{Operation, Route};

/// Answers one request of a client.
pub async fn handle<B>(authority: &Authority, peer: &Peer, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // libest reads base64 only in lines, strongSwan and others only without: this header is how it can be told.
    let wrapped = answer::wants_lines(request.headers());
    let answer = route(authority, peer, request).await.unwrap_or_else(|refused| refused);
    answer.into_response(wrapped)
}

async fn route<B>(authority: &Authority, peer: &Peer, request: Request<B>) -> Result<Answer, Answer>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if let Some((label, certificate)) = renewal_info::parse(request.uri().path()) {
        return renewal_info::answer(authority, label, certificate, request.method());
    }
    let Route { label, operation } = path::parse(request.uri().path()).ok_or_else(Answer::no_such_path)?;
    let profile =
        authority.profile_of_label(label).ok_or_else(|| Answer::no_such_label(label.unwrap_or_default()))?;
    if request.method() == Method::GET || request.method() == Method::HEAD {
        authority.certificate_used(peer, authority.config().server().limits().request_timeout).await;
    }
    match operation {
        Operation::CaCerts if request.method() == Method::GET || request.method() == Method::HEAD => {
            operations::cacerts(authority, profile)
        }
        Operation::CaCerts => Err(Answer::method_not_allowed("GET, HEAD")),
        Operation::CsrAttrs if request.method() == Method::GET || request.method() == Method::HEAD => {
            csrattrs::csrattrs(authority, profile)
        }
        Operation::CsrAttrs => Err(Answer::method_not_allowed("GET, HEAD")),
        Operation::SimpleEnroll | Operation::SimpleReenroll if request.method() == Method::POST => {
            let renewal = operation == Operation::SimpleReenroll;
            operations::enroll(authority, profile, renewal, peer, request).await
        }
        Operation::SimpleEnroll | Operation::SimpleReenroll => Err(Answer::method_not_allowed("POST")),
        Operation::ServerKeyGen if profile.server_key().is_none() => Err(Answer::makes_no_keys(profile)),
        Operation::ServerKeyGen if request.method() == Method::POST => {
            serverkeygen::serverkeygen(authority, profile, peer, request).await
        }
        Operation::ServerKeyGen => Err(Answer::method_not_allowed("POST")),
        Operation::NotOffered(name) => Err(Answer::not_offered(name)),
    }
}
