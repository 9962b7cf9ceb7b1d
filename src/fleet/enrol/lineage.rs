//! Where a certificate stands in its lineage: who renews next, whose answer was lost, and who must be a copy.
//!
//! Each certificate has one successor at most, so a lineage is a line and its last certificate, the head, is the only one
//! that can be renewed. The holder of an older one either repeats a request that was answered, and is answered again, or
//! has fallen behind somebody who holds the same certificate.

use super::key;
use super::prove::{Proven, accepted};
use super::{Ask, Ending, EnrolError, Holder};
use crate::clock::Timestamp;
use crate::config::{Config, LostKey, Profile, Renewal};
use crate::fleet::event::{Proof, Succession};
use crate::fleet::refusal::{CertificateState, Refusal, Suspicion};
use crate::fleet::rows::{self, CERTIFICATE, CertificateRow, Status};
use crate::ids::Serial;
use crate::store::{StoreError, View};

/// The heads of lineages that no device row names are looked for this far.
const FARTHEST: usize = 64;

/// What follows from the place of a request in its lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This very request was answered before, with this certificate.
    Again(Serial),
    /// The next certificate of the lineage, or the first of one.
    Issue(Step),
}

/// How a new certificate joins its lineage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) replaces: Option<Serial>,
    /// What ends with the new certificate.
    pub(super) ends: Vec<Ending>,
    /// The end of the certificate that is renewed, when it has expired.
    pub(super) after_expiry: Option<Timestamp>,
}

pub(super) fn next(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    proven: &Proven,
    holder: &Holder,
    now: Timestamp,
) -> Result<Next, EnrolError> {
    let (Some(presented), Some(renewal)) = (&proven.renews, ask.profile.renewal()) else {
        return Ok(Next::Issue(Step { replaces: current(holder, ask.profile), ..Step::default() }));
    };
    let head = head_of(view, holder, presented)?;
    if head.serial == presented.serial {
        return renew(view, ask, &head, renewal, now).map(Next::Issue);
    }
    // What people have ended is over for all that came before it: that is known, and no news of a copy.
    if head.first() != presented.first() || matches!(head.status, Status::Revoked { .. }) {
        let (holder, status) = (head.holder, CertificateState::SuccessorRevoked);
        return Err(Refusal::CertificateNotGood { holder, status }.into());
    }
    if head.key == ask.key {
        return behind(view, ask, &head, renewal, now);
    }
    let asked = key::newest_of(view, &ask.key)?;
    let later =
        |row: &CertificateRow| row.first() == head.first() && row.issued.event > presented.issued.event;
    if asked.as_ref().is_some_and(later) {
        // An old request that comes late: its answer has been used, and renewed, since.
        let way_out = accepted(ask.profile);
        return Err(Refusal::Superseded { holder: head.holder, current: head.serial, way_out }.into());
    }
    let renewable = now <= presented.not_after + renewal.grace();
    // A key that the server made is lost with its answer, whatever policy says of keys that devices make.
    if (ask.server_key || config.lifecycle().clones().lost_key() == LostKey::Replace)
        && nobody_used(&head, presented, now)
        && renewable
    {
        let mut step = renew(view, ask, presented, renewal, now)?;
        step.replaces = Some(head.serial);
        if head.is_good_at(now) {
            step.ends.push(Ending { serial: head.serial, by: None, how: Succession::LostKey });
        }
        return Ok(Next::Issue(step));
    }
    Err(Refusal::CloneSuspected(Box::new(Suspicion {
        holder: head.holder,
        profile: ask.profile.name().clone(),
        presented: presented.serial,
        current: head.serial,
        key: ask.key,
        current_source: head.source,
        renewable,
    }))
    .into())
}

/// Renews `head`, which may have expired a while ago.
fn renew(
    view: &dyn View,
    ask: &Ask<'_>,
    head: &CertificateRow,
    renewal: &Renewal,
    now: Timestamp,
) -> Result<Step, EnrolError> {
    if now > head.not_after + renewal.grace() {
        let (holder, way_out) = (head.holder.clone(), accepted(ask.profile));
        return Err(Refusal::GraceOver { holder, since: head.not_after, way_out }.into());
    }
    Ok(Step {
        replaces: Some(head.serial),
        ends: ended_by_use(view, head, now)?,
        after_expiry: (now > head.not_after).then_some(head.not_after),
    })
}

/// An older certificate comes with the key of the head: the answers in between were lost, and whoever holds that key is who
/// the head was made for.
fn behind(
    view: &dyn View,
    ask: &Ask<'_>,
    head: &CertificateRow,
    renewal: &Renewal,
    now: Timestamp,
) -> Result<Next, EnrolError> {
    if head.is_good_at(now) {
        return Ok(Next::Again(head.serial));
    }
    if head.status == Status::Held {
        let (holder, status) = (head.holder.clone(), CertificateState::SuccessorHeld);
        return Err(Refusal::CertificateNotGood { holder, status }.into());
    }
    renew(view, ask, head, renewal, now).map(Next::Issue)
}

/// The head was issued on `presented` itself and never shown since: its first use would have ended `presented`.
fn nobody_used(head: &CertificateRow, presented: &CertificateRow, now: Timestamp) -> bool {
    head.proof == Proof::CurrentCertificate { serial: presented.serial }
        && head.status == Status::Good
        && presented.status == Status::Good
        && presented.overlap_ends.is_some_and(|ends| now <= ends)
}

/// What ends by the first use of a certificate: the one it replaced and the one it was asked for with, while they are good.
pub(super) fn ended_by_use(
    view: &dyn View,
    used: &CertificateRow,
    now: Timestamp,
) -> Result<Vec<Ending>, StoreError> {
    let asked_with = match used.proof {
        Proof::CurrentCertificate { serial } => Some(serial),
        _ => None,
    };
    let mut ends = Vec::new();
    for serial in used.replaces.into_iter().chain(asked_with.filter(|serial| used.replaces != Some(*serial)))
    {
        let row = existing(view, serial)?;
        if row.is_good_at(now) && row.overlap_ends.is_some() {
            ends.push(Ending { serial, by: Some(used.serial), how: Succession::FirstUse });
        }
    }
    Ok(ends)
}

/// The one certificate of this profile that a device can renew. Other machines may be many under one name, each with a
/// lineage of its own.
fn current(holder: &Holder, profile: &Profile) -> Option<Serial> {
    match holder {
        Holder::Device(device) => device.current.get(profile.name()).copied(),
        Holder::Identity(_) => None,
    }
}

fn head_of(view: &dyn View, holder: &Holder, row: &CertificateRow) -> Result<CertificateRow, StoreError> {
    let known = match (holder, &row.profile) {
        (Holder::Device(device), Some(profile)) => device.current.get(profile),
        _ => None,
    };
    if let Some(serial) = known {
        return existing(view, *serial);
    }
    let mut head = row.clone();
    for _ in 0..FARTHEST {
        let Some(serial) = head.replaced_by else { break };
        head = existing(view, serial)?;
    }
    Ok(head)
}

/// A certificate that another row names.
fn existing(view: &dyn View, serial: Serial) -> Result<CertificateRow, StoreError> {
    rows::certificate(view, &serial)?.ok_or_else(|| StoreError::Corrupt {
        table: CERTIFICATE.0,
        reason: format!("certificate {serial} has a place in a lineage but no row"),
    })
}
