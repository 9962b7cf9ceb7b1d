//! Certification requests (RFC 2986), believed only after their proof of possession has been verified.

use std::fmt;

use super::key::{KeyRefused, PublicKey, VerifyError};
pub use super::requested::{LARGEST, Requested};
use super::signed::SignedParts;
use crate::ids::Digest;

/// Why a request is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    #[error("the request is not a PKCS#10 CertificationRequest in DER: {0}")]
    Malformed(String),
    #[error("the key in the request is refused: {0}")]
    BadKey(#[from] KeyRefused),
    #[error(
        "the signature of the request does not verify with the key it asks to certify: sign it with that key"
    )]
    BadSignature,
    #[error("the request is refused: {0}")]
    UnsupportedAlgorithm(String),
}

impl From<der::Error> for CsrError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// A request whose sender has shown to hold the private key. [`VerifiedCsr::from_der`] is the only way to one.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedCsr {
    der: Vec<u8>,
    requested: Requested,
    public_key: PublicKey,
}

impl VerifiedCsr {
    /// Parses, checks the key, then verifies the signature over the bytes as they were received.
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > LARGEST {
            return Err(malformed(format!("it is longer than {LARGEST} octets")));
        }
        let parts = SignedParts::from_der(der)?;
        let (requested, spki) = Requested::from_info(parts.message)?;
        let public_key = PublicKey::from_spki_der(spki)?;
        parts.verify(&public_key).map_err(|error| match error {
            VerifyError::BadSignature => CsrError::BadSignature,
            unsupported @ VerifyError::UnsupportedAlgorithm { .. } => {
                CsrError::UnsupportedAlgorithm(unsupported.to_string())
            }
        })?;
        Ok(Self { der: der.to_vec(), requested, public_key })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the whole request.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// What it asks for.
    pub fn requested(&self) -> &Requested {
        &self.requested
    }

    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

impl fmt::Debug for VerifiedCsr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedCsr")
            .field("digest", &self.digest())
            .field("requested", &self.requested)
            .field("public_key", &self.public_key.kind())
            .finish_non_exhaustive()
    }
}

pub(super) fn malformed(reason: impl Into<String>) -> CsrError {
    CsrError::Malformed(reason.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};

    use super::*;
    use crate::pki::name::{dns, ip};
    use crate::pki::testing::{RawCsr, TestKey, attribute, raw_extension, rsa_spki, spki};
    use crate::pki::tlv;

    const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
    const CHALLENGE: &str = "1.2.840.113549.1.9.7";
    const SAN: &str = "2.5.29.17";
    const EKU: &str = "2.5.29.37";

    fn extension_request(extensions: &[Vec<u8>]) -> Vec<u8> {
        attribute(EXTENSION_REQUEST, &[tlv::nested(tlv::SEQUENCE, |out| out.extend(extensions.concat()))])
    }

    /// Requests of an independent encoder, for the algorithms it knows.
    #[test]
    fn requests_of_another_encoder_are_believed() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
        {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, "pump-1");
            params.subject_alt_names = vec![
                SanType::DnsName("pump-1.example.test".try_into().unwrap()),
                SanType::IpAddress("192.0.2.7".parse().unwrap()),
            ];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let csr = params.serialize_request(&key).unwrap();
            let csr = VerifiedCsr::from_der(csr.der()).unwrap();
            assert_eq!(
                csr.requested().subject_alt_names().unwrap(),
                [dns("pump-1.example.test").unwrap(), ip("192.0.2.7").unwrap()]
            );
            assert_eq!(
                csr.requested().extended_key_usages().iter().map(ToString::to_string).collect::<Vec<_>>(),
                ["1.3.6.1.5.5.7.3.2"]
            );
            assert_eq!(csr.public_key().key_bits(), key.public_key_raw());
            assert_eq!(csr.digest(), Digest::of(csr.der()));
        }
    }

    #[test]
    fn what_a_request_asks_for_is_read() {
        let key = TestKey::rsa();
        let mut raw = RawCsr::new(&key);
        raw.attributes =
            vec![attribute(CHALLENGE, &[b"\x13\x06secret".to_vec()]), attribute("1.2.3.4", &[vec![5, 0]])];
        let csr = VerifiedCsr::from_der(&raw.sign(&key)).unwrap();
        assert_eq!(csr.requested().challenge_password(), Some("secret"));
        assert_eq!(csr.requested().subject_alt_names(), None);
        assert!(csr.requested().extended_key_usages().is_empty());
        assert_eq!(csr.requested().subject().to_string(), "CN=pump-1");
        assert!(!format!("{csr:?}").contains("secret"));
    }

    /// B32: a cap that real requests never meet.
    #[test]
    fn a_hundred_names_are_not_too_many() {
        let key = TestKey::p256();
        let mut raw = RawCsr::new(&key);
        let names = tlv::nested(tlv::SEQUENCE, |out| {
            for n in 0..100 {
                tlv::put(out, 0x82, format!("a{n}.example.test").as_bytes());
            }
        });
        raw.attributes = vec![extension_request(&[raw_extension(SAN, &names)])];
        assert_eq!(
            VerifiedCsr::from_der(&raw.sign(&key)).unwrap().requested().subject_alt_names().unwrap().len(),
            100
        );
    }

    #[test]
    fn malformed_requests_are_refused() {
        let key = TestKey::p256();
        let san = raw_extension(SAN, &tlv::nested(tlv::SEQUENCE, |out| tlv::put(out, 0x82, b"a")));
        let with = |attributes: Vec<Vec<u8>>| {
            let mut raw = RawCsr::new(&key);
            raw.attributes = attributes;
            raw.sign(&key)
        };
        let mut v2 = RawCsr::new(&key);
        v2.version = vec![2, 1, 1];
        let good = RawCsr::new(&key).sign(&key);
        let mut long_length =
            vec![0x30, 0x82, 0x00, u8::try_from(good.len() - 2 - usize::from(good[1] > 0x80)).unwrap()];
        long_length.extend_from_slice(&good[2 + usize::from(good[1] > 0x80)..]);
        let deep = (0..2000).fold(Vec::new(), |inner, _| tlv::nested(tlv::SEQUENCE, |out| out.extend(inner)));

        let cases = [
            ("empty", vec![]),
            ("trailing byte (B35)", [&good[..], &[0]].concat()),
            ("cut short", good[..good.len() - 1].to_vec()),
            ("length in a longer form than needed", long_length),
            ("version 2", v2.sign(&key)),
            ("too large", vec![0x30; LARGEST + 1]),
            ("deep nesting", deep),
            ("attribute without a value (B16)", with(vec![attribute("1.2.3.4", &[])])),
            ("extensionRequest without a value", with(vec![attribute(EXTENSION_REQUEST, &[])])),
            ("no extension", with(vec![extension_request(&[])])),
            ("two extensionRequests", with(vec![extension_request(std::slice::from_ref(&san)); 2])),
            (
                "extensionRequest of two values",
                with(vec![attribute(
                    EXTENSION_REQUEST,
                    &[
                        tlv::nested(tlv::SEQUENCE, |out| out.extend(&san)),
                        tlv::nested(tlv::SEQUENCE, |out| out.extend(&san)),
                    ],
                )]),
            ),
            ("same extension twice", with(vec![extension_request(&[san.clone(), san.clone()])])),
            ("empty SAN", with(vec![extension_request(&[raw_extension(SAN, &[0x30, 0])])])),
            ("empty EKU", with(vec![extension_request(&[raw_extension(EKU, &[0x30, 0])])])),
            (
                "SAN with trailing bytes",
                with(vec![extension_request(&[raw_extension(SAN, &[0x30, 3, 0x82, 1, 97, 0])])]),
            ),
            (
                "challenge password twice",
                with(vec![attribute(CHALLENGE, &[b"\x0c\x01a".to_vec(), b"\x0c\x01b".to_vec()])]),
            ),
            ("challenge password of octets", with(vec![attribute(CHALLENGE, &[b"\x04\x01a".to_vec()])])),
            (
                "65 attributes",
                with((0..65).map(|n| attribute(&format!("1.2.3.{n}"), &[vec![5, 0]])).collect()),
            ),
            (
                "65 extensions",
                with(vec![extension_request(
                    &(0..65).map(|n| raw_extension(&format!("1.2.3.{n}"), &[])).collect::<Vec<_>>(),
                )]),
            ),
        ];
        for (name, der) in cases {
            let error = VerifiedCsr::from_der(&der).expect_err(name);
            assert!(matches!(error, CsrError::Malformed(_)), "{name}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_believed_is_refused_for_its_reason() {
        let (key, other) = (TestKey::p256(), TestKey::p256());
        let raw = || RawCsr::new(&key);
        assert_eq!(
            VerifiedCsr::from_der(&raw().sign(&other)),
            Err(CsrError::BadSignature),
            "another key's signature"
        );

        let mut moved = raw().sign(&key);
        let at = moved.windows(6).position(|w| w == b"pump-1").unwrap();
        moved[at] = b'P';
        assert_eq!(VerifiedCsr::from_der(&moved), Err(CsrError::BadSignature), "changed after signing");

        for (name, oid) in [
            ("ecdsa-with-SHA1", "1.2.840.10045.4.1"),
            ("sha256WithRSA on an EC key", "1.2.840.113549.1.1.11"),
            ("Ed25519 on an EC key", "1.3.101.112"),
        ] {
            let mut raw = raw();
            raw.algorithm = tlv::nested(tlv::SEQUENCE, |out| out.extend(crate::pki::testing::oid(oid)));
            let error = VerifiedCsr::from_der(&raw.sign(&key)).expect_err(name);
            assert!(matches!(error, CsrError::UnsupportedAlgorithm(_)), "{name}: {error}");
        }
        let rsa = TestKey::rsa();
        for (name, oid) in [("md5WithRSA", "1.2.840.113549.1.1.4"), ("sha1WithRSA", "1.2.840.113549.1.1.5")] {
            let mut raw = RawCsr::new(&rsa);
            raw.algorithm = tlv::nested(tlv::SEQUENCE, |out| {
                out.extend(crate::pki::testing::oid(oid));
                out.extend(tlv::NULL);
            });
            let error = VerifiedCsr::from_der(&raw.sign(&rsa)).expect_err(name);
            assert!(matches!(error, CsrError::UnsupportedAlgorithm(_)), "{name}: {error}");
        }

        let explicit = tlv::nested(tlv::SEQUENCE, |out| tlv::put_unsigned(out, &[1]));
        for (name, spki) in [
            ("explicit curve (B34)", spki("1.2.840.10045.2.1", Some(&explicit), &[4; 65])),
            ("RSA 1024", rsa_spki(&[0xff; 128], &[1, 0, 1])),
            ("RSA 16384 (B34)", rsa_spki(&[0xff; 2048], &[1, 0, 1])),
        ] {
            let mut raw = raw();
            raw.spki = spki;
            let error = VerifiedCsr::from_der(&raw.sign(&key)).expect_err(name);
            assert!(matches!(error, CsrError::BadKey(_)), "{name}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = VerifiedCsr::from_der(&bytes);
        }

        /// Whatever is changed, it is refused: the signature covers the rest.
        #[test]
        fn a_changed_request_is_refused(at in any::<proptest::sample::Index>(), flip in 1u8..) {
            static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
                let key = TestKey::p256();
                let mut raw = RawCsr::new(&key);
                let san = tlv::nested(tlv::SEQUENCE, |out| tlv::put(out, 0x82, b"a.example.test"));
                raw.attributes = vec![
                    extension_request(&[raw_extension(SAN, &san)]),
                    attribute(CHALLENGE, &[b"\x13\x06secret".to_vec()]),
                ];
                raw.sign(&key)
            });
            let mut der = GOOD.clone();
            let at = at.index(der.len());
            der[at] ^= flip;
            prop_assert!(VerifiedCsr::from_der(&der).is_err());
        }
    }
}
