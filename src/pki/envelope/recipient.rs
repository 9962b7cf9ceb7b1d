//! RecipientInfo: the content key, encrypted for the one who may have it (RFC 5652 section 6.2).

use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use aws_lc_rs::key_wrap::{AES_128, AES_256, KeyEncryptionKey, KeyWrap};
use const_oid::db::rfc5912;
use zeroize::Zeroizing;

use super::choice::{self, Kdf, Management, Wrap};
use super::{Recipient, SealError, Transport};
use crate::clock::Random;
use crate::pki::key::{PublicKey, PublicKeyKind};
use crate::pki::tlv;

/// A random number is no private key of P-256 once in 2^32 draws, and of the other curves less often.
const DRAWS: usize = 16;

/// DER of the one RecipientInfo.
pub(super) fn info(
    recipient: &Recipient<'_>,
    management: Management,
    content_key: &[u8],
    random: &dyn Random,
    transport: Transport<'_>,
) -> Result<Vec<u8>, SealError> {
    match (recipient, management) {
        (Recipient::Secret { id, secret }, Management::Secret(wrap)) => {
            Ok(of_secret(id, wrap, &wrapped(wrap, secret, content_key)?))
        }
        (Recipient::Key { id, key }, Management::Agreement(kdf, wrap)) => {
            let (point, secret) = agree(key, random, |shared| derive(kdf, wrap, shared))?;
            Ok(of_agreement(id, &point, kdf, wrap, &wrapped(wrap, &secret, content_key)?))
        }
        (Recipient::Key { id, key }, Management::Transport) => {
            let encrypted = transport(key, content_key).map_err(SealError::Transport)?;
            Ok(of_transport(id, &encrypted))
        }
        // An envelope's management is chosen for its recipient.
        _ => Err(SealError::Library("encrypt for a recipient of another kind")),
    }
}

/// KEKRecipientInfo of version 4 (section 6.2.3).
fn of_secret(id: &[u8], wrap: Wrap, encrypted: &[u8]) -> Vec<u8> {
    tlv::nested(tlv::constructed(2), |out| {
        tlv::put_unsigned(out, &[4]);
        tlv::nest(out, tlv::SEQUENCE, |kek_id| tlv::put(kek_id, tlv::OCTET_STRING, id));
        out.extend(wrap.algorithm());
        tlv::put(out, tlv::OCTET_STRING, encrypted);
    })
}

/// KeyTransRecipientInfo of version 2, which names the recipient by its key identifier (section 6.2.1).
fn of_transport(id: &[u8], encrypted: &[u8]) -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| {
        tlv::put_unsigned(out, &[2]);
        tlv::put(out, tlv::primitive(0), id);
        out.extend(choice::oaep_algorithm());
        tlv::put(out, tlv::OCTET_STRING, encrypted);
    })
}

/// KeyAgreeRecipientInfo with an ephemeral key of the sender (section 6.2.2, RFC 5753 section 3.1.1).
fn of_agreement(id: &[u8], point: &[u8], kdf: Kdf, wrap: Wrap, encrypted: &[u8]) -> Vec<u8> {
    tlv::nested(tlv::constructed(1), |out| {
        tlv::put_unsigned(out, &[3]);
        tlv::nest(out, tlv::constructed(0), |originator| {
            tlv::nest(originator, tlv::constructed(1), |key| {
                tlv::nest(key, tlv::SEQUENCE, |algorithm| {
                    // No curve: it is the recipient's own.
                    tlv::put(algorithm, tlv::OBJECT_IDENTIFIER, rfc5912::ID_EC_PUBLIC_KEY.as_bytes());
                });
                tlv::put_bits(key, point);
            });
        });
        tlv::nest(out, tlv::SEQUENCE, |algorithm| {
            tlv::put(algorithm, tlv::OBJECT_IDENTIFIER, kdf.oid().as_bytes());
            algorithm.extend(wrap.algorithm());
        });
        tlv::nest(out, tlv::SEQUENCE, |keys| {
            tlv::nest(keys, tlv::SEQUENCE, |key| {
                tlv::nest(key, tlv::constructed(0), |rid| tlv::put(rid, tlv::OCTET_STRING, id));
                tlv::put(key, tlv::OCTET_STRING, encrypted);
            });
        });
    })
}

fn wrapped(wrap: Wrap, secret: &[u8], content_key: &[u8]) -> Result<Vec<u8>, SealError> {
    let refused = |_| SealError::Library("wrap the content key");
    let cipher = match wrap {
        Wrap::Aes128 => &AES_128,
        Wrap::Aes256 => &AES_256,
    };
    let mut out = vec![0; content_key.len() + 8];
    KeyEncryptionKey::new(cipher, secret).map_err(refused)?.wrap(content_key, &mut out).map_err(refused)?;
    Ok(out)
}

type Derived = Zeroizing<Vec<u8>>;

/// One side of ECDH with a key drawn for this message: its public point, and what `derive` makes of the shared secret.
fn agree(
    key: &PublicKey,
    random: &dyn Random,
    derive: impl FnOnce(&[u8]) -> Derived,
) -> Result<(Vec<u8>, Derived), SealError> {
    let kind = key.kind();
    let (algorithm, length, first_mask) = curve(kind).ok_or(SealError::Ephemeral(kind))?;
    let ephemeral = draw(algorithm, length, first_mask, random).ok_or(SealError::Ephemeral(kind))?;
    let point = ephemeral.compute_public_key().map_err(|_| SealError::Ephemeral(kind))?.as_ref().to_vec();
    let peer = UnparsedPublicKey::new(algorithm, key.key_bits());
    let refused = SealError::Library("agree on a key with the recipient");
    let secret = agreement::agree(&ephemeral, peer, refused, |shared| Ok(derive(shared)))?;
    Ok((point, secret))
}

/// The algorithm, the length of a private key in octets, and the bits of its first octet that are in use.
fn curve(kind: PublicKeyKind) -> Option<(&'static Algorithm, usize, u8)> {
    match kind {
        PublicKeyKind::P256 => Some((&ECDH_P256, 32, 0xff)),
        PublicKeyKind::P384 => Some((&ECDH_P384, 48, 0xff)),
        PublicKeyKind::P521 => Some((&ECDH_P521, 66, 0x01)),
        PublicKeyKind::Ed25519 | PublicKeyKind::Rsa { .. } => None,
    }
}

/// Draws until a number lies in the range of private keys (FIPS 186-5 appendix A.2.2).
fn draw(
    algorithm: &'static Algorithm,
    length: usize,
    first_mask: u8,
    random: &dyn Random,
) -> Option<PrivateKey> {
    let mut number = Zeroizing::new(vec![0; length]);
    (0..DRAWS).find_map(|_| {
        random.fill(&mut number);
        number[0] &= first_mask;
        PrivateKey::from_private_key(algorithm, &number).ok()
    })
}

/// The key derivation of ANSI X9.63 (SEC 1 section 3.6.1): no hash here is shorter than a key wrap's key, so its first
/// block is enough.
fn derive(kdf: Kdf, wrap: Wrap, shared: &[u8]) -> Derived {
    let algorithm = match kdf {
        Kdf::Sha256 => &SHA256,
        Kdf::Sha384 => &SHA384,
        Kdf::Sha512 => &SHA512,
    };
    let mut hash = digest::Context::new(algorithm);
    hash.update(shared);
    hash.update(&1u32.to_be_bytes());
    hash.update(&shared_info(wrap));
    Zeroizing::new(hash.finish().as_ref()[..wrap.key_len()].to_vec())
}

/// ECC-CMS-SharedInfo without user keying material, as the ephemeral key is new each time (RFC 5753 section 7.2).
fn shared_info(wrap: Wrap) -> Vec<u8> {
    // 128 or 256.
    let bits = u32::try_from(wrap.key_len() * 8).unwrap_or(0);
    tlv::nested(tlv::SEQUENCE, |out| {
        out.extend(wrap.algorithm());
        tlv::nest(out, tlv::constructed(2), |length| {
            tlv::put(length, tlv::OCTET_STRING, &bits.to_be_bytes());
        });
    })
}
