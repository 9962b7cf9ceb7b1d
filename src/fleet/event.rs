//! The events of the ledger: what happened, who did it. Their JSON is kept for ever, so fields are only ever added.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::revoke_job::JobEvent;
use super::window::Window;
use crate::clock::Timestamp;
use crate::ids::{
    ApprovalId, CaName, Digest, EventNumber, HolderId, JobId, MakerName, ProfileName, Reason, RoleName,
    Serial, StageName,
};

/// One thing that happened, and who made it happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub actor: Actor,
    #[serde(flatten)]
    pub fact: Fact,
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Actor {
    /// The authority itself: timers, start-up, publication.
    System,
    /// A person or script at the admin door.
    Operator {
        role: RoleName,
        name: String,
        /// The admin certificate; none for the local socket.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credential: Option<Serial>,
    },
    /// A device or another machine identity, at the EST door.
    Holder { id: HolderId },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the authority"),
            Self::Operator { role, name, credential: None } => write!(f, "{role} ({name})"),
            Self::Operator { role, name, credential: Some(serial) } => {
                write!(f, "{role} ({name}, certificate {serial})")
            }
            Self::Holder { id } => write!(f, "{id}"),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Fact {
    /// A policy tree was taken into use.
    ConfigurationLoaded {
        digest: Digest,
    },
    CaCreated {
        ca: CaName,
        /// `None` for a root.
        issuer: Option<CaName>,
        serial: Serial,
        key: Digest,
        not_before: Timestamp,
        not_after: Timestamp,
        certificate: Der,
    },
    DeviceRegistered {
        device: HolderId,
        maker: MakerName,
        model: String,
        serial: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        udi_di: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lot: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        stage: StageName,
        marks: BTreeSet<String>,
    },
    DeviceMoved {
        device: HolderId,
        /// The transition of `lifecycle.toml`, such as T8.
        transition: String,
        from: StageName,
        to: StageName,
        /// All marks after the move.
        marks: BTreeSet<String>,
        /// The owner after the move.
        owner: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
    },
    /// A machine identity that is no device: a service account, an update signer.
    IdentityRegistered {
        identity: HolderId,
        identity_kind: String,
        name: String,
        maker: Option<MakerName>,
        /// The person who answers for it.
        owner: String,
        purpose: String,
    },
    /// Only the digest of a token is ever kept.
    TokenIssued {
        token: Digest,
        holder: HolderId,
        profile: ProfileName,
        expires: Timestamp,
    },
    TokenCancelled {
        token: Digest,
        holder: HolderId,
    },
    /// A first enrolment that nothing stands against but that an operator has to approve it.
    ApprovalAsked {
        approval: ApprovalId,
        holder: HolderId,
        profile: ProfileName,
        /// SHA-256 of the requested subject public key info.
        key: Digest,
        /// The credential that asked: no other may fetch the certificate.
        proof: Proof,
        expires: Timestamp,
        /// The address that the request came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<IpAddr>,
    },
    ApprovalGranted {
        approval: ApprovalId,
        holder: HolderId,
        profile: ProfileName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Until the request expires its client is told the reason.
    ApprovalDenied {
        approval: ApprovalId,
        holder: HolderId,
        profile: ProfileName,
        reason: String,
    },
    /// As if it had not been asked: whatever was decided, the holder may ask anew.
    ApprovalCancelled {
        approval: ApprovalId,
        holder: HolderId,
        profile: ProfileName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    CertificateIssued(Box<Issuance>),
    CertificateRevoked {
        serial: Serial,
        reason: Reason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invalid_since: Option<Timestamp>,
        cause: Cause,
    },
    CertificateHeld {
        serial: Serial,
        cause: Cause,
    },
    CertificateReleased {
        serial: Serial,
        cause: Cause,
    },
    /// A known holder was turned away; `code` is the stable name of the refusal.
    EnrolmentRefused {
        holder: HolderId,
        profile: ProfileName,
        code: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Digest>,
        /// The device that a registration authority had asked for, when that is the holder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<HolderId>,
        /// The address that the request came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<IpAddr>,
    },
    /// A certificate that has been replaced asked for a renewal with a key of which its successors know nothing: two hold
    /// what only one can.
    CloneSuspected {
        holder: HolderId,
        profile: ProfileName,
        /// The certificate that asked.
        presented: Serial,
        /// The one that stands in its place.
        current: Serial,
        /// The key that was asked for.
        key: Digest,
        /// The address that the request came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<IpAddr>,
        /// The address that the current certificate was asked for from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current_source: Option<IpAddr>,
    },
    CrlPublished {
        ca: CaName,
        shard: u32,
        number: u64,
        this_update: Timestamp,
        next_update: Timestamp,
        entries: u64,
        /// Every event below this number is in the list.
        covers: EventNumber,
        digest: Digest,
        /// When the last event of those was recorded. Absent from lists that were published before this was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        covers_until: Option<Timestamp>,
        /// It came by the schedule: entries may leave after it, and deltas may go on from it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        scheduled: bool,
        /// Certificates that had ended by then, and had their status by then, have been on a scheduled list beyond their
        /// end and are not on this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        without: Option<Timestamp>,
        /// The URLs of its scope, when its scope is another than that of the list before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        names: Option<Vec<String>>,
        /// It is the CA's only list and says so by naming no scope.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        whole: bool,
        /// The list before was recorded and never seen by anybody.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unseen: bool,
    },
    /// What a complete list lacks: every change since the list with the number `base`.
    DeltaCrlPublished {
        ca: CaName,
        shard: u32,
        number: u64,
        base: u64,
        this_update: Timestamp,
        next_update: Timestamp,
        entries: u64,
        /// Every event below this number is in it or in its base.
        covers: EventNumber,
        digest: Digest,
    },
    /// A step of a job that revokes or holds many certificates.
    RevocationJob(Box<JobEvent>),
    /// A revocation filter of all unexpired certificates of a CA.
    FilterPublished {
        ca: CaName,
        number: u64,
        this_update: Timestamp,
        next_update: Timestamp,
        /// Certificates whose serial number begins with a later moment are not in it.
        covered_to: Timestamp,
        /// Every event below this number is in it.
        events: EventNumber,
        /// How many certificates it covers, and how many of them are revoked or on hold.
        covered: u64,
        revoked: u64,
        digest: Digest,
    },
}

/// All that is known about a certificate when it is issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuance {
    pub serial: Serial,
    pub ca: CaName,
    pub profile: ProfileName,
    /// Digest of the profile's file: which version of it was obeyed.
    pub profile_version: Digest,
    pub holder: HolderId,
    /// The device's stage, and the event that put it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_event: Option<EventNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub proof: Proof,
    /// The approval that it took, when policy asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Serial>,
    /// Until then at most, what it replaces stays good. Absent: until it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_ends: Option<Timestamp>,
    /// The end of the certificate it renews, when that had expired already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_expiry: Option<Timestamp>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// When it is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew: Option<Window>,
    /// SHA-256 of the subject public key info.
    pub key: Digest,
    /// The CRL shard named in the certificate.
    pub shard: u32,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The authority made the key pair and sent the private key to the holder (RFC 7030 section 4.4).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub server_key: bool,
    pub certificate: Der,
}

/// How the holder proved who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Proof {
    /// A birth certificate of our own `birth` CA.
    BirthCertificate { serial: Serial },
    /// A birth certificate of a maker's CA, known by the digest of its DER.
    MakerCertificate { maker: MakerName, fingerprint: Digest },
    /// A one-time token, spent by this issuance.
    Token { token: Digest },
    /// The certificate that was presented to be renewed.
    CurrentCertificate { serial: Serial },
    /// A registration authority asked for the device, by this certificate of its own.
    RegistrationAuthority { ra: HolderId, serial: Serial },
    /// Issued by the authority to itself.
    Authority,
}

impl Proof {
    /// Who asked in the holder's place.
    pub fn registration_authority(&self) -> Option<&HolderId> {
        match self {
            Self::RegistrationAuthority { ra, .. } => Some(ra),
            _ => None,
        }
    }
}

/// What a change of status follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Cause {
    /// An operator named the certificate.
    Command,
    /// The device moved; the transition says what happens to its certificates.
    Move { transition: String },
    /// Another certificate took its place.
    Superseded { by: Serial, how: Succession },
    /// It was on the list of a job.
    Job { job: JobId },
}

/// When a certificate's place was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Succession {
    /// Its successor was used for the first time.
    FirstUse,
    /// Nobody used the successor until the overlap ended.
    OverlapEnded,
    /// It was never used, and its predecessor was renewed again with another key.
    LostKey,
}

/// DER bytes, base64 in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Der(pub Vec<u8>);

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}
