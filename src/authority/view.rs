//! How rows look from outside: what lists and single answers show of the record.

use serde::{Deserialize, Serialize};

use super::PublishedCrl;
use crate::clock::Timestamp;
use crate::fleet::Identity;
use crate::fleet::rows::{CertificateRow, Status};
use crate::fleet::window::Window;
use crate::ids::{CaName, Digest, EventNumber, HolderId, ProfileName, Reason, Serial, StageName};

/// One page of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Pass it as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceFilter {
    pub stage: Option<StageName>,
    pub model: Option<String>,
    pub limit: Option<usize>,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateFilter {
    pub device: Option<HolderId>,
    pub status: Option<String>,
    pub profile: Option<ProfileName>,
    /// Those that this registration authority asked for.
    pub enrolled_by: Option<HolderId>,
    pub limit: Option<usize>,
    pub after: Option<String>,
}

/// A certificate, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateView {
    pub serial: Serial,
    /// The CA that issued it.
    pub issuer: CaName,
    /// `None` for the certificate of a CA.
    pub profile: Option<ProfileName>,
    /// The holder: a device id, an identity, or `vitae` itself.
    pub device: HolderId,
    /// good, held, revoked or expired.
    pub status: String,
    pub status_since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    pub stage_at_issue: Option<StageName>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// When it is to be renewed; none when it is not, or was issued before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew: Option<Window>,
    pub key: Digest,
    pub fingerprint: Digest,
    pub issued_event: EventNumber,
    pub replaces: Option<Serial>,
    pub replaced_by: Option<Serial>,
    /// The successor's first use ends it, and this moment at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_ends: Option<Timestamp>,
    /// The registration authority that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled_by: Option<HolderId>,
}

impl CertificateView {
    pub(super) fn of(row: CertificateRow, now: Timestamp) -> Self {
        Self {
            status: row.status_at(now).to_owned(),
            reason: match row.status {
                Status::Good => None,
                Status::Held => Some(Reason::CertificateHold),
                Status::Revoked { reason, .. } => Some(reason),
            },
            enrolled_by: row.enrolled_by().cloned(),
            serial: row.serial,
            issuer: row.ca,
            profile: row.profile,
            device: row.holder,
            status_since: row.status_since.time,
            stage_at_issue: row.stage,
            not_before: row.not_before,
            not_after: row.not_after,
            renew: row.renew,
            key: row.key,
            fingerprint: row.fingerprint,
            issued_event: row.issued.event,
            replaces: row.replaces,
            replaced_by: row.replaced_by,
            overlap_ends: row.overlap_ends,
        }
    }
}

/// A machine identity, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityView {
    #[serde(flatten)]
    pub identity: Identity,
    /// For a registration authority: what it had issued to devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<EnrolledView>,
}

/// What a registration authority had issued to devices, beside what it may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledView {
    pub ever: u64,
    pub today: u64,
    /// `None`: no entry of roles.toml is for it, so it may enrol nobody.
    pub quota: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u64>,
}

/// A token, as lists show it: never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// SHA-256 of the token: what `token cancel` takes.
    pub token: Digest,
    pub device: HolderId,
    pub profile: ProfileName,
    pub issued: Timestamp,
    pub expires: Timestamp,
    /// open, waiting (for the approval of what was asked with it), spent, cancelled or expired.
    pub status: String,
    pub serial: Option<Serial>,
}

/// A published list, as lists of lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrlView {
    pub ca: CaName,
    pub shard: u32,
    pub number: u64,
    /// For a delta: the number of the complete list that it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    pub entries: u64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub bytes: u64,
    pub digest: Digest,
}

impl CrlView {
    pub fn of(list: &PublishedCrl) -> Self {
        Self {
            ca: list.shard.ca.clone(),
            shard: list.shard.shard,
            number: list.number,
            base: list.base,
            entries: list.entries,
            this_update: list.this_update,
            next_update: list.next_update,
            bytes: list.bytes,
            digest: list.digest,
        }
    }
}

/// A CA, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaView {
    pub ca: CaName,
    /// `None` for a root.
    pub issuer: Option<CaName>,
    pub common_name: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub fingerprint: Digest,
    /// The profiles it issues.
    pub profiles: Vec<ProfileName>,
}
