//! HTTP Basic (RFC 7617) and the token in it, at the EST door: the right credentials, and no others.

use http_body_util::Full;
use hyper::header::WWW_AUTHENTICATE;

use super::by_hand::{self, encode_base64, replaced};
use super::est_door::{is_authorized, post};
use super::house::House;

/// `H` and the value of the header; or any other octet and what is to be encoded in it. `@TOKEN` stands for the token.
/// Were they the right ones?
pub fn check(data: &[u8]) -> bool {
    let house = House::get();
    let value = match data {
        [b'H', value @ ..] => replaced(value, b"@TOKEN", house.token.as_bytes()),
        [_, pair @ ..] => {
            let pair = replaced(pair, b"@TOKEN", house.token.as_bytes());
            format!("Basic {}", encode_base64(&pair)).into_bytes()
        }
        [] => return false,
    };
    // What is no header never comes as far as this.
    let Ok(value) = hyper::header::HeaderValue::from_bytes(&value) else { return false };
    let expected = value.to_str().is_ok_and(|value| is_authorized(value, house));
    let csr = encode_base64(&by_hand::request_of(11));
    let mut request = post("").body(Full::new(csr.into())).expect("it is well formed");
    request.headers_mut().insert(hyper::header::AUTHORIZATION, value);
    let reply = house.est(request);
    let status = reply.head.status().as_u16();
    let text = String::from_utf8_lossy(&reply.body);
    if expected {
        assert_eq!((status, reply.commits), (200, 1), "{text}");
    } else {
        assert_eq!((status, reply.commits), (401, 0), "{text}");
        assert!(reply.head.headers().contains_key(WWW_AUTHENTICATE));
    }
    assert!(!text.contains(&house.token), "a secret is not repeated");
    expected
}
