//! Lists in shards (RFC 5280 sections 4.2.1.13, 5.2.5): C14 to C16.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vitae::clock::Clock;
use vitae::ids::Reason;

use crate::support::wire::Card;
use crate::support::{DAY, HOUR, House, Policy};

fn shards(policy: &Policy, count: u32) {
    policy.replace("hierarchy.toml", "crl-shards = 8", &format!("crl-shards = {count}"));
}

/// The shard whose list a certificate names, and that URL.
fn shard_of(card: &Card) -> (u32, String) {
    let urls = card.certificate().crl_urls();
    let [url] = urls.as_slice() else { panic!("one distribution point: {urls:?}") };
    let number = url.rsplit('/').next().unwrap().strip_suffix(".crl").unwrap().parse().unwrap();
    (number, url.clone())
}

/// C14, C15, C16: each certificate names one shard, is listed there and nowhere else, and the list says so with the octets of
/// the certificate.
#[tokio::test]
async fn a_certificate_is_listed_in_the_shard_that_it_names() {
    let house = House::open().await;
    let mut named = BTreeMap::new();
    for number in 0..24 {
        let (_, card) = house.working(&format!("BR0000{number:02}")).await;
        house.revoke(card.serial(), Reason::Superseded).await;
        named.insert(card.serial(), shard_of(&card));
    }
    let used: BTreeSet<u32> = named.values().map(|(shard, _)| *shard).collect();
    assert!(used.len() >= 4 && used.iter().all(|shard| *shard < 8), "{used:?}");
    let mut all = BTreeSet::new();
    for shard in 0..8 {
        let list = house.shard("operational", shard).await;
        let scope = list.scope.unwrap();
        assert!(scope.users_only, "C16: no CA can stand below this one");
        for (serial, _, _) in list.entries {
            let (its, url) = &named[&serial];
            assert_eq!(*its, shard);
            assert!(scope.names.contains(url), "C14");
            assert!(all.insert(serial), "listed twice");
        }
    }
    assert_eq!(all, named.keys().copied().collect(), "C15: together the shards are the full list");
}

/// C16: a root has CAs and an OCSP signer below it, so the lists into which its own is divided are not for users only.
#[tokio::test]
async fn the_lists_of_a_root_are_for_all_that_it_has_issued() {
    let house = House::with(|policy| {
        policy.replace(
            "hierarchy.toml",
            "name = \"root\"\ncommon-name",
            "name = \"root\"\ncrl-shards = 2\ncommon-name",
        );
    })
    .await;
    for shard in [0, 1] {
        assert!(!house.shard("root", shard).await.scope.unwrap().users_only);
    }
    // The certificate of a CA names one of them by the same octets.
    let [url] = &house.ca_certificate("operational").crl_urls()[..] else { panic!("one distribution point") };
    let shard = if url.ends_with("/1.crl") { 1 } else { 0 };
    assert!(house.shard("root", shard).await.scope.unwrap().names.contains(url), "C14: {url}");
}

/// C15: shards fill alike, whatever is issued when.
#[test]
fn shards_fill_alike() {
    use vitae::clock::{SystemRandom, Timestamp};
    use vitae::ids::Serial;
    for count in [1, 2, 3, 7, 8, 100] {
        let mut found = vec![0u32; count as usize];
        for n in 0..20_000 {
            let serial = Serial::generate(Timestamp::from_secs(1_800_000_000 + n / 100), &SystemRandom);
            found[serial.shard(count) as usize] += 1;
        }
        let fair = 20_000 / count;
        // Ten standard deviations: one run in 10^20 is wrong by chance.
        let most = f64::from(fair).sqrt() * 10.0;
        for number in &found {
            assert!((f64::from(*number) - f64::from(fair)).abs() <= most, "{count}: {found:?}");
        }
    }
}

/// C15: another number of shards is for new certificates. What older ones name is published as long as one of them lives or is
/// listed, and no longer.
#[tokio::test]
async fn another_number_of_shards_leaves_older_certificates_their_lists() {
    let house = House::with(|policy| {
        policy.replace("vitae.toml", "# status-url", "status-url");
        shards(policy, 5);
    })
    .await;
    let mut old = Vec::new();
    while old.iter().all(|card| shard_of(card).0 == 0) {
        old.push(house.working(&format!("BR0000{:02}", old.len())).await.1);
    }
    let old = old.pop().unwrap();
    let shard = shard_of(&old).0;
    let house =
        house.reopened(|policy| policy.replace("hierarchy.toml", "crl-shards = 5", "crl-shards = 1")).await;
    let (_, new) = house.working("BR000099").await;
    assert_eq!(shard_of(&new).0, 0);
    house.revoke(old.serial(), Reason::KeyCompromise).await;
    assert_eq!(house.shard("operational", shard).await.reason_of(old.serial()), Some(1));
    house.revoke(new.serial(), Reason::KeyCompromise).await;
    assert_eq!(house.shard("operational", 0).await.reason_of(new.serial()), Some(1));

    let end = old.certificate().not_after();
    let mut gone = None;
    for _ in 0..80 {
        house.clock.advance(11 * HOUR);
        house.authority.upkeep().await.unwrap();
        let ca = house.authority.ca(&"operational".parse().unwrap()).unwrap();
        match ca.list(shard) {
            Some(list) => {
                assert!(gone.is_none(), "it does not come back");
                assert!(list.next_update > house.clock.now(), "as long as it is served it is good");
            }
            None => gone = gone.or(Some(house.clock.now())),
        }
        assert!(ca.list(0).unwrap().next_update > house.clock.now());
    }
    assert!(gone.is_some_and(|gone| gone > end && gone < end + 5 * DAY), "{gone:?}, {end}");
}

/// C14, C15: with more shards, and with another address, what was issued before is found where it says it is: its list names
/// the old URL too, octet by octet.
#[tokio::test]
async fn certificates_of_another_address_are_still_in_scope() {
    let first = "status-url = \"http://first.example.test\"";
    let house = House::with(|policy| {
        policy.replace("vitae.toml", "# status-url = \"http://pki.hospital.example\"", first);
        shards(policy, 1);
    })
    .await;
    let (_, old) = house.working("BR000001").await;
    assert_eq!(shard_of(&old), (0, "http://first.example.test/crl/operational/0.crl".to_owned()));
    // The only list names no scope, for clients that know none, and its delta likewise (C09).
    let whole = house.shard("operational", 0).await;
    let delta = house.delta("operational", 0).await.unwrap();
    assert_eq!((&whole.scope, &delta.scope), (&None, &None));
    let house = house
        .reopened(|policy| {
            policy.replace("vitae.toml", "first.example", "second.example");
            policy.replace("hierarchy.toml", "crl-shards = 1", "crl-shards = 3");
        })
        .await;
    let (_, new) = house.working("BR000002").await;
    assert!(shard_of(&new).1.starts_with("http://second.example.test/crl/operational/"));
    house.revoke(old.serial(), Reason::Superseded).await;
    let list = house.shard("operational", 0).await;
    assert_eq!(list.reason_of(old.serial()), Some(4));
    let names = list.scope.unwrap().names;
    assert_eq!(names[0], "http://second.example.test/crl/operational/0.crl");
    assert!(names.contains(&shard_of(&old).1), "{names:?}");
    // The delta has the same scope as its base (C09), and a base that knows the new name.
    let delta = house.delta("operational", 0).await.unwrap();
    assert_eq!(delta.scope.unwrap().names, names);
    assert!(delta.base > Some(whole.number), "nobody can put it on a list without a scope");
}

/// C06: shards that were published together are not all due together ever after.
#[tokio::test]
async fn shards_are_not_all_due_at_once() {
    let house = House::with(|policy| {
        shards(policy, 40);
        policy.replace("hierarchy.toml", "delta-lifetime = \"6h\"\n", "");
    })
    .await;
    let numbers = || {
        let lists = house.authority.ca(&"operational".parse().unwrap()).unwrap().lists();
        lists.values().map(|lists| lists.complete.number).collect::<Vec<_>>()
    };
    let mut most = 0;
    let mut published = 0;
    let mut last = numbers();
    for _ in 0..48 {
        house.clock.advance(Duration::from_secs(1800));
        house.authority.upkeep().await.unwrap();
        let now = numbers();
        let changed = now.iter().zip(&last).filter(|(now, last)| now != last).count();
        (most, published, last) = (most.max(changed), published + changed, now);
    }
    assert!(most <= 12, "{most} of 40 in half an hour");
    assert!((40..=120).contains(&published), "about twice a day: {published}");
}
