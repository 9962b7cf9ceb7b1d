//! Decides an enrolment or a renewal: who asks, whether the stage allows it, and what will be granted.

use std::ops::ControlFlow;

use super::event::Proof;
use super::names::{Holder, RecordIncomplete, RenderedAltName};
pub use super::refusal::{CertificateState, Class, Refusal, TokenState};
use super::rows::{self, CERTIFICATE_BY_KEY, CertificateRow, Device, Status};
use crate::clock::Timestamp;
use crate::config::{Cell, Config, HolderKind, NameAttribute, Profile, Proof as AcceptedProof, Stage};
use crate::ids::{Digest, EventNumber, HolderId, MakerName, ProfileName, Serial, StageName};
use crate::store::{StoreError, View};

/// What is asked for, and by what right.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub profile: &'a Profile,
    /// simplereenroll, not simpleenroll.
    pub renewal: bool,
    /// SHA-256 of the requested subject public key info.
    pub key: Digest,
    pub credentials: &'a Credentials,
}

/// What the client showed. The certificate was proven in the TLS handshake; the token is only a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub certificate: Option<ClientCertificate>,
    pub token: Option<PresentedToken>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Names one of our CAs as its issuer.
    Own { serial: Option<Serial>, fingerprint: Digest },
    /// Chains to the anchor of this maker.
    Maker {
        maker: MakerName,
        subject_serial: Option<String>,
        fingerprint: Digest,
        not_before: Timestamp,
        not_after: Timestamp,
        /// SHA-256 of its subject public key info.
        key: Digest,
    },
}

/// HTTP Basic: the user is the device id (or empty), the password the token, of which only the digest is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedToken {
    pub user: String,
    pub token: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Issue(Box<Grant>),
    /// This key already has a good certificate of this profile: the answer was lost, give it again.
    Repeat(Serial),
}

/// Leave to issue one certificate. Only [`decide`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    holder: HolderId,
    model: Option<String>,
    stage: Option<(StageName, EventNumber)>,
    owner: Option<String>,
    proof: Proof,
    replaces: Option<Serial>,
    subject: Vec<(NameAttribute, String)>,
    alt_names: Vec<RenderedAltName>,
    also_known_as: Vec<(NameAttribute, String)>,
}

impl Grant {
    pub fn holder(&self) -> &HolderId {
        &self.holder
    }
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
    pub fn stage(&self) -> Option<&(StageName, EventNumber)> {
        self.stage.as_ref()
    }
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
    pub fn replaces(&self) -> Option<Serial> {
        self.replaces
    }
    pub fn subject(&self) -> &[(NameAttribute, String)] {
        &self.subject
    }
    pub fn alt_names(&self) -> &[RenderedAltName] {
        &self.alt_names
    }
    /// Names that a first request may carry besides the granted ones.
    pub fn also_known_as(&self) -> &[(NameAttribute, String)] {
        &self.also_known_as
    }
}

/// A refusal, or a store that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RecordIncomplete> for EnrolError {
    fn from(incomplete: RecordIncomplete) -> Self {
        Self::Refused(incomplete.into())
    }
}

/// Decides on what `view` shows at `now`.
pub fn decide(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    now: Timestamp,
) -> Result<Decision, EnrolError> {
    let proven = prove(view, config, ask, now)?;
    let profile = ask.profile;
    let holder = load(view, &proven.holder)?;
    if !fits(&holder, profile.holder()) {
        return Err(
            Refusal::WrongHolderKind { holder: proven.holder, profile: profile.name().clone() }.into()
        );
    }
    if let Holder::Device(device) = &holder {
        gate(view, config, ask, device, &proven.proof, now)?;
    }
    if let Some(serial) = check_key(view, ask, &proven, now)? {
        return Ok(Decision::Repeat(serial));
    }
    Ok(Decision::Issue(Box::new(Grant {
        holder: proven.holder,
        model: holder.model().map(str::to_owned),
        stage: match &holder {
            Holder::Device(device) => Some((device.stage.clone(), device.stage_since.event)),
            Holder::Identity(_) => None,
        },
        owner: match &holder {
            Holder::Device(device) => device.owner.clone(),
            Holder::Identity(identity) => Some(identity.owner.clone()),
        },
        proof: proven.proof,
        replaces: proven.renews.map(|row| row.serial),
        subject: holder.subject(profile)?,
        alt_names: holder.alt_names(profile)?,
        also_known_as: holder.also_known_as(),
    })))
}

/// A holder that has shown who it is.
struct Proven {
    holder: HolderId,
    proof: Proof,
    renews: Option<CertificateRow>,
}

fn prove(view: &dyn View, config: &Config, ask: &Ask<'_>, now: Timestamp) -> Result<Proven, EnrolError> {
    if ask.renewal {
        return prove_renewal(view, ask, now);
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
        _ => ("a birth certificate", AcceptedProof::BirthCertificate),
    };
    if !ask.profile.authenticate_by().contains(&kind) {
        let word = |proof: &AcceptedProof| match proof {
            AcceptedProof::Token => "a token",
            AcceptedProof::BirthCertificate => "a birth certificate",
        };
        let accepted: Vec<_> = ask.profile.authenticate_by().iter().map(word).collect();
        return Err(Refusal::ProofNotAccepted {
            holder: proven.holder,
            profile: ask.profile.name().clone(),
            given,
            accepted: accepted.join(" or "),
        }
        .into());
    }
    Ok(proven)
}

/// The record decides whether the presented certificate is good, on every request (B01, B02, B33).
fn own_certificate(
    view: &dyn View,
    serial: Option<Serial>,
    fingerprint: Digest,
    now: Timestamp,
) -> Result<CertificateRow, EnrolError> {
    let row = match serial {
        Some(serial) => rows::certificate(view, &serial)?,
        None => None,
    };
    // The bytes must be those that were issued: the same issuer name and serial could be somebody else's (B19).
    let row = row.filter(|row| row.fingerprint == fingerprint && row.profile.is_some());
    let row = row.ok_or(Refusal::UnknownCertificate)?;
    let state = match row.status {
        Status::Revoked { .. } => Some(CertificateState::Revoked),
        Status::Held => Some(CertificateState::Held),
        Status::Good => validity(row.not_before, row.not_after, now),
    };
    match state {
        Some(status) => Err(Refusal::CertificateNotGood { holder: row.holder, status }.into()),
        None => Ok(row),
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

fn prove_renewal(view: &dyn View, ask: &Ask<'_>, now: Timestamp) -> Result<Proven, EnrolError> {
    let (serial, fingerprint) = match &ask.credentials.certificate {
        None => return Err(Refusal::NoCertificate.into()),
        Some(ClientCertificate::Maker { .. }) => return Err(Refusal::UnknownCertificate.into()),
        Some(ClientCertificate::Own { serial, fingerprint }) => (*serial, *fingerprint),
    };
    let row = own_certificate(view, serial, fingerprint, now)?;
    let profile = ask.profile.name();
    if row.profile.as_ref() != Some(profile) {
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
            let row = own_certificate(view, *serial, *fingerprint, now)?;
            let profile = row.profile.as_ref().and_then(|name| config.profiles().get(name));
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

fn prove_by_token(
    view: &dyn View,
    ask: &Ask<'_>,
    presented: &PresentedToken,
    now: Timestamp,
) -> Result<Proven, EnrolError> {
    let row = rows::token(view, &presented.token)?.ok_or(Refusal::UnknownToken)?;
    // An empty user name is allowed (RFC 7030 section 3.2.3): the token alone names the device.
    if !presented.user.is_empty() && presented.user != row.holder.as_str() {
        return Err(Refusal::UnknownToken.into());
    }
    let state = match (row.spent, row.cancelled) {
        (Some(at), _) => Some(TokenState::Spent(at.time)),
        (None, Some(at)) => Some(TokenState::Cancelled(at.time)),
        (None, None) if now > row.expires => Some(TokenState::Expired(row.expires)),
        (None, None) => None,
    };
    if let Some(state) = state {
        return Err(Refusal::TokenNotGood { holder: row.holder, state }.into());
    }
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

fn load(view: &dyn View, id: &HolderId) -> Result<Holder, EnrolError> {
    if let Some(device) = rows::device(view, id)? {
        return Ok(Holder::Device(device));
    }
    match rows::identity(view, id)? {
        Some(identity) => Ok(Holder::Identity(identity)),
        None => Err(Refusal::UnknownDevice.into()),
    }
}

fn fits(holder: &Holder, kind: &HolderKind) -> bool {
    match (holder, kind) {
        (Holder::Device(_), HolderKind::Device) => true,
        (Holder::Identity(identity), HolderKind::Identity(kind)) => identity.kind == *kind,
        _ => false,
    }
}

/// The profile x stage matrix.
fn gate(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    device: &Device,
    proof: &Proof,
    now: Timestamp,
) -> Result<(), EnrolError> {
    let profile = ask.profile.name();
    let lifecycle = config.lifecycle();
    let refuse = |rule: String, way_out: String| {
        Err(EnrolError::Refused(Refusal::Stage {
            device: device.id.clone(),
            stage: device.stage.clone(),
            profile: profile.clone(),
            rule,
            way_out,
        }))
    };
    let ended = lifecycle.stage(&device.stage).is_some_and(Stage::is_terminal);
    let elsewhere = || match ended {
        true => "that is the end of its life: nothing is issued to it any more".to_owned(),
        false => allowed_elsewhere(config, profile),
    };
    let cell = lifecycle.cell(profile, &device.stage);
    let when = match &cell {
        Cell::Never => return refuse("may be neither issued nor renewed".to_owned(), elsewhere()),
        Cell::Issue { when } | Cell::Renew { when } => when,
    };
    if let Some(mark) = when
        && !device.marks.contains(mark)
    {
        return refuse(format!("needs the device to be {mark}"), format!("have the device {mark} first"));
    }
    if ask.renewal || matches!(cell, Cell::Issue { .. }) {
        return Ok(());
    }
    // Only renewal is allowed here. A device whose last certificate merely expired may come back by itself; one
    // whose certificate was withdrawn needs an operator's token as its ticket.
    let last = rows::certificates_of(view, &device.id)?
        .into_iter()
        .find(|row| row.profile.as_ref() == Some(profile));
    let by_ticket = matches!(proof, Proof::Token { .. });
    match last {
        None => refuse("may be renewed but not issued for the first time".to_owned(), elsewhere()),
        Some(row) => match row.status {
            Status::Good if row.not_after < now || row.key == ask.key => Ok(()),
            Status::Good => refuse(
                "may only be renewed".to_owned(),
                "its certificate is still good: renew it with simplereenroll".to_owned(),
            ),
            Status::Held => refuse(
                "may only be renewed".to_owned(),
                "its certificate is on hold: an operator releases or revokes it first".to_owned(),
            ),
            Status::Revoked { .. } if by_ticket => Ok(()),
            Status::Revoked { .. } => refuse(
                "may only be renewed".to_owned(),
                "its certificate was revoked: an operator issues a token as leave to enrol again".to_owned(),
            ),
        },
    }
}

fn allowed_elsewhere(config: &Config, profile: &ProfileName) -> String {
    let stages = config.lifecycle().stages_where(profile);
    if stages.is_empty() {
        return "no stage allows it".to_owned();
    }
    let list: Vec<_> = stages.iter().map(|(stage, cell)| format!("{stage} ({cell})")).collect();
    format!("it is allowed at: {}", list.join(", "))
}

/// A key belongs to one holder and one purpose. `Some`: this very request was answered before.
fn check_key(
    view: &dyn View,
    ask: &Ask<'_>,
    proven: &Proven,
    now: Timestamp,
) -> Result<Option<Serial>, EnrolError> {
    let holder = proven.holder.clone();
    let key = ask.key;
    // A maker's birth certificate is not in the record, but its key is for births as much as one of ours.
    if let Some(ClientCertificate::Maker { key: birth, .. }) = &ask.credentials.certificate
        && *birth == key
    {
        return Err(Refusal::KeyOfOtherPurpose { holder, key }.into());
    }
    let Some(bound) = rows::key_row(view, &key)? else { return Ok(None) };
    if bound.holder != holder {
        return Err(Refusal::KeyOfAnother { holder, key }.into());
    }
    if bound.profile.as_ref() != Some(ask.profile.name()) {
        return Err(Refusal::KeyOfOtherPurpose { holder, key }.into());
    }
    if bound.compromised.is_some() {
        return Err(Refusal::KeyCompromised { holder, key }.into());
    }
    let good = |row: &CertificateRow| row.status == Status::Good && now <= row.not_after;
    if let Some(old) = &proven.renews {
        // The presented certificate has a successor with the requested key: the answer to that renewal was lost.
        let successor = old.replaced_by.map(|serial| rows::certificate(view, &serial)).transpose()?.flatten();
        return Ok(successor.filter(|row| row.key == key && good(row)).map(|row| row.serial));
    }
    match newest_of_key(view, &key)? {
        // First enrolment with a key that has its certificate: the answer was lost.
        Some(row) if good(&row) => Ok(Some(row.serial)),
        Some(row) if row.status != Status::Good => Err(Refusal::KeySpent { holder, key }.into()),
        _ => Ok(None),
    }
}

/// The last that was issued. Serial numbers alone do not tell: the clock in them may have been set back.
fn newest_of_key(view: &dyn View, key: &Digest) -> Result<Option<CertificateRow>, StoreError> {
    let mut serials = Vec::new();
    rows::scan_prefix(view, CERTIFICATE_BY_KEY, key.as_bytes(), true, &mut |found, _| {
        serials.extend(<[u8; 16]>::try_from(&found[32..]).ok().map(Serial::from_bytes));
        ControlFlow::Continue(())
    })?;
    let mut newest: Option<CertificateRow> = None;
    for row in serials.iter().filter_map(|serial| rows::certificate(view, serial).transpose()) {
        let row = row?;
        if newest.as_ref().is_none_or(|newest| newest.issued.event < row.issued.event) {
            newest = Some(row);
        }
    }
    Ok(newest)
}
