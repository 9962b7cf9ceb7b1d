//! Bytes to types and back: requests, names, keys, certificates, CRLs, OCSP, CMS. No I/O, no clock, no async.
//!
//! What enters is untrusted: every parser here is strict DER, bounded in size, and answers with an error that is safe
//! to show to the client that sent the bytes. What leaves is built in two steps, so that this floor never sees
//! a private key of ours: a template gives the bytes to be signed, and those bytes with a signature give the finished
//! object. The one private key that passes through here is a device's, on its way into an [`envelope`].
//! [`lint`] judges the finished object and shares no code with what built it.

pub mod binding;
pub mod body;
pub mod certificate;
pub mod cms;
pub mod crl;
pub mod csr;
pub mod csr_attributes;
pub mod envelope;
pub mod extensions;
pub mod filter;
pub mod key;
pub mod lint;
pub mod multipart;
pub mod name;
pub mod ocsp;
pub mod path;
pub mod pem;
mod read;
pub mod renewal_info;
mod requested;
mod signed;
pub mod signed_data;
mod signer_info;
mod tlv;

#[cfg(test)]
mod testing;
