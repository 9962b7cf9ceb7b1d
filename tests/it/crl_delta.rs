//! Delta lists (RFC 5280 section 5.2.4): C07 to C13, C20, B27, B29.

use std::collections::BTreeMap;

use vitae::clock::Clock;
use vitae::ids::{Reason, Serial};

use crate::support::crl::List;
use crate::support::{DAY, HOUR, House, Policy};

/// What a client knows who applies a delta to a complete list that it has kept (RFC 5280 section 5.2.4).
fn applied(complete: &List, delta: &List) -> BTreeMap<Serial, u8> {
    assert!(delta.base.unwrap() <= complete.number, "it is of no use to whoever has {}", complete.number);
    assert_eq!(delta.scope, complete.scope, "C09");
    let mut known = reasons(complete);
    for (serial, _, reason) in &delta.entries {
        if *reason == 8 {
            known.remove(serial);
        } else {
            known.insert(*serial, *reason);
        }
    }
    known
}

fn reasons(list: &List) -> BTreeMap<Serial, u8> {
    list.entries.iter().map(|(serial, _, reason)| (*serial, *reason)).collect()
}

/// C07, C08, C09, C13, B27, B29: from the start there is a delta beside each list that has one, linked both ways, of the same
/// number when issued together; a revocation makes both anew.
#[tokio::test]
async fn a_delta_belongs_to_a_published_list() {
    let house = House::with(Policy::one_shard).await;
    let first = house.shard("operational", 0).await;
    let url = format!("{}/crl/operational/0-delta.crl", house.authority.config().server().status_url());
    assert_eq!(first.freshest, [url], "C13");
    let delta = house.delta("operational", 0).await.unwrap();
    assert_eq!((delta.number, delta.base), (first.number, Some(first.number)), "C08");
    assert!(delta.entries.is_empty());
    assert!(house.shard("birth", 0).await.freshest.is_empty(), "policy gives this CA no deltas");
    assert!(house.delta("birth", 0).await.is_none());

    let (_, card) = house.working("BR000001").await;
    let done = house.revoke(card.serial(), Reason::KeyCompromise).await;
    let (complete, delta) =
        (house.shard("operational", 0).await, house.delta("operational", 0).await.unwrap());
    assert!(complete.number > first.number, "B29: a revocation gives a new number");
    assert_eq!((complete.number, delta.number), (done.lists[0].number, complete.number), "C08");
    assert_eq!(delta.base, Some(first.number), "C07: what a client may have kept");
    assert_eq!((delta.this_update, &delta.entries), (complete.this_update, &complete.entries));
    assert!(delta.next_update <= complete.next_update);
    assert_eq!(applied(&first, &delta), reasons(&complete));
}

/// C10, C12, C20, B27: everything that has changed since the base is in the delta: a revocation, a changed reason, a release,
/// and a hold that came and went in between.
#[tokio::test]
async fn a_delta_lists_every_change_since_its_base() {
    let house = House::with(Policy::one_shard).await;
    let mut units = Vec::new();
    for number in 0..5 {
        units.push(house.working(&format!("BR00000{number}")).await);
    }
    let serial = |n: usize| units[n].1.serial();
    for n in [0, 1, 2] {
        house.go(&units[n].0, "clinical-use").await;
        house.go(&units[n].0, "quarantine").await;
    }
    // A scheduled list with three on hold: the base of all that follows, once the lists before have ended.
    for _ in 0..4 {
        house.clock.advance(11 * HOUR);
        house.authority.upkeep().await.unwrap();
    }
    let base = house.shard("operational", 0).await;
    assert_eq!(reasons(&base), BTreeMap::from([(serial(0), 6), (serial(1), 6), (serial(2), 6)]));

    house.go(&units[0].0, "clinical-use").await;
    house.revoke(serial(1), Reason::KeyCompromise).await;
    for (to, _) in [("clinical-use", 0), ("quarantine", 0), ("clinical-use", 0)] {
        house.go(&units[3].0, to).await;
    }
    house.revoke(serial(4), Reason::Superseded).await;
    let delta = house.delta("operational", 0).await.unwrap();
    let told = reasons(&delta);
    assert_eq!(told.get(&serial(0)), Some(&8), "released");
    assert_eq!(told.get(&serial(1)), Some(&1), "another reason");
    assert_eq!(told.get(&serial(3)), Some(&8), "on hold and released since the base: listed all the same");
    assert_eq!(told.get(&serial(4)), Some(&4), "new");
    let complete = house.shard("operational", 0).await;
    assert_eq!(applied(&base, &delta), reasons(&complete));
    assert_eq!(reasons(&complete), BTreeMap::from([(serial(1), 1), (serial(2), 6), (serial(4), 4)]));
}

/// C07, C08, C11: whatever complete list a client has kept that has not ended, the delta of today makes today's list of it. The
/// delta comes alone when its end is near, with a number of its own.
#[tokio::test]
async fn every_list_that_has_not_ended_can_be_brought_up_to_date() {
    let house = House::with(Policy::one_shard).await;
    let mut kept: Vec<List> = vec![house.shard("operational", 0).await];
    let mut numbers: BTreeMap<u64, bool> = BTreeMap::new();
    let mut alone = 0;
    let mut held = Vec::new();
    for round in 0..45u64 {
        house.clock.advance(2 * HOUR + HOUR / 7);
        match round % 9 {
            1 => {
                let (id, card) = house.working(&format!("BR1000{round:02}")).await;
                house.revoke(card.serial(), Reason::Superseded).await;
                drop(id);
            }
            2 => {
                let (id, _) = house.working(&format!("BR2000{round:02}")).await;
                house.go(&id, "clinical-use").await;
                house.go(&id, "quarantine").await;
                held.push(id);
            }
            7 => {
                if let Some(id) = held.pop() {
                    house.go(&id, "clinical-use").await;
                }
            }
            _ => {}
        }
        house.authority.upkeep().await.unwrap();
        let now = house.clock.now();
        let (complete, delta) =
            (house.shard("operational", 0).await, house.delta("operational", 0).await.unwrap());
        assert!(delta.next_update > now && delta.next_update.since(now) > 2 * HOUR, "never about to end");
        assert!(delta.number >= complete.number, "C08: one sequence of numbers");
        alone += u32::from(delta.number > complete.number);
        numbers.insert(complete.number, true);
        if kept.last().unwrap().number != complete.number {
            kept.push(complete.clone());
        }
        kept.retain(|list| list.next_update > now);
        assert!(numbers.contains_key(&delta.base.unwrap()) || delta.base <= Some(kept[0].number), "C07");
        for list in &kept {
            if list.number <= delta.number {
                assert_eq!(applied(list, &delta), reasons(&complete), "round {round}, from {}", list.number);
            }
        }
    }
    assert!(alone > 3, "deltas come between complete lists: {alone}");
    assert!(kept.len() > 3);
}

/// C11: what was first told by a delta stays there until a complete list has it, also when the certificate ends meanwhile.
#[tokio::test]
async fn a_revocation_just_before_the_end_is_on_a_complete_list() {
    let house = House::with(Policy::one_shard).await;
    let (_, card) = house.working("BR000001").await;
    let end = card.certificate().not_after();
    while house.clock.now() + 5 * HOUR < end {
        house.clock.advance(5 * HOUR);
        house.authority.upkeep().await.unwrap();
    }
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    let first = house.shard("operational", 0).await;
    assert_eq!(first.reason_of(card.serial()), Some(1));
    house.clock.set(end + HOUR);
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.delta("operational", 0).await.unwrap().reason_of(card.serial()), Some(1));
    let mut after_end = 0;
    for _ in 0..10 {
        house.clock.advance(11 * HOUR);
        house.authority.upkeep().await.unwrap();
        after_end += u32::from(house.shard("operational", 0).await.reason_of(card.serial()) == Some(1));
    }
    assert!(after_end >= 1, "C19");
    assert!(house.shard("operational", 0).await.entries.is_empty());
}

/// C09, C13: a policy without deltas, and one with deltas again.
#[tokio::test]
async fn deltas_come_and_go_with_the_policy() {
    let house = House::with(|policy| {
        policy.one_shard();
        policy.replace("vitae.toml", "# status-url", "status-url");
    })
    .await;
    let with = "delta-lifetime = \"6h\"\n";
    let house = house.reopened(|policy| policy.replace("hierarchy.toml", with, "# no deltas\n")).await;
    let (_, card) = house.working("BR000001").await;
    house.revoke(card.serial(), Reason::Superseded).await;
    let without = house.shard("operational", 0).await;
    assert!(without.freshest.is_empty());
    assert!(house.delta("operational", 0).await.is_none(), "a delta that is not made anew is not served");
    house.clock.advance(DAY);
    let house = house.reopened(|policy| policy.replace("hierarchy.toml", "# no deltas\n", with)).await;
    let delta = house.delta("operational", 0).await.unwrap();
    let complete = house.shard("operational", 0).await;
    assert_eq!(complete.freshest.len(), 1);
    assert_eq!(applied(&complete, &delta), reasons(&complete));
}
