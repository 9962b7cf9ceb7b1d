//! A public key belongs to one holder and one purpose for ever (I2, P22, NHI9).

use std::sync::Arc;

use rcgen::KeyPair;
use vitae::ids::Reason;

use crate::support::csr::{Csr, Key, key, request};
use crate::support::maker::Maker;
use crate::support::wire::{Ask, Reply};
use crate::support::{DAY, House};

async fn enroll(house: &House, id: &str, label: &str, key: &Key) -> Reply {
    let token = house.token(&id.parse().unwrap(), label).await;
    house.ask(None, &Ask::est(&format!("{label}/simpleenroll"), &request(key)).basic(id, &token)).await
}

/// 409 for both kinds of reuse, and the ledger knows who tried with which key.
#[tokio::test]
async fn a_key_of_another_device_or_purpose_is_a_conflict() {
    let house = House::open().await;
    let one = house.register("BR000001", "deployment").await;
    let two = house.register("BR000002", "deployment").await;
    let key = key();
    assert_eq!(enroll(&house, one.as_str(), "ldev", &key).await.status, 200);

    let before = house.events();
    let reply = enroll(&house, two.as_str(), "ldev", &key).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(
        reply.text().contains("another device") && !reply.text().contains(one.as_str()),
        "{}",
        reply.text()
    );
    assert_eq!(house.events(), before + 2, "the token, and the refusal");
    assert!(house.told(&two).iter().any(|what| what.contains("duplicate-key")));
    assert!(house.certificates_of(&two).is_empty());

    let reply = enroll(&house, one.as_str(), "tls", &key).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(reply.text().contains("another purpose"), "{}", reply.text());
    assert_eq!(house.certificates_of(&one).len(), 1);
}

/// By renewal too: the current certificate does not bring in a neighbour's key.
#[tokio::test]
async fn a_renewal_does_not_take_over_a_key() {
    let house = House::open().await;
    let (_, first) = house.working("BR000001").await;
    let (id, second) = house.working("BR000002").await;
    let (_, birth) = house.born("BR000003").await;
    for (case, key) in [("a neighbour's", &first.key), ("a birth certificate's", &birth.key)] {
        let csr = Csr::of(key).repeating(&second.certificate()).sign(key);
        let reply = house.ask(Some(&second), &Ask::est("simplereenroll", &csr)).await;
        assert_eq!(reply.status, 409, "{case}: {}", reply.text());
    }
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// A birth key is for births: the device makes another for its work.
#[tokio::test]
async fn the_birth_key_is_not_a_working_key() {
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    let reply = house.ask(Some(&birth), &Ask::est("simpleenroll", &request(&birth.key))).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// Nor is that of a maker's birth certificate, whose key the record has never seen.
#[tokio::test]
async fn a_makers_birth_key_is_not_a_working_key() {
    let brannoc = Maker::root("Brannoc Root");
    let house = House::with(|policy| policy.write("manufacturers/brannoc.pem", &brannoc.pem())).await;
    let id = house.register("BR000001", "deployment").await;
    let birth = brannoc.birth("BR000001");
    let token = house.token(&id, "ldev").await;
    let ask = Ask::est("simpleenroll", &request(&birth.key));
    for ask in [ask.clone(), ask.basic(id.as_str(), &token)] {
        let reply = house.ask(Some(&birth), &ask).await;
        assert_eq!(reply.status, 409, "{}", reply.text());
    }
    assert!(house.certificates_of(&id).is_empty());
    assert_eq!(house.ask(Some(&birth), &Ask::est("simpleenroll", &request(&key()))).await.status, 200);
}

/// After a compromise the key is refused for ever, and for whatever else the certificate ended, too.
#[tokio::test]
async fn a_key_that_was_withdrawn_is_not_enrolled_again() {
    let house = House::open().await;
    let (one, card) = house.working("BR000001").await;
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    let reply = enroll(&house, one.as_str(), "ldev", &card.key).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(reply.text().contains("compromised"), "{}", reply.text());

    let (two, card) = house.working("BR000002").await;
    house.revoke(card.serial(), Reason::Superseded).await;
    let reply = enroll(&house, two.as_str(), "ldev", &card.key).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(reply.text().contains("no longer good"), "{}", reply.text());

    // Compromised once stays compromised, long after the certificate would have ended.
    house.clock.advance(400 * DAY);
    house.authority.upkeep().await.unwrap();
    assert_eq!(enroll(&house, one.as_str(), "ldev", &card.key).await.status, 409);
    for id in [&one, &two] {
        assert_eq!(house.certificates_of(id).len(), 1);
    }
}

/// Compromise of the key follows the key into the certificate that renewed it.
#[tokio::test]
async fn a_compromised_key_does_not_renew_its_other_certificate() {
    let house = House::open().await;
    let (id, first) = house.working("BR000001").await;
    let csr = Csr::of(&first.key).repeating(&first.certificate()).sign(&first.key);
    let second = house.ask(Some(&first), &Ask::est("simplereenroll", &csr)).await.certificate();
    assert_ne!(second.serial(), first.certificate().serial());
    house.revoke(first.serial(), Reason::KeyCompromise).await;
    let card = crate::support::wire::Card::new(&first.key, &second);
    let csr = Csr::of(&card.key).repeating(&second).sign(&card.key);
    let reply = house.ask(Some(&card), &Ask::est("simplereenroll", &csr)).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!(house.certificates_of(&id).len(), 2);
}

/// The authority's own keys: a CA's, its OCSP signer's, its listener's.
#[tokio::test]
async fn a_key_of_the_authority_is_certified_for_nobody() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let mut tried = 0;
    for entry in std::fs::read_dir(house.dir().join("keys")).unwrap() {
        let pem = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let stolen = Arc::new(KeyPair::from_pem(&pem).unwrap());
        let reply = enroll(&house, id.as_str(), "ldev", &stolen).await;
        assert_eq!(reply.status, 409, "{}", reply.text());
        tried += 1;
    }
    assert!(tried > 12, "{tried}");
    assert!(house.certificates_of(&id).is_empty());
}
