//! Certificates: built from a template, read from anyone's bytes (RFC 5280 section 4.1).

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc4519, rfc5280};
use der::asn1::{AnyRef, ContextSpecific, IntRef};
use der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use spki::AlgorithmIdentifierRef;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::DistributionPointName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, SubjectKeyIdentifier,
};
use x509_cert::time::Time;

use super::key::{KeyRefused, PublicKey, VerifyError, oid_name};
use super::name::{GeneralName, Name, text};
use super::signed::{SignedParts, signature_algorithm};
use super::tlv;
use crate::clock::Timestamp;
use crate::ids::{Digest, Serial};
use crate::keys::KeyKind;

pub use super::signed::{BuildError, ToBeSigned};

/// Larger than any certificate in use.
const LARGEST: usize = 64 * 1024;
/// No certificate in use has more extensions than a handful.
const MOST: usize = 64;

/// Everything a certificate says.
#[derive(Clone, Debug)]
pub struct CertificateTemplate {
    pub serial: Serial,
    pub issuer: Name,
    pub subject: Name,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub public_key: PublicKey,
    /// The kind of the key that will sign, which gives the signature algorithm.
    pub signer: KeyKind,
    pub extensions: Vec<Extension>,
}

impl CertificateTemplate {
    /// The TBSCertificate, version 3.
    pub fn to_be_signed(self) -> Result<ToBeSigned, BuildError> {
        if self.not_after < self.not_before {
            return Err(BuildError::TimesReversed { begin: self.not_before, end: self.not_after });
        }
        for (at, extension) in self.extensions.iter().enumerate() {
            if self.extensions[..at].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
                return Err(BuildError::DuplicateExtension(oid_name(&extension.extn_id)));
            }
        }
        let issuer = encoded("the issuer's name", &self.issuer)?;
        let subject = encoded("the subject's name", &self.subject)?;
        let mut extensions = Vec::new();
        for extension in &self.extensions {
            extensions.extend(encoded("an extension", extension)?);
        }

        let mut out = Vec::with_capacity(1024);
        tlv::nest(&mut out, tlv::SEQUENCE, |tbs| {
            // Version v3 is the number 2.
            tlv::nest(tbs, tlv::constructed(0), |out| tlv::put_unsigned(out, &[2]));
            tlv::put_unsigned(tbs, self.serial.as_bytes());
            tbs.extend_from_slice(signature_algorithm(self.signer));
            tbs.extend_from_slice(&issuer);
            tlv::nest(tbs, tlv::SEQUENCE, |validity| {
                tlv::put_time(validity, self.not_before);
                tlv::put_time(validity, self.not_after);
            });
            tbs.extend_from_slice(&subject);
            tbs.extend_from_slice(self.public_key.spki_der());
            // SEQUENCE SIZE (1..MAX): absent rather than empty.
            if !extensions.is_empty() {
                tlv::nest(tbs, tlv::constructed(3), |out| tlv::put(out, tlv::SEQUENCE, &extensions));
            }
        });
        Ok(ToBeSigned::new(out, self.signer))
    }
}

pub(super) fn encoded(what: &'static str, value: &impl Encode) -> Result<Vec<u8>, BuildError> {
    value.to_der().map_err(|error| BuildError::Encode { what, reason: error.to_string() })
}

/// Why bytes are not a certificate, or another object this module reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("it is not {what} in DER: {reason}")]
    Malformed { what: &'static str, reason: String },
    #[error("it is longer than {0} octets, more than any in use")]
    TooLarge(usize),
    #[error("the extension {0} appears twice")]
    DuplicateExtension(String),
}

impl ParseError {
    pub(super) fn malformed(what: &'static str) -> impl Fn(der::Error) -> Self {
        move |error| Self::Malformed { what, reason: error.to_string() }
    }
}

/// A certificate of any issuer, taken apart but not yet trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    serial: Vec<u8>,
    issuer: Name,
    issuer_der: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
    subject: Name,
    subject_der: Vec<u8>,
    spki: Vec<u8>,
    extensions: Vec<Extension>,
    subject_alt_names: Option<Vec<GeneralName>>,
    extended_key_usages: Vec<ObjectIdentifier>,
    basic_constraints: Option<BasicConstraints>,
}

const WHAT: &str = "a certificate";

impl Certificate {
    /// Reads what others issue too: serials up to 20 octets, versions 1 to 3, any key, any string type in names.
    pub fn from_der(der: &[u8]) -> Result<Self, ParseError> {
        if der.len() > LARGEST {
            return Err(ParseError::TooLarge(LARGEST));
        }
        let fields = Fields::read(der).map_err(ParseError::malformed(WHAT))?;
        let extensions = fields.extensions;
        if extensions.len() > MOST {
            let reason = format!("it has more than {MOST} extensions");
            return Err(ParseError::Malformed { what: WHAT, reason });
        }
        for (at, extension) in extensions.iter().enumerate() {
            if extensions[..at].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
                return Err(ParseError::DuplicateExtension(oid_name(&extension.extn_id)));
            }
        }
        let subject_alt_names: Option<Vec<GeneralName>> =
            value(&extensions, rfc5280::ID_CE_SUBJECT_ALT_NAME)?;
        let extended_key_usages: Option<Vec<ObjectIdentifier>> =
            value(&extensions, rfc5280::ID_CE_EXT_KEY_USAGE)?;
        // SEQUENCE SIZE (1..MAX) both; an empty list of purposes must not pass for "any purpose".
        if subject_alt_names.as_ref().is_some_and(Vec::is_empty)
            || extended_key_usages.as_ref().is_some_and(Vec::is_empty)
        {
            let reason = "its subjectAltName or extKeyUsage is empty".to_owned();
            return Err(ParseError::Malformed { what: WHAT, reason });
        }
        Ok(Self {
            der: der.to_vec(),
            serial: fields.serial.to_vec(),
            issuer: fields.issuer.0,
            issuer_der: fields.issuer.1.to_vec(),
            not_before: timestamp(fields.not_before),
            not_after: timestamp(fields.not_after),
            subject: fields.subject.0,
            subject_der: fields.subject.1.to_vec(),
            spki: fields.spki.to_vec(),
            subject_alt_names,
            extended_key_usages: extended_key_usages.unwrap_or_default(),
            basic_constraints: value(&extensions, rfc5280::ID_CE_BASIC_CONSTRAINTS)?,
            extensions,
        })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// The serial number as its INTEGER holds it: big-endian, with a zero in front where DER needs one.
    pub fn serial_bytes(&self) -> &[u8] {
        &self.serial
    }

    /// The serial number, if it has the form of those of this authority.
    pub fn serial(&self) -> Option<Serial> {
        own_serial(&self.serial)
    }

    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// The issuer's name byte for byte, for comparing and hashing.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The subject's name byte for byte, for comparing and hashing.
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub fn public_key(&self) -> Result<PublicKey, KeyRefused> {
        PublicKey::from_spki_der(&self.spki)
    }

    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    pub fn subject_alt_names(&self) -> Option<&[GeneralName]> {
        self.subject_alt_names.as_deref()
    }

    /// Empty when the extension is absent.
    pub fn extended_key_usages(&self) -> &[ObjectIdentifier] {
        &self.extended_key_usages
    }

    /// The key identifier issued certificates point to (RFC 5280 section 4.2.1.1).
    pub fn subject_key_id(&self) -> Option<Vec<u8>> {
        let key_id: SubjectKeyIdentifier =
            value(&self.extensions, rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER).ok()??;
        Some(key_id.0.into_bytes().into_vec())
    }

    /// The key identifier of the key that signed it (RFC 5280 section 4.2.1.1).
    pub fn authority_key_id(&self) -> Option<Vec<u8>> {
        let key_id: AuthorityKeyIdentifier =
            value(&self.extensions, rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER).ok()??;
        Some(key_id.key_identifier?.into_bytes().into_vec())
    }

    /// The one serialNumber attribute of the subject; `None` when there are several or it is no text.
    pub fn subject_serial_number(&self) -> Option<String> {
        self.only_attribute(rfc4519::SERIAL_NUMBER)
    }

    fn only_attribute(&self, oid: ObjectIdentifier) -> Option<String> {
        let mut found = self.subject.iter().filter(|pair| pair.oid == oid);
        let only = found.next()?;
        if found.next().is_some() { None } else { text(&only.value) }
    }

    /// The one commonName of the subject; `None` when there are several or it is no text.
    pub fn common_name(&self) -> Option<String> {
        self.only_attribute(rfc4519::COMMON_NAME)
    }

    /// The URIs among its subject alternative names.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.subject_alt_names().unwrap_or_default().iter().filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
            _ => None,
        })
    }

    /// The URLs of its cRLDistributionPoints (RFC 5280 section 4.2.1.13).
    pub fn crl_urls(&self) -> Vec<String> {
        let found = self.extensions().iter().find(|it| it.extn_id == rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS);
        let points = found.and_then(|it| CrlDistributionPoints::from_der(it.extn_value.as_bytes()).ok());
        let names = points.into_iter().flat_map(|points| points.0).filter_map(|point| match point {
            DistributionPoint {
                distribution_point: Some(DistributionPointName::FullName(names)), ..
            } => Some(names),
            _ => None,
        });
        names
            .flatten()
            .filter_map(|name| match name {
                GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
                _ => None,
            })
            .collect()
    }

    /// The DNS names among its subject alternative names.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.subject_alt_names().unwrap_or_default().iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str()),
            _ => None,
        })
    }

    pub fn is_ca(&self) -> bool {
        self.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca)
    }

    pub fn path_len(&self) -> Option<u8> {
        self.basic_constraints.as_ref().and_then(|constraints| constraints.path_len_constraint)
    }

    /// Whether the holder of `issuer` signed this. Names and dates are another question: see [`super::path`].
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), VerifyError> {
        // These bytes were taken apart before, so this does not fail.
        SignedParts::from_der(&self.der).map_err(|_| VerifyError::BadSignature)?.verify(issuer)
    }
}

/// The TBSCertificate in the order of RFC 5280 section 4.1.
struct Fields<'a> {
    serial: &'a [u8],
    issuer: (Name, &'a [u8]),
    not_before: Time,
    not_after: Time,
    subject: (Name, &'a [u8]),
    spki: &'a [u8],
    extensions: Vec<Extension>,
}

impl<'a> Fields<'a> {
    fn read(der: &'a [u8]) -> der::Result<Self> {
        let parts = SignedParts::from_der(der)?;
        let mut reader = SliceReader::new(parts.message)?;
        let fields = reader.sequence(|tbs| {
            let version =
                ContextSpecific::<u8>::decode_explicit(tbs, TagNumber(0))?.map_or(0, |field| field.value);
            let serial = serial_number(tbs)?;
            // RFC 5280 section 4.1.1.2: both algorithm fields MUST be the same.
            if AlgorithmIdentifierRef::decode(tbs)? != parts.algorithm || version > 2 {
                return Err(tbs.error(der::ErrorKind::Value { tag: Tag::Sequence }));
            }
            let issuer = name(tbs)?;
            let (not_before, not_after) = tbs.sequence(|validity| {
                Ok::<_, der::Error>((Time::decode(validity)?, Time::decode(validity)?))
            })?;
            let subject = name(tbs)?;
            let spki = tbs.tlv_bytes()?;
            // Unique identifiers are of version 2, and of no use to anyone (RFC 5280 section 4.1.2.8).
            for number in [1, 2] {
                ContextSpecific::<der::asn1::BitStringRef<'_>>::decode_implicit(tbs, TagNumber(number))?;
            }
            let extensions = ContextSpecific::<Vec<Extension>>::decode_explicit(tbs, TagNumber(3))?;
            let extensions = extensions.map_or_else(Vec::new, |field| field.value);
            if version < 2 && !extensions.is_empty() {
                return Err(tbs.error(der::ErrorKind::Value { tag: Tag::Integer }));
            }
            Ok::<_, der::Error>(Self { serial, issuer, not_before, not_after, subject, spki, extensions })
        })?;
        reader.finish()?;
        Ok(fields)
    }
}

/// The content of an INTEGER of at most 20 octets, and the zero before them (RFC 5280 section 4.1.2.2).
pub(super) fn serial_number<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let serial = AnyRef::decode(reader)?;
    serial.tag().assert_eq(Tag::Integer)?;
    // Decoded again only for the rule of the shortest form.
    serial.decode_as::<IntRef<'_>>()?;
    if serial.value().len() > 21 {
        return Err(reader.error(der::ErrorKind::Length { tag: Tag::Integer }));
    }
    Ok(serial.value())
}

/// A serial number of this authority has 16 octets and no sign.
pub(super) fn own_serial(integer: &[u8]) -> Option<Serial> {
    <[u8; 16]>::try_from(integer).ok().filter(|bytes| bytes[0] < 0x80).map(Serial::from_bytes)
}

fn name<'a>(reader: &mut SliceReader<'a>) -> der::Result<(Name, &'a [u8])> {
    let der = reader.tlv_bytes()?;
    Ok((Name::from_der(der)?, der))
}

pub(super) fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_secs(time.to_unix_duration().as_secs())
}

/// The decoded value of one extension, if it is there.
fn value<'a, T>(extensions: &'a [Extension], oid: ObjectIdentifier) -> Result<Option<T>, ParseError>
where
    T: Decode<'a, Error = der::Error>,
{
    extensions
        .iter()
        .find(|extension| extension.extn_id == oid)
        .map(|extension| T::from_der(extension.extn_value.as_bytes()))
        .transpose()
        .map_err(ParseError::malformed(WHAT))
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
