//! A registration authority asks for a device (RFC 7030 section 3.7): for which one, and whether that is its to ask.

use super::prove::{Proven, Standard, own_certificate};
use super::{Ask, ClientCertificate, Credentials, EnrolError};
use crate::clock::Timestamp;
use crate::config::{Config, Manufacturer, NameAttribute, Profile, RegistrationAuthority};
use crate::fleet::event::Proof;
use crate::fleet::names::Holder;
use crate::fleet::refusal::Refusal;
use crate::fleet::rows::{self, CertificateRow, Device};
use crate::ids::{HolderId, MakerName, ProfileName};
use crate::store::{StoreError, View};

/// Why a registration authority gets nothing for a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegationRefused {
    #[error(
        "{0} has no entry [[registration-authority]] in roles.toml, so it may enrol nobody: have one written"
    )]
    NotListed(HolderId),
    #[error(
        "a registration authority does not renew for devices: each renews with its own certificate; {own} is renewed at the label {own}"
    )]
    Renewal { own: ProfileName },
    #[error(
        "a registration authority says in the subject for which device it asks: write serialNumber, CN MODEL-SERIAL or CN with the device id"
    )]
    NoName,
    #[error(
        "no registered device has the names of the request ({found}): register it first, or correct them"
    )]
    UnknownDevice { found: String },
    #[error(
        "{count} devices have the names of the request ({found}): add O with the maker or CN MODEL-SERIAL"
    )]
    Ambiguous { found: String, count: usize },
    #[error(
        "{ra} may not enrol for profile {profile}: it may for {allowed}; its own certificate it renews with simplereenroll"
    )]
    Profile { ra: HolderId, profile: ProfileName, allowed: String },
    #[error(
        "{ra} may not enrol devices of the maker {maker}: it may those of {allowed}; let another line do it, or have roles.toml changed"
    )]
    Maker { ra: HolderId, maker: MakerName, allowed: String },
    #[error(
        "{ra} may not enrol devices of the model {model}: it may {allowed}; let another line do it, or have roles.toml changed"
    )]
    Model { ra: HolderId, model: String, allowed: String },
    #[error(
        "{ra} may not enrol the serial number {serial}: it may {allowed}; let another line do it, or have roles.toml changed"
    )]
    Serial { ra: HolderId, serial: String, allowed: String },
    #[error("{ra} has had its whole quota of {quota} certificates issued: have it raised in roles.toml")]
    Quota { ra: HolderId, quota: u64 },
    #[error(
        "{ra} has had the {per_day} certificates of this day issued: come again after {next}, or have per-day raised in roles.toml"
    )]
    PerDay { ra: HolderId, per_day: u64, next: Timestamp },
}

impl DelegationRefused {
    /// The stable name, for logs, events and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotListed(_) => "ra-not-listed",
            Self::Renewal { .. } => "ra-renewal",
            Self::NoName => "ra-no-name",
            Self::UnknownDevice { .. } => "ra-unknown-device",
            Self::Ambiguous { .. } => "ra-ambiguous-device",
            Self::Profile { .. } => "ra-profile",
            Self::Maker { .. } => "ra-maker",
            Self::Model { .. } => "ra-model",
            Self::Serial { .. } => "ra-serial",
            Self::Quota { .. } => "ra-quota",
            Self::PerDay { .. } => "ra-per-day",
        }
    }
}

/// Whether the client has shown a good certificate of ours with id-kp-cmcRA, and whose it is.
///
/// For such a caller the rules of RFC 7030 section 3.7 hold: its requests are signed by keys of devices, which may have made
/// them on connections of their own. What it may enrol is another question, which [`super::decide`] answers.
pub fn registration_authority(
    view: &dyn View,
    config: &Config,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<Option<HolderId>, StoreError> {
    let Some(ClientCertificate::Own { serial, fingerprint }) = &credentials.certificate else {
        return Ok(None);
    };
    match own_certificate(view, *serial, *fingerprint, Standard::Good, now) {
        Ok(row) => {
            Ok(profile_of(config, &row).filter(|own| own.is_registration_authority()).map(|_| row.holder))
        }
        Err(EnrolError::Refused(_)) => Ok(None),
        Err(EnrolError::Store(error)) => Err(error),
    }
}

/// The bytes of the certificate are those that were issued by its profile, so the profile says what usages are in it.
fn profile_of<'a>(config: &'a Config, row: &CertificateRow) -> Option<&'a Profile> {
    row.profile.as_ref().and_then(|name| config.profiles().get(name))
}

/// `row` is a certificate of another profile than the one that is asked for.
pub(super) fn check_renewal(config: &Config, row: &CertificateRow) -> Result<(), Refusal> {
    match profile_of(config, row) {
        Some(own) if own.is_registration_authority() => {
            Err(refusal(row, None, DelegationRefused::Renewal { own: own.name().clone() }))
        }
        _ => Ok(()),
    }
}

/// `row` is the good certificate of a registration authority.
pub(super) fn prove(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    row: &CertificateRow,
) -> Result<Proven, EnrolError> {
    let ra = &row.holder;
    let profile = ask.profile.name();
    let Some(entry) = config.registration_authorities().of(ra) else {
        return Err(refusal(row, None, DelegationRefused::NotListed(ra.clone())).into());
    };
    if !entry.profiles().contains(profile) {
        let allowed = list(entry.profiles());
        let why = DelegationRefused::Profile { ra: ra.clone(), profile: profile.clone(), allowed };
        return Err(refusal(row, None, why).into());
    }
    let device = named_device(view, config, ask)?.map_err(|why| refusal(row, None, why))?;
    if let Some(why) = outside(entry, ra, &device) {
        return Err(refusal(row, Some(device.id), why).into());
    }
    Ok(Proven {
        holder: device.id,
        proof: Proof::RegistrationAuthority { ra: ra.clone(), serial: row.serial },
        renews: None,
    })
}

fn refusal(row: &CertificateRow, device: Option<HolderId>, why: DelegationRefused) -> Refusal {
    Refusal::Delegation { ra: row.holder.clone(), device, why: Box::new(why) }
}

fn outside(entry: &RegistrationAuthority, ra: &HolderId, device: &Device) -> Option<DelegationRefused> {
    let ra = ra.clone();
    if !entry.makers().contains(&device.maker) {
        let (maker, allowed) = (device.maker.clone(), list(entry.makers()));
        return Some(DelegationRefused::Maker { ra, maker, allowed });
    }
    if !entry.allows_model(&device.model) {
        let (model, allowed) = (device.model.clone(), list(entry.models()));
        return Some(DelegationRefused::Model { ra, model, allowed });
    }
    if !entry.allows_serial(&device.serial) {
        let (serial, allowed) = (device.serial.clone(), list(entry.serials()));
        return Some(DelegationRefused::Serial { ra, serial, allowed });
    }
    None
}

/// The one device that the request speaks of. What leads to it are its serial number, its plate or its id, and every other
/// name must fit: a common name that several devices could have is never enough (E64, B48).
fn named_device(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
) -> Result<Result<Device, DelegationRefused>, StoreError> {
    let values = |wanted: NameAttribute| {
        ask.subject.iter().filter(move |(attribute, _)| *attribute == wanted).map(|(_, value)| value.as_str())
    };
    let mut ids: Vec<HolderId> = Vec::new();
    let mut leads = false;
    for serial in values(NameAttribute::SerialNumber) {
        leads = true;
        // Of the maker that the request names, else of every one.
        let named = |maker: &&Manufacturer| {
            values(NameAttribute::Organization).all(|name| name == maker.name().as_str())
        };
        for maker in config.manufacturers().iter().filter(named) {
            ids.extend(rows::devices_by_serial(view, maker.name(), serial)?);
        }
    }
    if !leads {
        for name in values(NameAttribute::CommonName) {
            leads = true;
            ids.extend(rows::device_by_plate(view, name)?.and_then(|id| id.parse().ok()));
            ids.extend(name.parse::<HolderId>().ok().filter(HolderId::is_device));
        }
    }
    if !leads {
        return Ok(Err(DelegationRefused::NoName));
    }
    ids.sort();
    ids.dedup();
    let mut devices = Vec::new();
    for id in &ids {
        devices.extend(rows::device(view, id)?);
    }
    // With one device alone, names that do not fit are told by name later.
    if devices.len() > 1 {
        devices.retain(|device| fits(device, ask));
    }
    let found = || ask.subject.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ");
    Ok(match devices.len() {
        1 => devices.pop().ok_or_else(|| DelegationRefused::UnknownDevice { found: found() }),
        0 => Err(DelegationRefused::UnknownDevice { found: found() }),
        count => Err(DelegationRefused::Ambiguous { found: found(), count }),
    })
}

/// Whether every name of the request is one of the device's.
fn fits(device: &Device, ask: &Ask<'_>) -> bool {
    let holder = Holder::Device(device.clone());
    let mut known = holder.also_known_as();
    known.extend(holder.subject(ask.profile).unwrap_or_default());
    ask.subject.iter().all(|name| known.contains(name))
}

/// What a quota leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaRoom {
    /// For one more.
    Free,
    /// For one more only if something that is under way comes to nothing: nobody can say yet.
    Unsettled,
}

/// Whether `ra` may have one more certificate issued to `device`, while `under_way` others are being decided or written.
///
/// `view` must be younger than the count: what is no longer under way is then in the view, and nothing is overlooked.
/// Something may be counted twice, so near the edge the answer can be [`QuotaRoom::Unsettled`]; a refusal rests on the
/// record alone, and what is in there stays.
pub fn quota_room(
    view: &dyn View,
    config: &Config,
    ra: &HolderId,
    device: &HolderId,
    under_way: u64,
    now: Timestamp,
) -> Result<QuotaRoom, EnrolError> {
    let refuse =
        |why| Refusal::Delegation { ra: ra.clone(), device: Some(device.clone()), why: Box::new(why) };
    let Some(entry) = config.registration_authorities().of(ra) else {
        return Err(refuse(DelegationRefused::NotListed(ra.clone())).into());
    };
    let so_far = rows::delegated(view, ra)?;
    let (quota, today) = (entry.quota(), so_far.on_day_of(now));
    if so_far.ever >= quota {
        return Err(refuse(DelegationRefused::Quota { ra: ra.clone(), quota }).into());
    }
    let per_day = entry.per_day().unwrap_or(quota);
    if today >= per_day {
        let next = so_far.next_day(now);
        return Err(refuse(DelegationRefused::PerDay { ra: ra.clone(), per_day, next }).into());
    }
    let fits = so_far.ever + under_way < quota && today + under_way < per_day;
    Ok(if fits { QuotaRoom::Free } else { QuotaRoom::Unsettled })
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
