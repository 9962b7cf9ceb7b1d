//! For tests: keys of every kind, and the objects the parsers are shown.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use const_oid::ObjectIdentifier;
use der::asn1::AnyRef;
use spki::AlgorithmIdentifierRef;

use super::certificate::{Certificate, CertificateTemplate};
use super::extensions::{self, KeyUsages};
use super::key::PublicKey;
use super::name::{NameAttribute, build_name};
use super::tlv;
use crate::clock::{SystemRandom as SerialRandom, Timestamp};
use crate::ids::Serial;
use crate::keys::KeyKind;

pub(super) enum TestKey {
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
    Rsa(&'static RsaKeyPair),
}

impl TestKey {
    fn ec(algorithm: &'static EcdsaSigningAlgorithm, oid: &'static str) -> Self {
        Self::Ec(EcdsaKeyPair::generate(algorithm).unwrap(), oid)
    }

    pub(super) fn p256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_ASN1_SIGNING, "1.2.840.10045.4.3.2")
    }

    pub(super) fn p384() -> Self {
        Self::ec(&ECDSA_P384_SHA384_ASN1_SIGNING, "1.2.840.10045.4.3.3")
    }

    pub(super) fn p521() -> Self {
        Self::ec(&ECDSA_P521_SHA512_ASN1_SIGNING, "1.2.840.10045.4.3.4")
    }

    pub(super) fn ed25519() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// One for all tests: making it takes long.
    pub(super) fn rsa() -> Self {
        static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
        Self::Rsa(KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ec(key, _) => key.public_key().as_der().unwrap(),
            Self::Ed(key) => key.public_key().as_der().unwrap(),
            Self::Rsa(key) => key.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey::from_spki_der(&self.spki()).unwrap()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ec(key, _) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }

    pub(super) fn algorithm(&self) -> AlgorithmIdentifierRef<'static> {
        let (oid, parameters) = match self {
            Self::Ec(_, oid) => (*oid, None),
            Self::Ed(_) => ("1.3.101.112", None),
            Self::Rsa(_) => ("1.2.840.113549.1.1.11", Some(AnyRef::NULL)),
        };
        AlgorithmIdentifierRef { oid: oid.parse().unwrap(), parameters }
    }
}

/// An OBJECT IDENTIFIER element.
pub(super) fn oid(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    tlv::put(&mut out, tlv::OBJECT_IDENTIFIER, text.parse::<ObjectIdentifier>().unwrap().as_bytes());
    out
}

pub(super) fn spki(algorithm: &str, parameters: Option<&[u8]>, bits: &[u8]) -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| {
        tlv::put(out, tlv::SEQUENCE, &[&oid(algorithm), parameters.unwrap_or_default()].concat());
        tlv::put_bits(out, bits);
    })
}

pub(super) fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = tlv::nested(tlv::SEQUENCE, |out| {
        tlv::put_unsigned(out, modulus);
        tlv::put_unsigned(out, exponent);
    });
    spki("1.2.840.113549.1.1.1", Some(tlv::NULL), &key)
}

/// A request with every part open to abuse, signed with `key`.
pub(super) struct RawCsr {
    pub version: Vec<u8>,
    pub subject: Vec<u8>,
    pub spki: Vec<u8>,
    pub attributes: Vec<Vec<u8>>,
    pub algorithm: Vec<u8>,
}

impl RawCsr {
    pub(super) fn new(key: &TestKey) -> Self {
        use der::Encode;
        let subject = build_name(&[(NameAttribute::CommonName, "pump-1")]).unwrap();
        Self {
            version: vec![0x02, 0x01, 0x00],
            subject: subject.to_der().unwrap(),
            spki: key.spki(),
            attributes: Vec::new(),
            algorithm: key.algorithm().to_der().unwrap(),
        }
    }

    pub(super) fn sign(&self, key: &TestKey) -> Vec<u8> {
        let info = tlv::nested(tlv::SEQUENCE, |out| {
            out.extend_from_slice(&self.version);
            out.extend_from_slice(&self.subject);
            out.extend_from_slice(&self.spki);
            tlv::put(out, tlv::constructed(0), &self.attributes.concat());
        });
        tlv::nested(tlv::SEQUENCE, |out| {
            out.extend_from_slice(&info);
            out.extend_from_slice(&self.algorithm);
            tlv::put_bits(out, &key.sign(&info));
        })
    }
}

/// An Attribute with these encoded values.
pub(super) fn attribute(kind: &str, values: &[Vec<u8>]) -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| {
        out.extend_from_slice(&oid(kind));
        tlv::put(out, tlv::SET, &values.concat());
    })
}

/// An encoded Extension.
pub(super) fn raw_extension(kind: &str, value: &[u8]) -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| {
        out.extend_from_slice(&oid(kind));
        tlv::put(out, tlv::OCTET_STRING, value);
    })
}

pub(super) fn day(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A CA of one key, and what it issues.
pub(super) struct TestCa {
    pub key: TestKey,
    pub kind: KeyKind,
    pub certificate: Certificate,
}

impl TestCa {
    pub(super) fn root() -> Self {
        let key = TestKey::p256();
        let name = build_name(&[(NameAttribute::Organization, "Vitae"), (NameAttribute::CommonName, "Root")])
            .unwrap();
        let public = key.public();
        let template = CertificateTemplate {
            serial: Serial::generate(day("2026-01-01"), &SerialRandom),
            issuer: name.clone(),
            subject: name,
            not_before: day("2026-01-01"),
            not_after: day("2060-01-01"),
            extensions: vec![
                extensions::basic_constraints_ca(None),
                extensions::key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign).unwrap(),
                extensions::subject_key_id(public.key_id()),
            ],
            public_key: public,
            signer: KeyKind::P256,
        };
        let certificate = issue(template, &key);
        Self { key, kind: KeyKind::P256, certificate: Certificate::from_der(&certificate).unwrap() }
    }

    /// What a device would get; tests then spoil one thing.
    pub(super) fn leaf(&self, key: &TestKey) -> CertificateTemplate {
        let public_key = key.public();
        CertificateTemplate {
            serial: Serial::generate(day("2026-01-01"), &SerialRandom),
            issuer: self.certificate.subject().clone(),
            subject: build_name(&[
                (NameAttribute::Organization, "Clinic"),
                (NameAttribute::CommonName, "pump-1"),
                (NameAttribute::SerialNumber, "BR000001"),
            ])
            .unwrap(),
            not_before: day("2026-02-01"),
            not_after: day("2027-02-01"),
            extensions: vec![
                extensions::authority_key_id(self.certificate.public_key().unwrap().key_id()),
                extensions::subject_key_id(public_key.key_id()),
                extensions::key_usage(KeyUsages::DigitalSignature).unwrap(),
                extensions::extended_key_usage(&["1.3.6.1.5.5.7.3.2".parse().unwrap()], false).unwrap(),
                extensions::subject_alt_name(
                    &[
                        super::name::uri("urn:vitae:device:brannoc.P3.BR000001").unwrap(),
                        super::name::hardware_module_name("1.3.6.1.4.1.32473.1", "BR000001").unwrap(),
                    ],
                    false,
                )
                .unwrap(),
                extensions::crl_distribution_point("http://status.example.test/root.crl").unwrap(),
                extensions::authority_info_access(
                    Some("http://status.example.test/ocsp"),
                    Some("http://status.example.test/root.cer"),
                )
                .unwrap(),
                extensions::certificate_policy("1.3.6.1.4.1.32473.2".parse().unwrap()),
            ],
            public_key,
            signer: self.kind,
        }
    }

    pub(super) fn issue(&self, template: CertificateTemplate) -> Vec<u8> {
        issue(template, &self.key)
    }
}

pub(super) fn issue(template: CertificateTemplate, key: &TestKey) -> Vec<u8> {
    let to_be_signed = template.to_be_signed().unwrap();
    let signature = key.sign(to_be_signed.bytes());
    to_be_signed.assemble(&signature).unwrap()
}
