//! Lists when something goes wrong: a full disk, a kill, two at once, a copy of yesterday.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use vitae::clock::Clock;
use vitae::ids::Reason;

use crate::support::bulk::Bulk;
use crate::support::store::{Faulty, Switch, Trouble};
use crate::support::{HOUR, House, Policy};

/// C22: a list that cannot be written leaves the one before in its place, says so, and comes when there is room again; the
/// revocation stands meanwhile.
#[tokio::test]
async fn a_full_disk_leaves_the_old_list() {
    let house = House::with(Policy::one_shard).await;
    let (_, card) = house.working("BR000001").await;
    let before = house.shard("operational", 0).await;
    let beside = house.dir().join("crl/operational-0.crl.new");
    symlink("/dev/full", &beside).unwrap();
    let done = house.revoke(card.serial(), Reason::KeyCompromise).await;
    assert!(done.lists.is_empty(), "no list is said to carry it");
    assert_eq!(house.status_of(card.serial()), "revoked");
    let same = house.shard("operational", 0).await;
    assert!(same.der == before.der);
    assert!(!beside.exists() && fs::symlink_metadata(&beside).is_err(), "what was begun is removed");

    symlink("/dev/full", &beside).unwrap();
    let ca = "operational".parse().unwrap();
    let told = house.authority.publish_crl(&house.operator(), &ca).await.unwrap_err().to_string();
    assert!(told.contains("operational-0.crl") && told.contains("No space left"), "{told}");
    house.authority.upkeep().await.unwrap();
    let after = house.shard("operational", 0).await;
    assert_eq!(after.reason_of(card.serial()), Some(1));
    assert!(after.number > before.number);
}

/// C05, C22: killed after the number was recorded and before the list was seen: the next run serves no list that is not the
/// recorded one, and gives the number to no other.
#[tokio::test]
async fn a_list_that_was_recorded_and_never_seen_is_made_anew() {
    let house = House::with(|policy| {
        policy.one_shard();
        policy.replace("vitae.toml", "# status-url", "status-url");
    })
    .await;
    let (_, card) = house.working("BR000001").await;
    let path = house.dir().join("crl/operational-0.crl");
    let before = fs::read(&path).unwrap();
    let done = house.revoke(card.serial(), Reason::KeyCompromise).await;
    // As a kill between the two leaves it: the file of before, and the new one under the name that nobody reads.
    let new = fs::read(&path).unwrap();
    fs::write(&path, &before).unwrap();
    let beside = path.with_extension("crl.new");
    fs::write(&beside, &new[..new.len() / 2]).unwrap();
    let house = house.reopened(|_| {}).await;
    assert!(!beside.exists());
    let list = house.shard("operational", 0).await;
    assert!(list.number > done.lists[0].number);
    assert_eq!(list.reason_of(card.serial()), Some(1));
    let delta = house.delta("operational", 0).await.unwrap();
    assert_eq!(delta.number, list.number);
}

/// C19, B26: a scheduled list that was recorded and never seen has shown nobody anything: what ended before it is on the next.
#[tokio::test]
async fn a_list_that_nobody_has_seen_lets_no_entry_leave() {
    let (house, bulk) = Bulk::house(Policy::one_shard).await;
    let serials = bulk.issue(&house.clock, 1, house.clock.now() + HOUR, 1).await;
    bulk.revoke(&house.clock, &serials, Reason::KeyCompromise).await;
    house.authority.upkeep().await.unwrap();
    house.clock.advance(20 * HOUR);
    // Something that is recorded after the certificate's end, so that the lost list could have let it leave.
    bulk.issue(&house.clock, 1, house.clock.now() + HOUR, 1).await;
    let path = house.dir().join("crl/operational-0.crl");
    let ca = "operational".parse().unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    house.authority.publish_crl(&house.operator(), &ca).await.unwrap_err();
    fs::remove_dir(&path).unwrap();
    bulk.issue(&house.clock, 1, house.clock.now() + HOUR, 1).await;
    house.authority.upkeep().await.unwrap();
    let list = house.shard("operational", 0).await;
    assert_eq!(list.reason_of(serials[0]), Some(1));
    // Seen now: the next one may do without.
    house.clock.advance(20 * HOUR);
    house.authority.upkeep().await.unwrap();
    house.clock.advance(20 * HOUR);
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.shard("operational", 0).await.reason_of(serials[0]), None);
}

/// C05: a data folder that was put back from a copy does not use the numbers again that it gave since.
#[tokio::test]
async fn a_restored_copy_gives_no_number_twice() {
    let house = House::with(|policy| {
        policy.one_shard();
        policy.replace("vitae.toml", "# status-url", "status-url");
    })
    .await;
    let (_, one) = house.working("BR000001").await;
    let (_, two) = house.working("BR000002").await;
    let house = house.reopened(|_| {}).await;
    let dir = house.dir();
    // The store is one file that redb keeps whole; nothing is written while it is read here.
    let copy = fs::read(dir.join("vitae.redb")).unwrap();
    let mut used = BTreeSet::new();
    for _ in 0..20 {
        house.clock.advance(std::time::Duration::from_millis(40));
        let ca = "operational".parse().unwrap();
        let lists = house.authority.publish_crl(&house.operator(), &ca).await.unwrap();
        used.extend(lists.iter().map(|list| list.number));
    }
    house.revoke(one.serial(), Reason::KeyCompromise).await;
    used.insert(house.shard("operational", 0).await.number);
    let highest = *used.last().unwrap();
    house.clock.advance(HOUR);
    let house = house
        .reopened(move |_| {
            fs::write(dir.join("vitae.redb"), &copy).unwrap();
        })
        .await;
    assert_eq!(house.status_of(one.serial()), "good", "the copy knows nothing of it");
    house.revoke(two.serial(), Reason::Superseded).await;
    let list = house.shard("operational", 0).await;
    assert!(list.number > highest && !used.contains(&list.number), "{} {highest}", list.number);
}

/// C05, C08: commands and revocations at the same time: builds are shared, each number has one content, and everybody is told
/// of a list that has his.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_share_builds() {
    let house = Arc::new(House::open().await);
    let mut cards = Vec::new();
    for number in 0..24 {
        cards.push(house.working(&format!("BR0000{number:02}")).await.1);
    }
    let before = house.events();
    let tasks: Vec<_> = cards
        .iter()
        .map(|card| {
            let (house, serial) = (Arc::clone(&house), card.serial());
            tokio::spawn(async move {
                let done = house.revoke(serial, Reason::Superseded).await;
                let list = house.shard("operational", serial.shard(8)).await;
                assert_eq!(list.reason_of(serial), Some(4), "listed when it is answered");
                assert!(done.lists[0].number <= list.number && done.lists[0].shard == serial.shard(8));
            })
        })
        .collect();
    let ca = "operational".parse().unwrap();
    let operator = house.operator();
    let (first, second) = tokio::join!(
        house.authority.publish_crl(&operator, &ca),
        house.authority.publish_crl(&operator, &ca)
    );
    let numbers = |lists: Vec<Arc<vitae::authority::PublishedCrl>>| {
        lists.iter().map(|list| (list.shard.shard, list.number)).collect::<BTreeSet<_>>()
    };
    assert!(numbers(first.unwrap()).is_disjoint(&numbers(second.unwrap())));
    for task in tasks {
        task.await.unwrap();
    }
    // Each revocation is an event. Alone, each would also have made two lists; the two commands made 16 each.
    let published = house.events() - before - 24 - 32;
    assert!(published <= 2 * 24, "{published}");
    assert_eq!(house.crl("operational").await.entries.len(), 24);
}

/// C22: the status door answers at once while a list is built and recorded, with the list of before.
#[tokio::test]
async fn nobody_waits_for_a_build() {
    let switch = Switch::new();
    let given = switch.clone();
    let house =
        House::on_store_with(Policy::one_shard, move |inner| Arc::new(Faulty { inner, switch: given })).await;
    house.authority.upkeep().await.unwrap();
    let before = house.shard("operational", 0).await;
    switch.set(Trouble::Slow);
    let authority = Arc::clone(&house.authority);
    let operator = house.operator();
    let building =
        tokio::spawn(async move { authority.publish_crl(&operator, &"operational".parse().unwrap()).await });
    while switch.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    let meanwhile = house.shard("operational", 0).await;
    assert!(meanwhile.der == before.der);
    switch.set(Trouble::None);
    let published = building.await.unwrap().unwrap();
    assert_eq!(house.shard("operational", 0).await.number, published[0].number);
}
