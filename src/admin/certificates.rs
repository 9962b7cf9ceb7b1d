//! Certificates: list, show, trace, revoke.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::devices::AsOf;
use super::off_the_loop;
use super::operator::By;
use super::problem::Problem;
use crate::authority::{
    Authority, CertificateFilter, CertificateView, Page, Revocation, RevocationAsked, Trace,
};
use crate::clock::Timestamp;
use crate::ids::{Reason, Serial};
use crate::pki::pem as pem_text;

/// Certificates to be revoked: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationBody {
    pub serials: Vec<Serial>,
    pub reason: Reason,
    /// From when on the key is not to be trusted (RFC 5280 section 5.3.2).
    #[serde(default)]
    pub invalid_since: Option<Timestamp>,
}

pub(super) async fn list(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    filter: Result<Query<CertificateFilter>, QueryRejection>,
) -> Result<Json<Page<CertificateView>>, Problem> {
    let Query(filter) = filter?;
    off_the_loop(authority, move |authority| authority.certificates(&operator, &filter)).await
}

pub(super) async fn show(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(serial): Path<String>,
) -> Result<Json<CertificateView>, Problem> {
    Ok(Json(authority.certificate(&operator, &serial.parse()?)?))
}

pub(super) async fn pem(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(serial): Path<String>,
) -> Result<([(HeaderName, HeaderValue); 1], String), Problem> {
    let der = authority.certificate_bytes(&operator, &serial.parse()?)?;
    let kind = HeaderValue::from_static("application/x-pem-file");
    Ok(([(CONTENT_TYPE, kind)], pem_text::encode("CERTIFICATE", &der)))
}

pub(super) async fn trace(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(serial): Path<String>,
    as_of: Result<Query<AsOf>, QueryRejection>,
) -> Result<Json<Trace>, Problem> {
    let Query(AsOf { as_of }) = as_of?;
    let serial = serial.parse()?;
    off_the_loop(authority, move |authority| authority.trace(&operator, &serial, as_of)).await
}

pub(super) async fn revoke(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    body: Result<Json<RevocationBody>, JsonRejection>,
) -> Result<Json<Revocation>, Problem> {
    let Json(body) = body?;
    let asked =
        RevocationAsked { serials: body.serials, reason: body.reason, invalid_since: body.invalid_since };
    Ok(Json(authority.revoke(&operator, asked).await?))
}
