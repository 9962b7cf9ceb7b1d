//! Machine identities that are no devices: register, list.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::off_the_loop;
use super::operator::By;
use super::problem::Problem;
use crate::authority::{Authority, IdentityView};
use crate::fleet::Identity;
use crate::fleet::register::NewIdentity;
use crate::ids::MakerName;

/// An identity to be registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewIdentityBody {
    /// signer, service or ra: what a profile is for.
    pub kind: String,
    pub name: String,
    #[serde(default)]
    pub maker: Option<MakerName>,
    /// The person who answers for it.
    pub owner: String,
    pub purpose: String,
}

pub(super) async fn register(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    body: Result<Json<NewIdentityBody>, JsonRejection>,
) -> Result<(StatusCode, Json<Identity>), Problem> {
    let Json(body) = body?;
    let new = NewIdentity {
        kind: body.kind,
        name: body.name,
        maker: body.maker,
        owner: body.owner,
        purpose: body.purpose,
    };
    Ok((StatusCode::CREATED, Json(authority.register_identity(&operator, new).await?)))
}

pub(super) async fn list(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
) -> Result<Json<Vec<IdentityView>>, Problem> {
    off_the_loop(authority, move |authority| authority.identities(&operator)).await
}
