//! Refusals as problem documents (RFC 9457), and the one place where an operation's error becomes an HTTP status.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::authority::{
    ApproveRefused, Failed, FeedRefused, JobRefused, MoveRefused, OperatorRefused, PublishRefused,
    QueryRefused, RegisterRefused, ReleaseRefused, RevokeRefused, TokenRefused,
};
use crate::fleet::approval::ApprovalRefused;
use crate::fleet::{movement, register, release, revoke, token};
use crate::ids::BadId;

/// What an operator is told when something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
}

impl Problem {
    /// `code` is the stable name of the refusal.
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:vitae:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Refused").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// A refusal's HTTP status and stable name.
pub(super) trait Refusal: std::fmt::Display {
    fn outcome(&self) -> (StatusCode, &'static str);
}

impl<R: Refusal> From<Failed<R>> for Problem {
    fn from(failed: Failed<R>) -> Self {
        match failed {
            Failed::Refused(refusal) => {
                let (status, code) = refusal.outcome();
                Self::new(status, code, refusal.to_string())
            }
            Failed::Unavailable(why) => {
                tracing::error!(why, "an admin request could not be answered");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "the authority cannot do this now; nothing was changed; see its log",
                )
            }
        }
    }
}

impl Refusal for OperatorRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoCertificate => (StatusCode::UNAUTHORIZED, "no-certificate"),
            Self::NotAnAdmin => (StatusCode::FORBIDDEN, "not-an-admin"),
            Self::NotGood(_) => (StatusCode::FORBIDDEN, "certificate-not-good"),
            Self::UnknownRole(_) => (StatusCode::FORBIDDEN, "unknown-role"),
            Self::NoPermission { .. } => (StatusCode::FORBIDDEN, "no-permission"),
        }
    }
}

impl Refusal for RegisterRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::Rules(register::RegisterRefused::Exists(_)) => (StatusCode::CONFLICT, "exists"),
            Self::Rules(register::RegisterRefused::SamePlate { .. }) => (StatusCode::CONFLICT, "same-plate"),
            Self::Rules(register::RegisterRefused::Role { .. }) => (StatusCode::FORBIDDEN, "role"),
            Self::Rules(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad-record"),
        }
    }
}

impl Refusal for MoveRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::UnknownDevice(_) => (StatusCode::NOT_FOUND, "unknown-device"),
            Self::Rules(
                movement::MoveRefused::IllegalTransition { .. } | movement::MoveRefused::Marks { .. },
            ) => (StatusCode::CONFLICT, "illegal_transition"),
            Self::Rules(movement::MoveRefused::Role { .. }) => (StatusCode::FORBIDDEN, "role"),
            Self::Rules(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad-move"),
        }
    }
}

impl Refusal for RevokeRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::Nothing => (StatusCode::UNPROCESSABLE_ENTITY, "nothing-named"),
            Self::Rules(revoke::RevokeRefused::Unknown(_)) => (StatusCode::NOT_FOUND, "unknown-certificate"),
            Self::Rules(revoke::RevokeRefused::InvalidSince { .. }) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "bad-invalid-since")
            }
            Self::Rules(_) => (StatusCode::CONFLICT, "not-revocable"),
        }
    }
}

impl Refusal for ReleaseRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::Nothing => (StatusCode::UNPROCESSABLE_ENTITY, "nothing-named"),
            Self::Rules(release::ReleaseRefused::Unknown(_)) => {
                (StatusCode::NOT_FOUND, "unknown-certificate")
            }
            Self::Rules(release::ReleaseRefused::Expired { .. }) => (StatusCode::CONFLICT, "expired-on-hold"),
            Self::Rules(_) => (StatusCode::CONFLICT, "not-releasable"),
        }
    }
}

impl Refusal for JobRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::Selector(_) => (StatusCode::BAD_REQUEST, "bad-selector"),
            Self::Nothing { .. } => (StatusCode::CONFLICT, "nothing-matches"),
            Self::Count { .. } => (StatusCode::CONFLICT, "other-number"),
            Self::Own { .. } => (StatusCode::CONFLICT, "own-certificates"),
            Self::InvalidSince { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad-invalid-since"),
            Self::Unknown(_) => (StatusCode::NOT_FOUND, "unknown-job"),
            Self::NoProof(..) => (StatusCode::CONFLICT, "no-proof"),
        }
    }
}

impl Refusal for TokenRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::Rules(token::TokenRefused::UnknownHolder(_) | token::TokenRefused::Unknown) => {
                (StatusCode::NOT_FOUND, "unknown")
            }
            Self::Rules(token::TokenRefused::Over(_)) => (StatusCode::CONFLICT, "token-over"),
            Self::Rules(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad-token-request"),
        }
    }
}

impl Refusal for ApproveRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::Rules(ApprovalRefused::Unknown(_)) => (StatusCode::NOT_FOUND, "unknown-approval"),
            Self::Rules(ApprovalRefused::BadReason) => (StatusCode::UNPROCESSABLE_ENTITY, "bad-reason"),
            Self::Rules(ApprovalRefused::Decided { .. }) => (StatusCode::CONFLICT, "approval-decided"),
            Self::Rules(
                ApprovalRefused::Expired { .. }
                | ApprovalRefused::Issued { .. }
                | ApprovalRefused::Cancelled { .. },
            ) => (StatusCode::CONFLICT, "approval-over"),
        }
    }
}

impl Refusal for QueryRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::UnknownHolder(_) | Self::UnknownCertificate(_) => (StatusCode::NOT_FOUND, "unknown"),
            Self::NotYet { .. } => (StatusCode::NOT_FOUND, "not-yet"),
            Self::BadStatus(_) | Self::BadCursor(_) | Self::UnknownStage(_) | Self::UnknownProfile(_) => {
                (StatusCode::BAD_REQUEST, "bad-request")
            }
        }
    }
}

impl Refusal for FeedRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::UnknownKind(_) => (StatusCode::BAD_REQUEST, "bad-request"),
            Self::UnknownCa(_) => (StatusCode::NOT_FOUND, "unknown-ca"),
            Self::NotYet { .. } => (StatusCode::CONFLICT, "not-in-this-record"),
            Self::TooMany(_) => (StatusCode::SERVICE_UNAVAILABLE, "too-many-streams"),
        }
    }
}

impl Refusal for PublishRefused {
    fn outcome(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Operator(refused) => refused.outcome(),
            Self::UnknownCa(_) => (StatusCode::NOT_FOUND, "unknown-ca"),
        }
    }
}

impl From<OperatorRefused> for Problem {
    fn from(refused: OperatorRefused) -> Self {
        Failed::Refused(refused).into()
    }
}

impl From<BadId> for Problem {
    fn from(bad: BadId) -> Self {
        Self::bad_request(bad.to_string())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), "bad-request", rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

pub(super) async fn no_such_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-path", "no such path: see /api/v1/openapi.json")
}

pub(super) async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "this path does not take this method")
}
