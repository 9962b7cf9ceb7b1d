//! Published files: certificate revocation lists and the certificates of the CAs.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, ETAG, EXPIRES, HeaderMap, HeaderValue, LAST_MODIFIED,
};
use hyper::{Response, StatusCode};

use super::body::{Answer, ListBody};
use super::dates::http_date;
use super::range::{self, Part};
use super::{Status, respond, text};
use crate::authority::{Content, PublishedCrl};

const CRL: &str = "application/pkix-crl";

/// A fresh list may be out at any moment: nobody keeps one longer than this without asking again.
const CRL_MAX_AGE: u64 = 60;

/// `{ca}/{shard}.crl` and `{ca}/{shard}-delta.crl`: always the published list, whole, or the part that is asked for (C22).
/// It was built beforehand: nobody waits for that here.
pub(super) fn crl(door: &Status, rest: &str, headers: &HeaderMap) -> Response<Answer> {
    let Some(list) = find(door, rest) else { return whole(text(StatusCode::NOT_FOUND, "no such CRL\n")) };
    door.metrics.crl_answered();
    let now = door.authority.clock().now();
    let max_age = CRL_MAX_AGE.min(list.next_update.since(now).as_secs());
    let (etag, modified) = (format!("\"{}\"", list.digest), http_date(list.this_update));
    let head = [
        (CACHE_CONTROL, value(&format!("max-age={max_age}, public, no-transform, must-revalidate"))),
        (ETAG, value(&etag)),
        (LAST_MODIFIED, value(&modified)),
        (EXPIRES, value(&http_date(list.next_update))),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ];
    if range::is_known(headers, &etag, &modified) {
        return whole(respond(StatusCode::NOT_MODIFIED, CRL, Bytes::new(), &head));
    }
    let (begin, end) = match range::part(headers, list.bytes, &etag, &modified) {
        Part::Whole => (0, list.bytes),
        Part::Some(begin, end) => (begin, end),
        Part::Nothing => {
            let length = (CONTENT_RANGE, value(&format!("bytes */{}", list.bytes)));
            return whole(respond(StatusCode::RANGE_NOT_SATISFIABLE, CRL, Bytes::new(), &[length]));
        }
    };
    let is_part = end - begin < list.bytes;
    let mut response = match &list.content {
        Content::Memory(bytes) => {
            let bytes = Bytes::from_owner(Arc::clone(bytes));
            // A list in memory is no longer than memory, and the part lies in it.
            let place = |at: u64| usize::try_from(at).unwrap_or(bytes.len());
            whole(respond(StatusCode::OK, CRL, bytes.slice(place(begin)..place(end)), &head))
        }
        Content::File(_) => respond(StatusCode::OK, CRL, Bytes::new(), &head)
            .map(|_| Answer::List(ListBody::new(Arc::clone(&list), begin, end))),
    };
    if is_part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let part = format!("bytes {begin}-{}/{}", end - 1, list.bytes);
        response.headers_mut().insert(CONTENT_RANGE, value(&part));
    }
    response
}

fn find(door: &Status, rest: &str) -> Option<Arc<PublishedCrl>> {
    let (ca, file) = rest.split_once('/')?;
    let name = file.strip_suffix(".crl")?;
    let ca = door.authority.ca(&ca.parse().ok()?)?;
    let (number, is_delta) = name.strip_suffix("-delta").map_or((name, false), |number| (number, true));
    // One spelling of a number has one list: 00 and +0 are not 0.
    let shard = number.parse::<u32>().ok().filter(|shard| shard.to_string() == number)?;
    if is_delta { ca.delta(shard) } else { ca.list(shard) }
}

fn whole(response: Response<Full<Bytes>>) -> Response<Answer> {
    response.map(Answer::Whole)
}

/// `{ca}.cer`: DER, as the caIssuers pointer promises (RFC 5280 section 4.2.2.1).
pub(super) fn ca(door: &Status, rest: &str) -> Response<Full<Bytes>> {
    let ca = rest.strip_suffix(".cer").and_then(|name| door.authority.ca(&name.parse().ok()?));
    let Some(ca) = ca else { return text(StatusCode::NOT_FOUND, "no such CA\n") };
    let keep = [(CACHE_CONTROL, HeaderValue::from_static("max-age=3600, public"))];
    respond(StatusCode::OK, "application/pkix-cert", ca.certificate().to_vec(), &keep)
}

pub(super) fn value(text: &str) -> HeaderValue {
    // Only digits, letters and punctuation come here; a header that could not be made would be left empty.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
