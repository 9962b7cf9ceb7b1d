//! The tables that are read from: their names, keys and rows. All of them can be rebuilt from the events.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::ControlFlow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::approval::ApprovalRow;
use super::event::Proof;
use super::revoke_job::{JOB, JOB_LIST};
use super::window::Window;
use crate::clock::Timestamp;
use crate::ids::{
    ApprovalId, CaName, Digest, EventNumber, HolderId, MakerName, ProfileName, Reason, Serial, ShardId,
    StageName,
};
use crate::store::{Each, Range, Rows, StoreError, Table, View, prefix_end};

pub const DEVICE: Table = Table("device");
pub const DEVICE_BY_STAGE: Table = Table("device-by-stage");
pub const DEVICE_BY_MODEL: Table = Table("device-by-model");
pub const DEVICE_BY_SERIAL: Table = Table("device-by-serial");
/// Model and serial number as names join them: `MODEL-SERIAL` to the one device that has it.
pub const DEVICE_BY_PLATE: Table = Table("device-by-plate");
pub const DEVICE_BY_TIME: Table = Table("device-by-time");
pub const IDENTITY: Table = Table("identity");
pub const TOKEN: Table = Table("token");
pub const TOKEN_BY_HOLDER: Table = Table("token-by-holder");
pub const APPROVAL: Table = Table("approval");
/// Event number to id, in the order in which they were asked for.
pub const APPROVAL_BY_TIME: Table = Table("approval-by-time");
/// Those that nobody has decided yet, likewise; some of them may have expired.
pub const APPROVAL_UNDECIDED: Table = Table("approval-undecided");
/// Holder and profile to the id of their last one: the others are over.
pub const APPROVAL_BY_HOLDER: Table = Table("approval-by-holder");
/// Public key to the id of the last one that asked with it.
pub const APPROVAL_BY_KEY: Table = Table("approval-by-key");
pub const KEY: Table = Table("key");
pub const CERTIFICATE: Table = Table("certificate");
pub const CERTIFICATE_BY_HOLDER: Table = Table("certificate-by-holder");
pub const CERTIFICATE_BY_EXPIRY: Table = Table("certificate-by-expiry");
/// Good certificates that have a successor and outlive their overlap, by its end: milliseconds and serial number.
pub const OVERLAP_END: Table = Table("overlap-end");
pub const CERTIFICATE_BY_STAGE: Table = Table("certificate-by-stage");
/// What each registration authority had issued to devices: the extent of the damage should its key be stolen.
pub const CERTIFICATE_BY_RA: Table = Table("certificate-by-ra");
/// How much that is, for its quota.
pub const DELEGATED: Table = Table("delegated");
/// Revoked and held certificates of each CRL shard ([`super::listing`]): its rows are no JSON.
pub const REVOKED_BY_CA: Table = Table("revoked-by-ca");
/// The last event that the next CRL must show, of each shard.
pub const STATUS_CHANGE: Table = Table("status-change");
/// The shards that certificates name.
pub const SHARD: Table = Table("shard");
pub const CA: Table = Table("ca");
/// What is published, of each shard.
pub const CRL: Table = Table("crl");
/// The last revocation filter of each CA.
pub const FILTER: Table = Table("filter");
pub const EVENT_BY_HOLDER: Table = Table("event-by-holder");
pub const CONFIGURATION: Table = Table("configuration");

/// Every table that is folded from the events.
pub const ALL: [Table; 32] = [
    DEVICE,
    DEVICE_BY_STAGE,
    DEVICE_BY_MODEL,
    DEVICE_BY_SERIAL,
    DEVICE_BY_PLATE,
    DEVICE_BY_TIME,
    IDENTITY,
    TOKEN,
    TOKEN_BY_HOLDER,
    APPROVAL,
    APPROVAL_BY_TIME,
    APPROVAL_UNDECIDED,
    APPROVAL_BY_HOLDER,
    APPROVAL_BY_KEY,
    KEY,
    CERTIFICATE,
    CERTIFICATE_BY_HOLDER,
    CERTIFICATE_BY_EXPIRY,
    CERTIFICATE_BY_STAGE,
    OVERLAP_END,
    CERTIFICATE_BY_RA,
    DELEGATED,
    REVOKED_BY_CA,
    STATUS_CHANGE,
    SHARD,
    CA,
    CRL,
    FILTER,
    EVENT_BY_HOLDER,
    JOB,
    JOB_LIST,
    CONFIGURATION,
];

/// When something was recorded, and as which event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    pub event: EventNumber,
    pub time: Timestamp,
}

/// A device, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub id: HolderId,
    pub maker: MakerName,
    pub model: String,
    pub serial: String,
    pub udi_di: Option<String>,
    pub site: Option<String>,
    pub lot: Option<String>,
    pub owner: Option<String>,
    pub stage: StageName,
    pub stage_since: At,
    pub marks: BTreeSet<String>,
    pub registered: At,
    /// The first certificate of each profile, with the stage at that time.
    pub first_enrolment: BTreeMap<ProfileName, Enrolment>,
    /// The newest certificate of each profile: the only one that can be renewed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub current: BTreeMap<ProfileName, Serial>,
    /// Certificates issued so far. Every issuance changes this row, so a move never overlooks one.
    pub issued: u64,
    /// The last refusal that was recorded, so that a device that keeps asking does not fill the log.
    pub last_refusal: Option<LastRefusal>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    pub serial: Serial,
    pub stage: StageName,
    pub at: At,
    /// The registration authority that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled_by: Option<HolderId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRefusal {
    pub code: String,
    pub at: At,
}

/// A machine identity that is no device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub id: HolderId,
    pub kind: String,
    pub name: String,
    pub maker: Option<MakerName>,
    pub owner: String,
    pub purpose: String,
    pub registered: At,
    pub issued: u64,
    /// The last refusal that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<LastRefusal>,
}

/// How many certificates a registration authority had issued to devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegated {
    pub ever: u64,
    /// The day of the last one, in days since 1970-01-01 UTC, and how many it saw.
    pub day: u64,
    pub that_day: u64,
}

impl Delegated {
    /// With one more at `now`.
    pub fn and_one(self, now: Timestamp) -> Self {
        Self { ever: self.ever + 1, day: self.day_at(now), that_day: self.on_day_of(now) + 1 }
    }

    /// How many on the day of `now`, or of the last one when that is later: the log's time never goes backwards, so a clock
    /// that was set back opens no day anew.
    pub fn on_day_of(self, now: Timestamp) -> u64 {
        if self.day_at(now) == self.day { self.that_day } else { 0 }
    }

    fn day_at(self, now: Timestamp) -> u64 {
        self.day.max(now.secs() / SECONDS_A_DAY)
    }

    /// When the next day begins.
    pub fn next_day(self, now: Timestamp) -> Timestamp {
        Timestamp::from_secs((self.day_at(now) + 1) * SECONDS_A_DAY)
    }
}

const SECONDS_A_DAY: u64 = 24 * 3600;

/// A certificate, without its bytes: those are in the event that issued it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRow {
    pub serial: Serial,
    pub ca: CaName,
    /// `None` for the certificate of a CA.
    pub profile: Option<ProfileName>,
    pub profile_version: Option<Digest>,
    pub holder: HolderId,
    pub stage: Option<StageName>,
    pub stage_event: Option<EventNumber>,
    pub owner: Option<String>,
    pub proof: Proof,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    pub replaces: Option<Serial>,
    pub replaced_by: Option<Serial>,
    /// The first certificate of the lineage, since somebody last ended one in it; `None`: this is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Serial>,
    /// It has a successor and stays good until that is used, but no longer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_ends: Option<Timestamp>,
    /// Revoked because its successor took its place, and for no other reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
    /// When it was last suspected to be a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspected: Option<At>,
    /// The address that it was asked for from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// When it is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew: Option<Window>,
    pub key: Digest,
    /// SHA-256 of the certificate's DER.
    pub fingerprint: Digest,
    pub shard: u32,
    pub issued: At,
    pub status: Status,
    pub status_since: At,
}

impl CertificateRow {
    /// The list that shows its revocation.
    pub fn shard_id(&self) -> ShardId {
        ShardId { ca: self.ca.clone(), shard: self.shard }
    }

    /// The registration authority that asked for it.
    pub fn enrolled_by(&self) -> Option<&HolderId> {
        self.proof.registration_authority()
    }

    /// The word that lists and filters use.
    pub fn status_at(&self, now: Timestamp) -> &'static str {
        match self.status {
            Status::Revoked { .. } => "revoked",
            Status::Good | Status::Held if self.not_after < now => "expired",
            Status::Held => "held",
            Status::Good => "good",
        }
    }

    /// The serial number of the first certificate of the lineage.
    pub fn first(&self) -> Serial {
        self.lineage.unwrap_or(self.serial)
    }

    pub fn is_good_at(&self, now: Timestamp) -> bool {
        self.status == Status::Good && now <= self.not_after
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Status {
    Good,
    Held,
    Revoked { reason: Reason, invalid_since: Option<Timestamp> },
}

/// A public key belongs to one holder and one purpose for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    pub holder: HolderId,
    /// `None` for the key of a CA.
    pub profile: Option<ProfileName>,
    pub since: At,
    /// The certificate of this key that was issued last. Serial numbers alone would not tell: the clock in them may have
    /// been set back.
    pub newest: Serial,
    /// Set when a certificate of this key was revoked for key compromise.
    pub compromised: Option<At>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    pub token: Digest,
    pub holder: HolderId,
    pub profile: ProfileName,
    pub issued: At,
    pub expires: Timestamp,
    pub spent: Option<At>,
    pub cancelled: Option<At>,
    /// The certificate it was spent on.
    pub serial: Option<Serial>,
    /// The last request that was made with it and had to wait for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRow {
    pub ca: CaName,
    pub issuer: Option<CaName>,
    pub serial: Serial,
    pub created: At,
}

/// Key parts joined by a zero byte, which no name holds.
pub fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(&0)
}

/// Reads one row.
pub fn get<T: DeserializeOwned>(view: &dyn View, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
    view.get(table, key)?.map(|bytes| parse(table, &bytes)).transpose()
}

pub fn parse<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Corrupt { table: table.0, reason: error.to_string() })
}

/// Writes one row.
pub fn put<T: Serialize>(rows: &mut dyn Rows, table: Table, key: &[u8], row: &T) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(row)
        .map_err(|error| StoreError::Corrupt { table: table.0, reason: error.to_string() })?;
    rows.put(table, key, &bytes)
}

pub fn device(view: &dyn View, id: &HolderId) -> Result<Option<Device>, StoreError> {
    get(view, DEVICE, id.as_str().as_bytes())
}

pub fn identity(view: &dyn View, id: &HolderId) -> Result<Option<Identity>, StoreError> {
    get(view, IDENTITY, id.as_str().as_bytes())
}

pub fn certificate(view: &dyn View, serial: &Serial) -> Result<Option<CertificateRow>, StoreError> {
    get(view, CERTIFICATE, serial.as_bytes())
}

pub fn token(view: &dyn View, digest: &Digest) -> Result<Option<TokenRow>, StoreError> {
    get(view, TOKEN, digest.as_bytes())
}

pub fn approval(view: &dyn View, id: &ApprovalId) -> Result<Option<ApprovalRow>, StoreError> {
    get(view, APPROVAL, id.as_bytes())
}

/// The last request of a holder for a profile that had to wait for approval.
pub fn last_approval(
    view: &dyn View,
    holder: &HolderId,
    profile: &ProfileName,
) -> Result<Option<ApprovalRow>, StoreError> {
    let key = key(&[holder.as_str().as_bytes(), profile.as_str().as_bytes()]);
    approval_behind(view, APPROVAL_BY_HOLDER, &key)
}

/// The last request with a public key that had to wait for approval.
pub fn last_approval_of_key(view: &dyn View, key: &Digest) -> Result<Option<ApprovalRow>, StoreError> {
    approval_behind(view, APPROVAL_BY_KEY, key.as_bytes())
}

fn approval_behind(view: &dyn View, index: Table, key: &[u8]) -> Result<Option<ApprovalRow>, StoreError> {
    let Some(id) = view.get(index, key)? else { return Ok(None) };
    let id = <[u8; 8]>::try_from(&*id)
        .map_err(|_| StoreError::Corrupt { table: index.0, reason: "a row is not an id".to_owned() })?;
    approval(view, &ApprovalId::from_bytes(id))
}

pub fn key_row(view: &dyn View, key: &Digest) -> Result<Option<KeyRow>, StoreError> {
    get(view, KEY, key.as_bytes())
}

/// How much a registration authority had issued. Read by a scan, and scans are not among what a commit relies on: every
/// issuance changes this row, so all that are asked for at the same time would conflict with each other over it. Whoever
/// decides by it must count what is under way himself.
pub fn delegated(view: &dyn View, ra: &HolderId) -> Result<Delegated, StoreError> {
    let mut found = None;
    // The first key that is not smaller; ids that go on after this one come behind it.
    view.scan(
        DELEGATED,
        Range { from: ra.as_str().as_bytes(), to: None, backwards: false },
        &mut |key, value| {
            if key == ra.as_str().as_bytes() {
                found = Some(parse(DELEGATED, value));
            }
            ControlFlow::Break(())
        },
    )?;
    found.unwrap_or(Ok(Delegated::default()))
}

/// The serials of a holder's certificates, newest first.
pub fn serials_of(view: &dyn View, holder: &HolderId) -> Result<Vec<Serial>, StoreError> {
    tails(view, CERTIFICATE_BY_HOLDER, &key(&[holder.as_str().as_bytes(), b""]), |tail| {
        <[u8; 16]>::try_from(tail).ok().map(Serial::from_bytes)
    })
}

/// A holder's certificates, last issued first: the order of the events, which a clock that was set back cannot change.
pub fn certificates_of(view: &dyn View, holder: &HolderId) -> Result<Vec<CertificateRow>, StoreError> {
    let serials = serials_of(view, holder)?;
    let found = serials.iter().filter_map(|serial| certificate(view, serial).transpose());
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|row| std::cmp::Reverse(row.issued.event));
    Ok(found)
}

/// The last events of a holder's life, last first.
pub fn last_events_of(
    view: &dyn View,
    holder: &HolderId,
    most: usize,
) -> Result<Vec<EventNumber>, StoreError> {
    let prefix = key(&[holder.as_str().as_bytes(), b""]);
    let mut found = Vec::new();
    scan_prefix(view, EVENT_BY_HOLDER, &prefix, true, &mut |key, _| {
        found.extend(
            <[u8; 8]>::try_from(&key[prefix.len()..]).map(|number| EventNumber(u64::from_be_bytes(number))),
        );
        if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// Model and serial number as certificates and plates join them.
pub fn plate(model: &str, serial: &str) -> String {
    format!("{model}-{serial}")
}

/// The device whose model and serial number read like this when they are joined.
pub fn device_by_plate(view: &dyn View, plate: &str) -> Result<Option<String>, StoreError> {
    let id = view.get(DEVICE_BY_PLATE, plate.as_bytes())?;
    Ok(id.map(|id| String::from_utf8_lossy(&id).into_owned()))
}

/// The devices of a maker that carry a serial number: one, unless two models share it.
pub fn devices_by_serial(
    view: &dyn View,
    maker: &MakerName,
    serial: &str,
) -> Result<Vec<HolderId>, StoreError> {
    let prefix = key(&[maker.as_str().as_bytes(), serial.as_bytes(), b""]);
    tails(view, DEVICE_BY_SERIAL, &prefix, |tail| std::str::from_utf8(tail).ok()?.parse().ok())
}

/// What follows `prefix` in the keys of a table, last key first.
fn tails<T>(
    view: &dyn View,
    table: Table,
    prefix: &[u8],
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    let mut bad = false;
    scan_prefix(view, table, prefix, true, &mut |key, _| {
        match read(&key[prefix.len()..]) {
            Some(value) => found.push(value),
            None => bad = true,
        }
        ControlFlow::Continue(())
    })?;
    if bad {
        return Err(StoreError::Corrupt { table: table.0, reason: "a key has the wrong form".to_owned() });
    }
    Ok(found)
}

/// Every row whose key begins with `prefix`.
pub fn scan_prefix(
    view: &dyn View,
    table: Table,
    prefix: &[u8],
    backwards: bool,
    each: Each<'_>,
) -> Result<(), StoreError> {
    let end = prefix_end(prefix);
    view.scan(table, Range { from: prefix, to: end.as_deref(), backwards }, each)
}
