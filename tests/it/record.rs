//! After any history: the tables follow from the events, the past can be told, and the rules were kept.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use tokio::sync::watch;
use vitae::authority::{self, Authority, Failed, Fold, HistoryLine, QueryRefused, Trace};
use vitae::clock::{Clock, ManualClock, SystemRandom, Timestamp};
use vitae::fleet::{Actor, Event, Fact, Issuance, Proof};
use vitae::ids::{ApprovalId, Digest, EventNumber, HolderId, Serial};
use vitae::ledger::entry::{self, Entry};
use vitae::pki::certificate::Certificate;
use vitae::pki::crl;
use vitae::store::memory::MemoryRows;
use vitae::store::rebuild::{difference, replay};
use vitae::store::{Commit, EVENTS, LOG, Pending, Range, Store, StoreError, Table, View};

use crate::history::{Dice, History, Tally, latest};
use crate::lineages;

const STEPS: usize = 720;

type Shown = Result<Trace, Failed<QueryRefused>>;

/// What the log holds, as bytes and as read.
struct Log {
    raw: Vec<Vec<u8>>,
    entries: Vec<Entry<Event>>,
}

impl Log {
    fn read(history: &History) -> Self {
        let mut raw = Vec::new();
        let snapshot = history.store.snapshot_of();
        let all = Range { from: &[], to: None, backwards: false };
        let keep = &mut |_: &[u8], bytes: &[u8]| {
            raw.push(bytes.to_vec());
            ControlFlow::Continue(())
        };
        snapshot.scan(EVENTS, all, keep).unwrap();
        let entries = raw.iter().map(|bytes| entry::decode(bytes).unwrap()).collect();
        Self { raw, entries }
    }

    fn last(&self) -> Timestamp {
        self.entries.last().unwrap().time
    }

    fn issued(&self) -> impl Iterator<Item = (&Entry<Event>, &Issuance)> {
        self.entries.iter().filter_map(|entry| match &entry.event.fact {
            Fact::CertificateIssued(issuance) => Some((entry, &**issuance)),
            _ => None,
        })
    }

    fn until(&self, time: Timestamp) -> usize {
        self.entries.iter().filter(|entry| entry.time <= time).count()
    }
}

trait Snapshots {
    fn snapshot_of(&self) -> Box<dyn View + Send>;
}

impl<S: Store<Event>> Snapshots for S {
    fn snapshot_of(&self) -> Box<dyn View + Send> {
        self.snapshot().unwrap()
    }
}

/// What was shown at a moment, to be compared with what is later said of that moment.
struct Photograph {
    at: Timestamp,
    events: usize,
    traces: Vec<(Serial, Trace)>,
    lives: Vec<(HolderId, Vec<HistoryLine>)>,
}

fn photograph(history: &mut History) -> Photograph {
    let log = Log::read(history);
    // A clock that was set back shows a moment in the midst of what is recorded already.
    history.clock.set(latest(history, log.last()));
    let held: Vec<Serial> = history.held().filter_map(|(_, held)| held.certificate.serial()).collect();
    let holders = history.holders();
    let mut dice = |from: &[Serial]| (0..8).filter_map(|_| history.dice.pick(from)).collect::<BTreeSet<_>>();
    let serials = dice(&held);
    let (authority, operator) = (&history.authority, &history.operator);
    let photograph = Photograph {
        at: history.clock.now(),
        events: log.entries.len(),
        traces: serials.iter().map(|it| (*it, authority.trace(operator, it, None).unwrap())).collect(),
        lives: holders
            .into_iter()
            .map(|id| (id.clone(), authority.history(operator, &id, None).unwrap()))
            .collect(),
    };
    history.clock.advance(Duration::from_millis(1));
    photograph
}

async fn live(seed: u64) -> (History, Vec<Photograph>) {
    let mut history = History::begin(seed).await;
    let mut photographs = Vec::new();
    for step in 0..STEPS {
        history.step().await;
        if step % 15 == 14 {
            photographs.push(photograph(&mut history));
        }
        if step % 50 == 49 {
            lists_are_the_record(&mut history).await;
        }
    }
    println!("seed {seed}: {:?}", history.tally);
    (history, photographs)
}

async fn examine(seed: u64) -> Tally {
    let (mut history, photographs) = live(seed).await;
    let log = Log::read(&history);
    log_is_in_order(&log);
    tables_follow_from_events(&history, &log);
    past_is_told_as_it_was(&history, &log, &photographs);
    past_is_told_as_a_replay_tells_it(&history, &log);
    history.tally.approved = rules_were_kept(&history.policy(), &log);
    lineages::were_kept(&log.entries, &history.config);
    retired_devices_hold_nothing(&history, &log);
    assert!(lists_are_the_record(&mut history).await > 0, "some certificates are revoked or on hold");

    let tally = std::mem::take(&mut history.tally);
    let folder = history.end();
    let report = authority::check(&folder.path().join("data")).unwrap();
    assert!(report.is_sound() && report.stored.size > log.entries.len() as u64, "{report:?}");
    tally
}

/// A history in which little happens shows little.
fn is_rich(tally: &Tally) {
    assert!(tally.enrolled >= 30 && tally.renewed >= 20 && tally.repeated >= 1, "{tally:?}");
    assert!(tally.moved >= 20 && tally.revoked >= 20 && tally.refused >= 100, "{tally:?}");
    assert!(tally.held >= 1 && tally.released >= 1, "{tally:?}");
    assert!(tally.waited >= 10 && tally.approved >= 3, "{tally:?}");
    assert!(tally.lost >= 1 && tally.shown >= 3, "{tally:?}");
    for code in [
        "duplicate-key",
        "key-of-other-purpose",
        "certificate-not-good",
        "token-not-good",
        "stage",
        "clone-suspected",
    ] {
        assert!(tally.codes.contains_key(code), "{code}: {tally:?}");
    }
}

fn log_is_in_order(log: &Log) {
    for (n, entry) in log.entries.iter().enumerate() {
        assert_eq!(entry.number, EventNumber(n as u64));
    }
    let back = log.entries.windows(2).find(|two| two[1].time < two[0].time);
    assert!(back.is_none(), "time goes back: {back:?}");
}

fn tables_follow_from_events(history: &History, log: &Log) {
    let report = history.authority.verify_log(&history.operator).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    log.raw.iter().for_each(|raw| oracle.push(raw.clone()));
    let head = history.authority.tree_head(&history.operator).unwrap();
    assert_eq!(head.size, oracle.len());
    assert_eq!(head.root.as_bytes().as_slice(), oracle.root().as_bytes().as_slice());

    let snapshot = history.store.snapshot_of();
    let replayed = replay(&*snapshot, &Fold, &decode, Timestamp::FOREVER).unwrap();
    let mut tables: BTreeSet<Table> = replayed.tables().collect();
    tables.extend(vitae::fleet::rows::ALL);
    assert!(tables.contains(&LOG) && tables.contains(&Table("tree")) && tables.len() >= 20);
    let tables: Vec<Table> = tables.into_iter().collect();
    assert_eq!(difference(&*snapshot, &replayed, &tables).unwrap(), []);
}

fn decode(bytes: &[u8]) -> Result<(EventNumber, Timestamp, Event), StoreError> {
    let entry = entry::decode(bytes).unwrap();
    Ok((entry.number, entry.time, entry.event))
}

fn past_is_told_as_it_was(history: &History, log: &Log, photographs: &[Photograph]) {
    let (authority, operator) = (&history.authority, &history.operator);
    let mut compared = 0;
    // When the clock was set back right afterwards, later events bear the time of the photograph.
    for photograph in photographs.iter().filter(|it| log.until(it.at) == it.events) {
        for (serial, then) in &photograph.traces {
            let told = authority.trace(operator, serial, Some(photograph.at)).unwrap();
            assert_eq!(told, Trace { as_of: Some(photograph.at), ..then.clone() });
            compared += 1;
        }
        for (holder, then) in &photograph.lives {
            assert_eq!(authority.history(operator, holder, Some(photograph.at)).unwrap(), *then);
        }
    }
    assert!(compared >= 20, "only {compared} traces were compared");
}

/// A store that is nothing but rows: the record as it was.
struct Past(MemoryRows);

impl Store<Event> for Past {
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        Ok(Box::new(self.0.clone()))
    }

    fn commit(&self, _: Commit<Event>) -> Pending {
        unreachable!("the past is not changed")
    }

    /// Nothing comes any more.
    fn head(&self) -> watch::Receiver<EventNumber> {
        watch::channel(EventNumber(0)).1
    }

    fn shutdown(&self) {}
}

fn past_is_told_as_a_replay_tells_it(history: &History, log: &Log) {
    let mut dice = Dice::new(7);
    let times: BTreeSet<Timestamp> = log.entries.iter().map(|entry| entry.time).collect();
    let times: Vec<Timestamp> = times.into_iter().collect();
    let serials: Vec<Serial> = log.issued().map(|(_, issued)| issued.serial).collect();
    let holders = history.holders();
    let snapshot = history.store.snapshot_of();
    let operator = &history.operator;
    let (mut told, mut not_yet) = (0, 0);
    for _ in 0..12 {
        let at = dice.pick(&times).unwrap();
        let rows = replay(&*snapshot, &Fold, &decode, at).unwrap();
        let clock = Arc::new(ManualClock::at(at));
        let config = Arc::clone(&history.config);
        let past = Arc::new(Past(rows));
        let then =
            Authority::with_store(&history.data(), config, clock, Arc::new(SystemRandom), past).unwrap();
        for _ in 0..25 {
            let serial = dice.pick(&serials).unwrap();
            let now: Shown = history.authority.trace(operator, &serial, Some(at));
            match (now, then.trace(operator, &serial, None)) {
                (Ok(now), Ok(then)) => {
                    assert_eq!(now, Trace { as_of: Some(at), ..then });
                    told += 1;
                }
                (
                    Err(Failed::Refused(QueryRefused::NotYet { .. })),
                    Err(Failed::Refused(QueryRefused::UnknownCertificate(_))),
                ) => not_yet += 1,
                (now, then) => panic!("{serial} at {at}: {now:?} against {then:?}"),
            }
            let holder = dice.pick(&holders).unwrap();
            let now = history.authority.history(operator, &holder, Some(at));
            match (now, then.history(operator, &holder, None)) {
                (Ok(now), Ok(then)) => assert_eq!(now, then),
                (
                    Err(Failed::Refused(QueryRefused::NotYet { .. })),
                    Err(Failed::Refused(QueryRefused::UnknownHolder(_))),
                ) => {}
                (now, then) => panic!("{holder} at {at}: {now:?} against {then:?}"),
            }
        }
    }
    assert!(told > 20 && not_yet > 20, "{told} told, {not_yet} not yet");
}

/// The matrix as the file says, read by other eyes than those of the program.
fn matrix(policy: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = std::fs::read_to_string(policy.join("lifecycle.toml")).unwrap();
    let file: toml::Table = text.parse().unwrap();
    file["matrix"].clone().try_into().unwrap()
}

/// What was asked of the operators, as the events say.
#[derive(Default)]
struct Approvals {
    /// Those that may still be granted or fetched by, with whether they were granted.
    open: BTreeMap<ApprovalId, (Fact, bool)>,
    cancelled_tokens: BTreeSet<Digest>,
    fetched: usize,
}

impl Approvals {
    fn follow(&mut self, entry: &Entry<Event>) {
        let by_operator = matches!(entry.event.actor, Actor::Operator { .. });
        match &entry.event.fact {
            Fact::ApprovalAsked { approval, holder, profile, .. } => {
                for (other, _) in self.open.values() {
                    let Fact::ApprovalAsked { holder: one, profile: other, expires, .. } = other else {
                        continue;
                    };
                    let alive = entry.time <= *expires;
                    assert!(
                        !(alive && one == holder && other == profile),
                        "event {}: two wait",
                        entry.number
                    );
                }
                assert!(self.open.insert(*approval, (entry.event.fact.clone(), false)).is_none());
            }
            Fact::ApprovalGranted { approval, .. } => {
                let (_, granted) = self.open.get_mut(approval).expect("it waits");
                assert!(by_operator && !std::mem::replace(granted, true), "event {}", entry.number);
            }
            Fact::ApprovalDenied { approval, .. } => {
                assert!(by_operator && !self.open[approval].1, "event {}", entry.number);
            }
            Fact::ApprovalCancelled { approval, .. } => {
                assert!(by_operator && self.open.remove(approval).is_some(), "event {}", entry.number);
            }
            Fact::TokenCancelled { token, .. } => drop(self.cancelled_tokens.insert(*token)),
            _ => {}
        }
    }

    /// E47, B17: each approval is good for one certificate, of the key, the holder and the credential that asked.
    fn issue(&mut self, number: EventNumber, new: &Issuance, wanted: bool) {
        if let Proof::Token { token } = &new.proof {
            assert!(!self.cancelled_tokens.contains(token), "event {number}: its token was cancelled");
        }
        let Some(id) = &new.approval else {
            return assert!(!wanted, "event {number}: nobody approved it");
        };
        let (asked, granted) = self.open.remove(id).expect("it was asked for and not fetched yet");
        let Fact::ApprovalAsked { holder, profile, key, proof, .. } = asked else { panic!("{asked:?}") };
        assert!(granted, "event {number}: nobody has granted it");
        assert_eq!(
            (holder, profile, key, proof),
            (new.holder.clone(), new.profile.clone(), new.key, new.proof.clone())
        );
        self.fetched += 1;
    }
}

/// I1: nothing outside the matrix. I4: a key has one holder and one purpose. Lineages begin with an enrolment. How many
/// certificates an operator has approved.
fn rules_were_kept(policy: &Path, log: &Log) -> usize {
    let matrix = matrix(policy);
    let mut approvals = Approvals::default();
    let mut place: BTreeMap<&HolderId, (String, BTreeSet<String>, EventNumber)> = BTreeMap::new();
    let mut keys: BTreeMap<Digest, (HolderId, String)> = BTreeMap::new();
    let mut issued: BTreeMap<Serial, &Issuance> = BTreeMap::new();
    let mut tokens: BTreeSet<Digest> = BTreeSet::new();
    for entry in &log.entries {
        approvals.follow(entry);
        match &entry.event.fact {
            Fact::DeviceRegistered { device, stage, marks, .. } => {
                place.insert(device, (stage.to_string(), marks.clone(), entry.number));
            }
            Fact::DeviceMoved { device, from, to, marks, .. } => {
                let (stage, old, since) = place.get_mut(device).unwrap();
                assert_eq!(*stage, from.to_string());
                if from != to {
                    *since = entry.number;
                }
                (*stage, *old) = (to.to_string(), marks.clone());
            }
            Fact::CertificateIssued(new) => {
                let profile = new.profile.to_string();
                let der = Certificate::from_der(&new.certificate.0).unwrap();
                let key = der.public_key().unwrap().digest();
                assert_eq!((der.serial(), key), (Some(new.serial), new.key));
                let owner = keys.entry(key).or_insert((new.holder.clone(), profile.clone()));
                assert_eq!(*owner, (new.holder.clone(), profile.clone()), "I4: event {}", entry.number);
                if let Proof::Token { token } = new.proof {
                    assert!(tokens.insert(token), "event {}: a token is spent twice", entry.number);
                }
                let renewal = lineage(&issued, new);
                let mut by_hand = profile == "svc";
                if let Some((stage, marks, since)) = place.get(&new.holder) {
                    let cell = matrix[&profile].get(stage).map_or("", String::as_str);
                    let stripped = cell.strip_suffix(" with approval");
                    by_hand |= stripped.is_some();
                    let cell = stripped.unwrap_or(cell);
                    let (rule, mark) = cell.split_once(" when ").unwrap_or((cell, ""));
                    let before =
                        issued.values().any(|it| it.holder == new.holder && it.profile == new.profile);
                    let allowed = rule == "issue" || rule == "renew" && (renewal || before);
                    assert!(allowed, "I1: event {}: {profile} at {stage} is '{cell}'", entry.number);
                    assert!(mark.is_empty() || marks.contains(mark), "I1: event {}", entry.number);
                    assert_eq!(new.stage.as_ref().map(ToString::to_string).as_ref(), Some(stage));
                    assert_eq!(new.stage_event, Some(*since));
                }
                approvals.issue(entry.number, new, by_hand && !renewal && is_asked_for(new));
                assert!(issued.insert(new.serial, new).is_none(), "serial {} was given twice", new.serial);
            }
            _ => {}
        }
    }
    approvals.fetched
}

/// Not one that the authority has issued to itself.
fn is_asked_for(new: &Issuance) -> bool {
    new.proof != Proof::Authority
}

/// Whether it takes the place of another, which was issued to the same holder for the same purpose.
fn lineage(issued: &BTreeMap<Serial, &Issuance>, new: &Issuance) -> bool {
    let mut at = new;
    while let Some(serial) = at.replaces {
        // What is older only, so this ends.
        at = issued[&serial];
        assert_eq!((&at.holder, &at.profile), (&new.holder, &new.profile));
    }
    assert!(!matches!(at.proof, Proof::CurrentCertificate { .. }), "a lineage begins with an enrolment");
    matches!(new.proof, Proof::CurrentCertificate { .. })
}

/// I3: a retired device has no good certificate but that of its birth.
fn retired_devices_hold_nothing(history: &History, log: &Log) {
    // Once expired, always expired, even if the clock was set back since.
    history.clock.set(latest(history, log.last()));
    let mut retired = 0;
    for (holder, held) in history.held().filter(|(holder, _)| holder.is_device()) {
        let device = history.authority.device(&history.operator, holder).unwrap();
        if device.stage.as_str() != "retired" {
            continue;
        }
        retired += 1;
        let serial = held.certificate.serial().unwrap();
        let view = history.authority.certificate(&history.operator, &serial).unwrap();
        assert!(view.status != "good" || held.profile.as_str() == "idev", "I3: {view:?}");
    }
    println!("{retired} certificates of retired devices");
}

/// What each CA's list says is what the events say. How much they say.
async fn lists_are_the_record(history: &mut History) -> usize {
    let log = Log::read(history);
    history.clock.set(latest(history, log.last()));
    let now = history.clock.now();
    let mut expected: BTreeMap<Serial, (Timestamp, u8)> = BTreeMap::new();
    for entry in &log.entries {
        match &entry.event.fact {
            Fact::CertificateHeld { serial, .. } => drop(expected.insert(*serial, (entry.time, 6))),
            Fact::CertificateRevoked { serial, reason, .. } => {
                expected.insert(*serial, (entry.time, reason.code()));
            }
            Fact::CertificateReleased { serial, .. } => assert!(expected.remove(serial).is_some()),
            _ => {}
        }
    }
    let issued: BTreeMap<Serial, &Issuance> = log.issued().map(|(_, it)| (it.serial, it)).collect();
    let mut entries = 0;
    for ca in history.authority.cas() {
        let mut found = BTreeMap::new();
        for list in history.authority.publish_crl(&history.operator, ca.name()).await.unwrap() {
            let der = list.whole().unwrap();
            crl::verify_signed_by(&der, ca.public_key()).unwrap();
            crl::parse_each(&der, |entry| {
                let (serial, line) =
                    (entry.own_serial().unwrap(), (entry.revoked_at, entry.reason.unwrap_or(0)));
                assert_eq!(found.insert(serial, line), None);
                assert_eq!(issued[&serial].shard, list.shard.shard, "C15");
            })
            .unwrap();
        }
        // An entry leaves some time after its certificate's end, when it has been on a scheduled list since.
        let mut right: BTreeMap<Serial, (Timestamp, u8)> = expected
            .iter()
            .filter(|(serial, _)| issued[*serial].ca == *ca.name())
            .map(|(serial, (at, reason))| (*serial, (at.whole_second(), *reason)))
            .collect();
        right.retain(|serial, _| now <= issued[serial].not_after || found.contains_key(serial));
        assert_eq!(found, right, "the CRLs of {}", ca.name());
        entries += found.len();
    }
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_holds_after_one_history() {
    is_rich(&examine(1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_holds_after_another_history() {
    is_rich(&examine(4).await);
}

/// A seed nobody has seen before; it is printed, so that its history can be told again.
#[tokio::test(flavor = "multi_thread")]
async fn the_record_holds_after_any_history() {
    examine(Timestamp::from(std::time::SystemTime::now()).millis().unsigned_abs()).await;
}
