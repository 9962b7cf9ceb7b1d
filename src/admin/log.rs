//! The ledger: its head, and the check of everything against everything.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::off_the_loop;
use super::operator::By;
use super::problem::Problem;
use crate::authority::{Authority, LogReport, TreeHead};

pub(super) async fn head(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
) -> Result<Json<TreeHead>, Problem> {
    Ok(Json(authority.tree_head(&operator)?))
}

pub(super) async fn verify(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
) -> Result<Json<LogReport>, Problem> {
    off_the_loop(authority, move |authority| authority.verify_log(&operator)).await
}
