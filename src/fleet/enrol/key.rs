//! Whose the requested key is, and whether this very request was answered before.

use std::ops::ControlFlow;

use super::prove::Proven;
use super::{Ask, ClientCertificate, EnrolError};
use crate::clock::Timestamp;
use crate::fleet::refusal::Refusal;
use crate::fleet::rows::{self, CERTIFICATE_BY_KEY, CertificateRow, Status};
use crate::ids::{Digest, Serial};
use crate::store::{StoreError, View};

/// A key belongs to one holder and one purpose. `Some`: this very request was answered before.
pub(super) fn check(
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
