//! EST bodies: base64 in every layout, types, sizes (RFC 7030 section 4, RFC 8951).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use vitae::pki::body::encode_base64;

use crate::support::House;
use crate::support::csr::{Csr, key, request};
use crate::support::wire::{Ask, Card, Reply};

fn lines(text: &str, width: usize, end: &str) -> String {
    let chunks = text.as_bytes().chunks(width);
    chunks.map(|line| String::from_utf8_lossy(line).into_owned() + end).collect()
}

/// All the ways in which clients lay out base64.
fn layouts(der: &[u8]) -> Vec<(&'static str, String)> {
    let text = encode_base64(der);
    vec![
        ("one line", text.clone()),
        ("newline at the end", format!("{text}\n")),
        ("CRLF at the end", format!("{text}\r\n")),
        ("64 columns", lines(&text, 64, "\n")),
        ("76 columns, CRLF", lines(&text, 76, "\r\n")),
        ("lone CR", lines(&text, 64, "\r")),
        ("blanks and tabs", lines(&text, 10, " \t")),
        ("blank in front", format!(" \r\n\t{text}")),
        ("one octet a line", lines(&text, 1, "\n")),
    ]
}

/// B50, E16: whitespace of every kind, on every operation that takes a body.
#[tokio::test]
async fn every_layout_of_base64_is_read_by_every_operation() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let first = key();
    let mut card: Option<Card> = None;
    for (name, body) in layouts(&request(&first)) {
        // The same key again and again: what was issued is given again, and the body was read each time.
        let token = house.token(&id, "ldev").await;
        let ask = Ask::est("simpleenroll", b"").body(body).basic(id.as_str(), &token);
        let certificate = house.ask(None, &ask).await.certificate();
        card = Some(Card::new(&first, &certificate));
        assert_eq!(house.certificates_of(&id).len(), 1, "{name}");
    }
    let card = card.unwrap();
    let renewal = Csr::of(&first).repeating(&card.certificate()).sign(&first);
    for (name, body) in layouts(&renewal) {
        let ask = Ask::est("simplereenroll", b"").body(body);
        let reply = house.ask(Some(&card), &ask).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    }
}

/// E15: whatever Content-Transfer-Encoding says, the body is base64.
#[tokio::test]
async fn content_transfer_encoding_is_ignored() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let key = key();
    let mut issued = Vec::new();
    for value in
        [None, Some("base64"), Some("BASE64"), Some("binary"), Some("8bit"), Some("quoted-printable")]
    {
        let token = house.token(&id, "ldev").await;
        let mut ask = Ask::est("simpleenroll", &request(&key)).basic(id.as_str(), &token);
        if let Some(value) = value {
            ask = ask.header("Content-Transfer-Encoding", value);
        }
        issued.push(house.ask(None, &ask).await.certificate());
    }
    issued.dedup();
    assert_eq!(issued.len(), 1);
}

/// E17, E20, B35: what is no base64 of one DER value is refused, and a token that came with it is not spent.
#[tokio::test]
async fn bodies_that_are_no_request_are_refused_and_change_nothing() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let der = request(&key());
    let text = encode_base64(&der);
    let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n");
    let mut deep = vec![0x30, 0x80];
    deep.extend([0x30, 0x80].repeat(5000));
    let no_pad = STANDARD_NO_PAD.encode(&der[..der.len() - 1]);
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("blank", b" \r\n".to_vec()),
        ("PEM armour", pem.into_bytes()),
        ("raw DER", der.clone()),
        ("url-safe alphabet", URL_SAFE.encode([&der[..], &[0xfb, 0xff, 0xfe]].concat()).into_bytes()),
        ("bad character", text.replacen('A', "*", 1).into_bytes()),
        ("no padding", no_pad.into_bytes()),
        ("padding in the middle", format!("MA=={text}").into_bytes()),
        ("second base64 behind", format!("{text}={text}").into_bytes()),
        ("trailing octet after the DER", STANDARD.encode([&der[..], &[0]].concat()).into_bytes()),
        ("second DER value behind", STANDARD.encode([&der[..], &der].concat()).into_bytes()),
        ("cut short", STANDARD.encode(&der[..der.len() - 3]).into_bytes()),
        ("a certificate, not a request", STANDARD.encode(house.ca_certificate("root").der()).into_bytes()),
        ("indefinite length, deep", STANDARD.encode(&deep).into_bytes()),
        ("random octets", STANDARD.encode([0x5a; 300]).into_bytes()),
    ];
    let before = house.events();
    let mut wire = house.est(None).await;
    for (name, body) in bodies {
        let ask = Ask::est("simpleenroll", b"").body(body).basic(id.as_str(), &token);
        let reply = wire.ask(&ask).await.unwrap();
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        assert!(reply.text().len() > 10, "{name}: the reason is told");
    }
    assert_eq!(house.events(), before);
    let good = Ask::est("simpleenroll", &der).basic(id.as_str(), &token);
    assert_eq!(wire.ask(&good).await.unwrap().certificates().len(), 1, "the token is still good");
}

/// E18: the limit counts while the body comes in, with and without a length.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_while_it_streams() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let before = house.events();
    let head = Ask::est("simpleenroll", b"").basic("", &token);

    // Announced: refused before a single octet of it is sent.
    let mut wire = house.est(None).await;
    let announced = head.clone().header("Content-Length", "65537");
    wire.send(&announced.bytes()).await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 413);
    let mut wire = house.est(None).await;
    let huge = head.clone().header("Content-Length", "10737418240");
    wire.send(&huge.bytes()).await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 413);

    // In chunks that never end: refused as soon as the limit is passed.
    let mut wire = house.est(None).await;
    wire.send(&head.clone().header("Transfer-Encoding", "chunked").bytes()).await.unwrap();
    for _ in 0..8 {
        wire.send(format!("2000\r\n{}\r\n", "A".repeat(0x2000)).as_bytes()).await.unwrap();
    }
    wire.send(b"1\r\nA\r\n").await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 413);

    // At the limit it is read, and found to be no request.
    let mut wire = house.est(None).await;
    let reply = wire.ask(&head.body(" ".repeat(65536))).await.unwrap();
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(house.events(), before);
}

/// A client may send its body in chunks.
#[tokio::test]
async fn a_chunked_body_is_read() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let text = encode_base64(&request(&key()));
    let (one, two) = text.split_at(100);
    let body = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let ask = Ask::est("simpleenroll", b"").body(body).basic(id.as_str(), &token);
    let reply = house.ask(None, &ask.header("Transfer-Encoding", "chunked")).await;
    assert_eq!(reply.certificates().len(), 1);
}

/// E19.
#[tokio::test]
async fn the_type_must_be_pkcs10_in_any_case_and_with_any_parameter() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let csr = request(&key());
    let before = house.events();
    let with = async |kind: Option<&str>, token: &str| -> Reply {
        let ask = Ask::est("simpleenroll", &csr).basic(id.as_str(), token).without("Content-Type");
        let ask = match kind {
            Some(kind) => ask.header("Content-Type", kind),
            None => ask,
        };
        house.ask(None, &ask).await
    };
    for kind in [
        None,
        Some("application/pkcs7-mime"),
        Some("application/x-www-form-urlencoded"),
        Some("application/pkcs10x"),
        Some("text/plain; application/pkcs10"),
        Some(""),
    ] {
        let reply = with(kind, "vt_x").await;
        assert_eq!(reply.status, 415, "{kind:?}");
        assert!(reply.text().contains("application/pkcs10"), "{}", reply.text());
    }
    assert_eq!(house.events(), before);
    for kind in [
        "application/pkcs10",
        "Application/PKCS10",
        "application/pkcs10; charset=utf-8",
        "application/pkcs10 ;x=y",
    ] {
        let token = house.token(&id, "ldev").await;
        assert_eq!(with(Some(kind), &token).await.status, 200, "{kind}");
    }
}

/// libest reads base64 in lines only, all others on one line.
#[tokio::test]
async fn libest_alone_gets_lines() {
    let house = House::open().await;
    let ask = Ask::get("/.well-known/est/cacerts");
    let plain = house.ask(None, &ask).await.text();
    assert!(!plain.contains(['\n', '\r', ' ']));
    let other = house.ask(None, &ask.clone().header("User-Agent", "curl/8 libest")).await.text();
    assert_eq!(other, plain);
    let wrapped = house.ask(None, &ask.header("User-Agent", "libest 3.2.0p")).await.text();
    assert!(wrapped.lines().all(|line| line.len() <= 76));
    assert_eq!(wrapped.replace('\n', ""), plain);
}

/// B38: requests that could be framed in two ways are not answered as if they had one, whoever sends them.
#[tokio::test]
async fn doubtful_framing_is_refused() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let text = encode_base64(&request(&key()));
    let length = text.len();
    for framing in [
        format!("Content-Length: {length}\r\nContent-Length: {}\r\n", length - 4),
        format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: +{length}\r\n"),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
    ] {
        let token = house.token(&id, "ldev").await;
        let basic = STANDARD.encode(format!("{id}:{token}"));
        let before = house.events();
        let bytes = format!(
            "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n\
             Authorization: Basic {basic}\r\n{framing}\r\n{text}"
        );
        let mut wire = house.est(None).await;
        wire.send(bytes.as_bytes()).await.unwrap();
        assert_eq!(wire.reply().await.unwrap().status, 400, "{framing}");
        assert_eq!(house.events(), before, "{framing}");
    }
}

/// A body that stops coming is given up, and leaves the token as it was.
#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let house = House::with(|policy| {
        policy.replace("vitae.toml", "request-timeout = \"30s\"", "request-timeout = \"1s\"");
    })
    .await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
    let mut wire = house.est(None).await;
    let bytes = ask.bytes();
    wire.send(&bytes[..bytes.len() - 1]).await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 408);
    assert_eq!(house.ask(None, &ask).await.status, 200);
}
