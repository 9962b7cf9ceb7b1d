//! Time and randomness as parameters: nothing above this floor reads a clock or draws a random byte by itself.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC, to the millisecond, between the years 1970 and 9999.
///
/// Text form is RFC 3339 (`2026-11-23T10:00:00.000Z`); X.509 forms are cut to whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const EPOCH: Self = Self(0);
    /// 99991231235959Z, the date of a certificate without expiry (RFC 5280 section 4.1.2.5).
    pub const FOREVER: Self = Self(253_402_300_799_000);

    /// Milliseconds since 1970, held inside the years 1970 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::FOREVER.0))
    }

    pub fn from_secs(secs: u64) -> Self {
        Self::from_millis(i64::try_from(secs).unwrap_or(i64::MAX).saturating_mul(1000))
    }

    pub fn millis(self) -> i64 {
        self.0
    }

    pub fn secs(self) -> u64 {
        self.0.unsigned_abs() / 1000
    }

    /// Cut to the whole second, as X.509 times are.
    pub fn whole_second(self) -> Self {
        Self(self.0 - self.0 % 1000)
    }

    /// How long since `earlier`; zero when `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Self::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl Timestamp {
    /// The text form, at the front of a buffer, and its length. Written by hand: it is in every row and every event.
    fn text(self) -> ([u8; 24], usize) {
        // A Timestamp lies in the years 1970 to 9999, which this type can hold.
        let time = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(self.0);
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second, millis) = time.to_hms_milli();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put_digits(&mut text[0..4], year.unsigned_abs());
        put_digits(&mut text[5..7], u8::from(month).into());
        put_digits(&mut text[8..10], day.into());
        put_digits(&mut text[11..13], hour.into());
        put_digits(&mut text[14..16], minute.into());
        put_digits(&mut text[17..19], second.into());
        if millis == 0 {
            text[19] = b'Z';
            return (text, 20);
        }
        put_digits(&mut text[20..23], millis.into());
        (text, 24)
    }
}

fn put_digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, length) = self.text();
        f.write_str(std::str::from_utf8(&text[..length]).map_err(|_| fmt::Error)?)
    }
}

/// The text is not a moment this program can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time: write 2026-11-23T10:00:00Z (RFC 3339) or a date such as 2026-11-23")]
pub struct NotATime(String);

impl FromStr for Timestamp {
    type Err = NotATime;

    /// RFC 3339, or a bare date that means its first instant in UTC.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let time = OffsetDateTime::parse(&full, &Rfc3339).map_err(|_| NotATime(text.to_owned()))?;
        let millis =
            i64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(|_| NotATime(text.to_owned()))?;
        if !(0..=Self::FOREVER.0).contains(&millis) {
            return Err(NotATime(text.to_owned()));
        }
        Ok(Self(millis))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (text, length) = self.text();
        serializer.serialize_str(std::str::from_utf8(&text[..length]).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Knows what time it is.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that stands still until it is moved; clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.millis())))
    }

    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    pub fn set(&self, to: Timestamp) {
        self.0.store(to.millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A source of unpredictable bytes, for serial numbers and tokens.
pub trait Random: Send + Sync + fmt::Debug {
    fn fill(&self, bytes: &mut [u8]);
}

/// The CSPRNG of aws-lc.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness no serial and no token can be made: going on would be worse than stopping.
        aws_lc_rs::rand::fill(bytes).expect("the system's random generator works");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn text_form_round_trips() {
        for text in ["2026-11-23T10:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        assert_eq!(
            "2026-11-23T10:00:00.120Z".parse::<Timestamp>().unwrap().to_string(),
            "2026-11-23T10:00:00.120Z"
        );
        assert_eq!("2026-11-23".parse::<Timestamp>().unwrap().to_string(), "2026-11-23T00:00:00Z");
    }

    /// Against another writer of dates, over leap days and the ends of years.
    #[test]
    fn the_text_is_that_of_another_writer() {
        let begin = OffsetDateTime::UNIX_EPOCH;
        for day in (0..2_900_000).step_by(97) {
            let millis = i64::from(day) * 86_400_000 + i64::from(day) * 1_234_567 % 86_400_000;
            let time = begin + time::Duration::milliseconds(millis);
            let text = Timestamp(millis).to_string();
            assert_eq!(OffsetDateTime::parse(&text, &Rfc3339).unwrap(), time, "{text}");
            let seconds = Timestamp(millis).whole_second().to_string();
            assert_eq!(seconds, time.replace_millisecond(0).unwrap().format(&Rfc3339).unwrap());
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "tomorrow", "2026-13-01", "1969-12-31", "2026-11-23T10:00:00"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_stays_inside_the_calendar() {
        assert_eq!(Timestamp::FOREVER + Duration::MAX, Timestamp::FOREVER);
        assert_eq!(Timestamp::EPOCH - Duration::from_secs(1), Timestamp::EPOCH);
    }
}
