//! What must hold for the lineages of certificates after any history, told from the events alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vitae::clock::Timestamp;
use vitae::config::Config;
use vitae::fleet::{Actor, Cause, Event, Fact, Issuance, Proof, Succession};
use vitae::ids::{EventNumber, HolderId, ProfileName, Reason, Serial, StageName};
use vitae::ledger::entry::Entry;

/// A decision may be older than its event's time by as much as clocks were set back.
const SET_BACK: Duration = Duration::from_secs(6 * 3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Good,
    Held,
    Superseded,
    Revoked,
}

struct Known<'a> {
    issuance: &'a Issuance,
    event: EventNumber,
    first: Serial,
    status: Status,
    replaced_by: Option<Serial>,
    overlap_ends: Option<Timestamp>,
    suspected: Option<Timestamp>,
}

#[derive(Default)]
struct Lineages<'a> {
    known: BTreeMap<Serial, Known<'a>>,
    heads: BTreeMap<(HolderId, ProfileName), Serial>,
    stages: BTreeMap<HolderId, (StageName, BTreeSet<String>)>,
}

pub(crate) fn were_kept(entries: &[Entry<Event>], config: &Config) {
    let mut lineages = Lineages::default();
    for (n, entry) in entries.iter().enumerate() {
        match &entry.event.fact {
            Fact::DeviceRegistered { device, stage, marks, .. } => {
                lineages.stages.insert(device.clone(), (stage.clone(), marks.clone()));
            }
            Fact::DeviceMoved { device, to, marks, transition, .. } => {
                lineages.stages.insert(device.clone(), (to.clone(), marks.clone()));
                if entry.event.actor == Actor::System {
                    assert!(matches!(entries[n - 1].event.fact, Fact::CloneSuspected { .. }));
                    assert_eq!((transition.as_str(), to.as_str()), ("T12", "quarantine"));
                }
            }
            Fact::CertificateIssued(new) if new.proof != Proof::Authority => {
                lineages.issued(entry, new, config);
            }
            Fact::CertificateHeld { serial, .. } => lineages.change(serial, Status::Held),
            Fact::CertificateReleased { serial, .. } => lineages.change(serial, Status::Good),
            Fact::CertificateRevoked { serial, cause: Cause::Superseded { by, how }, reason, .. } => {
                assert_eq!(*reason, Reason::Superseded);
                lineages.superseded(entry, serial, by, *how);
            }
            Fact::CertificateRevoked { serial, .. } => lineages.change(serial, Status::Revoked),
            Fact::CloneSuspected { .. } => {
                let moved = lineages.suspected(entry, config);
                let follows = entries.get(n + 1).map(|next| &next.event.fact);
                assert_eq!(
                    moved,
                    matches!(follows, Some(Fact::DeviceMoved { .. })),
                    "event {}",
                    entry.number
                );
            }
            _ => {}
        }
        lineages.one_head_each(entry);
    }
}

impl<'a> Lineages<'a> {
    fn change(&mut self, serial: &Serial, to: Status) {
        // Those of the authority have no lineage.
        if let Some(known) = self.known.get_mut(serial) {
            assert_ne!(known.status, Status::Revoked);
            known.status = to;
        }
    }

    fn issued(&mut self, entry: &Entry<Event>, new: &'a Issuance, config: &Config) {
        let at = format!("event {}: {} of {}", entry.number, new.serial, new.holder);
        let place = (new.holder.clone(), new.profile.clone());
        let head = self.heads.get(&place).copied();
        let rules = config.profiles().get(&new.profile).unwrap().renewal();
        if new.holder.is_device() {
            assert_eq!(new.replaces, head, "{at}");
        }
        assert_eq!(new.overlap_ends.is_some(), new.replaces.is_some() && rules.is_some(), "{at}");
        if let Proof::CurrentCertificate { serial } = new.proof {
            let replaced = &self.known[&new.replaces.unwrap()];
            let shown = &self.known[&serial];
            assert_eq!(shown.first, replaced.first, "{at}");
            assert!([Status::Good, Status::Superseded].contains(&shown.status), "{at}");
            assert_eq!(replaced.status, Status::Good, "{at}");
            // An older one is only listened to with the key of the head.
            assert!(serial == replaced.issuance.serial || new.key == replaced.issuance.key, "{at}");
            let end = replaced.issuance.not_after;
            assert!(entry.time <= end + rules.unwrap().grace() + SET_BACK, "{at}");
            match new.after_expiry {
                Some(expired) => assert!(expired == end && entry.time > end, "{at}"),
                None => assert!(entry.time <= end + SET_BACK, "{at}"),
            }
        }
        let goes_on = new.replaces.map(|it| &self.known[&it]).filter(|it| it.status != Status::Revoked);
        let first = goes_on.map_or(new.serial, |replaced| replaced.first);
        if let Some(replaced) = new.replaces {
            let replaced = self.known.get_mut(&replaced).unwrap();
            assert_eq!(replaced.replaced_by.replace(new.serial), None, "{at}: a second successor");
            replaced.overlap_ends = new.overlap_ends;
        }
        let known = Known {
            issuance: new,
            event: entry.number,
            first,
            status: Status::Good,
            replaced_by: None,
            overlap_ends: None,
            suspected: None,
        };
        self.known.insert(new.serial, known);
        self.heads.insert(place, new.serial);
    }

    fn superseded(&mut self, entry: &Entry<Event>, serial: &Serial, by: &Serial, how: Succession) {
        let at = format!("event {}: {serial} by {by}", entry.number);
        let (old, new) = (&self.known[serial], &self.known[by]);
        assert_eq!(old.status, Status::Good, "{at}: once, and only what is good");
        assert_eq!((old.first, old.replaced_by), (new.first, Some(*by)), "{at}");
        assert!(entry.time <= old.issuance.not_after + SET_BACK, "{at}: what has expired is not listed");
        match how {
            Succession::FirstUse => assert!(entry.event.actor != Actor::System, "{at}"),
            Succession::OverlapEnded => {
                assert_eq!(entry.event.actor, Actor::System, "{at}");
                assert!(old.overlap_ends.unwrap() <= entry.time, "{at}");
            }
            Succession::LostKey => panic!("{at}: the policy does not say so"),
        }
        self.change(serial, Status::Superseded);
    }

    /// Whether the device must have been moved for it.
    fn suspected(&mut self, entry: &Entry<Event>, config: &Config) -> bool {
        let Fact::CloneSuspected { holder, profile, presented, current, key, source, current_source } =
            &entry.event.fact
        else {
            unreachable!("it is one");
        };
        let at = format!("event {}: {presented} of {holder}", entry.number);
        let (shown, head) = (&self.known[presented], &self.known[current]);
        assert_eq!((&shown.issuance.holder, &shown.issuance.profile), (holder, profile), "{at}");
        assert!(shown.replaced_by.is_some() && shown.first == head.first, "{at}");
        assert!(
            [Status::Good, Status::Held].contains(&head.status),
            "{at}: what people have ended is no news"
        );
        assert!([Status::Good, Status::Superseded].contains(&shown.status), "{at}");
        if holder.is_device() {
            assert_eq!(self.heads[&(holder.clone(), profile.clone())], *current, "{at}");
        }
        let later = self.known.values().filter(|it| it.first == shown.first && it.event > shown.event);
        assert!(later.into_iter().all(|it| it.issuance.key != *key), "{at}: an answer was lost, no more");
        assert!(source.is_some() && *current_source == head.issuance.source, "{at}: both addresses are told");
        if let Some(before) = shown.suspected {
            assert!(entry.time >= before + Duration::from_secs(3600), "{at}: once an hour");
        }
        self.known.get_mut(presented).unwrap().suspected = Some(entry.time);
        let to: StageName = "quarantine".parse().unwrap();
        self.stages.get(holder).is_some_and(|(stage, marks)| {
            *stage != to && config.lifecycle().transition(stage, &to, marks).is_some()
        })
    }

    /// At any moment a device has one certificate of a profile, at most, that has no successor.
    fn one_head_each(&self, entry: &Entry<Event>) {
        let Fact::CertificateIssued(new) = &entry.event.fact else { return };
        if !new.holder.is_device() {
            return;
        }
        let heads = self.known.values().filter(|known| {
            let (holder, profile) = (&known.issuance.holder, &known.issuance.profile);
            (holder, profile) == (&new.holder, &new.profile) && known.replaced_by.is_none()
        });
        assert_eq!(heads.count(), 1, "event {}", entry.number);
    }
}
