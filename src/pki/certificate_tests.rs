//! Certificates: built, read, refused.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use proptest::prelude::*;

use super::*;
use crate::pki::name::{NameAttribute, build_name, same_alt_names, same_name};
use crate::pki::testing::{TestCa, TestKey, day, issue};

#[test]
fn a_certificate_says_what_its_template_said() {
    let (ca, key) = (TestCa::root(), TestKey::p256());
    let template = ca.leaf(&key);
    let der = ca.issue(template.clone());
    let certificate = Certificate::from_der(&der).unwrap();
    assert_eq!(certificate.der(), der);
    assert_eq!(certificate.fingerprint(), Digest::of(&der));
    assert_eq!(certificate.serial(), Some(template.serial));
    assert_eq!(certificate.serial_bytes(), template.serial.as_bytes());
    assert_eq!(certificate.issuer_der(), ca.certificate.subject_der());
    assert!(same_name(certificate.subject(), &template.subject));
    assert_eq!(
        (certificate.not_before(), certificate.not_after()),
        (template.not_before, template.not_after)
    );
    assert_eq!(certificate.public_key().unwrap(), template.public_key);
    assert_eq!(certificate.extensions(), template.extensions);
    assert_eq!(certificate.subject_serial_number().as_deref(), Some("BR000001"));
    assert_eq!(certificate.extended_key_usages(), [rfc5280::ID_KP_CLIENT_AUTH]);
    assert_eq!(certificate.subject_alt_names().unwrap().len(), 2);
    assert!(same_alt_names(certificate.subject_alt_names(), certificate.subject_alt_names()));
    assert!(!certificate.is_ca() && ca.certificate.is_ca());
    assert_eq!(certificate.subject_key_id().unwrap(), template.public_key.key_id());
    certificate.verify_signed_by(&ca.certificate.public_key().unwrap()).unwrap();
    assert_eq!(certificate.verify_signed_by(&template.public_key), Err(VerifyError::BadSignature));
}

/// Another parser reads the same, another encoder writes the same bytes, another verifier agrees.
#[test]
fn other_implementations_agree() {
    let ca = TestCa::root();
    let der = ca.issue(ca.leaf(&TestKey::ed25519()));
    let other = x509_cert::Certificate::from_der(&der).unwrap();
    assert_eq!(other.to_der().unwrap(), der);
    assert_eq!(other.tbs_certificate().version(), x509_cert::Version::V3);
    let key = VerifyingKey::from_public_key_der(ca.certificate.spki_der()).unwrap();
    let signature = DerSignature::try_from(other.signature().raw_bytes()).unwrap();
    key.verify(&other.tbs_certificate().to_der().unwrap(), &signature).unwrap();
}

#[test]
fn both_signer_kinds_and_both_time_forms_are_written() {
    let key = TestKey::p384();
    let name = build_name(&[(NameAttribute::CommonName, "Root")]).unwrap();
    let mut template = TestCa::root().leaf(&TestKey::p256());
    template.signer = KeyKind::P384;
    template.issuer = name;
    template.not_before = day("2049-12-31T23:59:59.999Z");
    template.not_after = Timestamp::FOREVER;
    let certificate = Certificate::from_der(&issue(template, &key)).unwrap();
    certificate.verify_signed_by(&key.public()).unwrap();
    assert_eq!(certificate.not_before(), day("2049-12-31T23:59:59Z"));
    assert_eq!(certificate.not_after(), Timestamp::FOREVER);
}

#[test]
fn templates_that_contradict_themselves_are_refused() {
    let ca = TestCa::root();
    let key = TestKey::p256();
    let mut reversed = ca.leaf(&key);
    reversed.not_after = day("2020-01-01");
    assert!(matches!(reversed.to_be_signed(), Err(BuildError::TimesReversed { .. })));
    let mut twice = ca.leaf(&key);
    twice.extensions.push(twice.extensions[0].clone());
    assert!(matches!(twice.to_be_signed(), Err(BuildError::DuplicateExtension(_))));
}

/// The certificates of other makers: long serials, high bits.
#[test]
fn foreign_certificates_are_read() {
    let mut params = rcgen::CertificateParams::default();
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0xff; 20]));
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
    assert_eq!(certificate.serial_bytes().len(), 21);
    assert_eq!(certificate.serial(), None);
    certificate.verify_signed_by(&certificate.public_key().unwrap()).unwrap();
}

#[test]
fn bad_bytes_are_refused() {
    let ca = TestCa::root();
    let good = ca.certificate.der();
    let mut long = vec![0x30, 0x83, 0x01, 0x00, 0x01];
    long.resize(70_000, 0);
    for (name, der) in [
        ("empty", vec![]),
        ("trailing", [good, &[0]].concat()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("large", long),
        ("a request", crate::pki::testing::RawCsr::new(&ca.key).sign(&ca.key)),
    ] {
        assert!(Certificate::from_der(&der).is_err(), "{name}");
    }
    let key = TestKey::p256();
    for (name, oid) in [("empty EKU (B16)", "2.5.29.37"), ("empty SAN (B16)", "2.5.29.17")] {
        let mut template = ca.leaf(&key);
        template.extensions.retain(|extension| extension.extn_id.to_string() != oid);
        template.extensions.push(Extension {
            extn_id: oid.parse().unwrap(),
            critical: false,
            extn_value: der::asn1::OctetString::new([0x30, 0]).unwrap(),
        });
        assert!(Certificate::from_der(&ca.issue(template)).is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Certificate::from_der(&bytes);
    }

    #[test]
    fn no_change_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            let ca = TestCa::root();
            ca.issue(ca.leaf(&TestKey::p256()))
        });
        let mut der = GOOD.clone();
        let at = at.index(der.len());
        der[at] = byte;
        if let Ok(certificate) = Certificate::from_der(&der) {
            let _ = certificate.public_key();
            let _ = certificate.subject_key_id();
            let _ = certificate.subject_serial_number();
        }
        let _ = crate::pki::lint::lint_certificate(&der, Some(&der));
    }
}
