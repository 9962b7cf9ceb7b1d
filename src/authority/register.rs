//! Registers devices and other machine identities.

use super::Authority;
use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use crate::fleet::register::{self, NewDevice, NewIdentity};
use crate::fleet::{Device, Identity, rows};
use crate::ids::HolderId;

/// Why nothing was registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error(transparent)]
    Rules(#[from] register::RegisterRefused),
}

impl Authority {
    pub async fn register_device(
        &self,
        operator: &Operator,
        new: NewDevice,
    ) -> Result<Device, Failed<RegisterRefused>> {
        permit(operator, "device.register")?;
        let id = register::device_id(&new);
        self.transact(&operator.actor(), |view, _| {
            let existing = rows::device(view, &id)?;
            let same_plate = rows::device_by_plate(view, &rows::plate(&new.model, &new.serial))?;
            let fact = register::decide_device(
                &self.config,
                existing.as_ref(),
                same_plate,
                operator.role(),
                new.clone(),
            );
            Ok((vec![fact.map_err(refused)?], ()))
        })
        .await?;
        self.just_written(rows::device(&*self.snapshot()?, &id)?, &id)
    }

    pub async fn register_identity(
        &self,
        operator: &Operator,
        new: NewIdentity,
    ) -> Result<Identity, Failed<RegisterRefused>> {
        permit(operator, "identity.register")?;
        let id = register::identity_id(&new);
        self.transact(&operator.actor(), |view, _| {
            let existing = rows::identity(view, &id)?;
            let fact = register::decide_identity(&self.config, existing.as_ref(), new.clone());
            Ok((vec![fact.map_err(refused)?], ()))
        })
        .await?;
        self.just_written(rows::identity(&*self.snapshot()?, &id)?, &id)
    }

    /// A row that the commit before must have made.
    pub(super) fn just_written<T, R>(&self, row: Option<T>, id: &HolderId) -> Result<T, Failed<R>> {
        row.ok_or_else(|| Failed::Unavailable(format!("{id} was committed but cannot be read")))
    }
}

fn refused(why: register::RegisterRefused) -> Failed<RegisterRefused> {
    Failed::Refused(why.into())
}
