//! Certificates that a TLS client presents: read, judged, followed to an anchor.

use der::{Decode, Encode};
use vitae::clock::Timestamp;
use vitae::pki::certificate::Certificate;
use vitae::pki::lint::lint_certificate;
use vitae::pki::path::verify_own_chain;

/// What is read is what another library reads, and only a good signature makes a path. Was it read?
pub fn check(der: &[u8]) -> bool {
    let findings = lint_certificate(der, Some(der));
    let moment = Timestamp::from_secs(1_790_000_000);
    // Its own issuer: the one case in which arbitrary bytes may lead to an anchor.
    let path = verify_own_chain(der, &[der], &[der], moment);
    let Ok(certificate) = Certificate::from_der(der) else {
        assert!(findings.iter().any(|finding| finding.rule.starts_with(['P', 'O'])), "lint lets it pass");
        return false;
    };
    assert_eq!(certificate.der(), der);
    // Others' certificates are read more leniently, and their keys when they are needed; ours are not.
    let Ok(other) = x509_cert::Certificate::from_der(der) else {
        assert!(!findings.is_empty(), "lint lets it pass");
        return true;
    };
    let tbs = other.tbs_certificate();
    assert_eq!(Ok(certificate.subject_der().to_vec()), tbs.subject().to_der());
    assert_eq!(Ok(certificate.issuer_der().to_vec()), tbs.issuer().to_der());
    assert_eq!(Ok(certificate.spki_der().to_vec()), tbs.subject_public_key_info().to_der());
    assert_eq!(certificate.serial_bytes(), tbs.serial_number().as_bytes());
    assert_eq!(certificate.extensions(), tbs.extensions().map_or(&[][..], Vec::as_slice));
    if certificate.is_ca() {
        assert!(!certificate.extensions().is_empty());
    }
    let _ = (certificate.subject_key_id(), certificate.subject_serial_number(), certificate.common_name());
    if findings.is_empty() || path.is_ok() {
        let key = certificate.public_key().expect("a key that verifies a signature is read");
        certificate.verify_signed_by(&key).expect("only a signature that verifies is good");
    }
    true
}
