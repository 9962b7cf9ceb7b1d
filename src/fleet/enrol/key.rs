//! Whose the requested key is, and whether this very request was answered before.

use super::{Ask, ClientCertificate, EnrolError};
use crate::clock::Timestamp;
use crate::config::{Renewal, RenewalKey};
use crate::fleet::refusal::Refusal;
use crate::fleet::rows::{self, CertificateRow, Status};
use crate::ids::{Digest, HolderId, Serial};
use crate::store::{StoreError, View};

/// A key belongs to one holder and one purpose.
pub(super) fn check_owner(view: &dyn View, ask: &Ask<'_>, holder: &HolderId) -> Result<(), EnrolError> {
    let (holder, key) = (holder.clone(), ask.key);
    // A maker's birth certificate is not in the record, but its key is for births as much as one of ours.
    if let Some(ClientCertificate::Maker { key: birth, .. }) = &ask.credentials.certificate
        && *birth == key
    {
        return Err(Refusal::KeyOfOtherPurpose { holder, key }.into());
    }
    let Some(bound) = rows::key_row(view, &key)? else { return Ok(()) };
    if bound.holder != holder {
        return Err(Refusal::KeyOfAnother { holder, key }.into());
    }
    if bound.profile.as_ref() != Some(ask.profile.name()) {
        return Err(Refusal::KeyOfOtherPurpose { holder, key }.into());
    }
    if bound.compromised.is_some() {
        return Err(Refusal::KeyCompromised { holder, key }.into());
    }
    Ok(())
}

/// What the profile says about the key of a renewal (RFC 7030 section 4.2.2: the same one renews, another one rekeys).
pub(super) fn check_renewal(ask: &Ask<'_>, presented: &CertificateRow) -> Result<(), EnrolError> {
    let same = presented.key == ask.key;
    let rule = match ask.profile.renewal().map(Renewal::key) {
        Some(RenewalKey::Same) if !same => "the key of the certificate presented, and this is another",
        Some(RenewalKey::New) if same => "a new key: make a new key pair",
        _ => return Ok(()),
    };
    let (holder, profile) = (presented.holder.clone(), ask.profile.name().clone());
    Err(Refusal::RenewalKey { holder, profile, rule }.into())
}

/// A first enrolment with a key that has its certificate: the answer was lost, and that certificate is given again.
pub(super) fn answered_before(
    view: &dyn View,
    ask: &Ask<'_>,
    holder: &HolderId,
    now: Timestamp,
) -> Result<Option<Serial>, EnrolError> {
    match newest_of(view, &ask.key)? {
        Some(row) if row.is_good_at(now) && row.replaced_by.is_none() => Ok(Some(row.serial)),
        // One that was replaced ends with the first use of its successor: it is no use to anybody who is given it now.
        Some(row) if row.status != Status::Good || row.is_good_at(now) => {
            Err(Refusal::KeySpent { holder: holder.clone(), key: ask.key }.into())
        }
        _ => Ok(None),
    }
}

/// The certificate of a key that was issued last.
pub(super) fn newest_of(view: &dyn View, key: &Digest) -> Result<Option<CertificateRow>, StoreError> {
    match rows::key_row(view, key)? {
        Some(row) => rows::certificate(view, &row.newest),
        None => Ok(None),
    }
}
