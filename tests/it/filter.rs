//! Revocation filters: what is published, when, and that it says of every certificate what the record says.

use std::time::Duration;

use vitae::authority::FilterState;
use vitae::clock::{Clock, Random, SystemRandom, Timestamp};
use vitae::ids::{Reason, Serial};
use vitae::pki::certificate::Certificate;
use vitae::pki::filter::{self, Answer, NotCovered, RevocationFilter};

use crate::support::store::{Faulty, Switch, Trouble};
use crate::support::wire::{Ask, Reply};
use crate::support::{DAY, HOUR, House};

/// More than what is being issued may take to be on record.
const SETTLED: Duration = Duration::from_secs(301);
const PATH: &str = "/crl/operational/filter";

impl House {
    pub(crate) async fn filter_reply(&self, ca: &str) -> Reply {
        self.status_door(&Ask::get(&format!("/crl/{ca}/filter"))).await
    }

    /// What is served, with its signature verified.
    pub(crate) async fn filter(&self, ca: &str) -> RevocationFilter {
        let reply = self.filter_reply(ca).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        filter::open(&reply.body, &self.ca_certificate(ca).public_key().unwrap()).unwrap()
    }

    /// Lets the interval go by, and what was issued settle.
    pub(crate) async fn next_filter(&self, ca: &str) -> RevocationFilter {
        self.clock.advance(HOUR);
        self.authority.publish_filters().await.unwrap();
        self.filter(ca).await
    }
}

/// Certificates of each status and of every kind that a filter does not cover.
#[tokio::test]
async fn it_says_what_the_record_says() {
    let house = House::open().await;
    assert_eq!(house.filter_reply("operational").await.status, 503, "none was made yet");
    assert_eq!(house.filter_reply("operational").await.header("retry-after"), Some("60"));

    let (_, expired) = house.working("BR000000").await;
    // The certificates of a P3 live for 30 days.
    house.clock.advance(31 * DAY);
    house.authority.upkeep().await.unwrap();
    let (_, good) = house.working("BR000001").await;
    let (_, revoked) = house.working("BR000002").await;
    let (held_id, held) = house.working("BR000003").await;
    let (_, birth) = house.born("BR000004").await;
    house.revoke(revoked.serial(), Reason::KeyCompromise).await;
    house.go(&held_id, "clinical-use").await;
    house.go(&held_id, "quarantine").await;
    house.clock.advance(SETTLED);
    let (_, later) = house.working("BR000005").await;
    house.authority.publish_filters().await.unwrap();

    let ca = house.ca_certificate("operational");
    let filter = house.filter("operational").await;
    let of = |certificate: &Certificate| filter.of_certificate(certificate, &ca);
    assert_eq!(of(&good.certificate()), Answer::Good);
    assert_eq!(of(&revoked.certificate()), Answer::Revoked);
    assert_eq!(of(&held.certificate()), Answer::Revoked, "on hold is not good");
    assert_eq!(of(&expired.certificate()), Answer::NotCovered(NotCovered::Expired));
    assert_eq!(of(&later.certificate()), Answer::NotCovered(NotCovered::IssuedLater));
    assert_eq!(of(&birth.certificate()), Answer::NotCovered(NotCovered::OtherIssuer));
    assert_eq!(filter.facts().revoked, 2);

    // The other CA has a filter of its own, for its own.
    let births = house.filter("birth").await;
    let birth_ca = house.ca_certificate("birth");
    assert_eq!(births.of_certificate(&birth.certificate(), &birth_ca), Answer::Good);
    assert_eq!(
        births.of_certificate(&good.certificate(), &birth_ca),
        Answer::NotCovered(NotCovered::OtherIssuer)
    );
    assert_eq!(births.of_certificate(&good.certificate(), &ca), Answer::NotCovered(NotCovered::OtherIssuer));
    let reply = house.filter_reply("operational").await;
    assert!(filter::open(&reply.body, &birth_ca.public_key().unwrap()).is_err());

    // Released, and revoked after the filter: the next one knows.
    house.go(&held_id, "clinical-use").await;
    house.revoke(birth.serial(), Reason::Superseded).await;
    assert_eq!(house.filter("operational").await, filter, "an interval shares one filter");
    let next = house.next_filter("operational").await;
    assert_eq!(next.of_certificate(&held.certificate(), &ca), Answer::Good);
    assert_eq!(next.of_certificate(&later.certificate(), &ca), Answer::Good);
    assert!(next.facts().number > filter.facts().number);
    house.clock.advance(6 * HOUR);
    let births = house.next_filter("birth").await;
    assert_eq!(births.of_certificate(&birth.certificate(), &birth_ca), Answer::Revoked);
}

/// Whatever happened: for every certificate on record, the answer is the record's, or that OCSP is to be asked.
#[tokio::test]
async fn any_history_is_told_exactly() {
    let house = House::open().await;
    let ca = house.ca_certificate("operational");
    let mut cards = Vec::new();
    let below = |bound: usize| {
        let mut byte = [0; 2];
        SystemRandom.fill(&mut byte);
        usize::from(u16::from_be_bytes(byte)) % bound
    };
    for round in 0..6 {
        for n in 0..4 {
            cards.push(house.working(&format!("BR{round:03}{n:03}")).await);
        }
        for _ in 0..4 {
            let (id, card) = &cards[below(cards.len())];
            match below(4) {
                0 => drop(house.try_revoke(card.serial(), Reason::Superseded).await),
                1 => drop(house.try_go(id, "clinical-use").await),
                2 => drop(house.try_go(id, "quarantine").await),
                _ => drop(house.try_go(id, "recall").await),
            }
        }
        house.clock.advance(if below(2) == 0 { 11 * DAY } else { SETTLED });
        house.authority.upkeep().await.unwrap();
        let filter = house.next_filter("operational").await;
        let mut covered = 0;
        for (_, card) in &cards {
            let status = house.status_of(card.serial());
            let answer = filter.of_certificate(&card.certificate(), &ca);
            let expired = card.certificate().not_after() < filter.facts().this_update;
            let wanted = match &*status {
                _ if expired => Answer::NotCovered(NotCovered::Expired),
                "good" => Answer::Good,
                "held" | "revoked" => Answer::Revoked,
                other => panic!("{other}"),
            };
            assert_eq!(answer, wanted, "{} is {status}", card.serial());
            covered += u64::from(!expired);
        }
        assert!(filter.facts().covered >= covered);
    }
}

/// What caches need, as for lists (C22).
#[tokio::test]
async fn it_is_served_with_what_caches_need() {
    let house = House::open().await;
    for path in
        ["/crl/service/filter", "/crl/none/filter", "/crl//filter", "/crl/operational/filter/", "/crl/filter"]
    {
        assert_eq!(house.status_door(&Ask::get(path)).await.status, 404, "{path}");
    }
    let filter = house.next_filter("operational").await;
    let reply = house.filter_reply("operational").await;
    assert_eq!(reply.header("content-type"), Some("application/cms"));
    assert!(reply.header("cache-control").unwrap().starts_with("max-age=60,"));
    assert!(reply.header("last-modified").is_some() && reply.header("expires").is_some());
    let etag = reply.header("etag").unwrap().to_owned();
    let same = house.status_door(&Ask::get(PATH).header("If-None-Match", &etag)).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let ask = Ask::get(PATH);
    let head = house.status_door(&Ask { line: ask.line.replace("GET", "HEAD"), ..ask }).await;
    assert_eq!((head.status, head.header("etag")), (200, Some(&*etag)));
    assert_eq!(house.status_door(&Ask::new("POST", PATH)).await.status, 405);
    let next = house.next_filter("operational").await;
    assert_ne!(next.facts().number, filter.facts().number);
    let fresh = house.status_door(&Ask::get(PATH).header("If-None-Match", &etag)).await;
    assert_eq!(fresh.status, 200);
    assert_eq!(next.facts().next_update, next.facts().this_update + DAY);
}

/// Numbers grow over restarts, over a clock that was set back and over a store restored from an older copy; what is served
/// after a restart is what was, or made anew.
#[tokio::test]
async fn numbers_only_grow() {
    let house = House::open().await;
    let first = house.next_filter("operational").await;
    let bytes = house.filter_reply("operational").await.body;
    let house = house.reopened(|_| {}).await;
    assert_eq!(house.filter_reply("operational").await.body, bytes);

    std::fs::write(house.dir().join("crl/operational.filter"), b"spoilt").unwrap();
    let house = house.reopened(|_| {}).await;
    assert_eq!(house.filter_reply("operational").await.status, 503, "what is not on record is not served");
    house.authority.publish_filters().await.unwrap();
    let second = house.filter("operational").await;
    assert_eq!(second.facts().number, first.facts().number + 1);

    let now = house.clock.now();
    house.clock.set(now - 2 * HOUR);
    std::fs::remove_file(house.dir().join("crl/operational.filter")).unwrap();
    let house = house.reopened(|_| {}).await;
    house.authority.publish_filters().await.unwrap();
    let third = house.filter("operational").await;
    assert_eq!(third.facts().number, second.facts().number + 1);
    assert!(third.facts().this_update >= second.facts().this_update);
    assert!(third.facts().covered_to <= now - 2 * HOUR, "the clock that issues is the one that counts");

    // An older copy of the record knows none of them: seconds since 1970 are larger all the same.
    house.clock.set(now + DAY);
    let fourth = house.next_filter("operational").await;
    assert!(fourth.facts().number >= (now + DAY).secs());
}

/// A filter that is not on record is not served, and the one before stays.
#[tokio::test]
async fn without_its_event_no_filter_is_seen() {
    let switch = Switch::new();
    let given = switch.clone();
    let house = House::on_store(move |inner| std::sync::Arc::new(Faulty { inner, switch: given })).await;
    let before = house.next_filter("operational").await;
    house.clock.advance(HOUR);
    for trouble in [Trouble::Commit, Trouble::Snapshot] {
        switch.set(trouble);
        let why = house.authority.publish_filters().await.unwrap_err().to_string();
        assert!(why.contains("birth") || why.contains("operational"), "{why}");
        assert_eq!(house.filter("operational").await, before);
    }
    switch.set(Trouble::None);
    assert!(house.next_filter("operational").await.facts().number > before.facts().number);
}

/// A build that nobody waits for any more ends, and publishes nothing.
#[tokio::test]
async fn a_build_that_is_left_publishes_nothing() {
    let house = House::open().await;
    house.clock.advance(HOUR);
    {
        let mut round = Box::pin(house.authority.publish_filters());
        // Polled once, it has begun.
        tokio::select! { biased; _ = &mut round => {}, () = std::future::ready(()) => {} }
    }
    assert!(matches!(house.authority.filter(&"operational".parse().unwrap()), FilterState::Awaited));
    // On a fast machine its event is on its way already and may meet the next round, as it would after a crash.
    if house.authority.publish_filters().await.is_err() {
        house.authority.publish_filters().await.unwrap();
    }
    assert!(matches!(house.authority.filter(&"operational".parse().unwrap()), FilterState::Published(_)));
}

/// The bound is told by the serial number: what was numbered in the last minutes may not be on record yet.
#[tokio::test]
async fn what_is_being_issued_is_not_covered() {
    let house = House::open().await;
    let filter = house.next_filter("operational").await;
    let now = house.clock.now();
    assert_eq!(filter.facts().covered_to, now - Duration::from_secs(300));
    let at = |time: Timestamp| filter.of_serial(Serial::generate(time, &SystemRandom).as_bytes());
    assert_eq!(at(now - Duration::from_secs(299)), Answer::NotCovered(NotCovered::IssuedLater));
    assert!(!matches!(at(now - SETTLED), Answer::NotCovered(NotCovered::IssuedLater)));
}
