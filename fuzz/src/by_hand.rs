//! Slow and plain second readings and writings, which share nothing with the library under test.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePublicKey;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 of RFC 4648 section 4, padded, without line breaks.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let number =
            (0..3).fold(0usize, |number, at| number << 8 | usize::from(*three.get(at).unwrap_or(&0)));
        for digit in 0..4 {
            let value = number >> (18 - 6 * digit) & 63;
            out.push(if digit <= three.len() { char::from(ALPHABET[value]) } else { '=' });
        }
    }
    out
}

/// Undoes [`encode_base64`] and reads nothing else.
pub(crate) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for four in text.chunks(4) {
        let digits = four.iter().position(|byte| *byte == b'=').unwrap_or(four.len());
        let mut number = 0;
        for byte in &four[..digits] {
            number = number << 6 | ALPHABET.iter().position(|known| known == byte)?;
        }
        number <<= 6 * (4 - digits);
        let whole = [(number >> 16) as u8, (number >> 8) as u8, number as u8];
        out.extend_from_slice(&whole[..(digits * 3 / 4)]);
    }
    // Whatever was read leniently above is caught here: there is one way only to write the same octets.
    (encode_base64(&out).as_bytes() == text).then_some(out)
}

/// One DER element in the shortest length form.
pub(crate) fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    if value.len() < 0x80 {
        out.push(value.len() as u8);
    } else {
        out.push(0x80 | length.len() as u8);
        out.extend_from_slice(length);
    }
    out.extend_from_slice(value);
    out
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// Keys for requests that are signed here: the same in every run, so that a finding can be replayed.
fn key(scalar: u8) -> SigningKey {
    SigningKey::from_slice(&[scalar; 32]).expect("it is in the range of scalars")
}

/// The SubjectPublicKeyInfo of such a key.
pub(crate) fn public_key(scalar: u8) -> Vec<u8> {
    let key = key(scalar).verifying_key().to_public_key_der();
    key.expect("a point on the curve is encoded").into_vec()
}

/// The plain request of a device.
pub(crate) fn request_of(scalar: u8) -> Vec<u8> {
    signed_request(scalar, &[0x30, 0], &[])
}

/// A certification request with a good signature over whatever `subject` and `attributes` hold.
pub(crate) fn signed_request(scalar: u8, subject: &[u8], attributes: &[u8]) -> Vec<u8> {
    let info = sequence(&[&[2, 1, 0], subject, &public_key(scalar), &element(0xa0, attributes)]);
    // ecdsa-with-SHA256
    let algorithm = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let signature: DerSignature = key(scalar).sign(&info);
    let signature = element(3, &[&[0], signature.as_bytes()].concat());
    sequence(&[&info, &algorithm, &signature])
}

/// Replaces `from` by `to` wherever it stands.
pub(crate) fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
