//! The status door is open to everybody: what nobody should send it is refused or cut off, and all others are answered.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use vitae::ids::{Reason, Serial};
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, HashAlg};

use crate::process;
use crate::support::House;
use crate::support::ocsp::{Said, said};
use crate::support::wire::{self, Ask, Wire};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// All that comes back until the server closes. A connection that is reset in the middle has ended, too.
async fn told(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut all = Vec::new();
    let exchange = async {
        // The server may have seen enough before all is written.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut some = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut some).await {
            all.extend_from_slice(&some[..count]);
        }
    };
    timeout(LONG, exchange).await.expect("the connection ends");
    String::from_utf8_lossy(&all).into_owned()
}

fn statuses(text: &str) -> Vec<u16> {
    text.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)?.parse().ok()).collect()
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /ocsp HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}").into_bytes()
}

/// What nobody should send, and what it is.
fn abuse() -> Vec<(&'static str, Vec<u8>)> {
    let long = |text: &str| text.repeat(100_000 / text.len());
    let method = |method: &str| format!("{method} /ocsp HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
    let field =
        |field: &str| format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n").into_bytes();
    vec![
        ("octets", vec![0, 1, 2, 3, 0xff, 0xfe, b'\r', b'\n', b'\r', b'\n']),
        ("many octets", (0..200_000_u32).map(|n| n.wrapping_mul(7919).to_be_bytes()[2]).collect()),
        ("NULs", vec![0; 100_000]),
        ("TLS", [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 508]].concat()),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()),
        ("SMTP", b"EHLO example.org\r\nMAIL FROM:<a@example.org>\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /health\r\n\r\n".to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0".to_vec()),
        ("an unknown method", method("PROPFIND")),
        ("a small method", method("post")),
        ("a method with octets", method("P\0ST")),
        ("a method with a blank", method("PO ST")),
        ("an endless method", method(&long("A"))),
        (
            "CONNECT",
            b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n".to_vec(),
        ),
        ("OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TRACE", method("TRACE")),
        ("an endless path", get(&long("/ocsp"))),
        ("an endless question", get(&format!("/ocsp/{}", long("MFEw")))),
        ("an endless escape", get(&format!("/ocsp/{}", long("%2F")))),
        ("an endless name", get(&format!("/crl/{}/0.crl", long("a")))),
        ("a long name", get(&format!("/crl/{}/0.crl", "a".repeat(30_000)))),
        ("an endless query", get(&format!("/crl/root/0.crl?{}", long("a=b&")))),
        ("another server's path", get("//elsewhere.example/crl/root/0.crl")),
        ("a parent folder", get("/crl/../../keys/ca-root.key")),
        ("a parent folder, escaped", get("/crl/%2e%2e/%2e%2e/keys/ca-root.key")),
        ("a parent folder of another system", get("/ca/..\\..\\keys\\ca-root.cer")),
        ("a shard below none", get("/crl/root/-1.crl")),
        ("a shard beyond all", get("/crl/root/99999999999999999999999.crl")),
        ("a shard in words", get("/crl/root/0x0.crl")),
        ("an endless field", field(&format!("X: {}", long("a").repeat(3)))),
        ("many fields", field(&long("X: a\r\n"))),
        ("an endless host", field(&format!("Host: {}", long("a")))),
        (
            "two framings",
            post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /health HTTP/1.1\r\n"),
        ),
        ("an endless length", post("Content-Length: 18446744073709551616\r\n", "a")),
        ("a large length", post("Content-Length: 18446744073709551615\r\nExpect: 100-continue\r\n", "a")),
        ("an endless chunk", post("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFFF\r\na")),
        ("a chunk below none", post("Transfer-Encoding: chunked\r\n", "-1\r\na\r\n0\r\n\r\n")),
        (
            "a chunk with a long extension",
            post("Transfer-Encoding: chunked\r\n", &format!("1;{}\r\na", long("x"))),
        ),
        ("a large body", post("Content-Length: 100000\r\n", &long("a"))),
    ]
}

/// B23, O04: a refusal of the 4xx kind or the end of the connection, never an answer, an error of the server's own or a
/// redirect; and the door is as it was.
#[tokio::test]
async fn abuse_is_refused_or_cut_off() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let before = house.events();
    for (name, bytes) in abuse() {
        let answer = told(house.addresses.status.port(), &bytes).await;
        let statuses = statuses(&answer);
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{name}: {answer}");
        assert!(!answer.is_empty() || name == "HTTP/2", "{name}: no word");
        assert!(!answer.contains("\r\nLocation:"), "{name}: {answer}");
        assert_eq!(house.ocsp("operational", card.serial()).await, Said::Good, "after {name}");
    }
    assert_eq!(house.events(), before);
}

/// A request that ends anywhere before its end is not answered, and keeps nothing.
#[tokio::test]
async fn half_requests_are_dropped() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let question = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, None);
    let by_post = Ask::new("POST", "/ocsp").header("Content-Type", "application/ocsp-request").body(question);
    let by_get = Ask::get("/crl/root/0.crl");
    for whole in [by_post.bytes(), by_get.bytes()] {
        let mut asked = JoinSet::new();
        for end in 0..whole.len() {
            let (port, half) = (house.addresses.status.port(), whole[..end].to_vec());
            asked.spawn(async move { (end, told(port, &half).await) });
        }
        while let Some(done) = asked.join_next().await {
            let (end, answer) = done.unwrap();
            let statuses = statuses(&answer);
            assert!(statuses.iter().all(|status| (400..500).contains(status)), "{end} octets: {answer}");
        }
        assert_eq!(statuses(&told(house.addresses.status.port(), &whole).await), [200]);
    }
}

/// Many requests in one go: each has its own answer, in order, and none is mixed up with another's.
#[tokio::test]
async fn a_pipeline_is_answered_in_order() {
    let house = House::open().await;
    let (_, good) = house.working("BR000001").await;
    let (_, gone) = house.working("BR000002").await;
    house.revoke(gone.serial(), Reason::Superseded).await;
    let never = Serial::from_bytes([1; 16]);
    let mut pipeline = Vec::new();
    let mut expected = Vec::new();
    for round in 0..200_u16 {
        let (serial, said) =
            [(good.serial(), Said::Good), (gone.serial(), Said::Revoked(4)), (never, Said::Unknown)]
                [usize::from(round % 3)];
        let nonce = [round.to_be_bytes(), [7; 2]].concat();
        let nonce = (round % 2 == 0).then_some(&nonce[..]);
        let question = house.ocsp_request("operational", serial.as_bytes(), HashAlg::Sha256, nonce);
        let ask = match round % 4 {
            0 | 1 => Ask::new("POST", "/ocsp").body(question),
            _ => Ask::get(&format!("/ocsp/{}", STANDARD.encode(question))),
        };
        pipeline.extend(ask.bytes());
        expected.push((serial, said, nonce.map(<[u8]>::to_vec)));
    }
    let stream = TcpStream::connect(house.addresses.status).await.unwrap();
    let (read, mut write) = stream.into_split();
    // Nobody could write all of it first and read then.
    let writing = tokio::spawn(async move { write.write_all(&pipeline).await.map(|()| write) });
    let mut wire = Wire::over(tokio::io::join(read, tokio::io::sink()));
    for (number, (serial, says, nonce)) in expected.into_iter().enumerate() {
        let reply = timeout(LONG, wire.reply()).await.unwrap().unwrap();
        assert_eq!(reply.status, 200, "answer {number}");
        let response = house.verified("operational", &reply.body);
        let [single] = &response.singles[..] else { panic!("one answer to one question") };
        assert_eq!(
            (single.cert_id.own_serial(), said(&single.status)),
            (Some(serial), says),
            "answer {number}"
        );
        assert_eq!(response.nonce, nonce, "answer {number}");
    }
    writing.await.unwrap().unwrap();
}

/// RFC 9112 section 3.2.2: the absolute form is taken, for any host, and leads nowhere else than its path does; a slash
/// in its base64 stays one (B20 to B22).
#[tokio::test]
async fn the_absolute_form_is_its_path() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let question = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, None);
    let question = STANDARD.encode(question);
    for base in ["http://localhost", "http://elsewhere.example:1", "HTTP://[::1]", "https://localhost"] {
        for target in [
            format!("{base}/ocsp/{question}"),
            format!("{base}/ocsp//{question}"),
            format!("{base}//ocsp/{question}"),
        ] {
            let reply = house.status_door(&Ask::get(&target)).await;
            assert_eq!(reply.status, 200, "{target}: {}", reply.text());
            let response = house.verified("operational", &reply.body);
            assert_eq!(said(&response.singles[0].status), Said::Good, "{target}");
        }
        assert_eq!(house.status_door(&Ask::get(&format!("{base}/api/v1/log"))).await.status, 404, "{base}");
        assert_eq!(house.status_door(&Ask::get(base)).await.status, 404, "{base}");
    }
}

/// Ranges that ask for the same octets again and again bring no more than the file has (RFC 9110 section 14.2).
#[tokio::test]
async fn ranges_do_not_multiply() {
    let house = House::open().await;
    let whole = house.status_door(&Ask::get("/crl/root/0.crl")).await.body;
    for range in [
        format!("bytes={}0-", "0-,".repeat(1000)),
        format!("bytes={}", vec!["0-9"; 1000].join(",")),
        "bytes=99999999999999999999999-".to_owned(),
        "bytes=-99999999999999999999999".to_owned(),
        "bytes=9-0".to_owned(),
        "bytes=".to_owned(),
        "octets=0-1".to_owned(),
    ] {
        let reply = house.status_door(&Ask::get("/crl/root/0.crl").header("Range", &range)).await;
        assert!(matches!(reply.status, 200 | 206 | 416), "{range}: {}", reply.status);
        assert!(reply.body.len() <= whole.len(), "{range}: {} octets of {}", reply.body.len(), whole.len());
    }
}

/// Hundreds that write a letter now and then, or half a question and nothing more, hold up nobody, and are cut off.
#[tokio::test]
async fn slow_clients_hold_up_nobody() {
    let house = House::with(|policy| {
        policy.replace("vitae.toml", "header-timeout = \"10s\"", "header-timeout = \"1s\"");
        policy.replace("vitae.toml", "request-timeout = \"30s\"", "request-timeout = \"1s\"");
    })
    .await;
    let (_, card) = house.working("BR000001").await;
    let to = house.addresses.status;
    let mut slow = JoinSet::new();
    for number in 0..300 {
        slow.spawn(async move {
            let mut wire = wire::connect(to).await.unwrap();
            let head = "GET /ocsp/MFEwTzBNMEswSTAJBgUrDgMCGgUABBR HTTP/1.1\r\nHost: localhost\r\n";
            match number % 3 {
                0 => wire.send(&post("Content-Length: 100\r\n", "0")).await.unwrap(),
                1 => wire.send(&post("Transfer-Encoding: chunked\r\n", "40\r\n0")).await.unwrap(),
                _ => {
                    for letter in head.bytes() {
                        if wire.send(&[letter]).await.is_err() {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
            // Ended by the server, whatever it has to say.
            timeout(LONG, wire.rest()).await.is_ok()
        });
    }
    while !slow.is_empty() {
        let others = timeout(LONG, house.ocsp("operational", card.serial()));
        assert_eq!(others.await.expect("others are answered"), Said::Good);
        let ended = timeout(Duration::from_millis(10), slow.join_next()).await;
        assert!(!matches!(ended, Ok(Some(Ok(false)))), "a slow client keeps its connection");
    }
}

/// What a process has now: pages in memory, in kB, and open files.
#[cfg(target_os = "linux")]
fn holds(id: u32) -> (usize, usize) {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    (memory.unwrap().parse().unwrap(), std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count())
}

/// One storm of all that is above, and of questions about ever other certificates that were never issued.
#[cfg(target_os = "linux")]
async fn storm(port: u16, ca: &Certificate, number: u8) {
    let mut storm = JoinSet::new();
    for _ in 0..5 {
        for (_, bytes) in abuse() {
            storm.spawn(async move { drop(told(port, &bytes).await) });
        }
    }
    for _ in 0..200 {
        // Given up without a word, with half a head in between.
        storm.spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let _ = stream.write_all(&get("/crl/root/0.crl")[..20]).await;
        });
    }
    let key = ca.public_key().unwrap();
    for client in 0..8 {
        let mut pipeline = Vec::new();
        for question in 0..100 {
            let serial = [&[1, number, client, question][..], &[9; 12]].concat();
            let der = ocsp::request(ca.subject_der(), &key, &serial, HashAlg::Sha1, None).unwrap();
            pipeline.extend(Ask::new("POST", "/ocsp").body(der).bytes());
        }
        storm.spawn(async move {
            let answered = statuses(&told(port, &pipeline).await).len();
            assert_eq!(answered, 100);
        });
    }
    while let Some(done) = storm.join_next().await {
        done.unwrap();
    }
}

/// What the first storms leave behind is all that any number of them does: memory is bounded, every file is closed.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_abuse() {
    /// Far more than one storm of the same kind may add by the ways of the allocator, far less than its bytes.
    const SOME: usize = 16 * 1024;
    let house = process::House::ready();
    let server = house.serve();
    let ca = house.ca("operational");
    let (_, files) = holds(server.id());
    for number in 0..3 {
        storm(house.status, &ca, number).await;
    }
    let (before, _) = holds(server.id());
    for number in 3..9 {
        storm(house.status, &ca, number).await;
    }
    let (after, _) = holds(server.id());
    assert!(after < before + SOME, "{before} kB, then {after} kB");
    let closed = process::poll(process::PATIENCE, || (holds(server.id()).1 <= files).then_some(()));
    assert!(closed.is_some(), "{} open files, {files} before", holds(server.id()).1);
    assert_eq!(house.get("/health").unwrap().0, 200);
    server.stop();
}
