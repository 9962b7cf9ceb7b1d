//! Writes lists: complete ones and deltas, of a whole CA or of one shard (RFC 5280 section 5).
//!
//! A list of a million entries does not fit where one of ten does, so its three parts are made apart: what stands before
//! the entries, the entries one by one, what stands after them. DER puts lengths first, so how many octets the entries
//! take must be known before the first part is written.

use const_oid::db::rfc5280;

use super::super::certificate::encoded;
use super::super::extensions::authority_key_id_value;
use super::super::name::Name;
use super::super::signed::{BuildError, ToBeSigned, check_signature, signature_algorithm};
use super::super::tlv;
use crate::clock::Timestamp;
use crate::ids::{Reason, Serial, Standing};
use crate::keys::KeyKind;

/// One certificate on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlEntry {
    pub serial: Serial,
    /// When it came to stand as it does.
    pub since: Timestamp,
    pub standing: Standing,
}

/// Which certificates a list speaks of: those that name it (RFC 5280 section 5.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// URLs of the distribution point; a certificate of the scope names one of them, byte for byte.
    pub names: Vec<String>,
    /// The issuer has no CA below it: onlyContainsUserCerts.
    pub users_only: bool,
}

/// Everything a list says but its entries.
#[derive(Clone, Debug)]
pub struct CrlTemplate {
    pub issuer: Name,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub number: u64,
    pub authority_key_id: [u8; 20],
    /// The kind of the key that will sign, which gives the signature algorithm.
    pub signer: KeyKind,
    /// `None`: every certificate of the issuer.
    pub scope: Option<Scope>,
    /// For a delta: the number of the complete list that it goes on from (RFC 5280 section 5.2.4).
    pub base: Option<u64>,
    /// For a complete list: where its delta is (RFC 5280 section 5.2.6).
    pub freshest: Option<String>,
}

/// The octets around the entries of one list.
#[derive(Clone, Debug)]
pub struct Frame {
    before: Vec<u8>,
    after: Vec<u8>,
    entries: u64,
    signer: KeyKind,
}

impl CrlTemplate {
    /// The frame for entries that take `entries` octets together.
    pub fn frame(&self, entries: u64) -> Result<Frame, BuildError> {
        if self.next_update < self.this_update {
            return Err(BuildError::TimesReversed { begin: self.this_update, end: self.next_update });
        }
        if self.scope.as_ref().is_some_and(|scope| scope.names.is_empty()) {
            return Err(BuildError::Empty("the scope of a CRL"));
        }
        let after = self.extensions();
        let mut fields = Vec::with_capacity(512);
        // Version v2 is the number 1.
        tlv::put_unsigned(&mut fields, &[1]);
        fields.extend_from_slice(signature_algorithm(self.signer));
        fields.extend_from_slice(&encoded("the issuer's name", &self.issuer)?);
        tlv::put_time(&mut fields, self.this_update);
        tlv::put_time(&mut fields, self.next_update);
        let too_long =
            |_| BuildError::Encode { what: "a CRL", reason: "it is longer than memory".to_owned() };
        let entries_length = usize::try_from(entries).map_err(too_long)?;
        // RFC 5280 section 5.1.2.6: when nothing is revoked the list MUST be absent.
        if entries > 0 {
            tlv::put_header(&mut fields, tlv::SEQUENCE, entries_length);
        }
        let mut before = Vec::with_capacity(fields.len() + 6);
        tlv::put_header(&mut before, tlv::SEQUENCE, fields.len() + entries_length + after.len());
        before.extend_from_slice(&fields);
        Ok(Frame { before, after, entries, signer: self.signer })
    }

    /// The whole TBSCertList of a short list.
    pub fn to_be_signed(&self, entries: &[CrlEntry]) -> Result<ToBeSigned, BuildError> {
        let mut list = Vec::with_capacity(entries.len() * 48);
        entries.iter().for_each(|entry| put_entry(&mut list, entry));
        let frame = self.frame(list.len() as u64)?;
        Ok(ToBeSigned::new([frame.before, list, frame.after].concat(), self.signer))
    }

    fn extensions(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        tlv::nest(&mut out, tlv::constructed(0), |out| {
            tlv::nest(out, tlv::SEQUENCE, |list| {
                let key_id = authority_key_id_value(&self.authority_key_id);
                let aki = rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER.as_bytes();
                put_extension(list, aki, false, |value| value.extend_from_slice(&key_id));
                put_extension(list, rfc5280::ID_CE_CRL_NUMBER.as_bytes(), false, |value| {
                    tlv::put_unsigned(value, &self.number.to_be_bytes());
                });
                if let Some(base) = self.base {
                    put_extension(list, rfc5280::ID_CE_DELTA_CRL_INDICATOR.as_bytes(), true, |value| {
                        tlv::put_unsigned(value, &base.to_be_bytes());
                    });
                }
                if let Some(scope) = &self.scope {
                    let oid = rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT.as_bytes();
                    put_extension(list, oid, true, |value| put_scope(value, scope));
                }
                if let Some(url) = &self.freshest {
                    put_extension(list, rfc5280::ID_CE_FRESHEST_CRL.as_bytes(), false, |value| {
                        tlv::nest(value, tlv::SEQUENCE, |points| {
                            tlv::nest(points, tlv::SEQUENCE, |point| put_point(point, [url.as_str()]));
                        });
                    });
                }
            });
        });
        out
    }
}

impl Frame {
    /// What is signed is this, the entries, and [`Self::after`].
    pub fn before(&self) -> &[u8] {
        &self.before
    }

    pub fn after(&self) -> &[u8] {
        &self.after
    }

    /// What stands before and after all that is signed in the finished list.
    pub fn seal(&self, signature: &[u8]) -> Result<(Vec<u8>, Vec<u8>), BuildError> {
        check_signature(signature)?;
        let mut end = signature_algorithm(self.signer).to_vec();
        tlv::put_bits(&mut end, signature);
        // The frame was made, so the entries are no longer than memory.
        let entries = usize::try_from(self.entries).unwrap_or(usize::MAX);
        let mut begin = Vec::with_capacity(6);
        tlv::put_header(
            &mut begin,
            tlv::SEQUENCE,
            self.before.len() + entries + self.after.len() + end.len(),
        );
        Ok((begin, end))
    }
}

/// DER leaves FALSE out, and one name at least stands here: never an empty SEQUENCE.
fn put_scope(value: &mut Vec<u8>, scope: &Scope) {
    tlv::nest(value, tlv::SEQUENCE, |out| {
        put_point(out, scope.names.iter().map(String::as_str));
        if scope.users_only {
            tlv::put(out, tlv::primitive(1), &[0xff]);
        }
    });
}

/// `distributionPoint [0]` with the fullName of URLs: the same octets here as in a certificate.
fn put_point<'a>(out: &mut Vec<u8>, urls: impl IntoIterator<Item = &'a str>) {
    tlv::nest(out, tlv::constructed(0), |name| {
        tlv::nest(name, tlv::constructed(0), |names| {
            for url in urls {
                tlv::put(names, tlv::primitive(6), url.as_bytes());
            }
        });
    });
}

fn put_extension(out: &mut Vec<u8>, oid: &[u8], critical: bool, fill: impl FnOnce(&mut Vec<u8>)) {
    tlv::nest(out, tlv::SEQUENCE, |extension| {
        tlv::put(extension, tlv::OBJECT_IDENTIFIER, oid);
        if critical {
            extension.extend_from_slice(tlv::BOOLEAN_TRUE);
        }
        tlv::nest(extension, tlv::OCTET_STRING, fill);
    });
}

/// The extension reasonCode up to its value: `2.5.29.21`, an ENUMERATED of one octet.
const REASON: [u8; 11] = [0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01];
/// The extension invalidityDate up to its GeneralizedTime: `2.5.29.24`.
const INVALIDITY: [u8; 9] = [0x30, 0x18, 0x06, 0x03, 0x55, 0x1d, 0x18, 0x04, 0x11];

/// removeFromCRL (RFC 5280 section 5.3.1).
const REMOVE_FROM_CRL: u8 = 8;

/// Appends one entry. A million of them are written for one list, so nothing is allocated here and lengths are reckoned: an
/// entry has 80 octets at most.
pub fn put_entry(out: &mut Vec<u8>, entry: &CrlEntry) {
    let begin = out.len();
    out.extend_from_slice(&[tlv::SEQUENCE, 0]);
    tlv::put_unsigned(out, entry.serial.as_bytes());
    tlv::put_time(out, entry.since);
    // RFC 5280 section 5.3.1: the reason SHOULD be absent rather than "unspecified".
    let (reason, invalid_since) = match entry.standing {
        Standing::Released => (Some(REMOVE_FROM_CRL), None),
        Standing::Revoked { reason, invalid_since } => {
            ((reason != Reason::Unspecified).then(|| reason.code()), invalid_since)
        }
    };
    if reason.is_some() || invalid_since.is_some() {
        let at = out.len();
        out.extend_from_slice(&[tlv::SEQUENCE, 0]);
        if let Some(code) = reason {
            out.extend_from_slice(&REASON);
            out.push(code);
        }
        if let Some(since) = invalid_since {
            out.extend_from_slice(&INVALIDITY);
            tlv::put_generalized_time(out, since);
        }
        set_length(out, at);
    }
    set_length(out, begin);
}

/// The length of the element that begins at `at` and ends here: below 128, as all are in an entry.
fn set_length(out: &mut [u8], at: usize) {
    out[at + 1] = u8::try_from(out.len() - at - 2).unwrap_or(0x7f);
}
