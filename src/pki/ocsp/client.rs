//! The client's side of OCSP, for the commands and tests of this program: ask, and read the answer.

use const_oid::db::rfc6960;
use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag, TagMode, TagNumber};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;

use super::request::{CertId, cert_id as read_cert_id};
use super::response::put_nonce;
use super::{BuildError, HashAlg, ParseError, issuer_hashes};
use crate::clock::Timestamp;
use crate::pki::key::{PublicKey, VerifyError};
use crate::pki::name::Name;
use crate::pki::read::{context, next_is, within};
use crate::pki::tlv;

/// The CertID of a certificate: its issuer by the hashes of name and key, and its serial number (big-endian, positive).
pub fn cert_id(
    issuer_name_der: &[u8],
    issuer_key: &PublicKey,
    serial: &[u8],
    hash: HashAlg,
) -> Result<Vec<u8>, BuildError> {
    let oid = hash.oid().ok_or_else(|| BuildError::Encode {
        what: "a CertID",
        reason: "its hash must be SHA-1, SHA-256, SHA-384 or SHA-512".to_owned(),
    })?;
    let (name, key) = issuer_hashes(issuer_name_der, issuer_key, hash);
    Ok(tlv::nested(tlv::SEQUENCE, |id| {
        tlv::nest(id, tlv::SEQUENCE, |algorithm| {
            tlv::put(algorithm, tlv::OBJECT_IDENTIFIER, oid.as_bytes());
            // Absent would be right as well (RFC 5754 section 2), but NULL is what every responder reads.
            algorithm.extend_from_slice(tlv::NULL);
        });
        tlv::put(id, tlv::OCTET_STRING, &name);
        tlv::put(id, tlv::OCTET_STRING, &key);
        tlv::put_unsigned(id, serial);
    }))
}

/// A request about one certificate.
pub fn request(
    issuer_name_der: &[u8],
    issuer_key: &PublicKey,
    serial: &[u8],
    hash: HashAlg,
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, BuildError> {
    let cert_id = cert_id(issuer_name_der, issuer_key, serial, hash)?;
    Ok(tlv::nested(tlv::SEQUENCE, |request| {
        tlv::nest(request, tlv::SEQUENCE, |tbs| {
            tlv::nest(tbs, tlv::SEQUENCE, |list| tlv::put(list, tlv::SEQUENCE, &cert_id));
            if let Some(nonce) = nonce {
                tlv::nest(tbs, tlv::constructed(2), |out| put_nonce(out, nonce));
            }
        });
    }))
}

/// A response, taken apart but not yet trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedResponse {
    /// The number of the error (RFC 6960 section 4.2.1).
    Error(u8),
    Basic(Box<BasicResponse>),
}

/// How a response names its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponderId {
    Name(Name),
    KeyHash(Vec<u8>),
}

/// What is said of one certificate; reasons as numbers, since others give reasons this program does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedStatus {
    Good,
    Revoked { at: Timestamp, reason: Option<u8> },
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleResponse {
    pub cert_id: CertId,
    pub status: ParsedStatus,
    pub this_update: Timestamp,
    pub next_update: Option<Timestamp>,
    /// Said of a certificate that has expired (RFC 6960 section 4.4.4).
    pub archive_cutoff: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicResponse {
    pub responder: ResponderId,
    pub produced_at: Timestamp,
    pub singles: Vec<SingleResponse>,
    pub nonce: Option<Vec<u8>>,
    pub certs: Vec<Vec<u8>>,
    to_be_signed: Vec<u8>,
    algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
}

impl BasicResponse {
    /// Whether the holder of `signer` signed this. That the signer may do so is for the caller to know.
    pub fn verify_signed_by(&self, signer: &PublicKey) -> Result<(), VerifyError> {
        use der::referenced::OwnedToRef;
        signer.verify(self.algorithm.owned_to_ref(), &self.to_be_signed, &self.signature)
    }
}

pub fn parse_response(der: &[u8]) -> Result<ParsedResponse, ParseError> {
    let malformed = ParseError::malformed("an OCSP response");
    let mut reader = SliceReader::new(der).map_err(&malformed)?;
    let response = reader.sequence(response).map_err(&malformed)?;
    reader.finish().map_err(&malformed)?;
    Ok(response)
}

fn response(reader: &mut SliceReader<'_>) -> der::Result<ParsedResponse> {
    let status = enumerated(reader)?;
    if status != 0 {
        return Ok(ParsedResponse::Error(status));
    }
    within(reader, context(0), |explicit| {
        explicit.sequence(|bytes| {
            if ObjectIdentifier::decode(bytes)? != rfc6960::ID_PKIX_OCSP_BASIC {
                return Err(bytes.error(der::ErrorKind::Value { tag: Tag::ObjectIdentifier }));
            }
            let mut inner = SliceReader::new(<&OctetStringRef>::decode(bytes)?.as_bytes())?;
            let basic = inner.sequence(basic_response)?;
            inner.finish()?;
            Ok(ParsedResponse::Basic(Box::new(basic)))
        })
    })
}

fn basic_response(reader: &mut SliceReader<'_>) -> der::Result<BasicResponse> {
    let to_be_signed = reader.tlv_bytes()?;
    let algorithm = AlgorithmIdentifierOwned::decode(reader)?;
    let signature = BitStringRef::decode(reader)?.raw_bytes().to_vec();
    let mut certs = Vec::new();
    if !reader.is_finished() {
        within(reader, context(0), |explicit| {
            explicit.sequence(|list| {
                while !list.is_finished() {
                    certs.push(list.tlv_bytes()?.to_vec());
                }
                Ok::<_, der::Error>(())
            })
        })?;
    }
    let mut data = SliceReader::new(to_be_signed)?;
    let (responder, produced_at, singles, nonce) = data.sequence(response_data)?;
    let to_be_signed = to_be_signed.to_vec();
    Ok(BasicResponse { responder, produced_at, singles, nonce, certs, to_be_signed, algorithm, signature })
}

type Data = (ResponderId, Timestamp, Vec<SingleResponse>, Option<Vec<u8>>);

fn response_data(data: &mut SliceReader<'_>) -> der::Result<Data> {
    data.context_specific::<u8>(TagNumber(0), TagMode::Explicit)?;
    let responder = if next_is(data, context(1)) {
        ResponderId::Name(within(data, context(1), Name::decode)?)
    } else {
        ResponderId::KeyHash(within(data, context(2), |id| {
            Ok(<&OctetStringRef>::decode(id)?.as_bytes().to_vec())
        })?)
    };
    let produced_at = time(data)?;
    let mut singles = Vec::new();
    data.sequence(|list| {
        while !list.is_finished() {
            singles.push(list.sequence(single)?);
        }
        Ok::<_, der::Error>(())
    })?;
    let extensions = data.context_specific::<Vec<Extension>>(TagNumber(1), TagMode::Explicit)?;
    let nonce = extensions
        .unwrap_or_default()
        .iter()
        .find(|extension| extension.extn_id == rfc6960::ID_PKIX_OCSP_NONCE)
        .map(|extension| {
            Ok::<_, der::Error>(
                <&OctetStringRef>::from_der(extension.extn_value.as_bytes())?.as_bytes().to_vec(),
            )
        })
        .transpose()?;
    Ok((responder, produced_at, singles, nonce))
}

fn single(reader: &mut SliceReader<'_>) -> der::Result<SingleResponse> {
    let raw = reader.tlv_bytes()?;
    let cert_id =
        read_cert_id(raw).map_err(|_| reader.error(der::ErrorKind::Value { tag: Tag::Sequence }))?;
    let status = AnyRef::decode(reader)?;
    let status = match der::Tagged::tag(&status) {
        Tag::ContextSpecific { number: TagNumber(0), constructed: false } => ParsedStatus::Good,
        Tag::ContextSpecific { number: TagNumber(2), constructed: false } => ParsedStatus::Unknown,
        tag if tag == context(1) => {
            let mut info = SliceReader::new(status.value())?;
            let at = time(&mut info)?;
            let reason =
                if info.is_finished() { None } else { Some(within(&mut info, context(0), enumerated)?) };
            info.finish()?;
            ParsedStatus::Revoked { at, reason }
        }
        _ => return Err(reader.error(der::ErrorKind::Value { tag: Tag::Sequence })),
    };
    let this_update = time(reader)?;
    let next_update = reader
        .context_specific::<GeneralizedTime>(TagNumber(0), TagMode::Explicit)?
        .map(|time| Timestamp::from_secs(time.to_unix_duration().as_secs()));
    let extensions = reader.context_specific::<Vec<Extension>>(TagNumber(1), TagMode::Explicit)?;
    let archive_cutoff = extensions
        .unwrap_or_default()
        .iter()
        .find(|extension| extension.extn_id == rfc6960::ID_PKIX_OCSP_ARCHIVE_CUTOFF)
        .map(|extension| time(&mut SliceReader::new(extension.extn_value.as_bytes())?))
        .transpose()?;
    Ok(SingleResponse { cert_id, status, this_update, next_update, archive_cutoff })
}

fn time(reader: &mut SliceReader<'_>) -> der::Result<Timestamp> {
    Ok(Timestamp::from_secs(GeneralizedTime::decode(reader)?.to_unix_duration().as_secs()))
}

/// An ENUMERATED of one octet, which holds every number used here.
fn enumerated(reader: &mut SliceReader<'_>) -> der::Result<u8> {
    within(reader, Tag::Enumerated, |value| value.read_byte())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{DerSignature, VerifyingKey};
    use p256::pkcs8::DecodePublicKey;
    use proptest::prelude::*;

    use super::super::{CertStatus, OcspError, OcspRequest, ResponseTemplate, Single, error_response};
    use super::*;
    use crate::ids::Reason;
    use crate::keys::KeyKind;
    use crate::pki::testing::{TestCa, TestKey, day};

    fn template(ca: &TestCa) -> ResponseTemplate {
        let key = ca.certificate.public_key().unwrap();
        let single = |serial: &[u8], hash, status| Single {
            cert_id: cert_id(ca.certificate.subject_der(), &key, serial, hash).unwrap(),
            status,
            archive_cutoff: (serial == [2; 16]).then(|| day("2024-01-01T00:00:00Z")),
        };
        let at = day("2026-11-20T01:02:03.999Z");
        ResponseTemplate {
            responder_key_hash: key.sha1_key_hash(),
            produced_at: day("2026-11-23T10:00:05Z"),
            this_update: day("2026-11-23T10:00:00Z"),
            next_update: day("2052-11-23T10:00:00Z"),
            singles: vec![
                single(&[1; 16], HashAlg::Sha1, CertStatus::Good),
                single(&[2; 16], HashAlg::Sha256, CertStatus::Revoked { at, reason: Reason::KeyCompromise }),
                single(&[3; 16], HashAlg::Sha384, CertStatus::Revoked { at, reason: Reason::Unspecified }),
                single(&[4; 16], HashAlg::Sha512, CertStatus::Unknown),
            ],
            nonce: Some(vec![9; 32]),
            signer: KeyKind::P256,
            certs: Vec::new(),
        }
    }

    fn signed(template: ResponseTemplate, key: &TestKey) -> Vec<u8> {
        let to_be_signed = template.to_be_signed().unwrap();
        let signature = key.sign(to_be_signed.bytes());
        to_be_signed.assemble(&signature).unwrap()
    }

    fn parsed(der: &[u8]) -> BasicResponse {
        match parse_response(der).unwrap() {
            ParsedResponse::Basic(basic) => *basic,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_response_says_what_its_template_said() {
        let ca = TestCa::root();
        let said = template(&ca);
        let basic = parsed(&signed(said.clone(), &ca.key));
        assert_eq!(basic.responder, ResponderId::KeyHash(said.responder_key_hash.to_vec()), "O21");
        assert_eq!((basic.produced_at, &basic.nonce), (said.produced_at, &said.nonce));
        assert!(basic.certs.is_empty(), "O22");
        let at = day("2026-11-20T01:02:03Z");
        let statuses: Vec<_> = basic.singles.iter().map(|single| single.status).collect();
        assert_eq!(
            statuses,
            [
                ParsedStatus::Good,
                ParsedStatus::Revoked { at, reason: Some(1) },
                ParsedStatus::Revoked { at, reason: None },
                ParsedStatus::Unknown,
            ]
        );
        for (single, asked) in basic.singles.iter().zip(&said.singles) {
            assert_eq!(single.cert_id.raw, asked.cert_id, "O08");
            assert_eq!(single.archive_cutoff, asked.archive_cutoff, "O15");
            assert_eq!((single.this_update, single.next_update), (said.this_update, Some(said.next_update)));
        }
        basic.verify_signed_by(&ca.certificate.public_key().unwrap()).unwrap();
        assert!(basic.verify_signed_by(&TestKey::p256().public()).is_err());

        let key = VerifyingKey::from_public_key_der(ca.certificate.spki_der()).unwrap();
        key.verify(&basic.to_be_signed, &DerSignature::try_from(basic.signature.as_slice()).unwrap())
            .unwrap();
    }

    #[test]
    fn a_delegated_signer_shows_its_certificate() {
        let (ca, key) = (TestCa::root(), TestKey::p384());
        let certificate = ca.issue(ca.leaf(&key));
        let mut template = template(&ca);
        template.signer = KeyKind::P384;
        template.nonce = None;
        template.certs = vec![certificate.clone()];
        let basic = parsed(&signed(template, &key));
        assert_eq!((basic.certs.as_slice(), &basic.nonce), (&[certificate][..], &None));
        basic.verify_signed_by(&key.public()).unwrap();
    }

    #[test]
    fn a_request_is_answered_with_its_own_bytes() {
        let ca = TestCa::root();
        let key = ca.certificate.public_key().unwrap();
        for hash in HashAlg::KNOWN {
            let der = request(ca.certificate.subject_der(), &key, &[0x80], hash, Some(b"nonce")).unwrap();
            let asked = OcspRequest::from_der(&der, 1).unwrap();
            assert_eq!(
                (asked.entries[0].serial.as_slice(), asked.nonce.as_deref()),
                (&[0, 0x80][..], Some(&b"nonce"[..]))
            );
            let raw = cert_id(ca.certificate.subject_der(), &key, &[0x80], hash).unwrap();
            assert_eq!(asked.entries[0].raw, raw);
        }
        assert!(request(&[], &key, &[1], HashAlg::Other, None).is_err());
        assert_eq!(issuer_hashes(&[], &key, HashAlg::Other), (vec![], vec![]));
    }

    #[test]
    fn errors_are_five_bytes() {
        for (error, number) in [
            (OcspError::Malformed, 1),
            (OcspError::Internal, 2),
            (OcspError::TryLater, 3),
            (OcspError::SigRequired, 5),
            (OcspError::Unauthorized, 6),
        ] {
            assert_eq!(error_response(error), [0x30, 3, 0x0a, 1, number]);
            assert_eq!(parse_response(&error_response(error)).unwrap(), ParsedResponse::Error(number));
        }
    }

    #[test]
    fn templates_that_contradict_themselves_are_refused() {
        let ca = TestCa::root();
        let refused = |change: fn(&mut ResponseTemplate)| {
            let mut template = template(&ca);
            change(&mut template);
            template.to_be_signed().unwrap_err()
        };
        assert_eq!(refused(|t| t.singles.clear()), BuildError::Empty("the list of statuses"));
        assert!(
            matches!(refused(|t| t.produced_at = day("2026-11-01")), BuildError::TimesReversed { .. }),
            "O25"
        );
        assert!(matches!(refused(|t| t.next_update = day("2026-11-01")), BuildError::TimesReversed { .. }));
        assert!(matches!(refused(|t| t.singles[0].cert_id = vec![5, 0]), BuildError::Encode { .. }));
        assert!(matches!(refused(|t| t.certs = vec![vec![]]), BuildError::Encode { .. }));
        let to_be_signed = template(&ca).to_be_signed().unwrap();
        assert_eq!(to_be_signed.assemble(&[1; 64]), Err(BuildError::NotASignature));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse_response(&bytes);
        }

        #[test]
        fn no_change_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
                let ca = TestCa::root();
                signed(template(&ca), &ca.key)
            });
            let mut der = GOOD.clone();
            let at = at.index(der.len());
            der[at] = byte;
            let _ = parse_response(&der);
        }
    }
}
