//! Certificate revocation lists (RFC 5280 section 5): C01, C04 to C06, C17 to C23.

use std::collections::BTreeSet;

use vitae::clock::Clock;
use vitae::ids::Reason;
use vitae::pki::crl;

use crate::support::ocsp::Said;
use crate::support::wire::Ask;
use crate::support::{DAY, HOUR, House, Policy};

const CAS: [&str; 6] = ["root", "birth", "operational", "service", "update-root", "update"];

/// C01, C22, C23: every CA has a list from the start, signed, numbered, and served with what caches need.
#[tokio::test]
async fn every_ca_has_a_list_from_the_start() {
    let house = House::open().await;
    for ca in CAS {
        let list = house.crl(ca).await;
        assert!(list.entries.is_empty());
        let now = house.clock.now();
        assert!(list.this_update <= now && now < list.next_update, "{ca}");
        let ask = Ask::get(&format!("/crl/{ca}/0.crl"));
        let reply = house.status_door(&ask).await;
        assert_eq!(reply.header("content-type"), Some("application/pkix-crl"));
        let summary = crl::parse(&reply.body).unwrap();
        let issuer = house.ca_certificate(ca);
        assert_eq!(&summary.issuer, issuer.subject());
        assert_eq!(summary.authority_key_id, issuer.subject_key_id());
        let etag = reply.header("etag").unwrap().to_owned();
        let same = house.status_door(&ask.clone().header("If-None-Match", &etag)).await;
        assert_eq!((same.status, same.body.len()), (304, 0));
        let head = Ask { line: ask.line.replace("GET", "HEAD"), ..ask };
        let head = house.status_door(&head).await;
        assert_eq!((head.status, head.header("etag")), (200, Some(&*etag)));
    }
    for path in [
        "/crl/none/0.crl",
        "/crl/root/1.crl",
        "/crl/root/0-delta.crl",
        "/crl/root",
        "/crl/../crl/root/0.crl",
        "/crl/root/00.crl",
        "/crl/root/+0.crl",
        "/crl/root/-0.crl",
        "/crl/root/.crl",
        "/crl/root/0.crl.new",
        "/crl/operational/8.crl",
        "/crl/operational/99999999999.crl",
        "/crl/operational/0-delta-delta.crl",
    ] {
        assert_eq!(house.status_door(&Ask::get(path)).await.status, 404, "{path}");
    }
}

/// B29, C05, C17, C18: a revocation is on a list of a higher number before the operator is told that it is done.
#[tokio::test]
async fn a_revocation_is_listed_with_its_reason_and_moment() {
    let house = House::open().await;
    let mut number = house.crl("operational").await.number;
    let others = house.crl("birth").await.number;
    for (i, reason) in Reason::ALL.into_iter().enumerate() {
        let (_, card) = house.working(&format!("BR00000{i}")).await;
        house.clock.advance(HOUR / 60);
        let done = house.revoke(card.serial(), reason).await;
        let list = house.crl("operational").await;
        assert!(list.number > number);
        assert_eq!(done.lists[0].number, list.number);
        number = list.number;
        let entry = list.entries.iter().find(|entry| entry.0 == card.serial()).unwrap();
        assert_eq!(entry.2, reason.code());
        assert_eq!(entry.1, done.at.whole_second());
        assert!(entry.1 <= list.this_update, "C18");
    }
    assert_eq!(house.crl("operational").await.entries.len(), Reason::ALL.len());
    assert_eq!(house.crl("birth").await.number, others, "no other CA had anything to say");
}

/// C20: a release takes the entry off, a hold turned into a revocation changes its reason.
#[tokio::test]
async fn holds_come_and_go() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    house.go(&id, "clinical-use").await;
    house.go(&id, "quarantine").await;
    assert_eq!(house.crl("operational").await.reason_of(card.serial()), Some(6));
    house.go(&id, "clinical-use").await;
    assert_eq!(house.crl("operational").await.reason_of(card.serial()), None);
    assert_eq!(house.ocsp("operational", card.serial()).await, Said::Good);
    house.go(&id, "quarantine").await;
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    assert_eq!(house.crl("operational").await.reason_of(card.serial()), Some(1));
}

/// A restart gives the house another port; the lists' own address is to stay.
fn named(policy: &Policy) {
    policy.replace("vitae.toml", "# status-url", "status-url");
}

/// C05, C06: over a restart the number goes on, and the list that is served is the one that was.
#[tokio::test]
async fn numbers_go_on_after_a_restart() {
    let house = House::with(named).await;
    let (_, card) = house.working("BR000001").await;
    house.revoke(card.serial(), Reason::Superseded).await;
    let before = house.crl("operational").await;
    let house = house.reopened(|_| {}).await;
    let same = house.crl("operational").await;
    assert_eq!((same.number, same.this_update), (before.number, before.this_update));
    assert_eq!(house.ocsp("operational", card.serial()).await, Said::Revoked(4));
    let (_, next) = house.working("BR000002").await;
    let before = house.shard("operational", next.serial().shard(8)).await;
    house.revoke(next.serial(), Reason::Superseded).await;
    assert!(house.shard("operational", next.serial().shard(8)).await.number > before.number);
    let after = house.crl("operational").await;
    assert_eq!(after.entries.len(), 2);

    // A list that was lost or spoilt on disk is made anew, under a new number.
    std::fs::write(house.dir().join("crl/operational-3.crl"), b"spoilt").unwrap();
    std::fs::remove_file(house.dir().join("crl/birth-0.crl")).unwrap();
    let birth = house.crl("birth").await.number;
    let third = house.shard("operational", 3).await.number;
    let house = house.reopened(|_| {}).await;
    assert!(house.shard("operational", 3).await.number > third);
    assert!(house.crl("birth").await.number > birth);
}

/// C06: a new list comes before the old one ends, with the clock moved in small steps and in a leap; and it never ends
/// earlier than the one before.
#[tokio::test]
async fn lists_are_published_before_they_end() {
    let house = House::open().await;
    let mut last = house.crl("service").await;
    let mut numbers = BTreeSet::from([last.number]);
    for _ in 0..20 {
        house.clock.advance(5 * HOUR);
        house.authority.upkeep().await.unwrap();
        let shards = house.crl("operational").await;
        assert!(shards.next_update.since(house.clock.now()) > 7 * HOUR);
        let list = house.crl("service").await;
        let left = list.next_update.since(house.clock.now());
        assert!(left > 7 * HOUR, "half a day before its end the next one is due: {left:?}");
        assert!(list.next_update >= last.next_update);
        assert!((list.number > last.number) == (list.this_update > last.this_update));
        numbers.insert(list.number);
        last = list;
    }
    assert!((5..=10).contains(&numbers.len()), "about every 12 hours, not at each look: {numbers:?}");
    house.clock.advance(100 * DAY);
    house.authority.upkeep().await.unwrap();
    for ca in CAS {
        assert!(house.crl(ca).await.next_update > house.clock.now(), "{ca}");
    }
    assert_eq!(house.status_door(&Ask::get("/ready")).await.status, 200);
}

/// C06, C18: a clock that was set back makes no list that begins before the last one.
#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_older_list() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let before = house.crl("operational").await;
    house.clock.set(house.clock.now() - 10 * DAY);
    house.revoke(card.serial(), Reason::Superseded).await;
    let after = house.crl("operational").await;
    assert!(after.number > before.number);
    assert!(after.this_update >= before.this_update && after.next_update >= before.next_update);
    assert!(after.entries[0].1 <= after.this_update);
    // On command too, and with nothing to list.
    let before = house.crl("birth").await;
    house.authority.publish_crl(&house.operator(), &"birth".parse().unwrap()).await.unwrap();
    let after = house.crl("birth").await;
    assert_eq!(after.number, before.number + 1);
    assert!(after.this_update >= before.this_update && after.next_update >= before.next_update);
}

/// C19, B26: an entry stays until one list that was issued after the certificate's end has shown it, and goes then.
#[tokio::test]
async fn an_entry_stays_on_one_list_beyond_its_certificates_end() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    let end = card.certificate().not_after();
    let mut shown_after_end = 0;
    let mut gone = false;
    for _ in 0..90 {
        house.clock.advance(11 * HOUR);
        house.authority.upkeep().await.unwrap();
        let list = house.crl("operational").await;
        let listed = list.reason_of(card.serial()) == Some(1);
        if list.this_update <= end {
            assert!(listed, "{} of {end}", list.this_update);
        } else if listed {
            assert!(!gone, "it does not come back");
            shown_after_end += 1;
        } else {
            gone = true;
        }
    }
    assert!(shown_after_end >= 1, "C19");
    assert!(gone, "the list does not grow for ever");
    assert_eq!(house.status_of(card.serial()), "revoked", "the record forgets nothing");
}

/// A CA at its end has trouble of its own: the lists of the others come out as ever.
#[tokio::test]
async fn a_ca_that_has_ended_stops_no_other() {
    let house = House::open().await;
    house.clock.advance(DAY * (10 * 365 + 1));
    // The listeners' certificate is of a CA that lived for ten years.
    assert!(house.authority.upkeep().await.is_err());
    for name in ["birth", "root", "update-root"] {
        let list = house.authority.ca(&name.parse().unwrap()).unwrap().list(0).unwrap();
        assert!(list.next_update > house.clock.now(), "{name}: {}", list.next_update);
    }
}
