//! The hierarchy and its revocation lists: list, publish.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::operator::By;
use super::problem::Problem;
use crate::authority::{Authority, CaView, CrlView};
use crate::ids::CaName;

pub(super) async fn cas(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
) -> Result<Json<Vec<CaView>>, Problem> {
    Ok(Json(authority.ca_views(&operator)?))
}

pub(super) async fn list(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
) -> Result<Json<Vec<CrlView>>, Problem> {
    Ok(Json(authority.crls(&operator)?))
}

pub(super) async fn publish(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(ca): Path<String>,
) -> Result<Json<Vec<CrlView>>, Problem> {
    let ca: CaName = ca.parse()?;
    let lists = authority.publish_crl(&operator, &ca).await?;
    Ok(Json(lists.iter().map(|list| CrlView::of(list)).collect()))
}
