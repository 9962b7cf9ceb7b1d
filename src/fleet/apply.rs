//! Folds an event into the tables. It cannot refuse: what is here has happened.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::approval::{ApprovalRow, Verdict};
use super::event::{Cause, Event, Fact, Issuance, Proof};
use super::filter;
use super::listing;
use super::refusal::CLONE_SUSPECTED;
use super::revoke_job;
use super::rows::{
    APPROVAL, APPROVAL_BY_HOLDER, APPROVAL_BY_KEY, APPROVAL_BY_TIME, APPROVAL_UNDECIDED, At, CERTIFICATE,
    CERTIFICATE_BY_EXPIRY, CERTIFICATE_BY_HOLDER, CERTIFICATE_BY_RA, CERTIFICATE_BY_STAGE, CONFIGURATION,
    CaRow, CertificateRow, DELEGATED, DEVICE, DEVICE_BY_MODEL, DEVICE_BY_PLATE, DEVICE_BY_SERIAL,
    DEVICE_BY_STAGE, DEVICE_BY_TIME, Delegated, Device, EVENT_BY_HOLDER, Enrolment, IDENTITY, Identity, KEY,
    KeyRow, LastRefusal, OVERLAP_END, Status, TOKEN, TOKEN_BY_HOLDER, TokenRow, get, key, plate, put,
};
use crate::ids::{ApprovalId, Digest, HolderId, Reason, Serial, Standing};
use crate::store::{Rows, StoreError, Table};

/// Writes what `event` changed.
pub fn apply(rows: &mut dyn Rows, at: At, event: &Event) -> Result<(), StoreError> {
    match &event.fact {
        Fact::ConfigurationLoaded { .. } => put(rows, CONFIGURATION, &at.event.0.to_be_bytes(), &event.fact),
        Fact::CaCreated { .. } => ca_created(rows, at, &event.fact),
        Fact::DeviceRegistered { .. } => device_registered(rows, at, &event.fact),
        Fact::DeviceMoved { device, to, marks, owner, .. } => {
            note(rows, device, at)?;
            let mut row: Device = expect(rows, DEVICE, device.as_str().as_bytes())?;
            rows.remove(DEVICE_BY_STAGE, &pair(row.stage.as_str(), device.as_str()))?;
            rows.put(DEVICE_BY_STAGE, &pair(to.as_str(), device.as_str()), &[])?;
            if row.stage != *to {
                row.stage_since = at;
            }
            row.stage = to.clone();
            row.marks = marks.clone();
            row.owner = owner.clone();
            put(rows, DEVICE, device.as_str().as_bytes(), &row)
        }
        Fact::IdentityRegistered { identity, identity_kind, name, maker, owner, purpose } => {
            note(rows, identity, at)?;
            let row = Identity {
                id: identity.clone(),
                kind: identity_kind.clone(),
                name: name.clone(),
                maker: maker.clone(),
                owner: owner.clone(),
                purpose: purpose.clone(),
                registered: at,
                issued: 0,
                last_refusal: None,
            };
            put(rows, IDENTITY, identity.as_str().as_bytes(), &row)
        }
        Fact::TokenIssued { token, holder, profile, expires } => {
            note(rows, holder, at)?;
            let row = TokenRow {
                token: *token,
                holder: holder.clone(),
                profile: profile.clone(),
                issued: at,
                expires: *expires,
                spent: None,
                cancelled: None,
                serial: None,
                approval: None,
            };
            rows.put(TOKEN_BY_HOLDER, &numbered(holder, at), token.as_bytes())?;
            put(rows, TOKEN, token.as_bytes(), &row)
        }
        Fact::TokenCancelled { token, holder } => {
            note(rows, holder, at)?;
            let mut row: TokenRow = expect(rows, TOKEN, token.as_bytes())?;
            row.cancelled = Some(at);
            put(rows, TOKEN, token.as_bytes(), &row)
        }
        Fact::ApprovalAsked { .. } => approval_asked(rows, at, &event.fact),
        Fact::ApprovalGranted { approval, holder, reason, .. } => {
            note(rows, holder, at)?;
            let reason = reason.clone();
            decided(rows, approval, Verdict { granted: true, by: event.actor.clone(), at, reason })
        }
        Fact::ApprovalDenied { approval, holder, reason, .. } => {
            note(rows, holder, at)?;
            let reason = Some(reason.clone());
            decided(rows, approval, Verdict { granted: false, by: event.actor.clone(), at, reason })
        }
        Fact::ApprovalCancelled { approval, holder, .. } => {
            note(rows, holder, at)?;
            let mut row: ApprovalRow = expect(rows, APPROVAL, approval.as_bytes())?;
            rows.remove(APPROVAL_UNDECIDED, &row.asked.event.0.to_be_bytes())?;
            row.cancelled = Some(at);
            put(rows, APPROVAL, approval.as_bytes(), &row)
        }
        Fact::CertificateIssued(issuance) => certificate_issued(rows, at, issuance),
        Fact::CertificateRevoked { serial, reason, invalid_since, cause } => {
            let superseded = matches!(cause, Cause::Superseded { .. });
            let to = Status::Revoked { reason: *reason, invalid_since: *invalid_since };
            status(rows, at, serial, to, superseded)
        }
        Fact::CertificateHeld { serial, .. } => status(rows, at, serial, Status::Held, false),
        Fact::CertificateReleased { serial, .. } => status(rows, at, serial, Status::Good, false),
        Fact::EnrolmentRefused { holder, code, .. } => {
            note(rows, holder, at)?;
            refused(rows, at, holder, code)
        }
        Fact::CloneSuspected { holder, presented, .. } => {
            note(rows, holder, at)?;
            let mut row: CertificateRow = expect(rows, CERTIFICATE, presented.as_bytes())?;
            row.suspected = Some(at);
            put(rows, CERTIFICATE, presented.as_bytes(), &row)?;
            refused(rows, at, holder, CLONE_SUSPECTED)
        }
        Fact::FilterPublished { .. } => filter::published(rows, at, &event.fact),
        Fact::CrlPublished { .. } | Fact::DeltaCrlPublished { .. } => listing::publish(rows, at, &event.fact),
        Fact::RevocationJob(job) => revoke_job::apply(rows, at, &event.actor, job),
    }
}

fn approval_asked(rows: &mut dyn Rows, at: At, fact: &Fact) -> Result<(), StoreError> {
    let Fact::ApprovalAsked { approval, holder, profile, key: public_key, proof, expires, source } = fact
    else {
        return Ok(());
    };
    note(rows, holder, at)?;
    let row = ApprovalRow {
        id: *approval,
        holder: holder.clone(),
        profile: profile.clone(),
        key: *public_key,
        proof: proof.clone(),
        source: *source,
        asked: at,
        expires: *expires,
        verdict: None,
        cancelled: None,
        serial: None,
    };
    let id = approval.as_bytes();
    put(rows, APPROVAL, id, &row)?;
    rows.put(APPROVAL_BY_TIME, &at.event.0.to_be_bytes(), id)?;
    rows.put(APPROVAL_UNDECIDED, &at.event.0.to_be_bytes(), id)?;
    rows.put(APPROVAL_BY_HOLDER, &pair(holder.as_str(), profile.as_str()), id)?;
    rows.put(APPROVAL_BY_KEY, public_key.as_bytes(), id)?;
    if let Proof::Token { token } = proof {
        let mut row: TokenRow = expect(rows, TOKEN, token.as_bytes())?;
        row.approval = Some(*approval);
        put(rows, TOKEN, token.as_bytes(), &row)?;
    }
    Ok(())
}

fn decided(rows: &mut dyn Rows, id: &ApprovalId, verdict: Verdict) -> Result<(), StoreError> {
    let mut row: ApprovalRow = expect(rows, APPROVAL, id.as_bytes())?;
    rows.remove(APPROVAL_UNDECIDED, &row.asked.event.0.to_be_bytes())?;
    row.verdict = Some(verdict);
    put(rows, APPROVAL, id.as_bytes(), &row)
}

fn ca_created(rows: &mut dyn Rows, at: At, fact: &Fact) -> Result<(), StoreError> {
    let Fact::CaCreated { ca, issuer, serial, key: public_key, not_before, not_after, certificate } = fact
    else {
        return Ok(());
    };
    let holder = HolderId::authority();
    note(rows, &holder, at)?;
    let row = CaRow { ca: ca.clone(), issuer: issuer.clone(), serial: *serial, created: at };
    put(rows, super::rows::CA, ca.as_str().as_bytes(), &row)?;
    let row = CertificateRow {
        serial: *serial,
        ca: issuer.clone().unwrap_or_else(|| ca.clone()),
        profile: None,
        profile_version: None,
        holder,
        stage: None,
        stage_event: None,
        owner: None,
        proof: Proof::Authority,
        approval: None,
        replaces: None,
        replaced_by: None,
        lineage: None,
        overlap_ends: None,
        superseded: false,
        suspected: None,
        source: None,
        not_before: *not_before,
        not_after: *not_after,
        renew: None,
        key: *public_key,
        fingerprint: Digest::of(&certificate.0),
        shard: 0,
        issued: at,
        status: Status::Good,
        status_since: at,
    };
    insert_certificate(rows, &row)
}

fn device_registered(rows: &mut dyn Rows, at: At, fact: &Fact) -> Result<(), StoreError> {
    let Fact::DeviceRegistered { device, maker, model, serial, udi_di, site, lot, owner, stage, marks } =
        fact
    else {
        return Ok(());
    };
    note(rows, device, at)?;
    let id = device.as_str().as_bytes();
    let row = Device {
        id: device.clone(),
        maker: maker.clone(),
        model: model.clone(),
        serial: serial.clone(),
        udi_di: udi_di.clone(),
        site: site.clone(),
        lot: lot.clone(),
        owner: owner.clone(),
        stage: stage.clone(),
        stage_since: at,
        marks: marks.clone(),
        registered: at,
        first_enrolment: BTreeMap::new(),
        current: BTreeMap::new(),
        issued: 0,
        last_refusal: None,
    };
    put(rows, DEVICE, id, &row)?;
    rows.put(DEVICE_BY_TIME, &at.event.0.to_be_bytes(), id)?;
    rows.put(DEVICE_BY_STAGE, &pair(stage.as_str(), device.as_str()), &[])?;
    rows.put(DEVICE_BY_MODEL, &pair(model, device.as_str()), &[])?;
    rows.put(DEVICE_BY_PLATE, plate(model, serial).as_bytes(), id)?;
    rows.put(DEVICE_BY_SERIAL, &key(&[maker.as_str().as_bytes(), serial.as_bytes(), id]), &[])
}

fn certificate_issued(rows: &mut dyn Rows, at: At, issued: &Issuance) -> Result<(), StoreError> {
    note(rows, &issued.holder, at)?;
    let lineage = replace(rows, issued)?;
    let row = CertificateRow {
        serial: issued.serial,
        ca: issued.ca.clone(),
        profile: Some(issued.profile.clone()),
        profile_version: Some(issued.profile_version),
        holder: issued.holder.clone(),
        stage: issued.stage.clone(),
        stage_event: issued.stage_event,
        owner: issued.owner.clone(),
        proof: issued.proof.clone(),
        approval: issued.approval,
        replaces: issued.replaces,
        replaced_by: None,
        lineage,
        overlap_ends: None,
        superseded: false,
        suspected: None,
        source: issued.source,
        not_before: issued.not_before,
        not_after: issued.not_after,
        renew: issued.renew,
        key: issued.key,
        fingerprint: Digest::of(&issued.certificate.0),
        shard: issued.shard,
        issued: at,
        status: Status::Good,
        status_since: at,
    };
    insert_certificate(rows, &row)?;
    if let Proof::Token { token } = &issued.proof {
        let mut row: TokenRow = expect(rows, TOKEN, token.as_bytes())?;
        row.spent = Some(at);
        row.serial = Some(issued.serial);
        put(rows, TOKEN, token.as_bytes(), &row)?;
    }
    if let Some(approval) = &issued.approval {
        let mut row: ApprovalRow = expect(rows, APPROVAL, approval.as_bytes())?;
        row.serial = Some(issued.serial);
        put(rows, APPROVAL, approval.as_bytes(), &row)?;
    }
    let ra = issued.proof.registration_authority();
    if let Some(ra) = ra {
        rows.put(CERTIFICATE_BY_RA, &key(&[ra.as_str().as_bytes(), issued.serial.as_bytes()]), &[])?;
        let so_far: Delegated = get(rows, DELEGATED, ra.as_str().as_bytes())?.unwrap_or_default();
        put(rows, DELEGATED, ra.as_str().as_bytes(), &so_far.and_one(at.time))?;
    }
    let holder = issued.holder.as_str().as_bytes();
    if let Some(mut device) = get::<Device>(rows, DEVICE, holder)? {
        device.issued += 1;
        let stage = device.stage.clone();
        let enrolment = || Enrolment { serial: issued.serial, stage, at, enrolled_by: ra.cloned() };
        device.first_enrolment.entry(issued.profile.clone()).or_insert_with(enrolment);
        device.current.insert(issued.profile.clone(), issued.serial);
        put(rows, DEVICE, holder, &device)?;
    } else if let Some(mut identity) = get::<Identity>(rows, IDENTITY, holder)? {
        identity.issued += 1;
        put(rows, IDENTITY, holder, &identity)?;
    }
    Ok(())
}

/// Ties a new certificate to the one it replaces. The first of their lineage; none when somebody had ended the old one: then
/// a lineage begins, though the trace goes on.
fn replace(rows: &mut dyn Rows, issued: &Issuance) -> Result<Option<Serial>, StoreError> {
    let Some(replaced) = issued.replaces else { return Ok(None) };
    let before: CertificateRow = expect(rows, CERTIFICATE, replaced.as_bytes())?;
    let ended = matches!(before.status, Status::Revoked { .. }) && !before.superseded;
    let lineage = (!ended).then(|| before.first());
    let after = CertificateRow {
        replaced_by: Some(issued.serial),
        overlap_ends: issued.overlap_ends,
        ..before.clone()
    };
    change_certificate(rows, &before, &after)?;
    // The certificate that was presented stays good as long when a successor that nobody used stood between them.
    if let Proof::CurrentCertificate { serial } = &issued.proof
        && *serial != replaced
    {
        let before: CertificateRow = expect(rows, CERTIFICATE, serial.as_bytes())?;
        let after = CertificateRow { overlap_ends: issued.overlap_ends, ..before.clone() };
        change_certificate(rows, &before, &after)?;
    }
    Ok(lineage)
}

/// Writes a certificate's row; its place among the ends of overlaps follows it.
fn change_certificate(
    rows: &mut dyn Rows,
    before: &CertificateRow,
    after: &CertificateRow,
) -> Result<(), StoreError> {
    follow_overlap(rows, overlap_key(before), overlap_key(after))?;
    put(rows, CERTIFICATE, after.serial.as_bytes(), after)
}

fn follow_overlap(rows: &mut dyn Rows, old: Option<Vec<u8>>, new: Option<Vec<u8>>) -> Result<(), StoreError> {
    if old != new {
        if let Some(old) = old {
            rows.remove(OVERLAP_END, &old)?;
        }
        if let Some(new) = new {
            rows.put(OVERLAP_END, &new, &[])?;
        }
    }
    Ok(())
}

/// Only what would outlive its overlap has to be ended; what is on hold comes back when it is released.
fn overlap_key(row: &CertificateRow) -> Option<Vec<u8>> {
    let ends = row.overlap_ends.filter(|ends| row.status == Status::Good && *ends < row.not_after)?;
    Some([ends.millis().to_be_bytes().as_slice(), row.serial.as_bytes()].concat())
}

/// A refusal is remembered, so that one who keeps asking does not fill the log.
fn refused(rows: &mut dyn Rows, at: At, holder: &HolderId, code: &str) -> Result<(), StoreError> {
    if let Some(mut row) = get::<Device>(rows, DEVICE, holder.as_str().as_bytes())? {
        row.last_refusal = Some(LastRefusal { code: code.to_owned(), at });
        put(rows, DEVICE, holder.as_str().as_bytes(), &row)?;
    } else if let Some(mut row) = get::<Identity>(rows, IDENTITY, holder.as_str().as_bytes())? {
        row.last_refusal = Some(LastRefusal { code: code.to_owned(), at });
        put(rows, IDENTITY, holder.as_str().as_bytes(), &row)?;
    }
    Ok(())
}

fn insert_certificate(rows: &mut dyn Rows, row: &CertificateRow) -> Result<(), StoreError> {
    let serial = row.serial.as_bytes();
    put(rows, CERTIFICATE, serial, row)?;
    listing::name(rows, &row.shard_id(), row.not_after)?;
    rows.put(CERTIFICATE_BY_HOLDER, &key(&[row.holder.as_str().as_bytes(), serial]), &[])?;
    let expiry = row.not_after.millis().to_be_bytes();
    rows.put(CERTIFICATE_BY_EXPIRY, &[expiry.as_slice(), serial].concat(), &[])?;
    if let Some(stage) = &row.stage {
        rows.put(CERTIFICATE_BY_STAGE, &key(&[stage.as_str().as_bytes(), serial]), &[])?;
    }
    let before: Option<KeyRow> = get(rows, KEY, row.key.as_bytes())?;
    let owner = match before {
        Some(owner) => KeyRow { newest: row.serial, ..owner },
        None => KeyRow {
            holder: row.holder.clone(),
            profile: row.profile.clone(),
            since: row.issued,
            newest: row.serial,
            compromised: None,
        },
    };
    put(rows, KEY, row.key.as_bytes(), &owner)?;
    Ok(())
}

fn status(
    rows: &mut dyn Rows,
    at: At,
    serial: &Serial,
    to: Status,
    superseded: bool,
) -> Result<(), StoreError> {
    let mut row: CertificateRow = expect(rows, CERTIFICATE, serial.as_bytes())?;
    note(rows, &row.holder, at)?;
    let standing = match to {
        Status::Good => Standing::Released,
        Status::Held => Standing::Revoked { reason: Reason::CertificateHold, invalid_since: None },
        Status::Revoked { reason, invalid_since } => Standing::Revoked { reason, invalid_since },
    };
    listing::change(rows, at, &row, standing)?;
    if let Status::Revoked { reason: Reason::KeyCompromise, .. } = to
        && let Some(mut owner) = get::<KeyRow>(rows, KEY, row.key.as_bytes())?
        && owner.compromised.is_none()
    {
        owner.compromised = Some(at);
        put(rows, KEY, row.key.as_bytes(), &owner)?;
    }
    let before = overlap_key(&row);
    row.status = to;
    row.status_since = at;
    row.superseded = superseded;
    follow_overlap(rows, before, overlap_key(&row))?;
    put(rows, CERTIFICATE, serial.as_bytes(), &row)
}

/// Makes the event findable by the holder whose life it is part of.
fn note(rows: &mut dyn Rows, holder: &HolderId, at: At) -> Result<(), StoreError> {
    rows.put(EVENT_BY_HOLDER, &numbered(holder, at), &[])
}

fn numbered(holder: &HolderId, at: At) -> Vec<u8> {
    key(&[holder.as_str().as_bytes(), &at.event.0.to_be_bytes()])
}

fn pair(first: &str, second: &str) -> Vec<u8> {
    key(&[first.as_bytes(), second.as_bytes()])
}

/// A row that an earlier event must have written.
fn expect<T: DeserializeOwned>(rows: &dyn Rows, table: Table, key: &[u8]) -> Result<T, StoreError> {
    get(rows, table, key)?.ok_or_else(|| StoreError::Corrupt {
        table: table.0,
        reason: "an event speaks of a row that no earlier event made".to_owned(),
    })
}
