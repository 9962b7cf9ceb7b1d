//! Reads one profile's file and refuses what could never give a good certificate.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::duration::Length;
use super::hierarchy::{Hierarchy, list};
use super::profile::{AltName, HolderKind, Issuer, NameAttribute, Profile};
use super::purpose::{ChannelBinding, Eku, KeyRule, KeyUsageBit, Proof, SubjectKey};
use super::renewal::{self, RawRenewal};
use super::text::{Oid, Template, is_oid};
use super::tree::{File, Tree};
use crate::ids::{CaName, Digest, ProfileName};

/// The last part of every EST path (RFC 7030 section 3.2.2): as a label, it could not be told apart.
const EST_OPERATIONS: [&str; 7] =
    ["cacerts", "simpleenroll", "simplereenroll", "csrattrs", "serverkeygen", "fullcmc", "renewal-info"];

/// The profiles that Vitae itself needs: for OCSP answers, its listeners, its operators and its proofs.
const OWN: [&str; 4] = ["ocsp", "server", "admin", "evidence"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawProfile {
    title: String,
    ca: Spanned<Issuer>,
    holder: Spanned<HolderKind>,
    lifetime: Spanned<Length>,
    #[serde(default)]
    lifetime_of_model: BTreeMap<String, Spanned<Length>>,
    backdate: Spanned<Length>,
    #[serde(default)]
    birth: bool,
    renewal: Option<Spanned<RawRenewal>>,
    authenticate_by: Option<Spanned<Vec<Spanned<Proof>>>>,
    approval: Option<Spanned<bool>>,
    channel_binding: Option<Spanned<ChannelBinding>>,
    server_key: Option<Spanned<SubjectKey>>,
    keys: Spanned<Vec<KeyRule>>,
    subject: Spanned<Vec<Spanned<RawName>>>,
    #[serde(default)]
    subject_alt_names: Vec<Spanned<RawAltName>>,
    #[serde(default)]
    key_usage: Vec<KeyUsageBit>,
    #[serde(default)]
    extended_key_usage: Vec<Spanned<Eku>>,
    extended_key_usage_critical: Option<Spanned<bool>>,
    policy: Option<Oid>,
    ocsp_no_check: Option<Spanned<bool>>,
    revocation_pointers: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawName {
    CommonName(Template),
    SerialNumber(Template),
    Organization(Template),
    OrganizationalUnit(Template),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawAltName {
    Uri(Template),
    Dns(Template),
    HardwareModule(RawHardwareModule),
    ServerNames,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHardwareModule {
    #[serde(rename = "type")]
    type_oid: Template,
    serial: Template,
}

/// Vitae cannot run without its own profiles.
pub(super) fn check_own(tree: &Tree, profiles: &BTreeMap<ProfileName, Profile>) {
    for name in OWN {
        let found = profiles.values().find(|profile| profile.name.as_str() == name);
        let file = format!("profiles/{name}.toml");
        match found {
            None => tree.refuse(
                &file,
                1,
                "is missing, and Vitae needs a certificate of it itself: put it back as shipped",
            ),
            Some(profile) if profile.holder != HolderKind::Authority => {
                tree.refuse(&file, 1, "is for Vitae itself: write holder = \"authority\"");
            }
            Some(profile) if (profile.ca == Issuer::Every) != (name == "ocsp") => {
                let reason =
                    "ca must be \"every\" for ocsp, since each CA answers for itself, and one CA otherwise";
                tree.refuse(&file, 1, reason);
            }
            Some(_) => {}
        }
    }
}

/// A CA that signs no certificate is a mistake, or a key too many.
pub(super) fn check_every_ca_is_used(
    file: &File,
    hierarchy: &Hierarchy,
    places: &BTreeMap<CaName, Range<usize>>,
    profiles: &BTreeMap<ProfileName, Profile>,
) {
    for ca in hierarchy.cas() {
        let has_profile = profiles.values().any(|profile| profile.ca == Issuer::One(ca.name().clone()));
        let has_sub_ca = hierarchy.cas().iter().any(|sub| sub.issuer() == Some(ca.name()));
        if !has_profile && !has_sub_ca {
            let reason = format!(
                "CA '{}' issues nothing: name it in a profile or as an issuer, or take it out",
                ca.name()
            );
            file.refuse(places.get(ca.name()).cloned().unwrap_or(0..0), reason);
        }
    }
}

pub(super) fn check(file: &File, name: ProfileName, raw: RawProfile, hierarchy: &Hierarchy) -> Profile {
    if EST_OPERATIONS.contains(&name.as_str()) {
        file.refuse(0..0, format!("'{name}' is an EST operation and cannot be a label: rename the file"));
    }
    check_holder(file, &raw);
    check_door(file, &raw);
    check_lifetimes(file, &raw, hierarchy);
    check_extensions(file, &raw);
    let holder = raw.holder.get_ref();
    for entry in raw.subject.get_ref() {
        let (_, template) = name_part(entry.get_ref());
        check_placeholders(file, entry.span(), template, holder);
    }
    for entry in &raw.subject_alt_names {
        check_alt_name(file, entry, holder);
    }
    // IEEE 802.1AR asks for it, and a certificate without it would be refused when it is issued (P10).
    let is_serial = |entry: &Spanned<RawName>| matches!(entry.get_ref(), RawName::SerialNumber(_));
    let is_module = |entry: &Spanned<RawAltName>| matches!(entry.get_ref(), RawAltName::HardwareModule(_));
    if raw.subject_alt_names.iter().any(is_module) && !raw.subject.get_ref().iter().any(is_serial) {
        let reason = "whoever names its hardware has a serial-number in its subject too: add one";
        file.refuse(raw.subject.span(), reason);
    }
    finish(file, name, raw)
}

fn check_holder(file: &File, raw: &RawProfile) {
    let holder = raw.holder.get_ref();
    let proofs = raw.authenticate_by.as_ref();
    match (holder, proofs) {
        (HolderKind::Authority, Some(proofs)) => {
            file.refuse(proofs.span(), "no one enrols for a profile of the authority: take authenticate-by out");
        }
        (HolderKind::Authority, None) => {}
        (_, None) => file.refuse(
            raw.holder.span(),
            "says not how a first enrolment is authenticated: write authenticate-by = [\"birth-certificate\", \"token\"] or one of them",
        ),
        (_, Some(proofs)) if proofs.get_ref().is_empty() => {
            file.refuse(proofs.span(), "without a proof no one can enrol: name birth-certificate, token or registration-authority");
        }
        (HolderKind::Identity(_), Some(proofs)) => {
            let births = proofs.get_ref().iter().filter(|proof| *proof.get_ref() == Proof::BirthCertificate);
            for proof in births {
                file.refuse(proof.span(), "only devices have a birth certificate: use token");
            }
            let delegated =
                proofs.get_ref().iter().filter(|proof| *proof.get_ref() == Proof::RegistrationAuthority);
            for proof in delegated {
                file.refuse(proof.span(), "a registration authority enrols devices alone: use token");
            }
        }
        (HolderKind::Device, Some(_)) => {}
    }
    if let HolderKind::Identity(kind) = holder
        && kind.parse::<ProfileName>().is_err()
    {
        file.refuse(
            raw.holder.span(),
            format!(
                "'{kind}' is not a kind of identity: write a name of lower-case letters, digits and dashes"
            ),
        );
    }
    if raw.ca.get_ref() == &Issuer::Every && *holder != HolderKind::Authority {
        file.refuse(raw.ca.span(), "only a profile of the authority is signed by every CA: name one CA");
    }
    if raw.keys.get_ref().is_empty() {
        file.refuse(raw.keys.span(), "without a kind of key no request fits: name one, such as p256");
    }
    if raw.subject.get_ref().is_empty() {
        file.refuse(raw.subject.span(), "some verifiers refuse an empty subject: give it a common-name");
    }
}

/// What is said about requests must fit the profile.
fn check_door(file: &File, raw: &RawProfile) {
    let of_authority = *raw.holder.get_ref() == HolderKind::Authority;
    let spans = [
        ("approval", raw.approval.as_ref().map(Spanned::span)),
        ("channel-binding", raw.channel_binding.as_ref().map(Spanned::span)),
        ("server-key", raw.server_key.as_ref().map(Spanned::span)),
        ("[renewal]", raw.renewal.as_ref().map(Spanned::span)),
    ];
    for (key, span) in spans {
        match span {
            Some(span) if of_authority => {
                file.refuse(span, format!("no one enrols for a profile of the authority: take {key} out"));
            }
            None if !of_authority && key == "channel-binding" => file.refuse(
                raw.holder.span(),
                "says not whether requests are tied to their connection: write channel-binding = \"optional\", \"required\" or \"ignored\"",
            ),
            _ => {}
        }
    }
    let Some(server_key) = &raw.server_key else { return };
    if raw.approval.as_ref().is_some_and(|approval| *approval.get_ref()) {
        let reason = "the key that the server makes for a request is not kept while the request waits for approval: take server-key or approval out";
        file.refuse(server_key.span(), reason);
    }
    match server_key.get_ref() {
        SubjectKey::Ed25519 | SubjectKey::P521 => file.refuse(
            server_key.span(),
            format!("the server makes no {} keys: use p256, p384 or rsa-BITS", server_key.get_ref()),
        ),
        // The sizes that clients know, and that are made in seconds.
        SubjectKey::Rsa { min_bits } if ![2048, 3072, 4096].contains(min_bits) => file.refuse(
            server_key.span(),
            format!("the server makes no RSA keys of {min_bits} bits: use rsa-2048, rsa-3072 or rsa-4096"),
        ),
        kind if !raw.keys.get_ref().contains(kind) => {
            file.refuse(
                server_key.span(),
                format!("{kind} is not among the keys of this profile: add it there"),
            );
        }
        _ => {}
    }
}

fn check_lifetimes(file: &File, raw: &RawProfile, hierarchy: &Hierarchy) {
    let longest: Option<(&CaName, Duration)> = match raw.ca.get_ref() {
        Issuer::One(name) => match hierarchy.ca(name) {
            Some(ca) => Some((ca.name(), ca.lifetime())),
            None => {
                let known = list(hierarchy.cas().iter().map(|ca| ca.name()));
                let reason = format!("there is no CA named '{name}' in hierarchy.toml: known are {known}");
                file.refuse(raw.ca.span(), reason);
                None
            }
        },
        Issuer::Every => {
            hierarchy.cas().iter().map(|ca| (ca.name(), ca.lifetime())).min_by_key(|(_, lifetime)| *lifetime)
        }
    };
    for lifetime in raw.lifetime_of_model.values().chain([&raw.lifetime]) {
        let length = lifetime.get_ref();
        if length.0.is_zero() {
            file.refuse(lifetime.span(), "a lifetime of zero ends at once: write a longer one");
        }
        if let Some((ca, longest)) = longest.filter(|(_, longest)| length.0 > *longest) {
            let reason = format!(
                "the certificate would live longer ({length}) than its CA '{ca}' ({}): shorten it or lengthen the CA's",
                Length(longest)
            );
            file.refuse(lifetime.span(), reason);
        }
        let backdate = raw.backdate.get_ref();
        if backdate >= length && !length.0.is_zero() {
            file.refuse(
                raw.backdate.span(),
                format!("backdate ({backdate}) must be shorter than the lifetime ({length})"),
            );
        }
    }
    // An answer signed by a certificate that has ended convinces no one.
    if raw.ca.get_ref() == &Issuer::Every {
        for ca in hierarchy.cas().iter().filter(|ca| ca.ocsp_lifetime() >= raw.lifetime.get_ref().0) {
            let reason = format!(
                "must be longer than the ocsp-lifetime of CA '{}' ({})",
                ca.name(),
                Length(ca.ocsp_lifetime())
            );
            file.refuse(raw.lifetime.span(), reason);
        }
    }
}

fn check_extensions(file: &File, raw: &RawProfile) {
    let ekus = &raw.extended_key_usage;
    if let Some(critical) = raw.extended_key_usage_critical.as_ref().filter(|critical| *critical.get_ref())
        && ekus.is_empty()
    {
        file.refuse(
            critical.span(),
            "there is no extended-key-usage to be critical: write one or take this out",
        );
    }
    for (at, eku) in ekus.iter().enumerate() {
        if ekus[..at].iter().any(|earlier| earlier.get_ref() == eku.get_ref()) {
            file.refuse(eku.span(), "is there twice: name each usage once");
        }
    }
    let ocsp = ekus.iter().find(|eku| *eku.get_ref() == Eku::OcspSigning);
    if let Some(no_check) = raw.ocsp_no_check.as_ref().filter(|no_check| *no_check.get_ref())
        && ocsp.is_none()
    {
        let reason =
            "only an OCSP responder goes unchecked: add ocsp-signing to extended-key-usage or take this out";
        file.refuse(no_check.span(), reason);
    }
    if let Some(ocsp) = ocsp
        && *raw.holder.get_ref() != HolderKind::Authority
    {
        let reason = "whoever holds such a certificate can call any other good: only the authority may";
        file.refuse(ocsp.span(), reason);
    }
    let delegate = ekus.iter().find(|eku| *eku.get_ref() == Eku::CmcRa);
    if let Some(delegate) = delegate
        && !matches!(raw.holder.get_ref(), HolderKind::Identity(_))
    {
        let reason =
            "a registration authority has an owner who answers for it: write holder = { identity = KIND }";
        file.refuse(delegate.span(), reason);
    }
}

fn check_alt_name(file: &File, entry: &Spanned<RawAltName>, holder: &HolderKind) {
    match entry.get_ref() {
        RawAltName::Uri(template) | RawAltName::Dns(template) => {
            check_placeholders(file, entry.span(), template, holder);
        }
        RawAltName::HardwareModule(module) => {
            check_placeholders(file, entry.span(), &module.type_oid, holder);
            check_placeholders(file, entry.span(), &module.serial, holder);
            // A placeholder in an OID must stand for a number.
            let sample = module.type_oid.render(&|_| Some("1".to_owned()));
            if !sample.is_ok_and(|oid| is_oid(&oid)) {
                let reason = format!(
                    "'{}' is not an OID: write numbers with dots, such as 1.3.6.1.4.1.32473.1",
                    module.type_oid
                );
                file.refuse(entry.span(), reason);
            }
        }
        RawAltName::ServerNames if *holder != HolderKind::Authority => {
            file.refuse(
                entry.span(),
                "server-names are those of Vitae itself: only the authority may hold them",
            );
        }
        RawAltName::ServerNames => {}
    }
}

fn check_placeholders(file: &File, at: Range<usize>, template: &Template, holder: &HolderKind) {
    let fillable = holder.placeholders();
    for placeholder in template.placeholders().filter(|name| !fillable.contains(name)) {
        file.refuse(
            at.clone(),
            format!(
                "the record of this holder has nothing for {{{placeholder}}}: use {}",
                list(fillable.iter().map(|name| format!("{{{name}}}")))
            ),
        );
    }
}

fn name_part(raw: &RawName) -> (NameAttribute, &Template) {
    match raw {
        RawName::CommonName(template) => (NameAttribute::CommonName, template),
        RawName::SerialNumber(template) => (NameAttribute::SerialNumber, template),
        RawName::Organization(template) => (NameAttribute::Organization, template),
        RawName::OrganizationalUnit(template) => (NameAttribute::OrganizationalUnit, template),
    }
}

fn finish(file: &File, name: ProfileName, raw: RawProfile) -> Profile {
    let subject = raw.subject.get_ref().iter().map(|entry| {
        let (attribute, template) = name_part(entry.get_ref());
        (attribute, template.clone())
    });
    let alt_names = raw.subject_alt_names.into_iter().map(|entry| match entry.into_inner() {
        RawAltName::Uri(template) => AltName::Uri(template),
        RawAltName::Dns(template) => AltName::Dns(template),
        RawAltName::HardwareModule(module) => {
            AltName::HardwareModule { type_oid: module.type_oid, serial: module.serial }
        }
        RawAltName::ServerNames => AltName::ServerNames,
    });
    let proofs = raw.authenticate_by.map(Spanned::into_inner).unwrap_or_default();
    Profile {
        name,
        title: raw.title,
        ca: raw.ca.into_inner(),
        holder: raw.holder.into_inner(),
        lifetime: raw.lifetime.get_ref().0,
        lifetime_of_model: raw.lifetime_of_model.into_iter().map(|(m, l)| (m, l.get_ref().0)).collect(),
        backdate: raw.backdate.get_ref().0,
        birth: raw.birth,
        renewal: raw.renewal.map(|raw| renewal::check(file, raw.get_ref())),
        approval: raw.approval.is_some_and(Spanned::into_inner),
        // Left out only where no one enrols.
        channel_binding: raw.channel_binding.map_or(ChannelBinding::Ignored, Spanned::into_inner),
        server_key: raw.server_key.map(Spanned::into_inner),
        authenticate_by: proofs.into_iter().map(Spanned::into_inner).collect(),
        keys: raw.keys.into_inner(),
        subject: subject.collect(),
        subject_alt_names: alt_names.collect(),
        key_usage: raw.key_usage,
        extended_key_usage: raw.extended_key_usage.into_iter().map(Spanned::into_inner).collect(),
        extended_key_usage_critical: raw.extended_key_usage_critical.is_some_and(Spanned::into_inner),
        policy: raw.policy.map(Oid::into_string),
        ocsp_no_check: raw.ocsp_no_check.is_some_and(Spanned::into_inner),
        revocation_pointers: raw.revocation_pointers,
        digest: Digest::of(file.text().as_bytes()),
    }
}
