//! OCSP over HTTP (RFC 6960 appendix A): POST and GET, errors as HTTP 200 with the status in the answer.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, IF_NONE_MATCH, LAST_MODIFIED,
};
use hyper::{Request, Response, StatusCode};

use super::cache::Kept;
use super::files::http_date;
use super::{Status, respond, text};
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
        Ok(body) => answer(door, &body.to_bytes(), None).await,
        Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, format!("a request may have {limit} bytes at most\n")),
    }
}

pub(super) async fn get(door: &Status, encoded: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    // What cannot be decoded is answered as any malformed request is: in OCSP's own words.
    let request = decode(encoded).unwrap_or_default();
    answer(door, &request, headers.get(IF_NONE_MATCH)).await
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

async fn answer(door: &Status, request: &[u8], if_none_match: Option<&HeaderValue>) -> Response<Full<Bytes>> {
    let authority = &door.authority;
    // Read before the record is: an answer made while a status changes is then known to be old.
    let epoch = authority.status_epoch();
    let now = authority.clock().now();
    if let Some(kept) = door.cache.get(request, epoch, now) {
        door.metrics.ocsp_answered(true);
        return send(&kept, if_none_match);
    }
    door.metrics.ocsp_answered(false);
    let made = authority.ocsp(request).await;
    let Some(validity) = made.validity else {
        let no_store = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return respond(StatusCode::OK, RESPONSE, made.der, &[no_store]);
    };
    let max_age = MAX_AGE.min(validity.next_update.since(now)).as_secs();
    let etag = header(&format!("\"{}\"", Digest::of(&made.der)));
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(RESPONSE)),
        (CACHE_CONTROL, header(&format!("max-age={max_age}, public, no-transform, must-revalidate"))),
        (ETAG, etag.clone()),
        (LAST_MODIFIED, header(&http_date(validity.this_update))),
        (EXPIRES, header(&http_date(validity.next_update))),
    ]);
    let kept = Arc::new(Kept {
        body: made.der.into(),
        headers,
        etag,
        // Signed again at half its life, so that no client gets one that is about to end.
        stale_from: validity.this_update + validity.next_update.since(validity.this_update) / 2,
        epoch,
    });
    if made.shareable {
        door.cache.put(request, Arc::clone(&kept));
    }
    send(&kept, if_none_match)
}

fn send(kept: &Kept, if_none_match: Option<&HeaderValue>) -> Response<Full<Bytes>> {
    let unchanged = if_none_match == Some(&kept.etag);
    let mut response = Response::new(Full::new(if unchanged { Bytes::new() } else { kept.body.clone() }));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    // A copy of the whole map is cheaper than making it anew header by header.
    *response.headers_mut() = kept.headers.clone();
    response
}

fn header(text: &str) -> HeaderValue {
    // Only digits, letters and punctuation come here; a header that could not be made would be left empty.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
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
