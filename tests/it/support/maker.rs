//! CAs that are not ours: makers of devices, and those who would like to be taken for one.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use time::OffsetDateTime;
use vitae::clock::Timestamp;
use vitae::pki::certificate::Certificate;
use vitae::pki::{name, pem};

use super::csr::{Key, key};
use super::wire::Card;

/// A CA outside the authority.
pub(crate) struct Maker {
    params: CertificateParams,
    key: Key,
    der: Vec<u8>,
    /// What stands between a leaf and the root, root excluded.
    between: Vec<Vec<u8>>,
}

impl Maker {
    pub(crate) fn root(common_name: &str) -> Self {
        Self::root_with_key(common_name, key())
    }

    pub(crate) fn root_with_key(common_name: &str, key: Key) -> Self {
        let params = ca_params(&[(DnType::CommonName, common_name)]);
        let der = params.self_signed(&*key).unwrap().der().to_vec();
        Self { params, key, der, between: Vec::new() }
    }

    /// A self-made CA that bears the name of another, attribute by attribute.
    pub(crate) fn impostor(name: &[(DnType, &str)]) -> Self {
        let (params, key) = (ca_params(name), key());
        let der = params.self_signed(&*key).unwrap().der().to_vec();
        Self { params, key, der, between: Vec::new() }
    }

    pub(crate) fn intermediate(&self, common_name: &str) -> Self {
        let (params, key) = (ca_params(&[(DnType::CommonName, common_name)]), key());
        let issuer = Issuer::from_params(&self.params, &*self.key);
        let der = params.signed_by(&*key, &issuer).unwrap().der().to_vec();
        let between = [vec![der.clone()], self.between.clone()].concat();
        Self { params, key, der, between }
    }

    pub(crate) fn pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.der)
    }

    /// A birth certificate for the serial number on the plate.
    pub(crate) fn birth(&self, serial: &str) -> Card {
        self.issue(serial, None, Vec::new())
    }

    /// A birth certificate that has these extensions and no others.
    pub(crate) fn birth_saying(&self, serial: &str, extensions: Vec<CustomExtension>) -> Card {
        self.issue(serial, None, extensions)
    }

    /// A certificate that copies serial number, subject and alternative names of another; the key is the forger's.
    pub(crate) fn forge(&self, genuine: &Certificate) -> Card {
        let leaf = key();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, text) in name::attributes(genuine.subject()).unwrap() {
            params.distinguished_name.push(DnType::CustomDnType(kind.arcs().map(u64::from).collect()), text);
        }
        params.serial_number = Some(SerialNumber::from_slice(genuine.serial_bytes()));
        params.subject_alt_names = genuine.uris().map(|uri| SanType::URI(uri.try_into().unwrap())).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::from_params(&self.params, &*self.key);
        let der = params.signed_by(&*leaf, &issuer).unwrap().der().to_vec();
        Card { key: leaf, chain: vec![der] }
    }

    pub(crate) fn birth_between(&self, serial: &str, from: Timestamp, to: Timestamp) -> Card {
        self.issue(serial, Some((from, to)), Vec::new())
    }

    fn issue(
        &self,
        serial: &str,
        validity: Option<(Timestamp, Timestamp)>,
        extensions: Vec<CustomExtension>,
    ) -> Card {
        let leaf = key();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), serial);
        if extensions.is_empty() {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        params.custom_extensions = extensions;
        if let Some((from, to)) = validity {
            (params.not_before, params.not_after) = (moment(from), moment(to));
        }
        let issuer = Issuer::from_params(&self.params, &*self.key);
        let der = params.signed_by(&*leaf, &issuer).unwrap().der().to_vec();
        Card { key: Arc::clone(&leaf), chain: [vec![der], self.between.clone()].concat() }
    }
}

fn ca_params(name: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, text) in name {
        params.distinguished_name.push(kind.clone(), *text);
    }
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(at.secs()).unwrap()).unwrap()
}
