//! A private key on its way to its holder: signed, then encrypted for that holder alone (RFC 7030 section 4.4.2).
//!
//! [`Asked`] says what a request wants, [`Envelope::address`] whether it can be had, [`KeyPackage`] is the signed key,
//! [`Envelope::seal`] encrypts it. EnvelopedData it is, as the RFC says, and so AES in CBC mode: AES-GCM belongs in
//! AuthEnvelopedData (RFC 5084), which the stock tools do not open under this name.
//!
//! All randomness is a parameter. RSAES-OAEP draws its seed inside the library, so that one step comes in as a function,
//! and this module gives the same bytes for the same input.

mod asked;
mod choice;
mod package;
mod recipient;

#[cfg(test)]
mod tests;

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use const_oid::db::rfc5911;
use zeroize::Zeroizing;

use super::key::{PublicKey, PublicKeyKind};
use super::tlv;
use crate::clock::Random;

pub use asked::{Asked, AskedError, Capabilities, DecryptKey};
pub use choice::{Unfit, permits_receiving};
pub use package::KeyPackage;

use choice::{Cipher, Management};

/// Who can open an envelope, and the identifier by which it finds its key.
#[derive(Clone, Copy)]
pub enum Recipient<'a> {
    /// Whoever holds this secret: an AES key of 16 or 32 octets.
    Secret { id: &'a [u8], secret: &'a [u8] },
    /// The holder of the private key. The identifier goes into subjectKeyIdentifier, as the request gave it.
    Key { id: &'a [u8], key: &'a PublicKey },
}

/// RSAES-OAEP with SHA-256 and MGF1 with SHA-256, without a label (RFC 8017 section 7.1): encrypts a few octets.
pub type Transport<'a> = &'a dyn Fn(&PublicKey, &[u8]) -> Result<Vec<u8>, String>;

/// Why an envelope was not sealed. Each is trouble of this side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("no ephemeral {0} key could be made: check the source of randomness")]
    Ephemeral(PublicKeyKind),
    #[error("the library refused to {0}")]
    Library(&'static str),
    #[error("the content key cannot be encrypted for its recipient: {0}")]
    Transport(String),
}

/// An envelope with an address on it, and still empty.
pub struct Envelope<'a> {
    recipient: Recipient<'a>,
    cipher: Cipher,
    management: Management,
}

impl<'a> Envelope<'a> {
    /// Picks the first of the client's algorithms that this server knows too; needs one that says how the content key is
    /// protected (RFC 7030 section 4.4.1).
    pub fn address(recipient: Recipient<'a>, capabilities: &Capabilities) -> Result<Self, Unfit> {
        let management = Management::choose(&recipient, capabilities)?;
        let cipher = Cipher::choose(management, capabilities)?;
        Ok(Self { recipient, cipher, management })
    }

    /// DER of a ContentInfo with EnvelopedData around `signed`, the SignedData of a [`KeyPackage`] (RFC 5652 section 6).
    pub fn seal(
        &self,
        signed: &[u8],
        random: &dyn Random,
        transport: Transport<'_>,
    ) -> Result<Vec<u8>, SealError> {
        let mut key = Zeroizing::new(vec![0; self.cipher.key_len()]);
        random.fill(&mut key);
        let mut iv = [0; 16];
        random.fill(&mut iv);
        let info = recipient::info(&self.recipient, self.management, &key, random, transport)?;
        let encrypted = encrypt(self.cipher, &key, iv, signed)?;
        Ok(tlv::nested(tlv::SEQUENCE, |content_info| {
            tlv::put(content_info, tlv::OBJECT_IDENTIFIER, rfc5911::ID_ENVELOPED_DATA.as_bytes());
            tlv::nest(content_info, tlv::constructed(0), |content| {
                tlv::nest(content, tlv::SEQUENCE, |enveloped| {
                    // Every recipient here is of a kind that asks for version 2 (section 6.1).
                    tlv::put_unsigned(enveloped, &[2]);
                    tlv::put(enveloped, tlv::SET, &info);
                    tlv::nest(enveloped, tlv::SEQUENCE, |encrypted_content| {
                        let signed_data = rfc5911::ID_SIGNED_DATA.as_bytes();
                        tlv::put(encrypted_content, tlv::OBJECT_IDENTIFIER, signed_data);
                        tlv::nest(encrypted_content, tlv::SEQUENCE, |algorithm| {
                            tlv::put(algorithm, tlv::OBJECT_IDENTIFIER, self.cipher.oid().as_bytes());
                            tlv::put(algorithm, tlv::OCTET_STRING, &iv);
                        });
                        tlv::put(encrypted_content, tlv::primitive(0), &encrypted);
                    });
                });
            });
        }))
    }
}

/// AES-CBC with the padding of RFC 5652 section 6.3.
fn encrypt(cipher: Cipher, key: &[u8], iv: [u8; 16], content: &[u8]) -> Result<Vec<u8>, SealError> {
    let refused = |_| SealError::Library("encrypt the key");
    let algorithm = match cipher {
        Cipher::Aes128Cbc => &AES_128,
        Cipher::Aes256Cbc => &AES_256,
    };
    let key = UnboundCipherKey::new(algorithm, key).map_err(refused)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(refused)?;
    // Room for the padding, so that growing leaves no copy of the content behind; then it is encrypted in its place.
    let mut in_out = Vec::with_capacity(content.len() + iv.len());
    in_out.extend_from_slice(content);
    // The IV is drawn for this one message, whose key is drawn for it too.
    key.less_safe_encrypt(&mut in_out, EncryptionContext::Iv128(iv.into())).map_err(refused)?;
    Ok(in_out)
}
