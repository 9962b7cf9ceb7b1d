//! What all signers of CMS messages have in common: SignerInfo, its attributes, its hash (RFC 5652 section 5.3).

use aws_lc_rs::digest;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;

use super::certificate::Certificate;
use super::signed::signature_algorithm;
use super::tlv;
use crate::keys::KeyKind;

/// SignerInfo of version 1, by the issuer and serial number of the signer's certificate. `attributes` is the SET OF that was
/// signed (section 5.4).
pub(super) fn put_signer_info(
    out: &mut Vec<u8>,
    signer: &Certificate,
    kind: KeyKind,
    attributes: &[u8],
    signature: &[u8],
) {
    tlv::nest(out, tlv::SEQUENCE, |info| {
        tlv::put_unsigned(info, &[1]);
        tlv::nest(info, tlv::SEQUENCE, |sid| {
            sid.extend_from_slice(signer.issuer_der());
            tlv::put(sid, tlv::INTEGER, signer.serial_bytes());
        });
        put_hash_algorithm(info, kind);
        // The same octets but for the tag, which is IMPLICIT here.
        let at = info.len();
        info.extend_from_slice(attributes);
        info[at] = tlv::constructed(0);
        info.extend_from_slice(signature_algorithm(kind));
        tlv::put(info, tlv::OCTET_STRING, signature);
    });
}

/// The hash that goes with a key of this kind.
pub(super) fn hash_of(kind: KeyKind, content: &[u8]) -> Vec<u8> {
    let algorithm = match kind {
        KeyKind::P256 => &digest::SHA256,
        KeyKind::P384 => &digest::SHA384,
    };
    digest::digest(algorithm, content).as_ref().to_vec()
}

/// Parameters absent (RFC 5754 section 2).
pub(super) fn put_hash_algorithm(out: &mut Vec<u8>, kind: KeyKind) {
    let hash = match kind {
        KeyKind::P256 => rfc5912::ID_SHA_256,
        KeyKind::P384 => rfc5912::ID_SHA_384,
    };
    tlv::nest(out, tlv::SEQUENCE, |algorithm| put_oid(algorithm, hash));
}

pub(super) fn put_attribute(out: &mut Vec<u8>, kind: ObjectIdentifier, values: impl FnOnce(&mut Vec<u8>)) {
    tlv::nest(out, tlv::SEQUENCE, |attribute| {
        put_oid(attribute, kind);
        tlv::nest(attribute, tlv::SET, values);
    });
}

pub(super) fn put_oid(out: &mut Vec<u8>, oid: ObjectIdentifier) {
    tlv::put(out, tlv::OBJECT_IDENTIFIER, oid.as_bytes());
}
