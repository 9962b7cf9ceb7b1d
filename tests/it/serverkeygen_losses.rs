//! Keys that the server makes, when answers are lost and when requests come that must not cost it a key.

use std::time::Duration;

use vitae::authority::{Peer, PresentedChain};
use vitae::ids::HolderId;

use crate::key_envelope::{AES256_WRAP, CAPABILITIES, SECRET_ID, able};
use crate::serverkeygen::{house_making, plain};
use crate::support::House;
use crate::support::csr::{CN, Csr, attribute, eku, key};
use crate::support::der::{octets, tlv};
use crate::support::wire::{Ask, Card, Reply};

/// Renews by a key that the server makes.
async fn renew(house: &House, card: &Card) -> Reply {
    let csr = Csr::of(&key()).repeating(&card.certificate()).signed_falsely();
    house.ask(Some(card), &Ask::est("ldev/serverkeygen", &csr)).await
}

fn suspicions(house: &House, id: &HolderId) -> usize {
    house.told(id).iter().filter(|what| what.contains("copy suspected")).count()
}

/// E47, E50: who has its keys made cannot keep one that it never got, so the same request again is what a lost answer
/// looks like: what was issued to the lost key ends, and nobody is suspected. What shows up beside it later is a copy.
#[tokio::test]
async fn a_lost_key_is_made_anew() {
    let house = house_making("p256").await;
    let (id, card) = house.working("BR000001").await;
    let lost = plain(&renew(&house, &card).await).0;
    let lost_too = plain(&renew(&house, &card).await).0;
    let (heard, _) = plain(&renew(&house, &card).await);
    assert_eq!(suspicions(&house, &id), 0, "{:?}", house.told(&id));
    let statuses = [&card, &lost, &lost_too, &heard].map(|card| house.status_of(card.serial()));
    assert_eq!(statuses, ["good", "revoked", "revoked", "good"]);
    assert_eq!(house.authority.device(&house.operator(), &id).unwrap().stage.as_str(), "deployment");

    // It has been used: there is no answer that could have been lost.
    let chain = PresentedChain::proven_by_handshake(heard.chain.clone());
    let peer = Peer { chain: Some(chain), ..Peer::default() };
    house.authority.certificate_used(&peer, Duration::from_secs(60)).await;
    assert_eq!(house.status_of(card.serial()), "revoked");
    assert_eq!(renew(&house, &lost_too).await.status, 403);
    assert_eq!(suspicions(&house, &id), 1, "{:?}", house.told(&id));
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// A request with a key of its own is judged as before, beside a profile that makes keys.
#[tokio::test]
async fn a_second_key_of_ones_own_is_still_a_copy() {
    let house = house_making("p256").await;
    let (id, card) = house.working("BR000001").await;
    for status in [200, 403] {
        let own = key();
        let csr = Csr::of(&own).repeating(&card.certificate()).sign(&own);
        let reply = house.ask(Some(&card), &Ask::est("ldev/simplereenroll", &csr)).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    assert_eq!(suspicions(&house, &id), 1);
}

/// E50: everything that can be said against a request is said before a key is looked for, let alone made.
#[tokio::test]
async fn a_request_is_judged_before_a_key_is_made() {
    let house = house_making("rsa-2048").await;
    let (_, card) = house.working("BR000001").await;
    let id = house.register("BR000002", "deployment").await;
    let token = house.token(&id, "ldev").await;
    // A secret that nobody has would be the next thing to be found wrong.
    let hidden = |csr: Csr| {
        let mut csr = csr;
        csr.attributes.push(attribute(SECRET_ID, &[octets(b"fleet-8")]));
        csr.attributes.push(attribute(CAPABILITIES, &[tlv(0x30, &able(AES256_WRAP))]));
        Ask::est("ldev/serverkeygen", &csr.signed_falsely())
    };
    let csr = || Csr::of(&key());
    for (card, ask, status, text) in [
        (None, hidden(csr().named(&[(CN, "BR000003")])), 403, "BR000003"),
        (None, hidden(csr().asking(&[eku(&["1.3.6.1.5.5.7.3.9"])])), 403, "usages"),
        (Some(&card), hidden(csr()), 403, "subject"),
        (Some(&card), hidden(csr().repeating(&card.certificate())), 400, "shared secret"),
        (None, hidden(csr()), 400, "shared secret"),
    ] {
        let ask = if card.is_some() { ask } else { ask.basic(id.as_str(), &token) };
        let reply = house.ask(card, &ask).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.text().contains(text), "{}", reply.text());
    }
}
