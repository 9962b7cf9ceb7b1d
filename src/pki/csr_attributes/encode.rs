//! Writes the wishes as `CsrAttrs`: the list of RFC 7030 and the template of RFC 9908 side by side.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc2985, rfc4519, rfc5912};

use super::{CsrAttributes, EXTENSION_TEMPLATE, ExtensionWanted, KeyWanted, REQUEST_TEMPLATE, SubjectPart};
use crate::pki::name::is_printable;
use crate::pki::tlv;

/// 65537, the exponent of every RSA key here.
const EXPONENT: [u8; 3] = [1, 0, 1];

impl CsrAttributes {
    /// DER of `CsrAttrs ::= SEQUENCE SIZE (0..MAX) OF AttrOrOID`.
    pub fn to_der(&self) -> Vec<u8> {
        tlv::nested(tlv::SEQUENCE, |list| {
            if self.challenge_password {
                put_oid(list, &rfc2985::PKCS_9_AT_CHALLENGE_PASSWORD);
            }
            if let Some(key) = &self.key {
                put_key_attribute(list, key);
            }
            for part in &self.subject {
                put_oid(list, &part.kind);
            }
            let given: Vec<_> = self.extensions.iter().filter(|wanted| wanted.value.is_some()).collect();
            if !given.is_empty() {
                put_attribute(list, &rfc5912::ID_EXTENSION_REQ, |values| put_extensions(values, &given));
            }
            if let Some(signature) = &self.signature {
                put_oid(list, signature);
            }
            if self.key.is_some() || !self.subject.is_empty() || !self.extensions.is_empty() {
                put_attribute(list, &REQUEST_TEMPLATE, |values| self.put_template(values));
            }
        })
    }

    /// CertificationRequestInfoTemplate.
    fn put_template(&self, out: &mut Vec<u8>) {
        tlv::nest(out, tlv::SEQUENCE, |template| {
            tlv::put_unsigned(template, &[0]);
            if !self.subject.is_empty() {
                tlv::nest(template, tlv::SEQUENCE, |name| {
                    self.subject.iter().for_each(|part| put_rdn(name, part));
                });
            }
            if let Some(key) = &self.key {
                tlv::nest(template, tlv::constructed(0), |info| put_key_template(info, key));
            }
            // Not OPTIONAL: an empty set says that there are none.
            tlv::nest(template, tlv::constructed(1), |attributes| {
                if self.extensions.is_empty() {
                    return;
                }
                // Exactly one of the two, and the one with values whenever all are given (section 3.4).
                let all_given = self.extensions.iter().all(|wanted| wanted.value.is_some());
                let kind = if all_given { rfc5912::ID_EXTENSION_REQ } else { EXTENSION_TEMPLATE };
                let all: Vec<_> = self.extensions.iter().collect();
                put_attribute(attributes, &kind, |values| put_extensions(values, &all));
            });
        });
    }
}

/// The kind of key as an Attribute; an empty set of values leaves the rest to the client (RFC 9908 section 3.2).
fn put_key_attribute(out: &mut Vec<u8>, key: &KeyWanted) {
    match key {
        KeyWanted::Ec { curve } => put_attribute(out, &rfc5912::ID_EC_PUBLIC_KEY, |values| {
            curve.iter().for_each(|curve| put_oid(values, curve));
        }),
        KeyWanted::Rsa { bits } => put_attribute(out, &rfc5912::RSA_ENCRYPTION, |values| {
            bits.iter().for_each(|bits| tlv::put_unsigned(values, &bits.to_be_bytes()));
        }),
        KeyWanted::Other(algorithm) => put_attribute(out, algorithm, |_| {}),
    }
}

/// What stands inside SubjectPublicKeyInfoTemplate.
fn put_key_template(out: &mut Vec<u8>, key: &KeyWanted) {
    tlv::nest(out, tlv::SEQUENCE, |algorithm| match key {
        KeyWanted::Ec { curve } => {
            put_oid(algorithm, &rfc5912::ID_EC_PUBLIC_KEY);
            curve.iter().for_each(|curve| put_oid(algorithm, curve));
        }
        KeyWanted::Rsa { .. } => {
            put_oid(algorithm, &rfc5912::RSA_ENCRYPTION);
            algorithm.extend_from_slice(tlv::NULL);
        }
        KeyWanted::Other(other) => put_oid(algorithm, other),
    });
    // A size is said by a key of that size which is nobody's; in every other case there must be none.
    if let KeyWanted::Rsa { bits: Some(bits) } = key {
        let nobodys = tlv::nested(tlv::SEQUENCE, |key| {
            tlv::put_unsigned(key, &modulus_of(*bits));
            tlv::put_unsigned(key, &EXPONENT);
        });
        tlv::put_bits(out, &nobodys);
    }
}

/// An odd number of exactly so many bits.
fn modulus_of(bits: u32) -> Vec<u8> {
    let top = bits.saturating_sub(1);
    // No machine that runs this has pointers too short for an eighth of a u32.
    let mut number = vec![0; usize::try_from(top / 8 + 1).unwrap_or(1)];
    if let Some(first) = number.first_mut() {
        *first = 1 << (top % 8);
    }
    if let Some(last) = number.last_mut() {
        *last |= 1;
    }
    number
}

fn put_rdn(out: &mut Vec<u8>, part: &SubjectPart) {
    tlv::nest(out, tlv::SET, |rdn| {
        tlv::nest(rdn, tlv::SEQUENCE, |pair| {
            put_oid(pair, &part.kind);
            if let Some(value) = &part.value {
                // As names are built here: X.520 makes serialNumber a PrintableString.
                let printable = part.kind == rfc4519::SERIAL_NUMBER && value.chars().all(is_printable);
                let tag = if printable { tlv::PRINTABLE_STRING } else { tlv::UTF8_STRING };
                tlv::put(pair, tag, value.as_bytes());
            }
        });
    });
}

/// `Extensions`, or `ExtensionTemplates` when a value is left open.
fn put_extensions(out: &mut Vec<u8>, extensions: &[&ExtensionWanted]) {
    tlv::nest(out, tlv::SEQUENCE, |list| {
        for wanted in extensions {
            tlv::nest(list, tlv::SEQUENCE, |extension| {
                put_oid(extension, &wanted.kind);
                if wanted.critical {
                    extension.extend_from_slice(tlv::BOOLEAN_TRUE);
                }
                if let Some(value) = &wanted.value {
                    tlv::put(extension, tlv::OCTET_STRING, value);
                }
            });
        }
    });
}

fn put_attribute(out: &mut Vec<u8>, kind: &ObjectIdentifier, values: impl FnOnce(&mut Vec<u8>)) {
    tlv::nest(out, tlv::SEQUENCE, |attribute| {
        put_oid(attribute, kind);
        tlv::nest(attribute, tlv::SET, values);
    });
}

fn put_oid(out: &mut Vec<u8>, oid: &ObjectIdentifier) {
    tlv::put(out, tlv::OBJECT_IDENTIFIER, oid.as_bytes());
}
