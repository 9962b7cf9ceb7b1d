//! Certificates in a degenerate SignedData, the answer of most EST operations (RFC 5652 section 5, RFC 7030 section 4.1.3).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911;
use der::{Decode, Header, Reader, SliceReader, Tag};

use super::certificate::ParseError;
use super::read::{context, one_sequence, skip_all, within};
use super::tlv;

/// Larger than any bundle of certificates in use.
const LARGEST: usize = 1024 * 1024;
const WHAT: &str = "a certs-only CMS message";

/// Why certificates cannot be bundled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("there is no certificate to bundle")]
    Empty,
    #[error("certificate {0} of the bundle is not one DER SEQUENCE")]
    NotDer(usize),
}

/// SignedData of version 1 without content and without signers, around these exact certificates.
///
/// DER sorts a SET OF (X.690 section 11.6), so the order given is not kept: readers build chains by name.
pub fn certs_only(certificates: &[&[u8]]) -> Result<Vec<u8>, BundleError> {
    if certificates.is_empty() {
        return Err(BundleError::Empty);
    }
    for (at, certificate) in certificates.iter().enumerate() {
        one_sequence(certificate).map_err(|_| BundleError::NotDer(at + 1))?;
    }
    let mut sorted = certificates.to_vec();
    sorted.sort_unstable();
    sorted.dedup();

    Ok(tlv::nested(tlv::SEQUENCE, |content_info| {
        tlv::put(content_info, tlv::OBJECT_IDENTIFIER, rfc5911::ID_SIGNED_DATA.as_bytes());
        tlv::nest(content_info, tlv::constructed(0), |content| {
            tlv::nest(content, tlv::SEQUENCE, |signed_data| {
                tlv::put_unsigned(signed_data, &[1]);
                tlv::put(signed_data, tlv::SET, &[]);
                tlv::nest(signed_data, tlv::SEQUENCE, |encapsulated| {
                    tlv::put(encapsulated, tlv::OBJECT_IDENTIFIER, rfc5911::ID_DATA.as_bytes());
                });
                tlv::put(signed_data, tlv::constructed(0), &sorted.concat());
                tlv::put(signed_data, tlv::SET, &[]);
            });
        });
    }))
}

/// The certificates of such a message, each byte for byte, in the order of the message. Nothing in it is trusted.
pub fn certificates_in(der: &[u8]) -> Result<Vec<Vec<u8>>, ParseError> {
    if der.len() > LARGEST {
        return Err(ParseError::TooLarge(LARGEST));
    }
    let malformed = ParseError::malformed(WHAT);
    let mut reader = SliceReader::new(der).map_err(&malformed)?;
    let certificates = reader.sequence(content_info).map_err(&malformed)?;
    reader.finish().map_err(&malformed)?;
    Ok(certificates)
}

fn content_info(reader: &mut SliceReader<'_>) -> der::Result<Vec<Vec<u8>>> {
    if ObjectIdentifier::decode(reader)? != rfc5911::ID_SIGNED_DATA {
        return Err(reader.error(der::ErrorKind::Value { tag: Tag::ObjectIdentifier }));
    }
    within(reader, context(0), |content| content.sequence(signed_data))
}

fn signed_data(reader: &mut SliceReader<'_>) -> der::Result<Vec<Vec<u8>>> {
    u8::decode(reader)?;
    within(reader, Tag::Set, skip_all)?;
    reader.sequence(skip_all)?;
    let mut certificates = Vec::new();
    within(reader, context(0), |set| {
        while !set.is_finished() {
            // The other choices are attribute certificates and formats long gone (RFC 5652 section 10.2.2).
            Header::peek(set)?.tag().assert_eq(Tag::Sequence)?;
            certificates.push(set.tlv_bytes()?.to_vec());
        }
        Ok(())
    })?;
    // CRLs and signers may follow: they are of no interest to whoever asked for certificates.
    skip_all(reader)?;
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;
    use crate::pki::testing::{TestCa, TestKey};

    /// B52: what comes out is what went in, byte for byte; E41: no content, no signer.
    #[test]
    fn certificates_keep_their_bytes() {
        let ca = TestCa::root();
        let leaf = ca.issue(ca.leaf(&TestKey::p256()));
        let der = certs_only(&[ca.certificate.der(), &leaf]).unwrap();
        let mut expected = vec![ca.certificate.der().to_vec(), leaf.clone()];
        expected.sort();
        assert_eq!(certificates_in(&der).unwrap(), expected);
        assert_eq!(
            certs_only(&[&leaf, ca.certificate.der()]).unwrap(),
            der,
            "one encoding whatever the order"
        );
        assert_eq!(certificates_in(&certs_only(&[&leaf]).unwrap()).unwrap(), [leaf]);
    }

    #[test]
    fn the_frame_is_the_one_of_the_rfc() {
        let der = certs_only(&[&[0x30, 0]]).unwrap();
        let frame = [
            &[0x30, 0x27, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x1a][..],
            &[0x30, 0x18, 0x02, 0x01, 0x01, 0x31, 0x00],
            &[0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01],
            &[0xa0, 0x02, 0x30, 0x00, 0x31, 0x00],
        ];
        assert_eq!(der, frame.concat());
    }

    #[test]
    fn what_is_no_certificate_is_not_bundled() {
        assert_eq!(certs_only(&[]), Err(BundleError::Empty));
        for bad in [&[][..], &[0x30], &[0x30, 0, 0], &[0x02, 1, 1], &[0x30, 0x80, 0, 0]] {
            assert_eq!(certs_only(&[&[0x30, 0], bad]), Err(BundleError::NotDer(2)), "{bad:?}");
        }
    }

    #[test]
    fn bad_messages_are_refused() {
        let good = certs_only(&[&[0x30, 0]]).unwrap();
        let mut other_type = good.clone();
        other_type[12] = 3;
        let mut attribute_certificate = good.clone();
        let at = good.len() - 4;
        attribute_certificate[at] = 0xa1;
        for (name, der) in [
            ("empty", vec![]),
            ("trailing", [&good[..], &[0]].concat()),
            ("cut", good[..good.len() - 1].to_vec()),
            ("enveloped data", other_type),
            ("attribute certificate", attribute_certificate),
            ("too large", vec![0x30; LARGEST + 1]),
        ] {
            assert!(certificates_in(&der).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = certificates_in(&bytes);
        }

        #[test]
        fn no_change_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut der = certs_only(&[&[0x30, 2, 5, 0], &[0x30, 0]]).unwrap();
            let at = at.index(der.len());
            der[at] = byte;
            let _ = certificates_in(&der);
        }
    }
}
