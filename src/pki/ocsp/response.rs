//! An OCSP response: the basic one, signed, and the errors, which are not (RFC 6960 section 4.2).

use const_oid::db::rfc6960;

use crate::clock::Timestamp;
use crate::ids::Reason;
use crate::keys::KeyKind;
use crate::pki::read::one_sequence;
use crate::pki::signed::{BuildError, check_signature, signature_algorithm};
use crate::pki::tlv;

/// What is said of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertStatus {
    Good,
    Revoked { at: Timestamp, reason: Reason },
    Unknown,
}

/// What is said of one certificate, under the CertID of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Single {
    /// The CertID as it came.
    pub cert_id: Vec<u8>,
    pub status: CertStatus,
    /// For a certificate that has expired: since when its status would be known (RFC 6960 section 4.4.4).
    pub archive_cutoff: Option<Timestamp>,
}

/// An answer without a signature, and without any certificate's status (RFC 6960 section 2.3). Number 4 is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OcspError {
    Malformed = 1,
    Internal = 2,
    TryLater = 3,
    SigRequired = 5,
    Unauthorized = 6,
}

/// The five bytes of an error.
pub fn error_response(error: OcspError) -> Vec<u8> {
    vec![0x30, 0x03, 0x0a, 0x01, error as u8]
}

/// Everything a basic response says.
#[derive(Clone, Debug)]
pub struct ResponseTemplate {
    /// The responder is named by key, with SHA-1 (RFC 9919 section 3.2.2): see [`crate::pki::key::PublicKey::sha1_key_hash`].
    pub responder_key_hash: [u8; 20],
    pub produced_at: Timestamp,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    /// One for each question, in their order.
    pub singles: Vec<Single>,
    /// The nonce of the request, when this answer is made for it.
    pub nonce: Option<Vec<u8>>,
    /// The kind of the key that will sign, which gives the signature algorithm.
    pub signer: KeyKind,
    /// The certificate of a delegated signer (RFC 6960 section 4.2.2.2); empty when the CA itself signs.
    pub certs: Vec<Vec<u8>>,
}

impl ResponseTemplate {
    /// The ResponseData.
    pub fn to_be_signed(self) -> Result<ResponseToBeSigned, BuildError> {
        if self.singles.is_empty() {
            return Err(BuildError::Empty("the list of statuses"));
        }
        for (begin, end) in [(self.this_update, self.produced_at), (self.this_update, self.next_update)] {
            if end < begin {
                return Err(BuildError::TimesReversed { begin, end });
            }
        }
        let parts = self.singles.iter().map(|single| ("a CertID", &single.cert_id));
        for (what, der) in parts.chain(self.certs.iter().map(|cert| ("the signer's certificate", cert))) {
            one_sequence(der).map_err(|error| BuildError::Encode { what, reason: error.to_string() })?;
        }

        let mut bytes = Vec::with_capacity(256 * self.singles.len());
        tlv::nest(&mut bytes, tlv::SEQUENCE, |data| {
            tlv::nest(data, tlv::constructed(2), |id| {
                tlv::put(id, tlv::OCTET_STRING, &self.responder_key_hash)
            });
            tlv::put_generalized_time(data, self.produced_at);
            tlv::nest(data, tlv::SEQUENCE, |responses| {
                for single in &self.singles {
                    tlv::nest(responses, tlv::SEQUENCE, |out| {
                        out.extend_from_slice(&single.cert_id);
                        put_status(out, single.status);
                        tlv::put_generalized_time(out, self.this_update);
                        tlv::nest(out, tlv::constructed(0), |out| {
                            tlv::put_generalized_time(out, self.next_update);
                        });
                        if let Some(cutoff) = single.archive_cutoff {
                            tlv::nest(out, tlv::constructed(1), |out| put_archive_cutoff(out, cutoff));
                        }
                    });
                }
            });
            if let Some(nonce) = &self.nonce {
                tlv::nest(data, tlv::constructed(1), |out| put_nonce(out, nonce));
            }
        });
        Ok(ResponseToBeSigned { bytes, signer: self.signer, certs: self.certs })
    }
}

fn put_status(out: &mut Vec<u8>, status: CertStatus) {
    match status {
        CertStatus::Good => tlv::put(out, tlv::primitive(0), &[]),
        CertStatus::Revoked { at, reason } => tlv::nest(out, tlv::constructed(1), |info| {
            tlv::put_generalized_time(info, at);
            // As on the CRL: absent rather than "unspecified" (RFC 5280 section 5.3.1).
            if reason != Reason::Unspecified {
                tlv::nest(info, tlv::constructed(0), |out| tlv::put(out, tlv::ENUMERATED, &[reason.code()]));
            }
        }),
        CertStatus::Unknown => tlv::put(out, tlv::primitive(2), &[]),
    }
}

/// Extensions with the archive cutoff alone.
fn put_archive_cutoff(out: &mut Vec<u8>, cutoff: Timestamp) {
    tlv::nest(out, tlv::SEQUENCE, |extensions| {
        tlv::nest(extensions, tlv::SEQUENCE, |extension| {
            tlv::put(extension, tlv::OBJECT_IDENTIFIER, rfc6960::ID_PKIX_OCSP_ARCHIVE_CUTOFF.as_bytes());
            tlv::nest(extension, tlv::OCTET_STRING, |value| tlv::put_generalized_time(value, cutoff));
        });
    });
}

/// Extensions with the nonce alone, an OCTET STRING in an OCTET STRING (RFC 9654 section 2.1).
pub(super) fn put_nonce(out: &mut Vec<u8>, nonce: &[u8]) {
    tlv::nest(out, tlv::SEQUENCE, |extensions| {
        tlv::nest(extensions, tlv::SEQUENCE, |extension| {
            tlv::put(extension, tlv::OBJECT_IDENTIFIER, rfc6960::ID_PKIX_OCSP_NONCE.as_bytes());
            tlv::nest(extension, tlv::OCTET_STRING, |value| tlv::put(value, tlv::OCTET_STRING, nonce));
        });
    });
}

/// ResponseData that waits for the signature of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseToBeSigned {
    bytes: Vec<u8>,
    signer: KeyKind,
    certs: Vec<Vec<u8>>,
}

impl ResponseToBeSigned {
    /// What to sign.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished OCSPResponse.
    pub fn assemble(self, signature: &[u8]) -> Result<Vec<u8>, BuildError> {
        check_signature(signature)?;
        Ok(tlv::nested(tlv::SEQUENCE, |response| {
            tlv::put(response, tlv::ENUMERATED, &[0]);
            tlv::nest(response, tlv::constructed(0), |out| {
                tlv::nest(out, tlv::SEQUENCE, |bytes| {
                    tlv::put(bytes, tlv::OBJECT_IDENTIFIER, rfc6960::ID_PKIX_OCSP_BASIC.as_bytes());
                    tlv::nest(bytes, tlv::OCTET_STRING, |out| {
                        tlv::nest(out, tlv::SEQUENCE, |basic| self.put_basic(basic, signature));
                    });
                });
            });
        }))
    }

    fn put_basic(&self, basic: &mut Vec<u8>, signature: &[u8]) {
        basic.extend_from_slice(&self.bytes);
        basic.extend_from_slice(signature_algorithm(self.signer));
        tlv::put_bits(basic, signature);
        if !self.certs.is_empty() {
            tlv::nest(basic, tlv::constructed(0), |out| tlv::put(out, tlv::SEQUENCE, &self.certs.concat()));
        }
    }
}
