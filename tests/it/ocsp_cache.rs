//! Signed answers that are kept: dropped by what changes them, by nothing else, and never kept when they are old already.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::watch;
use vitae::fleet::Event;
use vitae::ids::{EventNumber, Reason, Serial};
use vitae::pki::ocsp::{self, HashAlg, ParsedResponse};
use vitae::store::{Commit, Pending, Store, StoreError, View};

use crate::support::der::{seq, tlv};
use crate::support::ocsp::{Said, said};
use crate::support::store::{Faulty, Switch, Trouble};
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, HOUR, House};

const TRY_LATER: [u8; 5] = [0x30, 3, 0x0a, 1, 3];

fn request_about(house: &House, cards: &[&Card]) -> Vec<u8> {
    let issuer = house.ca_certificate("operational");
    let key = issuer.public_key().unwrap();
    let entries: Vec<Vec<u8>> = cards
        .iter()
        .map(|card| {
            let serial = card.serial();
            let id = ocsp::cert_id(issuer.subject_der(), &key, serial.as_bytes(), HashAlg::Sha1).unwrap();
            seq(&[&id])
        })
        .collect();
    seq(&[&seq(&[&tlv(0x30, &entries.concat())])])
}

/// What was said of each, and the bytes by which a kept answer is known.
async fn asked(house: &House, request: &[u8]) -> (Vec<Said>, Vec<u8>) {
    let reply = house.post_ocsp(request).await;
    let response = house.verified("operational", &reply.body);
    (response.singles.iter().map(|single| said(&single.status)).collect(), reply.body)
}

/// B24, O27: a revocation drops what was said of that certificate, alone or among others, and nothing that was said of
/// another; so does a hold and a release.
#[tokio::test]
async fn a_change_drops_the_answers_about_that_certificate_alone() {
    let house = House::open().await;
    let (_, first) = house.working("BR000001").await;
    let (id, second) = house.working("BR000002").await;
    let (_, third) = house.working("BR000003").await;
    let alone = [&first, &second, &third].map(|card| request_about(&house, &[card]));
    let both = request_about(&house, &[&first, &second]);
    let others = request_about(&house, &[&first, &third]);
    let mut kept = Vec::new();
    for request in alone.iter().chain([&both, &others]) {
        house.clock.advance(std::time::Duration::from_secs(1));
        let (_, body) = asked(&house, request).await;
        kept.push(body);
    }
    let unchanged = |now: &[Vec<u8>], which: &[usize]| {
        let same: Vec<usize> = (0..kept.len()).filter(|at| now[*at] == kept[*at]).collect();
        assert_eq!(same, which);
    };
    let ask_all = async || {
        let mut now = Vec::new();
        for request in alone.iter().chain([&both, &others]) {
            now.push(asked(&house, request).await.1);
        }
        now
    };
    unchanged(&ask_all().await, &[0, 1, 2, 3, 4]);
    house.go(&id, "quarantine").await;
    assert_eq!(asked(&house, &both).await.0, [Said::Good, Said::Revoked(6)], "held");
    assert_eq!(asked(&house, &alone[1]).await.0, [Said::Revoked(6)]);
    unchanged(&ask_all().await, &[0, 2, 4]);
    house.go(&id, "clinical-use").await;
    assert_eq!(asked(&house, &both).await.0, [Said::Good, Said::Good], "released");
    house.revoke(first.serial(), Reason::Superseded).await;
    assert_eq!(asked(&house, &both).await.0, [Said::Revoked(4), Said::Good]);
    unchanged(&ask_all().await, &[2]);
}

/// Lets the first snapshot after it was armed wait until it is let go.
#[derive(Default)]
struct Gate {
    armed: AtomicBool,
    taken: Mutex<(bool, bool)>,
    changed: Condvar,
}

struct Gated(Arc<dyn Store<Event>>, Arc<Gate>);

impl Store<Event> for Gated {
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        let snapshot = self.0.snapshot();
        if self.1.armed.swap(false, Ordering::SeqCst) {
            let mut taken = self.1.taken.lock().unwrap();
            taken.0 = true;
            self.1.changed.notify_all();
            drop(self.1.changed.wait_while(taken, |taken| !taken.1).unwrap());
        }
        snapshot
    }

    fn commit(&self, commit: Commit<Event>) -> Pending {
        self.0.commit(commit)
    }

    fn head(&self) -> watch::Receiver<EventNumber> {
        self.0.head()
    }

    fn shutdown(&self) {
        self.0.shutdown();
    }
}

/// B24: an answer that was begun on the record of before a revocation is finished after it, and must not be kept: neither
/// that about one certificate nor that about several.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_begun_before_a_revocation_is_not_kept() {
    let gate = Arc::new(Gate::default());
    let gated = Arc::clone(&gate);
    let house = House::on_store(move |store| Arc::new(Gated(store, gated))).await;
    house.authority.upkeep().await.unwrap();
    for (number, several) in [(1, false), (2, true)] {
        let (_, card) = house.working(&format!("BR00000{number}")).await;
        let (_, other) = house.working(&format!("BR00001{number}")).await;
        let cards: &[&Card] = if several { &[&other, &card] } else { &[&card] };
        let request = request_about(&house, cards);
        *gate.taken.lock().unwrap() = (false, false);
        gate.armed.store(true, Ordering::SeqCst);
        let door = house.addresses.status;
        let ask = Ask::new("POST", "/ocsp").body(request.clone());
        let slow = tokio::spawn(async move {
            let mut wire = crate::support::wire::connect(door).await.unwrap();
            wire.ask(&ask).await.unwrap()
        });
        let waiting = Arc::clone(&gate);
        tokio::task::spawn_blocking(move || {
            let taken = waiting.taken.lock().unwrap();
            drop(waiting.changed.wait_while(taken, |taken| !taken.0).unwrap());
        })
        .await
        .unwrap();
        house.revoke(card.serial(), Reason::KeyCompromise).await;
        gate.taken.lock().unwrap().1 = true;
        gate.changed.notify_all();
        let begun_before: Reply = slow.await.unwrap();
        let last = house.verified("operational", &begun_before.body).singles.pop().unwrap();
        assert_eq!(said(&last.status), Said::Good, "it was asked before");
        for _ in 0..2 {
            assert_eq!(asked(&house, &request).await.0.pop(), Some(Said::Revoked(1)));
        }
    }
}

/// O32: while the record cannot be read, nobody is told what it said before.
#[tokio::test]
async fn nothing_is_answered_from_memory_while_the_record_cannot_be_read() {
    let switch = Switch::new();
    let faulty = switch.clone();
    let house = House::on_store(move |inner| Arc::new(Faulty { inner, switch: faulty })).await;
    house.authority.upkeep().await.unwrap();
    let (_, known) = house.working("BR000001").await;
    let (_, other) = house.working("BR000002").await;
    let (known, other) = (request_about(&house, &[&known]), request_about(&house, &[&other]));
    let (_, before) = asked(&house, &known).await;
    switch.set(Trouble::Snapshot);
    let reply = house.post_ocsp(&other).await;
    assert_eq!((reply.status, &reply.body[..]), (200, &TRY_LATER[..]));
    assert_eq!(reply.header("cache-control"), Some("no-store"), "O07");
    assert_eq!(house.post_ocsp(&known).await.body, TRY_LATER);
    switch.set(Trouble::None);
    asked(&house, &other).await;
    assert_eq!(asked(&house, &known).await.1, before, "the kept answer is as good as it was");
}

/// O27: a commit of which nobody knows whether it is durable drops what was said before as well.
#[tokio::test]
async fn a_revocation_that_may_have_failed_drops_the_answer() {
    let switch = Switch::new();
    let faulty = switch.clone();
    let house = House::on_store(move |inner| Arc::new(Faulty { inner, switch: faulty })).await;
    house.authority.upkeep().await.unwrap();
    let (_, card) = house.working("BR000001").await;
    let request = request_about(&house, &[&card]);
    let (_, before) = asked(&house, &request).await;
    switch.set(Trouble::Commit);
    assert!(house.try_revoke(card.serial(), Reason::Superseded).await.is_err());
    house.clock.advance(std::time::Duration::from_secs(1));
    let (told, after) = asked(&house, &request).await;
    assert_eq!(told, [Said::Good], "the record has it so");
    assert_ne!(after, before);
}

/// O22: a signer that is revoked signs nothing more, and what it has signed is not given out; upkeep makes another.
#[tokio::test]
async fn a_revoked_signer_is_heard_no_more() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let request = request_about(&house, &[&card]);
    let (_, body) = asked(&house, &request).await;
    let signer = signer_of(&house, &body);
    house.revoke(signer, Reason::KeyCompromise).await;
    assert_eq!(house.post_ocsp(&request).await.body, TRY_LATER);
    house.authority.upkeep().await.unwrap();
    let (told, body) = asked(&house, &request).await;
    assert_eq!(told, [Said::Good]);
    assert_ne!(signer_of(&house, &body), signer);
}

fn signer_of(house: &House, body: &[u8]) -> Serial {
    let ParsedResponse::Basic(_) = ocsp::parse_response(body).unwrap() else { panic!("an error") };
    let der = house.verified("operational", body).certs[0].clone();
    vitae::pki::certificate::Certificate::from_der(&der).unwrap().serial().unwrap()
}

/// O25, O29: a kept answer is signed anew at half its life, and `max-age` never reaches beyond nextUpdate.
#[tokio::test]
async fn a_kept_answer_is_renewed_in_time() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let request = request_about(&house, &[&card]);
    let first = house.verified("operational", &house.post_ocsp(&request).await.body).singles[0].clone();
    let lifetime = first.next_update.unwrap().since(first.this_update);
    house.clock.advance(lifetime / 2 - std::time::Duration::from_secs(2));
    let same = house.verified("operational", &house.post_ocsp(&request).await.body).singles[0].clone();
    assert_eq!(same, first);
    house.clock.advance(std::time::Duration::from_secs(4));
    let next = house.verified("operational", &house.post_ocsp(&request).await.body).singles[0].clone();
    assert!(next.this_update > first.this_update);
    // The signer ends before a whole lifetime is over: the answer does not outlive it.
    house.clock.advance(DAY * 29);
    for _ in 0..60 {
        house.clock.advance(HOUR / 4);
        let reply = house.post_ocsp(&request).await;
        let ParsedResponse::Basic(basic) = ocsp::parse_response(&reply.body).unwrap() else { break };
        let left = basic.singles[0].next_update.unwrap().since(vitae::clock::Clock::now(&house.clock));
        let cache = reply.header("cache-control").unwrap();
        let age = cache.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap();
        assert!(age <= left.as_secs() && age <= 120, "{age} of {left:?}");
    }
}
