//! The ledger: its head, and the check of everything against everything.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

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
    // Reads every entry: seconds on a large store, so it does not run where requests are answered.
    let verified = tokio::task::spawn_blocking(move || authority.verify_log(&operator)).await;
    let report = verified.map_err(|error| {
        tracing::error!(%error, "the check of the log ended early");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the check ended early; see the server's log",
        )
    })?;
    Ok(Json(report?))
}
