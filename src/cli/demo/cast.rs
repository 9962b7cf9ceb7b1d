//! What every device of the demo needs to do its part: the doors, and whom to trust.

use super::House;
use super::fleet::Unit;
use crate::admin::{MoveBody, NewTokenBody, TokenBody};
use crate::agent::{EstClient, Identity, Trust};
use crate::authority::{CertificateView, Moved};
use crate::cli::Failure;
use crate::cli::client::Admin;
use crate::ids::HolderId;

/// The house as the devices see it.
pub(super) struct Cast {
    pub(super) house: House,
    pub(super) trust: Trust,
}

impl Cast {
    pub(super) async fn admin(&self) -> Result<Admin, Failure> {
        Admin::connect(&self.house.global).await
    }

    pub(super) fn est(&self, identity: Option<&Identity>) -> Result<EstClient, Failure> {
        Ok(EstClient::new(self.house.addresses.est, "localhost", &self.trust, identity)?)
    }

    pub(super) async fn token(
        &self,
        id: &HolderId,
        profile: &str,
        ttl_seconds: u64,
    ) -> Result<String, Failure> {
        let body = NewTokenBody {
            device: id.clone(),
            profile: Some(profile.parse()?),
            ttl_seconds: Some(ttl_seconds),
        };
        let token: TokenBody = self.admin().await?.post("/api/v1/tokens", &body).await?;
        Ok(token.token)
    }

    pub(super) async fn move_to(
        &self,
        unit: &Unit,
        stage: &str,
        owner: Option<&str>,
    ) -> Result<Moved, Failure> {
        let body =
            MoveBody { stage: stage.parse()?, reason: None, evidence: None, owner: owner.map(str::to_owned) };
        self.admin().await?.post(&format!("/api/v1/devices/{}/move", unit.id()?), &body).await
    }

    pub(super) async fn certificates(
        &self,
        filter: &[(&str, String)],
    ) -> Result<Vec<CertificateView>, Failure> {
        let filter: Vec<_> = filter.iter().map(|(name, value)| (*name, Some(value.clone()))).collect();
        self.admin().await?.list("/api/v1/certificates", &filter, None).await
    }
}
