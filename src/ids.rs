//! Typed names and numbers: what two of them have in common is their spelling, never their meaning.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::clock::{Random, Timestamp};

/// The text cannot be the id it was given as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {what}: {rule}")]
pub struct BadId {
    text: String,
    what: &'static str,
    rule: &'static str,
}

/// A name written in configuration: lower-case letters, digits and dashes.
macro_rules! config_name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                if is_config_name(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadId {
                        text: text.to_owned(),
                        what: $what,
                        rule: "write lower-case letters, digits and dashes, at most 64, beginning with a letter",
                    })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

fn is_config_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

config_name!(
    /// A certificate authority of `hierarchy.toml`.
    CaName, "the name of a CA");
config_name!(
    /// A certificate profile, which is also its EST label.
    ProfileName, "the name of a profile");
config_name!(
    /// A stage in a device's life.
    StageName, "the name of a stage");
config_name!(
    /// A role of `roles.toml`.
    RoleName, "the name of a role");
config_name!(
    /// A maker of devices, the owner of a trust anchor.
    MakerName, "the name of a maker");
config_name!(
    /// A receiver of `webhooks.toml`.
    HookName, "the name of a webhook");

/// Who a certificate is for: a device, another machine identity, or this authority itself.
///
/// A device is `maker.model.serial`, an identity `kind.name`, the authority `vitae`. Every byte outside
/// `A-Z a-z 0-9 - _` is written `~hh`, so an id is safe in a URL, a file name and an HTTP Basic user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct HolderId(String);

impl HolderId {
    /// In characters. Makers of ids hold to it, because a longer one is not read back.
    pub const LONGEST: usize = 256;

    pub fn device(maker: &MakerName, model: &str, serial: &str) -> Self {
        Self(format!("{}.{}.{}", escape(maker.as_str()), escape(model), escape(serial)))
    }

    pub fn identity(kind: &str, name: &str) -> Self {
        Self(format!("{}.{}", escape(kind), escape(name)))
    }

    pub fn authority() -> Self {
        Self("vitae".to_owned())
    }

    pub fn is_device(&self) -> bool {
        self.0.matches('.').count() == 2
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn escape(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("~{byte:02x}"));
        }
    }
    out
}

impl FromStr for HolderId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~' | b'.');
        let dots = text.matches('.').count();
        if !text.is_empty() && text.len() <= Self::LONGEST && dots <= 2 && text.bytes().all(safe) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId {
                text: text.to_owned(),
                what: "a device id",
                rule: "it is printed by 'vitae device register', as maker.model.serial",
            })
        }
    }
}

impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for HolderId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Fixed bytes written as lower-case hex.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            pub fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            /// Hex in either case; colons between bytes, as other tools print them, are skipped.
            fn from_str(text: &str) -> Result<Self, BadId> {
                unhex(text).map(Self).ok_or_else(|| BadId {
                    text: text.to_owned(),
                    what: $what,
                    rule: concat!("it is ", $len, " bytes in hex"),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

hex_bytes!(
    /// The serial number of a certificate: 6 bytes of time in milliseconds, then 10 random bytes.
    ///
    /// The time in front keeps inserts into the store in order, which is two to three times faster; 80 random
    /// bits stay above the 64 that CA/B ballot 164 asks for. The top bit is zero until the year 6429, so 16
    /// bytes are 16 bytes in DER too, positive and without a leading zero (RFC 5280 section 4.1.2.2).
    Serial, 16, "a serial number of this authority");
hex_bytes!(
    /// A request that needs an operator's approval. Random.
    ApprovalId, 8, "the id of an approval");
hex_bytes!(
    /// A job that revokes many certificates. Random.
    JobId, 8, "the id of a job");
hex_bytes!(
    /// A SHA-256 digest.
    Digest, 32, "a SHA-256 digest");

/// One of the lists into which a CA's revoked certificates are divided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    pub ca: CaName,
    pub shard: u32,
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ca, self.shard)
    }
}

impl Serial {
    /// Which of `shards` lists is to show it: by its random part, so that all grow alike whatever is issued when.
    pub fn shard(&self, shards: u32) -> u32 {
        let [.., a, b, c, d] = self.0;
        // Scaled, not divided: every shard gets the same share of all numbers, to one in four thousand million.
        let scaled = u64::from(u32::from_be_bytes([a, b, c, d])) * u64::from(shards);
        u32::try_from(scaled >> 32).unwrap_or(0)
    }

    pub fn generate(now: Timestamp, random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&now.millis().to_be_bytes()[2..]);
        random.fill(&mut bytes[6..]);
        Self(bytes)
    }

    /// The moment in front of it. Holds for serial numbers of this authority; any other gives some moment or other.
    pub fn time(&self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.0[..6]);
        Timestamp::from_millis(i64::from_be_bytes(millis))
    }
}

impl ApprovalId {
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        Self(bytes)
    }
}

impl JobId {
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        Self(bytes)
    }
}

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, bytes);
        let mut out = [0; 32];
        out.copy_from_slice(hash.as_ref());
        Self(out)
    }
}

/// What a revocation list says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Revoked, or on hold when that is the reason.
    Revoked {
        reason: Reason,
        /// When the key was compromised, or is thought to have been (RFC 5280 section 5.3.2).
        invalid_since: Option<Timestamp>,
    },
    /// No longer on hold: said by delta lists alone (removeFromCRL, RFC 5280 section 5.3.1).
    Released,
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1), without those a CA of devices never uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    CertificateHold,
    PrivilegeWithdrawn,
}

impl Reason {
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
    ];

    /// The CRLReason number.
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::CertificateHold => "certificate-hold",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = BadId;

    /// Kebab-case, or the camelCase of the RFC (`keyCompromise`).
    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = |name: &str| name.replace('-', "").to_ascii_lowercase();
        Self::ALL.into_iter().find(|reason| plain(reason.as_str()) == plain(text)).ok_or_else(|| BadId {
            text: text.to_owned(),
            what: "a revocation reason",
            rule: "use unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation, certificate-hold or privilege-withdrawn",
        })
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    // By hand: every row and every event holds several of these, and the formatting machinery takes ten times as long.
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
    out
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut digits = text.bytes().filter(|byte| *byte != b':').map(|byte| char::from(byte).to_digit(16));
    let mut out = [0; N];
    for byte in &mut out {
        let value = digits.next()?? << 4 | digits.next()??;
        *byte = u8::try_from(value).ok()?;
    }
    digits.next().is_none().then_some(out)
}

/// The place of an event in the ledger, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventNumber(pub u64);

impl fmt::Display for EventNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::collections::HashSet;

    use super::*;
    use crate::clock::SystemRandom;

    #[test]
    fn device_ids_are_safe_and_tell_parts_apart() {
        let maker: MakerName = "brannoc".parse().unwrap();
        assert_eq!(HolderId::device(&maker, "P3", "BR000001").to_string(), "brannoc.P3.BR000001");
        let odd = HolderId::device(&maker, "P/3 x", "A.1:b");
        assert_eq!(odd.to_string(), "brannoc.P~2f3~20x.A~2e1~3ab");
        assert_eq!(odd.as_str().parse::<HolderId>().unwrap(), odd);
        assert!(odd.is_device() && !HolderId::identity("signer", "a.b").is_device());
    }

    #[test]
    fn a_bad_holder_id_is_refused() {
        for text in ["", "a:b", "a b", "a/b", "a.b.c.d", "é"] {
            assert!(text.parse::<HolderId>().is_err(), "{text}");
        }
    }

    /// P01, B31: positive, 16 octets without a leading zero, ordered by time, no repeat.
    #[test]
    fn serials_are_positive_ordered_and_unique() {
        let start: Timestamp = "2026-11-23".parse().unwrap();
        let mut seen = HashSet::new();
        let mut ones = [0u32; 80];
        for _ in 0..10_000 {
            let serial = Serial::generate(start, &SystemRandom);
            assert!(serial.as_bytes()[0] < 0x80 && serial.as_bytes()[0] > 0);
            assert_eq!(serial.time(), start);
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from(serial.as_bytes()[6 + bit / 8] >> (7 - bit % 8) & 1);
            }
            assert!(seen.insert(serial));
        }
        // Each of the 80 random bits is set about half the time: 5000 +- 6 sigma (50).
        assert!(ones.iter().all(|count| (4700..=5300).contains(count)), "{ones:?}");
        let later = Serial::generate(start + std::time::Duration::from_millis(1), &SystemRandom);
        assert!(seen.iter().all(|serial| *serial < later));
    }

    #[test]
    fn serials_are_read_as_other_tools_print_them() {
        let serial = Serial::from_bytes([0x01, 0xab, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff]);
        let colons = "01:AB:00:00:00:00:00:00:00:00:00:00:00:00:00:FF";
        assert_eq!(colons.parse::<Serial>().unwrap(), serial);
        assert_eq!(serial.to_string().parse::<Serial>().unwrap(), serial);
        assert!("01".parse::<Serial>().is_err() && "+1".repeat(16).parse::<Serial>().is_err());
    }
}
