//! Decides the revocation, the hold and the release of single certificates.

use super::event::{Cause, Fact};
use super::rows::{CertificateRow, Status};
use crate::clock::Timestamp;
use crate::ids::{Reason, Serial};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokeRefused {
    #[error("no certificate has the serial number {0}")]
    Unknown(Serial),
    #[error("certificate {0} is revoked already")]
    Revoked(Serial),
    #[error("certificate {0} is on hold already")]
    Held(Serial),
    #[error("certificate {0} is a root: nobody stands above it to revoke it")]
    Root(Serial),
    #[error("certificate {0} is that of a CA: a hold on it could not be released; revoke it for good")]
    CaHold(Serial),
    #[error("certificate {serial} cannot be invalid since {since}: that is {why}")]
    InvalidSince { serial: Serial, since: Timestamp, why: &'static str },
}

/// Revokes for good, or holds when the reason is certificate-hold (RFC 5280 section 5.3.1).
pub fn decide(
    row: &CertificateRow,
    is_root: bool,
    reason: Reason,
    invalid_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Fact, RevokeRefused> {
    let serial = row.serial;
    if is_root {
        return Err(RevokeRefused::Root(serial));
    }
    if reason == Reason::CertificateHold && row.profile.is_none() {
        return Err(RevokeRefused::CaHold(serial));
    }
    if let Some(since) = invalid_since {
        let why = if since > now {
            Some("in the future")
        } else if since < row.not_before {
            Some("before the certificate existed")
        } else if reason == Reason::CertificateHold {
            Some("not said of a hold")
        } else {
            None
        };
        if let Some(why) = why {
            return Err(RevokeRefused::InvalidSince { serial, since, why });
        }
    }
    let cause = Cause::Command;
    match (row.status, reason) {
        // What merely had its time is still to be trusted for the past; a compromise must be told all the same.
        (Status::Revoked { .. }, Reason::KeyCompromise) if row.superseded => {
            Ok(Fact::CertificateRevoked { serial, reason, invalid_since, cause })
        }
        (Status::Revoked { .. }, _) => Err(RevokeRefused::Revoked(serial)),
        (Status::Held, Reason::CertificateHold) => Err(RevokeRefused::Held(serial)),
        (Status::Good, Reason::CertificateHold) => Ok(Fact::CertificateHeld { serial, cause }),
        (Status::Good | Status::Held, _) => {
            Ok(Fact::CertificateRevoked { serial, reason, invalid_since, cause })
        }
    }
}
