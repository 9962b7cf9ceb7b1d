//! Devices: register, list, show, move, history.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::off_the_loop;
use super::operator::By;
use super::problem::Problem;
use crate::authority::{Authority, DeviceFilter, HistoryLine, Moved, Page};
use crate::clock::Timestamp;
use crate::fleet::Device;
use crate::fleet::movement::Details;
use crate::fleet::register::NewDevice;
use crate::ids::{HolderId, MakerName, StageName};

/// A device to be registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDeviceBody {
    /// Without one: the default maker of the configuration.
    #[serde(default)]
    pub maker: Option<MakerName>,
    pub model: String,
    pub serial: String,
    #[serde(default)]
    pub udi_di: Option<String>,
    #[serde(default)]
    pub site: Option<String>,
    #[serde(default)]
    pub lot: Option<String>,
    #[serde(default)]
    pub owner: Option<String>,
    /// Without one: where a new unit's life begins.
    #[serde(default)]
    pub stage: Option<StageName>,
}

/// A move to another stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    pub stage: StageName,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub evidence: Option<String>,
    #[serde(default)]
    pub owner: Option<String>,
}

/// As of which moment.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AsOf {
    #[serde(default)]
    pub(super) as_of: Option<Timestamp>,
}

pub(super) async fn register(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    body: Result<Json<NewDeviceBody>, JsonRejection>,
) -> Result<(StatusCode, Json<Device>), Problem> {
    let Json(body) = body?;
    let new = NewDevice {
        maker: body.maker.unwrap_or_else(|| authority.config().default_maker().clone()),
        model: body.model,
        serial: body.serial,
        udi_di: body.udi_di,
        site: body.site,
        lot: body.lot,
        owner: body.owner,
        stage: body.stage,
    };
    Ok((StatusCode::CREATED, Json(authority.register_device(&operator, new).await?)))
}

pub(super) async fn list(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    filter: Result<Query<DeviceFilter>, QueryRejection>,
) -> Result<Json<Page<Device>>, Problem> {
    let Query(filter) = filter?;
    off_the_loop(authority, move |authority| authority.devices(&operator, &filter)).await
}

pub(super) async fn show(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(id): Path<String>,
) -> Result<Json<Device>, Problem> {
    Ok(Json(authority.device(&operator, &id.parse()?)?))
}

pub(super) async fn move_to(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(id): Path<String>,
    body: Result<Json<MoveBody>, JsonRejection>,
) -> Result<Json<Moved>, Problem> {
    let id: HolderId = id.parse()?;
    let Json(body) = body?;
    let details = Details { reason: body.reason, evidence: body.evidence, owner: body.owner };
    Ok(Json(authority.move_device(&operator, &id, &body.stage, &details).await?))
}

pub(super) async fn history(
    State(authority): State<Arc<Authority>>,
    By(operator): By,
    Path(id): Path<String>,
    as_of: Result<Query<AsOf>, QueryRejection>,
) -> Result<Json<Vec<HistoryLine>>, Problem> {
    let Query(AsOf { as_of }) = as_of?;
    let id = id.parse()?;
    off_the_loop(authority, move |authority| authority.history(&operator, &id, as_of)).await
}
