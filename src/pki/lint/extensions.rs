//! The extensions, each by itself and all together (P11 to P17, O22, O23).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_AD_CA_ISSUERS, ID_AD_OCSP, ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS,
    ID_CE_CERTIFICATE_POLICIES, ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_EXT_KEY_USAGE, ID_CE_FRESHEST_CRL,
    ID_CE_KEY_USAGE, ID_CE_NAME_CONSTRAINTS, ID_CE_SUBJECT_ALT_NAME, ID_CE_SUBJECT_KEY_IDENTIFIER,
    ID_KP_OCSP_SIGNING, ID_PE_AUTHORITY_INFO_ACCESS,
};
use const_oid::db::rfc5912::ID_CE_NO_REV_AVAIL;
use const_oid::db::rfc6960::ID_PKIX_OCSP_NOCHECK;
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    CrlDistributionPoints, NameConstraints, SubjectKeyIdentifier,
};

use super::names::is_absolute_uri;
use super::{Findings, Judged};

/// RFC 4108 section 5.
const ID_ON_HARDWARE_MODULE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.4");
const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// keyCertSign and cRLSign of KeyUsage, bit 0 being the highest of the first octet.
pub(super) const KEY_CERT_SIGN: u16 = 1 << (15 - 5);
const KEY_ENCIPHERMENT: u16 = 1 << (15 - 2);
const DATA_ENCIPHERMENT: u16 = 1 << (15 - 3);
const KEY_AGREEMENT: u16 = 1 << (15 - 4);
const ENCIPHER_ONLY: u16 = 1 << (15 - 7);
const DECIPHER_ONLY: u16 = 1 << (15 - 8);
const UNKNOWN_USAGES: u16 = DECIPHER_ONLY - 1;

/// An extension that is not here came from nowhere (B06): RFC 5280 has more, none of which a profile can ask for.
const WRITTEN: [ObjectIdentifier; 12] = [
    ID_CE_SUBJECT_KEY_IDENTIFIER,
    ID_CE_KEY_USAGE,
    ID_CE_SUBJECT_ALT_NAME,
    ID_CE_BASIC_CONSTRAINTS,
    ID_CE_NAME_CONSTRAINTS,
    ID_CE_CRL_DISTRIBUTION_POINTS,
    ID_CE_CERTIFICATE_POLICIES,
    ID_CE_AUTHORITY_KEY_IDENTIFIER,
    ID_CE_EXT_KEY_USAGE,
    ID_CE_NO_REV_AVAIL,
    ID_PE_AUTHORITY_INFO_ACCESS,
    ID_PKIX_OCSP_NOCHECK,
];

pub(super) fn judge(subject: &Judged<'_>, findings: &mut Findings) {
    let extensions = subject.extensions();
    for (at, extension) in extensions.iter().enumerate() {
        if extensions[..at].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
            findings.add("P16", format!("its extension {} appears twice (section 4.2)", extension.extn_id));
        }
        if !WRITTEN.contains(&extension.extn_id) {
            findings
                .add("P16", format!("it has the extension {}, which no profile writes", extension.extn_id));
        }
        if !round_trips(extension) {
            findings.add("P23", format!("the value of its extension {} is not in DER", extension.extn_id));
        }
    }
    key_identifiers(subject, findings);
    basic_constraints(subject, findings);
    key_usage(subject, findings);
    extended_key_usage(subject, findings);
    distribution(subject, findings);
    policies_and_constraints(subject, findings);
    no_revocation(subject, findings);
}

/// Whether a known extension is what an encoder writes for what a parser read.
fn round_trips(extension: &Extension) -> bool {
    fn again<'a, T: Decode<'a> + Encode>(value: &'a [u8]) -> bool {
        T::from_der(value).is_ok_and(|parsed| parsed.to_der().is_ok_and(|again| again == value))
    }
    let value = extension.extn_value.as_bytes();
    match extension.extn_id {
        ID_CE_BASIC_CONSTRAINTS => again::<BasicConstraints>(value),
        ID_CE_KEY_USAGE => again::<der::asn1::BitString>(value),
        ID_CE_EXT_KEY_USAGE => again::<Vec<ObjectIdentifier>>(value),
        ID_CE_SUBJECT_KEY_IDENTIFIER => again::<SubjectKeyIdentifier>(value),
        ID_CE_AUTHORITY_KEY_IDENTIFIER => again::<AuthorityKeyIdentifier>(value),
        ID_CE_SUBJECT_ALT_NAME => again::<Vec<GeneralName>>(value),
        ID_CE_CRL_DISTRIBUTION_POINTS => again::<CrlDistributionPoints>(value),
        ID_PE_AUTHORITY_INFO_ACCESS => again::<AuthorityInfoAccessSyntax>(value),
        ID_CE_CERTIFICATE_POLICIES => again::<CertificatePolicies>(value),
        ID_CE_NAME_CONSTRAINTS => again::<NameConstraints>(value),
        ID_PKIX_OCSP_NOCHECK | ID_CE_NO_REV_AVAIL => value == [0x05, 0x00],
        _ => true,
    }
}

/// P11: SKI in every certificate, AKI with a key identifier in all but the self-signed; both non-critical.
fn key_identifiers(subject: &Judged<'_>, findings: &mut Findings) {
    let ski = subject.extension(ID_CE_SUBJECT_KEY_IDENTIFIER);
    findings.require(ski.is_some(), "P11", "it has no SKI (section 4.2.1.2)");
    let is_empty = |ski: SubjectKeyIdentifier| ski.0.as_bytes().is_empty();
    let empty = subject.value(ID_CE_SUBJECT_KEY_IDENTIFIER).is_some_and(is_empty);
    findings.require(!empty, "P11", "its SKI is empty (section 4.2.1.2)");
    let aki = subject.value::<AuthorityKeyIdentifier>(ID_CE_AUTHORITY_KEY_IDENTIFIER);
    // Issuer and serial number go together, and would outlive neither renewal nor cross-certification of the CA.
    let others = |aki: &AuthorityKeyIdentifier| {
        aki.authority_cert_issuer.is_some() || aki.authority_cert_serial_number.is_some()
    };
    let text = "its AKI names the issuer otherwise than by its key (section 4.2.1.1)";
    findings.require(!aki.as_ref().is_some_and(others), "P11", text);
    let has_key_id = aki.is_some_and(|aki| aki.key_identifier.is_some());
    findings.require(
        has_key_id || subject.is_self_issued(),
        "P11",
        "it has no AKI with a key identifier (section 4.2.1.1)",
    );
    for extension in [ski, subject.extension(ID_CE_AUTHORITY_KEY_IDENTIFIER)].into_iter().flatten() {
        findings.require(
            !extension.critical,
            "P11",
            "its AKI or SKI is critical (sections 4.2.1.1, 4.2.1.2)",
        );
    }
}

/// P12: critical in a CA; absent or empty in an end entity.
fn basic_constraints(subject: &Judged<'_>, findings: &mut Findings) {
    let Some(extension) = subject.extension(ID_CE_BASIC_CONSTRAINTS) else { return };
    if subject.is_ca() {
        findings.require(
            extension.critical,
            "P12",
            "it is a CA with basicConstraints not critical (section 4.2.1.9)",
        );
    } else {
        let empty = extension.extn_value.as_bytes() == [0x30, 0x00];
        findings.require(
            empty,
            "P12",
            "it is no CA, but its basicConstraints are not empty (section 4.2.1.9)",
        );
    }
}

/// The bits of KeyUsage, bit 0 the highest, and how many of the last octet are unused; `None` if it is no BIT STRING.
pub(super) fn key_usage_bits(subject: &Judged<'_>) -> Option<(u16, u8)> {
    let value = subject.extension(ID_CE_KEY_USAGE)?.extn_value.as_bytes();
    match value {
        [0x03, 0x01, 0x00] => Some((0, 0)),
        [0x03, 0x02, unused, first] => Some((u16::from(*first) << 8, *unused)),
        [0x03, 0x03, unused, first, second] => Some((u16::from_be_bytes([*first, *second]), *unused)),
        _ => None,
    }
}

/// P13: critical, at least one bit, the last bit written is one, bits that fit the key and the CA flag.
fn key_usage(subject: &Judged<'_>, findings: &mut Findings) {
    let Some(extension) = subject.extension(ID_CE_KEY_USAGE) else {
        findings.require(!subject.is_ca(), "P13", "it is a CA without keyUsage (section 4.2.1.3)");
        return;
    };
    findings.require(extension.critical, "P13", "its keyUsage is not critical (section 4.2.1.3)");
    let Some((bits, unused)) = key_usage_bits(subject) else {
        findings.add("P13", "its keyUsage is not a BIT STRING of one or two octets");
        return;
    };
    findings.require(bits != 0, "P13", "its keyUsage has no bit set (section 4.2.1.3)");
    let last = extension.extn_value.as_bytes().last().copied().unwrap_or(0);
    let trimmed = bits == 0 || last.trailing_zeros() == u32::from(unused);
    findings.require(trimmed, "P13", "its keyUsage has zero bits at the end (X.690 section 11.2.2)");

    findings.require(
        bits & UNKNOWN_USAGES == 0,
        "P13",
        "its keyUsage has a bit that has no name (section 4.2.1.3)",
    );
    let only = bits & (ENCIPHER_ONLY | DECIPHER_ONLY) != 0;
    let text = "encipherOnly and decipherOnly mean nothing without keyAgreement (section 4.2.1.3)";
    findings.require(!only || bits & KEY_AGREEMENT != 0, "P13", text);

    let signs_certificates = bits & KEY_CERT_SIGN != 0;
    findings.require(
        signs_certificates == subject.is_ca(),
        "P13",
        "keyCertSign and the cA flag do not go together (section 4.2.1.9)",
    );
    let enciphers = bits & (KEY_ENCIPHERMENT | DATA_ENCIPHERMENT) != 0;
    let agrees = bits & KEY_AGREEMENT != 0;
    let algorithm = subject.parsed.tbs_certificate().subject_public_key_info().algorithm.oid.to_string();
    let fits = match algorithm.as_str() {
        // RFC 5480 section 3, as updated by RFC 8813.
        "1.2.840.10045.2.1" => !enciphers,
        // RFC 8410 section 5.
        "1.3.101.112" => !enciphers && !agrees,
        // RFC 3279 section 2.3.1.
        "1.2.840.113549.1.1.1" => !agrees,
        _ => true,
    };
    findings.require(fits, "P13", "its keyUsage has bits that do not fit its key algorithm");
}

fn names_hardware(subject: &Judged<'_>) -> bool {
    let names = subject.value::<Vec<GeneralName>>(ID_CE_SUBJECT_ALT_NAME).unwrap_or_default();
    names.iter().any(
        |name| matches!(name, GeneralName::OtherName(other) if other.type_id == ID_ON_HARDWARE_MODULE_NAME),
    )
}

/// P14, O22, O23: named purposes only, and OCSP signing only for a signer.
fn extended_key_usage(subject: &Judged<'_>, findings: &mut Findings) {
    let purposes = subject.value::<Vec<ObjectIdentifier>>(ID_CE_EXT_KEY_USAGE);
    let no_check = subject.extension(ID_PKIX_OCSP_NOCHECK);
    let signs_ocsp = purposes.as_ref().is_some_and(|purposes| purposes.contains(&ID_KP_OCSP_SIGNING));
    if let Some(purposes) = &purposes {
        findings.require(!purposes.is_empty(), "P14", "its extKeyUsage is empty (section 4.2.1.12)");
        let any = purposes.contains(&ANY_EXTENDED_KEY_USAGE);
        findings.require(!any, "P14", "it has anyExtendedKeyUsage");
        let again = |(at, purpose)| purposes[..at].contains(purpose);
        findings.require(!purposes.iter().enumerate().any(again), "P14", "it has one purpose twice");
    } else if subject.extension(ID_CE_EXT_KEY_USAGE).is_none() {
        // A birth identity (IEEE 802.1AR) names its hardware and outlives any list of purposes (RFC 8995 section 2.3).
        let text = "it is an end entity without extKeyUsage, which makes it good for every purpose";
        findings.require(subject.is_ca() || names_hardware(subject), "P14", text);
    }
    findings.require(!(signs_ocsp && subject.is_ca()), "O22", "it is a CA with the purpose OCSPSigning");
    if let Some(no_check) = no_check {
        findings.require(
            signs_ocsp,
            "O23",
            "it has ocsp-nocheck without the purpose OCSPSigning (RFC 6960 4.2.2.2.1)",
        );
        findings.require(
            !no_check.critical,
            "O23",
            "its ocsp-nocheck is critical (RFC 6960 section 4.2.2.2.1)",
        );
    }
}

/// P15: CRLDP and AIA non-critical, plain http, nothing but whole CRLs.
fn distribution(subject: &Judged<'_>, findings: &mut Findings) {
    for oid in [ID_CE_CRL_DISTRIBUTION_POINTS, ID_PE_AUTHORITY_INFO_ACCESS] {
        let critical = subject.extension(oid).is_some_and(|extension| extension.critical);
        findings.require(!critical, "P15", "its CRLDP or AIA is critical (sections 4.2.1.13, 4.2.2.1)");
    }
    if let Some(points) = subject.value::<CrlDistributionPoints>(ID_CE_CRL_DISTRIBUTION_POINTS) {
        findings.require(!points.0.is_empty(), "P15", "its CRLDP is empty (section 4.2.1.13)");
        for point in &points.0 {
            let http = match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => {
                    !names.is_empty() && names.iter().all(is_http)
                }
                _ => false,
            };
            findings.require(http, "P15", "its CRLDP has a point without an http URL (section 4.2.1.13)");
            let whole = point.reasons.is_none() && point.crl_issuer.is_none();
            findings.require(whole, "P15", "its CRLDP has a point for some reasons, or of another issuer");
        }
    }
    if let Some(access) = subject.value::<AuthorityInfoAccessSyntax>(ID_PE_AUTHORITY_INFO_ACCESS) {
        findings.require(!access.0.is_empty(), "P15", "its AIA is empty (section 4.2.2.1)");
        for description in &access.0 {
            let known = [ID_AD_OCSP, ID_AD_CA_ISSUERS].contains(&description.access_method);
            let text = "its AIA has a location that is not an http URL, or another method (section 4.2.2.1)";
            findings.require(known && is_http(&description.access_location), "P15", text);
        }
    }
}

pub(super) fn is_http(name: &GeneralName) -> bool {
    let GeneralName::UniformResourceIdentifier(uri) = name else { return false };
    uri.as_str().get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
        && is_absolute_uri(uri.as_str())
}

/// P16: nameConstraints critical and in CAs only, in their one legal form; policies named once.
fn policies_and_constraints(subject: &Judged<'_>, findings: &mut Findings) {
    if let Some(policies) = subject.value::<CertificatePolicies>(ID_CE_CERTIFICATE_POLICIES) {
        findings.require(
            !policies.0.is_empty(),
            "P16",
            "its certificatePolicies are empty (section 4.2.1.4)",
        );
        for (at, policy) in policies.0.iter().enumerate() {
            let again =
                policies.0[..at].iter().any(|earlier| earlier.policy_identifier == policy.policy_identifier);
            findings.require(!again, "P16", "it names a policy twice (section 4.2.1.4)");
            let text = "it qualifies a policy, where the OID alone is to stand (section 4.2.1.4)";
            findings.require(policy.policy_qualifiers.is_none(), "P16", text);
        }
    }
    let Some(extension) = subject.extension(ID_CE_NAME_CONSTRAINTS) else { return };
    findings.require(subject.is_ca(), "P16", "it is no CA and has nameConstraints (section 4.2.1.10)");
    findings.require(extension.critical, "P16", "its nameConstraints are not critical (section 4.2.1.10)");
    if let Some(constraints) = subject.value::<NameConstraints>(ID_CE_NAME_CONSTRAINTS) {
        let subtrees = [constraints.permitted_subtrees, constraints.excluded_subtrees];
        let subtrees: Vec<GeneralSubtree> = subtrees.into_iter().flatten().flatten().collect();
        findings.require(!subtrees.is_empty(), "P16", "its nameConstraints are empty (section 4.2.1.10)");
        let plain = subtrees.iter().all(|subtree| subtree.minimum == 0 && subtree.maximum.is_none());
        findings.require(plain, "P16", "its nameConstraints have a minimum or maximum (section 4.2.1.10)");
    }
}

/// P17: who says that there is no revocation must not say where to ask for it (RFC 9608).
fn no_revocation(subject: &Judged<'_>, findings: &mut Findings) {
    let Some(extension) = subject.extension(ID_CE_NO_REV_AVAIL) else { return };
    findings.require(!extension.critical, "P17", "its noRevAvail is critical (RFC 9608)");
    findings.require(!subject.is_ca(), "P17", "it is a CA with noRevAvail (RFC 9608)");
    let points = [ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_FRESHEST_CRL];
    let has_points = points.into_iter().any(|oid| subject.extension(oid).is_some());
    let access = subject.value::<AuthorityInfoAccessSyntax>(ID_PE_AUTHORITY_INFO_ACCESS);
    let has_ocsp = access.is_some_and(|access| access.0.iter().any(|one| one.access_method == ID_AD_OCSP));
    findings.require(
        !has_points && !has_ocsp,
        "P17",
        "it has noRevAvail and an address to ask for revocation (RFC 9608)",
    );
}
