//! The fields every certificate has: version, serial, algorithms, dates, key (P01, P02, P04, P05, P22).

use super::raw::{Element, take};
use super::{Findings, Judged};

pub(super) fn judge(subject: &Judged<'_>, findings: &mut Findings) {
    let raw = &subject.raw;
    findings.require(raw.version == [2], "P01", "its version is not v3 (section 4.1.2.1)");
    serial(raw.serial, findings);

    findings.require(
        raw.inner_algorithm == raw.outer_algorithm,
        "P02",
        "its two algorithm fields differ (section 4.1.1.2)",
    );
    algorithm(raw.outer_algorithm.value, findings);

    for (name, time) in [("notBefore", raw.not_before), ("notAfter", raw.not_after)] {
        if !time_form(time) {
            findings.add("P04", format!("{name} has a wrong form for its year (section 4.1.2.5)"));
        }
    }
    let validity = subject.parsed.tbs_certificate().validity();
    findings.require(
        validity.not_before.to_unix_duration() <= validity.not_after.to_unix_duration(),
        "P05",
        "it ends before it begins",
    );

    let tbs = subject.parsed.tbs_certificate();
    let unique = tbs.issuer_unique_id().is_some() || tbs.subject_unique_id().is_some();
    findings.require(!unique, "P01", "it has a unique identifier, which no CA may write (section 4.1.2.8)");
    let form =
        "its key is of an unknown algorithm, or its parameters or length are not of the only right form";
    findings.require(key_form(raw.spki).is_some(), "P22", form);
}

/// EC on a named curve as an uncompressed point (RFC 5480 section 2), Ed25519 without parameters (RFC 8410 section 3),
/// RSA with NULL (RFC 3279 section 2.3.1). Strength and arithmetic were judged before there was a certificate.
fn key_form(mut spki: &[u8]) -> Option<()> {
    const EC: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
    const P521: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
    const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
    const RSA: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut fields = take(&mut spki)?.value;
    let algorithm = take(&mut fields)?.value;
    // The first octet of a BIT STRING counts its unused bits.
    let (0, key) = take(&mut fields)?.value.split_first().map(|(unused, key)| (*unused, key))? else {
        return None;
    };
    let right = if let Some(curve) = algorithm.strip_prefix(&EC) {
        let coordinate = match curve {
            _ if curve == P256 => 32,
            _ if curve == P384 => 48,
            _ if curve == P521 => 66,
            _ => return None,
        };
        key.len() == 1 + 2 * coordinate && key.first() == Some(&4)
    } else if algorithm == ED25519 {
        key.len() == 32
    } else {
        let mut key = key;
        algorithm == RSA && take(&mut key).is_some_and(|numbers| numbers.tag == 0x30) && key.is_empty()
    };
    right.then_some(())
}

fn serial(serial: &[u8], findings: &mut Findings) {
    let positive =
        serial.first().is_some_and(|first| *first < 0x80) && serial.iter().any(|octet| *octet != 0);
    findings.require(positive, "P01", "its serial number is not positive (section 4.1.2.2)");
    findings.require(
        serial.len() <= 20,
        "P01",
        "its serial number has more than 20 octets (section 4.1.2.2)",
    );
    let padded = matches!(serial, [0, second, ..] if *second < 0x80);
    findings.require(
        !padded,
        "P01",
        "its serial number has a zero in front without need (X.690 section 8.3.2)",
    );
    // 64 random bits and a sign bit need at least 9 octets, or 8 with luck.
    findings.require(serial.len() >= 8, "P01", "its serial number cannot hold 64 random bits");
}

/// ECDSA and EdDSA without parameters, RSA with NULL, nothing weaker than SHA-256.
fn algorithm(identifier: &[u8], findings: &mut Findings) {
    const ECDSA: [[u8; 10]; 3] = [
        [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
        [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
        [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
    ];
    const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
    const RSA: [u8; 10] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    if let Some(after) = ECDSA.iter().find_map(|oid| identifier.strip_prefix(oid)) {
        findings.require(
            after.is_empty(),
            "P02",
            "its ECDSA algorithm has parameters (RFC 5758 section 3.2)",
        );
    } else if let Some(after) = identifier.strip_prefix(&ED25519) {
        findings.require(
            after.is_empty(),
            "P02",
            "its Ed25519 algorithm has parameters (RFC 8410 section 3)",
        );
    } else if let Some([0x0b..=0x0d, after @ ..]) = identifier.strip_prefix(&RSA) {
        let text = "its RSA algorithm lacks the NULL parameters (RFC 4055 section 5)";
        findings.require(after == [0x05, 0x00], "P02", text);
    } else {
        findings.add("P02", "its signature algorithm is weak or not known");
    }
}

/// UTCTime to 2049 and GeneralizedTime from 2050, seconds and Z, no fraction.
fn time_form(time: Element<'_>) -> bool {
    let Some((b'Z', digits)) = time.value.split_last() else { return false };
    digits.iter().all(u8::is_ascii_digit)
        && match time.tag {
            0x17 => digits.len() == 12,
            0x18 => digits.len() == 14 && digits[..4] >= b"2050"[..],
            _ => false,
        }
}
