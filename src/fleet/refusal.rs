//! Why an enrolment is refused: who is to blame, the text for the client, the stable name for everybody else.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::enrol::{DelegationRefused, Unbound};
use super::names::RecordIncomplete;
use crate::clock::Timestamp;
use crate::ids::{ApprovalId, Digest, HolderId, MakerName, ProfileName, Serial, StageName};

/// The stable name of [`Refusal::CloneSuspected`].
pub(super) const CLONE_SUSPECTED: &str = "clone-suspected";

/// Why nothing is granted. The texts are for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "who is asking? Present a client certificate, or the device id and a one-time token with HTTP Basic"
    )]
    NoCredentials,
    #[error("simplereenroll needs the certificate that is to be renewed as TLS client certificate")]
    NoCertificate,
    #[error("this client certificate was not issued by this authority")]
    UnknownCertificate,
    #[error("the client certificate is {status}")]
    CertificateNotGood { holder: HolderId, status: CertificateState },
    #[error("no registered device matches this birth certificate: register the device first")]
    UnknownDevice,
    #[error("more than one device of maker {maker} has the serial number {serial}: enrol with a token")]
    AmbiguousDevice { maker: MakerName, serial: String },
    #[error("the user name and the token do not belong together, or the token does not exist")]
    UnknownToken,
    #[error("the token {state}: ask for a new one")]
    TokenNotGood { holder: HolderId, state: TokenState },
    #[error("the token is for profile {token}, not for {asked}: use its label")]
    TokenForOtherProfile { holder: HolderId, token: ProfileName, asked: ProfileName },
    #[error("the token and the client certificate belong to different holders")]
    TwoHolders,
    #[error("profile {profile} cannot be enrolled with {given}: it takes {accepted}")]
    ProofNotAccepted { holder: HolderId, profile: ProfileName, given: &'static str, accepted: String },
    #[error("profile {profile} is not for this kind of holder")]
    WrongHolderKind { holder: HolderId, profile: ProfileName },
    #[error(
        "the client certificate is of profile {presented}, not of {asked}: use the label {presented} to renew it"
    )]
    OtherProfile { holder: HolderId, presented: ProfileName, asked: ProfileName },
    #[error("profile {profile} cannot be renewed: enrol anew")]
    NotRenewable { holder: HolderId, profile: ProfileName },
    #[error(
        "the client certificate expired at {since}, too long ago to be renewed: enrol anew with {way_out}"
    )]
    GraceOver { holder: HolderId, since: Timestamp, way_out: String },
    #[error("the client certificate was replaced by {current}: renew that one, or enrol anew with {way_out}")]
    Superseded { holder: HolderId, current: Serial, way_out: String },
    #[error(
        "the client certificate was replaced by {}, and this request brings another key: one of the two is taken for a copy. \
         If nobody copied it, an operator puts it right", .0.current
    )]
    CloneSuspected(Box<Suspicion>),
    #[error("profile {profile} is renewed with {rule}")]
    RenewalKey { holder: HolderId, profile: ProfileName, rule: &'static str },
    #[error("device {device} is at stage {stage}, where profile {profile} {rule}; {way_out}")]
    Stage { device: HolderId, stage: StageName, profile: ProfileName, rule: String, way_out: String },
    #[error("this public key belongs to another device: make a new key pair")]
    KeyOfAnother { holder: HolderId, key: Digest },
    #[error("this public key is already used for another purpose: make a new key pair")]
    KeyOfOtherPurpose { holder: HolderId, key: Digest },
    #[error("this public key was reported compromised: make a new key pair")]
    KeyCompromised { holder: HolderId, key: Digest },
    #[error(
        "this public key had a certificate before, which was replaced or is no longer good: make a new key pair"
    )]
    KeySpent { holder: HolderId, key: Digest },
    /// To whoever asks with another credential; what was decided is between the operator and the one that asked.
    #[error(
        "request {approval} is another client's, and only the credential that it was made with can fetch its certificate; an operator can cancel it ('vitae approve cancel {approval}'), and it expires at {expires}"
    )]
    ApprovalOfAnother { holder: HolderId, approval: ApprovalId, expires: Timestamp },
    #[error(
        "request {approval} of this device for profile {profile} is under way with another key: ask with that key, or have an operator cancel it ('vitae approve cancel {approval}'); it expires at {expires}"
    )]
    ApprovalWithOtherKey {
        holder: HolderId,
        profile: ProfileName,
        approval: ApprovalId,
        key: Digest,
        expires: Timestamp,
    },
    #[error(
        "an operator denied request {approval}: {reason}; asking again is of no use before {expires}, unless an operator cancels it"
    )]
    ApprovalDenied { holder: HolderId, approval: ApprovalId, reason: String, expires: Timestamp },
    #[error(transparent)]
    RecordIncomplete(#[from] RecordIncomplete),
    #[error("the record of this holder cannot be written into a certificate of profile {profile}: {reason}")]
    Unnameable { holder: HolderId, profile: ProfileName, reason: String },
    /// Names in the request that are not the holder's.
    #[error("the request names {found}, which is not what the record of this holder says{hint}")]
    NameMismatch { holder: HolderId, found: String, hint: &'static str },
    #[error("the request asks for extended key usages of which profile {profile} gives none")]
    UsageNotGiven { holder: HolderId, profile: ProfileName },
    #[error("profile {profile} does not take a {given} key: it takes {accepted}")]
    KeyKind { holder: HolderId, profile: ProfileName, given: String, accepted: String },
    #[error("{reason}{}", if *.may_leave_out { "; or leave it out" } else { "" })]
    Unbound { holder: HolderId, reason: Unbound, may_leave_out: bool },
    /// What a registration authority may not do for devices.
    #[error("{why}")]
    Delegation { ra: HolderId, device: Option<HolderId>, why: Box<DelegationRefused> },
    /// The key that the server would make cannot be encrypted as the request asks.
    #[error("{reason}")]
    KeyProtection { holder: HolderId, reason: String },
    #[error(
        "no key can be made here for this request to profile {profile}: make it yourself and ask with simpleenroll"
    )]
    OwnKeyNeeded { profile: ProfileName },
    #[error("too many tokens from this address were good for nothing: try again in {} s", seconds(*wait))]
    TooManyFailures { wait: Duration },
    #[error("too many enrolments are in progress: try again in {} s, with the same key", seconds(SOON))]
    TooManyEnrolments,
    #[error("{holder} was given too many certificates in a short time: try again in {} s, with the same key", seconds(*wait))]
    TooManyCertificates { holder: HolderId, wait: Duration },
}

/// When there may be room again.
const SOON: Duration = Duration::from_secs(5);

/// Whole seconds, none of them too few.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// What kind of answer a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The client has not shown who it is.
    Unauthenticated,
    /// It has, and may not.
    Forbidden,
    /// It may, but something else holds what it asks for.
    Conflict,
    /// The request itself is wrong.
    Invalid,
    /// There is nothing wrong with it but that it comes now.
    Later,
}

impl Refusal {
    pub fn class(&self) -> Class {
        match self {
            Self::NoCredentials | Self::NoCertificate | Self::UnknownToken | Self::TokenNotGood { .. } => {
                Class::Unauthenticated
            }
            Self::KeyOfAnother { .. }
            | Self::KeyOfOtherPurpose { .. }
            | Self::KeyCompromised { .. }
            | Self::KeySpent { .. }
            | Self::ApprovalWithOtherKey { .. } => Class::Conflict,
            Self::KeyKind { .. } | Self::Unbound { .. } | Self::KeyProtection { .. } => Class::Invalid,
            Self::TooManyFailures { .. } | Self::TooManyEnrolments | Self::TooManyCertificates { .. } => {
                Class::Later
            }
            _ => Class::Forbidden,
        }
    }

    /// The stable name, for logs, events and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no-credentials",
            Self::NoCertificate => "no-certificate",
            Self::UnknownCertificate => "unknown-certificate",
            Self::CertificateNotGood { .. } => "certificate-not-good",
            Self::UnknownDevice => "unknown-device",
            Self::AmbiguousDevice { .. } => "ambiguous-device",
            Self::UnknownToken => "unknown-token",
            Self::TokenNotGood { .. } => "token-not-good",
            Self::TokenForOtherProfile { .. } => "token-for-other-profile",
            Self::TwoHolders => "two-holders",
            Self::ProofNotAccepted { .. } => "proof-not-accepted",
            Self::WrongHolderKind { .. } => "wrong-holder-kind",
            Self::OtherProfile { .. } => "other-profile",
            Self::NotRenewable { .. } => "not-renewable",
            Self::GraceOver { .. } => "grace-over",
            Self::Superseded { .. } => "superseded",
            Self::CloneSuspected(_) => CLONE_SUSPECTED,
            Self::RenewalKey { .. } => "renewal-key",
            Self::Stage { .. } => "stage",
            Self::KeyOfAnother { .. } => "duplicate-key",
            Self::KeyOfOtherPurpose { .. } => "key-of-other-purpose",
            Self::KeyCompromised { .. } => "key-compromised",
            Self::KeySpent { .. } => "key-spent",
            Self::ApprovalOfAnother { .. } => "approval-of-another",
            Self::ApprovalWithOtherKey { .. } => "approval-with-other-key",
            Self::ApprovalDenied { .. } => "approval-denied",
            Self::RecordIncomplete(_) => "record-incomplete",
            Self::Unnameable { .. } => "record-unnameable",
            Self::NameMismatch { .. } => "name-mismatch",
            Self::UsageNotGiven { .. } => "usage-not-given",
            Self::KeyKind { .. } => "key-kind",
            Self::Unbound { .. } => "channel-binding",
            Self::Delegation { why, .. } => why.code(),
            Self::KeyProtection { .. } => "key-protection",
            Self::OwnKeyNeeded { .. } => "own-key-needed",
            Self::TooManyFailures { .. } => "too-many-failures",
            Self::TooManyEnrolments => "too-many-enrolments",
            Self::TooManyCertificates { .. } => "too-many-certificates",
        }
    }

    /// The holder, when it has proven who it is: only then is the refusal recorded.
    pub fn proven_holder(&self) -> Option<&HolderId> {
        match self {
            Self::CertificateNotGood { holder, .. }
            | Self::TokenNotGood { holder, .. }
            | Self::TokenForOtherProfile { holder, .. }
            | Self::ProofNotAccepted { holder, .. }
            | Self::WrongHolderKind { holder, .. }
            | Self::OtherProfile { holder, .. }
            | Self::NotRenewable { holder, .. }
            | Self::GraceOver { holder, .. }
            | Self::Superseded { holder, .. }
            | Self::RenewalKey { holder, .. }
            | Self::Stage { device: holder, .. }
            | Self::KeyOfAnother { holder, .. }
            | Self::KeyOfOtherPurpose { holder, .. }
            | Self::KeyCompromised { holder, .. }
            | Self::KeySpent { holder, .. }
            | Self::ApprovalOfAnother { holder, .. }
            | Self::ApprovalWithOtherKey { holder, .. }
            | Self::ApprovalDenied { holder, .. }
            | Self::Unnameable { holder, .. }
            | Self::NameMismatch { holder, .. }
            | Self::UsageNotGiven { holder, .. }
            | Self::KeyKind { holder, .. }
            | Self::Unbound { holder, .. }
            | Self::Delegation { ra: holder, .. }
            | Self::KeyProtection { holder, .. }
            | Self::TooManyCertificates { holder, .. } => Some(holder),
            Self::CloneSuspected(suspicion) => Some(&suspicion.holder),
            _ => None,
        }
    }

    /// The device that a registration authority had asked for in vain.
    pub fn device(&self) -> Option<&HolderId> {
        match self {
            Self::Delegation { device, .. } => device.as_ref(),
            _ => None,
        }
    }

    /// Seconds after which the same request may be granted, when time alone helps.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyFailures { wait } | Self::TooManyCertificates { wait, .. } => Some(seconds(*wait)),
            Self::TooManyEnrolments => Some(seconds(SOON)),
            _ => None,
        }
    }

    pub fn key(&self) -> Option<Digest> {
        match self {
            Self::KeyOfAnother { key, .. }
            | Self::KeyOfOtherPurpose { key, .. }
            | Self::KeyCompromised { key, .. }
            | Self::KeySpent { key, .. }
            | Self::ApprovalWithOtherKey { key, .. } => Some(*key),
            Self::CloneSuspected(suspicion) => Some(suspicion.key),
            _ => None,
        }
    }
}

/// Why one certificate is believed to be in two hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    pub holder: HolderId,
    pub profile: ProfileName,
    /// The certificate that asked, and has been replaced.
    pub presented: Serial,
    /// The one that stands in its place.
    pub current: Serial,
    /// The key that was asked for.
    pub key: Digest,
    /// The address that the current certificate was asked for from.
    pub current_source: Option<IpAddr>,
    /// The certificate that asked is not older than its grace allows: it could have been renewed, were it not replaced.
    pub renewable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateState {
    Revoked,
    Held,
    Expired,
    NotYetValid,
    /// Replaced, and what replaced it is revoked.
    SuccessorRevoked,
    /// Replaced, and what replaced it is on hold.
    SuccessorHeld,
}

impl fmt::Display for CertificateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "revoked",
            Self::Held => "on hold",
            Self::Expired => "expired: enrol with the birth certificate or a token",
            Self::SuccessorRevoked => "replaced by one that is revoked",
            Self::SuccessorHeld => "replaced by one that is on hold",
            Self::NotYetValid => "not valid yet: check the device's clock",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    Spent(Timestamp),
    Cancelled(Timestamp),
    Expired(Timestamp),
}

impl fmt::Display for TokenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spent(at) => write!(f, "was used at {at}"),
            Self::Cancelled(at) => write!(f, "was cancelled at {at}"),
            Self::Expired(at) => write!(f, "expired at {at}"),
        }
    }
}
