//! What goes back to an EST client, in the one shape that all known clients can read.
//!
//! Unwrapped base64, `Content-Length`, `Content-Transfer-Encoding: base64`; header names are written in Title-Case
//! by the listener. libest alone needs line breaks. Errors are short plain text (RFC 8951 section 5).

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    USER_AGENT, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};

use super::serverkeygen::KeyAndCertificate;
use crate::authority::{Failed, Outcome};
use crate::config::Profile;
use crate::fleet::enrol::{Class, Refusal};
use crate::pki::body::{self, BodyError};
use crate::pki::cms;
use crate::pki::csr::CsrError;
use crate::telemetry::Shed;

/// The prefix of every path of EST (RFC 7030 section 3.2.2).
pub const WELL_KNOWN: &str = "/.well-known/est/";

const CONTENT_TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");
/// One space, as libest compares it letter by letter.
const CERTS_ONLY: HeaderValue = HeaderValue::from_static("application/pkcs7-mime; smime-type=certs-only");
const CSR_ATTRIBUTES: HeaderValue = HeaderValue::from_static("application/csrattrs");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain");
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"vitae\"");
const LATER_SECONDS: HeaderValue = HeaderValue::from_static("10");
const LINE: usize = 76;

/// An answer before it is put into the client's form.
#[derive(Debug)]
pub(super) enum Answer {
    /// DER of a certs-only message, to be sent in base64.
    Certificates(Vec<u8>),
    /// 202 of RFC 7030 section 4.2.3: the same request is to be made again.
    Later {
        text: String,
        /// In whole seconds, which is the one form that all known clients read (E45).
        retry_after: u64,
    },
    /// DER of `CsrAttrs`, to be sent in base64.
    CsrAttributes(Vec<u8>),
    /// A multipart body that is wiped when it is sent.
    KeyAndCertificate(KeyAndCertificate),
    /// JSON, and the seconds after which it may have changed.
    RenewalInfo {
        body: String,
        ask_again: u64,
    },
    Refused {
        status: StatusCode,
        text: String,
        header: Option<(HeaderName, HeaderValue)>,
    },
    /// Another answer, given to shed load.
    Shed(Shed, Box<Answer>),
}

impl Answer {
    /// Only what is in the record leaves: exactly the one certificate that was issued (E44), or the request that waits.
    pub(super) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Issued(issued) => Self::certificates(&[issued.certificate()]),
            Outcome::Pending(pending) => Self::Later {
                text: format!(
                    "request {} waits for an operator's approval until {}: make the same request again, with the same key",
                    pending.id, pending.expires
                ),
                // Never zero: a client that need not wait would not.
                retry_after: pending.retry_after.as_secs().max(1),
            },
        }
    }

    pub(super) fn certificates(certificates: &[&[u8]]) -> Self {
        match cms::certs_only(certificates) {
            Ok(der) => Self::Certificates(der),
            Err(error) => Self::trouble(&error.to_string()),
        }
    }

    fn refused(status: StatusCode, text: impl Into<String>) -> Self {
        Self::Refused { status, text: text.into(), header: None }
    }

    pub(super) fn no_such_path() -> Self {
        Self::refused(StatusCode::NOT_FOUND, "no such path: EST is at /.well-known/est/[label/]operation")
    }

    pub(super) fn no_such_label(label: &str) -> Self {
        // The label is the client's own text: cut, and without anything that is not plain.
        let shown: String = label.chars().filter(char::is_ascii_graphic).take(64).collect();
        Self::refused(StatusCode::NOT_FOUND, format!("no such label: {shown}"))
    }

    pub(super) fn no_renewal() -> Self {
        Self::refused(StatusCode::NOT_FOUND, "there is no such certificate, or it is not one that is renewed")
    }

    pub(super) fn invalid(error: &dyn std::error::Error) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, error.to_string())
    }

    pub(super) fn not_offered(operation: &str) -> Self {
        Self::refused(StatusCode::NOT_FOUND, format!("this server does not offer {operation}"))
    }

    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::Refused {
            status: StatusCode::METHOD_NOT_ALLOWED,
            text: format!("use {allowed} here"),
            header: Some((ALLOW, HeaderValue::from_static(allowed))),
        }
    }

    pub(super) fn wrong_type() -> Self {
        Self::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/pkcs10")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::refused(StatusCode::PAYLOAD_TOO_LARGE, format!("a request may have {limit} bytes at most"))
    }

    pub(super) fn broken_off() -> Self {
        Self::refused(StatusCode::BAD_REQUEST, "the request body broke off")
    }

    pub(super) fn too_slow() -> Self {
        let answer = Self::refused(StatusCode::REQUEST_TIMEOUT, "the request body came too slowly");
        Self::Shed(Shed::SlowBody, Box::new(answer))
    }

    pub(super) fn too_late() -> Self {
        Self::trouble("the store did not answer in time")
    }

    /// Of the label's profile; other labels may have it.
    pub(super) fn makes_no_keys(profile: &Profile) -> Self {
        let text = format!(
            "this server does not offer serverkeygen for {}: make the key on the device and use simpleenroll",
            profile.name()
        );
        Self::refused(StatusCode::NOT_FOUND, text)
    }

    pub(super) fn bad_request(error: &dyn std::error::Error) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, error.to_string())
    }

    pub(super) fn unauthenticated(text: impl Into<String>) -> Self {
        Self::Refused {
            status: StatusCode::UNAUTHORIZED,
            text: text.into(),
            header: Some((WWW_AUTHENTICATE, BASIC)),
        }
    }

    /// The first word to a stranger. Bouncy Castle's client does not get past a challenge that has a body; it names
    /// itself by no header, and so do programs that have nobody to read one.
    pub(super) fn challenge(headers: &HeaderMap) -> Self {
        let read = headers.contains_key(USER_AGENT) || headers.contains_key(AUTHORIZATION);
        Self::unauthenticated(if read {
            "who is asking? Present a client certificate, or the device id and a one-time token with HTTP Basic"
        } else {
            ""
        })
    }

    /// It may come again. Not 429 (RFC 6585): in EST, `Retry-After` is what goes with a 503 (RFC 7030 section 4.2.3),
    /// and no known client knows 429.
    fn later(refusal: &Refusal) -> Self {
        let seconds = refusal.retry_after().unwrap_or_default();
        let answer = Self::Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: refusal.to_string(),
            header: Some((RETRY_AFTER, HeaderValue::from(seconds))),
        };
        let why = match refusal {
            Refusal::TooManyFailures { .. } => Shed::FailureRate,
            Refusal::TooManyCertificates { .. } => Shed::CertificateRate,
            _ => Shed::Enrolments,
        };
        Self::Shed(why, Box::new(answer))
    }

    /// Trouble of our own: the log hears what, the client only that it may come again.
    pub(super) fn trouble(what: &str) -> Self {
        tracing::error!(what, "an EST request could not be answered");
        Self::Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: "the authority cannot answer now: try again later, with the same key".to_owned(),
            header: Some((RETRY_AFTER, LATER_SECONDS)),
        }
    }

    pub(super) fn into_response(self, wrapped: bool) -> Response<Full<Bytes>> {
        let (status, content_type, header, body) = match self {
            Self::Shed(why, answer) => {
                let mut response = answer.into_response(wrapped);
                response.extensions_mut().insert(why);
                return response;
            }
            Self::Certificates(der) => in_base64(CERTS_ONLY, &der, wrapped),
            Self::CsrAttributes(der) => in_base64(CSR_ATTRIBUTES, &der, wrapped),
            Self::KeyAndCertificate(made) => match made.into_body(wrapped) {
                Ok((content_type, bytes)) => (StatusCode::OK, content_type, None, bytes),
                Err(answer) => return answer.into_response(wrapped),
            },
            Self::RenewalInfo { body, ask_again } => {
                (StatusCode::OK, JSON, Some((RETRY_AFTER, HeaderValue::from(ask_again))), body.into())
            }
            Self::Later { mut text, retry_after } => {
                text.push('\n');
                (
                    StatusCode::ACCEPTED,
                    PLAIN_TEXT,
                    Some((RETRY_AFTER, HeaderValue::from(retry_after))),
                    text.into(),
                )
            }
            Self::Refused { status, mut text, header } => {
                if !text.is_empty() {
                    text.push('\n');
                }
                (status, PLAIN_TEXT, header, text.into())
            }
        };
        let length = HeaderValue::from(body.len());
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CONTENT_LENGTH, length);
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Failed<Refusal>> for Answer {
    fn from(failed: Failed<Refusal>) -> Self {
        let refusal = match failed {
            Failed::Unavailable(why) => return Self::trouble(&why),
            Failed::Refused(refusal) => refusal,
        };
        let text = refusal.to_string();
        match refusal.class() {
            Class::Unauthenticated => Self::unauthenticated(text),
            Class::Forbidden => Self::refused(StatusCode::FORBIDDEN, text),
            Class::Conflict => Self::refused(StatusCode::CONFLICT, text),
            Class::Invalid => Self::refused(StatusCode::BAD_REQUEST, text),
            Class::Later => Self::later(&refusal),
        }
    }
}

impl From<BodyError> for Answer {
    fn from(error: BodyError) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<CsrError> for Answer {
    fn from(error: CsrError) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, error.to_string())
    }
}

/// libest names itself; its base64 reader wants lines (cisco/libest issue 100).
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"libest"))
}

type Parts = (StatusCode, HeaderValue, Option<(HeaderName, HeaderValue)>, Bytes);

fn in_base64(content_type: HeaderValue, der: &[u8], wrapped: bool) -> Parts {
    let text = body::encode_base64(der);
    let text = if wrapped { in_lines(&text) } else { text };
    let header = (CONTENT_TRANSFER_ENCODING, HeaderValue::from_static("base64"));
    (StatusCode::OK, content_type, Some(header), text.into())
}

fn in_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / LINE + 1);
    let mut rest = text;
    while !rest.is_empty() {
        // Base64 is ASCII, so any byte is a boundary.
        let (line, tail) = rest.split_at(rest.len().min(LINE));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out
}
