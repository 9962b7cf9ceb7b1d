//! Reads `CsrAttrs`. What is not known is passed over (RFC 7030 section 4.5.2); what is known must be well formed.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc2985, rfc5912, rfc8410};
use der::asn1::{Any, BitStringRef, OctetStringRef, UintRef};
use der::{Decode, Reader, SliceReader, Tag};

use super::{CsrAttributes, EXTENSION_TEMPLATE, ExtensionWanted, KeyWanted, REQUEST_TEMPLATE, SubjectPart};
use crate::pki::key::oid_name;
use crate::pki::name::text;
use crate::pki::read::{context, next_is, within};

/// Larger than any list in use, a dummy RSA key included.
const LARGEST: usize = 64 * 1024;
/// No list in use has more elements, attributes or extensions than a handful.
const MOST: usize = 64;
/// The arc of X.520 attribute types, 2.5.4.
const NAME_ATTRIBUTES: &[u8] = &[0x55, 0x04];

/// What a request's signature can be made with here.
const SIGNATURES: [ObjectIdentifier; 7] = [
    rfc5912::ECDSA_WITH_SHA_256,
    rfc5912::ECDSA_WITH_SHA_384,
    rfc5912::ECDSA_WITH_SHA_512,
    rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
    rfc5912::SHA_384_WITH_RSA_ENCRYPTION,
    rfc5912::SHA_512_WITH_RSA_ENCRYPTION,
    rfc8410::ID_ED_25519,
];

/// Why a server's wishes cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrAttributesError {
    #[error("the CSR attributes are longer than {LARGEST} octets: ask the server's operator to shorten them")]
    TooLarge,
    #[error("the CSR attributes are not CsrAttrs in DER (RFC 7030 section 4.5.2): {0}")]
    Malformed(String),
    #[error(
        "the CSR attributes contradict RFC 9908: {0}; ask the server's operator to correct them, or enrol without them"
    )]
    Contradictory(String),
}

use CsrAttributesError::Contradictory;

impl From<der::Error> for CsrAttributesError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

type Result<T> = std::result::Result<T, CsrAttributesError>;

impl CsrAttributes {
    /// Reads DER from a server. With a template in it the list counts for nothing (RFC 9908 section 4), but for its
    /// challengePassword, which a template cannot ask for.
    pub fn from_der(der: &[u8]) -> Result<Self> {
        if der.len() > LARGEST {
            return Err(CsrAttributesError::TooLarge);
        }
        let mut listed = Self::default();
        let mut template = None;
        let mut reader = SliceReader::new(der)?;
        let elements = reader.sequence(Element::read_all)?;
        reader.finish()?;
        for element in &elements {
            match element {
                Element::Oid(oid) => listed.take_oid(*oid),
                Element::Attribute { kind, values } if *kind == REQUEST_TEMPLATE => {
                    let found = Self::from_template(single(*kind, values)?)?;
                    if template.replace(found).is_some() {
                        return Err(Contradictory("there are two templates".to_owned()));
                    }
                }
                Element::Attribute { kind, values } => listed.take_attribute(*kind, values)?,
            }
        }
        Ok(match template {
            None => listed,
            Some(template) => {
                let challenge_password = listed.challenge_password || template.challenge_password;
                Self { challenge_password, ..template }
            }
        })
    }

    fn take_oid(&mut self, oid: ObjectIdentifier) {
        if oid == rfc2985::PKCS_9_AT_CHALLENGE_PASSWORD {
            self.challenge_password = true;
        } else if oid == rfc5912::ID_EC_PUBLIC_KEY {
            self.key.get_or_insert(KeyWanted::Ec { curve: None });
        } else if oid == rfc5912::RSA_ENCRYPTION {
            self.key.get_or_insert(KeyWanted::Rsa { bits: None });
        } else if SIGNATURES.contains(&oid) {
            self.signature.get_or_insert(oid);
        } else if oid.as_bytes().starts_with(NAME_ATTRIBUTES) {
            self.subject.push(SubjectPart::to_fill_in(oid));
        }
    }

    fn take_attribute(&mut self, kind: ObjectIdentifier, values: &[&[u8]]) -> Result<()> {
        match kind {
            // Servers older than RFC 9908 name several kinds of key, the preferred one first.
            rfc5912::ID_EC_PUBLIC_KEY => {
                let curve = values.first().map(|value| ObjectIdentifier::from_der(value)).transpose()?;
                self.key.get_or_insert(KeyWanted::Ec { curve });
            }
            rfc5912::RSA_ENCRYPTION => {
                let bits = values.first().map(|value| u32::from_der(value)).transpose()?;
                self.key.get_or_insert(KeyWanted::Rsa { bits });
            }
            rfc8410::ID_ED_25519 => {
                self.key.get_or_insert(KeyWanted::Other(kind));
            }
            rfc5912::ID_EXTENSION_REQ => {
                // The example of RFC 7030 section 4.5.2, which many servers follow, has a bare OID here: it asks for
                // no extension (RFC 9908 section 5.2).
                let lists: Vec<&[u8]> = values.iter().copied().filter(|value| is_sequence(value)).collect();
                if lists.is_empty() {
                    return Ok(());
                }
                let extensions = read_extensions(single(kind, &lists)?, Value::Given)?;
                if !self.extensions.is_empty() {
                    return Err(Contradictory("there are two lists of extensions".to_owned()));
                }
                self.extensions = extensions;
            }
            rfc2985::PKCS_9_AT_CHALLENGE_PASSWORD => self.challenge_password = true,
            _ => {}
        }
        Ok(())
    }

    fn from_template(der: &[u8]) -> Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let (version, subject, key, attributes) = reader.sequence(|template| {
            let version = u8::decode(template)?;
            let subject = match next_is(template, Tag::Sequence) {
                true => template.sequence(read_subject)?,
                false => Vec::new(),
            };
            let key = match next_is(template, context(0)) {
                true => Some(within(template, context(0), read_key)?),
                false => None,
            };
            let attributes = within(template, context(1), Element::read_all)?;
            Ok::<_, CsrAttributesError>((version, subject, key, attributes))
        })?;
        reader.finish()?;
        if version != 0 {
            return Err(Contradictory("the template's version is not v1 (0)".to_owned()));
        }
        let mut wanted = Self { key, subject, ..Self::default() };
        let mut lists = 0;
        for attribute in &attributes {
            let Element::Attribute { kind, values } = attribute else {
                return Err(CsrAttributesError::Malformed(
                    "an attribute of the template is an OID".to_owned(),
                ));
            };
            let form = match *kind {
                rfc5912::ID_EXTENSION_REQ => Value::Given,
                EXTENSION_TEMPLATE => Value::Optional,
                rfc2985::PKCS_9_AT_CHALLENGE_PASSWORD => {
                    wanted.challenge_password = true;
                    continue;
                }
                _ => continue,
            };
            wanted.extensions = read_extensions(single(*kind, values)?, form)?;
            lists += 1;
        }
        if lists > 1 {
            return Err(Contradictory("the template has two lists of extensions".to_owned()));
        }
        Ok(wanted)
    }
}

/// AttrOrOID.
enum Element<'a> {
    Oid(ObjectIdentifier),
    Attribute { kind: ObjectIdentifier, values: Vec<&'a [u8]> },
}

impl<'a> Element<'a> {
    fn read_all(reader: &mut SliceReader<'a>) -> der::Result<Vec<Self>> {
        let mut all = Vec::new();
        while !reader.is_finished() {
            all.push(Self::read(reader)?);
            if all.len() > MOST {
                return Err(reader.error(der::ErrorKind::Overlength));
            }
        }
        Ok(all)
    }

    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        if next_is(reader, Tag::ObjectIdentifier) {
            return ObjectIdentifier::decode(reader).map(Self::Oid);
        }
        reader.sequence(|attribute| {
            let kind = ObjectIdentifier::decode(attribute)?;
            let values = within(attribute, Tag::Set, |set| {
                let mut values = Vec::new();
                while !set.is_finished() {
                    values.push(set.tlv_bytes()?);
                }
                Ok(values)
            })?;
            Ok(Self::Attribute { kind, values })
        })
    }
}

fn single<'a>(kind: ObjectIdentifier, values: &[&'a [u8]]) -> Result<&'a [u8]> {
    match values {
        [value] => Ok(value),
        _ => {
            let (kind, found) = (oid_name(&kind), values.len());
            Err(Contradictory(format!("the attribute {kind} has {found} values instead of one")))
        }
    }
}

fn is_sequence(der: &[u8]) -> bool {
    SliceReader::new(der).is_ok_and(|reader| next_is(&reader, Tag::Sequence))
}

/// NameTemplate: an RDNSequence whose values may be absent.
fn read_subject(name: &mut SliceReader<'_>) -> Result<Vec<SubjectPart>> {
    let mut parts = Vec::new();
    while !name.is_finished() {
        let mut pairs = within(name, Tag::Set, |rdn| {
            let mut pairs = Vec::new();
            while !rdn.is_finished() {
                pairs.push(rdn.sequence(|pair| {
                    let kind = ObjectIdentifier::decode(pair)?;
                    let value = if pair.is_finished() { None } else { Some(Any::decode(pair)?) };
                    Ok::<_, der::Error>((kind, value))
                })?);
            }
            Ok(pairs)
        })?;
        // Whoever needs such names does not come by EST; a request with two RDNs instead would be another name.
        let (Some((kind, value)), true) = (pairs.pop(), pairs.is_empty()) else {
            return Err(CsrAttributesError::Malformed(
                "a part of the template's subject has not exactly one attribute".to_owned(),
            ));
        };
        let value = match value {
            None => None,
            Some(value) => Some(text(&value).ok_or_else(|| {
                CsrAttributesError::Malformed(format!("the subject's {} is not text", oid_name(&kind)))
            })?),
        };
        parts.push(SubjectPart { kind, value });
        if parts.len() > MOST {
            return Err(CsrAttributesError::Malformed("the template's subject is too long".to_owned()));
        }
    }
    Ok(parts)
}

/// What stands inside SubjectPublicKeyInfoTemplate.
fn read_key(info: &mut SliceReader<'_>) -> der::Result<KeyWanted> {
    let (algorithm, parameters) = info.sequence(|algorithm| {
        let oid = ObjectIdentifier::decode(algorithm)?;
        let parameters = if algorithm.is_finished() { None } else { Some(Any::decode(algorithm)?) };
        Ok::<_, der::Error>((oid, parameters))
    })?;
    let public = if info.is_finished() { None } else { Some(BitStringRef::decode(info)?) };
    Ok(match algorithm {
        rfc5912::ID_EC_PUBLIC_KEY => {
            let curve =
                parameters.map(|parameters| parameters.decode_as::<ObjectIdentifier>()).transpose()?;
            KeyWanted::Ec { curve }
        }
        rfc5912::RSA_ENCRYPTION => {
            let octets = public.map(|public| public.as_bytes().ok_or(Tag::BitString.value_error()));
            KeyWanted::Rsa { bits: octets.transpose()?.map(modulus_bits).transpose()? }
        }
        other => KeyWanted::Other(other),
    })
}

/// The size of the modulus of an RSAPublicKey.
fn modulus_bits(der: &[u8]) -> der::Result<u32> {
    let mut reader = SliceReader::new(der)?;
    let modulus = reader.sequence(|key| {
        let modulus = UintRef::decode(key)?;
        UintRef::decode(key)?;
        Ok::<_, der::Error>(modulus)
    })?;
    reader.finish()?;
    let octets = modulus.as_bytes();
    let leading = octets.first().map_or(0, |first| first.leading_zeros());
    // The whole message was measured, so its length in bits fits.
    Ok(u32::try_from(octets.len() * 8).unwrap_or(u32::MAX) - leading)
}

/// Whether extnValue may be absent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Given,
    Optional,
}

fn read_extensions(der: &[u8], form: Value) -> Result<Vec<ExtensionWanted>> {
    let mut reader = SliceReader::new(der)?;
    let extensions = reader.sequence(|list| {
        let mut extensions: Vec<ExtensionWanted> = Vec::new();
        while !list.is_finished() && extensions.len() < MOST {
            extensions.push(list.sequence(|extension| read_extension(extension, form))?);
        }
        Ok::<_, der::Error>(extensions)
    })?;
    reader.finish()?;
    if extensions.is_empty() {
        return Err(CsrAttributesError::Malformed("a list of extensions is empty".to_owned()));
    }
    for (at, extension) in extensions.iter().enumerate() {
        if extensions[..at].iter().any(|earlier| earlier.kind == extension.kind) {
            let kind = oid_name(&extension.kind);
            return Err(Contradictory(format!("the extension {kind} is asked for twice")));
        }
    }
    Ok(extensions)
}

fn read_extension(extension: &mut SliceReader<'_>, form: Value) -> der::Result<ExtensionWanted> {
    let kind = ObjectIdentifier::decode(extension)?;
    let critical = next_is(extension, Tag::Boolean) && bool::decode(extension)?;
    let value = if form == Value::Optional && extension.is_finished() {
        None
    } else {
        Some(<&OctetStringRef>::decode(extension)?.as_bytes().to_vec())
    };
    Ok(ExtensionWanted { kind, critical, value })
}
