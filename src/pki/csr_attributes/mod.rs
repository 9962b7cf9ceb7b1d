//! What a request should hold, as a server says it beforehand (RFC 7030 section 4.5.2, RFC 9908).
//!
//! The same wishes are written twice into one message: as the list that older clients read, and as the template of
//! RFC 9908 section 3.4, which newer ones read instead (section 4). The template can leave a value to the client;
//! the list cannot, so such an extension stands in the template alone: an older client would copy the empty value.

mod decode;
mod encode;

#[cfg(test)]
mod tests;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};

use super::extensions::Extension;
use super::key::PublicKeyKind;

pub use decode::CsrAttributesError;

/// id-aa-certificationRequestInfoTemplate (RFC 9908 section 3.4); `const-oid` does not know it yet.
const REQUEST_TEMPLATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.61");
/// id-aa-extensionReqTemplate (RFC 9908 section 3.4).
const EXTENSION_TEMPLATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.62");

/// What a server wishes. The default wishes nothing, and is an empty list on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsrAttributes {
    /// `None` when any key will do. RFC 9908 section 3.2 has room for one kind: of several, name the preferred one.
    pub key: Option<KeyWanted>,
    /// The algorithm of the request's signature. The template has no place for it.
    pub signature: Option<ObjectIdentifier>,
    /// The subject's attributes in their order, one an RDN.
    pub subject: Vec<SubjectPart>,
    /// No kind twice.
    pub extensions: Vec<ExtensionWanted>,
    /// The request must be tied to its TLS session (RFC 7030 section 3.5).
    pub challenge_password: bool,
}

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyWanted {
    /// id-ecPublicKey, on this named curve or on any.
    Ec { curve: Option<ObjectIdentifier> },
    /// rsaEncryption, with a modulus of this size or of any.
    Rsa { bits: Option<u32> },
    /// An algorithm without parameters, such as id-Ed25519.
    Other(ObjectIdentifier),
}

/// An attribute of the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectPart {
    pub kind: ObjectIdentifier,
    /// `None`: for the client to fill in. A value must be used as it is.
    pub value: Option<String>,
}

/// An extension to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionWanted {
    pub kind: ObjectIdentifier,
    pub critical: bool,
    /// The DER inside extnValue. `None`: for the client to fill in. A value must be used as it is.
    pub value: Option<Vec<u8>>,
}

impl CsrAttributes {
    /// The wish for a key of this kind, and for the signature that belongs to it.
    pub fn for_key(kind: PublicKeyKind) -> Self {
        Self { key: Some(kind.into()), signature: Some(signature_of(kind)), ..Self::default() }
    }

    /// Is there nothing to say? RFC 7030 section 4.5.2 lets a server answer 204 or 404 then.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl KeyWanted {
    /// Whether a key of this kind is what was wished for. A longer RSA key than named is not.
    pub fn is(&self, kind: PublicKeyKind) -> bool {
        match (self, kind) {
            (Self::Ec { curve: None }, PublicKeyKind::P256 | PublicKeyKind::P384 | PublicKeyKind::P521)
            | (Self::Rsa { bits: None }, PublicKeyKind::Rsa { .. }) => true,
            (wanted, kind) => *wanted == kind.into(),
        }
    }
}

impl From<PublicKeyKind> for KeyWanted {
    fn from(kind: PublicKeyKind) -> Self {
        match kind {
            PublicKeyKind::P256 => Self::Ec { curve: Some(rfc5912::SECP_256_R_1) },
            PublicKeyKind::P384 => Self::Ec { curve: Some(rfc5912::SECP_384_R_1) },
            PublicKeyKind::P521 => Self::Ec { curve: Some(rfc5912::SECP_521_R_1) },
            PublicKeyKind::Ed25519 => Self::Other(rfc8410::ID_ED_25519),
            PublicKeyKind::Rsa { bits } => Self::Rsa { bits: Some(bits) },
        }
    }
}

impl SubjectPart {
    /// The client knows the value.
    pub fn to_fill_in(kind: ObjectIdentifier) -> Self {
        Self { kind, value: None }
    }
}

impl ExtensionWanted {
    /// The client knows the value.
    pub fn to_fill_in(kind: ObjectIdentifier) -> Self {
        Self { kind, critical: false, value: None }
    }
}

impl From<Extension> for ExtensionWanted {
    fn from(extension: Extension) -> Self {
        let Extension { extn_id, critical, extn_value } = extension;
        Self { kind: extn_id, critical, value: Some(extn_value.into_bytes().into()) }
    }
}

/// What every key of this kind can sign with, and every verifier here accepts.
fn signature_of(kind: PublicKeyKind) -> ObjectIdentifier {
    match kind {
        PublicKeyKind::P256 => rfc5912::ECDSA_WITH_SHA_256,
        PublicKeyKind::P384 => rfc5912::ECDSA_WITH_SHA_384,
        PublicKeyKind::P521 => rfc5912::ECDSA_WITH_SHA_512,
        PublicKeyKind::Ed25519 => rfc8410::ID_ED_25519,
        PublicKeyKind::Rsa { .. } => rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
    }
}
