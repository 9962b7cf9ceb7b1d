//! Whether an operator has to approve the request, and what was said of it so far.

use super::prove::Proven;
use super::{Ask, EnrolError};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::fleet::approval::ApprovalRow;
use crate::fleet::event::Proof;
use crate::fleet::names::Holder;
use crate::fleet::refusal::Refusal;
use crate::fleet::rows::{self, TokenRow};
use crate::ids::ApprovalId;
use crate::store::{StoreError, View};

/// Where a request stands with the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Policy does not ask for an approval.
    NotNeeded,
    /// Nobody was asked yet.
    ToBeAsked,
    Pending(Entry),
    Granted(ApprovalId),
}

/// A request that waits already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: ApprovalId,
    pub expires: Timestamp,
}

/// What was asked for once stays as it was asked, whatever policy says by now: an operator may be about to decide it,
/// and a denial must not fall with a change of stage.
pub(super) fn check(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    holder: &Holder,
    proven: &Proven,
    now: Timestamp,
) -> Result<Standing, EnrolError> {
    check_key(view, ask, proven, now)?;
    if ask.renewal {
        return Ok(Standing::NotNeeded);
    }
    let last = rows::last_approval(view, &proven.holder, ask.profile.name())?;
    let Some(row) = last.filter(|row| row.is_alive(now)) else {
        let needed = is_needed(config, ask, holder);
        return Ok(if needed { Standing::ToBeAsked } else { Standing::NotNeeded });
    };
    // The proof names the one certificate or token (B17): another that is as good has not asked.
    if !same_client(&row.proof, &proven.proof) {
        return Err(of_another(proven, &row));
    }
    match &row.verdict {
        Some(verdict) if !verdict.granted => Err(Refusal::ApprovalDenied {
            holder: row.holder,
            approval: row.id,
            reason: verdict.reason.clone().unwrap_or_default(),
            expires: row.expires,
        }
        .into()),
        _ if row.key != ask.key => Err(Refusal::ApprovalWithOtherKey {
            holder: row.holder,
            profile: row.profile,
            approval: row.id,
            key: ask.key,
            expires: row.expires,
        }
        .into()),
        Some(_) => Ok(Standing::Granted(row.id)),
        None => Ok(Standing::Pending(Entry { id: row.id, expires: row.expires })),
    }
}

/// A key that waits for a certificate is as good as taken: whoever gets it in between would spoil what an operator is
/// about to approve.
fn check_key(view: &dyn View, ask: &Ask<'_>, proven: &Proven, now: Timestamp) -> Result<(), EnrolError> {
    let Some(row) = rows::last_approval_of_key(view, &ask.key)?.filter(|row| row.is_alive(now)) else {
        return Ok(());
    };
    if row.holder != proven.holder {
        return Err(of_another(proven, &row));
    }
    if row.profile != *ask.profile.name() {
        return Err(Refusal::KeyOfOtherPurpose { holder: row.holder, key: ask.key }.into());
    }
    Ok(())
}

/// A registration authority stays who it is when it renews its certificate, as it may have to before anyone decides.
fn same_client(one: &Proof, other: &Proof) -> bool {
    let same_ra = one.registration_authority().is_some()
        && one.registration_authority() == other.registration_authority();
    same_ra || one == other
}

fn is_needed(config: &Config, ask: &Ask<'_>, holder: &Holder) -> bool {
    let by_stage = match holder {
        Holder::Device(device) => config.lifecycle().cell(ask.profile.name(), &device.stage).needs_approval(),
        Holder::Identity(_) => false,
    };
    by_stage || ask.profile.needs_approval()
}

fn of_another(proven: &Proven, row: &ApprovalRow) -> EnrolError {
    let (approval, expires) = (row.id, row.expires);
    Refusal::ApprovalOfAnother { holder: proven.holder.clone(), approval, expires }.into()
}

/// A token that has made a request stays good for it as long as that waits, even past its own end; for nothing else,
/// because no other request of its holder and profile is taken meanwhile.
pub(super) fn keeps_good(view: &dyn View, token: &TokenRow, now: Timestamp) -> Result<bool, StoreError> {
    let row = token.approval.map(|id| rows::approval(view, &id)).transpose()?.flatten();
    Ok(row.is_some_and(|row| row.is_alive(now) && row.proof == Proof::Token { token: token.token }))
}
