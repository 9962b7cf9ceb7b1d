//! Token buckets: how often something may happen, as policy writes it, and the buckets that count it.
//!
//! A bucket holds `burst` tokens at first, and one comes back every so often until it is full again. What is kept of
//! each is the moment at which it will be full; one that is full is not kept at all.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// The largest number of either part of a rate.
const MOST: u32 = 100_000;

const UNITS: [(&str, u64); 4] = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];

/// How often something may happen: `20 per second, burst 100`, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(Option<Limited>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limited {
    count: u32,
    unit: &'static str,
    burst: u32,
    /// Microseconds until the next token.
    every: u64,
}

impl Limited {
    /// Microseconds in which an empty bucket fills.
    fn whole(&self) -> u64 {
        self.every.saturating_mul(self.burst.into())
    }
}

impl Rate {
    pub const UNLIMITED: Self = Self(None);

    pub fn is_unlimited(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("unlimited"),
            Some(Limited { count, unit, burst, .. }) => write!(f, "{count} per {unit}, burst {burst}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a rate: write one such as \"20 per second, burst 100\" (per second, minute, hour or day; numbers from 1 to {MOST}), or \"unlimited\""
)]
pub struct NotARate(String);

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let number = |text: &str| {
            let digits = Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse().ok().filter(|number| (1..=MOST).contains(number))
        };
        let limited = || {
            let (rate, burst) = text.split_once(", burst ")?;
            let (count, unit) = rate.split_once(" per ")?;
            let (count, burst) = (number(count)?, number(burst)?);
            let (unit, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
            // At least 10, as there are no more than MOST in a second.
            let every = seconds * 1_000_000 / u64::from(count);
            Some(Limited { count, unit, burst, every })
        };
        match text {
            "unlimited" => Ok(Self::UNLIMITED),
            _ => limited().map(|limited| Self(Some(limited))).ok_or_else(|| NotARate(text.to_owned())),
        }
    }
}

/// One bucket for each key, in memory that has an end.
///
/// When there are too many keys, those go that have the most tokens: forgetting one gives it back the fewest.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    most: usize,
    /// The microsecond at which each bucket will be full.
    full_at: Mutex<HashMap<K, u64>>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    /// `most` is the number of keys that are remembered at the same time.
    pub fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most: most.max(1), full_at: Mutex::default() }
    }

    /// Takes a token, or says how long it is until the next one comes.
    pub fn take(&self, key: &K, now: Timestamp) -> Result<(), Duration> {
        let Some(limited) = self.rate.0 else { return Ok(()) };
        let now = micros(now);
        let mut buckets = self.lock();
        let full_at = level(&limited, buckets.get_mut(key), now)?;
        if buckets.len() >= self.most && !buckets.contains_key(key) {
            make_room(&mut buckets, now, self.most);
        }
        buckets.insert(key.clone(), full_at + limited.every);
        Ok(())
    }

    /// Whether there is a token; it stays where it is.
    pub fn look(&self, key: &K, now: Timestamp) -> Result<(), Duration> {
        let Some(limited) = self.rate.0 else { return Ok(()) };
        level(&limited, self.lock().get_mut(key), micros(now)).map(|_| ())
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, u64>> {
        // Each change is a single insertion: there is nothing half done to be found.
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(time: Timestamp) -> u64 {
    time.millis().unsigned_abs() * 1000
}

/// When the bucket will be full; an error is the time until it has a token.
fn level(limited: &Limited, full_at: Option<&mut u64>, now: u64) -> Result<u64, Duration> {
    let full_at = full_at.map_or(now, |full_at| {
        // A bucket cannot be emptier than empty: if it seems so, the clock was set back.
        *full_at = (*full_at).min(now + limited.whole());
        (*full_at).max(now)
    });
    match (full_at + limited.every).checked_sub(now + limited.whole()) {
        None | Some(0) => Ok(full_at),
        Some(wait) => Err(Duration::from_micros(wait)),
    }
}

/// An eighth goes at once, so that this is not done again for every newcomer.
fn make_room<K: Clone + Eq + Hash>(buckets: &mut HashMap<K, u64>, now: u64, most: usize) {
    buckets.retain(|_, full_at| *full_at > now);
    let enough = most - (most / 8).max(1);
    if buckets.len() > enough {
        let mut levels: Vec<u64> = buckets.values().copied().collect();
        let surplus = levels.len() - enough;
        let (_, last, _) = levels.select_nth_unstable(surplus - 1);
        let last = *last;
        let mut left = surplus;
        buckets.retain(|_, full_at| {
            let goes = left > 0 && *full_at <= last;
            left -= usize::from(goes);
            !goes
        });
    }
}

/// The addresses that share a bucket: one of IPv4, or a /64 of IPv6, which is what a single line is given at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Neighbourhood {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<IpAddr> for Neighbourhood {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(prefix(address)),
        }
    }
}

fn prefix(address: Ipv6Addr) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    const START: Timestamp = Timestamp::EPOCH;
    const SECOND: Duration = Duration::from_secs(1);

    fn buckets(rate: &str, most: usize) -> Buckets<u32> {
        Buckets::new(rate.parse().unwrap(), most)
    }

    #[test]
    fn rates_are_read_as_they_are_shown() {
        for text in
            ["unlimited", "20 per second, burst 100", "1 per day, burst 1", "100000 per hour, burst 2"]
        {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "20",
            "20 per second",
            "20/s",
            "0 per second, burst 1",
            "1 per second, burst 0",
            "+1 per second, burst 1",
            "1.5 per second, burst 1",
            "1 per week, burst 1",
            "1 per seconds, burst 1",
            "1 per second, burst 1 ",
            "100001 per day, burst 1",
            "99999999999999999999 per day, burst 1",
            "Unlimited",
        ] {
            let said = text.parse::<Rate>().unwrap_err().to_string();
            assert!(said.contains(&format!("'{text}'")), "{said}");
        }
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let buckets = buckets("2 per second, burst 3", 10);
        for _ in 0..3 {
            buckets.take(&1, START).unwrap();
        }
        assert_eq!(buckets.take(&1, START), Err(SECOND / 2));
        assert_eq!(buckets.look(&1, START), Err(SECOND / 2));
        buckets.take(&2, START).unwrap();
        let later = START + SECOND / 2;
        for _ in 0..2 {
            // Looking takes nothing.
            buckets.look(&1, later).unwrap();
        }
        buckets.take(&1, later).unwrap();
        assert_eq!(buckets.take(&1, later), Err(SECOND / 2));
        // Never more than the burst, however long it waits.
        let much_later = START + SECOND * 3600;
        for _ in 0..3 {
            buckets.take(&1, much_later).unwrap();
        }
        assert!(buckets.take(&1, much_later).is_err());
    }

    #[test]
    fn what_is_unlimited_is_not_even_counted() {
        let buckets = buckets("unlimited", 10);
        for _ in 0..1000 {
            buckets.take(&1, START).unwrap();
        }
        assert!(buckets.is_empty());
    }

    /// A clock that was an hour ahead must not shut everybody out for an hour.
    #[test]
    fn a_clock_that_is_set_back_costs_one_bucket_at_most() {
        let buckets = buckets("1 per second, burst 5", 10);
        let ahead = START + SECOND * 3600;
        buckets.take(&1, ahead).unwrap();
        assert_eq!(buckets.take(&1, START), Err(SECOND));
        buckets.take(&1, START + SECOND).unwrap();
    }

    /// However many keys come, and however full their buckets are.
    #[test]
    fn memory_has_an_end() {
        let buckets = buckets("1 per hour, burst 10", 100);
        // One that has used up everything, before a flood of others that have not.
        for _ in 0..10 {
            buckets.take(&0, START).unwrap();
        }
        for key in 1..100_000 {
            buckets.take(&key, START).unwrap();
            assert!(buckets.len() <= 100, "{}", buckets.len());
        }
        assert!(buckets.take(&0, START).is_err(), "the worst is not forgotten for the sake of the others");
        // Buckets that have filled again are the first to go.
        buckets.take(&1_000_000, START + SECOND * 36_000).unwrap();
        for key in 2_000_000..2_000_100 {
            buckets.take(&key, START + SECOND * 36_000).unwrap();
        }
        assert!(buckets.len() <= 100);
    }

    /// Also when all are equally empty.
    #[test]
    fn room_is_made_among_equals() {
        let buckets = buckets("1 per hour, burst 1", 8);
        for key in 0..1000 {
            buckets.take(&key, START).unwrap();
            assert!((1..=8).contains(&buckets.len()));
        }
    }

    /// B38: whoever has a /64 has one bucket, and an IPv4 address is one however it is written.
    #[test]
    fn addresses_of_one_line_share_a_bucket() {
        let of = |text: &str| Neighbourhood::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
