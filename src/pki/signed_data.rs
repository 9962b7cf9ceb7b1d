//! A document with its signature around it: CMS SignedData over plain data (RFC 5652 section 5), as `openssl cms` reads it.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911;
use der::asn1::OctetStringRef;
use der::{Decode, Reader, SliceReader, Tag};

use super::certificate::{Certificate, ParseError};
use super::read::{context, one_sequence, skip_all, within};
use super::signed::{BuildError, check_signature};
use super::signer_info::{hash_of, put_attribute, put_hash_algorithm, put_oid, put_signer_info};
use super::tlv;
use crate::clock::Timestamp;
use crate::keys::KeyKind;

/// Larger than any document that is signed here.
const LARGEST: usize = 4 * 1024 * 1024;
const WHAT: &str = "a signed document";

/// A document that waits for the signature of one key.
pub struct SignedData<'a> {
    content: &'a [u8],
    signer: &'a Certificate,
    others: &'a [&'a [u8]],
    kind: KeyKind,
    /// The signed attributes as a SET OF, which is what is signed (RFC 5652 section 5.4).
    attributes: Vec<u8>,
}

impl<'a> SignedData<'a> {
    /// The certificate of the signer, whose key is of this kind, goes along, and so do `others`, each DER: those above it,
    /// for whoever knows only the root.
    pub fn new(
        content: &'a [u8],
        signer: &'a Certificate,
        others: &'a [&'a [u8]],
        kind: KeyKind,
        signed_at: Timestamp,
    ) -> Result<Self, BuildError> {
        for der in others {
            one_sequence(der)
                .map_err(|error| BuildError::Encode { what: WHAT, reason: error.to_string() })?;
        }
        let hash = hash_of(kind, content);
        // In this order they are sorted, as DER wants it: the first is shorter than the second, that than the third.
        let attributes = tlv::nested(tlv::SET, |attributes| {
            put_attribute(attributes, rfc5911::ID_CONTENT_TYPE, |values| put_oid(values, rfc5911::ID_DATA));
            put_attribute(attributes, rfc5911::ID_SIGNING_TIME, |values| tlv::put_time(values, signed_at));
            put_attribute(attributes, rfc5911::ID_MESSAGE_DIGEST, |values| {
                tlv::put(values, tlv::OCTET_STRING, &hash);
            });
        });
        Ok(Self { content, signer, others, kind, attributes })
    }

    /// What to sign.
    pub fn bytes(&self) -> &[u8] {
        &self.attributes
    }

    /// DER of a ContentInfo with the SignedData.
    pub fn assemble(self, signature: &[u8]) -> Result<Vec<u8>, BuildError> {
        check_signature(signature)?;
        // DER sorts a SET OF (X.690 section 11.6).
        let mut certificates: Vec<&[u8]> = self.others.iter().copied().chain([self.signer.der()]).collect();
        certificates.sort_unstable();
        certificates.dedup();
        Ok(tlv::nested(tlv::SEQUENCE, |content_info| {
            put_oid(content_info, rfc5911::ID_SIGNED_DATA);
            tlv::nest(content_info, tlv::constructed(0), |content| {
                tlv::nest(content, tlv::SEQUENCE, |signed| {
                    // 1, because the content is plain data (section 5.1).
                    tlv::put_unsigned(signed, &[1]);
                    tlv::nest(signed, tlv::SET, |algorithms| put_hash_algorithm(algorithms, self.kind));
                    tlv::nest(signed, tlv::SEQUENCE, |encapsulated| {
                        put_oid(encapsulated, rfc5911::ID_DATA);
                        tlv::nest(encapsulated, tlv::constructed(0), |content| {
                            tlv::put(content, tlv::OCTET_STRING, self.content);
                        });
                    });
                    tlv::put(signed, tlv::constructed(0), &certificates.concat());
                    tlv::nest(signed, tlv::SET, |infos| {
                        put_signer_info(infos, self.signer, self.kind, &self.attributes, signature);
                    });
                });
            });
        }))
    }
}

/// The document inside. Its signature is not looked at: whoever has doubts checks that with tools of his own.
pub fn content_in(der: &[u8]) -> Result<Vec<u8>, ParseError> {
    if der.len() > LARGEST {
        return Err(ParseError::TooLarge(LARGEST));
    }
    let malformed = ParseError::malformed(WHAT);
    let mut reader = SliceReader::new(der).map_err(&malformed)?;
    let content = reader.sequence(content_info).map_err(&malformed)?;
    reader.finish().map_err(&malformed)?;
    Ok(content)
}

fn content_info(reader: &mut SliceReader<'_>) -> der::Result<Vec<u8>> {
    is(reader, rfc5911::ID_SIGNED_DATA)?;
    within(reader, context(0), |content| content.sequence(signed_data))
}

fn signed_data(reader: &mut SliceReader<'_>) -> der::Result<Vec<u8>> {
    u8::decode(reader)?;
    within(reader, Tag::Set, skip_all)?;
    let content = reader.sequence(|encapsulated| {
        is(encapsulated, rfc5911::ID_DATA)?;
        within(encapsulated, context(0), |content| {
            Ok::<_, der::Error>(<&OctetStringRef>::decode(content)?.as_bytes().to_vec())
        })
    })?;
    skip_all(reader)?;
    Ok(content)
}

fn is(reader: &mut SliceReader<'_>, kind: ObjectIdentifier) -> der::Result<()> {
    if ObjectIdentifier::decode(reader)? == kind {
        return Ok(());
    }
    Err(reader.error(der::ErrorKind::Value { tag: Tag::ObjectIdentifier }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;
    use crate::pki::testing::TestCa;

    fn signed(content: &[u8], kind: KeyKind, at: Timestamp) -> Vec<u8> {
        let ca = TestCa::root();
        let data = SignedData::new(content, &ca.certificate, &[], kind, at).unwrap();
        let signature = ca.key.sign(data.bytes());
        data.assemble(&signature).unwrap()
    }

    /// Before and after 2050, and for both hashes: X.690 section 11.6.
    #[test]
    fn the_attributes_are_sorted() {
        let ca = TestCa::root();
        for kind in [KeyKind::P256, KeyKind::P384] {
            for at in ["2026-11-24", "2061-11-24"] {
                let data = SignedData::new(b"{}", &ca.certificate, &[], kind, at.parse().unwrap()).unwrap();
                let mut attributes = Vec::new();
                let mut reader = SliceReader::new(data.bytes()).unwrap();
                within(&mut reader, Tag::Set, |set| {
                    while !set.is_finished() {
                        attributes.push(set.tlv_bytes()?.to_vec());
                    }
                    Ok::<_, der::Error>(())
                })
                .unwrap();
                assert_eq!(attributes.len(), 3);
                assert!(attributes.is_sorted(), "{kind:?} {at}");
            }
        }
    }

    #[test]
    fn what_was_signed_comes_out() {
        for content in [&b""[..], b"{\"a\":1}", &[0x30; 70_000]] {
            let der = signed(content, KeyKind::P256, Timestamp::EPOCH);
            assert_eq!(content_in(&der).unwrap(), content);
            for cut in [0, 1, der.len() / 2, der.len() - 1] {
                assert!(content_in(&der[..cut]).is_err());
            }
            assert!(content_in(&[&der[..], &[0]].concat()).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = content_in(&bytes);
        }

        #[test]
        fn no_change_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut der = signed(b"{}", KeyKind::P256, Timestamp::EPOCH);
            let at = at.index(der.len());
            der[at] = byte;
            let _ = content_in(&der);
        }
    }
}
