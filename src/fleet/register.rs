//! Decides the registration of a device or of another machine identity.

use super::event::Fact;
use super::movement;
use super::rows::{Device, Identity, plate};
use crate::config::{Config, HolderKind, Role, Transition};
use crate::ids::{HolderId, MakerName, StageName};

/// What a new device's record will hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    pub maker: MakerName,
    pub model: String,
    pub serial: String,
    pub udi_di: Option<String>,
    pub site: Option<String>,
    pub lot: Option<String>,
    pub owner: Option<String>,
    /// `None`: where a new unit's life begins.
    pub stage: Option<StageName>,
}

/// What a new machine identity's record will hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIdentity {
    pub kind: String,
    pub name: String,
    pub maker: Option<MakerName>,
    pub owner: String,
    pub purpose: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterRefused {
    #[error("{field} '{value}' cannot be used: write 1 to 64 printable ASCII characters")]
    BadField { field: &'static str, value: String },
    #[error("the id of this {what} would have {length} characters, and {most} are allowed: shorten {parts}")]
    LongId { what: &'static str, parts: &'static str, length: usize, most: usize },
    #[error("the maker {0} is unknown: add manufacturers/{0}.toml to the configuration")]
    UnknownMaker(MakerName),
    #[error("the lifecycle has no stage {0}")]
    UnknownStage(StageName),
    #[error("no profile is for a '{kind}': {known}")]
    UnknownKind { kind: String, known: String },
    #[error(
        "{other} reads the same where certificates join model and serial number ({plate}): they could not be told apart"
    )]
    SamePlate { plate: String, other: String },
    #[error("{0} is registered already")]
    Exists(HolderId),
    #[error("the role {role} may not register a unit ({transition}): it takes {who}")]
    Role { role: String, transition: String, who: String },
}

pub fn device_id(new: &NewDevice) -> HolderId {
    HolderId::device(&new.maker, &new.model, &new.serial)
}

pub fn identity_id(new: &NewIdentity) -> HolderId {
    HolderId::identity(&new.kind, &new.name)
}

pub fn decide_device(
    config: &Config,
    existing: Option<&Device>,
    same_plate: Option<String>,
    role: &Role,
    new: NewDevice,
) -> Result<Fact, RegisterRefused> {
    let optional = [("UDI-DI", &new.udi_di), ("site", &new.site), ("lot", &new.lot), ("owner", &new.owner)];
    for (field, value) in optional.into_iter().filter_map(|(field, value)| Some((field, value.as_ref()?))) {
        check(field, value)?;
    }
    check("model", &new.model)?;
    check("serial", &new.serial)?;
    check_id(&device_id(&new), "device", "the model or the serial number")?;
    if !config.manufacturers().iter().any(|maker| *maker.name() == new.maker) {
        return Err(RegisterRefused::UnknownMaker(new.maker));
    }
    if let Some(device) = existing {
        return Err(RegisterRefused::Exists(device.id.clone()));
    }
    if let Some(other) = same_plate {
        return Err(RegisterRefused::SamePlate { plate: plate(&new.model, &new.serial), other });
    }
    let lifecycle = config.lifecycle();
    let stage = new.stage.clone().unwrap_or_else(|| lifecycle.first_stage().clone());
    let Some(entry) = lifecycle.stage(&stage) else { return Err(RegisterRefused::UnknownStage(stage)) };
    if let Some(transition) = lifecycle.registration(&stage) {
        check_role(transition, role)?;
    }
    Ok(Fact::DeviceRegistered {
        device: device_id(&new),
        maker: new.maker,
        model: new.model,
        serial: new.serial,
        udi_di: new.udi_di,
        site: new.site,
        lot: new.lot,
        owner: new.owner,
        stage,
        marks: entry.takeover_marks().clone(),
    })
}

pub fn decide_identity(
    config: &Config,
    existing: Option<&Identity>,
    new: NewIdentity,
) -> Result<Fact, RegisterRefused> {
    check("name", &new.name)?;
    check("owner", &new.owner)?;
    check("purpose", &new.purpose)?;
    check_id(&identity_id(&new), "identity", "the name")?;
    let kinds: Vec<&str> = config
        .profiles()
        .iter()
        .filter_map(|profile| match profile.holder() {
            HolderKind::Identity(kind) => Some(kind.as_str()),
            HolderKind::Device | HolderKind::Authority => None,
        })
        .collect();
    if !kinds.contains(&new.kind.as_str()) {
        return Err(RegisterRefused::UnknownKind {
            kind: new.kind,
            known: format!("use {}", kinds.join(" or ")),
        });
    }
    if let Some(maker) = &new.maker
        && !config.manufacturers().iter().any(|known| known.name() == maker)
    {
        return Err(RegisterRefused::UnknownMaker(maker.clone()));
    }
    if let Some(identity) = existing {
        return Err(RegisterRefused::Exists(identity.id.clone()));
    }
    Ok(Fact::IdentityRegistered {
        identity: identity_id(&new),
        identity_kind: new.kind,
        name: new.name,
        maker: new.maker,
        owner: new.owner,
        purpose: new.purpose,
    })
}

fn check_role(transition: &Transition, role: &Role) -> Result<(), RegisterRefused> {
    movement::may_make(transition, role).map_err(|who| RegisterRefused::Role {
        role: role.name().to_string(),
        transition: transition.id().to_owned(),
        who,
    })
}

/// Punctuation makes an id three times as long as the texts it is made of. One that is too long to be read back must
/// never get into an event: the log could not be read any more.
fn check_id(id: &HolderId, what: &'static str, parts: &'static str) -> Result<(), RegisterRefused> {
    let (length, most) = (id.as_str().len(), HolderId::LONGEST);
    if length <= most { Ok(()) } else { Err(RegisterRefused::LongId { what, parts, length, most }) }
}

/// What ends up in a certificate's names must fit there (ub-serial-number and ub-common-name are 64).
fn check(field: &'static str, value: &str) -> Result<(), RegisterRefused> {
    let printable = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if (1..=64).contains(&value.len()) && printable && value.trim() == value {
        Ok(())
    } else {
        Err(RegisterRefused::BadField { field, value: value.to_owned() })
    }
}
