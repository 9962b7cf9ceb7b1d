//! `[renewal]` of a profile: when the next certificate is asked for, and how long the old one still counts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::duration::Length;
use super::text::deserialize_from_str;
use super::tree::File;

/// How certificates of a profile are renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    window: (Percent, Percent),
    overlap: Option<Duration>,
    grace: Duration,
    key: RenewalKey,
}

impl Renewal {
    /// The part of a certificate's life in which the server asks for the renewal: it names each device a moment in it.
    pub fn window(&self) -> (Percent, Percent) {
        self.window
    }

    /// A certificate that has a successor stays good for so long, or until the successor is first used. `None`: until it
    /// expires.
    pub fn overlap(&self) -> Option<Duration> {
        self.overlap
    }

    /// A certificate may be renewed for so long after it has expired.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    pub fn key(&self) -> RenewalKey {
        self.key
    }
}

/// Which key a renewal may bring (RFC 7030 section 4.2.2: the same one renews, another one rekeys).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RenewalKey {
    Any,
    Same,
    New,
}

/// A share of a certificate's life or of something else, 1% to 99%.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    pub fn of(self, whole: Duration) -> Duration {
        whole / 100 * u32::from(self.0)
    }

    /// Of a number of things, rounded down.
    pub fn of_count(self, whole: usize) -> usize {
        whole * usize::from(self.0) / 100
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a share: write a whole number from 1% to 99%")]
pub struct NotAShare(String);

impl FromStr for Percent {
    type Err = NotAShare;

    fn from_str(text: &str) -> Result<Self, NotAShare> {
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok()).filter(|n| (1..=99).contains(n));
        number.map(Self).ok_or_else(|| NotAShare(text.to_owned()))
    }
}

deserialize_from_str!(Percent);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRenewal {
    window: RawWindow,
    overlap: Option<Length>,
    grace: Length,
    key: RenewalKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    from: Spanned<Percent>,
    to: Spanned<Percent>,
}

pub(super) fn check(file: &File, raw: &RawRenewal) -> Renewal {
    let (from, to) = (&raw.window.from, &raw.window.to);
    if from.get_ref() >= to.get_ref() {
        let reason = format!(
            "the window ends ({}) before it begins ({}): write a later end",
            to.get_ref(),
            from.get_ref()
        );
        file.refuse(to.span(), reason);
    }
    Renewal {
        window: (*from.get_ref(), *to.get_ref()),
        overlap: raw.overlap.as_ref().map(|length| length.0),
        grace: raw.grace.0,
        key: raw.key,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn shares_are_read_as_they_are_shown() {
        for text in ["1%", "60%", "99%"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
        for text in ["", "%", "0%", "100%", "60", "6.5%", "-1%", "+5%", "300%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
        assert_eq!("60%".parse::<Percent>().unwrap().of(Duration::from_secs(1000)), Duration::from_secs(600));
    }
}
