//! Approval by hand: list what was asked for, grant, deny, cancel.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

use super::off_the_loop;
use super::operator::By;
use super::problem::Problem;
use crate::authority::{ApprovalFilter, ApprovalView, Authority, Page};

/// What an operator says with a grant or a cancelling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalBody {
    #[serde(default)]
    pub reason: Option<String>,
}

/// A denial; the client is told the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenialBody {
    pub reason: String,
}

pub(super) async fn list(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    filter: Result<Query<ApprovalFilter>, QueryRejection>,
) -> Result<Json<Page<ApprovalView>>, Problem> {
    let Query(filter) = filter?;
    off_the_loop(authority, move |authority| authority.approvals(&operator, &filter)).await
}

pub(super) async fn grant(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(id): Path<String>,
    body: Result<Json<ApprovalBody>, JsonRejection>,
) -> Result<Json<ApprovalView>, Problem> {
    let Json(body) = body?;
    Ok(Json(authority.grant_approval(&operator, &id.parse()?, body.reason.as_deref()).await?))
}

pub(super) async fn deny(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(id): Path<String>,
    body: Result<Json<DenialBody>, JsonRejection>,
) -> Result<Json<ApprovalView>, Problem> {
    let Json(body) = body?;
    Ok(Json(authority.deny_approval(&operator, &id.parse()?, &body.reason).await?))
}

pub(super) async fn cancel(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(id): Path<String>,
    body: Result<Json<ApprovalBody>, JsonRejection>,
) -> Result<Json<ApprovalView>, Problem> {
    let Json(body) = body?;
    Ok(Json(authority.cancel_approval(&operator, &id.parse()?, body.reason.as_deref()).await?))
}
