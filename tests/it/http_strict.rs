//! HTTP as RFC 9112 has it, byte by byte, on every listener: what two readers could understand in two ways is refused.

use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::House;
use crate::support::csr::{key, request};
use crate::support::wire::{self, Ask, Card, Reply};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Door {
    Est,
    Status,
    Admin,
}

const DOORS: [Door; 3] = [Door::Est, Door::Status, Door::Admin];

impl Door {
    /// Something that this door answers without credentials, and how.
    fn known(self) -> (&'static str, u16) {
        match self {
            Self::Est => ("/.well-known/est/cacerts", 200),
            Self::Status => ("/health", 200),
            Self::Admin => ("/api/v1/log", 401),
        }
    }

    /// Sends bytes and gives all that comes back, up to a clean end.
    async fn told(self, house: &House, bytes: &[u8]) -> String {
        let answer = async {
            match self {
                Self::Status => {
                    let mut wire = wire::connect(house.addresses.status).await?;
                    wire.send(bytes).await?;
                    wire.rest().await
                }
                Self::Est | Self::Admin => {
                    let to = if self == Self::Est { house.addresses.est } else { house.addresses.admin };
                    let mut wire = wire::connect_tls(to, house.tls(None)).await?;
                    wire.send(bytes).await?;
                    wire.rest().await
                }
            }
        };
        let answer = timeout(LONG, answer).await.expect("the connection ends");
        let sent = String::from_utf8_lossy(bytes);
        String::from_utf8(answer.unwrap_or_else(|error| panic!("{self:?} {sent} {error}"))).unwrap()
    }
}

fn answers(text: &str) -> Vec<u16> {
    text.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)?.parse().ok()).collect()
}

/// B38: one 400, the end of the connection, and nothing of what could hide behind it.
#[tokio::test]
async fn what_has_two_readings_is_refused() {
    let house = House::open().await;
    let before = house.events();
    for door in DOORS {
        let (path, status) = door.known();
        let hidden = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let of = |fields: &str| {
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n0\r\n\r\n{hidden}")
        };
        let get = |fields: &str| format!("GET {path} HTTP/1.1\r\n{fields}\r\n{hidden}");
        for (name, doubtful) in [
            ("two framings", of("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
            ("two framings", of("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
            ("two framings", of("Transfer-Encoding: chunked\r\nContent-Length: 500\r\n")),
            ("two lengths", of("Content-Length: 5\r\nContent-Length: 6\r\n")),
            ("the same length twice", of("Content-Length: 5\r\nContent-Length: 5\r\n")),
            ("a list of lengths", of("Content-Length: 5, 5\r\n")),
            ("a sign", of("Content-Length: +5\r\n")),
            ("a sign", of("Content-Length: -5\r\n")),
            ("no number", of("Content-Length: 0x5\r\n")),
            ("no number", of("Content-Length:\r\n")),
            ("a number without end", of("Content-Length: 99999999999999999999999\r\n")),
            ("chunks in chunks", of("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
            ("an unknown coding", of("Transfer-Encoding: gzip, chunked\r\n")),
            ("an unknown coding", of("Transfer-Encoding: xchunked\r\n")),
            ("chunked is not the last", of("Transfer-Encoding: chunked, identity\r\n")),
            ("a blank before the colon", of("Content-Length : 5\r\n")),
            ("a folded line", of("X: y\r\n Content-Length: 5\r\n")),
            ("a line without a colon", of("Content-Length\r\n")),
            ("NUL in a value", of("X: a\0b\r\n")),
            ("NUL in a name", of("X\0: a\r\n")),
            ("a bare CR", of("X: a\rContent-Length: 5\r\n")),
            ("a bare LF", of("X: a\nContent-Length: 5\r\n")),
            ("bare LFs alone", format!("GET {path} HTTP/1.1\nHost: localhost\n\n{hidden}")),
            (
                "chunks in HTTP/1.0",
                format!("POST {path} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
            ),
            ("no host", get("")),
            ("two hosts", get("Host: localhost\r\nHost: localhost\r\n")),
            ("two other hosts", get("Host: localhost\r\nhost: elsewhere\r\n")),
            ("no host's name", get("Host: local/host\r\n")),
            ("a user in the host", get("Host: user@localhost\r\n")),
            ("an unknown version", format!("GET {path} HTTP/3.0\r\nHost: localhost\r\n\r\n{hidden}")),
            ("no version", format!("GET {path}\r\n\r\n{hidden}")),
            ("a blank in the path", format!("GET {path} x HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}")),
            ("NUL in the path", format!("GET {path}\0 HTTP/1.1\r\nHost: localhost\r\n\r\n{hidden}")),
        ] {
            let answer = door.told(&house, doubtful.as_bytes()).await;
            assert_eq!(answers(&answer), [400], "{door:?}, {name}: {answer}");
        }
        // Undoubted, the same is answered twice.
        let plain = get("Host: localhost\r\n");
        assert_eq!(answers(&door.told(&house, plain.as_bytes()).await), [status; 2], "{door:?}");
    }
    assert_eq!(house.events(), before);
}

/// A refusal at this level says why.
#[tokio::test]
async fn a_doubtful_request_is_told_why() {
    let house = House::open().await;
    let ask = Ask::est("simpleenroll", b"x").header("Content-Length", "4");
    let ask =
        Ask { headers: [ask.headers, vec![("Transfer-Encoding".into(), "chunked".into())]].concat(), ..ask };
    let reply = house.ask(None, &ask).await;
    assert_eq!((reply.status, reply.header("content-type")), (400, Some("text/plain")));
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(reply.text().contains("Transfer-Encoding may have no Content-Length"), "{}", reply.text());
}

/// E11: requests follow each other on a connection, bodies and blank lines between them or not.
#[tokio::test]
async fn requests_follow_each_other() {
    let house = House::open().await;
    let unit = house.register("BR000001", "deployment").await;
    let token = house.token(&unit, "ldev").await;
    let enroll = Ask::est("simpleenroll", &request(&key())).basic(unit.as_str(), &token);
    let stranger = Ask::est("simpleenroll", &request(&key()));
    let cacerts = Ask::get("/.well-known/est/cacerts");
    let last = cacerts.clone().header("Connection", "close");
    let all = [&stranger, &cacerts, &enroll, &stranger, &last].map(Ask::bytes).join(&b"\r\n"[..]);
    let answer = Door::Est.told(&house, &all).await;
    assert_eq!(answers(&answer), [401, 200, 200, 401, 200], "{answer}");
}

/// What comes behind a chunked body is not answered: only hyper knows where that would begin.
#[tokio::test]
async fn a_chunked_request_is_the_last_of_its_connection() {
    let house = House::open().await;
    let unit = house.register("BR000001", "deployment").await;
    let token = house.token(&unit, "ldev").await;
    let body = vitae::pki::body::encode_base64(&request(&key()));
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let ask = Ask::est("simpleenroll", b"").basic(unit.as_str(), &token).body(chunks);
    let ask = ask.header("Transfer-Encoding", "chunked");
    let both = [ask.bytes(), Ask::get("/.well-known/est/cacerts").bytes()].concat();
    let answer = Door::Est.told(&house, &both).await;
    assert_eq!(answers(&answer), [200]);
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
}

/// RFC 9112 section 3.2.2 wants servers to take the absolute form. It leads nowhere else than its path does.
#[tokio::test]
async fn every_form_of_target_is_understood() {
    let house = House::open().await;
    for (target, status) in [
        ("https://localhost/.well-known/est/cacerts", 200),
        ("https://elsewhere.example:1/.well-known/est/cacerts", 200),
        ("http://localhost/.well-known/est/cacerts", 200),
        ("/.well-known/est/cacerts?x=y", 200),
        ("https://localhost/api/v1/log", 404),
        ("https://localhost", 404),
        ("*", 404),
        ("localhost:443", 404),
    ] {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let text = format!("GET {target} {version}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let answer = Door::Est.told(&house, text.as_bytes()).await;
            assert_eq!(answers(&answer), [status], "{target} {version}: {answer}");
        }
    }
    for line in ["CONNECT localhost:443 HTTP/1.1", "OPTIONS * HTTP/1.1"] {
        let ask = Ask { line: line.to_owned(), ..Ask::get("") };
        assert_eq!(house.ask(None, &ask).await.status, 404, "{line}");
    }
}

/// Clients of HTTP/1.0 name no host, and get an answer with a length and an end.
#[tokio::test]
async fn http_1_0_is_answered() {
    let house = House::open().await;
    for door in DOORS {
        let (path, status) = door.known();
        let answer = door.told(&house, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await;
        assert_eq!(answers(&answer), [status], "{door:?}");
        assert!(answer.to_ascii_lowercase().contains("\r\ncontent-length: "), "{answer}");
    }
    let unit = house.register("BR000001", "deployment").await;
    let token = house.token(&unit, "ldev").await;
    let ask = Ask::est("simpleenroll", &request(&key())).basic(unit.as_str(), &token);
    let ask = Ask { line: ask.line.replace("HTTP/1.1", "HTTP/1.0"), ..ask };
    assert_eq!(house.ask(None, &ask).await.certificates().len(), 1);
}

/// HTTP/2 is not spoken, and that is said by a clean end.
#[tokio::test]
async fn http_2_meets_a_clean_end() {
    let house = House::open().await;
    for door in DOORS {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        assert_eq!(door.told(&house, preface).await, "", "{door:?}");
        let slow = door.told(&house, &preface[..10]);
        assert!(timeout(Duration::from_millis(100), slow).await.is_err(), "it may still be something else");
    }
}

/// Reads an answer record by record; gives the plaintext of each that has any.
async fn records(house: &House, version: &'static SupportedProtocolVersion, ask: &Ask) -> Vec<Vec<u8>> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(house.tls_of(None, &[version]), name).unwrap();
    let mut stream = TcpStream::connect(house.addresses.est).await.unwrap();
    let mut asked = false;
    let mut found = Vec::new();
    loop {
        if !asked && !tls.is_handshaking() {
            std::io::Write::write_all(&mut tls.writer(), &ask.bytes()).unwrap();
            asked = true;
        }
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).unwrap();
        }
        stream.write_all(&out).await.unwrap();
        let mut record = vec![0; 5];
        if stream.read_exact(&mut record).await.is_err() {
            return found;
        }
        let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
        record.resize(5 + length, 0);
        stream.read_exact(&mut record[5..]).await.unwrap();
        tls.read_tls(&mut record.as_slice()).unwrap();
        let state = tls.process_new_packets().unwrap();
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        if !plain.is_empty() {
            std::io::Read::read_exact(&mut tls.reader(), &mut plain).unwrap();
            found.push(plain);
        }
    }
}

/// E22: strongSwan looks for the whole head in the first 1,024 octets of its first read, which is one record at most.
/// libest takes 16 header fields.
#[tokio::test]
async fn a_head_comes_in_one_record_with_the_body_behind_it() {
    let house = House::open().await;
    let enroll = Ask::est("simpleenroll", &request(&key()));
    let id = house.register("BR000001", "deployment").await;
    for version in [&TLS12, &TLS13] {
        let token = house.token(&id, "ldev").await;
        for (status, ask) in [
            (200, Ask::get("/.well-known/est/cacerts")),
            (200, Ask::get("/.well-known/est/cacerts").header("User-Agent", "libest 3.2.0p")),
            (200, enroll.clone().basic(id.as_str(), &token)),
            (401, enroll.clone()),
            (404, Ask::get("/")),
            (405, Ask::get("/.well-known/est/simpleenroll")),
            (415, enroll.clone().basic("", "vt_x").without("Content-Type")),
            (400, Ask::get("/.well-known/est/cacerts").header("Transfer-Encoding", "gzip")),
            (400, Ask::get("/.well-known/est/cacerts").header("Content-Length", "+1")),
        ] {
            let records = records(&house, version, &ask.header("Connection", "close")).await;
            let first = &records[0];
            let end = first.windows(4).position(|four| four == b"\r\n\r\n").expect("all of the head") + 4;
            assert!(end < 1024, "{}", String::from_utf8_lossy(&first[..end]));
            let head = String::from_utf8(first[..end].to_vec()).unwrap();
            assert_eq!(answers(&head), [status], "{head}");
            let fields: Vec<&str> = head.lines().skip(1).filter(|line| !line.is_empty()).collect();
            assert!(fields.len() <= 16, "{head}");
            assert!(
                fields.iter().all(|field| field.starts_with(|first: char| first.is_ascii_uppercase())),
                "{head}"
            );
            assert!(!head.to_ascii_lowercase().contains("\r\ntransfer-encoding:"), "{head}");
            let all: usize = records.iter().map(Vec::len).sum();
            assert!(all == end || first.len() > end, "the body begins in the same record");
        }
    }
}

/// E11, E16: what libest writes, and what it reads: a close after each answer, lines of at most 76 columns.
#[tokio::test]
async fn libest_is_answered_as_it_reads() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let key = key();
    let lines = |der: &[u8]| {
        let text = vitae::pki::body::encode_base64(der).into_bytes();
        text.chunks(64).map(|line| [line, b"\n"].concat()).collect::<Vec<_>>().concat()
    };
    let as_libest = async |card: Option<&Card>, ask: Ask| -> Reply {
        let ask =
            ask.header("User-Agent", "libest 3.2.0p").header("Connection", "close").header("Accept", "*/*");
        let mut wire = house.est(card).await;
        let reply = wire.ask(&ask).await.unwrap();
        assert!(wire.is_closed().await);
        reply
    };
    let first = Ask::est("simpleenroll", b"").body(lines(&request(&key)));
    let challenged = as_libest(None, first.clone()).await;
    assert_eq!(challenged.status, 401);
    assert!(challenged.head.contains("\r\nWWW-Authenticate: Basic "), "{}", challenged.head);
    let token = house.token(&id, "ldev").await;
    let reply = as_libest(None, first.basic(id.as_str(), &token)).await;
    assert!(
        reply.head.contains("\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n"),
        "{}",
        reply.head
    );
    assert!(
        reply.text().lines().count() > 1 && reply.text().lines().all(|line| line.len() <= 76),
        "{}",
        reply.text()
    );
    let card = Card::new(&key, &reply.certificate());
    let renewal = crate::support::csr::Csr::of(&key).repeating(&card.certificate()).sign(&key);
    let reply = as_libest(Some(&card), Ask::est("simplereenroll", b"").body(lines(&renewal))).await;
    assert_eq!(reply.certificates().len(), 1);
}
