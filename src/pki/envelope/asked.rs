//! How a request asks for its key to be protected (RFC 7030 sections 4.4.1.1 and 4.4.1.2).

use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc2985, rfc5911};
use der::asn1::{Any, OctetString};
use der::{Decode, Encode, Reader, SliceReader};
use x509_cert::attr::Attribute;

use crate::ids::hex;

/// id-aa-asymmDecryptKeyID (RFC 7030 section 4.4.1.2).
const ASYMMETRIC_DECRYPT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.54");
/// A name for a key; nobody's are longer than a hash.
const LONGEST_ID: usize = 128;
/// No client has more algorithms than a handful.
const MOST: usize = 64;

/// The identifier of the key that the private key is to be encrypted with. Its meaning is agreed on elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub enum DecryptKey {
    /// A secret that client and server share.
    Secret(Vec<u8>),
    /// The client's public key.
    Public(Vec<u8>),
}

impl DecryptKey {
    pub fn id(&self) -> &[u8] {
        match self {
            Self::Secret(id) | Self::Public(id) => id,
        }
    }
}

impl fmt::Debug for DecryptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Secret(_)) { "Secret" } else { "Public" };
        write!(f, "{kind}({})", hex(self.id()))
    }
}

/// What the client can do, in the order it likes best (RFC 8551 section 2.5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub(super) Vec<Capability>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Capability {
    pub(super) algorithm: ObjectIdentifier,
    /// DER.
    pub(super) parameters: Option<Vec<u8>>,
}

/// A wish for an encrypted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub key: DecryptKey,
    pub capabilities: Capabilities,
}

/// Why a wish cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskedError {
    #[error("the request names a secret and a public key to encrypt its private key with: name one of them")]
    TwoKeys,
    #[error(
        "the request wants its private key encrypted but does not say how: add the attribute SMIMECapabilities (RFC 7030 section 4.4.1)"
    )]
    NoCapabilities,
    #[error("the attribute {0} of the request has not exactly one value: give it one")]
    NotSingle(&'static str),
    #[error("the attribute {0} of the request appears twice: give it once")]
    Twice(&'static str),
    #[error("the {0} of the request is no OCTET STRING of 1 to {LONGEST_ID} octets: correct it")]
    BadId(&'static str),
    #[error("the SMIMECapabilities of the request cannot be read (RFC 8551 section 2.5.2): {0}")]
    BadCapabilities(String),
}

impl Asked {
    /// Reads the attributes of a request. `None`: the key may travel under TLS alone; capabilities by themselves ask
    /// for nothing.
    pub fn from_attributes(attributes: &[Attribute]) -> Result<Option<Self>, AskedError> {
        let secret = key_id(attributes, rfc5911::ID_AA_DECRYPT_KEY_ID, "DecryptKeyIdentifier")?;
        let public = key_id(attributes, ASYMMETRIC_DECRYPT_KEY, "AsymmetricDecryptKeyIdentifier")?;
        let key = match (secret, public) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(AskedError::TwoKeys),
            (Some(id), None) => DecryptKey::Secret(id),
            (None, Some(id)) => DecryptKey::Public(id),
        };
        let found = only(attributes, rfc2985::PKCS_9_AT_SMIME_CAPABILITIES, "SMIMECapabilities")?;
        let capabilities = found.ok_or(AskedError::NoCapabilities)?;
        let capabilities = capabilities
            .to_der()
            .and_then(|der| read_capabilities(&der))
            .map_err(|error| AskedError::BadCapabilities(error.to_string()))?;
        Ok(Some(Self { key, capabilities }))
    }
}

fn only<'a>(
    attributes: &'a [Attribute],
    kind: ObjectIdentifier,
    name: &'static str,
) -> Result<Option<&'a Any>, AskedError> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == kind);
    let Some(attribute) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(AskedError::Twice(name));
    }
    match attribute.values.as_slice() {
        [value] => Ok(Some(value)),
        _ => Err(AskedError::NotSingle(name)),
    }
}

fn key_id(
    attributes: &[Attribute],
    kind: ObjectIdentifier,
    name: &'static str,
) -> Result<Option<Vec<u8>>, AskedError> {
    let Some(value) = only(attributes, kind, name)? else { return Ok(None) };
    let id = value.decode_as::<OctetString>().map_err(|_| AskedError::BadId(name))?;
    if (1..=LONGEST_ID).contains(&id.as_bytes().len()) {
        Ok(Some(id.as_bytes().to_vec()))
    } else {
        Err(AskedError::BadId(name))
    }
}

/// SMIMECapabilities ::= SEQUENCE OF SMIMECapability.
fn read_capabilities(der: &[u8]) -> der::Result<Capabilities> {
    let mut reader = SliceReader::new(der)?;
    let all = reader.sequence(|list| {
        let mut all = Vec::new();
        while !list.is_finished() && all.len() < MOST {
            all.push(list.sequence(|capability| {
                let algorithm = ObjectIdentifier::decode(capability)?;
                let parameters = match capability.is_finished() {
                    true => None,
                    false => Some(capability.tlv_bytes()?.to_vec()),
                };
                Ok::<_, der::Error>(Capability { algorithm, parameters })
            })?);
        }
        Ok::<_, der::Error>(all)
    })?;
    reader.finish()?;
    Ok(Capabilities(all))
}
