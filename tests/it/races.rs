//! Many at once: what must happen once happens once (B47 aside), and a retired device holds nothing good (I3).

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::House;
use crate::support::csr::{Csr, key, request};
use crate::support::wire::{Ask, Card, Reply};

const AT_ONCE: usize = 16;

/// Sends each on a connection of its own, all of them open before the first is sent.
async fn at_once(house: &Arc<House>, card: Option<&Card>, asks: Vec<Ask>) -> Vec<Reply> {
    let barrier = Arc::new(Barrier::new(asks.len()));
    let mut tasks = JoinSet::new();
    for ask in asks {
        let (house, card, barrier) = (Arc::clone(house), card.cloned(), Arc::clone(&barrier));
        tasks.spawn(async move {
            let mut wire = house.est(card.as_ref()).await;
            barrier.wait().await;
            wire.ask(&ask).await.unwrap()
        });
    }
    tasks.join_all().await
}

fn issued(replies: &[Reply]) -> BTreeSet<Vec<u8>> {
    let good = replies.iter().filter(|reply| reply.status == 200);
    good.map(|reply| reply.certificate().der().to_vec()).collect()
}

/// One token, sixteen keys: one certificate, fifteen are told that the token was used.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_token_gives_one_certificate() {
    let house = Arc::new(House::open().await);
    for round in 0..4 {
        let id = house.register(&format!("BR00000{round}"), "deployment").await;
        let token = house.token(&id, "ldev").await;
        let ask = || Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
        let replies = at_once(&house, None, (0..AT_ONCE).map(|_| ask()).collect()).await;
        assert_eq!(issued(&replies).len(), 1);
        let refused = replies.iter().filter(|reply| reply.status == 401).count();
        assert_eq!(refused, AT_ONCE - 1);
        assert_eq!(house.certificates_of(&id).len(), 1);
        let told = house.told(&id);
        assert_eq!(told.iter().filter(|what| what.contains("token-not-good")).count(), 1, "{told:?}");
    }
}

/// One key, sixteen connections with the birth certificate: one certificate, given to all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_gives_one_certificate() {
    let house = Arc::new(House::open().await);
    let (id, birth) = house.born("BR000001").await;
    let key = key();
    let asks = (0..AT_ONCE).map(|_| Ask::est("simpleenroll", &request(&key))).collect();
    let replies = at_once(&house, Some(&birth), asks).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(issued(&replies).len(), 1);
    assert_eq!(house.certificates_of(&id).len(), 2);
}

/// One renewal, sixteen times: one successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_renewal_gives_one_certificate() {
    let house = Arc::new(House::open().await);
    let (id, first) = house.working("BR000001").await;
    let mut card = first.clone();
    for next in [key(), first.key.clone()] {
        let before = house.certificates_of(&id).len();
        let csr = Csr::of(&next).repeating(&card.certificate()).sign(&next);
        let asks = (0..AT_ONCE).map(|_| Ask::est("simplereenroll", &csr)).collect();
        let replies = at_once(&house, Some(&card), asks).await;
        assert!(replies.iter().all(|reply| reply.status == 200));
        assert_eq!(issued(&replies).len(), 1);
        assert_eq!(house.certificates_of(&id).len(), before + 1);
        card = Card::new(&next, &replies[0].certificate());
    }
}

/// One key, sixteen devices: one of them gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_goes_to_one_device() {
    let house = Arc::new(House::open().await);
    let key = key();
    let mut asks = Vec::new();
    for i in 0..AT_ONCE {
        let id = house.register(&format!("BR{i:06}"), "deployment").await;
        let token = house.token(&id, "ldev").await;
        asks.push(Ask::est("simpleenroll", &request(&key)).basic(id.as_str(), &token));
    }
    let replies = at_once(&house, None, asks).await;
    assert_eq!(issued(&replies).len(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == 409).count(), AT_ONCE - 1);
}

/// I3: a device is retired while it enrols and renews on many connections. Whoever wins, it holds nothing good afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_retired_device_holds_nothing_good_whoever_wins() {
    let house = Arc::new(House::open().await);
    let mut won = [0, 0];
    for round in 0..24 {
        let (id, birth) = house.born(&format!("BR{round:06}")).await;
        let mut tasks = JoinSet::new();
        let barrier = Arc::new(Barrier::new(5));
        for _ in 0..4 {
            let (house, birth, barrier) = (Arc::clone(&house), birth.clone(), Arc::clone(&barrier));
            tasks.spawn(async move {
                let mut wire = house.est(Some(&birth)).await;
                barrier.wait().await;
                wire.ask(&Ask::est("simpleenroll", &request(&key()))).await.unwrap().status
            });
        }
        let retire = tokio::spawn({
            let (house, id, barrier) = (Arc::clone(&house), id.clone(), Arc::clone(&barrier));
            async move {
                barrier.wait().await;
                // Now first, now last.
                for _ in 0..round % 6 {
                    tokio::task::yield_now().await;
                }
                house.go(&id, "retired").await
            }
        });
        for status in tasks.join_all().await {
            assert!([200, 403].contains(&status), "{status}");
            won[usize::from(status == 200)] += 1;
        }
        retire.await.unwrap();
        let good: Vec<_> = house
            .certificates_of(&id)
            .into_iter()
            .filter(|view| view.status == "good" && view.serial != birth.serial())
            .collect();
        assert!(good.is_empty(), "round {round}: {good:?}");
    }
    assert_eq!(won[0] + won[1], 24 * 4);
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}
