//! RSA key transport: a few octets, encrypted for the holder of an RSA key.

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

use super::KeyError;

/// RSAES-OAEP with SHA-256 and MGF1 with SHA-256, without a label (RFC 8017 section 7.1.1). `spki` is DER of the
/// recipient's SubjectPublicKeyInfo.
///
/// The library draws the seed and takes none from outside, which is why this stands here and not with what is pure.
pub fn rsa_oaep_sha256(spki: &[u8], secret: &[u8]) -> Result<Vec<u8>, KeyError> {
    let key =
        PublicEncryptingKey::from_der(spki).map_err(|_| KeyError::Encrypt("it is not an RSA key in use"))?;
    let key = OaepPublicEncryptingKey::new(key)
        .map_err(|_| KeyError::Encrypt("the library does not take it for RSAES-OAEP"))?;
    if secret.len() > key.max_plaintext_size(&OAEP_SHA256_MGF1SHA256) {
        return Err(KeyError::Encrypt("the secret is longer than the key can take"));
    }
    let mut out = vec![0; key.ciphertext_size()];
    let length = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut out, None)
        .map_err(|_| KeyError::Encrypt("the library refused"))?
        .len();
    out.truncate(length);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};

    use super::*;
    use crate::keys::software::SoftwareKey;
    use crate::keys::{KeyKind, Signer};

    #[test]
    fn the_holder_alone_reads_it_and_twice_the_same_is_never_the_same() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let spki: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
        let secret = [7; 32];
        let one = rsa_oaep_sha256(spki.as_ref(), &secret).unwrap();
        assert_ne!(one, rsa_oaep_sha256(spki.as_ref(), &secret).unwrap());
        let private = OaepPrivateDecryptingKey::new(private).unwrap();
        let mut out = vec![0; private.min_output_size()];
        assert_eq!(private.decrypt(&OAEP_SHA256_MGF1SHA256, &one, &mut out, None).unwrap(), secret);
    }

    #[test]
    fn what_cannot_be_encrypted_is_refused() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let spki: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
        assert!(rsa_oaep_sha256(spki.as_ref(), &[0; 190]).is_ok());
        assert!(rsa_oaep_sha256(spki.as_ref(), &[0; 191]).is_err());
        let ec = SoftwareKey::generate(KeyKind::P256).unwrap();
        for spki in [ec.public_key(), &[], &[0x30, 0]] {
            assert!(rsa_oaep_sha256(spki, &[0; 32]).is_err());
        }
    }
}
