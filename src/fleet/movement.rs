//! Decides a move from one stage to another, with everything that happens to the device's certificates.

use std::collections::BTreeSet;

use super::approval::{self, ApprovalRow};
use super::event::{Cause, Fact};
use super::rows::{self, CertificateRow, Device, Status};
use crate::clock::Timestamp;
use crate::config::{Config, EffectAction, Lifecycle, Need, Role, Transition};
use crate::ids::{HolderId, StageName};
use crate::store::{StoreError, View};

/// Where a device shall go, and what is said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    pub reason: Option<String>,
    pub evidence: Option<String>,
    /// The new owner, for a transition that claims the device.
    pub owner: Option<String>,
}

/// What a device has, or has asked for: a move may end it.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    certificates: Vec<CertificateRow>,
    /// The last request for each profile that had to wait for an operator's approval.
    approvals: Vec<ApprovalRow>,
}

impl Holdings {
    pub fn of(view: &dyn View, config: &Config, device: &HolderId) -> Result<Self, StoreError> {
        let last = |name| rows::last_approval(view, device, name).transpose();
        let approvals = config.profiles().iter().filter_map(|profile| last(profile.name()));
        let approvals = approvals.collect::<Result<_, _>>()?;
        Ok(Self { certificates: rows::certificates_of(view, device)?, approvals })
    }
}

/// Why a device stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefused {
    #[error("the lifecycle has no stage {0}")]
    UnknownStage(StageName),
    #[error("device {device} cannot go from {from} to {to}: {allowed}")]
    IllegalTransition { device: HolderId, from: StageName, to: StageName, allowed: String },
    #[error("{transition} ({title}) is not for {device}: it is {state}")]
    Marks { device: HolderId, transition: String, title: String, state: String },
    #[error("{transition} ({title}) does not change the owner: leave --owner out")]
    NotTheOwner { transition: String, title: String },
    #[error("{transition} ({title}) needs {need}: give it with {option}")]
    Missing { transition: String, title: String, need: &'static str, option: &'static str },
    #[error("the {field} cannot be used: write at most {most} characters, and no control characters")]
    BadText { field: &'static str, most: usize },
    #[error("the role {role} may not make the move {transition} ({title}): it takes {who}")]
    Role { role: String, transition: String, title: String, who: String },
}

/// The move and every change to a certificate that follows from it, to be committed together.
pub fn decide(
    lifecycle: &Lifecycle,
    device: &Device,
    holdings: &Holdings,
    role: &Role,
    to: &StageName,
    details: &Details,
    now: Timestamp,
) -> Result<Vec<Fact>, MoveRefused> {
    if lifecycle.stage(to).is_none() {
        return Err(MoveRefused::UnknownStage(to.clone()));
    }
    let transition = lifecycle.transition(&device.stage, to, &device.marks).ok_or_else(|| {
        if let Some(transition) = lifecycle.between(&device.stage, to).next() {
            return wrong_marks(device, transition);
        }
        let from = device.stage.clone();
        MoveRefused::IllegalTransition {
            device: device.id.clone(),
            to: to.clone(),
            allowed: ways_from(lifecycle, &from),
            from,
        }
    })?;
    check_role(transition, role)?;
    check_needs(transition, details)?;
    if details.owner.is_some() && !transition.needs().contains(&Need::Owner) {
        let (transition, title) = (transition.id().to_owned(), transition.title().to_owned());
        return Err(MoveRefused::NotTheOwner { transition, title });
    }
    check_texts(details)?;
    Ok(facts(transition, device, holdings, details, now))
}

/// A move that the authority makes by itself, for a reason that it can give. `None`: the device stays where it is, because
/// it is there already or no transition leads there that asks for no more.
pub fn by_authority(
    lifecycle: &Lifecycle,
    device: &Device,
    holdings: &Holdings,
    to: &StageName,
    reason: String,
    now: Timestamp,
) -> Option<Vec<Fact>> {
    if device.stage == *to {
        return None;
    }
    let transition = lifecycle.transition(&device.stage, to, &device.marks)?;
    let details = Details { reason: Some(reason), ..Details::default() };
    transition.is_for_the_authority().then(|| facts(transition, device, holdings, &details, now))
}

/// The move itself, then what it does to certificates and to requests for some.
fn facts(
    transition: &Transition,
    device: &Device,
    holdings: &Holdings,
    details: &Details,
    now: Timestamp,
) -> Vec<Fact> {
    let mut marks: BTreeSet<String> = device.marks.difference(transition.clears()).cloned().collect();
    marks.extend(transition.sets().iter().cloned());
    let gives_up_owner =
        transition.clears().iter().any(|mark| device.marks.contains(mark)) && details.owner.is_none();
    let owner = if gives_up_owner { None } else { details.owner.clone().or_else(|| device.owner.clone()) };
    let mut facts = vec![Fact::DeviceMoved {
        device: device.id.clone(),
        transition: transition.id().to_owned(),
        from: device.stage.clone(),
        to: transition.to().clone(),
        marks,
        owner,
        reason: details.reason.clone(),
        evidence: details.evidence.clone(),
    }];
    facts.extend(holdings.certificates.iter().filter_map(|row| effect_on(transition, row, now)));
    facts.extend(holdings.approvals.iter().filter_map(|row| end_of(transition, row, now)));
    facts
}

/// The way exists, but not for a device in this state.
fn wrong_marks(device: &Device, transition: &Transition) -> MoveRefused {
    let listed = |marks: Vec<&String>| marks.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let lacking = listed(transition.requires().difference(&device.marks).collect());
    let state = if lacking.is_empty() {
        format!("already {}", listed(transition.forbids().intersection(&device.marks).collect()))
    } else {
        format!("not {lacking}")
    };
    MoveRefused::Marks {
        device: device.id.clone(),
        transition: transition.id().to_owned(),
        title: transition.title().to_owned(),
        state,
    }
}

fn ways_from(lifecycle: &Lifecycle, from: &StageName) -> String {
    let targets: Vec<_> = lifecycle.targets(from).into_iter().map(ToString::to_string).collect();
    if targets.is_empty() {
        format!("{from} is the end of its life")
    } else {
        format!("from {from} it can go to {}", targets.join(", "))
    }
}

fn check_role(transition: &Transition, role: &Role) -> Result<(), MoveRefused> {
    may_make(transition, role).map_err(|who| MoveRefused::Role {
        role: role.name().to_string(),
        transition: transition.id().to_owned(),
        title: transition.title().to_owned(),
        who,
    })
}

/// Whether a role may make a transition; if not, which roles may.
pub(super) fn may_make(transition: &Transition, role: &Role) -> Result<(), String> {
    if transition.who().iter().any(|who| role.may_act_as(who)) {
        return Ok(());
    }
    let who: Vec<_> = transition.who().iter().map(ToString::to_string).collect();
    Err(who.join(" or "))
}

fn check_needs(transition: &Transition, details: &Details) -> Result<(), MoveRefused> {
    for need in transition.needs() {
        let (given, need, option) = match need {
            Need::Owner => (&details.owner, "an owner", "--owner"),
            Need::Evidence => (&details.evidence, "evidence", "--evidence"),
            Need::Reason => (&details.reason, "a reason", "--reason"),
        };
        if given.as_ref().is_none_or(|text| text.trim().is_empty()) {
            return Err(MoveRefused::Missing {
                transition: transition.id().to_owned(),
                title: transition.title().to_owned(),
                need,
                option,
            });
        }
    }
    Ok(())
}

/// An owner is copied into every certificate's event, so it is as short as a registration's; all three are shown on
/// terminals.
fn check_texts(details: &Details) -> Result<(), MoveRefused> {
    let texts = [
        ("owner", &details.owner, 64),
        ("reason", &details.reason, 1024),
        ("evidence", &details.evidence, 1024),
    ];
    for (field, text, most) in
        texts.into_iter().filter_map(|(field, text, most)| Some((field, text.as_ref()?, most)))
    {
        if text.chars().count() > most || text.chars().any(char::is_control) {
            return Err(MoveRefused::BadText { field, most });
        }
    }
    Ok(())
}

/// What the transition does to one certificate; an expired one is left as it is.
fn effect_on(transition: &Transition, row: &CertificateRow, now: Timestamp) -> Option<Fact> {
    let profile = row.profile.as_ref()?;
    if row.not_after < now {
        return None;
    }
    let effect = transition.effects().iter().find(|effect| effect.profiles().contains(profile))?;
    let cause = Cause::Move { transition: transition.id().to_owned() };
    match (effect.action(), row.status) {
        (EffectAction::Revoke(reason), Status::Good | Status::Held) => {
            Some(Fact::CertificateRevoked { serial: row.serial, reason, invalid_since: None, cause })
        }
        (EffectAction::Hold, Status::Good) => Some(Fact::CertificateHeld { serial: row.serial, cause }),
        (EffectAction::Release, Status::Held) => {
            Some(Fact::CertificateReleased { serial: row.serial, cause })
        }
        _ => None,
    }
}

/// What revokes the certificates of a profile ends the requests for it as well: an approval was given for the life that
/// is over now. A denial stays.
fn end_of(transition: &Transition, row: &ApprovalRow, now: Timestamp) -> Option<Fact> {
    let revokes = transition.effects().iter().find(|effect| effect.profiles().contains(&row.profile));
    matches!(revokes?.action(), EffectAction::Revoke(_))
        .then(|| approval::cancel_with_move(row, transition.id(), now))
        .flatten()
}
