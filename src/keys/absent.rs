//! A key that is known by its public half and lies elsewhere: what it would sign is refused.

use super::{Hashed, KeyError, KeyKind, Signer, Signing};

/// Stands for the key of a CA where only the status of its certificates is told.
pub struct AbsentKey {
    kind: KeyKind,
    public: Vec<u8>,
}

impl AbsentKey {
    /// `public` is the DER of the SubjectPublicKeyInfo.
    pub fn new(kind: KeyKind, public: Vec<u8>) -> Self {
        Self { kind, public }
    }
}

impl Signer for AbsentKey {
    fn kind(&self) -> KeyKind {
        self.kind
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign<'a>(&'a self, _: &'a [u8]) -> Signing<'a> {
        Box::pin(std::future::ready(Err(absent())))
    }

    fn sign_hashed<'a>(&'a self, _: &'a Hashed) -> Signing<'a> {
        Box::pin(std::future::ready(Err(absent())))
    }
}

fn absent() -> KeyError {
    KeyError::Sign("it is not here: only 'vitae serve' without --only signs with it".to_owned())
}
