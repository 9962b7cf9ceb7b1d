//! Lengths of time as configuration writes them: `90s`, `15m`, `24h`, `7d`, `25y`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// The units, largest first. A year is 365 days: a certificate's lifetime is a number of seconds.
const UNITS: [(char, u64); 5] = [('y', 365 * 86_400), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// Longer than this is a slip of the pen: X.509 dates end with the year 9999.
const LONGEST: u64 = 1000 * 365 * 86_400;

/// A length of time, read from and shown as a whole number of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Length(pub(super) Duration);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a length of time: write a whole number and a unit, such as 90s, 15m, 24h, 7d or 25y, at most 1000y"
)]
pub(super) struct NotALength(String);

impl FromStr for Length {
    type Err = NotALength;

    fn from_str(text: &str) -> Result<Self, NotALength> {
        let parse = || {
            let (_, unit) = UNITS.into_iter().find(|(letter, _)| text.ends_with(*letter))?;
            let number = text.get(..text.len() - 1)?;
            if !number.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
            (seconds <= LONGEST).then_some(Self(Duration::from_secs(seconds)))
        };
        parse().ok_or_else(|| NotALength(text.to_owned()))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let unit = UNITS.into_iter().find(|(_, unit)| seconds > 0 && seconds.is_multiple_of(*unit));
        let (letter, unit) = unit.unwrap_or(('s', 1));
        f.pad(&format!("{}{letter}", seconds / unit))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn every_unit_is_read_and_shown() {
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("15m", 900), ("25h", 90_000), ("7d", 604_800), ("25y", 788_400_000)]
        {
            let length: Length = text.parse().unwrap();
            assert_eq!(length.0.as_secs(), seconds);
            assert_eq!(length.to_string(), text);
        }
        assert_eq!("48h".parse::<Length>().unwrap().to_string(), "2d");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "7", "d", "+7d", "-7d", "7 d", "7D", "1.5h", "7days", "1001y", "99999999999999999999y", "é"]
        {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
    }
}
