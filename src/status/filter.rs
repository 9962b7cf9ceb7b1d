//! Revocation filters, for gateways that cannot ask.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, ETAG, EXPIRES, HeaderMap, HeaderValue, LAST_MODIFIED, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::dates::http_date;
use super::files::value;
use super::{Status, range, respond, text};
use crate::authority::FilterState;

/// CMS (RFC 7193).
const CMS: &str = "application/cms";
/// A fresh filter may be out at any moment: nobody keeps one longer than this without asking again.
const MAX_AGE: u64 = 60;

/// `{ca}`: its published filter, which was built beforehand.
pub(super) fn get(door: &Status, ca: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let state = ca.parse().map_or(FilterState::None, |ca| door.authority.filter(&ca));
    let filter = match state {
        FilterState::Published(filter) => filter,
        FilterState::None => return text(StatusCode::NOT_FOUND, "no such filter\n"),
        FilterState::Awaited => {
            let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, "the first filter is being made\n");
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
            return answer;
        }
    };
    let now = door.authority.clock().now();
    let max_age = MAX_AGE.min(filter.next_update.since(now).as_secs());
    let (etag, modified) = (format!("\"{}\"", filter.digest), http_date(filter.this_update));
    let head = [
        (CACHE_CONTROL, value(&format!("max-age={max_age}, public, no-transform, must-revalidate"))),
        (ETAG, value(&etag)),
        (LAST_MODIFIED, value(&modified)),
        (EXPIRES, value(&http_date(filter.next_update))),
    ];
    if range::is_known(headers, &etag, &modified) {
        return respond(StatusCode::NOT_MODIFIED, CMS, Bytes::new(), &head);
    }
    respond(StatusCode::OK, CMS, Bytes::from_owner(filter.der.clone()), &head)
}
