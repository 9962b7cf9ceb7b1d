//! The blast radius of a revocation: what is hit, counted as people think of it, and what stops working.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Serialize};

use super::revoke_where::IsOwn;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::fleet::rows::{CertificateRow, Device};
use crate::fleet::selector::Found;
use crate::ids::{HolderId, ProfileName};

/// More machines than anybody reads about; the number says how many there are.
const NAMED: usize = 100;

/// What revoking everything that a selector holds of would do. Only what can still change counts: good or on hold, and not
/// expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlastRadius {
    /// As it was understood.
    pub selector: String,
    pub at: Timestamp,
    /// The number to confirm.
    pub certificates: u64,
    pub devices: u64,
    /// Devices that a patient's life hangs on (manufacturers/, life-supporting).
    pub life_supporting: u64,
    pub by_issuer: BTreeMap<String, u64>,
    pub by_profile: BTreeMap<String, Hit>,
    pub by_model: BTreeMap<String, Hit>,
    pub by_site: BTreeMap<String, Hit>,
    /// The stage where the devices are now.
    pub by_stage: BTreeMap<String, Hit>,
    /// Devices that lose the newest certificate of a profile, by profile: what they do with it stops.
    pub lose_newest: BTreeMap<ProfileName, u64>,
    /// Machines that are no devices: services, signers of software, registration authorities; the first hundred.
    pub machines: Vec<MachineHit>,
    pub more_machines: u64,
    /// Certificates of the authority itself that match and were not named: with them nothing is revoked.
    pub own: Vec<OwnHit>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    pub certificates: u64,
    pub devices: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineHit {
    pub id: HolderId,
    pub kind: String,
    pub purpose: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnHit {
    pub profile: String,
    pub certificates: u64,
}

impl OwnHit {
    pub(super) fn add(hits: &mut Vec<Self>, row: &CertificateRow) {
        let profile = row.profile.as_ref().map_or("CA", ProfileName::as_str);
        match hits.iter_mut().find(|hit| hit.profile == profile) {
            Some(hit) => hit.certificates += 1,
            None => hits.push(Self { profile: profile.to_owned(), certificates: 1 }),
        }
    }

    /// In words.
    pub(super) fn told(hits: &[Self]) -> String {
        let all: u64 = hits.iter().map(|hit| hit.certificates).sum();
        let each: Vec<String> =
            hits.iter().map(|hit| format!("{} {}", hit.certificates, hit.profile)).collect();
        format!("{all} certificates of the authority itself ({})", each.join(", "))
    }
}

/// A count under way.
pub(super) struct Radius<'a> {
    config: &'a Config,
    radius: BlastRadius,
    /// Holders that were seen, by 8 bytes of a hash: millions of them take little memory.
    holders: HashSet<u64>,
    hasher: RandomState,
}

impl<'a> Radius<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        let radius = BlastRadius {
            selector: String::new(),
            at: Timestamp::EPOCH,
            certificates: 0,
            devices: 0,
            life_supporting: 0,
            by_issuer: BTreeMap::new(),
            by_profile: BTreeMap::new(),
            by_model: BTreeMap::new(),
            by_site: BTreeMap::new(),
            by_stage: BTreeMap::new(),
            lose_newest: BTreeMap::new(),
            machines: Vec::new(),
            more_machines: 0,
            own: Vec::new(),
        };
        Self { config, radius, holders: HashSet::new(), hasher: RandomState::new() }
    }

    pub(super) fn add(&mut self, found: Found<'_>, is_own: IsOwn) {
        let row = found.certificate;
        if is_own.0 {
            return OwnHit::add(&mut self.radius.own, row);
        }
        let new = self.holders.insert(self.hasher.hash_one(row.holder.as_str()));
        let radius = &mut self.radius;
        radius.certificates += 1;
        count(&mut radius.by_issuer, row.ca.as_str(), |hits| *hits += 1);
        let profile = row.profile.as_ref().map_or("CA", ProfileName::as_str);
        let hit = |first: bool| move |hit: &mut Hit| hit.add(first);
        match found.device {
            Some(device) => {
                radius.devices += u64::from(new);
                radius.life_supporting += u64::from(new && is_life_supporting(self.config, device));
                let newest =
                    row.profile.as_ref().filter(|name| device.current.get(name) == Some(&row.serial));
                if let Some(profile) = newest {
                    *radius.lose_newest.entry(profile.clone()).or_default() += 1;
                }
                count(&mut radius.by_profile, profile, hit(newest.is_some()));
                count(&mut radius.by_model, &device.model, hit(new));
                count(&mut radius.by_site, device.site.as_deref().unwrap_or("-"), hit(new));
                count(&mut radius.by_stage, device.stage.as_str(), hit(new));
            }
            None => {
                count(&mut radius.by_profile, profile, hit(false));
                let Some(machine) = found.identity.filter(|_| new) else { return };
                if radius.machines.len() < NAMED {
                    radius.machines.push(MachineHit {
                        id: machine.id.clone(),
                        kind: machine.kind.clone(),
                        purpose: machine.purpose.clone(),
                    });
                } else {
                    radius.more_machines += 1;
                }
            }
        }
    }

    pub(super) fn finish(self, selector: String, at: Timestamp) -> BlastRadius {
        BlastRadius { selector, at, ..self.radius }
    }
}

impl Hit {
    fn add(&mut self, first_of_device: bool) {
        self.certificates += 1;
        self.devices += u64::from(first_of_device);
    }
}

/// Looks before it makes a key: nearly always it is there.
fn count<T: Default>(counts: &mut BTreeMap<String, T>, name: &str, add: impl FnOnce(&mut T)) {
    match counts.get_mut(name) {
        Some(found) => add(found),
        None => add(counts.entry(name.to_owned()).or_default()),
    }
}

fn is_life_supporting(config: &Config, device: &Device) -> bool {
    config.manufacturer(&device.maker).is_some_and(|maker| maker.is_life_supporting(&device.model))
}
