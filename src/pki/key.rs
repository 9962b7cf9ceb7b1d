//! Public keys: which ones this authority certifies, what it computes from them, and what they verify.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Header, Reader, SliceReader, Tag, Tagged};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::ids::Digest;

/// An RSA key of 8192 bits takes 1.1 kB; nothing accepted here is larger.
const LARGEST: usize = 4096;

/// The kinds of public key a device may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublicKeyKind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa { bits: u32 },
}

impl fmt::Display for PublicKeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("EC P-256"),
            Self::P384 => f.write_str("EC P-384"),
            Self::P521 => f.write_str("EC P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
        }
    }
}

/// Why a public key is not accepted (RFC 5280 section 4.1.2.7, RFC 3279, RFC 5480, RFC 8410).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    #[error("the public key is not a SubjectPublicKeyInfo in DER: {0}")]
    Malformed(String),
    #[error(
        "public keys of the algorithm {0} are not accepted: use EC (P-256, P-384, P-521), Ed25519 or RSA"
    )]
    UnknownAlgorithm(String),
    #[error("the public key's algorithm parameters are wrong: RSA needs NULL, Ed25519 needs none")]
    WrongParameters,
    #[error("the EC key spells its curve out: name it instead (P-256, P-384 or P-521)")]
    ExplicitCurve,
    #[error("the EC curve {0} is not accepted: use P-256, P-384 or P-521")]
    UnknownCurve(String),
    #[error("the EC point is not in the uncompressed form: send it uncompressed (first octet 04)")]
    PointForm,
    #[error("the EC point does not lie on its curve: make a new key")]
    NotOnCurve,
    #[error("an RSA key of {0} bits is not accepted: use 2048 to 8192 bits")]
    RsaSize(usize),
    #[error("the RSA exponent is not accepted: use 65537")]
    RsaExponent,
    #[error("the RSA modulus cannot be a product of two primes: make a new key")]
    RsaModulus,
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error(
        "the signature algorithm {algorithm} is not accepted with a key of kind {key}: sign with SHA-256 or better"
    )]
    UnsupportedAlgorithm { algorithm: String, key: PublicKeyKind },
    #[error("the signature does not verify")]
    BadSignature,
}

/// A public key this authority may certify: well-formed, strong enough, in its one and only encoding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey {
    kind: PublicKeyKind,
    spki: Vec<u8>,
    /// The value of the BIT STRING, without its count of unused bits.
    bits: Vec<u8>,
}

impl PublicKey {
    /// Everything that is cheap is checked before any arithmetic on the key is done.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, KeyRefused> {
        if spki.len() > LARGEST {
            return Err(KeyRefused::Malformed(format!("it is longer than {LARGEST} octets")));
        }
        let parsed = SubjectPublicKeyInfoRef::from_der(spki).map_err(malformed)?;
        let Some(bits) = parsed.subject_public_key.as_bytes() else {
            return Err(KeyRefused::Malformed("its BIT STRING is not whole octets".to_owned()));
        };
        let kind = match parsed.algorithm.oid {
            rfc5912::ID_EC_PUBLIC_KEY => ec(parsed.algorithm.parameters, bits)?,
            rfc5912::RSA_ENCRYPTION => rsa(parsed.algorithm.parameters, bits)?,
            rfc8410::ID_ED_25519 => ed25519(parsed.algorithm.parameters, bits)?,
            other => return Err(KeyRefused::UnknownAlgorithm(oid_name(&other))),
        };
        Ok(Self { kind, spki: spki.to_vec(), bits: bits.to_vec() })
    }

    pub fn kind(&self) -> PublicKeyKind {
        self.kind
    }

    /// The SubjectPublicKeyInfo, byte for byte as it was received.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of the SubjectPublicKeyInfo: what a key is known by in the ledger.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.spki)
    }

    /// The key identifier of certificates: leftmost 160 bits of SHA-256 of the BIT STRING (RFC 7093 section 2, method 1).
    pub fn key_id(&self) -> [u8; 20] {
        leading_20(digest::digest(&digest::SHA256, &self.bits).as_ref())
    }

    /// The KeyHash of OCSP responder ids: SHA-1 of the BIT STRING, whatever else is used (RFC 6960 section 4.2.1).
    pub fn sha1_key_hash(&self) -> [u8; 20] {
        leading_20(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.bits).as_ref())
    }

    /// The value of the BIT STRING, which OCSP hashes (RFC 6960 section 4.1.1).
    pub fn key_bits(&self) -> &[u8] {
        &self.bits
    }

    /// Verifies `signature` over `message`. Nothing below SHA-256 counts.
    pub fn verify(
        &self,
        algorithm: AlgorithmIdentifierRef<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let unsupported =
            || VerifyError::UnsupportedAlgorithm { algorithm: oid_name(&algorithm.oid), key: self.kind };
        let wanted = algorithm.to_der().map_err(|_| unsupported())?;
        let wanted = contents(&wanted).ok_or_else(unsupported)?;
        let key = self.algorithm_contents().ok_or_else(unsupported)?;
        // Matching whole identifiers, parameters included, is what webpki does in certificate paths.
        let verifier = webpki::ALL_VERIFICATION_ALGS
            .iter()
            .find(|known| *known.public_key_alg_id() == *key && *known.signature_alg_id() == *wanted)
            .ok_or_else(unsupported)?;
        verifier.verify_signature(&self.bits, message, signature).map_err(|_| VerifyError::BadSignature)
    }

    /// The same for what a key of this authority's kinds has signed, of which only the hash is at hand.
    pub fn verify_hashed(&self, message: &digest::Digest, signature: &[u8]) -> Result<(), VerifyError> {
        let algorithm = match self.kind {
            PublicKeyKind::P256 => &ECDSA_P256_SHA256_ASN1,
            PublicKeyKind::P384 => &ECDSA_P384_SHA384_ASN1,
            _ => return Err(VerifyError::BadSignature),
        };
        let key = UnparsedPublicKey::new(algorithm, &self.bits);
        key.verify_digest(message, signature).map_err(|_| VerifyError::BadSignature)
    }

    /// What stands inside the AlgorithmIdentifier of the key.
    fn algorithm_contents(&self) -> Option<&[u8]> {
        contents(&self.spki).and_then(contents)
    }
}

/// EC keys: named curve, uncompressed point, on the curve (RFC 5480 section 2).
fn ec(parameters: Option<AnyRef<'_>>, point: &[u8]) -> Result<PublicKeyKind, KeyRefused> {
    let parameters = parameters.ok_or(KeyRefused::WrongParameters)?;
    match parameters.tag() {
        Tag::ObjectIdentifier => {}
        // Explicit parameters have sent other authorities into endless loops: they are not even looked at.
        Tag::Sequence => return Err(KeyRefused::ExplicitCurve),
        _ => return Err(KeyRefused::WrongParameters),
    }
    let curve = parameters.decode_as::<ObjectIdentifier>().map_err(malformed)?;
    let (kind, coordinate, algorithm): (_, _, &'static dyn VerificationAlgorithm) = match curve {
        rfc5912::SECP_256_R_1 => (PublicKeyKind::P256, 32, &ECDSA_P256_SHA256_ASN1),
        rfc5912::SECP_384_R_1 => (PublicKeyKind::P384, 48, &ECDSA_P384_SHA384_ASN1),
        rfc5912::SECP_521_R_1 => (PublicKeyKind::P521, 66, &ECDSA_P521_SHA512_ASN1),
        other => return Err(KeyRefused::UnknownCurve(oid_name(&other))),
    };
    // One key must have one encoding, or it could be enrolled again in another; compressed points are a MAY.
    if point.len() != 1 + 2 * coordinate || point.first() != Some(&0x04) {
        return Err(KeyRefused::PointForm);
    }
    ParsedPublicKey::new(algorithm, point).map_err(|_| KeyRefused::NotOnCurve)?;
    Ok(kind)
}

/// RSA keys: 2048 to 8192 bits, odd modulus, exponent 65537 (RFC 3279 section 2.3.1, RFC 8017 appendix A.1.1).
fn rsa(parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<PublicKeyKind, KeyRefused> {
    if parameters != Some(AnyRef::NULL) {
        return Err(KeyRefused::WrongParameters);
    }
    let mut reader = SliceReader::new(key).map_err(malformed)?;
    let (modulus, exponent) = reader
        .sequence(|key| Ok::<_, der::Error>((UintRef::decode(key)?, UintRef::decode(key)?)))
        .map_err(malformed)?;
    reader.finish().map_err(malformed)?;

    let modulus = modulus.as_bytes();
    let leading = modulus.first().map_or(0, |first| first.leading_zeros());
    let bits = modulus.len() * 8 - usize::try_from(leading).unwrap_or(0);
    if !(2048..=8192).contains(&bits) {
        return Err(KeyRefused::RsaSize(bits));
    }
    // One modulus is one private key, whatever the exponent: another exponent would enrol it again as if it were new.
    let exponent = exponent.as_bytes();
    let value = exponent.iter().take(4).fold(0u32, |value, byte| value << 8 | u32::from(*byte));
    if exponent.len() > 4 || value != 65_537 {
        return Err(KeyRefused::RsaExponent);
    }
    if modulus.last().is_none_or(|last| last.is_multiple_of(2)) {
        return Err(KeyRefused::RsaModulus);
    }
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).map_err(|_| KeyRefused::RsaModulus)?;
    Ok(PublicKeyKind::Rsa { bits: u32::try_from(bits).unwrap_or(u32::MAX) })
}

/// Ed25519 keys: no parameters, 32 octets (RFC 8410 sections 3 and 4).
fn ed25519(parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<PublicKeyKind, KeyRefused> {
    if parameters.is_some() {
        return Err(KeyRefused::WrongParameters);
    }
    if key.len() != 32 {
        return Err(KeyRefused::Malformed(format!("an Ed25519 key has 32 octets, this one {}", key.len())));
    }
    Ok(PublicKeyKind::Ed25519)
}

fn malformed(error: der::Error) -> KeyRefused {
    KeyRefused::Malformed(error.to_string())
}

/// The value of the element `der` begins with.
fn contents(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    reader.read_slice(header.length()).ok()
}

/// An algorithm or curve as a reader of messages knows it.
pub(super) fn oid_name(oid: &ObjectIdentifier) -> String {
    match const_oid::db::DB.by_oid(oid) {
        Some(name) => format!("{name} ({oid})"),
        None => oid.to_string(),
    }
}

/// The first 20 bytes of a hash that has at least as many.
fn leading_20(hash: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(&hash[..20]);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::time::Instant;

    use p256::elliptic_curve::sec1::ToSec1Point;

    use super::*;
    use crate::pki::testing::{TestKey, oid, rsa_spki, spki};
    use crate::pki::tlv;

    const EC: &str = "1.2.840.10045.2.1";
    const RSA: &str = "1.2.840.113549.1.1.1";
    const P256: &str = "1.2.840.10045.3.1.7";

    #[test]
    fn keys_of_every_kind_are_known() {
        let kinds = [
            (TestKey::p256(), PublicKeyKind::P256),
            (TestKey::p384(), PublicKeyKind::P384),
            (TestKey::p521(), PublicKeyKind::P521),
            (TestKey::ed25519(), PublicKeyKind::Ed25519),
            (TestKey::rsa(), PublicKeyKind::Rsa { bits: 2048 }),
        ];
        for (key, kind) in kinds {
            let public = PublicKey::from_spki_der(&key.spki()).unwrap();
            assert_eq!(public.kind(), kind);
            assert_eq!(public.spki_der(), key.spki());
            let signature = key.sign(b"message");
            public.verify(key.algorithm(), b"message", &signature).unwrap();
            assert_eq!(
                public.verify(key.algorithm(), b"another", &signature),
                Err(VerifyError::BadSignature),
                "{kind}"
            );
        }
    }

    /// RFC 7093 and RFC 6960 hash the same bits with different functions; the expected values are another program's.
    #[test]
    fn identifiers_are_those_other_tools_compute() {
        let generator = p256::AffinePoint::GENERATOR.to_sec1_point(false);
        let key = PublicKey::from_spki_der(&spki(EC, Some(&oid(P256)), generator.as_bytes())).unwrap();
        assert_eq!(crate::ids::hex(&key.sha1_key_hash()), SHA1_OF_GENERATOR);
        assert_eq!(crate::ids::hex(&key.key_id()), SHA256_OF_GENERATOR);
        assert_eq!(key.digest(), Digest::of(key.spki_der()));
    }
    const SHA1_OF_GENERATOR: &str = "b467a3999eb5efa671de0032f08a9c9e5efda0e1";
    const SHA256_OF_GENERATOR: &str = "698bea63dc44a344663ff1429aea10842df27b6b";

    #[test]
    fn bad_keys_are_refused_for_their_reason() {
        let good = TestKey::p256().spki();
        let point = good[26..].to_vec();
        let mut off_curve = point.clone();
        off_curve[64] ^= 1;
        let mut compressed = point[..33].to_vec();
        compressed[0] = 2 + (point[64] & 1);
        let mut trailing = good.clone();
        trailing.push(0);
        let explicit = tlv::nested(tlv::SEQUENCE, |out| {
            tlv::put_unsigned(out, &[1]);
            tlv::put(out, tlv::SEQUENCE, &[0x30; 8]);
        });
        let mut even = vec![0xff; 256];
        even[255] = 0xfe;
        let e = [1, 0, 1];
        type Case<'a> = (&'a str, Vec<u8>, fn(&KeyRefused) -> bool);
        let cases: Vec<Case<'_>> = vec![
            ("empty", vec![], |e| matches!(e, KeyRefused::Malformed(_))),
            ("trailing byte", trailing, |e| matches!(e, KeyRefused::Malformed(_))),
            ("too long", vec![0x30; 5000], |e| matches!(e, KeyRefused::Malformed(_))),
            ("DSA", spki("1.2.840.10040.4.1", None, &[1]), |e| matches!(e, KeyRefused::UnknownAlgorithm(_))),
            ("explicit curve", spki(EC, Some(&explicit), &point), |e| *e == KeyRefused::ExplicitCurve),
            ("implicit curve", spki(EC, Some(tlv::NULL), &point), |e| *e == KeyRefused::WrongParameters),
            ("no curve", spki(EC, None, &point), |e| *e == KeyRefused::WrongParameters),
            ("secp256k1", spki(EC, Some(&oid("1.3.132.0.10")), &point), |e| {
                matches!(e, KeyRefused::UnknownCurve(_))
            }),
            ("off curve", spki(EC, Some(&oid(P256)), &off_curve), |e| *e == KeyRefused::NotOnCurve),
            ("infinity", spki(EC, Some(&oid(P256)), &[0]), |e| *e == KeyRefused::PointForm),
            ("compressed", spki(EC, Some(&oid(P256)), &compressed), |e| *e == KeyRefused::PointForm),
            ("a key inside a key", spki(EC, Some(&oid(P256)), &good), |e| *e == KeyRefused::PointForm),
            ("RSA 1024", rsa_spki(&[0xff; 128], &e), |e| *e == KeyRefused::RsaSize(1024)),
            ("RSA 2047", rsa_spki(&[&[0x7f][..], &[0xff; 255]].concat(), &e), |e| {
                *e == KeyRefused::RsaSize(2047)
            }),
            ("RSA 16384", rsa_spki(&[0xff; 2048], &e), |e| *e == KeyRefused::RsaSize(16_384)),
            ("RSA even modulus", rsa_spki(&even, &e), |e| *e == KeyRefused::RsaModulus),
            ("RSA e = 3", rsa_spki(&[0xff; 256], &[3]), |e| *e == KeyRefused::RsaExponent),
            ("RSA e = 65539", rsa_spki(&[0xff; 256], &[1, 0, 3]), |e| *e == KeyRefused::RsaExponent),
            ("RSA even e", rsa_spki(&[0xff; 256], &[1, 0, 2]), |e| *e == KeyRefused::RsaExponent),
            ("RSA huge e", rsa_spki(&[0xff; 256], &[0xff; 255]), |e| *e == KeyRefused::RsaExponent),
            ("RSA without NULL", spki(RSA, None, &[0x30, 0]), |e| *e == KeyRefused::WrongParameters),
            ("RSA without numbers", spki(RSA, Some(tlv::NULL), &[0x30, 0]), |e| {
                matches!(e, KeyRefused::Malformed(_))
            }),
            ("Ed25519 with NULL", spki("1.3.101.112", Some(tlv::NULL), &[9; 32]), |e| {
                *e == KeyRefused::WrongParameters
            }),
            ("Ed25519 short", spki("1.3.101.112", None, &[9; 31]), |e| matches!(e, KeyRefused::Malformed(_))),
        ];
        for (name, spki, expected) in cases {
            let refused = PublicKey::from_spki_der(&spki).expect_err(name);
            assert!(expected(&refused), "{name}: {refused}");
        }
    }

    /// B34: what is refused is refused before it costs anything.
    #[test]
    fn explicit_curves_and_huge_keys_cost_nothing() {
        let explicit = spki(EC, Some(&tlv::nested(tlv::SEQUENCE, |out| out.extend([0x30; 900]))), &[4; 65]);
        let huge = rsa_spki(&[0xff; 2048], &[1, 0, 1]);
        let start = Instant::now();
        for _ in 0..100 {
            assert!(PublicKey::from_spki_der(&explicit).is_err());
            assert!(PublicKey::from_spki_der(&huge).is_err());
        }
        assert!(start.elapsed().as_millis() < 1000, "{:?}", start.elapsed());
    }

    #[test]
    fn weak_and_mismatched_algorithms_do_not_count() {
        let key = TestKey::p256();
        let public = PublicKey::from_spki_der(&key.spki()).unwrap();
        let signature = key.sign(b"m");
        for algorithm in ["1.2.840.10045.4.1", "1.2.840.113549.1.1.11", "1.3.101.112", "1.2.3"] {
            let algorithm = AlgorithmIdentifierRef { oid: algorithm.parse().unwrap(), parameters: None };
            let refused = public.verify(algorithm, b"m", &signature).unwrap_err();
            assert!(matches!(refused, VerifyError::UnsupportedAlgorithm { .. }), "{refused}");
        }
        let with_null = AlgorithmIdentifierRef {
            oid: "1.2.840.10045.4.3.2".parse().unwrap(),
            parameters: Some(AnyRef::NULL),
        };
        assert!(public.verify(with_null, b"m", &signature).is_err());
    }
}
