//! Private keys and what can be done with them: sign; and what needs randomness of the library's own. Nothing here knows
//! what it is for.

pub mod absent;
mod file;
mod hash;
pub mod hmac;
pub mod made;
pub mod shared;
pub mod software;
pub mod transport;

use std::future::Future;
use std::pin::Pin;

pub use hash::{Hashed, MessageHash};

/// The kinds of key this authority makes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    P256,
    P384,
}

/// A signature, on its way.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, KeyError>> + Send + 'a>>;

/// One private key, wherever it lives.
pub trait Signer: Send + Sync {
    fn kind(&self) -> KeyKind;

    /// DER of the SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    fn public_key(&self) -> &[u8];

    /// Signs the whole message: ECDSA with SHA-256 on P-256, SHA-384 on P-384, as an ASN.1 SEQUENCE of r and s.
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a>;

    /// The same signature for a message of which only the hash is at hand. It must be a [`MessageHash`] of this kind of key.
    fn sign_hashed<'a>(&'a self, message: &'a Hashed) -> Signing<'a>;
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key {path}: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("the key {path} can be read by others (mode {mode:03o}): run chmod 600 on it")]
    TooOpen { path: String, mode: u32 },
    #[error("cannot write the key {path}: {reason}")]
    Unwritable { path: String, reason: String },
    #[error("the library could not make a key")]
    Make,
    #[error("the key cannot sign: {0}")]
    Sign(String),
    #[error("nothing can be encrypted with the public key: {0}")]
    Encrypt(&'static str),
}
