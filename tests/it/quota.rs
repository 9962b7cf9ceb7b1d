//! The quota of a registration authority: exact while many ask at the same time, after a restart, and from day to day
//! (B46).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Barrier, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use vitae::clock::Clock;
use vitae::fleet::Event;
use vitae::ids::{EventNumber, HolderId};
use vitae::store::{Commit, CommitError, Pending, Store, StoreError, View};

use crate::support::csr::{Csr, SERIAL_NUMBER, key};
use crate::support::store::{Faulty, Switch, Trouble};
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, HOUR, House, Policy};

/// Only what never happens takes it.
const LONG: Duration = Duration::from_secs(20);

fn line(quota: &str) -> impl Fn(&Policy) {
    move |policy| {
        let entry = format!(
            "\n[[registration-authority]]\nname = \"ra.line-*\"\nprofiles = [\"idev\"]\nmakers = [\"brannoc\"]\n\
             models = [\"*\"]\nserials = [\"*\"]\n{quota}\n"
        );
        policy.append("roles.toml", &entry);
    }
}

fn naming(serial: &str) -> Ask {
    let key = key();
    Ask::est("idev/simpleenroll", &Csr::of(&key).named(&[(SERIAL_NUMBER, serial)]).sign(&key))
}

fn serial(number: usize) -> String {
    format!("BR{number:06}")
}

/// Devices in production, numbered from 0.
async fn made(house: &House, count: usize) {
    for number in 0..count {
        house.register(&serial(number), "manufacturing").await;
    }
}

async fn asks(house: &House, line: &Card, number: usize) -> Reply {
    house.ask(Some(line), &naming(&serial(number))).await
}

/// Sends each on a connection of its own, all of them open before the first is sent.
async fn at_once(house: &Arc<House>, asks: Vec<(Card, Ask)>) -> Vec<Reply> {
    let barrier = Arc::new(Barrier::new(asks.len()));
    let mut tasks = JoinSet::new();
    for (card, ask) in asks {
        let (house, barrier) = (Arc::clone(house), Arc::clone(&barrier));
        tasks.spawn(async move {
            let mut wire = house.est(Some(&card)).await;
            barrier.wait().await;
            wire.ask(&ask).await.unwrap()
        });
    }
    tasks.join_all().await
}

fn births(house: &House) -> usize {
    let ids = (0..64).map(|number| format!("brannoc.P3.{}", serial(number)).parse::<HolderId>().unwrap());
    ids.map(|id| house.certificates_of(&id).len()).sum()
}

/// Never over, and not under: whoever is told to come again does, until the last certificate is issued.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_quota_is_exact_however_many_ask_at_once() {
    let house = Arc::new(House::with(line("quota = 10")).await);
    let (_, seven) = house.line("line-7").await;
    let (_, eight) = house.line("line-8").await;
    made(&house, 48).await;
    // Each line has the quota of the entry for itself.
    let all = (0..48)
        .map(|number| (if number % 2 == 0 { seven.clone() } else { eight.clone() }, naming(&serial(number))));
    let replies = at_once(&house, all.collect()).await;
    for reply in &replies {
        match reply.status {
            200 => {}
            403 => assert!(reply.text().contains("whole quota of 10"), "{}", reply.text()),
            503 => assert!(reply.header("retry-after").unwrap().parse::<u32>().is_ok()),
            other => panic!("{other}: {}", reply.text()),
        }
    }
    let issued = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(issued, births(&house));
    assert!(issued <= 20, "{issued}");
    for (card, kind) in [(&seven, 0), (&eight, 1)] {
        for number in (0..48).filter(|number| number % 2 == kind) {
            let reply = asks(&house, card, number).await;
            assert!([200, 403].contains(&reply.status), "nothing is under way: {}", reply.text());
        }
    }
    assert_eq!(births(&house), 20);
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// The last certificate is under way: the next one who asks is neither promised one nor sent away for good. Going away does
/// not give the place back; only the end of the commit does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_the_edge_nobody_is_refused_too_early() {
    let switch = Switch::new();
    let given = switch.clone();
    let house =
        House::on_store_with(line("quota = 1"), move |inner| Arc::new(Faulty { inner, switch: given })).await;
    let (line, card) = house.line("line-7").await;
    made(&house, 3).await;
    switch.set(Trouble::Slow);
    let mut first = house.est(Some(&card)).await;
    first.send(&naming(&serial(0)).bytes()).await.unwrap();
    while switch.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let second = asks(&house, &card, 1).await;
    assert_eq!(second.status, 503, "{}", second.text());
    assert!(second.header("retry-after").unwrap().parse::<u32>().is_ok());
    drop(first);
    assert_eq!(asks(&house, &card, 1).await.status, 503, "the client is gone, its commit is not");
    switch.set(Trouble::None);
    let done = async {
        while births(&house) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, done).await.expect("a commit was forgotten with its client");
    let mut last = asks(&house, &card, 1).await;
    while last.status == 503 {
        last = asks(&house, &card, 1).await;
    }
    assert_eq!(last.status, 403);
    assert!(last.text().contains("whole quota of 1"), "{}", last.text());
    assert_eq!(births(&house), 1);
    assert!(house.told(&line).iter().any(|what| what.contains("of brannoc.P3.BR000001 refused: ra-quota")));
}

/// A commit that fails takes nothing from the quota.
#[tokio::test]
async fn what_was_not_issued_does_not_count() {
    let switch = Switch::new();
    let given = switch.clone();
    let house =
        House::on_store_with(line("quota = 1"), move |inner| Arc::new(Faulty { inner, switch: given })).await;
    let (_, card) = house.line("line-7").await;
    made(&house, 2).await;
    switch.set(Trouble::Commit);
    for _ in 0..3 {
        assert_eq!(asks(&house, &card, 0).await.status, 503);
    }
    switch.set(Trouble::None);
    // Refused for other reasons, neither.
    assert_eq!(house.ask(Some(&card), &naming("BR999999")).await.status, 403);
    assert_eq!(asks(&house, &card, 0).await.status, 200);
    assert_eq!(asks(&house, &card, 1).await.status, 403);
}

/// The record has the count: a restart forgives nothing, and a larger number lets the line go on.
#[tokio::test]
async fn a_restart_forgives_nothing() {
    let house = House::with(line("quota = 2")).await;
    let (_, card) = house.line("line-7").await;
    made(&house, 4).await;
    assert_eq!(asks(&house, &card, 0).await.status, 200);
    let house = house.reopened(|_| {}).await;
    assert_eq!(asks(&house, &card, 1).await.status, 200);
    assert_eq!(asks(&house, &card, 2).await.status, 403);
    let house = house.reopened(|policy| policy.replace("roles.toml", "quota = 2", "quota = 3")).await;
    assert_eq!(asks(&house, &card, 2).await.status, 200);
    assert_eq!(asks(&house, &card, 3).await.status, 403);
    assert_eq!(births(&house), 3);
    // Revoking gives nothing back: it has been issued.
    let serials = house.certificates_of(&"brannoc.P3.BR000000".parse().unwrap());
    house.revoke(serials[0].serial, vitae::ids::Reason::Superseded).await;
    assert_eq!(asks(&house, &card, 3).await.status, 403);
}

/// A day in UTC has its own share; a clock that was set back opens none anew.
#[tokio::test]
async fn each_day_has_its_share() {
    let house = House::with(line("quota = 5\nper-day = 2")).await;
    let id = house.register_identity("ra", "line-7").await;
    made(&house, 8).await;
    // An hour after midnight, so that what follows stays within the day.
    let day = DAY.as_secs();
    let midnight = vitae::clock::Timestamp::from_secs((house.clock.now().secs() / day + 1) * day);
    house.clock.set(midnight + HOUR);
    let card = house.enrolled(&id, "ra").await;
    for (number, status) in [(0, 200), (1, 200), (2, 403)] {
        let reply = asks(&house, &card, number).await;
        assert_eq!(reply.status, status, "{number}: {}", reply.text());
    }
    let refused = asks(&house, &card, 2).await;
    let next = midnight + DAY;
    assert!(refused.text().contains(&format!("come again after {next}")), "{}", refused.text());
    assert!(house.told(&id).iter().any(|what| what.contains("ra-per-day")));
    house.clock.set(next);
    for (number, status) in [(2, 200), (3, 200), (4, 403)] {
        assert_eq!(asks(&house, &card, number).await.status, status, "{number}");
    }
    let shown = house.authority.identities(&house.operator()).unwrap();
    let shown = shown.into_iter().find(|view| view.identity.id == id).unwrap().enrolled.unwrap();
    assert_eq!((shown.ever, shown.quota, shown.today, shown.per_day), (4, Some(5), 2, Some(2)));
    house.clock.set(next - HOUR);
    assert_eq!(asks(&house, &card, 4).await.status, 403, "the day before had its share too");
    house.clock.set(next + DAY);
    let card = house.enrolled(&id, "ra").await;
    for (number, words) in [(4, None), (5, Some("whole quota of 5"))] {
        let reply = asks(&house, &card, number).await;
        assert_eq!(reply.status == 200, words.is_none(), "{number}: {}", reply.text());
        assert!(words.is_none_or(|words| reply.text().contains(words)), "{}", reply.text());
    }
}

/// Counts the commits that had to be decided anew.
struct Conflicts {
    inner: Arc<dyn Store<Event>>,
    count: Arc<AtomicUsize>,
}

impl Store<Event> for Conflicts {
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        self.inner.snapshot()
    }

    fn commit(&self, commit: Commit<Event>) -> Pending {
        let (pending, count) = (self.inner.commit(commit), Arc::clone(&self.count));
        Box::pin(async move {
            let outcome = pending.await;
            if matches!(outcome, Err(CommitError::Conflict { .. })) {
                count.fetch_add(1, Ordering::SeqCst);
            }
            outcome
        })
    }

    fn head(&self) -> watch::Receiver<EventNumber> {
        self.inner.head()
    }

    fn shutdown(&self) {
        self.inner.shutdown();
    }
}

/// The count of a line is no row that its requests would fight for: each commits at the first try.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_requests_of_a_line_do_not_stand_in_each_others_way() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let house = House::on_store_with(line("quota = 1000\nper-day = 900"), move |inner| {
        Arc::new(Conflicts { inner, count: counted })
    })
    .await;
    let house = Arc::new(house);
    let (_, card) = house.line("line-7").await;
    made(&house, 32).await;
    let before = count.load(Ordering::SeqCst);
    let all = (0..32).map(|number| (card.clone(), naming(&serial(number)))).collect();
    let replies = at_once(&house, all).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let different: BTreeSet<_> = replies.iter().map(|reply| reply.certificate().der().to_vec()).collect();
    assert_eq!((different.len(), births(&house)), (32, 32));
    assert_eq!(count.load(Ordering::SeqCst), before);
}
