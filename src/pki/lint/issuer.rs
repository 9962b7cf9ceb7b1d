//! A certificate under its issuer (P02, P03, P05, P11, P12, P13, P22).

use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_SUBJECT_KEY_IDENTIFIER,
};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, SubjectKeyIdentifier};

use super::extensions::{KEY_CERT_SIGN, key_usage_bits};
use super::raw::take;
use super::{Findings, Judged};

pub(super) fn judge(subject: &Judged<'_>, issuer: &Judged<'_>, findings: &mut Findings) {
    let self_signed = subject.raw.message == issuer.raw.message;
    findings.require(
        subject.raw.issuer == issuer.raw.subject,
        "P03",
        "its issuer is not, byte for byte, the subject of the issuer's certificate (section 4.1.2.4)",
    );
    findings.require(
        signature_verifies(subject, issuer),
        "P02",
        "its signature does not verify with the issuer's key",
    );

    let (ours, theirs) =
        (subject.parsed.tbs_certificate().validity(), issuer.parsed.tbs_certificate().validity());
    let within = ours.not_after.to_unix_duration() <= theirs.not_after.to_unix_duration();
    findings.require(within, "P05", "it ends after its issuer's certificate");
    let within = ours.not_before.to_unix_duration() >= theirs.not_before.to_unix_duration();
    findings.require(within, "P05", "it begins before its issuer's certificate");

    let ski = issuer.value::<SubjectKeyIdentifier>(ID_CE_SUBJECT_KEY_IDENTIFIER);
    let aki = subject.value::<AuthorityKeyIdentifier>(ID_CE_AUTHORITY_KEY_IDENTIFIER);
    if let (Some(ski), Some(aki)) = (ski, aki.and_then(|aki| aki.key_identifier)) {
        let same = ski.0.as_bytes() == aki.as_bytes();
        findings.require(same, "P11", "its AKI is not the SKI of its issuer (section 4.2.1.1)");
    }

    findings.require(issuer.is_ca(), "P12", "its issuer is not a CA (section 4.2.1.9)");
    let may_sign = key_usage_bits(issuer).is_none_or(|(bits, _)| bits & KEY_CERT_SIGN != 0);
    findings.require(may_sign, "P13", "its issuer's key may not sign certificates (section 4.2.1.3)");
    if !self_signed {
        path_length(subject, issuer, findings);
        let same_key = subject.raw.spki == issuer.raw.spki;
        findings.require(!same_key || subject.is_self_issued(), "P22", "it has the key of its issuer");
    }
}

/// P12: a CA below one with a path length has a shorter one.
fn path_length(subject: &Judged<'_>, issuer: &Judged<'_>, findings: &mut Findings) {
    let limit = |judged: &Judged<'_>| {
        judged
            .value::<BasicConstraints>(ID_CE_BASIC_CONSTRAINTS)
            .and_then(|constraints| constraints.path_len_constraint)
    };
    // Self-issued certificates, as in a rollover, do not count (RFC 5280 section 6.1.4 (l)).
    if let Some(above) = limit(issuer)
        && subject.is_ca()
        && !subject.is_self_issued()
    {
        let shorter = limit(subject).is_some_and(|below| below < above);
        findings.require(
            shorter,
            "P12",
            "its path length is not shorter than its issuer's (section 4.2.1.9)",
        );
    }
}

/// With the algorithms of webpki, found by the whole AlgorithmIdentifiers of key and signature.
fn signature_verifies(subject: &Judged<'_>, issuer: &Judged<'_>) -> bool {
    let key = || {
        let mut spki = issuer.raw.spki;
        let mut fields = take(&mut spki)?.value;
        let algorithm = take(&mut fields)?.value;
        // The first octet of a BIT STRING counts its unused bits.
        let (0, key) = take(&mut fields)?.value.split_first().map(|(unused, key)| (*unused, key))? else {
            return None;
        };
        Some((algorithm, key))
    };
    let (Some((key_algorithm, key)), Some((0, signature))) =
        (key(), subject.raw.signature.split_first().map(|(unused, bits)| (*unused, bits)))
    else {
        return false;
    };
    webpki::ALL_VERIFICATION_ALGS.iter().any(|algorithm| {
        *algorithm.public_key_alg_id() == *key_algorithm
            && *algorithm.signature_alg_id() == *subject.raw.outer_algorithm.value
            && algorithm.verify_signature(key, subject.raw.message, signature).is_ok()
    })
}
