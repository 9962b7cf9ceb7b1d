//! The policy of an installation: a folder of TOML files, checked as a whole, used as values that are right.
//!
//! Every file is read into a raw serde struct that knows all its keys, then checked into a type with private
//! fields. One problem anywhere refuses the whole folder, so a server never runs on half a policy. Defaults
//! live in the shipped folder `ca-config/` alone: a key that a file leaves out is either an empty list, a plain
//! "no", or missing.

mod addresses;
mod clones;
mod delegation;
mod duration;
mod error;
mod events;
mod filter;
mod hierarchy;
mod lifecycle;
mod lifecycle_check;
mod limits;
mod manufacturers;
mod profile;
mod profile_check;
mod purpose;
mod renewal;
mod roles;
mod server;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod webhooks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::ids::{Digest, MakerName, ProfileName};

pub use addresses::AddressRange;
pub use clones::{Clones, LostKey};
pub use delegation::{BadRange, NotAnIdentity, RegistrationAuthorities, RegistrationAuthority, SerialRange};
pub use error::{ConfigError, ConfigErrors};
pub use events::EVENT_KINDS;
pub use filter::FilterPolicy;
pub use hierarchy::{Ca, CaKey, Hierarchy};
pub use lifecycle::{BadCell, Cell, Effect, EffectAction, Lifecycle, Need, Stage, Transition};
pub use limits::Limits;
pub use manufacturers::Manufacturer;
pub use profile::{AltName, HolderKind, Issuer, NameAttribute, Profile, Profiles};
pub use purpose::{BadEku, ChannelBinding, Eku, KeyRule, KeyUsageBit, NotAKey, Proof, SubjectKey};
pub use renewal::{NotAShare, Percent, Renewal, RenewalKey};
pub use roles::{PERMISSIONS, Role, Roles};
pub use server::Server;
pub use text::{BadTemplate, MissingValue, PLACEHOLDERS, Template};
pub use webhooks::Webhook;

use hierarchy::RawHierarchy;
use lifecycle_check::RawLifecycle;
use manufacturers::RawManufacturer;
use profile_check::RawProfile;
use roles::RawRoles;
use server::RawServer;
use tree::{File, Tree};
use webhooks::RawWebhooks;

/// A folder that was found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    server: Server,
    hierarchy: Hierarchy,
    profiles: Profiles,
    lifecycle: Lifecycle,
    roles: Roles,
    registration_authorities: RegistrationAuthorities,
    manufacturers: Vec<Manufacturer>,
    default_maker: MakerName,
    webhooks: Vec<Webhook>,
    digest: Digest,
}

impl Config {
    /// Read and check the folder.
    ///
    /// Files that cannot be read or parsed are reported first, all of them; what the files say is checked
    /// when all can be read, because a missing file would make its neighbours look wrong.
    pub fn load(dir: &Path) -> Result<Config, ConfigErrors> {
        let tree = Tree::new(dir);
        let server = tree.parse::<RawServer>("vitae.toml");
        let hierarchy = tree.parse::<RawHierarchy>("hierarchy.toml");
        let lifecycle = tree.parse::<RawLifecycle>("lifecycle.toml");
        let roles = tree.parse::<RawRoles>("roles.toml");
        let profiles = read_folder::<ProfileName, RawProfile>(&tree, "profiles");
        let makers = read_folder::<MakerName, RawManufacturer>(&tree, "manufacturers");
        let webhooks = tree.has(webhooks::FILE).then(|| tree.parse::<RawWebhooks>(webhooks::FILE)).flatten();
        tree.verdict()?;
        let (Some(server), Some(hierarchy), Some(lifecycle), Some(roles)) =
            (server, hierarchy, lifecycle, roles)
        else {
            // Not reached: what could not be parsed is in the verdict.
            return Err(ConfigErrors::new(Vec::new()));
        };

        let (hierarchy_file, raw) = hierarchy;
        let (hierarchy, places) = hierarchy::check(&hierarchy_file, raw);
        let by_name: BTreeMap<ProfileName, Profile> = profiles
            .into_iter()
            .map(|(file, name, raw)| (name.clone(), profile_check::check(&file, name, raw, &hierarchy)))
            .collect();
        profile_check::check_own(&tree, &by_name);
        profile_check::check_every_ca_is_used(&hierarchy_file, &hierarchy, &places, &by_name);
        let (roles_file, raw_roles) = roles;
        let roles = roles::check(&roles_file, &raw_roles);
        let lifecycle = lifecycle_check::check(&lifecycle.0, &lifecycle.1, &by_name, &roles);
        let (server_file, raw) = server;
        check_default_label(&server_file, &raw, &by_name);
        let server = server::check(&server_file, &raw);
        let manufacturers = manufacturers::check_all(&tree, makers);
        check_default_maker(&server_file, &raw, &manufacturers);
        let registration_authorities =
            delegation::check(&roles_file, &raw_roles.registration_authority, &by_name, &manufacturers);
        let webhooks = webhooks.map_or(Vec::new(), |(file, raw)| webhooks::check(&tree, &file, &raw));
        tree.verdict()?;

        let profiles = Profiles { by_name, default_label: raw.default_label.into_inner() };
        let digest = tree.digest();
        let default_maker = raw.default_maker.into_inner();
        Ok(Self {
            default_maker,
            server,
            hierarchy,
            profiles,
            lifecycle,
            roles,
            registration_authorities,
            manufacturers,
            webhooks,
            digest,
        })
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    pub fn registration_authorities(&self) -> &RegistrationAuthorities {
        &self.registration_authorities
    }

    /// In order of name.
    pub fn manufacturers(&self) -> &[Manufacturer] {
        &self.manufacturers
    }

    pub fn manufacturer(&self, name: &MakerName) -> Option<&Manufacturer> {
        self.manufacturers.iter().find(|maker| maker.name() == name)
    }

    /// The maker of a device that is registered without naming one.
    pub fn default_maker(&self) -> &MakerName {
        &self.default_maker
    }

    /// In the order of the file.
    pub fn webhooks(&self) -> &[Webhook] {
        &self.webhooks
    }

    /// SHA-256 over every file that was read: which policy was in force.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The same policy at the addresses that the listeners really got, when it asked for port 0.
    pub fn with_listeners(self, est: SocketAddr, status: SocketAddr, admin: SocketAddr) -> Config {
        Self { server: self.server.with_listeners(est, status, admin), ..self }
    }
}

/// Reads a length of time as the files write it: 90s, 15m, 24h, 7d, 25y.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    text.parse::<duration::Length>().map(|length| length.0).map_err(|error| error.to_string())
}

/// Parse every TOML file of a folder; its name without `.toml` is the name of what it describes.
fn read_folder<'t, N, R>(tree: &'t Tree, folder: &str) -> Vec<(File<'t>, N, R)>
where
    N: std::str::FromStr,
    N::Err: std::fmt::Display,
    R: serde::de::DeserializeOwned,
{
    let read = |stem: String| {
        let path = format!("{folder}/{stem}.toml");
        match stem.parse() {
            Ok(name) => tree.parse(&path).map(|(file, raw)| (file, name, raw)),
            Err(error) => {
                tree.refuse(&path, 1, format!("the file's name is used as a name: {error}"));
                None
            }
        }
    };
    tree.names(folder, ".toml").into_iter().filter_map(read).collect()
}

fn check_default_label(file: &File, raw: &RawServer, profiles: &BTreeMap<ProfileName, Profile>) {
    let label = raw.default_label.get_ref();
    let is_device = |profile: &Profile| *profile.holder() == HolderKind::Device;
    if !profiles.get(label).is_some_and(is_device) {
        let known = hierarchy::list(profiles.values().filter(|p| is_device(p)).map(Profile::name));
        let reason = format!("'{label}' is not the label of a device profile: choose one of {known}");
        file.refuse(raw.default_label.span(), reason);
    }
}

fn check_default_maker(file: &File, raw: &RawServer, makers: &[Manufacturer]) {
    let maker = raw.default_maker.get_ref();
    if !makers.iter().any(|known| known.name() == maker) {
        let known = hierarchy::list(makers.iter().map(Manufacturer::name));
        let reason = format!("there is no maker '{maker}' in manufacturers/: choose one of {known}");
        file.refuse(raw.default_maker.span(), reason);
    }
}
