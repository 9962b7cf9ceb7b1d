//! What a certificate's key may be and do: key kinds, key usage bits, extended key usages, proofs.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::text::{deserialize_from_str, is_oid};

/// How a device or identity may prove itself when it has no certificate of the profile yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// TLS with the certificate it was born with.
    BirthCertificate,
    /// A one-time enrolment token.
    Token,
    /// A registration authority of `roles.toml` vouches for it (RFC 7030 section 3.7).
    RegistrationAuthority,
}

/// What a request's challengePassword means: the tie to its TLS connection (RFC 7030 section 3.5), or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelBinding {
    /// Every request must carry it.
    Required,
    /// A request that carries it must carry the right one.
    Optional,
    /// It is not looked at, for clients that put something else there.
    Ignored,
}

/// A kind of key that a profile certifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKey {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa { min_bits: u32 },
}

/// One line of a profile's `keys`.
pub type KeyRule = SubjectKey;

/// RSA keys smaller than this fell out of every recommendation years ago.
const RSA_FLOOR: u32 = 2048;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a kind of key: use p256, p384, p521, ed25519 or rsa-BITS with at least rsa-{RSA_FLOOR}"
)]
pub struct NotAKey(String);

impl FromStr for SubjectKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let rsa = |bits: &str| {
            let min_bits = bits.parse().ok().filter(|bits| (RSA_FLOOR..=16_384).contains(bits))?;
            (!bits.starts_with('+')).then_some(Self::Rsa { min_bits })
        };
        match text {
            "p256" => Ok(Self::P256),
            "p384" => Ok(Self::P384),
            "p521" => Ok(Self::P521),
            "ed25519" => Ok(Self::Ed25519),
            _ => text.strip_prefix("rsa-").and_then(rsa).ok_or_else(|| NotAKey(text.to_owned())),
        }
    }
}

deserialize_from_str!(SubjectKey);

impl fmt::Display for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.pad("p256"),
            Self::P384 => f.pad("p384"),
            Self::P521 => f.pad("p521"),
            Self::Ed25519 => f.pad("ed25519"),
            Self::Rsa { min_bits } => f.pad(&format!("rsa-{min_bits}")),
        }
    }
}

/// A bit of the key usage extension (RFC 5280 section 4.2.1.3) that an end entity may have.
///
/// keyCertSign and cRLSign are not here: only the hierarchy makes CAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUsageBit {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
}

/// An extended key usage, by name or by OID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Eku {
    ServerAuth,
    ClientAuth,
    CodeSigning,
    TimeStamping,
    OcspSigning,
    EmailProtection,
    /// Documents that are no e-mail (RFC 9336).
    DocumentSigning,
    /// The holder is a registration authority (RFC 6402 section 2.10).
    CmcRa,
    ConfigSigning,
    TrustAnchorConfigSigning,
    UpdatePackageSigning,
    SafetyCommunication,
    Other(String),
}

/// anyExtendedKeyUsage takes every limit away, so no profile may have it.
const ANY: &str = "2.5.29.37.0";

impl Eku {
    const NAMED: [(Self, &'static str, &'static str); 12] = [
        (Self::ServerAuth, "server-auth", "1.3.6.1.5.5.7.3.1"),
        (Self::ClientAuth, "client-auth", "1.3.6.1.5.5.7.3.2"),
        (Self::CodeSigning, "code-signing", "1.3.6.1.5.5.7.3.3"),
        (Self::TimeStamping, "time-stamping", "1.3.6.1.5.5.7.3.8"),
        (Self::OcspSigning, "ocsp-signing", "1.3.6.1.5.5.7.3.9"),
        (Self::EmailProtection, "email-protection", "1.3.6.1.5.5.7.3.4"),
        (Self::DocumentSigning, "document-signing", "1.3.6.1.5.5.7.3.36"),
        (Self::CmcRa, "cmc-ra", "1.3.6.1.5.5.7.3.28"),
        // RFC 9809.
        (Self::ConfigSigning, "config-signing", "1.3.6.1.5.5.7.3.41"),
        (Self::TrustAnchorConfigSigning, "trust-anchor-config-signing", "1.3.6.1.5.5.7.3.42"),
        (Self::UpdatePackageSigning, "update-package-signing", "1.3.6.1.5.5.7.3.43"),
        (Self::SafetyCommunication, "safety-communication", "1.3.6.1.5.5.7.3.44"),
    ];

    /// Dotted decimal.
    pub fn oid(&self) -> &str {
        match self {
            Self::Other(oid) => oid,
            named => Self::NAMED.iter().find(|(eku, ..)| eku == named).map_or("", |(.., oid)| oid),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEku {
    #[error("any-extended-key-usage would let the key do everything: name what it is for")]
    Any,
    #[error("'{0}' is not an extended key usage: use a dotted OID or one of {known}",
        known = Eku::NAMED.iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(", "))]
    Unknown(String),
}

impl FromStr for Eku {
    type Err = BadEku;

    fn from_str(text: &str) -> Result<Self, BadEku> {
        if text == ANY {
            return Err(BadEku::Any);
        }
        let named = Self::NAMED.into_iter().find(|(_, name, oid)| *name == text || *oid == text);
        match named {
            Some((eku, ..)) => Ok(eku),
            None if is_oid(text) => Ok(Self::Other(text.to_owned())),
            None => Err(BadEku::Unknown(text.to_owned())),
        }
    }
}

deserialize_from_str!(Eku);

impl fmt::Display for Eku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMED.iter().find(|(eku, ..)| eku == self).map(|(_, name, _)| *name);
        f.pad(name.unwrap_or_else(|| self.oid()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn every_named_eku_has_its_oid() {
        for (eku, name, oid) in Eku::NAMED {
            assert_eq!(name.parse::<Eku>().unwrap(), eku);
            assert_eq!(oid.parse::<Eku>().unwrap(), eku);
            assert_eq!((eku.to_string().as_str(), eku.oid()), (name, oid));
        }
        let other = "1.2.840.10004.20701.1.1".parse::<Eku>().unwrap();
        assert_eq!(other.oid(), "1.2.840.10004.20701.1.1");
        assert_eq!(ANY.parse::<Eku>(), Err(BadEku::Any));
        assert!("clientAuth".parse::<Eku>().is_err());
    }

    #[test]
    fn weak_or_unknown_keys_are_refused() {
        assert_eq!("rsa-3072".parse::<SubjectKey>().unwrap(), SubjectKey::Rsa { min_bits: 3072 });
        for text in ["p256", "p384", "p521", "ed25519", "rsa-2048"] {
            assert_eq!(text.parse::<SubjectKey>().unwrap().to_string(), text);
        }
        for text in ["rsa-1024", "rsa", "rsa-", "rsa-+3072", "p192", "P256", "dsa"] {
            assert!(text.parse::<SubjectKey>().is_err(), "{text}");
        }
    }
}
