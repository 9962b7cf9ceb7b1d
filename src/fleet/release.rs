//! Decides the release of a certificate from its hold (RFC 5280 section 5.3.1).

use super::event::{Cause, Fact};
use super::rows::{CertificateRow, KeyRow, Status};
use crate::clock::Timestamp;
use crate::ids::{HolderId, Reason, Serial};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseRefused {
    #[error("no certificate has the serial number {0}")]
    Unknown(Serial),
    #[error("certificate {0} is good: there is no hold to release it from")]
    Good(Serial),
    #[error(
        "certificate {serial} is revoked for good ({reason}) and can never be released: let {holder} enrol anew"
    )]
    Revoked { serial: Serial, reason: Reason, holder: HolderId },
    #[error(
        "certificate {serial} has expired at {end} while it was on hold, so a release would not make it good again: \
         let {holder} enrol anew"
    )]
    Expired { serial: Serial, end: Timestamp, holder: HolderId },
    #[error(
        "certificate {serial} was put on hold by the move {transition} of {holder}, and only a move ends that: see \
         'vitae device move'"
    )]
    Moved { serial: Serial, transition: String, holder: HolderId },
    #[error(
        "the key of certificate {serial} is known to be compromised: let {holder} enrol anew, with another key"
    )]
    Compromised { serial: Serial, holder: HolderId },
}

/// `held_by` is why it was put on hold; `key` what is known of its key.
pub fn decide(
    row: &CertificateRow,
    held_by: Option<&Cause>,
    key: Option<&KeyRow>,
    now: Timestamp,
) -> Result<Fact, ReleaseRefused> {
    let (serial, holder) = (row.serial, row.holder.clone());
    match row.status {
        Status::Good => Err(ReleaseRefused::Good(serial)),
        Status::Revoked { reason, .. } => Err(ReleaseRefused::Revoked { serial, reason, holder }),
        Status::Held if now > row.not_after => {
            Err(ReleaseRefused::Expired { serial, end: row.not_after, holder })
        }
        Status::Held => {
            if let Some(Cause::Move { transition }) = held_by {
                return Err(ReleaseRefused::Moved { serial, transition: transition.clone(), holder });
            }
            if key.is_some_and(|key| key.compromised.is_some()) {
                return Err(ReleaseRefused::Compromised { serial, holder });
            }
            Ok(Fact::CertificateReleased { serial, cause: Cause::Command })
        }
    }
}
