//! Picks algorithms that client and server both know. The client's order counts, as it knows what its hardware does best.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc5753, rfc5911, rfc5912};
use der::Decode;
use der::asn1::AnyRef;
use spki::AlgorithmIdentifierRef;
use x509_cert::ext::pkix::KeyUsage;

use super::Recipient;
use super::asked::{Capabilities, Capability};
use crate::pki::certificate::Certificate;
use crate::pki::extensions::KeyUsages;
use crate::pki::key::{PublicKey, PublicKeyKind};
use crate::pki::tlv;

/// Why nobody could open an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(
        "the request's SMIMECapabilities name no way to encrypt for the {recipient} that this server knows too: name {needed}"
    )]
    NoKeyManagement { recipient: String, needed: String },
    #[error(
        "the request's SMIMECapabilities name no content encryption that this server knows too: name aes256-CBC or aes128-CBC"
    )]
    NoCipher,
    #[error("nothing can be encrypted for an {0} key: name an RSA or EC key")]
    SignsOnly(PublicKeyKind),
    #[error("the shared secret has {0} octets: AES key wrap takes 16 or 32")]
    SecretLength(usize),
    #[error(
        "the certificate of the named key does not let it receive keys: name a key whose certificate has the key usage {0}"
    )]
    KeyUsage(&'static str),
}

/// How the content is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    Aes128Cbc,
    Aes256Cbc,
}

/// AES key wrap (RFC 3394).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrap {
    Aes128,
    Aes256,
}

/// The hash in the key derivation of ECDH (ANSI X9.63, RFC 5753).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kdf {
    Sha256,
    Sha384,
    Sha512,
}

/// How the content key is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Management {
    Secret(Wrap),
    Agreement(Kdf, Wrap),
    /// RSAES-OAEP with SHA-256 throughout.
    Transport,
}

impl Cipher {
    const ALL: [Self; 2] = [Self::Aes256Cbc, Self::Aes128Cbc];
    /// What a client may name instead. Whoever names none of these nor ours has left the choice to us.
    const OTHERS: [ObjectIdentifier; 11] = [
        rfc5911::ID_AES_192_CBC,
        rfc5911::ID_AES_128_GCM,
        rfc5911::ID_AES_192_GCM,
        rfc5911::ID_AES_256_GCM,
        rfc5911::ID_AES_128_CCM,
        rfc5911::ID_AES_192_CCM,
        rfc5911::ID_AES_256_CCM,
        rfc5911::DES_EDE_3_CBC,
        rfc5911::RC_2_CBC,
        // desCBC, id-alg-AEADChaCha20Poly1305
        ObjectIdentifier::new_unwrap("1.3.14.3.2.7"),
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.18"),
    ];

    pub(super) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Aes128Cbc => rfc5911::ID_AES_128_CBC,
            Self::Aes256Cbc => rfc5911::ID_AES_256_CBC,
        }
    }

    pub(super) fn key_len(self) -> usize {
        match self {
            Self::Aes128Cbc => 16,
            Self::Aes256Cbc => 32,
        }
    }

    pub(super) fn choose(management: Management, capabilities: &Capabilities) -> Result<Self, Unfit> {
        let mut named = capabilities.0.iter().map(|capability| capability.algorithm);
        if let Some(cipher) = named.find_map(|oid| Self::ALL.into_iter().find(|cipher| cipher.oid() == oid)) {
            return Ok(cipher);
        }
        if capabilities.0.iter().any(|capability| Self::OTHERS.contains(&capability.algorithm)) {
            return Err(Unfit::NoCipher);
        }
        Ok(match management {
            // A longer key would be no stronger than what wraps it, and such a client may not know AES-256 at all.
            Management::Secret(Wrap::Aes128) | Management::Agreement(_, Wrap::Aes128) => Self::Aes128Cbc,
            _ => Self::Aes256Cbc,
        })
    }
}

impl Wrap {
    const ALL: [Self; 2] = [Self::Aes256, Self::Aes128];

    pub(super) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Aes128 => rfc5911::ID_AES_128_WRAP,
            Self::Aes256 => rfc5911::ID_AES_256_WRAP,
        }
    }

    pub(super) fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }

    /// Parameters absent (RFC 3565).
    pub(super) fn algorithm(self) -> Vec<u8> {
        tlv::nested(tlv::SEQUENCE, |out| tlv::put(out, tlv::OBJECT_IDENTIFIER, self.oid().as_bytes()))
    }

    fn of_oid(oid: ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|wrap| wrap.oid() == oid)
    }

    /// The AlgorithmIdentifier in the parameters of a key agreement. Bouncy Castle writes NULL where there should be no
    /// parameters.
    fn of_algorithm(der: &[u8]) -> Option<Self> {
        let identifier = AlgorithmIdentifierRef::from_der(der).ok()?;
        let absent = identifier.parameters.is_none_or(|parameters| parameters == AnyRef::NULL);
        Self::of_oid(identifier.oid).filter(|_| absent)
    }
}

impl Kdf {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// dhSinglePass-stdDH: the standard primitive, which equals the one with cofactor on the curves here.
    pub(super) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha256 => rfc5753::DH_SINGLE_PASS_STD_DH_SHA_256_KDF_SCHEME,
            Self::Sha384 => rfc5753::DH_SINGLE_PASS_STD_DH_SHA_384_KDF_SCHEME,
            Self::Sha512 => rfc5753::DH_SINGLE_PASS_STD_DH_SHA_512_KDF_SCHEME,
        }
    }

    /// The one of the curve's own strength.
    fn of_curve(kind: PublicKeyKind) -> Option<Self> {
        match kind {
            PublicKeyKind::P256 => Some(Self::Sha256),
            PublicKeyKind::P384 => Some(Self::Sha384),
            PublicKeyKind::P521 => Some(Self::Sha512),
            PublicKeyKind::Ed25519 | PublicKeyKind::Rsa { .. } => None,
        }
    }
}

impl Management {
    pub(super) fn choose(recipient: &Recipient<'_>, capabilities: &Capabilities) -> Result<Self, Unfit> {
        let no_way =
            |recipient: String, needed: &str| Unfit::NoKeyManagement { recipient, needed: needed.to_owned() };
        match recipient {
            Recipient::Secret { secret, .. } => {
                let (wrap, needed) = match secret.len() {
                    16 => (Wrap::Aes128, "aes128-wrap"),
                    32 => (Wrap::Aes256, "aes256-wrap"),
                    other => return Err(Unfit::SecretLength(other)),
                };
                let named = capabilities.0.iter().any(|capability| capability.algorithm == wrap.oid());
                named
                    .then_some(Self::Secret(wrap))
                    .ok_or_else(|| no_way(format!("shared secret of {} octets", secret.len()), needed))
            }
            Recipient::Key { key, .. } => {
                let kind = key.kind();
                if matches!(kind, PublicKeyKind::Rsa { .. }) {
                    let named = capabilities.0.iter().any(is_oaep);
                    return named
                        .then_some(Self::Transport)
                        .ok_or_else(|| no_way(format!("{kind} key"), "id-RSAES-OAEP with SHA-256"));
                }
                let own = Kdf::of_curve(kind).ok_or(Unfit::SignsOnly(kind))?;
                agreement(own, capabilities).ok_or_else(|| {
                    no_way(
                        format!("{kind} key"),
                        "dhSinglePass-stdDH-sha256kdf-scheme with aes256-wrap or aes128-wrap",
                    )
                })
            }
        }
    }
}

/// Whether a certificate lets its key receive other keys: it says so, or sets no limit (RFC 7030 section 4.4.1.2).
pub fn permits_receiving(certificate: &Certificate, key: &PublicKey) -> Result<(), Unfit> {
    let (needed, name) = match key.kind() {
        PublicKeyKind::Rsa { .. } => (KeyUsages::KeyEncipherment, "keyEncipherment"),
        PublicKeyKind::P256 | PublicKeyKind::P384 | PublicKeyKind::P521 => {
            (KeyUsages::KeyAgreement, "keyAgreement")
        }
        kind @ PublicKeyKind::Ed25519 => return Err(Unfit::SignsOnly(kind)),
    };
    let mut usages = certificate.extensions().iter().filter(|it| it.extn_id == rfc5280::ID_CE_KEY_USAGE);
    // What cannot be read permits nothing.
    let permitted = usages.all(|usage| {
        KeyUsage::from_der(usage.extn_value.as_bytes()).is_ok_and(|usage| usage.0.contains(needed))
    });
    permitted.then_some(()).ok_or(Unfit::KeyUsage(name))
}

/// The first scheme with a key wrap in its parameters (RFC 5753). RFC 7030 section 4.4.2 speaks of key wraps alone, so a
/// client that names no scheme at all gets the one of its curve.
fn agreement(own: Kdf, capabilities: &Capabilities) -> Option<Management> {
    let wrap_alone = capabilities.0.iter().find_map(|capability| Wrap::of_oid(capability.algorithm));
    let schemes: Vec<&Capability> = capabilities.0.iter().filter(|it| is_agreement(it.algorithm)).collect();
    if schemes.is_empty() {
        return wrap_alone.map(|wrap| Management::Agreement(own, wrap));
    }
    schemes.into_iter().find_map(|scheme| {
        let kdf = Kdf::ALL.into_iter().find(|kdf| kdf.oid() == scheme.algorithm)?;
        let wrap = match &scheme.parameters {
            Some(parameters) => Wrap::of_algorithm(parameters),
            None => wrap_alone,
        };
        Some(Management::Agreement(kdf, wrap?))
    })
}

/// The arcs of key agreement with EC keys: SEC 1's schemes, and X9.63's with SHA-1.
fn is_agreement(oid: ObjectIdentifier) -> bool {
    let arcs = [
        // 1.3.132.1 and 1.3.133.16.840.63.0
        &[0x2b, 0x81, 0x04, 0x01][..],
        &[0x2b, 0x81, 0x05, 0x10, 0x86, 0x48, 0x3f, 0x00],
    ];
    arcs.iter().any(|arc| oid.as_bytes().starts_with(arc))
}

/// RSAES-OAEP with SHA-256, or without saying with what. The empty parameters would say SHA-1 (RFC 4055 section 4.1).
fn is_oaep(capability: &Capability) -> bool {
    capability.algorithm == rfc5912::ID_RSAES_OAEP
        && capability.parameters.as_ref().is_none_or(|parameters| {
            let forms = [(true, true), (true, false), (false, true), (false, false)];
            forms.into_iter().any(|(hash, mask)| *parameters == oaep_parameters(hash, mask))
        })
}

/// The AlgorithmIdentifier of RSAES-OAEP here.
pub(super) fn oaep_algorithm() -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| {
        tlv::put(out, tlv::OBJECT_IDENTIFIER, rfc5912::ID_RSAES_OAEP.as_bytes());
        out.extend(oaep_parameters(true, true));
    })
}

/// RSAES-OAEP-params for SHA-256. NULL after the hash is there or not (RFC 4055 section 2.1): readers take both.
fn oaep_parameters(null_after_hash: bool, null_in_mask: bool) -> Vec<u8> {
    let sha256 = |out: &mut Vec<u8>, null: bool| {
        tlv::nest(out, tlv::SEQUENCE, |out| {
            tlv::put(out, tlv::OBJECT_IDENTIFIER, rfc5912::ID_SHA_256.as_bytes());
            out.extend_from_slice(if null { tlv::NULL } else { &[] });
        });
    };
    tlv::nested(tlv::SEQUENCE, |out| {
        tlv::nest(out, tlv::constructed(0), |hash| sha256(hash, null_after_hash));
        tlv::nest(out, tlv::constructed(1), |mask| {
            tlv::nest(mask, tlv::SEQUENCE, |mask| {
                tlv::put(mask, tlv::OBJECT_IDENTIFIER, rfc5912::ID_MGF_1.as_bytes());
                sha256(mask, null_in_mask);
            });
        });
    })
}
