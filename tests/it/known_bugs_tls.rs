//! Faults that other servers had, at the edge of TLS: B16, B33, B39, B41.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;

use rcgen::CustomExtension;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, HandshakeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::csr::{Csr, EKU, SAN, key, request, san};
use crate::support::der::{extension, oid, seq, tlv};
use crate::support::maker::Maker;
use crate::support::wire::{self, Ask, Card};
use crate::support::{DAY, HOUR, House};

const AIA: &str = "1.3.6.1.5.5.7.1.1";
const CRLDP: &str = "2.5.29.31";
const FRESHEST_CRL: &str = "2.5.29.46";

/// Long enough for any machine, short enough to tell.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);

async fn house_of(maker: &Maker) -> House {
    House::with(|policy| policy.write("manufacturers/brannoc.pem", &maker.pem())).await
}

fn saying(kind: &str, value: Vec<u8>) -> CustomExtension {
    let arcs: Vec<u64> = kind.split('.').map(|arc| arc.parse().unwrap()).collect();
    CustomExtension::from_oid_content(&arcs, value)
}

fn renewal(card: &Card) -> Ask {
    Ask::est("simplereenroll", &Csr::of(&card.key).repeating(&card.certificate()).sign(&card.key))
}

/// B16: an extKeyUsage or subjectAltName without any content, or that is none at all, in a certificate that leads to an
/// anchor. Whether TLS lets it in or not, nobody falls over it, and an empty list of purposes is not any purpose.
#[tokio::test]
async fn empty_lists_in_a_client_certificate_break_nothing() {
    let maker = Maker::root("Brannoc Root");
    let house = house_of(&maker).await;
    house.register("BR000001", "deployment").await;
    for (case, kind, value) in [
        ("EKU empty", EKU, seq(&[])),
        ("EKU of no octet", EKU, Vec::new()),
        ("EKU that is a number", EKU, vec![2, 1, 1]),
        ("SAN empty", SAN, seq(&[])),
        ("SAN of no octet", SAN, Vec::new()),
        ("SAN with an empty name", SAN, seq(&[&tlv(0x86, &[])])),
        ("SAN without end", SAN, vec![0x30, 0x80]),
        ("AIA empty", AIA, seq(&[])),
        ("CRLDP with an empty point", CRLDP, seq(&[&seq(&[])])),
        ("CRLDP with empty reasons (B30)", CRLDP, seq(&[&seq(&[&[0x81, 1, 0]])])),
        ("basicConstraints of no octet", "2.5.29.19", Vec::new()),
        ("keyUsage of no octet", "2.5.29.15", vec![3, 0]),
    ] {
        let birth = maker.birth_saying("BR000001", vec![saying(kind, value)]);
        let reply = house.try_ask(Some(&birth), &Ask::est("simpleenroll", &request(&key()))).await;
        // The names of a birth certificate are not what is believed in it; its purposes count.
        let allowed: &[u16] = if kind == EKU { &[403] } else { &[200, 403] };
        assert!(reply.is_err() || reply.is_ok_and(|reply| allowed.contains(&reply.status)), "{case}");
        assert_eq!(house.ask(None, &Ask::get("/.well-known/est/cacerts")).await.status, 200, "{case}");
    }
    let birth = maker.birth("BR000001");
    assert_eq!(house.ask(Some(&birth), &Ask::est("simpleenroll", &request(&key()))).await.status, 200);
}

/// B33: a session that is resumed after its certificate has ended gives no right to go on.
#[tokio::test]
async fn a_session_resumed_after_expiry_gives_no_more_rights() {
    for version in [&TLS12, &TLS13] {
        // Without a grace: the server forgets a session long before the shipped one is over.
        let house = House::with(|policy| {
            policy.replace("profiles/ldev.toml", "grace = \"30d\"", "grace = \"0s\"");
        })
        .await;
        let (id, card) = house.working("BR000001").await;
        house.clock.set(card.certificate().not_after() - HOUR / 2);
        let tls = house.tls_of(Some(&card), &[version]);
        let mut first = wire::connect_tls(house.addresses.est, tls.clone()).await.unwrap();
        assert_eq!(first.ask(&Ask::get("/.well-known/est/cacerts")).await.unwrap().status, 200);
        let held = house.certificates_of(&id).len();
        house.clock.advance(HOUR);
        let mut second = wire::connect_tls(house.addresses.est, tls).await.unwrap();
        let fresh = key();
        let csr = Csr::of(&fresh).repeating(&card.certificate()).sign(&fresh);
        for operation in ["simplereenroll", "simpleenroll"] {
            let reply = second.ask(&Ask::est(operation, &csr)).await.unwrap();
            assert_eq!(reply.status, 403, "{operation}: {}", reply.text());
            assert!(reply.text().contains("expired"), "{operation}: {}", reply.text());
        }
        assert_eq!(second.stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        assert_eq!(house.certificates_of(&id).len(), held);
    }
}

/// B33: what one listener has remembered of a client, another one knows nothing of.
#[tokio::test]
async fn a_session_of_one_listener_is_nothing_to_another() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    for version in [&TLS12, &TLS13] {
        let tls = house.tls_of(Some(&card), &[version]);
        let cacerts = Ask::get("/.well-known/est/cacerts");
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut est = wire::connect_tls(house.addresses.est, tls.clone()).await.unwrap();
            assert_eq!(est.ask(&cacerts).await.unwrap().status, 200);
            assert_eq!(est.stream.get_ref().1.handshake_kind(), Some(expected), "{version:?}");
        }
        // A device is no operator: were its session known there, it would be let in without being looked at.
        let admin = wire::connect_tls(house.addresses.admin, tls).await;
        let answered = match admin {
            Ok(mut admin) => {
                assert_ne!(admin.stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
                admin.ask(&Ask::get("/api/v1/log")).await.is_ok()
            }
            Err(_) => false,
        };
        assert!(!answered, "{version:?}: the admin listener does not let devices in");
    }
}

/// A TLS client whose first flight is cut into records of its own choice.
struct Cutting {
    tls: ClientConnection,
    stream: TcpStream,
}

impl Cutting {
    async fn connect(house: &House, card: Option<&Card>) -> Self {
        let stream = TcpStream::connect(house.addresses.est).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let tls = ClientConnection::new(house.tls(card), "localhost".try_into().unwrap()).unwrap();
        Self { tls, stream }
    }

    /// The ClientHello, without the header of the one record it would go in.
    fn hello(&mut self) -> Vec<u8> {
        let mut record = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut record).unwrap();
        }
        assert_eq!((record[0], usize::from(record[3]) << 8 | usize::from(record[4])), (22, record.len() - 5));
        record.split_off(5)
    }

    async fn send(&mut self, record_type: u8, fragment: &[u8]) {
        let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        let record = [&[record_type, 3, 3][..], &length, fragment].concat();
        // The server may have had enough already.
        let _ = self.stream.write_all(&record).await;
    }

    /// Goes on as any client would. `None`: the server has closed.
    async fn finish(&mut self, ask: &Ask) -> Option<String> {
        self.tls.writer().write_all(&ask.bytes()).unwrap();
        let mut answer = Vec::new();
        loop {
            let mut out = Vec::new();
            while self.tls.wants_write() {
                self.tls.write_tls(&mut out).unwrap();
            }
            self.stream.write_all(&out).await.ok()?;
            let mut buffer = [0; 4096];
            let got = self.stream.read(&mut buffer).await.ok().filter(|got| *got > 0)?;
            let mut unread = &buffer[..got];
            while !unread.is_empty() {
                self.tls.read_tls(&mut unread).unwrap();
                let state = self.tls.process_new_packets().ok()?;
                let begun = answer.len();
                answer.resize(begun + state.plaintext_bytes_to_read(), 0);
                self.tls.reader().read_exact(&mut answer[begun..]).unwrap();
            }
            if answer.windows(4).any(|four| four == b"\r\n\r\n") {
                return Some(String::from_utf8_lossy(&answer).into_owned());
            }
        }
    }
}

/// B39: a ClientHello in pieces of any size, down to a record for each octet, is the same ClientHello.
#[tokio::test]
async fn a_client_hello_in_many_records_is_read() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    for size in [1, 2, 3, 5, 100, 1000] {
        let mut client = Cutting::connect(&house, Some(&card)).await;
        for fragment in client.hello().chunks(size) {
            client.send(22, fragment).await;
        }
        let answer = timeout(LONG, client.finish(&renewal(&card))).await.expect("an answer");
        assert!(answer.is_some_and(|head| head.starts_with("HTTP/1.1 200 ")), "pieces of {size}");
    }
}

/// B39: pieces that do not belong together, alerts between them, a goodbye in the middle: the connection ends, nobody
/// runs in circles, and the next client is served.
#[tokio::test]
async fn broken_client_hellos_end_their_connection_alone() {
    const HANDSHAKE: u8 = 22;
    const ALERT: u8 = 21;
    const DATA: u8 = 23;
    const CHANGE_CIPHER_SPEC: u8 = 20;
    let house = House::with(|policy| {
        policy.replace("vitae.toml", "handshake-timeout = \"10s\"", "handshake-timeout = \"1s\"");
    })
    .await;
    let goodbye: (u8, &[u8]) = (ALERT, &[1, 0]);
    type Between<'a> = (&'a str, Vec<(u8, &'a [u8])>);
    let cases: [Between<'_>; 8] = [
        ("a goodbye", vec![goodbye]),
        ("two goodbyes", vec![goodbye, goodbye]),
        ("a warning", vec![(ALERT, &[1, 90])]),
        ("half an alert", vec![(ALERT, &[1])]),
        ("data", vec![(DATA, b"GET / HTTP/1.1\r\n\r\n")]),
        ("a change of ciphers", vec![(CHANGE_CIPHER_SPEC, &[1])]),
        ("empty fragments", vec![(HANDSHAKE, &[]); 64]),
        ("a type that there is not", vec![(99, &[0; 99])]),
    ];
    let ask = Ask::get("/.well-known/est/cacerts");
    for (case, between) in cases {
        // Before the ClientHello, in its middle, and with nothing behind.
        for at in [0, 7, usize::MAX] {
            let mut client = Cutting::connect(&house, None).await;
            let hello = client.hello();
            let (front, rest) = hello.split_at(at.min(hello.len()));
            if !front.is_empty() {
                client.send(HANDSHAKE, front).await;
            }
            for (kind, fragment) in &between {
                client.send(*kind, fragment).await;
            }
            if !rest.is_empty() {
                client.send(HANDSHAKE, rest).await;
            }
            timeout(LONG, client.finish(&ask)).await.unwrap_or_else(|_| panic!("{case} at {at} never ends"));
            assert_eq!(house.ask(None, &ask).await.status, 200, "{case} at {at}: the next client");
        }
    }
    // A ClientHello that says it is 16 MB long.
    let mut client = Cutting::connect(&house, None).await;
    let mut hello = client.hello();
    hello[1..4].copy_from_slice(&[0xff; 3]);
    client.send(HANDSHAKE, &hello).await;
    assert_eq!(timeout(LONG, client.finish(&ask)).await.expect("an end"), None);
    assert_eq!(house.ask(None, &ask).await.status, 200);
}

/// The addresses in which a certificate can say where to ask about it.
fn pointers(url: &str) -> Vec<CustomExtension> {
    let uri = tlv(0x86, url.as_bytes());
    let access = |method: &str| seq(&[&oid(method), &uri]);
    let point = seq(&[&seq(&[&tlv(0xa0, &tlv(0xa0, &uri))])]);
    vec![
        saying(AIA, seq(&[&access("1.3.6.1.5.5.7.48.1"), &access("1.3.6.1.5.5.7.48.2")])),
        saying(CRLDP, point.clone()),
        saying(FRESHEST_CRL, point),
        saying("2.5.29.32", seq(&[&seq(&[&oid("1.2.3"), &seq(&[&policy_url(url)])])])),
    ]
}

fn policy_url(url: &str) -> Vec<u8> {
    seq(&[&oid("1.3.6.1.5.5.7.2.1"), &tlv(0x16, url.as_bytes())])
}

/// B41: no address in what a client presents is ever gone to: neither in a certificate that is accepted, nor in one whose
/// issuer would have to be fetched, nor in a request.
#[tokio::test]
async fn addresses_in_a_client_certificate_are_not_gone_to() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}/ca", trap.local_addr().unwrap());
    let maker = Maker::root("Brannoc Root");
    let house = house_of(&maker).await;
    house.register("BR000001", "deployment").await;

    let birth = maker.birth_saying("BR000001", pointers(&url));
    let fresh = key();
    let ask = Ask::est("simpleenroll", &request(&fresh));
    let certificate = house.ask(Some(&birth), &ask).await.certificate();
    let own = Card::new(&fresh, &certificate);

    // Its issuer is not sent along, and could be had there.
    let mut orphan = maker.intermediate("Brannoc Line 1").birth_saying("BR000001", pointers(&url));
    orphan.chain.truncate(1);
    assert!(house.try_ask(Some(&orphan), &ask).await.is_err());
    let stranger = Maker::root("Unknown Root").birth_saying("BR000001", pointers(&url));
    assert!(house.try_ask(Some(&stranger), &ask).await.is_err());

    let uri = tlv(0x86, url.as_bytes());
    let greedy = [
        san(&[tlv(0x86, b"urn:dev:ops:32473-P3-BR000001")]),
        extension(AIA, &seq(&[&seq(&[&oid("1.3.6.1.5.5.7.48.2"), &uri])])),
        extension(CRLDP, &seq(&[&seq(&[&tlv(0xa0, &tlv(0xa0, &uri))])])),
    ];
    let mut csr = Csr::of(&own.key).asking(&greedy);
    csr.subject = certificate.subject_der().to_vec();
    house.clock.advance(DAY);
    let reply = house.ask(Some(&own), &Ask::est("simplereenroll", &csr.sign(&own.key))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());

    // The server has stopped in good order and begun anew: nothing that it began is still under way.
    let house = house.reopened(|_| {}).await;
    assert_eq!(trap.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody came");
    let came = std::net::TcpStream::connect(trap.local_addr().unwrap()).unwrap();
    assert_eq!(trap.accept().unwrap().1, came.local_addr().unwrap(), "whoever comes is seen");
    drop(house);
}
