//! C19, B26 over histories that nobody would think of: clocks that jump to and fro, lists that are recorded and never seen,
//! holds and releases, certificates that end before, while and after they are revoked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use vitae::clock::{Clock, Timestamp};
use vitae::fleet::listing;
use vitae::ids::{Reason, Serial, ShardId};

use crate::support::bulk::Bulk;
use crate::support::{HOUR, House};

#[derive(Clone, Debug)]
enum Step {
    Advance {
        hours: u32,
    },
    Back {
        hours: u32,
    },
    /// A certificate that is revoked so many hours after it was issued.
    Revoke {
        lives: u32,
        hold: bool,
    },
    Release {
        which: prop::sample::Index,
    },
    Worsen {
        which: prop::sample::Index,
    },
    Upkeep,
    Command,
    /// Whatever is published now is recorded, and no file can be put in its place.
    Unseen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..40u32).prop_map(|hours| Step::Advance { hours }),
        1 => (40..2000u32).prop_map(|hours| Step::Advance { hours }),
        2 => (0..500u32).prop_map(|hours| Step::Back { hours }),
        5 => (0..60u32, any::<bool>()).prop_map(|(lives, hold)| Step::Revoke { lives, hold }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Release { which }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Worsen { which }),
        6 => Just(Step::Upkeep),
        1 => Just(Step::Command),
        1 => Just(Step::Unseen),
    ]
}

/// What must be true of the lists, and what was seen of them so far.
#[derive(Default)]
struct Model {
    /// Its end, and how it stands: hold or not; none when it was released.
    certificates: BTreeMap<Serial, (Timestamp, Option<bool>)>,
    /// Those that a scheduled list has shown beyond their end.
    shown: BTreeSet<Serial>,
    /// The status of which has changed since.
    numbers: BTreeMap<u64, Vec<u8>>,
    last: Option<(u64, Timestamp, Timestamp)>,
}

impl Model {
    async fn look(&mut self, house: &House, bulk: &Bulk) {
        let list = house.shard("operational", 0).await;
        let before = self.numbers.insert(list.number, list.der.clone());
        assert!(before.is_none_or(|before| before == list.der), "C05: a number has one content");
        if let Some((number, this_update, next_update)) = self.last {
            assert!(
                number <= list.number && this_update <= list.this_update && next_update <= list.next_update,
                "C06"
            );
        }
        self.last = Some((list.number, list.this_update, list.next_update));
        let listed: BTreeSet<Serial> = list.entries.iter().map(|entry| entry.0).collect();
        for (serial, (end, stands)) in &self.certificates {
            if stands.is_some() {
                let may_leave = self.shown.contains(serial);
                assert!(listed.contains(serial) || may_leave, "C19: {serial}, which ends at {end}, is gone");
            } else {
                assert!(!listed.contains(serial), "{serial} was released");
            }
        }
        for (_, since, _) in &list.entries {
            assert!(*since <= list.this_update, "C18");
        }
        let shard = ShardId { ca: "operational".parse().unwrap(), shard: 0 };
        let row = listing::published(&*bulk.view(), &shard).unwrap().unwrap();
        if row.number == list.number && row.scheduled == list.this_update {
            self.shown.extend(listed.iter().filter(|serial| self.certificates[serial].0 < list.this_update));
        }
    }
}

/// When the clock is before the CA's own beginning, its OCSP signer cannot be renewed, which upkeep says; lists come all the
/// same, as is seen by looking.
async fn upkeep(house: &House) {
    let _ = house.authority.upkeep().await;
}

async fn live(steps: &[Step]) {
    let (house, bulk) =
        Bulk::house(|policy| policy.replace("hierarchy.toml", "crl-shards = 8", "crl-shards = 1")).await;
    let mut model = Model::default();
    let path = house.dir().join("crl/operational-0.crl");
    let pick = |model: &Model, which: &prop::sample::Index| {
        let held: Vec<Serial> =
            model.certificates.iter().filter(|it| it.1.1 == Some(true)).map(|it| *it.0).collect();
        (!held.is_empty()).then(|| *which.get(&held))
    };
    for step in steps {
        let mut publishes = true;
        match step {
            Step::Advance { hours } => {
                house.clock.advance(*hours * HOUR);
                publishes = false;
            }
            Step::Back { hours } => {
                house.clock.set(house.clock.now() - *hours * HOUR);
                publishes = false;
            }
            Step::Revoke { lives, hold } => {
                let end = house.clock.now() + *lives * HOUR;
                let serials = bulk.issue(&house.clock, 1, end, 1).await;
                let reason = if *hold { Reason::CertificateHold } else { Reason::KeyCompromise };
                bulk.revoke(&house.clock, &serials, reason).await;
                model.certificates.insert(serials[0], (end, Some(*hold)));
                upkeep(&house).await;
            }
            Step::Release { which } => {
                let Some(serial) = pick(&model, which) else { continue };
                bulk.release(&house.clock, serial).await;
                model.certificates.get_mut(&serial).unwrap().1 = None;
                upkeep(&house).await;
            }
            Step::Worsen { which } => {
                let Some(serial) = pick(&model, which) else { continue };
                bulk.revoke(&house.clock, &[serial], Reason::KeyCompromise).await;
                model.certificates.get_mut(&serial).unwrap().1 = Some(false);
                upkeep(&house).await;
            }
            Step::Upkeep => upkeep(&house).await,
            Step::Command => {
                let ca = "operational".parse().unwrap();
                house.authority.publish_crl(&house.operator(), &ca).await.unwrap();
            }
            Step::Unseen => {
                let aside = path.with_extension("aside");
                fs::rename(&path, &aside).unwrap();
                fs::create_dir(&path).unwrap();
                let ca = "operational".parse().unwrap();
                house.authority.publish_crl(&house.operator(), &ca).await.unwrap_err();
                fs::remove_dir(&path).unwrap();
                fs::rename(&aside, &path).unwrap();
                publishes = false;
            }
        }
        if publishes {
            model.look(&house, &bulk).await;
        }
    }
}

/// B26, C05, C06, C18, C19: an entry never leaves before one scheduled list that was issued beyond its certificate's end has
/// shown it, whatever clocks say and whatever is lost.
#[test]
fn no_history_drops_an_entry_too_early() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases: 12, max_shrink_iters: 24, ..Config::default() };
    let steps = prop::collection::vec(step(), 20..40);
    TestRunner::new(config)
        .run(&steps, |steps| {
            runtime.block_on(live(&steps));
            Ok(())
        })
        .unwrap();
}
