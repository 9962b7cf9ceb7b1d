//! Who asks, by the birth certificate of a maker: its own devices and nobody else's (E32).

use crate::support::csr::{Csr, SERIAL_NUMBER, key, request};
use crate::support::maker::Maker;
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, House};

/// Two makers with roots of their own; brannoc's anchor is a file beside its settings, aerune's is named in them.
async fn house_with(brannoc: &Maker, aerune: &Maker) -> House {
    House::with(|policy| {
        policy.write("manufacturers/brannoc.pem", &brannoc.pem());
        policy.write("manufacturers/their-root.pem", &aerune.pem());
        let text = policy.read("manufacturers/aerune.toml") + "\nanchors = [\"their-root.pem\"]\n";
        policy.write("manufacturers/aerune.toml", &text);
    })
    .await
}

async fn enroll(house: &House, card: &Card) -> Reply {
    house.ask(Some(card), &Ask::est("simpleenroll", &request(&key()))).await
}

/// E32: a registered device enrols without a token; by its maker's word and the serial on its plate.
#[tokio::test]
async fn a_makers_birth_certificate_enrols_its_device() {
    let (brannoc, aerune) = (Maker::root("Brannoc Root"), Maker::root("Aerune Root"));
    let house = house_with(&brannoc, &aerune).await;
    let pump = house.register("BR000001", "deployment").await;
    let ventilator = house.register_as("aerune", "V8", "AE000001", "deployment").await;
    let line = brannoc.intermediate("Brannoc Line 1").intermediate("Brannoc Line 1 Station 7");
    for (id, birth) in [
        (&pump, brannoc.birth("BR000001")),
        (&pump, line.birth("BR000001")),
        (&ventilator, aerune.birth("AE000001")),
    ] {
        let reply = enroll(&house, &birth).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let serial = reply.certificate().serial().unwrap();
        assert!(house.certificates_of(id).iter().any(|view| view.serial == serial));
    }
}

/// E32: each of these is refused with 403; nobody's record changes.
#[tokio::test]
async fn a_maker_vouches_for_nobody_elses_device() {
    let (brannoc, aerune) = (Maker::root("Brannoc Root"), Maker::root("Aerune Root"));
    let house = house_with(&brannoc, &aerune).await;
    let pump = house.register("BR000001", "deployment").await;
    let ventilator = house.register_as("aerune", "V8", "AE000001", "deployment").await;
    // Two makers may number alike: this one is aerune's.
    let same = house.register_as("aerune", "T2", "BR000009", "deployment").await;
    // Two models of one maker with the same number.
    house.register("BR000005", "deployment").await;
    house.register_as("brannoc", "S1", "BR000005", "deployment").await;
    let before = house.events();
    let masked = brannoc.intermediate("Aerune Root");
    for (case, card, words) in [
        ("not registered", brannoc.birth("BR000404"), "no registered device"),
        ("another maker's device", brannoc.birth("AE000001"), "no registered device"),
        ("another maker's device of the same number", brannoc.birth("BR000009"), "no registered device"),
        ("an intermediate with the other maker's name", masked.birth("AE000001"), "no registered device"),
        ("two devices", brannoc.birth("BR000005"), "more than one device"),
        ("no number", brannoc.birth(""), "no registered device"),
        ("a blank behind the number", brannoc.birth("BR000001 "), "no registered device"),
        ("a zero in the number", brannoc.birth("BR000001\0"), "no registered device"),
        ("a joker", brannoc.birth("*"), "no registered device"),
    ] {
        let reply = enroll(&house, &card).await;
        assert_eq!(reply.status, 403, "{case}: {}", reply.text());
        assert!(reply.text().contains(words), "{case}: {}", reply.text());
    }
    assert_eq!(house.events(), before, "who has not shown to be a device of ours leaves no trace");
    for id in [&pump, &ventilator, &same] {
        assert!(house.certificates_of(id).is_empty());
    }
    // A root that only bears the maker's name does not come in at all.
    let impostor = Maker::root("Brannoc Root").birth("BR000001");
    assert!(house.try_ask(Some(&impostor), &Ask::est("simpleenroll", &request(&key()))).await.is_err());
}

/// A birth certificate is for its own device and for a first enrolment.
#[tokio::test]
async fn a_makers_birth_certificate_is_for_first_enrolment() {
    let (brannoc, aerune) = (Maker::root("Brannoc Root"), Maker::root("Aerune Root"));
    let house = house_with(&brannoc, &aerune).await;
    let one = house.register("BR000001", "deployment").await;
    let two = house.register("BR000002", "deployment").await;
    let birth = brannoc.birth("BR000001");
    let key = key();
    let others = Csr::of(&key).named(&[(SERIAL_NUMBER, "BR000002")]).sign(&key);
    let token = house.token(&two, "ldev").await;
    for (case, ask) in [
        ("the other's name", Ask::est("simpleenroll", &others)),
        ("renewal", Ask::est("simplereenroll", &request(&key))),
        ("the other's token", Ask::est("simpleenroll", &request(&key)).basic("", &token)),
        ("maintenance, which takes a token", Ask::est("maint/simpleenroll", &request(&key))),
        ("a birth certificate", Ask::est("idev/simpleenroll", &request(&key))),
        ("a service's label", Ask::est("svc/simpleenroll", &request(&key))),
    ] {
        let reply = house.ask(Some(&birth), &ask).await;
        assert_eq!(reply.status, 403, "{case}: {}", reply.text());
    }
    assert!(house.certificates_of(&one).is_empty() && house.certificates_of(&two).is_empty());
    assert_eq!(enroll(&house, &birth).await.status, 200);
}

/// Expired and future birth certificates: the device is known, so the refusal is on record.
#[tokio::test]
async fn a_makers_birth_certificate_has_a_time() {
    let (brannoc, aerune) = (Maker::root("Brannoc Root"), Maker::root("Aerune Root"));
    let house = house_with(&brannoc, &aerune).await;
    let id = house.register("BR000001", "deployment").await;
    let now = vitae::clock::Clock::now(&house.clock);
    let before = house.events();
    for (card, words) in [
        (brannoc.birth_between("BR000001", now - 10 * DAY, now - DAY), "expired"),
        (brannoc.birth_between("BR000001", now + DAY, now + 10 * DAY), "not valid yet"),
    ] {
        let reply = enroll(&house, &card).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert!(reply.text().contains(words), "{}", reply.text());
    }
    assert_eq!(house.events(), before + 1);
    assert!(house.certificates_of(&id).is_empty());
    let good = brannoc.birth_between("BR000001", now - DAY, now + DAY);
    assert_eq!(enroll(&house, &good).await.status, 200);
}
