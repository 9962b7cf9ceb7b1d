//! A private key in an AsymmetricKeyPackage, signed by who made it (RFC 5958 sections 2 and 4, RFC 5652 section 5).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911;
use zeroize::Zeroizing;

use crate::keys::KeyKind;
use crate::pki::certificate::Certificate;
use crate::pki::read::one_sequence;
use crate::pki::signed::{BuildError, check_signature};
use crate::pki::signer_info::{hash_of, put_attribute, put_hash_algorithm, put_oid, put_signer_info};
use crate::pki::tlv;

/// id-ct-KP-aKeyPackage (RFC 5958 section 2).
const KEY_PACKAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.2.1.2.78.5");

/// More than all lengths, tags and object identifiers around key, certificates and signature take.
const FRAME: usize = 512;

/// A key package that waits for the signature of one key.
pub struct KeyPackage<'a> {
    content: Zeroizing<Vec<u8>>,
    signer: &'a Certificate,
    others: &'a [&'a [u8]],
    kind: KeyKind,
    /// The signed attributes as a SET OF, which is what is signed (RFC 5652 section 5.4).
    attributes: Vec<u8>,
}

impl<'a> KeyPackage<'a> {
    /// `pkcs8` is DER of an unencrypted PrivateKeyInfo. The certificate of the signer, whose key is of this kind, goes
    /// along, and so do `others`, each DER: those above it, for a client that knows only the root.
    pub fn new(
        pkcs8: &[u8],
        signer: &'a Certificate,
        others: &'a [&'a [u8]],
        kind: KeyKind,
    ) -> Result<Self, BuildError> {
        for der in others.iter().copied().chain([pkcs8]) {
            one_sequence(der).map_err(|error| BuildError::Encode {
                what: "the package of a key",
                reason: error.to_string(),
            })?;
        }
        // Reserved whole, so that growing leaves no copy of the key behind.
        let mut content = Zeroizing::new(Vec::with_capacity(pkcs8.len() + 8));
        tlv::put(&mut content, tlv::SEQUENCE, pkcs8);
        let attributes = signed_attributes(kind, &content);
        Ok(Self { content, signer, others, kind, attributes })
    }

    /// What to sign.
    pub fn bytes(&self) -> &[u8] {
        &self.attributes
    }

    /// DER of the SignedData, without a ContentInfo around it: its type stands in the envelope.
    pub fn assemble(self, signature: &[u8]) -> Result<Zeroizing<Vec<u8>>, BuildError> {
        check_signature(signature)?;
        // DER sorts a SET OF (X.690 section 11.6).
        let mut certificates: Vec<&[u8]> = self.others.iter().copied().chain([self.signer.der()]).collect();
        certificates.sort_unstable();
        certificates.dedup();
        let certificates = certificates.concat();
        let known = self.content.len() + certificates.len() + self.signer.issuer_der().len();
        let mut out = Zeroizing::new(Vec::with_capacity(known + signature.len() + FRAME));
        tlv::nest(&mut out, tlv::SEQUENCE, |signed| {
            // 3, because the content is not plain data (section 5.1).
            tlv::put_unsigned(signed, &[3]);
            tlv::nest(signed, tlv::SET, |algorithms| put_hash_algorithm(algorithms, self.kind));
            tlv::nest(signed, tlv::SEQUENCE, |encapsulated| {
                put_oid(encapsulated, KEY_PACKAGE);
                tlv::nest(encapsulated, tlv::constructed(0), |content| {
                    tlv::put(content, tlv::OCTET_STRING, &self.content);
                });
            });
            tlv::put(signed, tlv::constructed(0), &certificates);
            tlv::nest(signed, tlv::SET, |infos| {
                put_signer_info(infos, self.signer, self.kind, &self.attributes, signature);
            });
        });
        Ok(out)
    }
}

/// content-type and message-digest (section 11): both are needed, and in this order they are sorted.
fn signed_attributes(kind: KeyKind, content: &[u8]) -> Vec<u8> {
    let hash = hash_of(kind, content);
    tlv::nested(tlv::SET, |attributes| {
        put_attribute(attributes, rfc5911::ID_CONTENT_TYPE, |values| put_oid(values, KEY_PACKAGE));
        put_attribute(attributes, rfc5911::ID_MESSAGE_DIGEST, |values| {
            tlv::put(values, tlv::OCTET_STRING, &hash);
        });
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::pki::testing::TestCa;

    /// What grows takes twice its room and leaves a copy of the key where it was.
    #[test]
    fn what_holds_a_key_never_grows() {
        let ca = TestCa::root();
        for length in [0, 120, 2400, 70_000] {
            let pkcs8 = tlv::nested(tlv::SEQUENCE, |out| out.resize(out.len() + length, 5));
            let others = [&[0x30, 0][..], &pkcs8];
            let package = KeyPackage::new(&pkcs8, &ca.certificate, &others, KeyKind::P384).unwrap();
            assert_eq!(package.content.capacity(), pkcs8.len() + 8);
            let signature = ca.key.sign(package.bytes());
            let signed = package.assemble(&signature).unwrap();
            let room = 2 * pkcs8.len() + 2 + ca.certificate.der().len() + signature.len() + FRAME;
            assert!(signed.len() < signed.capacity() && signed.capacity() < room + 200, "{length}");
        }
    }
}
