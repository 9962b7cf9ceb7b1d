//! Decides the issue and the cancelling of one-time enrolment tokens.

use std::time::Duration;

use super::event::Fact;
use super::rows::TokenRow;
use crate::clock::Timestamp;
use crate::config::{HolderKind, Profile, Proof};
use crate::ids::{Digest, HolderId, ProfileName};

/// A token bridges the time between its issue and the first contact of one device: weeks, not years.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    #[error("{0} is not registered")]
    UnknownHolder(HolderId),
    #[error("there is no profile {0}")]
    UnknownProfile(ProfileName),
    #[error("profile {0} does not take a token")]
    NotByToken(ProfileName),
    #[error("profile {profile} is not for {holder}")]
    WrongHolderKind { profile: ProfileName, holder: HolderId },
    #[error("a token lives between one second and 30 days")]
    BadLifetime,
    #[error("there is no such token")]
    Unknown,
    #[error("the token was {0}")]
    Over(&'static str),
}

/// `kind` is what the holder is; `token` the digest of the secret that will be handed out.
pub fn decide_issue(
    holder: &HolderId,
    kind: &HolderKind,
    profile: &Profile,
    token: Digest,
    lifetime: Duration,
    now: Timestamp,
) -> Result<Fact, TokenRefused> {
    if profile.holder() != kind {
        return Err(TokenRefused::WrongHolderKind {
            profile: profile.name().clone(),
            holder: holder.clone(),
        });
    }
    if !profile.authenticate_by().contains(&Proof::Token) {
        return Err(TokenRefused::NotByToken(profile.name().clone()));
    }
    if lifetime < Duration::from_secs(1) || lifetime > LONGEST {
        return Err(TokenRefused::BadLifetime);
    }
    Ok(Fact::TokenIssued {
        token,
        holder: holder.clone(),
        profile: profile.name().clone(),
        expires: now + lifetime,
    })
}

pub fn decide_cancel(row: Option<&TokenRow>) -> Result<Fact, TokenRefused> {
    let row = row.ok_or(TokenRefused::Unknown)?;
    match (row.spent, row.cancelled) {
        (Some(_), _) => Err(TokenRefused::Over("used already")),
        (None, Some(_)) => Err(TokenRefused::Over("cancelled already")),
        (None, None) => Ok(Fact::TokenCancelled { token: row.token, holder: row.holder.clone() }),
    }
}
