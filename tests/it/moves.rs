//! Moves between stages: what happens to certificates, in one commit, and told at once.

use std::collections::BTreeSet;

use vitae::authority::Failed;
use vitae::fleet::movement::MoveRefused as Rules;
use vitae::ids::{HolderId, Serial};

use crate::support::House;
use crate::support::ocsp::Said;

struct Unit {
    id: HolderId,
    ldev: Serial,
    tls: Serial,
}

async fn unit(house: &House, serial: &str) -> Unit {
    let id = house.register(serial, "deployment").await;
    let ldev = house.enrolled(&id, "ldev").await.serial();
    let tls = house.enrolled(&id, "tls").await.serial();
    house.go(&id, "clinical-use").await;
    Unit { id, ldev, tls }
}

impl Unit {
    async fn said(&self, house: &House) -> [Said; 2] {
        [house.ocsp("operational", self.ldev).await, house.ocsp("operational", self.tls).await]
    }
}

/// Every effect of a move is in the same commit: consecutive events, one moment, and OCSP says so in its next answer (O27).
#[tokio::test]
async fn a_move_and_its_effects_are_one_commit_and_seen_at_once() {
    let house = House::open().await;
    let hold = Said::Revoked(6);
    for (i, (stages, after)) in [
        (&["quarantine"][..], hold),
        (&["quarantine", "clinical-use"], Said::Good),
        (&["quarantine", "quarantine"], Said::Revoked(1)),
        (&["quarantine", "maintenance"], Said::Revoked(4)),
        (&["recall"], hold),
        (&["recall", "maintenance"], Said::Revoked(4)),
        (&["lost"], hold),
        (&["lost", "quarantine"], hold),
        (&["lost", "retired"], Said::Revoked(5)),
        (&["transfer"], Said::Revoked(3)),
        (&["refurbish"], Said::Revoked(3)),
        (&["maintenance"], Said::Good),
        (&["retired"], Said::Revoked(5)),
    ]
    .into_iter()
    .enumerate()
    {
        let unit = unit(&house, &format!("BR1{i:02}")).await;
        let mut said = unit.said(&house).await;
        assert_eq!(said, [Said::Good; 2]);
        for stage in stages {
            let before = house.events();
            let moved = house.go(&unit.id, stage).await;
            let changes = moved.revoked.len() + moved.held.len() + moved.released.len();
            let now = unit.said(&house).await;
            if now != said {
                assert_eq!(changes, 2, "{stages:?}");
                let list = house.crl("operational").await;
                let listed = [unit.ldev, unit.tls].map(|serial| list.reason_of(serial));
                let told = now.map(|said| if let Said::Revoked(reason) = said { Some(reason) } else { None });
                assert_eq!(listed, told, "the list says the same");
            }
            said = now;
            assert_eq!(moved.event.0, before, "{stages:?}");
            // Of each shard concerned, the complete list and its delta.
            let shards = BTreeSet::from([unit.ldev, unit.tls].map(|serial| serial.shard(8)));
            let published = if changes > 0 { 2 * shards.len() as u64 } else { 0 };
            assert_eq!(house.events(), before + 1 + changes as u64 + published, "{stages:?}");
        }
        assert_eq!(said, [after; 2], "{stages:?}");
        let history = house.authority.history(&house.operator(), &unit.id, None).unwrap();
        for (first, second) in history.iter().zip(&history[1..]) {
            assert!(first.event != second.event);
        }
    }
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// A held certificate that was released renews again; one that was held and then revoked does not.
#[tokio::test]
async fn only_a_hold_is_undone() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    house.go(&id, "clinical-use").await;
    house.go(&id, "quarantine").await;
    house.go(&id, "quarantine").await;
    let moved = house.go(&id, "clinical-use").await;
    assert!(moved.released.is_empty(), "key compromise is for good");
    assert_eq!(house.status_of(card.serial()), "revoked");
}

/// Every pair of stages: a move is possible exactly when a transition says so, and a refusal names the ways there are.
#[tokio::test]
async fn moves_are_possible_exactly_as_the_lifecycle_says() {
    let house = House::open().await;
    let lifecycle = house.authority.config().lifecycle();
    let stages: Vec<_> = lifecycle.stages().iter().map(|stage| stage.name().clone()).collect();
    for (i, from) in stages.iter().enumerate() {
        for (j, to) in stages.iter().enumerate() {
            let id = house.register(&format!("BR{i:02}{j:02}"), from.as_str()).await;
            let marks = house.authority.device(&house.operator(), &id).unwrap().marks;
            let before = house.events();
            let result = house.try_go(&id, to.as_str()).await;
            if lifecycle.transition(from, to, &marks).is_some() {
                assert_eq!(result.unwrap().device.stage, *to, "{from} -> {to}");
                continue;
            }
            let why = match result {
                Err(Failed::Refused(vitae::authority::MoveRefused::Rules(why))) => why,
                other => panic!("{from} -> {to}: {other:?}"),
            };
            assert_eq!(house.events(), before);
            if lifecycle.between(from, to).next().is_some() {
                assert!(matches!(why, Rules::Marks { .. }), "{why}");
                continue;
            }
            assert!(matches!(why, Rules::IllegalTransition { .. }), "{why}");
            let text = why.to_string();
            for target in lifecycle.targets(from) {
                assert!(text.contains(target.as_str()), "{text}");
            }
        }
    }
}
