//! Private keys that are made for somebody else, and that nobody here keeps.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair,
};
use zeroize::Zeroizing;

use super::KeyError;

/// The kinds of key that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MadeKind {
    P256,
    P384,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

/// A key pair on its way to its holder. Without Debug and Serialize, and wiped when dropped.
pub struct MadeKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

impl MadeKey {
    /// An RSA key takes the processor for up to seconds: not to be called where others wait.
    pub fn generate(kind: MadeKind) -> Result<Self, KeyError> {
        match kind {
            MadeKind::P256 => ec(&ECDSA_P256_SHA256_ASN1_SIGNING),
            MadeKind::P384 => ec(&ECDSA_P384_SHA384_ASN1_SIGNING),
            MadeKind::Rsa2048 => rsa(KeySize::Rsa2048),
            MadeKind::Rsa3072 => rsa(KeySize::Rsa3072),
            MadeKind::Rsa4096 => rsa(KeySize::Rsa4096),
        }
    }

    /// DER of an unencrypted PrivateKeyInfo (RFC 5208 section 5).
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The same, for whoever wipes it next.
    pub fn into_pkcs8(self) -> Zeroizing<Vec<u8>> {
        self.pkcs8
    }

    /// DER of the SubjectPublicKeyInfo.
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> Result<MadeKey, KeyError> {
    let pair = EcdsaKeyPair::generate(algorithm).map_err(|_| KeyError::Make)?;
    // The library wipes its own documents and key pairs when they are dropped.
    let document = pair.to_pkcs8v1().map_err(|_| KeyError::Make)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Make)?;
    Ok(MadeKey { pkcs8: Zeroizing::new(document.as_ref().to_vec()), public: public.as_ref().to_vec() })
}

fn rsa(size: KeySize) -> Result<MadeKey, KeyError> {
    let pair = rsa::KeyPair::generate(size).map_err(|_| KeyError::Make)?;
    let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Make)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Make)?;
    Ok(MadeKey { pkcs8: Zeroizing::new(document.as_ref().to_vec()), public: public.as_ref().to_vec() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// Read by another library: each is of its kind, is a pair, and is never the same twice.
    #[test]
    fn every_kind_is_made() {
        // What a SubjectPublicKeyInfo of each kind has in octets.
        for (kind, length) in [
            (MadeKind::P256, 91),
            (MadeKind::P384, 120),
            (MadeKind::Rsa2048, 294),
            (MadeKind::Rsa3072, 422),
            (MadeKind::Rsa4096, 550),
        ] {
            let key = MadeKey::generate(kind).unwrap();
            assert_eq!(key.public_key().len(), length, "{kind:?}");
            let pair = rcgen::KeyPair::try_from(key.pkcs8()).unwrap();
            assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&pair), key.public_key(), "{kind:?}");
        }
        let one = MadeKey::generate(MadeKind::P256).unwrap();
        assert_ne!(one.into_pkcs8(), MadeKey::generate(MadeKind::P256).unwrap().into_pkcs8());
    }
}
