//! Published files: certificate revocation lists and the certificates of the CAs.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, ETAG, EXPIRES, HeaderMap, HeaderValue, IF_NONE_MATCH, LAST_MODIFIED};
use hyper::{Response, StatusCode};
use time::OffsetDateTime;

use super::{Status, respond, text};
use crate::clock::Timestamp;

/// A fresh list may be out at any moment: nobody keeps one longer than this without asking again.
const CRL_MAX_AGE: u64 = 60;

/// `{ca}/{shard}.crl`: always the published list, whole (C22).
pub(super) fn crl(door: &Status, rest: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let list = rest
        .split_once('/')
        .filter(|(_, file)| *file == "0.crl")
        .and_then(|(ca, _)| door.authority.ca(&ca.parse().ok()?)?.crl());
    let Some(list) = list else { return text(StatusCode::NOT_FOUND, "no such CRL\n") };
    door.metrics.crl_answered();
    let now = door.authority.clock().now();
    let max_age = CRL_MAX_AGE.min(list.next_update.since(now).as_secs());
    let etag = value(&format!("\"{}\"", list.digest));
    let head = [
        (CACHE_CONTROL, value(&format!("max-age={max_age}, public, no-transform, must-revalidate"))),
        (ETAG, etag.clone()),
        (LAST_MODIFIED, value(&http_date(list.this_update))),
        (EXPIRES, value(&http_date(list.next_update))),
    ];
    if headers.get(IF_NONE_MATCH) == Some(&etag) {
        return respond(StatusCode::NOT_MODIFIED, "application/pkix-crl", Bytes::new(), &head);
    }
    respond(StatusCode::OK, "application/pkix-crl", Bytes::from_owner(list.der.clone()), &head)
}

/// `{ca}.cer`: DER, as the caIssuers pointer promises (RFC 5280 section 4.2.2.1).
pub(super) fn ca(door: &Status, rest: &str) -> Response<Full<Bytes>> {
    let ca = rest.strip_suffix(".cer").and_then(|name| door.authority.ca(&name.parse().ok()?));
    let Some(ca) = ca else { return text(StatusCode::NOT_FOUND, "no such CA\n") };
    let keep = [(CACHE_CONTROL, HeaderValue::from_static("max-age=3600, public"))];
    respond(StatusCode::OK, "application/pkix-cert", ca.certificate().to_vec(), &keep)
}

fn value(text: &str) -> HeaderValue {
    // Only digits, letters and punctuation come here; a header that could not be made would be left empty.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// The date form of HTTP (RFC 9110 section 5.6.7).
pub(super) fn http_date(at: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    // A Timestamp lies in the years 1970 to 9999, which this type can hold.
    let time = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(at.millis());
    let day = DAYS[usize::from(time.weekday().number_days_from_sunday())];
    let month = MONTHS[usize::from(u8::from(time.month())) - 1];
    let (hour, minute, second) = time.to_hms();
    format!("{day}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", time.day(), time.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_http_writes_them() {
        assert_eq!(http_date(Timestamp::from_secs(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(Timestamp::EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(Timestamp::FOREVER), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
