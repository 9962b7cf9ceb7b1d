//! A device's key and the requests it signs with it.

use const_oid::db::{rfc5912, rfc8410};
use rcgen::{
    Attribute, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair, RsaKeySize,
};
use zeroize::Zeroizing;

use super::client::Connection;
use crate::pki::certificate::Certificate;
use crate::pki::csr_attributes::{CsrAttributes, KeyWanted};
use crate::pki::name;

/// A key pair of a device.
pub struct DeviceKey(KeyPair);

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the request cannot be made: {0}")]
    Encode(#[from] rcgen::Error),
    #[error("it holds no private key in PKCS#8 form (BEGIN PRIVATE KEY)")]
    NoKey,
    #[error("the current certificate cannot be repeated in a request: {0}")]
    Current(String),
    #[error("the server wants {0}, which this agent cannot make: ask its operator which others it takes")]
    KeyWanted(String),
    #[error(
        "the server wants requests that are linked to their connection, and this one, older than TLS 1.3, has nothing to \
         link to: let the server speak TLS 1.3"
    )]
    NothingToLinkTo,
}

impl DeviceKey {
    pub fn generate() -> Result<Self, RequestError> {
        Ok(Self(KeyPair::generate()?))
    }

    /// The kind of key that the server asks for; P-256 when it leaves the choice.
    pub fn wanted(wishes: &CsrAttributes) -> Result<Self, RequestError> {
        let cannot = |what: String| Err(RequestError::KeyWanted(what));
        let pair = match wishes.key {
            None | Some(KeyWanted::Ec { curve: None }) => KeyPair::generate(),
            Some(KeyWanted::Ec { curve: Some(curve) }) => KeyPair::generate_for(match curve {
                rfc5912::SECP_256_R_1 => &rcgen::PKCS_ECDSA_P256_SHA256,
                rfc5912::SECP_384_R_1 => &rcgen::PKCS_ECDSA_P384_SHA384,
                rfc5912::SECP_521_R_1 => &rcgen::PKCS_ECDSA_P521_SHA512,
                other => return cannot(format!("an EC key on the curve {other}")),
            }),
            Some(KeyWanted::Rsa { bits }) => {
                let size = match bits {
                    Some(2048) => RsaKeySize::_2048,
                    None | Some(3072) => RsaKeySize::_3072,
                    Some(4096) => RsaKeySize::_4096,
                    Some(other) => return cannot(format!("an RSA key of {other} bits")),
                };
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)
            }
            Some(KeyWanted::Other(rfc8410::ID_ED_25519)) => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            Some(KeyWanted::Other(other)) => return cannot(format!("a key of the algorithm {other}")),
        };
        Ok(Self(pair?))
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
