//! Signed OCSP answers, kept until a certificate's status changes anywhere or they grow old.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};

use crate::clock::Timestamp;

/// At about 1.5 KB each this bounds the memory to 100 MB; then all are dropped and signed again.
const MOST: usize = 65_536;
/// No client sends this much without a nonce for one certificate; longer requests are answered but not kept.
const LONGEST_REQUEST: usize = 512;

/// An answer as it is sent.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) body: Bytes,
    /// All that goes with the body.
    pub(super) headers: HeaderMap,
    pub(super) etag: HeaderValue,
    /// Sign anew from here on.
    pub(super) stale_from: Timestamp,
    /// The authority's status epoch before the answer was made.
    pub(super) epoch: u64,
}

/// From the bytes of a request to its answer.
#[derive(Debug, Default)]
pub(super) struct Cache(RwLock<HashMap<Box<[u8]>, Arc<Kept>>>);

impl Cache {
    /// The answer, unless a status has changed since it was signed (B24) or it is stale.
    pub(super) fn get(&self, request: &[u8], epoch: u64, now: Timestamp) -> Option<Arc<Kept>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(request).filter(|kept| kept.epoch == epoch && now < kept.stale_from).cloned()
    }

    pub(super) fn put(&self, request: &[u8], answer: Arc<Kept>) {
        if request.len() > LONGEST_REQUEST {
            return;
        }
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(request.into(), answer);
    }
}
