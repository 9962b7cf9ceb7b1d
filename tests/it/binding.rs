//! Requests that are tied to their TLS connection by a challengePassword (RFC 7030 section 3.5, RFC 9266, RFC 5929).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rustls::client::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConnection, HandshakeKind, KeyLog, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vitae::agent::{DeviceKey, EstClient, Identity, Trust};
use vitae::pki::certificate::Certificate;

use crate::support::House;
use crate::support::csr::{Csr, Key, attribute, key};
use crate::support::der::utf8;
use crate::support::wire::{self, Ask, Card, Reply, Wire};

const CHALLENGE_PASSWORD: &str = "1.2.840.113549.1.9.7";
const LABEL: &[u8] = b"EXPORTER-Channel-Binding";
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A request that claims to belong to a connection.
fn tied(key: &Key, challenge: &str) -> Csr {
    let mut csr = Csr::of(key);
    csr.attributes.push(attribute(CHALLENGE_PASSWORD, &[utf8(challenge)]));
    csr
}

fn exporter(connection: &ClientConnection, context: Option<&[u8]>) -> String {
    STANDARD.encode(connection.export_keying_material([0; 32], LABEL, context).unwrap())
}

type Door = Wire<TlsStream<TcpStream>>;

fn value_of(wire: &Door) -> String {
    exporter(wire.stream.get_ref().1, Some(b""))
}

/// Policy with another word about bindings in the profile for devices.
async fn house(policy: &'static str) -> House {
    House::with(|files| {
        let word = format!("channel-binding = \"{policy}\"");
        files.replace("profiles/ldev.toml", "channel-binding = \"optional\"", &word);
    })
    .await
}

/// A device that enrols by tokens, and how it does.
struct Unit<'a> {
    house: &'a House,
    id: vitae::ids::HolderId,
}

impl<'a> Unit<'a> {
    async fn new(house: &'a House, serial: &str) -> Self {
        Self { house, id: house.register(serial, "deployment").await }
    }

    async fn enrol<S>(&self, wire: &mut Wire<S>, csr: &[u8]) -> Reply
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let token = self.house.token(&self.id, "ldev").await;
        wire.ask(&Ask::est("simpleenroll", csr).basic(self.id.as_str(), &token)).await.unwrap()
    }

    /// Asks with this claim for a fresh key.
    async fn claim<S>(&self, wire: &mut Wire<S>, challenge: &str) -> Reply
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let key = key();
        self.enrol(wire, &tied(&key, challenge).sign(&key)).await
    }
}

fn assert_refused(reply: &Reply, text: &str) {
    // 400 is a status that libest knows, too.
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(reply.text().contains(text), "{}", reply.text());
}

/// E26, E28: with TLS 1.3 and 1.2, tls-exporter of this connection and no other's.
#[tokio::test]
async fn a_request_for_this_connection_is_taken_and_one_for_another_is_not() {
    let house = House::open().await;
    for (version, serial) in VERSIONS.into_iter().zip(["BR000001", "BR000002"]) {
        let unit = Unit::new(&house, serial).await;
        let connect =
            async || wire::connect_tls(house.addresses.est, house.tls_of(None, &[version])).await.unwrap();
        let (mut one, mut other) = (connect().await, connect().await);
        let (value, foreign) = (value_of(&one), value_of(&other));
        assert_ne!(value, foreign);
        let before = house.certificates_of(&unit.id).len();
        for wrong in [
            foreign.as_str(),
            "",
            "secret",
            &value.to_lowercase(),
            &format!(" {value}"),
            &STANDARD_NO_PAD.encode(STANDARD.decode(&value).unwrap()),
            &STANDARD.encode([0; 32]),
            // As long as tls-unique, which TLS 1.3 does not have.
            &STANDARD.encode([7; 12]),
        ] {
            assert_refused(
                &unit.claim(&mut one, wrong).await,
                "does not link the request to this connection",
            );
        }
        assert_refused(&unit.claim(&mut one, &format!("{value}\n")).await, "challenge password");
        assert_refused(&unit.claim(&mut one, &"A".repeat(256)).await, "longer than 255");
        assert_eq!(house.certificates_of(&unit.id).len(), before);
        let refused = unit.claim(&mut one, &foreign).await;
        assert!(refused.text().contains("or leave it out"), "{}", refused.text());
        assert_eq!(unit.claim(&mut one, &value).await.certificates().len(), 1);
        assert_eq!(unit.claim(&mut other, &foreign).await.certificates().len(), 1);
    }
}

/// RFC 9266 has the empty context, and what most tools export has none: under TLS 1.2 that makes two values.
#[tokio::test]
async fn under_tls_1_2_the_exporter_without_context_is_taken_too() {
    let house = House::open().await;
    let unit = Unit::new(&house, "BR000001").await;
    let tls = house.tls_of(None, &[&TLS12]);
    let mut wire = wire::connect_tls(house.addresses.est, tls).await.unwrap();
    let without = exporter(wire.stream.get_ref().1, None);
    assert_ne!(without, value_of(&wire));
    assert_eq!(unit.claim(&mut wire, &without).await.certificates().len(), 1);
}

/// E08, B33: a resumed session is a connection of its own.
#[tokio::test]
async fn a_resumed_session_has_a_value_of_its_own() {
    let house = House::open().await;
    for (version, serial) in VERSIONS.into_iter().zip(["BR000001", "BR000002"]) {
        let unit = Unit::new(&house, serial).await;
        let tls = house.tls_of(None, &[version]);
        let mut first = wire::connect_tls(house.addresses.est, tls.clone()).await.unwrap();
        let old = value_of(&first);
        assert_eq!(unit.claim(&mut first, &old).await.status, 200);
        let mut second = wire::connect_tls(house.addresses.est, tls).await.unwrap();
        assert_eq!(second.ask(&Ask::get("/.well-known/est/cacerts")).await.unwrap().status, 200);
        assert_eq!(second.stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        assert_refused(&unit.claim(&mut second, &old).await, "does not link");
        let new = value_of(&second);
        assert_eq!(unit.claim(&mut second, &new).await.certificates().len(), 1);
    }
}

/// E30: where it is required the text says so; whoever leaves it out or makes it up gets nothing.
#[tokio::test]
async fn where_binding_is_required_every_request_must_have_it() {
    let house = house("required").await;
    let unit = Unit::new(&house, "BR000001").await;
    let mut wire = house.est(None).await;
    let first = key();
    let plain = unit.enrol(&mut wire, &Csr::of(&first).sign(&first)).await;
    assert_refused(&plain, "must be linked to its connection");
    assert_refused(&unit.claim(&mut wire, "").await, "does not link");
    let wrong = unit.claim(&mut wire, "secret").await;
    assert_refused(&wrong, "does not link");
    assert!(!wrong.text().contains("leave it out"), "{}", wrong.text());
    let value = value_of(&wire);
    let reply = unit.enrol(&mut wire, &tied(&first, &value).sign(&first)).await;
    let card = Card::new(&first, &reply.certificate());

    // The same holds for a renewal.
    let next = key();
    let mut wire = house.est(Some(&card)).await;
    let plain = Csr::of(&next).repeating(&card.certificate()).sign(&next);
    let reply = wire.ask(&Ask::est("simplereenroll", &plain)).await.unwrap();
    assert_refused(&reply, "must be linked to its connection");
    for (challenge, status) in [(value, 400), (value_of(&wire), 200)] {
        let csr = tied(&next, &challenge).repeating(&card.certificate()).sign(&next);
        let reply = wire.ask(&Ask::est("simplereenroll", &csr)).await.unwrap();
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

/// E26: for clients that put something else there.
#[tokio::test]
async fn where_binding_is_ignored_anything_goes() {
    let house = house("ignored").await;
    let unit = Unit::new(&house, "BR000001").await;
    for challenge in ["", "secret", &"A".repeat(300)] {
        let mut wire = house.est(None).await;
        assert_eq!(unit.claim(&mut wire, challenge).await.certificates().len(), 1, "{challenge}");
    }
}

/// A repeated request is given what was issued only on the connection it was made for.
#[tokio::test]
async fn a_repeated_request_must_be_tied_anew() {
    let house = House::open().await;
    let unit = Unit::new(&house, "BR000001").await;
    let key = key();
    let mut wire = house.est(None).await;
    let csr = tied(&key, &value_of(&wire)).sign(&key);
    let issued = unit.enrol(&mut wire, &csr).await.certificate();
    let mut wire = house.est(None).await;
    assert_refused(&unit.enrol(&mut wire, &csr).await, "does not link");
    let csr = tied(&key, &value_of(&wire)).sign(&key);
    assert_eq!(unit.enrol(&mut wire, &csr).await.certificate().serial(), issued.serial());
}

/// A stranger learns no more than before, and leaves as little; a holder's refusal is in its history, once.
#[tokio::test]
async fn credentials_are_judged_before_the_binding() {
    let house = house("required").await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let key = key();
    let csr = tied(&key, "secret").sign(&key);
    let before = house.events();
    let ask = Ask::est("simpleenroll", &csr);
    assert_eq!(house.ask(None, &ask).await.status, 401);
    assert_eq!(house.ask(None, &ask.clone().basic(id.as_str(), "vt_x")).await.status, 401);
    assert_eq!(house.events(), before);
    for _ in 0..3 {
        assert_refused(&house.ask(None, &ask.clone().basic(id.as_str(), &token)).await, "does not link");
    }
    assert_eq!(house.events(), before + 1);
    let mut wire = house.est(None).await;
    let csr = tied(&key, &value_of(&wire)).sign(&key);
    let reply = wire.ask(&Ask::est("simpleenroll", &csr).basic(id.as_str(), &token)).await.unwrap();
    assert_eq!(reply.certificates().len(), 1, "the token is still good");
}

/// The client of this program ties its requests to the connection they go on.
#[tokio::test]
async fn the_agent_ties_its_requests() {
    let house = house("required").await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let trust = Trust::from_pem(&std::fs::read_to_string(house.dir().join("ca/chain.pem")).unwrap()).unwrap();
    let est = |identity: Option<&Identity>| {
        EstClient::new(house.addresses.est, "localhost", &trust, identity).unwrap()
    };
    let mut connection = est(None).connect().await.unwrap();
    let key = DeviceKey::generate().unwrap();
    let csr = key.request_on(&connection, Some("BR000001")).unwrap();
    let first = connection.enroll(None, &csr, Some((id.as_str(), &token))).await.unwrap();
    let identity = Identity { chain: vec![first.clone()], key: key.to_der() };
    let next = DeviceKey::generate().unwrap();
    let mut connection = est(Some(&identity)).connect().await.unwrap();
    let csr = next.renewal_on(&connection, &Certificate::from_der(&first).unwrap()).unwrap();
    let other = est(Some(&identity)).connect().await.unwrap().reenroll(None, &csr).await;
    assert!(other.is_err(), "made for another connection");
    connection.reenroll(None, &csr).await.unwrap();
    assert_eq!(house.certificates_of(&id).len(), 2);
}

/// What passed on a connection, by direction.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<(Vec<u8>, Vec<u8>)>>);

struct Recorder {
    stream: TcpStream,
    heard: Heard,
}

impl AsyncRead for Recorder {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.heard.0.lock().unwrap().1.extend_from_slice(&buffer.filled()[before..]);
        done
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = done {
            self.heard.0.lock().unwrap().0.extend_from_slice(&bytes[..count]);
        }
        done
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The last secret that rustls told of.
#[derive(Debug, Default)]
struct Secret(Mutex<Vec<u8>>);

impl KeyLog for Secret {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        assert_eq!(label, "CLIENT_RANDOM");
        *self.0.lock().unwrap() = secret.to_vec();
    }
}

/// The handshake messages in the clear of one direction (RFC 5246 sections 6.2.1 and 7.4).
fn messages(mut records: &[u8]) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    while records.len() >= 5 && records[0] == 22 {
        let end = 5 + usize::from(u16::from_be_bytes([records[3], records[4]]));
        bytes.extend_from_slice(&records[5..end]);
        records = &records[end..];
    }
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let end = 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        found.push(bytes.drain(..end).collect());
    }
    found
}

/// tls-unique as the client computes it: the client's Finished, or the server's when a session was resumed.
fn unique(heard: &Heard, secret: &[u8], suite: CipherSuite, is_resumed: bool) -> String {
    const SERVER_HELLO_DONE: u8 = 14;
    let (client, server) = heard.0.lock().unwrap().clone();
    let (client, server) = (messages(&client), messages(&server));
    let mut transcript = client[0].clone();
    for message in &server {
        transcript.extend_from_slice(message);
        if message[0] == SERVER_HELLO_DONE {
            break;
        }
    }
    let label: &[u8] = if is_resumed { b"server finished" } else { b"client finished" };
    if !is_resumed {
        transcript.extend(client[1..].concat());
    }
    let sha384 = format!("{suite:?}").ends_with("SHA384");
    let (digest, hmac) =
        if sha384 { (&digest::SHA384, hmac::HMAC_SHA384) } else { (&digest::SHA256, hmac::HMAC_SHA256) };
    let seed = [label, digest::digest(digest, &transcript).as_ref()].concat();
    let key = hmac::Key::new(hmac, secret);
    let first = hmac::sign(&key, &seed);
    STANDARD.encode(&hmac::sign(&key, &[first.as_ref(), &seed].concat()).as_ref()[..12])
}

async fn connect_recorded(
    house: &House,
    tls: &ClientConfig,
) -> (Wire<TlsStream<Recorder>>, String, HandshakeKind) {
    let (secret, heard) = (Arc::new(Secret::default()), Heard::default());
    let mut tls = tls.clone();
    tls.key_log = secret.clone();
    let stream = TcpStream::connect(house.addresses.est).await.unwrap();
    let recorder = Recorder { stream, heard: heard.clone() };
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, recorder).await.unwrap();
    let connection = stream.get_ref().1;
    let kind = connection.handshake_kind().unwrap();
    let suite = connection.negotiated_cipher_suite().unwrap().suite();
    let value = unique(&heard, &secret.0.lock().unwrap(), suite, kind == HandshakeKind::Resumed);
    (Wire::over(stream), value, kind)
}

/// E25, E27: tls-unique under TLS 1.2, with and without a client certificate, whoever finishes first.
#[tokio::test]
async fn tls_unique_is_verified_under_tls_1_2() {
    let house = House::open().await;
    let unit = Unit::new(&house, "BR000001").await;
    let tls = house.tls_of(None, &[&TLS12]);
    let (mut first, value, kind) = connect_recorded(&house, &tls).await;
    assert_eq!((kind, value.len()), (HandshakeKind::Full, 16));
    let mine = key();
    let reply = unit.enrol(&mut first, &tied(&mine, &value).sign(&mine)).await;
    let card = Card::new(&mine, &reply.certificate());

    let with_card = house.tls_of(Some(&card), &[&TLS12]);
    let (mut renewal, of_renewal, kind) = connect_recorded(&house, &with_card).await;
    assert_eq!(kind, HandshakeKind::Full);
    let next = key();
    let csr = tied(&next, &of_renewal).repeating(&card.certificate()).sign(&next);
    let reply = renewal.ask(&Ask::est("simplereenroll", &csr)).await.unwrap();
    assert_eq!(reply.certificates().len(), 1);

    let (mut second, again, kind) = connect_recorded(&house, &tls).await;
    assert_eq!(kind, HandshakeKind::Resumed);
    assert_refused(&unit.claim(&mut second, &value).await, "does not link");
    assert_eq!(unit.claim(&mut second, &again).await.certificates().len(), 1);
}
