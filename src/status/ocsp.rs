//! OCSP over HTTP (RFC 6960 appendix A): POST and GET, errors as HTTP 200 with the status in the answer.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use hyper::{Request, Response, StatusCode};

use super::cache::Kept;
use super::dates::{http_date, read_date};
use super::{Status, respond, text};
use crate::authority::{Grounds, OcspValidity};
use crate::clock::Timestamp;
use crate::ids::Digest;

const RESPONSE: &str = "application/ocsp-response";
/// How long anybody else may keep a good answer: a revocation is to be seen in minutes.
const MAX_AGE: Duration = Duration::from_secs(120);
/// Bytes of DER that a path may carry; longer requests are to be sent by POST (RFC 9919 section 6).
const LONGEST_GET: usize = 8 * 1024;

pub(super) async fn post<B>(door: &Status, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limit = door.authority.config().server().limits().max_ocsp_body;
    match Limited::new(Box::pin(request.into_body()), limit).collect().await {
        Ok(body) => answer(door, &body.to_bytes(), Had::default()).await,
        Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, format!("a request may have {limit} bytes at most\n")),
    }
}

pub(super) async fn get(door: &Status, encoded: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    // What cannot be decoded is answered as any malformed request is: in OCSP's own words.
    let request = decode(encoded).unwrap_or_default();
    answer(door, &request, Had::of(headers)).await
}

/// Percent-encoded or raw base64; a plus sign is itself, not a blank. DER begins with `0`, base64 `M`, so slashes in
/// front are the client's way of joining paths.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    if encoded.len() > LONGEST_GET * 4 {
        return None;
    }
    let mut text = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.trim_start_matches('/').bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            text.push(digit(bytes.next()?)? << 4 | digit(bytes.next()?)?);
        } else {
            text.push(byte);
        }
    }
    STANDARD.decode(text).ok().filter(|der| der.len() <= LONGEST_GET)
}

/// What the client has already, by its own word.
#[derive(Default)]
struct Had<'a> {
    /// If-None-Match: it counts alone when it is there (RFC 9110 section 13.2.2).
    tags: Option<&'a HeaderValue>,
    since: Option<&'a HeaderValue>,
}

impl<'a> Had<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        Self { tags: headers.get(IF_NONE_MATCH), since: headers.get(IF_MODIFIED_SINCE) }
    }

    fn has(&self, kept: &Kept) -> bool {
        match (self.tags, self.since) {
            (Some(tags), _) => names_tag(tags, kept.etag.as_bytes()),
            // The date that it was given with the answer; one that was made up is held against the time of the answer.
            (None, Some(since)) => {
                since == kept.last_modified
                    || since.to_str().ok().and_then(read_date).is_some_and(|since| since >= kept.this_update)
            }
            (None, None) => false,
        }
    }
}

/// Whether a list of entity tags has this one, compared weakly (RFC 9110 section 13.1.2). The tag holds no comma.
fn names_tag(list: &HeaderValue, tag: &[u8]) -> bool {
    list.as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|named| named == b"*" || named.strip_prefix(b"W/").unwrap_or(named) == tag)
}

async fn answer(door: &Status, request: &[u8], had: Had<'_>) -> Response<Full<Bytes>> {
    let authority = &door.authority;
    let now = authority.clock().now();
    // While nobody can read the record, nobody knows whether what was said before still holds (O32).
    let in_order = !door.out_of_order.load(Ordering::Relaxed);
    if in_order && let Some(kept) = door.cache.get(request, now) {
        door.metrics.ocsp_answered(true);
        return send(&kept, &had);
    }
    door.metrics.ocsp_answered(false);
    let made = authority.ocsp(request).await;
    let Some(validity) = made.validity else {
        if made.out_of_order {
            door.out_of_order.store(true, Ordering::Relaxed);
        }
        let no_store = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return respond(StatusCode::OK, RESPONSE, made.der, &[no_store]);
    };
    door.out_of_order.store(false, Ordering::Relaxed);
    let (kept, grounds) = prepare(made.der, &validity, made.shareable, now);
    if grounds {
        door.cache.put(request, Arc::clone(&kept), now);
    }
    send(&kept, &had)
}

/// The answer with its headers, and whether it may be kept. All its text lies in one piece of memory.
fn prepare(
    der: Vec<u8>,
    validity: &OcspValidity,
    grounds: Option<Grounds>,
    now: Timestamp,
) -> (Arc<Kept>, bool) {
    let max_age = MAX_AGE.min(validity.next_update.since(now));
    let (length, etag) = (der.len(), Digest::of(&der).to_string());
    let (modified, expires) = (http_date(validity.this_update), http_date(validity.next_update));
    let mut bytes = Vec::with_capacity(length + etag.len() + 2 + modified.len() + expires.len());
    bytes.extend_from_slice(&der);
    bytes.push(b'"');
    bytes.extend_from_slice(etag.as_bytes());
    bytes.push(b'"');
    bytes.extend_from_slice(modified.as_bytes());
    bytes.extend_from_slice(expires.as_bytes());
    let bytes = Bytes::from(bytes);
    let (after_tag, after_modified) = (length + etag.len() + 2, length + etag.len() + 2 + modified.len());
    let kept = Kept {
        body: bytes.slice(..length),
        cache_control: if max_age == MAX_AGE {
            HeaderValue::from_static("max-age=120, public, no-transform, must-revalidate")
        } else {
            value(format!("max-age={}, public, no-transform, must-revalidate", max_age.as_secs()).into())
        },
        etag: value(bytes.slice(length..after_tag)),
        last_modified: value(bytes.slice(after_tag..after_modified)),
        expires: value(bytes.slice(after_modified..)),
        this_update: validity.this_update,
        // What others may keep for so long must not end meanwhile.
        stale_from: validity.renew_from.min(validity.next_update - MAX_AGE),
        used: AtomicBool::new(false),
        grounds: grounds.clone().unwrap_or_default(),
    };
    (Arc::new(kept), grounds.is_some())
}

fn send(kept: &Kept, had: &Had<'_>) -> Response<Full<Bytes>> {
    let unchanged = had.has(kept);
    let mut response = Response::new(Full::new(if unchanged { Bytes::new() } else { kept.body.clone() }));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(RESPONSE));
    headers.insert(CACHE_CONTROL, kept.cache_control.clone());
    headers.insert(ETAG, kept.etag.clone());
    headers.insert(LAST_MODIFIED, kept.last_modified.clone());
    headers.insert(EXPIRES, kept.expires.clone());
    *response.headers_mut() = headers;
    response
}

fn value(text: Bytes) -> HeaderValue {
    // Only digits, letters and punctuation come here; a header that could not be made would be left empty.
    HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B20, B21, B22: raw and percent-encoded forms are the same request, a plus is no blank, slashes stay.
    #[test]
    fn all_forms_of_a_path_give_the_same_bytes() {
        let der = [0x30, 0x03, 0xff, 0xfb, 0xef, 0xbe, 0xff, 0xff];
        let plain = STANDARD.encode(der);
        assert!(plain.contains('/') && plain.contains('+'), "{plain}");
        let encoded = plain.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
        for form in [plain.clone(), encoded, format!("/{plain}"), format!("//{plain}")] {
            assert_eq!(decode(&form).as_deref(), Some(der.as_slice()), "{form}");
        }
    }

    #[test]
    fn what_is_no_base64_is_no_request() {
        for text in ["%", "%2", "%zz", "M A", "M-_A", "MA"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
