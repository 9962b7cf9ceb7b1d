//! Certificate revocation lists of version 2: complete ones and deltas, whole or in shards (RFC 5280 section 5).

mod read;
mod template;
#[cfg(test)]
mod tests;

pub use super::signed::{BuildError, ToBeSigned};
pub use read::{CrlSummary, ListedEntry, parse, parse_each, verify_signed_by};
pub use template::{CrlEntry, CrlTemplate, Frame, Scope, put_entry};
