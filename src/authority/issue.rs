//! Builds, signs and judges one certificate. It is nobody's before its event is committed.

use der::asn1::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::Authority;
use super::ca::{FIRST_SHARD, IssuingCa};
use super::error::Failed;
use crate::clock::Timestamp;
use crate::config::{KeyUsageBit, Profile};
use crate::ids::Serial;
use crate::keys::KeyKind;
use crate::pki::certificate::CertificateTemplate;
use crate::pki::extensions::{self as ext, ExtensionError, FlagSet, KeyUsages};
use crate::pki::key::PublicKey;
use crate::pki::lint::lint_issued;

/// What goes into a certificate besides what its profile and its CA say.
pub(super) struct Content<'a> {
    pub(super) profile: &'a Profile,
    pub(super) model: Option<&'a str>,
    pub(super) subject: Name,
    pub(super) alt_names: Vec<GeneralName>,
    pub(super) key: &'a PublicKey,
}

/// A signed certificate that is not yet recorded.
pub(super) struct Signed {
    pub(super) serial: Serial,
    /// The shard whose list it names, for ever.
    pub(super) shard: u32,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) der: Vec<u8>,
}

impl Authority {
    /// Signs by the profile and lets the linter judge the result; what it finds never leaves the house.
    pub(super) async fn sign<R>(
        &self,
        ca: &IssuingCa,
        content: Content<'_>,
        now: Timestamp,
    ) -> Result<Signed, Failed<R>> {
        let serial = Serial::generate(now, &*self.random);
        let shard = if content.profile.revocation_pointers() {
            serial.shard(ca.settings().crl_shards())
        } else {
            FIRST_SHARD
        };
        let (not_before, not_after) = validity(ca, content.profile, content.model, now);
        let template = CertificateTemplate {
            serial,
            issuer: ca.subject().clone(),
            extensions: extensions(ca, shard, &content).map_err(unbuildable)?,
            subject: content.subject,
            not_before,
            not_after,
            public_key: content.key.clone(),
            signer: ca.signer.kind(),
        };
        let unsigned = template.to_be_signed().map_err(unbuildable)?;
        let signature = ca.signer.sign(unsigned.bytes()).await?;
        let der = unsigned.assemble(&signature).map_err(unbuildable)?;
        let findings = lint_issued(&der, &ca.judge);
        if let Some(finding) = findings.first() {
            return Err(Failed::Unavailable(format!(
                "profile {} gives a certificate that must not be issued: {} {}",
                content.profile.name(),
                finding.rule,
                finding.text
            )));
        }
        Ok(Signed { serial, shard, not_before, not_after, der })
    }
}

fn unbuildable<R>(error: impl std::fmt::Display) -> Failed<R> {
    Failed::Unavailable(format!("cannot build the certificate: {error}"))
}

/// Both ends are included, so a lifetime of n seconds ends at second n - 1 (P05); never beyond the CA's own end.
fn validity(
    ca: &IssuingCa,
    profile: &Profile,
    model: Option<&str>,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let now = now.whole_second();
    let not_before = (now - profile.backdate()).max(ca.not_before());
    let not_after = (now + profile.lifetime(model) - std::time::Duration::from_secs(1)).min(ca.not_after());
    (not_before, not_after)
}

fn extensions(ca: &IssuingCa, shard: u32, content: &Content<'_>) -> Result<Vec<Extension>, ExtensionError> {
    let profile = content.profile;
    let mut list =
        vec![ext::subject_key_id(content.key.key_id()), ext::authority_key_id(ca.public_key().key_id())];
    if !profile.key_usage().is_empty() {
        list.push(ext::key_usage(key_usages(profile.key_usage()))?);
    }
    if !profile.extended_key_usage().is_empty() {
        let usages = usages_of(profile);
        list.push(ext::extended_key_usage(&usages, profile.extended_key_usage_critical())?);
    }
    if !content.alt_names.is_empty() {
        list.push(ext::subject_alt_name(&content.alt_names, content.subject.is_empty())?);
    }
    if let Some(policy) = profile.policy() {
        // Its form was checked when the configuration was loaded.
        list.extend(ObjectIdentifier::new(policy).map(ext::certificate_policy));
    }
    if profile.ocsp_no_check() {
        list.push(ext::ocsp_no_check());
    }
    if profile.revocation_pointers() {
        list.push(ext::crl_distribution_point(&ca.crl_url(shard))?);
        list.push(ext::authority_info_access(Some(ca.ocsp_url()), Some(ca.issuer_url()))?);
    }
    Ok(list)
}

/// The profile's extended key usages; their form was checked when the configuration was loaded.
pub(super) fn usages_of(profile: &Profile) -> Vec<ObjectIdentifier> {
    profile.extended_key_usage().iter().filter_map(|usage| ObjectIdentifier::new(usage.oid()).ok()).collect()
}

pub(super) fn key_usages(bits: &[KeyUsageBit]) -> FlagSet<KeyUsages> {
    let usage = |bit: &KeyUsageBit| match bit {
        KeyUsageBit::DigitalSignature => KeyUsages::DigitalSignature,
        KeyUsageBit::NonRepudiation => KeyUsages::NonRepudiation,
        KeyUsageBit::KeyEncipherment => KeyUsages::KeyEncipherment,
        KeyUsageBit::DataEncipherment => KeyUsages::DataEncipherment,
        KeyUsageBit::KeyAgreement => KeyUsages::KeyAgreement,
    };
    bits.iter().map(usage).fold(FlagSet::default(), |all, bit| all | bit)
}

/// The certificate of a CA itself.
pub(super) struct CaContent<'a> {
    pub(super) serial: Serial,
    pub(super) issuer: Name,
    pub(super) subject: Name,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) key: &'a PublicKey,
    pub(super) issuer_key: &'a PublicKey,
    pub(super) signer: KeyKind,
    pub(super) path_len: Option<u8>,
    /// Where its issuer's status is served; for a root, its own.
    pub(super) pointers: super::ca::Urls,
    pub(super) is_root: bool,
}

pub(super) fn ca_template(content: CaContent<'_>) -> Result<CertificateTemplate, ExtensionError> {
    let mut extensions = vec![
        ext::basic_constraints_ca(content.path_len),
        ext::key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)?,
        ext::subject_key_id(content.key.key_id()),
    ];
    // A root too says where its CRL is: 'openssl verify -crl_check_all' asks for one at every depth.
    extensions.push(ext::crl_distribution_point(&content.pointers.crl)?);
    if !content.is_root {
        extensions.push(ext::authority_key_id(content.issuer_key.key_id()));
        let (ocsp, issuer) = (&content.pointers.ocsp, &content.pointers.issuer);
        extensions.push(ext::authority_info_access(Some(ocsp), Some(issuer))?);
        extensions.push(ext::any_policy());
    }
    Ok(CertificateTemplate {
        serial: content.serial,
        issuer: content.issuer,
        subject: content.subject,
        not_before: content.not_before,
        not_after: content.not_after,
        public_key: content.key.clone(),
        signer: content.signer,
        extensions,
    })
}
