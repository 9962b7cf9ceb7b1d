//! Issues and cancels one-time enrolment tokens. The token itself is seen once, by who asked for it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::Authority;
use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use crate::clock::Timestamp;
use crate::config::HolderKind;
use crate::fleet::{approval, rows, token};
use crate::ids::{Digest, EventNumber, HolderId, ProfileName};

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error(transparent)]
    Rules(#[from] token::TokenRefused),
}

/// A token, once. It has no Debug and no Serialize: who wants to hand it on says so.
pub struct IssuedToken {
    pub secret: Zeroizing<String>,
    pub holder: HolderId,
    pub profile: ProfileName,
    pub expires: Timestamp,
    pub event: EventNumber,
}

impl Authority {
    /// Without a profile the token is for the default label.
    pub async fn issue_token(
        &self,
        operator: &Operator,
        holder: &HolderId,
        profile: Option<&ProfileName>,
        lifetime: Duration,
    ) -> Result<IssuedToken, Failed<TokenRefused>> {
        permit(operator, "token.issue")?;
        let name = profile.unwrap_or_else(|| self.config.profiles().default_label());
        let profile = self
            .config
            .profiles()
            .get(name)
            .ok_or_else(|| refused(token::TokenRefused::UnknownProfile(name.clone())))?;
        let mut random = Zeroizing::new([0; 32]);
        self.random.fill(&mut *random);
        let secret = Zeroizing::new(format!("vt_{}", URL_SAFE_NO_PAD.encode(*random)));
        let digest = Digest::of(secret.as_bytes());
        let (committed, expires) = self
            .transact(&operator.actor(), |view, now| {
                let kind = if rows::device(view, holder)?.is_some() {
                    HolderKind::Device
                } else if let Some(identity) = rows::identity(view, holder)? {
                    HolderKind::Identity(identity.kind)
                } else {
                    return Err(refused(token::TokenRefused::UnknownHolder(holder.clone())));
                };
                let fact =
                    token::decide_issue(holder, &kind, profile, digest, lifetime, now).map_err(refused)?;
                Ok((vec![fact], now + lifetime))
            })
            .await?;
        Ok(IssuedToken {
            secret,
            holder: holder.clone(),
            profile: profile.name().clone(),
            expires,
            event: committed.first,
        })
    }

    /// `token` is the digest that lists show. A request that waits for approval falls with the token it was made with.
    pub async fn cancel_token(
        &self,
        operator: &Operator,
        token: &Digest,
    ) -> Result<EventNumber, Failed<TokenRefused>> {
        permit(operator, "token.cancel")?;
        let (committed, ()) = self
            .transact(&operator.actor(), |view, now| {
                let row = rows::token(view, token)?;
                let mut facts = vec![token::decide_cancel(row.as_ref()).map_err(refused)?];
                let asked = row.and_then(|row| row.approval);
                let asked = asked.map(|id| rows::approval(view, &id)).transpose()?.flatten();
                facts.extend(approval::cancel_with_token(asked.as_ref(), now));
                Ok((facts, ()))
            })
            .await?;
        Ok(committed.first)
    }
}

fn refused(why: token::TokenRefused) -> Failed<TokenRefused> {
    Failed::Refused(why.into())
}
