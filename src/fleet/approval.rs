//! Requests that need an operator's approval: what is known of each, and what an operator may do with it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::event::{Actor, Fact, Proof};
use super::rows::At;
use crate::clock::Timestamp;
use crate::ids::{ApprovalId, Digest, HolderId, ProfileName, Serial};

/// The client that asked is shown it in an answer of plain text, and devices write such answers into logs of all kinds.
pub const LONGEST_REASON: usize = 256;

/// A first enrolment that needs an operator's approval.
///
/// At most one of a holder and a profile is alive, and no other client than the one that asked can fetch by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRow {
    pub id: ApprovalId,
    pub holder: HolderId,
    pub profile: ProfileName,
    /// SHA-256 of the requested subject public key info.
    pub key: Digest,
    /// The credential that asked.
    pub proof: Proof,
    pub source: Option<IpAddr>,
    pub asked: At,
    pub expires: Timestamp,
    /// What an operator said; `None`: nothing yet.
    pub verdict: Option<Verdict>,
    pub cancelled: Option<At>,
    /// The certificate that was issued by it.
    pub serial: Option<Serial>,
}

/// An operator's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub granted: bool,
    pub by: Actor,
    pub at: At,
    pub reason: Option<String>,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalStatus {
    /// Nobody has decided yet.
    Pending,
    /// Its client may fetch the certificate.
    Granted,
    Denied,
    /// Its client has the certificate.
    Issued,
    Cancelled,
    /// Nobody decided in time, or its client did not come for the certificate.
    Expired,
}

impl ApprovalStatus {
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Granted, Self::Denied, Self::Issued, Self::Cancelled, Self::Expired];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Issued => "issued",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for ApprovalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl ApprovalRow {
    /// Time alone ends a request: nothing is written for it.
    pub fn status_at(&self, now: Timestamp) -> ApprovalStatus {
        match &self.verdict {
            _ if self.serial.is_some() => ApprovalStatus::Issued,
            _ if self.cancelled.is_some() => ApprovalStatus::Cancelled,
            Some(verdict) if !verdict.granted => ApprovalStatus::Denied,
            _ if now > self.expires => ApprovalStatus::Expired,
            Some(_) => ApprovalStatus::Granted,
            None => ApprovalStatus::Pending,
        }
    }

    /// Whether it still says what its client is answered.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.serial.is_none() && self.cancelled.is_none() && now <= self.expires
    }
}

/// Why an operator's word changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRefused {
    #[error("there is no request {0}: 'vitae approve list --all' shows those there are")]
    Unknown(ApprovalId),
    #[error("request {id} was {word} already, at {at} by {by}: 'vitae approve cancel {id}' takes that back")]
    Decided { id: ApprovalId, word: &'static str, at: Timestamp, by: String },
    #[error("request {id} expired at {at}: its client has to ask again")]
    Expired { id: ApprovalId, at: Timestamp },
    #[error("request {id} was fulfilled: certificate {serial} was issued, and can be revoked")]
    Issued { id: ApprovalId, serial: Serial },
    #[error("request {id} was cancelled at {at}: its client has to ask again")]
    Cancelled { id: ApprovalId, at: Timestamp },
    #[error(
        "the reason cannot be used: write 1 to {LONGEST_REASON} printable ASCII characters, for the client may be shown them"
    )]
    BadReason,
}

pub fn decide_grant(
    id: &ApprovalId,
    row: Option<&ApprovalRow>,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Fact, ApprovalRefused> {
    let reason = reason.map(checked).transpose()?;
    let row = undecided(id, row, now)?;
    Ok(Fact::ApprovalGranted {
        approval: row.id,
        holder: row.holder.clone(),
        profile: row.profile.clone(),
        reason,
    })
}

pub fn decide_deny(
    id: &ApprovalId,
    row: Option<&ApprovalRow>,
    reason: &str,
    now: Timestamp,
) -> Result<Fact, ApprovalRefused> {
    let reason = checked(reason)?;
    let row = undecided(id, row, now)?;
    Ok(Fact::ApprovalDenied {
        approval: row.id,
        holder: row.holder.clone(),
        profile: row.profile.clone(),
        reason,
    })
}

/// Whatever was decided, as long as nothing was issued by it: a mistaken denial, a grant that somebody regrets, a client
/// that has lost its key.
pub fn decide_cancel(
    id: &ApprovalId,
    row: Option<&ApprovalRow>,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Fact, ApprovalRefused> {
    let reason = reason.map(checked).transpose()?;
    let row = row.ok_or(ApprovalRefused::Unknown(*id))?;
    over(row, now)?;
    Ok(cancelled(row, reason))
}

/// What follows for a request from the cancelling of the token that made it, if anything.
pub fn cancel_with_token(row: Option<&ApprovalRow>, now: Timestamp) -> Option<Fact> {
    row.filter(|row| row.is_alive(now)).map(|row| cancelled(row, Some("its token was cancelled".to_owned())))
}

/// What follows for a request from a move that revokes what it asks for.
pub fn cancel_with_move(row: &ApprovalRow, transition: &str, now: Timestamp) -> Option<Fact> {
    let denied = row.verdict.as_ref().is_some_and(|verdict| !verdict.granted);
    let open = row.is_alive(now) && !denied;
    open.then(|| cancelled(row, Some(format!("by the move {transition}, which revokes such certificates"))))
}

fn cancelled(row: &ApprovalRow, reason: Option<String>) -> Fact {
    Fact::ApprovalCancelled {
        approval: row.id,
        holder: row.holder.clone(),
        profile: row.profile.clone(),
        reason,
    }
}

fn undecided<'a>(
    id: &ApprovalId,
    row: Option<&'a ApprovalRow>,
    now: Timestamp,
) -> Result<&'a ApprovalRow, ApprovalRefused> {
    let row = row.ok_or(ApprovalRefused::Unknown(*id))?;
    over(row, now)?;
    match &row.verdict {
        None => Ok(row),
        Some(verdict) => Err(ApprovalRefused::Decided {
            id: row.id,
            word: if verdict.granted { "granted" } else { "denied" },
            at: verdict.at.time,
            by: verdict.by.to_string(),
        }),
    }
}

/// Refuses what no longer says anything to its client.
fn over(row: &ApprovalRow, now: Timestamp) -> Result<(), ApprovalRefused> {
    if let Some(serial) = row.serial {
        return Err(ApprovalRefused::Issued { id: row.id, serial });
    }
    if let Some(at) = row.cancelled {
        return Err(ApprovalRefused::Cancelled { id: row.id, at: at.time });
    }
    if now > row.expires {
        return Err(ApprovalRefused::Expired { id: row.id, at: row.expires });
    }
    Ok(())
}

fn checked(reason: &str) -> Result<String, ApprovalRefused> {
    let printable = reason.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if printable && !reason.trim().is_empty() && reason.len() <= LONGEST_REASON {
        Ok(reason.trim().to_owned())
    } else {
        Err(ApprovalRefused::BadReason)
    }
}
