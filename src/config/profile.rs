//! `profiles/*.toml`: what each kind of certificate says and who may have it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::purpose::{ChannelBinding, Eku, KeyRule, KeyUsageBit, Proof, SubjectKey};
use super::renewal::Renewal;
use super::text::{Template, deserialize_from_str};
use crate::ids::{BadId, CaName, Digest, ProfileName};

/// Every profile, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles {
    pub(super) by_name: BTreeMap<ProfileName, Profile>,
    pub(super) default_label: ProfileName,
}

impl Profiles {
    pub fn get(&self, name: &ProfileName) -> Option<&Profile> {
        self.by_name.get(name)
    }

    /// In order of name.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.by_name.values()
    }

    /// The profile of an EST path without a label.
    pub fn default_label(&self) -> &ProfileName {
        &self.default_label
    }
}

/// Which CA signs certificates of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    One(CaName),
    /// Each CA for itself, as OCSP responders are.
    Every,
}

impl std::str::FromStr for Issuer {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if text == "every" { Ok(Self::Every) } else { text.parse().map(Self::One) }
    }
}

deserialize_from_str!(Issuer);

/// Who holds certificates of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HolderKind {
    Device,
    /// A machine that is no device, with its kind, such as `signer` or `service`.
    Identity(String),
    /// Vitae itself and its operators; never reachable as an EST label.
    Authority,
}

impl HolderKind {
    /// The placeholders that a record of this kind can fill.
    pub(super) fn placeholders(&self) -> &'static [&'static str] {
        match self {
            Self::Device => &["serial", "model", "maker", "device", "uuid", "udi-di"],
            Self::Identity(_) => &["name", "maker"],
            Self::Authority => &["name", "role"],
        }
    }
}

/// An attribute of the subject name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameAttribute {
    CommonName,
    SerialNumber,
    Organization,
    OrganizationalUnit,
}

/// An entry of the subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AltName {
    Uri(Template),
    Dns(Template),
    /// RFC 4108 hardwareModuleName.
    HardwareModule {
        type_oid: Template,
        serial: Template,
    },
    /// The names of the listeners, from `vitae.toml`.
    ServerNames,
}

/// One kind of certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(super) name: ProfileName,
    pub(super) title: String,
    pub(super) ca: Issuer,
    pub(super) holder: HolderKind,
    pub(super) lifetime: Duration,
    pub(super) lifetime_of_model: BTreeMap<String, Duration>,
    pub(super) backdate: Duration,
    pub(super) birth: bool,
    pub(super) renewal: Option<Renewal>,
    pub(super) approval: bool,
    pub(super) channel_binding: ChannelBinding,
    pub(super) server_key: Option<SubjectKey>,
    pub(super) authenticate_by: Vec<Proof>,
    pub(super) keys: Vec<KeyRule>,
    pub(super) subject: Vec<(NameAttribute, Template)>,
    pub(super) subject_alt_names: Vec<AltName>,
    pub(super) key_usage: Vec<KeyUsageBit>,
    pub(super) extended_key_usage: Vec<Eku>,
    pub(super) extended_key_usage_critical: bool,
    pub(super) policy: Option<String>,
    pub(super) ocsp_no_check: bool,
    pub(super) revocation_pointers: bool,
    pub(super) digest: Digest,
}

impl Profile {
    pub fn name(&self) -> &ProfileName {
        &self.name
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn ca(&self) -> &Issuer {
        &self.ca
    }

    pub fn holder(&self) -> &HolderKind {
        &self.holder
    }

    /// Can it be asked for over EST?
    pub fn is_label(&self) -> bool {
        self.holder != HolderKind::Authority
    }

    /// The model's own lifetime, else the profile's.
    pub fn lifetime(&self, model: Option<&str>) -> Duration {
        model.and_then(|model| self.lifetime_of_model.get(model)).copied().unwrap_or(self.lifetime)
    }

    /// How far notBefore lies before the moment of signing, for devices whose clock is late.
    pub fn backdate(&self) -> Duration {
        self.backdate
    }

    /// Do its certificates prove who a device is when it enrols for the others?
    pub fn is_birth(&self) -> bool {
        self.birth
    }

    /// Do its certificates make their holder a registration authority (id-kp-cmcRA, RFC 7030 section 3.7)?
    pub fn is_registration_authority(&self) -> bool {
        self.extended_key_usage.contains(&Eku::CmcRa)
    }

    /// `None`: the old certificate cannot ask for the next one.
    pub fn renewal(&self) -> Option<&Renewal> {
        self.renewal.as_ref()
    }

    /// Must an operator approve each first enrolment?
    pub fn needs_approval(&self) -> bool {
        self.approval
    }

    pub fn channel_binding(&self) -> ChannelBinding {
        self.channel_binding
    }

    /// The kind of key that the server makes for devices that cannot (serverkeygen). `None`: it makes none.
    pub fn server_key(&self) -> Option<SubjectKey> {
        self.server_key
    }

    /// The proofs that are good enough for a first enrolment.
    pub fn authenticate_by(&self) -> &[Proof] {
        &self.authenticate_by
    }

    pub fn keys(&self) -> &[KeyRule] {
        &self.keys
    }

    /// In the order of the certificate.
    pub fn subject(&self) -> &[(NameAttribute, Template)] {
        &self.subject
    }

    pub fn subject_alt_names(&self) -> &[AltName] {
        &self.subject_alt_names
    }

    /// Empty: no key usage extension.
    pub fn key_usage(&self) -> &[KeyUsageBit] {
        &self.key_usage
    }

    /// Empty: no extended key usage extension.
    pub fn extended_key_usage(&self) -> &[Eku] {
        &self.extended_key_usage
    }

    pub fn extended_key_usage_critical(&self) -> bool {
        self.extended_key_usage_critical
    }

    /// The OID of the certificate policy.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    pub fn ocsp_no_check(&self) -> bool {
        self.ocsp_no_check
    }

    /// Does the certificate say where its CRL, OCSP responder and issuer certificate are?
    pub fn revocation_pointers(&self) -> bool {
        self.revocation_pointers
    }

    /// SHA-256 of the profile's file: which version of the profile a certificate was made by.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}
