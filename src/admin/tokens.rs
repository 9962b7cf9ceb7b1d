//! One-time enrolment tokens: issue, list, cancel.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::off_the_loop;
use super::operator::By;
use super::problem::Problem;
use crate::authority::{Authority, TokenView};
use crate::clock::Timestamp;
use crate::ids::{EventNumber, HolderId, ProfileName};

/// Long enough to walk to the device.
const HOUR: u64 = 3600;

/// A token to be issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTokenBody {
    pub device: HolderId,
    /// Without one: the default label.
    #[serde(default)]
    pub profile: Option<ProfileName>,
    /// Without one: an hour.
    #[serde(default)]
    pub ttl_seconds: Option<u64>,
}

/// An issued token: the only time it is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenBody {
    pub token: String,
    pub device: HolderId,
    pub profile: ProfileName,
    pub expires: Timestamp,
    pub event: EventNumber,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenFilter {
    #[serde(default)]
    device: Option<HolderId>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Done {
    event: EventNumber,
}

pub(super) async fn issue(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    body: Result<Json<NewTokenBody>, JsonRejection>,
) -> Result<(StatusCode, Json<TokenBody>), Problem> {
    let Json(body) = body?;
    let lifetime = Duration::from_secs(body.ttl_seconds.unwrap_or(HOUR));
    let token = authority.issue_token(&operator, &body.device, body.profile.as_ref(), lifetime).await?;
    let body = TokenBody {
        token: token.secret.to_string(),
        device: token.holder,
        profile: token.profile,
        expires: token.expires,
        event: token.event,
    };
    Ok((StatusCode::CREATED, Json(body)))
}

pub(super) async fn list(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    filter: Result<Query<TokenFilter>, QueryRejection>,
) -> Result<Json<Vec<TokenView>>, Problem> {
    let Query(filter) = filter?;
    off_the_loop(authority, move |authority| authority.tokens(&operator, filter.device.as_ref())).await
}

pub(super) async fn cancel(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(token): Path<String>,
) -> Result<Json<Done>, Problem> {
    Ok(Json(Done { event: authority.cancel_token(&operator, &token.parse()?).await? }))
}
