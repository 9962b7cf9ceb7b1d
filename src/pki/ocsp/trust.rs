//! Whether a response may be believed: its signer is the CA, or has the CA's own word that it answers for it (B40).

use const_oid::db::rfc5280;

use super::client::{BasicResponse, ResponderId};
use crate::clock::Timestamp;
use crate::pki::certificate::{Certificate, ParseError};
use crate::pki::key::{KeyRefused, PublicKey, VerifyError};

/// Why the signer of a response does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    #[error("the response names a signer that is neither the CA nor shown in it")]
    Missing,
    #[error("the signer's certificate cannot be read: {0}")]
    Unreadable(#[from] ParseError),
    #[error("the signer's key cannot be used: {0}")]
    Key(#[from] KeyRefused),
    #[error("the CA that issued the certificate did not issue the signer's (RFC 6960 section 4.2.2.2): {0}")]
    OtherIssuer(VerifyError),
    #[error("the signer's certificate is not for signing OCSP answers (id-kp-OCSPSigning)")]
    NotForOcsp,
    #[error("the signer's certificate is not valid at {0}")]
    NotValid(Timestamp),
    #[error("the response is not what its signer has signed: {0}")]
    Signature(VerifyError),
}

impl BasicResponse {
    /// Whether the CA `issuer` says this, itself or by a signer that it has appointed (RFC 6960 section 4.2.2.2).
    pub fn verify(&self, issuer: &Certificate, at: Timestamp) -> Result<(), SignerError> {
        let issuer_key = issuer.public_key()?;
        if self.is_by(issuer, &issuer_key) {
            return self.verify_signed_by(&issuer_key).map_err(SignerError::Signature);
        }
        for der in &self.certs {
            let signer = Certificate::from_der(der)?;
            let key = signer.public_key()?;
            if !self.is_by(&signer, &key) {
                continue;
            }
            signer.verify_signed_by(&issuer_key).map_err(SignerError::OtherIssuer)?;
            if !signer.extended_key_usages().contains(&rfc5280::ID_KP_OCSP_SIGNING) {
                return Err(SignerError::NotForOcsp);
            }
            if !(signer.not_before()..=signer.not_after()).contains(&at) {
                return Err(SignerError::NotValid(at));
            }
            return self.verify_signed_by(&key).map_err(SignerError::Signature);
        }
        Err(SignerError::Missing)
    }

    fn is_by(&self, certificate: &Certificate, key: &PublicKey) -> bool {
        match &self.responder {
            ResponderId::Name(name) => name == certificate.subject(),
            ResponderId::KeyHash(hash) => *hash == key.sha1_key_hash(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::super::{
        CertStatus, HashAlg, ParsedResponse, ResponseTemplate, Single, cert_id, parse_response,
    };
    use super::*;
    use crate::keys::KeyKind;
    use crate::pki::testing::{TestCa, TestKey, day};

    fn response(ca: &TestCa, key: &TestKey, certs: Vec<Vec<u8>>) -> BasicResponse {
        let issuer_key = ca.certificate.public_key().unwrap();
        let id = cert_id(ca.certificate.subject_der(), &issuer_key, &[1; 16], HashAlg::Sha256).unwrap();
        let template = ResponseTemplate {
            responder_key_hash: key.public().sha1_key_hash(),
            produced_at: day("2026-11-23"),
            this_update: day("2026-11-23"),
            next_update: day("2026-11-24"),
            singles: vec![Single { cert_id: id, status: CertStatus::Good, archive_cutoff: None }],
            nonce: None,
            signer: KeyKind::P256,
            certs,
        };
        let unsigned = template.to_be_signed().unwrap();
        let signature = key.sign(unsigned.bytes());
        let ParsedResponse::Basic(basic) = parse_response(&unsigned.assemble(&signature).unwrap()).unwrap()
        else {
            panic!("not a basic response");
        };
        *basic
    }

    /// B40: without id-kp-OCSPSigning a certificate of the very same CA speaks for nobody.
    #[test]
    fn a_delegate_must_have_the_usage() {
        let (ca, key, at) = (TestCa::root(), TestKey::p256(), day("2026-11-23T12:00:00Z"));
        let plain = ca.issue(ca.leaf(&key));
        let basic = response(&ca, &key, vec![plain.clone()]);
        assert_eq!(basic.verify(&ca.certificate, at), Err(SignerError::NotForOcsp));
        let purposes = [rfc5280::ID_KP_OCSP_SIGNING];
        let extension = crate::pki::extensions::extended_key_usage(&purposes, false).unwrap();
        let mut delegate = ca.leaf(&key);
        delegate.extensions = vec![extension];
        let delegate = ca.issue(delegate);
        let basic = response(&ca, &key, vec![plain, delegate.clone()]);
        assert_eq!(
            basic.verify(&ca.certificate, at),
            Err(SignerError::NotForOcsp),
            "the first that fits counts"
        );
        let basic = response(&ca, &key, vec![delegate.clone()]);
        assert_eq!(basic.verify(&ca.certificate, at), Ok(()));
        assert_eq!(
            basic.verify(&ca.certificate, day("2099-01-01")),
            Err(SignerError::NotValid(day("2099-01-01")))
        );
        let other = TestCa::root();
        assert!(matches!(basic.verify(&other.certificate, at), Err(SignerError::OtherIssuer(_))));
        assert_eq!(response(&ca, &key, vec![]).verify(&ca.certificate, at), Err(SignerError::Missing));
        assert_eq!(response(&ca, &ca.key, vec![]).verify(&ca.certificate, at), Ok(()), "the CA itself");
    }
}
