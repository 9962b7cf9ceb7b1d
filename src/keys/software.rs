//! A private key in this process's memory and in a file of its own.

use std::path::Path;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair,
};
use der::pem::{self, LineEnding};
use zeroize::Zeroizing;

use super::{Hashed, KeyError, KeyKind, Signer, Signing, file};

/// The PEM label of unencrypted PKCS#8 (RFC 7468 section 10).
const LABEL: &str = "PRIVATE KEY";

/// An ECDSA key. Deliberately without Debug, Display and Serialize: the only ways out are [`Self::save`] and
/// [`Self::to_pkcs8_pem`].
pub struct SoftwareKey {
    kind: KeyKind,
    pair: EcdsaKeyPair,
    public: Vec<u8>,
}

impl SoftwareKey {
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(algorithm(kind))
            .map_err(|_| KeyError::Sign("the library could not make a key".to_owned()))?;
        Self::new(kind, pair).map_err(KeyError::Sign)
    }

    /// Reads a key that [`Self::save`] wrote, or any unencrypted PKCS#8 PEM of a P-256 or P-384 key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |reason: String| KeyError::Unreadable { path: path.display().to_string(), reason };
        let text = file::read(path, "a PEM file")?;
        Self::from_pkcs8_pem(&text).map_err(unreadable)
    }

    fn from_pkcs8_pem(text: &[u8]) -> Result<Self, String> {
        let (label, bytes) = pem::decode_vec(text).map_err(|error| format!("it is not PEM ({error})"))?;
        let bytes = Zeroizing::new(bytes);
        if label != LABEL {
            return Err(format!("it holds a {label}, not an unencrypted PKCS#8 {LABEL}"));
        }
        // The library refuses a key of another curve, so the first that accepts it names the curve.
        for kind in [KeyKind::P256, KeyKind::P384] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm(kind), &bytes) {
                return Self::new(kind, pair);
            }
        }
        Err("it is neither a P-256 nor a P-384 key".to_owned())
    }

    fn new(kind: KeyKind, pair: EcdsaKeyPair) -> Result<Self, String> {
        let public: PublicKeyX509Der<'_> =
            pair.public_key().as_der().map_err(|_| "its public key has no DER form".to_owned())?;
        let public = public.as_ref().to_vec();
        Ok(Self { kind, pair, public })
    }

    /// Writes the key to a new file that only its owner may read. An existing file is never touched: it may be
    /// the only copy of another key.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let unwritable = |reason: String| KeyError::Unwritable { path: path.display().to_string(), reason };
        let text = self.to_pkcs8_pem().map_err(|error| unwritable(error.to_string()))?;
        file::write_new(path, text.as_bytes())
    }

    /// Unencrypted PKCS#8 in PEM; wiped from memory when dropped.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        // The library wipes the document itself when it is dropped.
        let document = self
            .pair
            .to_pkcs8v1()
            .map_err(|_| KeyError::Sign("the library could not encode the key".to_owned()))?;
        pem::encode_string(LABEL, LineEnding::LF, document.as_ref())
            .map(Zeroizing::new)
            .map_err(|error| KeyError::Sign(error.to_string()))
    }
}

impl Signer for SoftwareKey {
    fn kind(&self) -> KeyKind {
        self.kind
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        Box::pin(async move {
            self.pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Sign("the library refused".to_owned()))
        })
    }

    fn sign_hashed<'a>(&'a self, message: &'a Hashed) -> Signing<'a> {
        Box::pin(async move {
            self.pair.sign_digest(message.digest()).map(|signature| signature.as_ref().to_vec()).map_err(
                |_| KeyError::Sign("the library refused: is it the hash for this kind of key?".to_owned()),
            )
        })
    }
}

fn algorithm(kind: KeyKind) -> &'static EcdsaSigningAlgorithm {
    match kind {
        KeyKind::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        KeyKind::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::fs::{OpenOptions, Permissions};
    use std::io::Write;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    use std::path::PathBuf;

    use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};
    use p256::ecdsa::signature::Verifier;
    use p256::pkcs8::DecodePublicKey;
    use tempfile::TempDir;

    use super::*;
    use crate::keys::MessageHash;

    fn place() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.key");
        (directory, path)
    }

    fn refusal(path: &Path) -> KeyError {
        SoftwareKey::load(path).err().unwrap()
    }

    async fn assert_signs(key: &SoftwareKey) {
        let message = b"to be signed";
        let mut pieces = MessageHash::new(key.kind());
        message.chunks(5).for_each(|piece| pieces.update(piece));
        assert_signed(key, message, &key.sign(message).await.unwrap());
        assert_signed(key, message, &key.sign_hashed(&pieces.finish()).await.unwrap());
        let other = if key.kind() == KeyKind::P256 { KeyKind::P384 } else { KeyKind::P256 };
        assert!(key.sign_hashed(&MessageHash::new(other).finish()).await.is_err(), "a hash of another kind");
    }

    fn assert_signed(key: &SoftwareKey, message: &[u8], signature: &[u8]) {
        match key.kind() {
            KeyKind::P256 => {
                let public = p256::ecdsa::VerifyingKey::from_public_key_der(key.public_key()).unwrap();
                let signature = p256::ecdsa::Signature::from_der(signature).unwrap();
                public.verify(message, &signature).unwrap();
                assert!(public.verify(b"something else", &signature).is_err());
            }
            KeyKind::P384 => {
                let public = UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, key.public_key());
                public.verify(message, signature).unwrap();
                assert!(public.verify(b"something else", signature).is_err());
            }
        }
    }

    #[tokio::test]
    async fn a_saved_key_is_the_same_key() {
        for kind in [KeyKind::P256, KeyKind::P384] {
            let (_directory, path) = place();
            let made = SoftwareKey::generate(kind).unwrap();
            made.save(&path).unwrap();
            let loaded = SoftwareKey::load(&path).unwrap();
            assert_eq!(loaded.kind(), kind);
            assert_eq!(loaded.public_key(), made.public_key());
            assert_signs(&made).await;
            assert_signs(&loaded).await;
        }
    }

    #[test]
    fn the_file_is_its_owners_alone() {
        let (_directory, path) = place();
        SoftwareKey::generate(KeyKind::P256).unwrap().save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660, 0o601, 0o644] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(refusal(&path), KeyError::TooOpen { path: path.display().to_string(), mode });
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(SoftwareKey::load(&path).is_ok());
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let (_directory, path) = place();
        let first = SoftwareKey::generate(KeyKind::P256).unwrap();
        first.save(&path).unwrap();
        let error = SoftwareKey::generate(KeyKind::P256).unwrap().save(&path).unwrap_err();
        assert!(matches!(error, KeyError::Unwritable { .. }), "{error}");
        assert_eq!(SoftwareKey::load(&path).unwrap().public_key(), first.public_key());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let (_directory, path) = place();
        let write = |text: &[u8]| {
            let _ = std::fs::remove_file(&path);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
            file.write_all(text).unwrap();
        };
        assert!(matches!(refusal(&path), KeyError::Unreadable { .. }), "absent");
        let good = SoftwareKey::generate(KeyKind::P256).unwrap().to_pkcs8_pem().unwrap();
        let relabelled = good.replace(LABEL, "EC PRIVATE KEY");
        let halved = &good[..good.len() / 2];
        let long = [good.as_bytes(), &[b'\n'; 20_000]].concat();
        for text in [b"".as_slice(), b"nonsense", relabelled.as_bytes(), halved.as_bytes(), &long] {
            write(text);
            assert!(matches!(refusal(&path), KeyError::Unreadable { .. }));
        }
        let ed25519 = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap();
        write(pem::encode_string(LABEL, LineEnding::LF, ed25519.as_ref()).unwrap().as_bytes());
        assert!(refusal(&path).to_string().contains("neither a P-256 nor a P-384 key"));
        write(good.as_bytes());
        assert!(SoftwareKey::load(&path).is_ok());
    }
}
