//! The REST API of operators, under `/api/v1`: JSON in and out, RFC 9457 problem documents for refusals.

mod approvals;
mod certificates;
mod crls;
mod devices;
mod events;
mod identities;
mod log;
mod openapi;
mod operator;
mod problem;
mod revocations;
mod tokens;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

pub use approvals::{ApprovalBody, DenialBody};
pub use certificates::RevocationBody;
pub use devices::{MoveBody, NewDeviceBody};
pub use events::Stopping;
pub use identities::NewIdentityBody;
pub use openapi::ROUTES;
pub use operator::AdminPeer;
pub use problem::Problem;
pub use revocations::{JobBody, RadiusBody, ReleaseBody};
pub use tokens::{NewTokenBody, TokenBody};

use crate::authority::Authority;

/// For what may look at many rows: seconds on a large record, in which nobody else must wait.
async fn off_the_loop<T, E>(
    authority: Arc<Authority>,
    work: impl FnOnce(&Authority) -> Result<T, E> + Send + 'static,
) -> Result<Json<T>, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(move || work(&authority)).await.map_err(|error| {
        tracing::error!(%error, "an admin request ended early");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the request ended early; see the server's log",
        )
    })?;
    done.map(Json).map_err(Into::into)
}

/// All routes; the peer of each connection comes as an extension of the request.
pub fn router(authority: Arc<Authority>) -> Router {
    let limit = authority.config().server().limits().max_body;
    Router::new()
        .route("/api/v1/devices", get(devices::list).post(devices::register))
        .route("/api/v1/devices/{id}", get(devices::show))
        .route("/api/v1/devices/{id}/move", post(devices::move_to))
        .route("/api/v1/devices/{id}/history", get(devices::history))
        .route("/api/v1/identities", get(identities::list).post(identities::register))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::issue))
        .route("/api/v1/tokens/{token}/cancel", post(tokens::cancel))
        .route("/api/v1/approvals", get(approvals::list))
        .route("/api/v1/approvals/{approval}/grant", post(approvals::grant))
        .route("/api/v1/approvals/{approval}/deny", post(approvals::deny))
        .route("/api/v1/approvals/{approval}/cancel", post(approvals::cancel))
        .route("/api/v1/certificates", get(certificates::list))
        .route("/api/v1/certificates/{serial}", get(certificates::show))
        .route("/api/v1/certificates/{serial}/pem", get(certificates::pem))
        .route("/api/v1/certificates/{serial}/trace", get(certificates::trace))
        .route("/api/v1/revocations", post(certificates::revoke))
        .route("/api/v1/releases", post(revocations::release))
        .route("/api/v1/revocation-jobs", get(revocations::jobs).post(revocations::begin))
        .route("/api/v1/revocation-jobs/dry-run", post(revocations::dry_run))
        .route("/api/v1/revocation-jobs/{job}", get(revocations::job))
        .route("/api/v1/revocation-jobs/{job}/proof", get(revocations::proof))
        .route("/api/v1/cas", get(crls::cas))
        .route("/api/v1/crls", get(crls::list))
        .route("/api/v1/crls/{ca}", post(crls::publish))
        .route("/api/v1/events", get(events::follow))
        .route("/api/v1/events/hooks", get(events::hooks))
        .route("/api/v1/log", get(log::head))
        .route("/api/v1/log/verify", post(log::verify))
        .route("/api/v1/openapi.json", get(openapi::document))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(limit))
        .with_state(authority)
}
