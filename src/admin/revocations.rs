//! Revocation of all that a selector holds of: what it would hit, jobs, proofs; and releases.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::off_the_loop;
use super::operator::By;
use super::problem::Problem;
use crate::authority::{Authority, BlastRadius, JobAsked, JobView, ProofView, Released};
use crate::clock::Timestamp;
use crate::ids::{JobId, Reason, Serial};

/// What is only counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadiusBody {
    #[serde(rename = "where")]
    pub selector: String,
    /// A hold changes nothing of what is on hold already.
    #[serde(default)]
    pub reason: Option<Reason>,
}

/// What is revoked as one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobBody {
    #[serde(rename = "where")]
    pub selector: String,
    pub reason: Reason,
    /// From when on the keys are not to be trusted (RFC 5280 section 5.3.2).
    #[serde(default)]
    pub invalid_since: Option<Timestamp>,
    /// The exact number of certificates, as a dry run tells it.
    pub confirm: u64,
}

/// Certificates to be released: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    pub serials: Vec<Serial>,
}

pub(super) async fn dry_run(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    body: Result<Json<RadiusBody>, JsonRejection>,
) -> Result<Json<BlastRadius>, Problem> {
    let Json(body) = body?;
    off_the_loop(authority, move |authority| authority.blast_radius(&operator, &body.selector, body.reason))
        .await
}

pub(super) async fn begin(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    body: Result<Json<JobBody>, JsonRejection>,
) -> Result<Json<JobView>, Problem> {
    let Json(body) = body?;
    let asked = JobAsked {
        selector: body.selector,
        reason: body.reason,
        invalid_since: body.invalid_since,
        confirm: body.confirm,
    };
    Ok(Json(authority.revoke_where(operator, asked).await?))
}

pub(super) async fn jobs(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
) -> Result<Json<Vec<JobView>>, Problem> {
    off_the_loop(authority, move |authority| authority.revocation_jobs(&operator)).await
}

pub(super) async fn job(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(job): Path<String>,
) -> Result<Json<JobView>, Problem> {
    let job: JobId = job.parse()?;
    Ok(Json(authority.revocation_job(&operator, &job)?))
}

pub(super) async fn proof(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(job): Path<String>,
) -> Result<Json<ProofView>, Problem> {
    let job: JobId = job.parse()?;
    Ok(Json(authority.revocation_proof(&operator, &job)?))
}

pub(super) async fn release(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    body: Result<Json<ReleaseBody>, JsonRejection>,
) -> Result<Json<Released>, Problem> {
    let Json(body) = body?;
    Ok(Json(authority.release(&operator, &body.serials).await?))
}
