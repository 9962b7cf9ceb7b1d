//! Keys that the server makes, when answers are lost and when requests come that must not cost it a key.

use std::time::Duration;

use vitae::authority::{Peer, PresentedChain};
use vitae::ids::HolderId;

use crate::serverkeygen::{house_making, plain};
use crate::support::House;
use crate::support::csr::{Csr, key};
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
