//! A message that is too long for memory, hashed piece by piece and signed by its hash.

use aws_lc_rs::digest::{Context, Digest, SHA256, SHA384};

use super::KeyKind;

/// The hash that a key of one kind signs: SHA-256 for P-256, SHA-384 for P-384.
#[derive(Clone)]
pub struct MessageHash(Context);

impl MessageHash {
    pub fn new(kind: KeyKind) -> Self {
        Self(Context::new(match kind {
            KeyKind::P256 => &SHA256,
            KeyKind::P384 => &SHA384,
        }))
    }

    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub fn finish(self) -> Hashed {
        Hashed(self.0.finish())
    }
}

/// The hash of a whole message. There is no way to it but hashing: nobody can have a number of his choice signed.
#[derive(Clone, Copy, Debug)]
pub struct Hashed(Digest);

impl Hashed {
    /// For libraries that sign or verify by the hash.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}
