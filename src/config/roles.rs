//! `roles.toml`: who may use the API for what, and who may play which part in a device's life. Its registration
//! authorities are in `delegation`.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::delegation::RawRegistrationAuthority;
use super::hierarchy::list;
use super::tree::File;
use crate::ids::RoleName;

/// Everything that the API asks permission for.
pub const PERMISSIONS: &[&str] = &[
    "device.read",
    "device.register",
    "device.move",
    "token.issue",
    "token.read",
    "token.cancel",
    "approval.read",
    "approval.decide",
    "certificate.read",
    "certificate.revoke",
    "certificate.revoke-many",
    "certificate.release",
    "identity.read",
    "identity.register",
    "crl.read",
    "crl.publish",
    "ca.read",
    "ca.revoke",
    "log.read",
    "log.verify",
    "events.read",
];

/// Every role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    all: Vec<Role>,
}

impl Roles {
    pub fn role(&self, name: &RoleName) -> Option<&Role> {
        self.all.iter().find(|role| role.name == *name)
    }

    /// In the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.all.iter()
    }
}

/// A role that a certificate of an operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    name: RoleName,
    title: String,
    permissions: BTreeSet<String>,
    acts_as: Vec<RoleName>,
}

impl Role {
    pub fn name(&self) -> &RoleName {
        &self.name
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn permits(&self, permission: &str) -> bool {
        self.permissions.contains(permission)
    }

    pub fn permissions(&self) -> impl Iterator<Item = &str> {
        self.permissions.iter().map(String::as_str)
    }

    /// The roles it may play in transitions, itself first.
    pub fn acts_as(&self) -> &[RoleName] {
        &self.acts_as
    }

    pub fn may_act_as(&self, role: &RoleName) -> bool {
        self.acts_as.contains(role)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRoles {
    role: Vec<RawRole>,
    #[serde(default)]
    pub(super) registration_authority: Vec<RawRegistrationAuthority>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRole {
    name: Spanned<RoleName>,
    title: String,
    permits: Vec<Spanned<String>>,
    #[serde(default)]
    acts_as: Vec<Spanned<RoleName>>,
}

pub(super) fn check(file: &File, raw: &RawRoles) -> Roles {
    let mut seen = BTreeSet::new();
    for role in &raw.role {
        let name = role.name.get_ref();
        if !seen.insert(name) {
            file.refuse(role.name.span(), format!("there are two roles named '{name}': rename one"));
        }
    }
    for role in &raw.role {
        for permission in &role.permits {
            if !PERMISSIONS.contains(&permission.get_ref().as_str()) {
                let reason = format!(
                    "there is no permission '{}': known are {}",
                    permission.get_ref(),
                    PERMISSIONS.join(", ")
                );
                file.refuse(permission.span(), reason);
            }
        }
        for part in &role.acts_as {
            if !seen.contains(part.get_ref()) {
                let reason =
                    format!("there is no role named '{}': known are {}", part.get_ref(), list(&seen));
                file.refuse(part.span(), reason);
            }
        }
    }
    Roles { all: raw.role.iter().map(finish).collect() }
}

fn finish(raw: &RawRole) -> Role {
    let name = raw.name.get_ref().clone();
    let mut acts_as = vec![name.clone()];
    for part in &raw.acts_as {
        if !acts_as.contains(part.get_ref()) {
            acts_as.push(part.get_ref().clone());
        }
    }
    Role {
        name,
        title: raw.title.clone(),
        permissions: raw.permits.iter().map(|permission| permission.get_ref().clone()).collect(),
        acts_as,
    }
}
