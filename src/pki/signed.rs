//! What certificates, CRLs and requests have in common: bytes, an algorithm, a signature (RFC 5280 section 4.1.1).

use der::asn1::BitStringRef;
use der::{Decode, Reader, SliceReader};
use spki::AlgorithmIdentifierRef;

use super::key::{PublicKey, VerifyError};
use super::tlv;
use crate::keys::KeyKind;

/// Why a template does not become an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("cannot encode {what}: {reason}")]
    Encode { what: &'static str, reason: String },
    #[error("the end ({end}) lies before the beginning ({begin}): correct the dates")]
    TimesReversed { begin: crate::clock::Timestamp, end: crate::clock::Timestamp },
    #[error("the extension {0} appears twice (RFC 5280 section 4.2): name it once")]
    DuplicateExtension(String),
    #[error("the signature is not an ECDSA-Sig-Value in DER (RFC 3279 section 2.2.3): check the signer")]
    NotASignature,
    #[error("{0} must not be empty")]
    Empty(&'static str),
}

/// Bytes that wait for the signature of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToBeSigned {
    bytes: Vec<u8>,
    signer: KeyKind,
}

impl ToBeSigned {
    pub(super) fn new(bytes: Vec<u8>, signer: KeyKind) -> Self {
        Self { bytes, signer }
    }

    /// What to sign.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished object: the bytes, the algorithm, the signature.
    pub fn assemble(self, signature: &[u8]) -> Result<Vec<u8>, BuildError> {
        check_signature(signature)?;
        let mut out = Vec::with_capacity(self.bytes.len() + signature.len() + 32);
        tlv::nest(&mut out, tlv::SEQUENCE, |out| {
            out.extend_from_slice(&self.bytes);
            out.extend_from_slice(signature_algorithm(self.signer));
            tlv::put_bits(out, signature);
        });
        Ok(out)
    }
}

/// The AlgorithmIdentifier of what a key of this kind signs: parameters absent (RFC 5758 section 3.2).
pub(super) fn signature_algorithm(kind: KeyKind) -> &'static [u8] {
    match kind {
        // ecdsa-with-SHA256, 1.2.840.10045.4.3.2
        KeyKind::P256 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
        // ecdsa-with-SHA384, 1.2.840.10045.4.3.3
        KeyKind::P384 => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
    }
}

/// Hardware tokens answer with r and s side by side: caught here, not by a relying party.
pub(super) fn check_signature(signature: &[u8]) -> Result<(), BuildError> {
    let mut reader = SliceReader::new(signature).map_err(|_| BuildError::NotASignature)?;
    reader
        .sequence(|pair| {
            der::asn1::UintRef::decode(pair)?;
            der::asn1::UintRef::decode(pair)?;
            Ok::<_, der::Error>(())
        })
        .and_then(|()| reader.finish())
        .map_err(|_| BuildError::NotASignature)
}

/// The three parts of a signed object, as received.
#[derive(Clone, Debug)]
pub(super) struct SignedParts<'a> {
    /// Exactly the bytes the signature covers, header included.
    pub message: &'a [u8],
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub signature: &'a [u8],
}

impl<'a> SignedParts<'a> {
    /// Trailing bytes are an error.
    pub(super) fn from_der(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let parts = reader.sequence(|signed| {
            let message = signed.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierRef::decode(signed)?;
            let signature = BitStringRef::decode(signed)?;
            let signature = signature
                .as_bytes()
                .ok_or_else(|| signed.error(der::ErrorKind::Value { tag: der::Tag::BitString }))?;
            Ok::<_, der::Error>(Self { message, algorithm, signature })
        })?;
        reader.finish()?;
        Ok(parts)
    }

    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), VerifyError> {
        key.verify(self.algorithm, self.message, self.signature)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn only_a_der_signature_is_assembled() {
        let to_be_signed = || ToBeSigned::new(vec![0x30, 0x00], KeyKind::P256);
        let good = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02];
        let der = to_be_signed().assemble(&good).unwrap();
        let parts = SignedParts::from_der(&der).unwrap();
        assert_eq!((parts.message, parts.signature), (&[0x30, 0x00][..], &good[..]));
        assert_eq!(parts.algorithm.oid.to_string(), "1.2.840.10045.4.3.2");
        assert_eq!(parts.algorithm.parameters, None);
        for bad in [&[][..], &[7; 64], &good[..7], &[&good[..], &[0]].concat()] {
            assert_eq!(to_be_signed().assemble(bad), Err(BuildError::NotASignature), "{bad:?}");
        }
    }
}
