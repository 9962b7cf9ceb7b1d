//! Who asks: a certificate to be renewed, a birth certificate, or a one-time token.

use super::{Ask, ClientCertificate, EnrolError, PresentedToken, approval, delegate};
use crate::clock::Timestamp;
use crate::config::{Config, Profile, Proof as AcceptedProof};
use crate::fleet::event::Proof;
use crate::fleet::refusal::{CertificateState, Refusal, TokenState};
use crate::fleet::rows::{self, CertificateRow, Status, TokenRow};
use crate::ids::{Digest, HolderId, Serial};
use crate::store::{StoreError, View};

/// A holder that has shown who it is.
pub(super) struct Proven {
    pub(super) holder: HolderId,
    pub(super) proof: Proof,
    pub(super) renews: Option<CertificateRow>,
}

pub(super) fn prove(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    now: Timestamp,
) -> Result<Proven, EnrolError> {
    if ask.renewal {
        return prove_renewal(view, config, ask, now);
    }
    let proven = match (&ask.credentials.token, &ask.credentials.certificate) {
        (None, None) => return Err(Refusal::NoCredentials.into()),
        (None, Some(certificate)) => prove_by_birth(view, config, ask, certificate, now)?,
        (Some(token), certificate) => {
            let proven = prove_by_token(view, ask, token, now)?;
            if let Some(certificate) = certificate
                && holder_of(view, certificate)? != Some(proven.holder.clone())
            {
                return Err(Refusal::TwoHolders.into());
            }
            proven
        }
    };
    let (given, kind) = match proven.proof {
        Proof::Token { .. } => ("a token", AcceptedProof::Token),
        Proof::RegistrationAuthority { .. } => {
            ("a registration authority", AcceptedProof::RegistrationAuthority)
        }
        _ => ("a birth certificate", AcceptedProof::BirthCertificate),
    };
    if !ask.profile.authenticate_by().contains(&kind) {
        return Err(Refusal::ProofNotAccepted {
            holder: proven.holder,
            profile: ask.profile.name().clone(),
            given,
            accepted: accepted(ask.profile),
        }
        .into());
    }
    Ok(proven)
}

/// What a first enrolment takes, in words.
pub(super) fn accepted(profile: &Profile) -> String {
    let word = |proof: &AcceptedProof| match proof {
        AcceptedProof::Token => "a token",
        AcceptedProof::BirthCertificate => "a birth certificate",
        AcceptedProof::RegistrationAuthority => "a registration authority",
    };
    profile.authenticate_by().iter().map(word).collect::<Vec<_>>().join(" or ")
}

/// What a certificate must be to prove something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standard {
    /// Good, and within its validity.
    Good,
    /// Not withdrawn, and its time has come. Expired or replaced by another it may be: the rules of renewal judge that.
    ToBeRenewed,
}

/// The record decides whether the presented certificate is good, on every request (B01, B02, B33).
pub(super) fn own_certificate(
    view: &dyn View,
    serial: Option<Serial>,
    fingerprint: Digest,
    standard: Standard,
    now: Timestamp,
) -> Result<CertificateRow, EnrolError> {
    let row = match serial {
        Some(serial) => rows::certificate(view, &serial)?,
        None => None,
    };
    // The bytes must be those that were issued: the same issuer name and serial could be somebody else's (B19).
    let row = row.filter(|row| row.fingerprint == fingerprint && row.profile.is_some());
    let row = row.ok_or(Refusal::UnknownCertificate)?;
    let renewed = standard == Standard::ToBeRenewed;
    let state = match row.status {
        Status::Revoked { .. } if !(renewed && row.superseded) => Some(CertificateState::Revoked),
        Status::Held => Some(CertificateState::Held),
        // B04: leave to be late is no leave to be early.
        Status::Revoked { .. } | Status::Good => validity(row.not_before, row.not_after, now)
            .filter(|state| !(renewed && *state == CertificateState::Expired)),
    };
    match state {
        Some(status) => Err(Refusal::CertificateNotGood { holder: row.holder, status }.into()),
        None => Ok(row),
    }
}

/// The holder's own certificate that this client has shown, when it is good in every respect.
pub(super) fn good_certificate(
    view: &dyn View,
    certificate: &ClientCertificate,
    now: Timestamp,
) -> Result<Option<CertificateRow>, StoreError> {
    let ClientCertificate::Own { serial, fingerprint } = certificate else { return Ok(None) };
    match own_certificate(view, *serial, *fingerprint, Standard::Good, now) {
        Ok(row) => Ok(Some(row)),
        Err(EnrolError::Refused(_)) => Ok(None),
        Err(EnrolError::Store(error)) => Err(error),
    }
}

fn validity(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Option<CertificateState> {
    if now < not_before {
        Some(CertificateState::NotYetValid)
    } else if now > not_after {
        Some(CertificateState::Expired)
    } else {
        None
    }
}

fn prove_renewal(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    now: Timestamp,
) -> Result<Proven, EnrolError> {
    let (serial, fingerprint) = match &ask.credentials.certificate {
        None => return Err(Refusal::NoCertificate.into()),
        Some(ClientCertificate::Maker { .. }) => return Err(Refusal::UnknownCertificate.into()),
        Some(ClientCertificate::Own { serial, fingerprint }) => (*serial, *fingerprint),
    };
    let row = own_certificate(view, serial, fingerprint, Standard::ToBeRenewed, now)?;
    let profile = ask.profile.name();
    if row.profile.as_ref() != Some(profile) {
        delegate::check_renewal(config, &row)?;
        // own_certificate lets only rows with a profile through.
        let presented = row.profile.clone().unwrap_or_else(|| profile.clone());
        return Err(Refusal::OtherProfile { holder: row.holder, presented, asked: profile.clone() }.into());
    }
    if ask.profile.renewal().is_none() {
        return Err(Refusal::NotRenewable { holder: row.holder, profile: profile.clone() }.into());
    }
    Ok(Proven {
        holder: row.holder.clone(),
        proof: Proof::CurrentCertificate { serial: row.serial },
        renews: Some(row),
    })
}

fn prove_by_birth(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    certificate: &ClientCertificate,
    now: Timestamp,
) -> Result<Proven, EnrolError> {
    match certificate {
        ClientCertificate::Own { serial, fingerprint } => {
            let row = own_certificate(view, *serial, *fingerprint, Standard::Good, now)?;
            let profile = row.profile.as_ref().and_then(|name| config.profiles().get(name));
            if profile.is_some_and(Profile::is_registration_authority) {
                return delegate::prove(view, config, ask, &row);
            }
            if !profile.is_some_and(Profile::is_birth) {
                return Err(Refusal::ProofNotAccepted {
                    holder: row.holder,
                    profile: ask.profile.name().clone(),
                    given: "an operational certificate",
                    accepted: "a birth certificate; renew with simplereenroll".to_owned(),
                }
                .into());
            }
            Ok(Proven {
                holder: row.holder,
                proof: Proof::BirthCertificate { serial: row.serial },
                renews: None,
            })
        }
        ClientCertificate::Maker { maker, subject_serial, fingerprint, not_before, not_after, .. } => {
            let serial = subject_serial.clone().ok_or(Refusal::UnknownDevice)?;
            let mut devices = rows::devices_by_serial(view, maker, &serial)?;
            let holder = devices.pop().ok_or(Refusal::UnknownDevice)?;
            if !devices.is_empty() {
                return Err(Refusal::AmbiguousDevice { maker: maker.clone(), serial }.into());
            }
            if let Some(status) = validity(*not_before, *not_after, now) {
                return Err(Refusal::CertificateNotGood { holder, status }.into());
            }
            let proof = Proof::MakerCertificate { maker: maker.clone(), fingerprint: *fingerprint };
            Ok(Proven { holder, proof, renews: None })
        }
    }
}

/// Whether the token exists, is the user's, and can still be spent.
pub(super) fn token(
    view: &dyn View,
    presented: &PresentedToken,
    now: Timestamp,
) -> Result<TokenRow, EnrolError> {
    let row = rows::token(view, &presented.token)?.ok_or(Refusal::UnknownToken)?;
    // An empty user name is allowed (RFC 7030 section 3.2.3): the token alone names the device.
    if !presented.user.is_empty() && presented.user != row.holder.as_str() {
        return Err(Refusal::UnknownToken.into());
    }
    let state = match (row.spent, row.cancelled) {
        (Some(at), _) => Some(TokenState::Spent(at.time)),
        (None, Some(at)) => Some(TokenState::Cancelled(at.time)),
        (None, None) if now > row.expires && !approval::keeps_good(view, &row, now)? => {
            Some(TokenState::Expired(row.expires))
        }
        (None, None) => None,
    };
    match state {
        Some(state) => Err(Refusal::TokenNotGood { holder: row.holder, state }.into()),
        None => Ok(row),
    }
}

fn prove_by_token(
    view: &dyn View,
    ask: &Ask<'_>,
    presented: &PresentedToken,
    now: Timestamp,
) -> Result<Proven, EnrolError> {
    let row = token(view, presented, now)?;
    if row.profile != *ask.profile.name() {
        let asked = ask.profile.name().clone();
        return Err(Refusal::TokenForOtherProfile { holder: row.holder, token: row.profile, asked }.into());
    }
    Ok(Proven { holder: row.holder, proof: Proof::Token { token: row.token }, renews: None })
}

/// Whose certificate this is, whether it is good or not.
fn holder_of(view: &dyn View, certificate: &ClientCertificate) -> Result<Option<HolderId>, StoreError> {
    match certificate {
        ClientCertificate::Own { serial: None, .. } => Ok(None),
        ClientCertificate::Own { serial: Some(serial), fingerprint } => Ok(rows::certificate(view, serial)?
            .filter(|row| row.fingerprint == *fingerprint)
            .map(|row| row.holder)),
        ClientCertificate::Maker { maker, subject_serial: Some(serial), .. } => {
            let mut devices = rows::devices_by_serial(view, maker, serial)?;
            Ok(devices.pop().filter(|_| devices.is_empty()))
        }
        ClientCertificate::Maker { subject_serial: None, .. } => Ok(None),
    }
}
