//! What a certification request asks for besides its key (RFC 2986): a subject, and attributes.

use std::fmt;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc2985, rfc5280, rfc5912};
use der::asn1::{ContextSpecific, SetOfVec};
use der::{Decode, Reader, SliceReader, TagNumber};
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;

use super::csr::{CsrError, malformed};
use super::key::oid_name;
use super::name::{GeneralName, Name, text};
use super::signed::SignedParts;

/// Larger than any request in use, those with post-quantum keys included.
pub const LARGEST: usize = 64 * 1024;
/// No request in use has more attributes, or more extensions, than a handful.
const MOST: usize = 64;
/// id-cmc-changeSubjectName.
const CHANGE_SUBJECT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.7.36");

/// The wishes of a request. Whatever is not read here cannot reach a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Requested {
    subject: Name,
    attributes: Vec<Attribute>,
    subject_alt_names: Option<Vec<GeneralName>>,
    extended_key_usages: Vec<ObjectIdentifier>,
    challenge_password: Option<String>,
}

impl Requested {
    /// Reads a request of which neither key nor signature counts, as for a key that the server makes (RFC 7030
    /// section 4.4.1).
    pub fn from_csr_der(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > LARGEST {
            return Err(malformed(format!("it is longer than {LARGEST} octets")));
        }
        Ok(Self::from_info(SignedParts::from_der(der)?.message)?.0)
    }

    /// Reads a CertificationRequestInfo; gives the DER of its SubjectPublicKeyInfo too.
    pub(super) fn from_info(info: &[u8]) -> Result<(Self, &[u8]), CsrError> {
        let mut reader = SliceReader::new(info)?;
        let (subject, spki, attributes) = reader.sequence(|info| {
            let version = u8::decode(info)?;
            if version != 0 {
                return Err(malformed("its version is not v1 (0), the only one there is"));
            }
            let subject = Name::decode(info)?;
            // X.501 section 9.2: a RelativeDistinguishedName is SET SIZE (1..MAX).
            if subject.iter_rdn().any(|rdn| rdn.is_empty()) {
                return Err(malformed("its subject has a part without a value"));
            }
            let spki = info.tlv_bytes()?;
            let attributes = ContextSpecific::<SetOfVec<Attribute>>::decode_implicit(info, TagNumber(0))?;
            Ok((subject, spki, attributes))
        })?;
        reader.finish()?;
        // RFC 2986 section 4.1: the field is not optional, an empty set stands for no attributes.
        let attributes = attributes.ok_or_else(|| malformed("it has no attributes field"))?;
        let mut requested = Self {
            subject,
            attributes: attributes.value.into_vec(),
            subject_alt_names: None,
            extended_key_usages: Vec::new(),
            challenge_password: None,
        };
        requested.read_attributes()?;
        Ok((requested, spki))
    }

    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// All attributes, those that are not read here too; none appears twice, none is without a value.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The names asked for in a subjectAltName extension; never an empty list.
    pub fn subject_alt_names(&self) -> Option<&[GeneralName]> {
        self.subject_alt_names.as_deref()
    }

    /// The purposes asked for; empty when the extension is absent.
    pub fn extended_key_usages(&self) -> &[ObjectIdentifier] {
        &self.extended_key_usages
    }

    /// Does it ask for names of its own choice beside those in its fields (RFC 6402 section 2.8, RFC 7030 section 4.2.1)?
    pub fn asks_to_change_its_subject(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.oid == CHANGE_SUBJECT_NAME)
    }

    /// A shared secret, or the tie to the TLS session (RFC 7030 section 3.5).
    pub fn challenge_password(&self) -> Option<&str> {
        self.challenge_password.as_deref()
    }

    fn read_attributes(&mut self) -> Result<(), CsrError> {
        let attributes = std::mem::take(&mut self.attributes);
        if attributes.len() > MOST {
            return Err(malformed(format!("it has more than {MOST} attributes")));
        }
        for (at, attribute) in attributes.iter().enumerate() {
            // RFC 2986 section 4.1: SET SIZE(1..MAX).
            if attribute.values.is_empty() {
                return Err(malformed(format!("the attribute {} has no value", oid_name(&attribute.oid))));
            }
            if attributes[..at].iter().any(|earlier| earlier.oid == attribute.oid) {
                return Err(malformed(format!("the attribute {} appears twice", oid_name(&attribute.oid))));
            }
            match attribute.oid {
                rfc5912::ID_EXTENSION_REQ => {
                    self.read_extensions(&single(attribute)?.decode_as::<Vec<Extension>>()?)?;
                }
                rfc2985::PKCS_9_AT_CHALLENGE_PASSWORD => {
                    let password = text(single(attribute)?)
                        .ok_or_else(|| malformed("its challenge password is not a string of characters"))?;
                    self.challenge_password = Some(password);
                }
                // RFC 2986 section 4.1 lets anything be added, and nothing unknown is acted on.
                _ => {}
            }
        }
        self.attributes = attributes;
        Ok(())
    }

    fn read_extensions(&mut self, extensions: &[Extension]) -> Result<(), CsrError> {
        // RFC 5280 section 4.1.2.9: SEQUENCE SIZE (1..MAX).
        if extensions.is_empty() {
            return Err(malformed("its list of requested extensions is empty"));
        }
        if extensions.len() > MOST {
            return Err(malformed(format!("it asks for more than {MOST} extensions")));
        }
        for (at, extension) in extensions.iter().enumerate() {
            let (kind, value) = (extension.extn_id, extension.extn_value.as_bytes());
            if extensions[..at].iter().any(|earlier| earlier.extn_id == kind) {
                return Err(malformed(format!("the extension {} appears twice", oid_name(&kind))));
            }
            match kind {
                rfc5280::ID_CE_SUBJECT_ALT_NAME => {
                    let names = Vec::<GeneralName>::from_der(value)?;
                    if names.is_empty() {
                        return Err(malformed("its subjectAltName is empty"));
                    }
                    self.subject_alt_names = Some(names);
                }
                rfc5280::ID_CE_EXT_KEY_USAGE => {
                    self.extended_key_usages = Vec::from_der(value)?;
                    if self.extended_key_usages.is_empty() {
                        return Err(malformed("its extKeyUsage is empty"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Without the challenge password, which may be a secret.
impl fmt::Debug for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requested").field("subject", &self.subject.to_string()).finish_non_exhaustive()
    }
}

/// Both attributes read here are SINGLE VALUE (RFC 2985 section 5.4).
fn single(attribute: &Attribute) -> Result<&der::asn1::Any, CsrError> {
    match attribute.values.as_slice() {
        [value] => Ok(value),
        _ => Err(malformed(format!("the attribute {} has more than one value", oid_name(&attribute.oid)))),
    }
}
