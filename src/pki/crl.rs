//! Certificate revocation lists, complete ones of version 2 (RFC 5280 section 5).

use const_oid::db::rfc5280;
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber};
use spki::AlgorithmIdentifierRef;
use x509_cert::ext::Extension;
use x509_cert::time::Time;

use super::certificate::{ParseError, encoded, own_serial, serial_number, timestamp};
use super::extensions::authority_key_id_value;
use super::key::{PublicKey, VerifyError};
use super::name::Name;
use super::read::next_is;
use super::signed::{SignedParts, signature_algorithm};
use super::tlv;
use crate::clock::Timestamp;
use crate::ids::{Reason, Serial};
use crate::keys::KeyKind;

pub use super::signed::{BuildError, ToBeSigned};

/// One revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlEntry {
    pub serial: Serial,
    pub revoked_at: Timestamp,
    pub reason: Reason,
    /// When the key was compromised, or is thought to have been (RFC 5280 section 5.3.2).
    pub invalid_since: Option<Timestamp>,
}

/// Everything a CRL says.
#[derive(Clone, Debug)]
pub struct CrlTemplate {
    pub issuer: Name,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub number: u64,
    pub authority_key_id: [u8; 20],
    /// The kind of the key that will sign, which gives the signature algorithm.
    pub signer: KeyKind,
    /// Listed in this order.
    pub entries: Vec<CrlEntry>,
}

impl CrlTemplate {
    /// The TBSCertList. Entries are appended to one buffer: a hundred thousand take milliseconds.
    pub fn to_be_signed(self) -> Result<ToBeSigned, BuildError> {
        if self.next_update < self.this_update {
            return Err(BuildError::TimesReversed { begin: self.this_update, end: self.next_update });
        }
        let issuer = encoded("the issuer's name", &self.issuer)?;
        let mut out = Vec::with_capacity(512 + self.entries.len() * 56);
        tlv::nest(&mut out, tlv::SEQUENCE, |tbs| {
            // Version v2 is the number 1.
            tlv::put_unsigned(tbs, &[1]);
            tbs.extend_from_slice(signature_algorithm(self.signer));
            tbs.extend_from_slice(&issuer);
            tlv::put_time(tbs, self.this_update);
            tlv::put_time(tbs, self.next_update);
            // RFC 5280 section 5.1.2.6: when nothing is revoked the list MUST be absent.
            if !self.entries.is_empty() {
                tlv::nest(tbs, tlv::SEQUENCE, |list| {
                    for entry in &self.entries {
                        put_entry(list, entry);
                    }
                });
            }
            tlv::nest(tbs, tlv::constructed(0), |out| {
                tlv::nest(out, tlv::SEQUENCE, |extensions| {
                    let key_id = authority_key_id_value(&self.authority_key_id);
                    put_extension(extensions, rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER.as_bytes(), |value| {
                        value.extend_from_slice(&key_id);
                    });
                    put_extension(extensions, rfc5280::ID_CE_CRL_NUMBER.as_bytes(), |value| {
                        tlv::put_unsigned(value, &self.number.to_be_bytes());
                    });
                });
            });
        });
        Ok(ToBeSigned::new(out, self.signer))
    }
}

fn put_entry(list: &mut Vec<u8>, entry: &CrlEntry) {
    tlv::nest(list, tlv::SEQUENCE, |out| {
        tlv::put_unsigned(out, entry.serial.as_bytes());
        tlv::put_time(out, entry.revoked_at);
        // RFC 5280 section 5.3.1: the reason SHOULD be absent rather than "unspecified".
        let reason = (entry.reason != Reason::Unspecified).then_some(entry.reason);
        if reason.is_none() && entry.invalid_since.is_none() {
            return;
        }
        tlv::nest(out, tlv::SEQUENCE, |extensions| {
            if let Some(reason) = reason {
                put_extension(extensions, rfc5280::ID_CE_CRL_REASONS.as_bytes(), |value| {
                    tlv::put(value, tlv::ENUMERATED, &[reason.code()]);
                });
            }
            if let Some(since) = entry.invalid_since {
                put_extension(extensions, rfc5280::ID_CE_INVALIDITY_DATE.as_bytes(), |value| {
                    tlv::put_generalized_time(value, since);
                });
            }
        });
    });
}

/// A non-critical extension.
fn put_extension(out: &mut Vec<u8>, oid: &[u8], fill: impl FnOnce(&mut Vec<u8>)) {
    tlv::nest(out, tlv::SEQUENCE, |extension| {
        tlv::put(extension, tlv::OBJECT_IDENTIFIER, oid);
        tlv::nest(extension, tlv::OCTET_STRING, fill);
    });
}

/// What a CRL says, without keeping its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlSummary {
    pub issuer: Name,
    pub this_update: Timestamp,
    pub next_update: Option<Timestamp>,
    pub number: Option<u64>,
    pub authority_key_id: Option<Vec<u8>>,
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
    let mut number = None;
    let mut authority_key_id = None;
    for extension in &extensions {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            rfc5280::ID_CE_CRL_NUMBER => number = small(UintRef::from_der(value)?.as_bytes()),
            rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                let parsed = x509_cert::ext::pkix::AuthorityKeyIdentifier::from_der(value)?;
                authority_key_id = parsed.key_identifier.map(|key_id| key_id.as_bytes().to_vec());
            }
            _ => {}
        }
    }
    Ok(CrlSummary { issuer, this_update, next_update, number, authority_key_id, entries })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::time::{Duration, Instant};

    use der::Encode;
    use proptest::prelude::*;
    use webpki::{BorrowedCertRevocationList, CertRevocationList};
    use x509_cert::crl::CertificateList;

    use super::*;
    use crate::clock::SystemRandom;
    use crate::pki::testing::{TestCa, day};

    fn template(ca: &TestCa, entries: Vec<CrlEntry>) -> CrlTemplate {
        CrlTemplate {
            issuer: ca.certificate.subject().clone(),
            this_update: day("2026-11-23T10:00:00Z"),
            next_update: day("2026-11-24T10:00:00Z"),
            number: 0x80,
            authority_key_id: ca.certificate.public_key().unwrap().key_id(),
            signer: ca.kind,
            entries,
        }
    }

    fn signed(ca: &TestCa, template: CrlTemplate) -> Vec<u8> {
        let to_be_signed = template.to_be_signed().unwrap();
        let signature = ca.key.sign(to_be_signed.bytes());
        to_be_signed.assemble(&signature).unwrap()
    }

    fn entries(count: usize) -> Vec<CrlEntry> {
        let start = day("2026-01-01");
        (0..count)
            .map(|n| {
                let at = start + Duration::from_secs(u64::try_from(n).unwrap() * 60);
                CrlEntry {
                    serial: Serial::generate(at, &SystemRandom),
                    revoked_at: at,
                    reason: Reason::ALL[n % Reason::ALL.len()],
                    invalid_since: (n % 5 == 0).then_some(start),
                }
            })
            .collect()
    }

    /// C01-C04, C17: read by two other parsers, written the same by another encoder.
    #[test]
    fn other_implementations_agree() {
        let ca = TestCa::root();
        for count in [0, 1, 40] {
            let listed = entries(count);
            let der = signed(&ca, template(&ca, listed.clone()));
            let other = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap();
            assert_eq!(other.to_der().unwrap(), der);
            let tbs = other.tbs_cert_list;
            assert_eq!(tbs.version, x509_cert::Version::V2);
            assert_eq!(tbs.issuer.to_der().unwrap(), ca.certificate.subject_der());
            assert_eq!(tbs.revoked_certificates.is_none(), count == 0);
            assert_eq!(tbs.crl_extensions.unwrap().len(), 2);

            let webpki = BorrowedCertRevocationList::from_der(&der).unwrap();
            let webpki = CertRevocationList::from(webpki);
            for entry in &listed {
                let found = webpki.find_serial(entry.serial.as_bytes()).unwrap().unwrap();
                let code = found.reason_code.map_or(0, |reason| reason as u8);
                assert_eq!(code, entry.reason.code());
                assert_eq!(found.revocation_date.as_secs(), entry.revoked_at.secs());
                assert_eq!(found.invalidity_date.map(|d| d.as_secs()), entry.invalid_since.map(|d| d.secs()));
            }
            verify_signed_by(&der, &ca.certificate.public_key().unwrap()).unwrap();
        }
    }

    #[test]
    fn a_summary_says_what_the_template_said() {
        let ca = TestCa::root();
        let listed = entries(3);
        let der = signed(&ca, template(&ca, listed.clone()));
        let mut seen = Vec::new();
        let summary = parse_each(&der, |entry| seen.push(entry)).unwrap();
        let said = template(&ca, Vec::new());
        assert_eq!(summary.issuer, said.issuer);
        assert_eq!((summary.this_update, summary.next_update), (said.this_update, Some(said.next_update)));
        assert_eq!((summary.number, summary.entries), (Some(0x80), 3));
        assert_eq!(summary.authority_key_id.unwrap(), said.authority_key_id);
        for (seen, listed) in seen.iter().zip(&listed) {
            assert_eq!((seen.own_serial(), seen.revoked_at), (Some(listed.serial), listed.revoked_at));
            assert_eq!(seen.reason, (listed.reason.code() != 0).then_some(listed.reason.code()));
        }
    }

    #[test]
    fn reversed_times_are_refused() {
        let ca = TestCa::root();
        let mut reversed = template(&ca, Vec::new());
        reversed.next_update = day("2026-11-01");
        assert!(matches!(reversed.to_be_signed(), Err(BuildError::TimesReversed { .. })));
    }

    #[test]
    fn a_hundred_thousand_entries_take_no_time() {
        let ca = TestCa::root();
        let template = template(&ca, entries(100_000));
        let start = Instant::now();
        let to_be_signed = template.to_be_signed().unwrap();
        // About 20 ms with optimisation; this bound holds without it, on a busy machine.
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        let der = to_be_signed.assemble(&[0x30, 6, 2, 1, 1, 2, 1, 1]).unwrap();
        assert_eq!(parse(&der).unwrap().entries, 100_000);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_change_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
                let ca = TestCa::root();
                signed(&ca, template(&ca, entries(5)))
            });
            let mut der = GOOD.clone();
            let at = at.index(der.len());
            der[at] = byte;
            let _ = parse(&der);
        }
    }
}
