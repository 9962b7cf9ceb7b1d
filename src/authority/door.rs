//! The public door, as anybody sees it: a proof of effect is what came out of it, not what the record says.

use std::future::Future;
use std::pin::Pin;

use crate::ids::CaName;

/// What the door gave, or why it gave nothing.
pub type Fetched<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// A way to the status listener from outside.
pub trait PublicDoor: Send + Sync {
    /// Where it is, to be told in proofs.
    fn address(&self) -> String;

    /// The answer to an OCSP request, DER both.
    fn ocsp(&self, request: Vec<u8>) -> Fetched<'_>;

    /// DER of the list that is published for a shard.
    fn crl(&self, ca: &CaName, shard: u32) -> Fetched<'_>;
}
