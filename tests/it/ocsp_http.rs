//! OCSP over HTTP (RFC 6960 appendix A, RFC 9919): GET in all its forms, headers, limits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vitae::pki::ocsp::HashAlg;

use crate::support::House;
use crate::support::ocsp::{Said, said};
use crate::support::wire::{self, Ask};

/// A request whose base64 holds `//`, `+` and `=`: found by trying serial numbers, since the hashes are what they are.
fn awkward(house: &House) -> (String, Vec<u8>) {
    for byte in 0..=255u8 {
        for next in 0..=255u8 {
            let serial = [0x01, byte, next, 0xff, 0xff, 0xff, 0xfb, 0xef, 0xbe, 0xff, 0xff, byte];
            let der = house.ocsp_request("operational", &serial, HashAlg::Sha256, None);
            let text = STANDARD.encode(&der);
            if text.contains("//") && text.contains('+') && text.ends_with('=') {
                return (text, serial.to_vec());
            }
        }
    }
    panic!("no such request");
}

/// O01, O02, O03, B20, B21, B22: raw or percent-encoded, with a slash too many, and never a redirect.
#[tokio::test]
async fn get_is_answered_in_every_form_of_its_path() {
    let house = House::open().await;
    let (text, serial) = awkward(&house);
    let encoded = text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let lower = text.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d");
    for path in [
        format!("/ocsp/{text}"),
        format!("/ocsp/{encoded}"),
        format!("/ocsp/{lower}"),
        format!("/ocsp//{text}"),
        format!("/ocsp//{encoded}"),
        format!("//ocsp/{text}"),
        format!("/ocsp/{}", text.replace('=', "%3D")),
    ] {
        let reply = house.status_door(&Ask::get(&path)).await;
        assert_eq!(reply.status, 200, "{path}");
        let response = house.verified("operational", &reply.body);
        assert_eq!(said(&response.singles[0].status), Said::Unknown, "{path}");
        assert_eq!(response.singles[0].cert_id.serial, serial, "{path}");
    }
    // O03: longer than what a GET should be, and answered all the same.
    let der = house.ocsp_request("operational", &serial, HashAlg::Sha512, Some(&[9; 32]));
    let long = STANDARD.encode(&der);
    assert!(long.len() > 255);
    let reply = house.status_door(&Ask::get(&format!("/ocsp/{}", long.replace('/', "%2F")))).await;
    assert_eq!(house.verified("operational", &reply.body).nonce, Some(vec![9; 32]));
    for path in ["/ocsp/", "/ocsp/%", "/ocsp/M-_A", "/ocsp/hello"] {
        let reply = house.status_door(&Ask::get(path)).await;
        assert_eq!((reply.status, &reply.body[..]), (200, &[0x30, 3, 0x0a, 1, 1][..]), "{path}");
    }
}

/// O29, O30: headers by which caches know what they have, and 304 when the client has it already.
#[tokio::test]
async fn answers_tell_caches_what_they_are() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let der = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, None);
    let ask = Ask::get(&format!("/ocsp/{}", STANDARD.encode(&der)));
    let reply = house.status_door(&ask).await;
    let etag = reply.header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.len() == 66, "{etag}");
    for name in ["last-modified", "expires"] {
        assert!(reply.header(name).unwrap().ends_with(" GMT"), "{name}");
    }
    let cache = reply.header("cache-control").unwrap();
    for word in ["max-age=", "public", "no-transform", "must-revalidate"] {
        assert!(cache.contains(word), "{cache}");
    }
    let same = house.status_door(&ask.clone().header("If-None-Match", &etag)).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), Some(&*etag));
    assert_eq!(house.status_door(&ask.clone().header("If-None-Match", "\"0\"")).await.status, 200);
    assert_eq!(house.post_ocsp(&der).await.body, reply.body, "GET and POST give the same bytes");
    house.revoke(card.serial(), vitae::ids::Reason::Superseded).await;
    assert_eq!(house.status_door(&ask.header("If-None-Match", &etag)).await.status, 200, "B24");
}

/// O29, O30: each header says what RFC 9919 wants it to say, and what a client has already is not sent again.
#[tokio::test]
async fn headers_are_those_of_the_answer() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let der = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha256, None);
    let path = format!("/ocsp/{}", STANDARD.encode(&der));
    let reply = house.status_door(&Ask::get(&path)).await;
    let single = house.verified("operational", &reply.body).singles[0].clone();
    let etag = format!("\"{}\"", vitae::ids::Digest::of(&reply.body));
    assert_eq!(reply.header("etag"), Some(&*etag));
    let date = |name: &str| {
        let text = reply.header(name).unwrap().to_owned();
        assert!(text.ends_with(" GMT"), "{name}: {text}");
        let parts: Vec<&str> = text.split([' ', ':']).collect();
        (parts[1].to_owned(), parts[4].to_owned(), parts[5].to_owned(), parts[6].to_owned())
    };
    let of = |at: vitae::clock::Timestamp| {
        let text = at.to_string();
        (text[8..10].to_owned(), text[11..13].to_owned(), text[14..16].to_owned(), text[17..19].to_owned())
    };
    assert_eq!(date("last-modified"), of(single.this_update));
    assert_eq!(date("expires"), of(single.next_update.unwrap()));
    assert!(reply.header("date").is_some());
    let modified = reply.header("last-modified").unwrap().to_owned();
    let weak = format!("\"0\", W/{etag}");
    for (name, value, status) in [
        ("If-None-Match", etag.as_str(), 304),
        ("If-None-Match", weak.as_str(), 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", "\"0\"", 200),
        ("If-Modified-Since", modified.as_str(), 304),
        ("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT", 304),
        ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("If-Modified-Since", "yesterday", 200),
    ] {
        let reply = house.status_door(&Ask::get(&path).header(name, value)).await;
        assert_eq!(reply.status, status, "{name}: {value}");
        assert_eq!(reply.header("etag"), Some(&*etag), "{name}: {value}");
    }
    // The tag alone counts when both are there.
    let both = Ask::get(&path).header("If-None-Match", "\"0\"").header("If-Modified-Since", &modified);
    assert_eq!(house.status_door(&both).await.status, 200);
    let head = Ask::new("HEAD", &path);
    assert_eq!(house.status_door(&head).await.header("etag"), Some(&*etag));
}

/// B23: of 10 MiB, announced or not, no more is taken than the limit and what is on the way; the rest of the world is served.
#[tokio::test]
async fn ten_megabytes_are_cut_off() {
    const TEN: usize = 10 << 20;
    let house = House::open().await;
    let mut wire = wire::connect(house.addresses.status).await.unwrap();
    let head = Ask::new("POST", "/ocsp").header("Content-Length", &TEN.to_string());
    let mut text = head.bytes();
    let end = text.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    text.truncate(end + 4);
    wire.send(&text).await.unwrap();
    let piece = vec![0x30; 1 << 16];
    let mut sent = 0;
    while sent < TEN && wire.send(&piece).await.is_ok() {
        sent += piece.len();
    }
    assert!(sent < TEN, "all of it was taken");
    assert_eq!(house.status_door(&Ask::get("/health")).await.status, 200);
}

/// A nonce makes an answer one client's own.
#[tokio::test]
async fn answers_with_a_nonce_are_not_shared() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    for nonce in [[1; 16], [2; 16]] {
        let der = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, Some(&nonce));
        for _ in 0..2 {
            let reply = house.post_ocsp(&der).await;
            assert_eq!(house.verified("operational", &reply.body).nonce.as_deref(), Some(&nonce[..]));
        }
    }
}

/// O04, B23: other methods, and bodies that never end.
#[tokio::test]
async fn the_door_has_methods_and_limits() {
    let house = House::open().await;
    for (method, path, allowed) in [
        ("PUT", "/ocsp", "POST"),
        ("GET", "/ocsp", "POST"),
        ("POST", "/crl/root/0.crl", "GET, HEAD"),
        ("DELETE", "/health", "GET, HEAD"),
    ] {
        let reply = house.status_door(&Ask::new(method, path)).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
    let mut wire = wire::connect(house.addresses.status).await.unwrap();
    let head = Ask::new("POST", "/ocsp").header("Transfer-Encoding", "chunked");
    wire.send(&head.bytes()).await.unwrap();
    wire.send(format!("2001\r\n{}\r\n", "A".repeat(0x2001)).as_bytes()).await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 413);
}

/// O01: old clients speak HTTP/1.0.
#[tokio::test]
async fn http_1_0_is_answered() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let der = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, None);
    let ask = Ask { line: "POST /ocsp HTTP/1.0".to_owned(), ..Ask::new("POST", "/ocsp") };
    let reply = house.status_door(&ask.body(der)).await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-length").is_some());
    house.verified("operational", &reply.body);
}

/// B54: nothing that anybody may read writes anything.
#[tokio::test]
async fn anonymous_requests_write_nothing() {
    let house = House::open().await;
    let before = house.events();
    for path in [
        "/health",
        "/ready",
        "/metrics",
        "/",
        "/nothing",
        "/crl/root/0.crl",
        "/crl/none/0.crl",
        "/ca/root.cer",
        "/ocsp/xx",
    ] {
        house.status_door(&Ask::get(path)).await;
    }
    house.post_ocsp(b"nonsense").await;
    house.post_ocsp(&house.ocsp_request("operational", &[1, 2, 3], HashAlg::Sha1, None)).await;
    for ask in [
        Ask::get("/.well-known/est/cacerts"),
        Ask::est("simpleenroll", b"nonsense"),
        Ask::est("simpleenroll", b"nonsense").basic("brannoc.P3.BR000001", "vt_x"),
        Ask::est("simplereenroll", b"nonsense"),
        Ask::get("/admin"),
    ] {
        house.ask(None, &ask).await;
    }
    assert_eq!(house.events(), before);
}
