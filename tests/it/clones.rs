//! Two who hold the same certificate: the one who comes second is refused, both addresses are recorded, and the policy acts.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use vitae::ids::HolderId;

use crate::renewal_overlap::{read, renew_with, renewed};
use crate::support::csr::{Csr, key};
use crate::support::ocsp::Said;
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, HOUR, House, Policy};

fn stage(house: &House, id: &HolderId) -> String {
    house.authority.device(&house.operator(), id).unwrap().stage.to_string()
}

fn suspicions(house: &House, id: &HolderId) -> usize {
    house.told(id).iter().filter(|what| what.contains("copy suspected")).count()
}

fn assert_suspected(house: &House, id: &HolderId, reply: &Reply, current: &Card) {
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(
        reply.text().contains("copy") && reply.text().contains(&current.serial().to_string()),
        "{}",
        reply.text()
    );
    assert_eq!(suspicions(house, id), 1);
}

/// The old certificate with a key that is not its successor's, before and after the successor was used, and after the
/// overlap: refused, recorded, the device in quarantine and its certificates on hold in the same commit.
#[tokio::test]
async fn a_second_key_for_one_certificate_is_a_copy() {
    let house = House::with(Policy::one_shard).await;
    for (n, case) in ["unused", "used", "over", "ended"].into_iter().enumerate() {
        let (id, old) = house.working(&format!("BR00000{n}")).await;
        house.go(&id, "clinical-use").await;
        let new = renewed(&house, &old, &key()).await;
        match case {
            "used" => read(&house, Some(&new)).await,
            "over" => house.clock.advance(2 * DAY),
            "ended" => {
                house.clock.advance(2 * DAY);
                house.authority.upkeep().await.unwrap();
            }
            _ => {}
        }
        let before = house.events();
        let reply = renew_with(&house, &old, "ldev", &key()).await;
        assert_suspected(&house, &id, &reply, &new);
        assert_eq!(stage(&house, &id), "quarantine", "{case}");
        assert_eq!(house.ocsp("operational", new.serial()).await, Said::Revoked(6), "{case}");
        assert_eq!(
            house.crl("operational").await.reason_of(new.serial()),
            Some(6),
            "{case}: the list follows"
        );
        let held = if ["unused", "over"].contains(&case) { 2 } else { 1 };
        assert_eq!(
            house.events(),
            before + 2 + held + 2,
            "{case}: the suspicion, the move, the holds, the list and its delta"
        );
        assert_eq!(house.certificates_of(&id).len(), 2, "{case}");
    }
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// Both addresses are in the record, and both certificates tell the story.
#[tokio::test]
async fn history_and_trace_tell_both_sources() {
    let house = House::open().await;
    let (id, old) = house.working("BR000001").await;
    let new = renewed(&house, &old, &key()).await;
    let asked = key();
    renew_with(&house, &old, "ldev", &asked).await;
    let line = format!(
        "copy suspected: certificate {old}, which {new} replaced, asked for another key from 127.0.0.1; {new} was asked for from 127.0.0.1",
        old = old.serial(),
        new = new.serial(),
    );
    let history = house.authority.history(&house.operator(), &id, None).unwrap();
    let told = history.iter().find(|told| told.what == line).unwrap();
    assert_eq!((told.actor.as_str(), told.serial), ("the authority", Some(old.serial())));
    let moved = history.iter().find(|told| told.what.contains("(T12)")).unwrap();
    assert_eq!(moved.actor, "the authority");
    assert!(moved.what.contains(&old.serial().to_string()), "{}", moved.what);
    for card in [&old, &new] {
        let trace = house.authority.trace(&house.operator(), &card.serial(), None).unwrap();
        assert!(trace.events.iter().any(|event| event.what == line));
    }
    let device = house.authority.device(&house.operator(), &id).unwrap();
    assert_eq!(device.last_refusal.unwrap().code, "clone-suspected");
}

/// Once an hour for each certificate that is presented, however often it asks.
#[tokio::test]
async fn suspicions_do_not_fill_the_log() {
    let house = House::open().await;
    let (id, old) = house.working("BR000001").await;
    renewed(&house, &old, &key()).await;
    // Held from here on: only a released one goes on being a copy.
    renew_with(&house, &old, "ldev", &key()).await;
    house.go(&id, "clinical-use").await;
    let before = house.events();
    for _ in 0..5 {
        assert_eq!(renew_with(&house, &old, "ldev", &key()).await.status, 403);
    }
    assert_eq!(house.events(), before);
    house.clock.advance(HOUR);
    for _ in 0..5 {
        assert_eq!(renew_with(&house, &old, "ldev", &key()).await.status, 403);
    }
    assert_eq!(suspicions(&house, &id), 2);
    assert_eq!(stage(&house, &id), "quarantine");
}

/// B46: what is not the current certificate renews nothing. A device that enrolled anew, while its old certificate goes on renewing somewhere: one identity, two keys.
#[tokio::test]
async fn a_certificate_from_before_the_new_enrolment_is_a_copy() {
    let house = House::open().await;
    let (id, old) = house.working("BR000001").await;
    let new = house.enrolled(&id, "ldev").await;
    let reply = renew_with(&house, &old, "ldev", &old.key).await;
    assert_suspected(&house, &id, &reply, &new);
}

/// Nobody could renew what expired longer ago than its grace allows, so whoever shows it cannot move the device either: a
/// suspicion is recorded, and no more. A younger one of the same lineage still does.
#[tokio::test]
async fn a_certificate_that_is_too_old_moves_no_device() {
    let house = House::open().await;
    let (id, first) = house.working("BR000001").await;
    house.go(&id, "clinical-use").await;
    let mut lineage = vec![first];
    // Good for 30 days each, with a grace of 30 days.
    for _ in 0..3 {
        house.clock.advance(21 * DAY);
        house.authority.upkeep().await.unwrap();
        let next = renewed(&house, lineage.last().unwrap(), &key()).await;
        read(&house, Some(&next)).await;
        lineage.push(next);
    }
    let [oldest, old, .., head] = lineage.as_slice() else { unreachable!() };
    let before = house.events();
    let reply = renew_with(&house, oldest, "ldev", &key()).await;
    assert_suspected(&house, &id, &reply, head);
    assert_eq!(house.events(), before + 1);
    assert_eq!(
        (stage(&house, &id).as_str(), house.status_of(head.serial()).as_str()),
        ("clinical-use", "good")
    );
    assert_eq!(renew_with(&house, old, "ldev", &key()).await.status, 403);
    assert_eq!(stage(&house, &id), "quarantine");
}

/// A copy of an older generation, too; a machine that is no device is recorded and stays where it is.
#[tokio::test]
async fn other_machines_and_older_generations() {
    let house = House::open().await;
    let id = house.register_identity("service", "telemetry").await;
    let first = house.enrolled(&id, "svc").await;
    let mut card = first.clone();
    for _ in 0..3 {
        let next = key();
        card = Card::new(&next, &renew_with(&house, &card, "svc", &next).await.certificate());
    }
    let reply = renew_with(&house, &first, "svc", &key()).await;
    assert_suspected(&house, &id, &reply, &card);
    assert_eq!(renew_with(&house, &card, "svc", &key()).await.status, 200, "the machine itself works on");
}

/// An old request that arrives late is refused, and nobody is suspected for it.
#[tokio::test]
async fn a_late_duplicate_is_no_copy() {
    let house = House::open().await;
    let (id, first) = house.working("BR000001").await;
    let (one, two) = (key(), key());
    let second = renewed(&house, &first, &one).await;
    let third = renewed(&house, &second, &two).await;
    read(&house, Some(&third)).await;
    let reply = renew_with(&house, &first, "ldev", &one).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains(&format!("replaced by {}", third.serial())), "{}", reply.text());
    let reply = renew_with(&house, &second, "ldev", &two).await;
    assert_eq!(reply.certificate().der(), third.certificate().der(), "this one's answer may have been lost");
    assert_eq!((suspicions(&house, &id), stage(&house, &id).as_str()), (0, "deployment"));
    assert!(house.told(&id).iter().any(|what| what.contains("refused: superseded")));
}

/// Without move-to the suspicion is recorded and nothing else happens.
#[tokio::test]
async fn the_policy_may_leave_the_device_where_it_is() {
    let house =
        House::with(|policy| policy.replace("lifecycle.toml", "move-to = \"quarantine\"\n", "")).await;
    let (id, old) = house.working("BR000001").await;
    let new = renewed(&house, &old, &key()).await;
    let before = house.events();
    let reply = renew_with(&house, &old, "ldev", &key()).await;
    assert_suspected(&house, &id, &reply, &new);
    assert_eq!(house.events(), before + 1);
    assert_eq!((stage(&house, &id).as_str(), house.status_of(new.serial()).as_str()), ("deployment", "good"));
    assert_eq!(renew_with(&house, &new, "ldev", &key()).await.status, 200, "the device works on");
}

/// Where no transition leads there for this device, or only one that wants what the authority cannot give, it stays.
#[tokio::test]
async fn a_device_without_a_way_stays() {
    let needy = |policy: &Policy| {
        let rule = "to = [\"quarantine\"]\nwho = [\"hdo-sec\", \"mfr-psirt\"]\n";
        policy.replace("lifecycle.toml", rule, &format!("{rule}needs = [\"evidence\"]\n"));
    };
    let elsewhere = |policy: &Policy| {
        let text = policy.read("lifecycle.toml");
        let from =
            "from = [\"deployment\", \"clinical-use\", \"maintenance\", \"recall\"]\nto = [\"quarantine\"]";
        assert!(text.contains(from));
        policy.write("lifecycle.toml", &text.replace(from, "from = [\"recall\"]\nto = [\"quarantine\"]"));
    };
    let edits: [&dyn Fn(&Policy); 2] = [&needy, &elsewhere];
    for edit in edits {
        let house = House::with(edit).await;
        let (id, old) = house.working("BR000001").await;
        let new = renewed(&house, &old, &key()).await;
        let reply = renew_with(&house, &old, "ldev", &key()).await;
        assert_suspected(&house, &id, &reply, &new);
        assert_eq!(stage(&house, &id), "deployment");
    }
}

/// Both ways back from a suspicion: a false alarm releases, and a true one takes new keys (T14, T13).
#[tokio::test]
async fn the_way_back() {
    let house = House::open().await;
    let (id, old) = house.working("BR000001").await;
    let new = renewed(&house, &old, &key()).await;
    renew_with(&house, &old, "ldev", &key()).await;
    assert_eq!(renew_with(&house, &new, "ldev", &key()).await.status, 403, "on hold");
    house.go(&id, "clinical-use").await;
    let next = renewed(&house, &new, &key()).await;

    house.clock.advance(HOUR);
    assert_eq!(renew_with(&house, &new, "ldev", &key()).await.status, 403);
    assert_eq!(stage(&house, &id), "quarantine");
    house.go(&id, "maintenance").await;
    for card in [&old, &new, &next] {
        assert_eq!(renew_with(&house, card, "ldev", &key()).await.status, 403);
    }
    assert_eq!(suspicions(&house, &id), 2, "what a person has ended is merely refused");
    let back = house.enrolled(&id, "ldev").await;
    read(&house, Some(&back)).await;
    assert_eq!(renew_with(&house, &back, "ldev", &key()).await.status, 200);
}

fn forgetful(policy: &Policy) {
    policy.replace("lifecycle.toml", "lost-key = \"refuse\"", "lost-key = \"replace\"");
}

/// lost-key = "replace": a client that makes a key for each attempt goes on, and what it never used ends.
#[tokio::test]
async fn a_client_that_forgets_its_keys_may_be_let_in() {
    let house = House::with(forgetful).await;
    let (id, old) = house.working("BR000001").await;
    let lost = renewed(&house, &old, &key()).await;
    house.clock.advance(DAY);
    let before = house.events();
    let again = renewed(&house, &old, &key()).await;
    assert_eq!(house.events(), before + 2);
    assert_eq!(house.status_of(lost.serial()), "revoked");
    house.clock.advance(DAY + HOUR);
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.status_of(old.serial()), "good", "the overlap begins again with each attempt");
    let kept = key();
    let third = renewed(&house, &old, &kept).await;
    assert_eq!(house.status_of(again.serial()), "revoked");
    assert_eq!(renewed(&house, &old, &kept).await.chain, third.chain, "a lost answer is one here, too");
    read(&house, Some(&third)).await;
    assert_eq!(house.status_of(old.serial()), "revoked");
    assert_eq!(suspicions(&house, &id), 0);

    // Whoever has the lost certificate after all is the one who is too many, and so is the old one now.
    let reply = renew_with(&house, &lost, "ldev", &key()).await;
    assert_suspected(&house, &id, &reply, &third);
    house.go(&id, "clinical-use").await;
    assert_eq!(renew_with(&house, &old, "ldev", &key()).await.status, 403);
    assert_eq!(suspicions(&house, &id), 2);
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// lost-key = "replace" excuses no second enrolment, nothing after the overlap, and nothing that is on hold.
#[tokio::test]
async fn forgetting_has_its_limits() {
    let house = House::with(forgetful).await;
    let (id, old) = house.working("BR000001").await;
    let new = house.enrolled(&id, "ldev").await;
    assert_suspected(&house, &id, &renew_with(&house, &old, "ldev", &key()).await, &new);

    let (id, old) = house.working("BR000002").await;
    let new = renewed(&house, &old, &key()).await;
    house.clock.advance(2 * DAY + HOUR);
    assert_suspected(&house, &id, &renew_with(&house, &old, "ldev", &key()).await, &new);

    let (id, old) = house.working("BR000003").await;
    let new = renewed(&house, &old, &key()).await;
    house.revoke(new.serial(), vitae::ids::Reason::CertificateHold).await;
    assert_suspected(&house, &id, &renew_with(&house, &old, "ldev", &key()).await, &new);
}

/// Two renewals of one certificate at once, each with a key of its own: one is served, and the policy says what the other is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_at_once_one_is_the_copy() {
    for served in [1, 2] {
        let house = if served == 1 { House::open().await } else { House::with(forgetful).await };
        let house = Arc::new(house);
        for round in 0..6 {
            let (id, old) = house.working(&format!("BR00000{round}")).await;
            let barrier = Arc::new(Barrier::new(2));
            let mut tasks = JoinSet::new();
            for _ in 0..2 {
                let (house, old, barrier) = (Arc::clone(&house), old.clone(), Arc::clone(&barrier));
                tasks.spawn(async move {
                    let key = key();
                    let csr = Csr::of(&key).repeating(&old.certificate()).sign(&key);
                    let mut wire = house.est(Some(&old)).await;
                    barrier.wait().await;
                    wire.ask(&Ask::est("simplereenroll", &csr)).await.unwrap()
                });
            }
            let replies = tasks.join_all().await;
            assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), served);
            assert_eq!(house.certificates_of(&id).len(), 1 + served);
            assert_eq!(suspicions(&house, &id), 2 - served);
            let good = house.certificates_of(&id);
            let heads = good.iter().filter(|view| view.replaced_by.is_none()).count();
            assert_eq!(heads, 1);
        }
        assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
    }
}
