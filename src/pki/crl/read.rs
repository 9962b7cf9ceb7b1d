//! Reads lists. Nothing in them is trusted before their signature is verified.

use const_oid::db::rfc5280;
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber};
use spki::AlgorithmIdentifierRef;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, IssuingDistributionPoint};
use x509_cert::time::Time;

use super::super::certificate::{ParseError, own_serial, serial_number, timestamp};
use super::super::key::{PublicKey, VerifyError};
use super::super::name::Name;
use super::super::read::next_is;
use super::super::signed::SignedParts;
use super::Scope;
use crate::clock::Timestamp;
use crate::ids::Serial;

/// What a CRL says, without keeping its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlSummary {
    pub issuer: Name,
    pub this_update: Timestamp,
    pub next_update: Option<Timestamp>,
    pub number: Option<u64>,
    pub authority_key_id: Option<Vec<u8>>,
    /// `None`: every certificate of the issuer.
    pub scope: Option<Scope>,
    /// For a delta: the number of the complete list that it goes on from.
    pub base: Option<u64>,
    /// Where the delta of this complete list is.
    pub freshest: Vec<String>,
    /// How many certificates are listed.
    pub entries: usize,
}

/// One listed certificate, as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// The content of its INTEGER.
    pub serial: Vec<u8>,
    pub revoked_at: Timestamp,
    /// The CRLReason number, when given.
    pub reason: Option<u8>,
}

impl ListedEntry {
    /// The serial number, if it has the form of those of this authority.
    pub fn own_serial(&self) -> Option<Serial> {
        own_serial(&self.serial)
    }
}

const WHAT: &str = "a CRL";

/// Reads a CRL. Nothing in it is trusted before [`verify_signed_by`].
pub fn parse(der: &[u8]) -> Result<CrlSummary, ParseError> {
    parse_each(der, |_| {})
}

/// The same, showing every entry to `see`.
pub fn parse_each(der: &[u8], mut see: impl FnMut(ListedEntry)) -> Result<CrlSummary, ParseError> {
    let malformed = ParseError::malformed(WHAT);
    let parts = SignedParts::from_der(der).map_err(&malformed)?;
    let mut reader = SliceReader::new(parts.message).map_err(&malformed)?;
    let summary = reader.sequence(|tbs| summary(tbs, parts.algorithm, &mut see)).map_err(&malformed)?;
    reader.finish().map_err(&malformed)?;
    Ok(summary)
}

/// Whether the holder of `issuer` signed this CRL.
pub fn verify_signed_by(der: &[u8], issuer: &PublicKey) -> Result<(), VerifyError> {
    SignedParts::from_der(der).map_err(|_| VerifyError::BadSignature)?.verify(issuer)
}

fn summary(
    tbs: &mut SliceReader<'_>,
    outer: AlgorithmIdentifierRef<'_>,
    see: &mut impl FnMut(ListedEntry),
) -> der::Result<CrlSummary> {
    // Version 1 has no field for itself; RFC 5280 section 5.1.1.2: both algorithms MUST be the same.
    let version = if next_is(tbs, Tag::Integer) { u8::decode(tbs)? } else { 0 };
    if AlgorithmIdentifierRef::decode(tbs)? != outer || version > 1 {
        return Err(tbs.error(der::ErrorKind::Value { tag: Tag::Sequence }));
    }
    let issuer = Name::decode(tbs)?;
    let this_update = timestamp(Time::decode(tbs)?);
    let next_update = if next_is(tbs, Tag::UtcTime) || next_is(tbs, Tag::GeneralizedTime) {
        Some(timestamp(Time::decode(tbs)?))
    } else {
        None
    };
    let mut entries = 0;
    if next_is(tbs, Tag::Sequence) {
        tbs.sequence(|list| {
            while !list.is_finished() {
                see(list.sequence(entry)?);
                entries += 1;
            }
            Ok::<_, der::Error>(())
        })?;
    }
    let extensions =
        tbs.context_specific::<Vec<Extension>>(TagNumber(0), der::TagMode::Explicit)?.unwrap_or_default();
    let mut summary = CrlSummary {
        issuer,
        this_update,
        next_update,
        number: None,
        authority_key_id: None,
        scope: None,
        base: None,
        freshest: Vec::new(),
        entries,
    };
    for extension in &extensions {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            rfc5280::ID_CE_CRL_NUMBER => summary.number = small(UintRef::from_der(value)?.as_bytes()),
            rfc5280::ID_CE_DELTA_CRL_INDICATOR => {
                // What no number of this program can be is no base of its lists either, yet it makes the list a delta.
                summary.base = Some(small(UintRef::from_der(value)?.as_bytes()).unwrap_or(u64::MAX));
            }
            rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                let parsed = AuthorityKeyIdentifier::from_der(value)?;
                summary.authority_key_id = parsed.key_identifier.map(|key_id| key_id.as_bytes().to_vec());
            }
            rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT => {
                let parsed = IssuingDistributionPoint::from_der(value)?;
                summary.scope = Some(Scope {
                    users_only: parsed.only_contains_user_certs,
                    names: parsed.distribution_point.map(urls).unwrap_or_default(),
                });
            }
            rfc5280::ID_CE_FRESHEST_CRL => {
                let points = Vec::<DistributionPoint>::from_der(value)?;
                summary.freshest =
                    points.into_iter().filter_map(|point| point.distribution_point).flat_map(urls).collect();
            }
            _ => {}
        }
    }
    Ok(summary)
}

fn urls(name: DistributionPointName) -> Vec<String> {
    let DistributionPointName::FullName(names) = name else { return Vec::new() };
    names
        .into_iter()
        .filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
            _ => None,
        })
        .collect()
}

fn entry(reader: &mut SliceReader<'_>) -> der::Result<ListedEntry> {
    let serial = serial_number(reader)?.to_vec();
    let revoked_at = timestamp(Time::decode(reader)?);
    let mut reason = None;
    if !reader.is_finished() {
        for extension in Vec::<Extension>::decode(reader)? {
            if extension.extn_id == rfc5280::ID_CE_CRL_REASONS {
                let value = der::asn1::AnyRef::from_der(extension.extn_value.as_bytes())?;
                reason = value.value().first().copied();
            }
        }
    }
    Ok(ListedEntry { serial, revoked_at, reason })
}

/// A number of up to 20 octets is allowed (RFC 5280 section 5.2.3); one that this program wrote fits 8.
fn small(big_endian: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.get_mut(8usize.checked_sub(big_endian.len())?..)?.copy_from_slice(big_endian);
    Some(u64::from_be_bytes(bytes))
}
