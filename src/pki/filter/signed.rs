//! A filter in CMS: SignedData around its octets, by the key of the CA itself (RFC 5652 section 5).
//!
//! The CA signs, as it signs its lists: a gateway then needs nothing but the CA's certificate, and no second certificate
//! can end or be stolen. What it signs begins with the tag of a SET, so it is no certificate and no list.

use const_oid::db::rfc5911;
use der::asn1::OctetStringRef;
use der::{Decode, Reader, SliceReader, Tag};
use spki::AlgorithmIdentifierRef;

use super::{NotAFilter, RevocationFilter};
use crate::keys::KeyKind;
use crate::pki::key::{PublicKey, PublicKeyKind};
use crate::pki::read::{context, within};
use crate::pki::signed::{BuildError, check_signature, signature_algorithm};

use crate::pki::signer_info::{hash_of, put_attribute, put_hash_algorithm, put_oid};
use crate::pki::tlv;

/// Larger than the filter of a thousand million certificates of which one in a hundred is revoked.
const LARGEST: usize = 64 << 20;

/// Why signed bytes are not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    #[error("it is longer than {LARGEST} octets")]
    TooLarge,
    #[error("it is not a CMS SignedData as a CA of this kind writes it: {0}")]
    Malformed(String),
    #[error("the CA's key is of kind {0}, and filters are signed by P-256 or P-384 keys")]
    Key(PublicKeyKind),
    #[error("the signature is not that of this CA's key")]
    Signature,
    #[error("it is no filter that this program can read: {0}")]
    Filter(#[from] NotAFilter),
    #[error("it is signed by this CA, and speaks of another CA's certificates")]
    OtherCa,
}

/// The octets of a filter that wait for the signature of its CA.
pub struct SignedFilter {
    content: Vec<u8>,
    key_id: [u8; 20],
    kind: KeyKind,
    attributes: Vec<u8>,
}

impl SignedFilter {
    /// `key_id` is the subjectKeyIdentifier of the CA's certificate, whose key is of this kind.
    pub fn new(filter: &RevocationFilter, key_id: [u8; 20], kind: KeyKind) -> Self {
        Self::around(filter.to_bytes(), key_id, kind)
    }

    fn around(content: Vec<u8>, key_id: [u8; 20], kind: KeyKind) -> Self {
        let hash = hash_of(kind, &content);
        // In this order they are sorted.
        let attributes = tlv::nested(tlv::SET, |attributes| {
            put_attribute(attributes, rfc5911::ID_CONTENT_TYPE, |values| put_oid(values, rfc5911::ID_DATA));
            put_attribute(attributes, rfc5911::ID_MESSAGE_DIGEST, |values| {
                tlv::put(values, tlv::OCTET_STRING, &hash);
            });
        });
        Self { content, key_id, kind, attributes }
    }

    /// What to sign.
    pub fn bytes(&self) -> &[u8] {
        &self.attributes
    }

    /// DER of a ContentInfo with SignedData, the content in it, without certificates.
    pub fn assemble(&self, signature: &[u8]) -> Result<Vec<u8>, BuildError> {
        check_signature(signature)?;
        Ok(tlv::nested(tlv::SEQUENCE, |content_info| {
            put_oid(content_info, rfc5911::ID_SIGNED_DATA);
            tlv::nest(content_info, tlv::constructed(0), |content| {
                tlv::nest(content, tlv::SEQUENCE, |signed| {
                    // 3, because the signer is known by its key (section 5.1).
                    tlv::put_unsigned(signed, &[3]);
                    tlv::nest(signed, tlv::SET, |algorithms| put_hash_algorithm(algorithms, self.kind));
                    tlv::nest(signed, tlv::SEQUENCE, |encapsulated| {
                        put_oid(encapsulated, rfc5911::ID_DATA);
                        tlv::nest(encapsulated, tlv::constructed(0), |content| {
                            tlv::put(content, tlv::OCTET_STRING, &self.content);
                        });
                    });
                    tlv::nest(signed, tlv::SET, |infos| self.put_signer_info(infos, signature));
                });
            });
        }))
    }

    /// SignerInfo of version 3 (section 5.3).
    fn put_signer_info(&self, out: &mut Vec<u8>, signature: &[u8]) {
        tlv::nest(out, tlv::SEQUENCE, |info| {
            tlv::put_unsigned(info, &[3]);
            tlv::put(info, tlv::primitive(0), &self.key_id);
            put_hash_algorithm(info, self.kind);
            // The same octets but for the tag, which is IMPLICIT here.
            let at = info.len();
            info.extend_from_slice(&self.attributes);
            info[at] = tlv::constructed(0);
            info.extend_from_slice(signature_algorithm(self.kind));
            tlv::put(info, tlv::OCTET_STRING, signature);
        });
    }
}

/// Takes a filter out of its CMS, if the CA with this key signed it. Whether it is still current is for the caller to ask.
pub fn open(der: &[u8], ca: &PublicKey) -> Result<RevocationFilter, NotSigned> {
    if der.len() > LARGEST {
        return Err(NotSigned::TooLarge);
    }
    let kind = match ca.kind() {
        PublicKeyKind::P256 => KeyKind::P256,
        PublicKeyKind::P384 => KeyKind::P384,
        other => return Err(NotSigned::Key(other)),
    };
    let malformed = |error: der::Error| NotSigned::Malformed(error.to_string());
    let parts = Parts::read(der).map_err(malformed)?;
    let signed = SignedFilter::around(parts.content.to_vec(), ca.key_id(), kind);
    // Everything else has one form only, so writing it again is the strictest way to read it.
    let again = signed.assemble(parts.signature).map_err(|error| NotSigned::Malformed(error.to_string()))?;
    if again != der {
        // Most often it is somebody else's: that is what people want to hear.
        let known = parts.key_id == ca.key_id();
        return Err(if known {
            NotSigned::Malformed("it is not in the one form that filters have, or was changed".to_owned())
        } else {
            NotSigned::Signature
        });
    }
    let algorithm = AlgorithmIdentifierRef::from_der(signature_algorithm(kind)).map_err(malformed)?;
    ca.verify(algorithm, signed.bytes(), parts.signature).map_err(|_| NotSigned::Signature)?;
    let filter = RevocationFilter::from_bytes(parts.content)?;
    if filter.facts.ca_key != ca.digest() {
        return Err(NotSigned::OtherCa);
    }
    Ok(filter)
}

/// What differs from one filter to the next.
struct Parts<'a> {
    content: &'a [u8],
    key_id: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let parts = reader.sequence(|info| {
            info.tlv_bytes()?;
            within(info, context(0), |content| content.sequence(Self::signed_data))
        })?;
        reader.finish()?;
        Ok(parts)
    }

    fn signed_data(signed: &mut SliceReader<'a>) -> der::Result<Self> {
        signed.tlv_bytes()?;
        signed.tlv_bytes()?;
        let content = signed.sequence(|encapsulated| {
            encapsulated.tlv_bytes()?;
            within(encapsulated, context(0), <&OctetStringRef>::decode)
        })?;
        within(signed, Tag::Set, |infos| {
            infos.sequence(|info| {
                info.tlv_bytes()?;
                let key_id = info.tlv_bytes()?;
                for _ in ["digest algorithm", "attributes", "signature algorithm"] {
                    info.tlv_bytes()?;
                }
                let signature = <&OctetStringRef>::decode(info)?.as_bytes();
                // One octet of tag and one of length.
                Ok(Self {
                    content: content.as_bytes(),
                    key_id: key_id.get(2..).unwrap_or_default(),
                    signature,
                })
            })
        })
    }
}
