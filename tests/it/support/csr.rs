//! Certification requests of every kind, the good and the odd.

use std::sync::Arc;

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use vitae::pki::certificate::Certificate;

use super::der::{bits, extension, name, oid, seq, set, tlv};

pub(crate) const CN: &str = "2.5.4.3";
pub(crate) const SERIAL_NUMBER: &str = "2.5.4.5";
pub(crate) const SAN: &str = "2.5.29.17";
pub(crate) const EKU: &str = "2.5.29.37";
pub(crate) const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
pub(crate) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

pub(crate) type Key = Arc<KeyPair>;

/// A fresh P-256 key pair.
pub(crate) fn key() -> Key {
    Arc::new(KeyPair::generate().unwrap())
}

/// A request with every part open to abuse.
#[derive(Clone)]
pub(crate) struct Csr {
    pub(crate) version: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) attributes: Vec<Vec<u8>>,
    pub(crate) algorithm: Vec<u8>,
}

impl Csr {
    /// Without any name: the authority knows whose it is.
    pub(crate) fn of(key: &Key) -> Self {
        Self {
            version: vec![2, 1, 0],
            subject: name(&[]),
            spki: key.subject_public_key_info(),
            attributes: Vec::new(),
            algorithm: seq(&[&oid(ECDSA_SHA256)]),
        }
    }

    pub(crate) fn named(mut self, attributes: &[(&str, &str)]) -> Self {
        self.subject = name(attributes);
        self
    }

    /// With an extensionRequest of these encoded extensions.
    pub(crate) fn asking(mut self, extensions: &[Vec<u8>]) -> Self {
        let list = tlv(0x30, &extensions.concat());
        self.attributes.push(attribute(EXTENSION_REQUEST, &[list]));
        self
    }

    /// As a renewal must be: subject and subjectAltName of the current certificate.
    pub(crate) fn repeating(self, current: &Certificate) -> Self {
        let names = current.extensions().iter().find(|extension| extension.extn_id.to_string() == SAN);
        let names = names.map(|names| extension(SAN, names.extn_value.as_bytes()));
        let mut csr = self;
        csr.subject = current.subject_der().to_vec();
        match names {
            Some(names) => csr.asking(&[names]),
            None => csr,
        }
    }

    pub(crate) fn sign(&self, key: &Key) -> Vec<u8> {
        let info = self.info();
        let signature = key.sign(&info).unwrap();
        seq(&[&info, &self.algorithm, &bits(&signature)])
    }

    /// With a signature that nobody's key made.
    pub(crate) fn signed_falsely(&self) -> Vec<u8> {
        seq(&[&self.info(), &self.algorithm, &bits(&[0x30, 6, 2, 1, 1, 2, 1, 1])])
    }

    fn info(&self) -> Vec<u8> {
        let attributes = tlv(0xa0, &self.attributes.concat());
        seq(&[&self.version, &self.subject, &self.spki, &attributes])
    }
}

/// The plain request of a device.
pub(crate) fn request(key: &Key) -> Vec<u8> {
    Csr::of(key).sign(key)
}

pub(crate) fn attribute(kind: &str, values: &[Vec<u8>]) -> Vec<u8> {
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    seq(&[&oid(kind), &set(&values)])
}

/// A subjectAltName extension of encoded GeneralNames.
pub(crate) fn san(names: &[Vec<u8>]) -> Vec<u8> {
    extension(SAN, &tlv(0x30, &names.concat()))
}

/// An extKeyUsage extension.
pub(crate) fn eku(usages: &[&str]) -> Vec<u8> {
    let usages: Vec<Vec<u8>> = usages.iter().map(|usage| oid(usage)).collect();
    extension(EKU, &tlv(0x30, &usages.concat()))
}
