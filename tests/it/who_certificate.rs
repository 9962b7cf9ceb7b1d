//! Who asks, by a certificate of ours: revoked, on hold, expired, future, forged (E23, E33, B01, B02, B04, B05, B19, B33).

use rcgen::DnType;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use vitae::authority::{EnrolRequest, Failed, PresentedChain};
use vitae::fleet::enrol::{Bindings, ClientCertificate, Refusal};
use vitae::ids::Reason;
use vitae::pki::csr::VerifiedCsr;

use crate::support::csr::{Csr, key, request};
use crate::support::maker::Maker;
use crate::support::wire::{self, Ask, Card};
use crate::support::{DAY, HOUR, House};

const LABELS: [&str; 9] = ["", "idev/", "ldev/", "tls/", "remed/", "maint/", "update/", "svc/", "ra/"];

fn renewal(card: &Card) -> Vec<u8> {
    Csr::of(&card.key).repeating(&card.certificate()).sign(&card.key)
}

/// B01, B02: at once, on every label, to enrol and to renew.
#[tokio::test]
async fn a_revoked_or_held_certificate_is_refused_on_every_route() {
    let house = House::open().await;
    for (serial, reason, word) in
        [("BR000001", Reason::KeyCompromise, "revoked"), ("BR000002", Reason::CertificateHold, "on hold")]
    {
        let (id, card) = house.working(serial).await;
        house.revoke(card.serial(), reason).await;
        let before = house.events();
        for label in LABELS {
            for operation in ["simpleenroll", "simplereenroll"] {
                let ask = Ask::est(&format!("{label}{operation}"), &renewal(&card));
                let reply = house.ask(Some(&card), &ask).await;
                assert_eq!(reply.status, 403, "{label}{operation}: {}", reply.text());
                assert!(reply.text().contains(word), "{label}{operation}: {}", reply.text());
            }
        }
        assert_eq!(house.events(), before + 1, "one refusal is recorded, not eighteen");
        assert_eq!(house.certificates_of(&id).len(), 1);
        assert!(house.told(&id).iter().any(|what| what.contains("certificate-not-good")));
    }
}

/// B01: the same for a birth certificate, which is what enrols.
#[tokio::test]
async fn a_revoked_birth_certificate_enrols_nothing() {
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    house.revoke(birth.serial(), Reason::KeyCompromise).await;
    let reply = house.ask(Some(&birth), &Ask::est("simpleenroll", &request(&key()))).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert_eq!(house.certificates_of(&id).len(), 1);
    // A good token beside it changes nothing about the token: the operator gave leave to enrol anew.
    let token = house.token(&id, "ldev").await;
    let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
    assert_eq!(house.ask(None, &ask).await.status, 200);
}

/// B33: what the handshake once accepted is judged again on each request.
#[tokio::test]
async fn a_connection_that_is_open_already_gives_no_more_rights() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let mut wire = house.est(Some(&card)).await;
    let ask = Ask::est("simplereenroll", &renewal(&card));
    assert_eq!(wire.ask(&ask).await.unwrap().status, 200);
    house.revoke(card.serial(), Reason::Superseded).await;
    let reply = wire.ask(&ask).await.unwrap();
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("revoked"), "{}", reply.text());
}

/// B33: nor does a session that is resumed.
#[tokio::test]
async fn a_resumed_session_gives_no_more_rights() {
    let house = House::open().await;
    for (serial, version) in [("BR000001", &TLS12), ("BR000002", &TLS13)] {
        let (_, card) = house.working(serial).await;
        let tls = house.tls_of(Some(&card), &[version]);
        let ask = Ask::est("simplereenroll", &renewal(&card));
        let mut first = wire::connect_tls(house.addresses.est, tls.clone()).await.unwrap();
        assert_eq!(first.ask(&ask).await.unwrap().status, 200);
        house.revoke(card.serial(), Reason::KeyCompromise).await;
        let mut second = wire::connect_tls(house.addresses.est, tls).await.unwrap();
        let reply = second.ask(&ask).await.unwrap();
        assert_eq!(second.stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert!(reply.text().contains("revoked"), "{}", reply.text());
    }
}

/// E33: expired longer ago than it may be renewed, on a new connection and on an open one; the way out is told.
#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    let mut open = house.est(Some(&card)).await;
    assert_eq!(open.ask(&Ask::get("/.well-known/est/cacerts")).await.unwrap().status, 200);
    house.clock.set(card.certificate().not_after());
    let last_second = house.ask(Some(&card), &Ask::est("simplereenroll", &renewal(&card))).await;
    assert_eq!(last_second.status, 200, "its last second is one of its own: {}", last_second.text());
    let renewed = Card::new(&card.key, &last_second.certificate());
    house.clock.set(renewed.certificate().not_after() + 30 * DAY + std::time::Duration::from_secs(1));
    // The listeners' certificate does not live for as long.
    house.authority.upkeep().await.unwrap();
    let before = house.certificates_of(&id).len();
    for operation in ["simplereenroll", "simpleenroll"] {
        let ask = Ask::est(operation, &renewal(&card));
        for reply in [open.ask(&ask).await.unwrap(), house.ask(Some(&card), &ask).await] {
            assert_eq!(reply.status, 403, "{operation}: {}", reply.text());
            assert!(reply.text().contains("expired"), "{operation}: {}", reply.text());
            assert!(reply.text().contains("birth certificate or a token"), "{}", reply.text());
        }
    }
    assert_eq!(house.certificates_of(&id).len(), before);
}

/// B04: what is not valid yet is not good either, however lenient one is with what has expired.
#[tokio::test]
async fn a_future_certificate_is_refused() {
    let house = House::open().await;
    house.clock.advance(2 * DAY);
    let (id, card) = house.working("BR000001").await;
    let tls = house.tls(Some(&card));
    house.clock.set(card.certificate().not_before() - HOUR);
    for operation in ["simplereenroll", "simpleenroll"] {
        let mut wire = wire::connect_tls(house.addresses.est, tls.clone()).await.unwrap();
        let reply = wire.ask(&Ask::est(operation, &renewal(&card))).await.unwrap();
        assert_eq!(reply.status, 403, "{operation}: {}", reply.text());
        assert!(reply.text().contains("not valid yet"), "{}", reply.text());
    }
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// B19: a CA with our names and another key is nobody; TLS does not let its clients in.
#[tokio::test]
async fn a_self_made_ca_with_our_names_is_nobody() {
    let house = House::open().await;
    let (id, genuine) = house.born("BR000001").await;
    let before = house.events();
    for name in ["Vitae Birth CA", "Vitae Operational CA", "Vitae Root CA"] {
        let own = [(DnType::OrganizationName, "Vitae"), (DnType::CommonName, name)];
        let forged = Maker::impostor(&own).birth("BR000001");
        for operation in ["simpleenroll", "simplereenroll"] {
            let ask = Ask::est(operation, &request(&forged.key));
            assert!(house.try_ask(Some(&forged), &ask).await.is_err(), "{name} {operation}");
        }
        // Had TLS let it in, the record would not know it.
        let chain = PresentedChain::proven_by_handshake(forged.chain.clone());
        match house.authority.credentials(Some(&chain), None).certificate {
            Some(ClientCertificate::Own { fingerprint, .. }) => {
                assert_ne!(fingerprint, genuine.certificate().fingerprint());
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // The genuine certificate with another key proves nothing either.
    let stolen = Card { key: key(), chain: genuine.chain.clone() };
    let ask = Ask::est("simpleenroll", &request(&stolen.key));
    assert!(house.try_ask(Some(&stolen), &ask).await.is_err());
    assert_eq!(house.events(), before);
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// Whom TLS does not let in can read why, even if a request was sent behind the handshake, as TLS 1.3 allows.
#[tokio::test]
async fn who_is_not_let_in_is_told_by_an_alert() {
    let house = House::open().await;
    let unknown = Maker::root("Unknown Maker Root").birth("BR000001");
    let tls = house.tls_of(Some(&unknown), &[&TLS13]);
    let mut wire = wire::connect_tls(house.addresses.est, tls).await.unwrap();
    let body = vec![b'A'; 60_000];
    let ask = Ask::est("simpleenroll", b"").body(body.clone()).bytes();
    wire.send(&ask[..ask.len() - body.len()]).await.unwrap();
    wire.stream.get_ref().0.readable().await.unwrap();
    for piece in body.chunks(1000) {
        wire.send(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let error = wire.head().await.unwrap_err().to_string();
    assert!(error.contains("received fatal alert"), "{error}");
}

/// B19 behind TLS: issuer name, serial number and subject of a genuine certificate under another key. The record holds
/// every byte of what was issued against it.
#[tokio::test]
async fn a_forged_copy_is_not_what_was_issued() {
    let house = House::open().await;
    let (id, genuine) = house.born("BR000001").await;
    let before = house.events();
    let own = [(DnType::OrganizationName, "Vitae"), (DnType::CommonName, "Vitae Birth CA")];
    let forged = Maker::impostor(&own).forge(&genuine.certificate());
    assert_eq!(forged.certificate().issuer(), genuine.certificate().issuer());
    let chain = PresentedChain::proven_by_handshake(forged.chain.clone());
    let credentials = house.authority.credentials(Some(&chain), None);
    let Some(ClientCertificate::Own { serial, .. }) = credentials.certificate else {
        panic!("{credentials:?}");
    };
    assert_eq!(serial, Some(genuine.serial()), "as good a copy as there can be");
    let csr = VerifiedCsr::from_der(&request(&key())).unwrap();
    for (label, renewal) in [("ldev", false), ("tls", false), ("idev", false), ("idev", true)] {
        let profile = house.authority.profile_of_label(Some(label)).unwrap();
        let request = EnrolRequest {
            profile,
            renewal,
            requested: csr.requested(),
            key: csr.public_key(),
            credentials: &credentials,
            bindings: &Bindings::default(),
            server_key: false,
            source: None,
        };
        let refused = house.authority.enrol(request).await.unwrap_err();
        assert_eq!(refused, Failed::Refused(Refusal::UnknownCertificate), "{label}");
    }
    assert_eq!(house.events(), before);
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// A certificate of an unknown maker, and one of our service CA that is for servers, are not let in.
#[tokio::test]
async fn certificates_of_nobody_known_are_not_let_in() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let before = house.events();
    let unknown = Maker::root("Unknown Maker Root").birth("BR000001");
    let ask = Ask::est("simpleenroll", &request(&unknown.key));
    assert!(house.try_ask(Some(&unknown), &ask).await.is_err());
    // cacerts too: a client that shows a bad certificate gets no connection at all.
    assert!(house.try_ask(Some(&unknown), &Ask::get("/.well-known/est/cacerts")).await.is_err());
    assert_eq!(house.events(), before);
    let server = house.enrolled(&id, "tls").await;
    let reply = house.ask(Some(&server), &Ask::est("simpleenroll", &request(&key()))).await;
    assert_eq!(reply.status, 403, "a server's certificate enrols nothing: {}", reply.text());
}

/// E39, B05: a certificate renews at its own label only, and stays as it is when it tries elsewhere.
#[tokio::test]
async fn a_certificate_renews_at_its_own_label_only() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    for label in ["tls", "remed", "maint", "idev", "svc", "update"] {
        let reply =
            house.ask(Some(&card), &Ask::est(&format!("{label}/simplereenroll"), &renewal(&card))).await;
        assert_eq!(reply.status, 403, "{label}: {}", reply.text());
        assert!(reply.text().contains("ldev"), "{label}: the right label is told: {}", reply.text());
    }
    assert_eq!(house.status_of(card.serial()), "good");
    assert_eq!(house.certificates_of(&id).len(), 1);
    assert_eq!(house.ask(Some(&card), &Ask::est("ldev/simplereenroll", &renewal(&card))).await.status, 200);
}

/// Two reasons in turn are no way round the rule that a refusal is recorded once an hour (B54).
#[tokio::test]
async fn refusals_in_turn_do_not_fill_the_log() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let before = house.events();
    let mut wire = house.est(Some(&card)).await;
    let csr = request(&key());
    for _ in 0..10 {
        for label in ["ldev", "tls"] {
            let reply = wire.ask(&Ask::est(&format!("{label}/simplereenroll"), &csr)).await.unwrap();
            assert_eq!(reply.status, 403, "{label}: {}", reply.text());
        }
    }
    assert_eq!(house.events(), before + 2);
    house.clock.advance(HOUR);
    wire.ask(&Ask::est("ldev/simplereenroll", &csr)).await.unwrap();
    assert_eq!(house.events(), before + 3);
}

/// Under a CA that was revoked nothing more is issued; the others go on.
#[tokio::test]
async fn nothing_is_issued_under_a_revoked_ca() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    let other = house.register_identity("signer", "brannoc-1").await;
    let ca = house.ca_certificate("operational").serial().unwrap();
    house.revoke(ca, Reason::KeyCompromise).await;
    let before = house.events();
    let by_renewal = house.ask(Some(&card), &Ask::est("ldev/simplereenroll", &renewal(&card))).await;
    let token = house.token(&id, "ldev").await;
    let first = Ask::est("ldev/simpleenroll", &request(&key())).basic(id.as_str(), &token);
    let by_token = house.ask(None, &first).await;
    assert_eq!((by_renewal.status, by_token.status), (503, 503));
    assert_eq!(house.events(), before + 1, "the token alone");
    assert_eq!(house.certificates_of(&id).len(), 1);
    house.enrolled(&other, "update").await;
}
