//! OCSP (RFC 6960, RFC 9654, RFC 9919): requests in, responses out, and the client's side of both.

mod client;
mod request;
mod response;
mod trust;

use aws_lc_rs::digest;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;

use super::key::PublicKey;

pub use super::certificate::ParseError;
pub use super::signed::BuildError;
pub use client::{
    BasicResponse, ParsedResponse, ParsedStatus, ResponderId, SingleResponse, cert_id, parse_response,
    request,
};
pub use request::{CertId, OcspRequest, OcspRequestError};
pub use response::{CertStatus, OcspError, ResponseTemplate, ResponseToBeSigned, Single, error_response};
pub use trust::SignerError;

/// The hash a CertID names its issuer with (RFC 6960 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlg {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    /// Unknown here: no issuer is ever found by it.
    Other,
}

impl HashAlg {
    /// Those that can be computed.
    pub const KNOWN: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    fn of(oid: ObjectIdentifier) -> Self {
        Self::KNOWN.into_iter().find(|hash| hash.oid() == Some(oid)).unwrap_or(Self::Other)
    }

    fn oid(self) -> Option<ObjectIdentifier> {
        Some(match self {
            Self::Sha1 => rfc5912::ID_SHA_1,
            Self::Sha256 => rfc5912::ID_SHA_256,
            Self::Sha384 => rfc5912::ID_SHA_384,
            Self::Sha512 => rfc5912::ID_SHA_512,
            Self::Other => return None,
        })
    }

    fn algorithm(self) -> Option<&'static digest::Algorithm> {
        Some(match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
            Self::Other => return None,
        })
    }

    /// How many octets a hash has.
    fn length(self) -> Option<usize> {
        self.algorithm().map(digest::Algorithm::output_len)
    }
}

/// What a CertID of this issuer holds: the hash of its name, and of the bits of its key.
///
/// Both count: CAs may share a name, and a CA may change its key. For [`HashAlg::Other`] both are empty,
/// which is equal to no hash a request may carry.
pub fn issuer_hashes(issuer_subject_der: &[u8], issuer_key: &PublicKey, hash: HashAlg) -> (Vec<u8>, Vec<u8>) {
    let hash = |bytes: &[u8]| {
        hash.algorithm().map_or_else(Vec::new, |algorithm| digest::digest(algorithm, bytes).as_ref().to_vec())
    };
    (hash(issuer_subject_der), hash(issuer_key.key_bits()))
}
