//! An OCSP request, from anyone (RFC 6960 section 4.1).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc6960;
use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag, TagNumber};
use spki::AlgorithmIdentifierRef;
use x509_cert::ext::Extension;

use super::HashAlg;
use super::response::OcspError;
use crate::ids::Serial;
use crate::pki::certificate::own_serial;
use crate::pki::key::oid_name;
use crate::pki::read::{context, next_is};

/// No request in use has more extensions than a handful.
const MOST_EXTENSIONS: usize = 16;

/// What a client says with them is understood, critical or not, and changes nothing: there is one type of response, and a
/// signer has one key with one algorithm (RFC 6960 sections 4.4.3 and 4.4.7).
const NOTHING_TO_CHOOSE: [ObjectIdentifier; 2] =
    [rfc6960::ID_PKIX_OCSP_RESPONSE, rfc6960::ID_PKIX_OCSP_PREF_SIG_ALGS];

/// Why a request gets no signed answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspRequestError {
    #[error("it is not an OCSP request in DER: {0}")]
    Malformed(String),
    #[error("it asks for more than {0} certificates: send several requests")]
    TooMany(usize),
    #[error("it has the critical extension {0}, which is not known here")]
    CriticalExtension(String),
}

impl OcspRequestError {
    /// What to answer with.
    pub fn status(&self) -> OcspError {
        OcspError::Malformed
    }
}

impl From<der::Error> for OcspRequestError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The certificate a client asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertId {
    pub hash: HashAlg,
    /// The exact DER of the CertID, which the answer must repeat (RFC 6960 section 4.2.2.3).
    pub raw: Vec<u8>,
    pub issuer_name_hash: Vec<u8>,
    pub issuer_key_hash: Vec<u8>,
    /// The content of the INTEGER: big-endian, with a zero in front where DER needs one.
    pub serial: Vec<u8>,
}

impl CertId {
    /// The serial number, if it has the form of those of this authority.
    pub fn own_serial(&self) -> Option<Serial> {
        own_serial(&self.serial)
    }
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspRequest {
    /// At least one.
    pub entries: Vec<CertId>,
    /// To be repeated in a fresh answer: 1 to 128 octets (RFC 9654 section 2.1).
    pub nonce: Option<Vec<u8>>,
}

impl OcspRequest {
    pub fn from_der(der: &[u8], max_entries: usize) -> Result<Self, OcspRequestError> {
        let mut reader = SliceReader::new(der)?;
        let request = reader.sequence(|request| {
            let parsed = request.sequence(|tbs| tbs_request(tbs, max_entries))?;
            // A signature MAY be ignored: who asks makes no difference to the answer (RFC 9919 section 3.1.2).
            skip_context(request, 0)?;
            Ok::<_, OcspRequestError>(parsed)
        })?;
        reader.finish()?;
        Ok(request)
    }
}

fn tbs_request(tbs: &mut SliceReader<'_>, max_entries: usize) -> Result<OcspRequest, OcspRequestError> {
    let version = tbs.context_specific::<u8>(TagNumber(0), der::TagMode::Explicit)?;
    if version.unwrap_or(0) != 0 {
        return Err(malformed("its version is not v1 (0), the only one there is"));
    }
    // The name of the requestor of an unsigned request is treated as absent (RFC 9919 section 3.1.2).
    skip_context(tbs, 1)?;
    let mut entries = Vec::new();
    tbs.sequence(|list| {
        while !list.is_finished() {
            if entries.len() == max_entries {
                return Err(OcspRequestError::TooMany(max_entries));
            }
            entries.push(list.sequence(entry)?);
        }
        Ok(())
    })?;
    if entries.is_empty() {
        return Err(malformed("it asks for no certificate"));
    }
    let nonce = extensions(tbs, 2)?;
    Ok(OcspRequest { entries, nonce })
}

fn entry(request: &mut SliceReader<'_>) -> Result<CertId, OcspRequestError> {
    let raw = request.tlv_bytes()?;
    let cert_id = cert_id(raw)?;
    // A nonce has no meaning for a single certificate.
    extensions(request, 0)?;
    Ok(cert_id)
}

pub(super) fn cert_id(raw: &[u8]) -> Result<CertId, OcspRequestError> {
    let mut reader = SliceReader::new(raw)?;
    let cert_id = reader.sequence(|id| {
        let algorithm = AlgorithmIdentifierRef::decode(id)?;
        let issuer_name_hash = <&OctetStringRef>::decode(id)?.as_bytes().to_vec();
        let issuer_key_hash = <&OctetStringRef>::decode(id)?.as_bytes().to_vec();
        let serial = AnyRef::decode(id)?;
        der::Tagged::tag(&serial).assert_eq(Tag::Integer)?;
        serial.decode_as::<der::asn1::IntRef<'_>>()?;
        // Clients write the parameters as NULL or leave them out; both forms are in use (RFC 5754 section 2).
        if algorithm.parameters.is_some_and(|parameters| !parameters.is_null()) {
            return Err(malformed("its hash algorithm has parameters"));
        }
        let hash = HashAlg::of(algorithm.oid);
        let length = hash.length();
        if length.is_some_and(|length| issuer_name_hash.len() != length || issuer_key_hash.len() != length) {
            return Err(malformed("the hashes of a CertID do not have the length of their algorithm"));
        }
        let serial = serial.value().to_vec();
        Ok(CertId { hash, raw: raw.to_vec(), issuer_name_hash, issuer_key_hash, serial })
    })?;
    reader.finish()?;
    Ok(cert_id)
}

/// Reads `[number] EXPLICIT Extensions`, refuses what is critical and unknown, and gives the nonce if there is one.
fn extensions(reader: &mut SliceReader<'_>, number: u32) -> Result<Option<Vec<u8>>, OcspRequestError> {
    let extensions = reader.context_specific::<Vec<Extension>>(TagNumber(number), der::TagMode::Explicit)?;
    let extensions = extensions.unwrap_or_default();
    if extensions.len() > MOST_EXTENSIONS {
        return Err(malformed("it has too many extensions"));
    }
    let mut nonce = None;
    for (at, extension) in extensions.iter().enumerate() {
        if extensions[..at].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(malformed("it has the same extension twice"));
        }
        if extension.extn_id == rfc6960::ID_PKIX_OCSP_NONCE {
            let value = <&OctetStringRef>::from_der(extension.extn_value.as_bytes())?.as_bytes();
            if !(1..=128).contains(&value.len()) {
                return Err(malformed("its nonce does not have 1 to 128 octets (RFC 9654 section 2.1)"));
            }
            nonce = Some(value.to_vec());
        } else if extension.critical && !NOTHING_TO_CHOOSE.contains(&extension.extn_id) {
            // RFC 6960 section 4.4: unknown extensions are ignored unless they are critical.
            return Err(OcspRequestError::CriticalExtension(oid_name(&extension.extn_id)));
        }
    }
    Ok(nonce)
}

/// Skips `[number]` if it is next.
fn skip_context(reader: &mut SliceReader<'_>, number: u32) -> der::Result<()> {
    if next_is(reader, context(number)) {
        reader.tlv_bytes()?;
    }
    Ok(())
}

fn malformed(reason: &str) -> OcspRequestError {
    OcspRequestError::Malformed(reason.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use ocsp::request::OcspRequest as OtherRequest;
    use proptest::prelude::*;

    use super::super::{issuer_hashes, request};
    use super::*;
    use crate::pki::testing::{TestCa, TestKey, oid, raw_extension};
    use crate::pki::tlv;

    const SHA1: &str = "1.3.14.3.2.26";
    const NONCE: &str = "1.3.6.1.5.5.7.48.1.2";

    fn raw_cert_id(algorithm: &str, parameters: &[u8], hash: &[u8], serial: &[u8]) -> Vec<u8> {
        tlv::nested(tlv::SEQUENCE, |id| {
            tlv::put(id, tlv::SEQUENCE, &[&oid(algorithm), parameters].concat());
            tlv::put(id, tlv::OCTET_STRING, hash);
            tlv::put(id, tlv::OCTET_STRING, hash);
            tlv::put(id, tlv::INTEGER, serial);
        })
    }

    /// A request of raw parts: what stands before the list, single extensions, what stands after the list.
    fn raw_request(before: &[u8], cert_ids: &[Vec<u8>], single: &[u8], after: &[u8]) -> Vec<u8> {
        tlv::nested(tlv::SEQUENCE, |request| {
            tlv::nest(request, tlv::SEQUENCE, |tbs| {
                tbs.extend_from_slice(before);
                tlv::nest(tbs, tlv::SEQUENCE, |list| {
                    for id in cert_ids {
                        tlv::put(list, tlv::SEQUENCE, &[id, single].concat());
                    }
                });
                tbs.extend_from_slice(after);
            });
        })
    }

    fn tagged_extensions(tag: u8, extensions: &[Vec<u8>]) -> Vec<u8> {
        tlv::nested(tlv::constructed(tag), |out| tlv::put(out, tlv::SEQUENCE, &extensions.concat()))
    }

    fn nonce(length: usize) -> Vec<u8> {
        let mut value = Vec::new();
        tlv::put(&mut value, tlv::OCTET_STRING, &vec![7; length]);
        tagged_extensions(2, &[raw_extension(NONCE, &value)])
    }

    /// O09: every hash, with its parameters as NULL and absent.
    #[test]
    fn every_hash_is_read_in_both_forms() {
        for hash in HashAlg::KNOWN {
            let algorithm = hash.oid().unwrap().to_string();
            let bytes = vec![9; hash.length().unwrap()];
            for parameters in [tlv::NULL, &[]] {
                let id = raw_cert_id(&algorithm, parameters, &bytes, &[0, 0x80]);
                let parsed =
                    OcspRequest::from_der(&raw_request(&[], std::slice::from_ref(&id), &[], &[]), 1).unwrap();
                assert_eq!(
                    parsed.entries,
                    [CertId {
                        hash,
                        raw: id,
                        issuer_name_hash: bytes.clone(),
                        issuer_key_hash: bytes.clone(),
                        serial: vec![0, 0x80],
                    }]
                );
            }
        }
        let id = raw_cert_id("1.2.3", &[], b"?", &[1]);
        let parsed = OcspRequest::from_der(&raw_request(&[], &[id], &[], &[]), 1).unwrap();
        assert_eq!(parsed.entries[0].hash, HashAlg::Other);
    }

    /// Every SHA-1 request that the crate `ocsp` reads is read the same here.
    #[test]
    fn another_parser_reads_the_same() {
        let ca = TestCa::root();
        let key = ca.certificate.public_key().unwrap();
        for (serial, nonce) in [(vec![1], None), (vec![0x7f; 16], Some(vec![5; 32])), (vec![0x80; 20], None)]
        {
            let der = request(ca.certificate.subject_der(), &key, &serial, HashAlg::Sha1, nonce.as_deref())
                .unwrap();
            let ours = OcspRequest::from_der(&der, 1).unwrap();
            let other = OtherRequest::parse(&der).unwrap();
            let other = other.extract_certid()[0].clone();
            assert_eq!(ours.entries[0].issuer_name_hash, other.issuer_name_hash);
            assert_eq!(ours.entries[0].issuer_key_hash, other.issuer_key_hash);
            assert_eq!(ours.entries[0].serial, other.serial_num);
            assert_eq!(ours.nonce, nonce);
            let (name, key) = issuer_hashes(ca.certificate.subject_der(), &key, HashAlg::Sha1);
            assert_eq!((&ours.entries[0].issuer_name_hash, &ours.entries[0].issuer_key_hash), (&name, &key));
        }
    }

    #[test]
    fn what_may_be_ignored_is_ignored() {
        let id = raw_cert_id(SHA1, tlv::NULL, &[1; 20], &[1]);
        let ids = [id.clone()];
        let unknown = raw_extension("1.2.3", &[]);
        let name = tlv::nested(tlv::constructed(1), |out| {
            tlv::nest(out, tlv::constructed(4), |out| tlv::put(out, tlv::SEQUENCE, &[]));
        });
        let version = tlv::nested(tlv::constructed(0), |out| tlv::put_unsigned(out, &[0]));
        let mut signed = raw_request(&[], &ids, &[], &[]);
        let signature = tlv::nested(tlv::constructed(0), |out| tlv::put(out, tlv::SEQUENCE, &[5, 0]));
        signed.extend(&signature);
        signed[1] += u8::try_from(signature.len()).unwrap();
        for (case, der) in [
            ("requestorName (O19)", raw_request(&name, &ids, &[], &[])),
            ("explicit version 1", raw_request(&version, &ids, &[], &[])),
            (
                "unknown extension (O18)",
                raw_request(&[], &ids, &[], &tagged_extensions(2, std::slice::from_ref(&unknown))),
            ),
            ("unknown single extension", raw_request(&[], &ids, &tagged_extensions(0, &[unknown]), &[])),
            ("signature", signed),
        ] {
            let parsed = OcspRequest::from_der(&der, 1).expect(case);
            assert_eq!((parsed.entries[0].raw.as_slice(), parsed.nonce), (id.as_slice(), None), "{case}");
        }
        for length in [1, 16, 32, 128] {
            let parsed = OcspRequest::from_der(&raw_request(&[], &ids, &[], &nonce(length)), 1).unwrap();
            assert_eq!(parsed.nonce, Some(vec![7; length]), "O16");
        }
    }

    #[test]
    fn bad_requests_are_refused_for_their_reason() {
        let id = raw_cert_id(SHA1, tlv::NULL, &[1; 20], &[1]);
        let ids = [id.clone()];
        let good = raw_request(&[], &ids, &[], &[]);
        let critical = tlv::nested(tlv::SEQUENCE, |out| {
            out.extend(oid("1.2.3"));
            out.extend(tlv::BOOLEAN_TRUE);
            tlv::put(out, tlv::OCTET_STRING, &[]);
        });
        let version = tlv::nested(tlv::constructed(0), |out| tlv::put_unsigned(out, &[1]));
        let twice = tagged_extensions(2, &[raw_extension("1.2.3", &[]), raw_extension("1.2.3", &[])]);
        let raw_nonce = tagged_extensions(2, &[raw_extension(NONCE, &[7; 16])]);
        let with = |id: Vec<u8>| raw_request(&[], &[id], &[], &[]);
        for (case, der) in [
            ("empty", vec![]),
            ("not DER", b"GET / HTTP/1.0".to_vec()),
            ("trailing", [&good[..], &[0]].concat()),
            ("cut", good[..good.len() - 1].to_vec()),
            ("no entry", raw_request(&[], &[], &[], &[])),
            ("version 2 (O20)", raw_request(&version, &ids, &[], &[])),
            ("empty nonce (O16)", raw_request(&[], &ids, &[], &nonce(0))),
            ("nonce of 129 (O16)", raw_request(&[], &ids, &[], &nonce(129))),
            ("nonce without its OCTET STRING", raw_request(&[], &ids, &[], &raw_nonce)),
            ("same extension twice (O18)", raw_request(&[], &ids, &[], &twice)),
            ("hash of a wrong length", with(raw_cert_id(SHA1, tlv::NULL, &[1; 19], &[1]))),
            ("hash with parameters", with(raw_cert_id("1.2.3", &[4, 1, 0], &[1; 20], &[1]))),
            ("empty serial", with(raw_cert_id(SHA1, tlv::NULL, &[1; 20], &[]))),
            ("serial longer than needed", with(raw_cert_id(SHA1, tlv::NULL, &[1; 20], &[0, 1]))),
        ] {
            let error = OcspRequest::from_der(&der, 8).expect_err(case);
            assert!(matches!(error, OcspRequestError::Malformed(_)), "{case}: {error}");
        }
        let ext = tagged_extensions(2, std::slice::from_ref(&critical));
        let error = OcspRequest::from_der(&raw_request(&[], &ids, &[], &ext), 8).unwrap_err();
        assert_eq!(error, OcspRequestError::CriticalExtension("1.2.3".to_owned()));
        let single = tagged_extensions(0, &[critical]);
        assert!(OcspRequest::from_der(&raw_request(&[], &ids, &single, &[]), 8).is_err());
        let nine = raw_request(&[], &vec![id; 9], &[], &[]);
        assert_eq!(OcspRequest::from_der(&nine, 8), Err(OcspRequestError::TooMany(8)));
        assert_eq!(OcspRequest::from_der(&nine, 9).unwrap().entries.len(), 9);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = OcspRequest::from_der(&bytes, 4);
        }

        #[test]
        fn no_change_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
                request(&[0x30, 0], &TestKey::p256().public(), &[5; 16], HashAlg::Sha256, Some(&[1; 32])).unwrap()
            });
            let mut der = GOOD.clone();
            let at = at.index(der.len());
            der[at] = byte;
            // Whatever is accepted is echoed as it came.
            if let Ok(parsed) = OcspRequest::from_der(&der, 4) {
                let raw = &parsed.entries[0].raw;
                prop_assert!(der.windows(raw.len()).any(|window| window == raw));
            }
        }
    }
}
