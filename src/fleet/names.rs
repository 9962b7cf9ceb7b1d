//! The names of a holder: what its record says, what a profile makes of it, and what a request may repeat.

use crate::config::{AltName, NameAttribute, Profile, Template};
use crate::ids::Digest;

use super::rows::{Device, Identity};

/// Whom a certificate is asked for, as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Device(Device),
    Identity(Identity),
}

/// A subject alternative name, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderedAltName {
    Uri(String),
    Dns(String),
    HardwareModule { type_oid: String, serial: String },
}

/// A profile asks for a name that the record does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record of {holder} lacks what profile {profile} puts into a certificate: {missing}")]
pub struct RecordIncomplete {
    pub holder: String,
    pub profile: String,
    pub missing: String,
}

impl Holder {
    pub fn id(&self) -> &crate::ids::HolderId {
        match self {
            Self::Device(device) => &device.id,
            Self::Identity(identity) => &identity.id,
        }
    }

    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Device(device) => Some(&device.model),
            Self::Identity(_) => None,
        }
    }

    /// The value behind a placeholder of a profile's template.
    fn value(&self, name: &str) -> Option<String> {
        match (self, name) {
            (Self::Device(device), "serial") => Some(device.serial.clone()),
            (Self::Device(device), "model") => Some(device.model.clone()),
            (Self::Device(device), "maker") => Some(device.maker.to_string()),
            (Self::Device(device), "udi-di") => device.udi_di.clone(),
            (Self::Device(device), "device") => Some(device.id.to_string()),
            (Self::Device(device), "uuid") => Some(opaque_uuid(device.id.as_str())),
            (Self::Identity(identity), "name") => Some(identity.name.clone()),
            (Self::Identity(identity), "maker") => identity.maker.as_ref().map(ToString::to_string),
            (Self::Identity(identity), "uuid") => Some(opaque_uuid(identity.id.as_str())),
            _ => None,
        }
    }

    fn render(&self, profile: &Profile, template: &Template) -> Result<String, RecordIncomplete> {
        template.render(&|name| self.value(name)).map_err(|missing| RecordIncomplete {
            holder: self.id().to_string(),
            profile: profile.name().to_string(),
            missing: missing.to_string(),
        })
    }

    /// The subject the profile gives.
    pub fn subject(&self, profile: &Profile) -> Result<Vec<(NameAttribute, String)>, RecordIncomplete> {
        let rendered = |(attribute, template): &(NameAttribute, Template)| {
            Ok((*attribute, self.render(profile, template)?))
        };
        profile.subject().iter().map(rendered).collect()
    }

    /// The subject alternative names the profile gives.
    pub fn alt_names(&self, profile: &Profile) -> Result<Vec<RenderedAltName>, RecordIncomplete> {
        let mut names = Vec::new();
        for name in profile.subject_alt_names() {
            names.push(match name {
                AltName::Uri(template) => RenderedAltName::Uri(self.render(profile, template)?),
                AltName::Dns(template) => RenderedAltName::Dns(self.render(profile, template)?),
                AltName::HardwareModule { type_oid, serial } => RenderedAltName::HardwareModule {
                    type_oid: self.render(profile, type_oid)?,
                    serial: self.render(profile, serial)?,
                },
                // Only the authority's own listeners have server names; no holder gets one.
                AltName::ServerNames => continue,
            });
        }
        Ok(names)
    }

    /// Names a first request may carry besides those the profile gives: a device knows its plate, not its UUID.
    pub fn also_known_as(&self) -> Vec<(NameAttribute, String)> {
        let mut names = vec![(NameAttribute::CommonName, self.id().to_string())];
        match self {
            Self::Device(device) => {
                names.push((NameAttribute::CommonName, device.serial.clone()));
                names.push((NameAttribute::CommonName, format!("{}-{}", device.model, device.serial)));
                names.push((NameAttribute::SerialNumber, device.serial.clone()));
                names.push((NameAttribute::Organization, device.maker.to_string()));
            }
            Self::Identity(identity) => {
                names.push((NameAttribute::CommonName, identity.name.clone()));
                if let Some(maker) = &identity.maker {
                    names.push((NameAttribute::Organization, maker.to_string()));
                }
            }
        }
        names
    }
}

/// A UUID (RFC 9562 version 8) that stays with the holder for life and tells a reader nothing.
fn opaque_uuid(id: &str) -> String {
    let digest = Digest::of(format!("vitae holder uuid\0{id}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::ids::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
