//! simplereenroll (RFC 7030 section 4.2.2): E35, E36, E38, E44, E47, B03.

use vitae::clock::Clock;

use crate::support::csr::{CN, Csr, SERIAL_NUMBER, key, san};
use crate::support::der::{name, tlv};
use crate::support::wire::{Ask, Card};
use crate::support::{DAY, House};

/// E38: the same key and a new one; the names stay, the time moves on, the old certificate stays good until the
/// new one is used.
#[tokio::test]
async fn a_certificate_is_renewed_with_the_same_key_or_another() {
    let house = House::open().await;
    let (id, first) = house.working("BR000001").await;
    house.go(&id, "clinical-use").await;
    house.clock.advance(20 * DAY);
    let mut current = first.clone();
    for next in [first.key.clone(), key(), key()] {
        let csr = Csr::of(&next).repeating(&current.certificate()).sign(&next);
        let reply = house.ask(Some(&current), &Ask::est("simplereenroll", &csr)).await;
        let issued = reply.certificate();
        assert_eq!(issued.subject_der(), first.certificate().subject_der());
        assert_eq!(issued.subject_alt_names(), first.certificate().subject_alt_names());
        assert!(issued.not_after() > first.certificate().not_after());
        let view = house.authority.certificate(&house.operator(), &issued.serial().unwrap()).unwrap();
        assert_eq!(view.replaces, Some(current.serial()));
        assert_eq!(house.status_of(current.serial()), "good");
        current = Card::new(&next, &issued);
    }
    assert_eq!(house.certificates_of(&id).len(), 4);
}

/// E36, B03: subject and subjectAltName are those of the certificate, neither more nor less; nothing else is issued.
#[tokio::test]
async fn a_renewal_with_other_names_is_refused() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    let current = card.certificate();
    let fresh = key();
    let own = tlv(0x86, b"urn:dev:ops:32473-P3-BR000001");
    let named = |names: &[Vec<u8>]| {
        let mut csr = Csr::of(&fresh).asking(&[san(names)]);
        csr.subject = current.subject_der().to_vec();
        csr
    };
    let good = Csr::of(&fresh).repeating(&current);
    let subject = |subject: Vec<u8>| Csr { subject, ..good.clone() };
    let uuid = current.common_name().unwrap();
    let without_san = Csr { attributes: Vec::new(), ..good.clone() };
    let cases = [
        ("SAN added", named(&[own.clone(), tlv(0x82, b"pump.example.test")])),
        ("SAN replaced", named(&[tlv(0x86, b"urn:dev:ops:32473-P3-BR000002")])),
        ("SAN in other case", named(&[tlv(0x86, b"URN:dev:ops:32473-P3-BR000001")])),
        ("SAN of another kind", named(&[tlv(0x82, b"BR000001.example.test")])),
        ("SAN dropped", without_san),
        ("subject empty", subject(name(&[]))),
        ("subject of a first request", subject(name(&[(SERIAL_NUMBER, "BR000001")]))),
        ("subject of another device", subject(name(&[(SERIAL_NUMBER, "BR000002"), (CN, &uuid)]))),
        ("attribute added", subject(name(&[(SERIAL_NUMBER, "BR000001"), (CN, &uuid), (CN, "x")]))),
        ("attributes in other order", subject(name(&[(CN, &uuid), (SERIAL_NUMBER, "BR000001")]))),
    ];
    let before = house.events();
    for (case, csr) in cases {
        let reply = house.ask(Some(&card), &Ask::est("simplereenroll", &csr.sign(&fresh))).await;
        assert_eq!(reply.status, 403, "{case}: {}", reply.text());
        assert_eq!(house.certificates_of(&id).len(), 1, "{case}");
    }
    assert_eq!(house.events(), before + 1, "one refusal, once an hour");
    assert_eq!(house.ask(Some(&card), &Ask::est("simplereenroll", &good.sign(&fresh))).await.status, 200);
}

/// E47: an answer that was lost is given again, byte for byte; no second certificate comes of it.
#[tokio::test]
async fn a_lost_answer_is_given_again() {
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    let fresh = key();
    let csr = Csr::of(&fresh).sign(&fresh);
    let first = house.ask(Some(&birth), &Ask::est("simpleenroll", &csr)).await.certificate();
    let events = house.events();
    // The same key, signed anew: ECDSA gives another signature each time.
    let again = Csr::of(&fresh).sign(&fresh);
    assert_ne!(again, csr);
    for der in [&csr, &again] {
        let repeated = house.ask(Some(&birth), &Ask::est("ldev/simpleenroll", der)).await.certificate();
        assert_eq!(repeated.der(), first.der());
    }
    let card = Card::new(&fresh, &first);
    let next = key();
    let renewal = Csr::of(&next).repeating(&first).sign(&next);
    let second = house.ask(Some(&card), &Ask::est("simplereenroll", &renewal)).await.certificate();
    assert_eq!(house.events(), events + 1);
    for _ in 0..3 {
        let repeated = house.ask(Some(&card), &Ask::est("simplereenroll", &renewal)).await.certificate();
        assert_eq!(repeated.der(), second.der());
    }
    assert_eq!(house.events(), events + 1);
    assert_eq!(house.certificates_of(&id).len(), 3, "birth, first, second");
}

/// The same when the clock was set back in between: serial numbers then no longer tell which certificate is the newest.
#[tokio::test]
async fn a_lost_answer_is_given_again_after_the_clock_was_set_back() {
    let house = House::open().await;
    house.clock.advance(DAY);
    let (id, card) = house.working("BR000001").await;
    house.clock.set(house.clock.now() - std::time::Duration::from_secs(60));
    let csr = Csr::of(&card.key).repeating(&card.certificate()).sign(&card.key);
    let ask = Ask::est("simplereenroll", &csr);
    let first = house.ask(Some(&card), &ask).await.certificate();
    assert!(first.serial() < card.certificate().serial());
    assert_eq!(house.ask(Some(&card), &ask).await.certificate().der(), first.der());
    assert_eq!(house.certificates_of(&id).len(), 2);
}

/// What a profile says about renewal holds: births are for ever, services renew like devices.
#[tokio::test]
async fn not_every_profile_is_renewed() {
    let house = House::open().await;
    let (_, birth) = house.born("BR000001").await;
    let csr = Csr::of(&birth.key).repeating(&birth.certificate()).sign(&birth.key);
    let reply = house.ask(Some(&birth), &Ask::est("idev/simplereenroll", &csr)).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("cannot be renewed"), "{}", reply.text());
    // A service renews itself like a device.
    let id = house.register_identity("service", "telemetry").await;
    let card = house.enrolled(&id, "svc").await;
    let csr = Csr::of(&card.key).repeating(&card.certificate()).sign(&card.key);
    let reply = house.ask(Some(&card), &Ask::est("svc/simplereenroll", &csr)).await;
    assert_eq!(reply.certificate().subject_der(), card.certificate().subject_der());
    assert!(house.clock.now() < reply.certificate().not_after());
}

/// What a device server shows is renewed by what it shows: the profile says renewable, so it must be.
#[tokio::test]
async fn a_server_certificate_is_renewed_at_its_label() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let card = house.enrolled(&id, "tls").await;
    let csr = Csr::of(&card.key).repeating(&card.certificate()).sign(&card.key);
    let reply = house.ask(Some(&card), &Ask::est("tls/simplereenroll", &csr)).await;
    assert_eq!(reply.certificate().subject_der(), card.certificate().subject_der());
    assert_eq!(house.ask(Some(&card), &Ask::est("ldev/simplereenroll", &csr)).await.status, 403);
    assert_eq!(house.ask(Some(&card), &Ask::est("ldev/simpleenroll", &csr)).await.status, 403);
}
