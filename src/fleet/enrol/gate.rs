//! Whether the device's stage allows the profile.

use super::{Ask, EnrolError};
use crate::clock::Timestamp;
use crate::config::{Cell, Config, Stage};
use crate::fleet::event::Proof;
use crate::fleet::refusal::Refusal;
use crate::fleet::rows::{self, Device, Status};
use crate::ids::ProfileName;
use crate::store::View;

/// The profile x stage matrix.
pub(super) fn check(
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
        Cell::Issue { when, .. } | Cell::Renew { when } => when,
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
            // A clock of ours that was ahead has left it with one that nobody accepts yet, and that renews nothing.
            Status::Good if now < row.not_before => Ok(()),
            Status::Good => refuse(
                "may only be renewed".to_owned(),
                "its certificate is still good: renew it with simplereenroll, or, if its key is lost, have an operator \
                 revoke it and issue a token"
                    .to_owned(),
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
