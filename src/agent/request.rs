//! A device's key and the requests it signs with it.

use rcgen::{Attribute, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair};
use zeroize::Zeroizing;

use super::client::Connection;
use crate::pki::certificate::Certificate;
use crate::pki::name;

/// A P-256 key pair of a device.
pub struct DeviceKey(KeyPair);

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the request cannot be made: {0}")]
    Encode(#[from] rcgen::Error),
    #[error("it holds no private key in PKCS#8 form (BEGIN PRIVATE KEY)")]
    NoKey,
    #[error("the current certificate cannot be repeated in a request: {0}")]
    Current(String),
}

impl DeviceKey {
    pub fn generate() -> Result<Self, RequestError> {
        Ok(Self(KeyPair::generate()?))
    }

    /// The first private key (PKCS#8) of a text that may hold certificates too.
    pub fn from_pem(text: &str) -> Result<Self, RequestError> {
        let begin = text.find("-----BEGIN PRIVATE KEY-----").ok_or(RequestError::NoKey)?;
        Ok(Self(KeyPair::from_pem(&text[begin..])?))
    }

    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// PKCS#8 DER.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize_der())
    }

    /// A first request. The device knows the serial number on its plate; the rest is for the authority to say.
    pub fn request(&self, serial_number: Option<&str>) -> Result<Vec<u8>, RequestError> {
        self.sign(&first(serial_number)?, None)
    }

    /// The same, good on this connection alone (RFC 7030 section 3.5).
    pub fn request_on(
        &self,
        connection: &Connection,
        serial_number: Option<&str>,
    ) -> Result<Vec<u8>, RequestError> {
        self.sign(&first(serial_number)?, connection.binding())
    }

    /// A renewal: subject and subjectAltName are those of the current certificate (RFC 7030 section 4.2.2).
    pub fn renewal(&self, current: &Certificate) -> Result<Vec<u8>, RequestError> {
        self.sign(&next(current)?, None)
    }

    /// The same, good on this connection alone (RFC 7030 section 3.5).
    pub fn renewal_on(
        &self,
        connection: &Connection,
        current: &Certificate,
    ) -> Result<Vec<u8>, RequestError> {
        self.sign(&next(current)?, connection.binding())
    }

    fn sign(&self, params: &CertificateParams, challenge: Option<&str>) -> Result<Vec<u8>, RequestError> {
        let attributes = challenge.map(challenge_password).into_iter().collect();
        Ok(params.serialize_request_with_attributes(&self.0, attributes)?.der().to_vec())
    }
}

fn first(serial_number: Option<&str>) -> Result<CertificateParams, RequestError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(serial) = serial_number {
        let attribute = DnType::CustomDnType(vec![2, 5, 4, 5]);
        params.distinguished_name.push(attribute, DnValue::PrintableString(serial.try_into()?));
    }
    Ok(params)
}

fn next(current: &Certificate) -> Result<CertificateParams, RequestError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let subject = name::attributes(current.subject())
        .ok_or_else(|| RequestError::Current("its subject is not text".to_owned()))?;
    for (oid, value) in subject {
        let arcs = oid.arcs().map(u64::from).collect();
        params.distinguished_name.push(DnType::CustomDnType(arcs), DnValue::Utf8String(value));
    }
    for extension in current.extensions() {
        // 2.5.29.17 is subjectAltName.
        if extension.extn_id.to_string() == "2.5.29.17" {
            let value = extension.extn_value.as_bytes().to_vec();
            params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], value));
        }
    }
    Ok(params)
}

/// RFC 2985 section 5.4.1.
fn challenge_password(text: &str) -> Attribute {
    // All of base64 is in PrintableString, and a channel binding is short.
    let length = u8::try_from(text.len()).expect("a channel binding has a few dozen octets");
    let mut values = vec![0x31, length + 2, 0x13, length];
    values.extend_from_slice(text.as_bytes());
    Attribute { oid: &[1, 2, 840, 113549, 1, 9, 7], values }
}
