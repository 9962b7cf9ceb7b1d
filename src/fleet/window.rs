//! When a certificate is to be renewed: a moment of its own, so that what was enrolled together does not come back
//! together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rows::{CertificateRow, Status};
use crate::clock::Timestamp;
use crate::config::Renewal;
use crate::ids::{Digest, Serial};

/// Into so many equal parts the window of a profile is cut. Each certificate has one of them, any as likely as the
/// others.
const PARTS: u8 = 64;

/// How long before the event that makes it urgent a window lies that is over.
const PAST: Duration = Duration::from_secs(3600);

/// The part of a certificate's life in which it is to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub from: Timestamp,
    /// Later than `from`.
    pub until: Timestamp,
}

impl Window {
    /// The part that falls to the certificate with this serial number. It depends on nothing else, least of all on when
    /// its neighbours were issued.
    pub fn of(renewal: &Renewal, serial: &Serial, not_before: Timestamp, not_after: Timestamp) -> Self {
        let life = not_after.since(not_before);
        let (begin, end) = renewal.window();
        let (begin, end) = (begin.of(life), end.of(life));
        let part = end.saturating_sub(begin) / u32::from(PARTS);
        // Serial numbers begin with the time and need not be evenly spread; their digests are.
        let digest = Digest::of(serial.as_bytes());
        let from = (not_before + begin + part * u32::from(digest.as_bytes()[0] % PARTS)).whole_second();
        Self { from, until: from + part.max(Duration::from_secs(1)) }
    }

    /// Over since `time`: what is due in it is due now.
    fn over(time: Timestamp) -> Self {
        Self { from: time - PAST, until: time }
    }
}

/// When this certificate is to be renewed, by all that is known now. One that was withdrawn or has a successor is due
/// already, as in ACME (RFC 9773 section 4.2). `None`: it is not renewed.
pub fn advice(row: &CertificateRow, renewal: Option<&Renewal>) -> Option<Window> {
    let renewal = renewal?;
    if row.status != Status::Good {
        return Some(Window::over(row.status_since.time));
    }
    if row.replaced_by.is_some() {
        // The holder has not heard of its next certificate: asking for it again gives it.
        return Some(Window::over(row.issued.time));
    }
    // What was issued before windows were recorded has the one that follows from the policy of today.
    Some(row.renew.unwrap_or_else(|| Window::of(renewal, &row.serial, row.not_before, row.not_after)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::path::Path;

    use super::*;
    use crate::clock::SystemRandom;
    use crate::config::Config;

    const DAY: Duration = Duration::from_secs(86_400);
    const START: Timestamp = Timestamp::EPOCH;

    /// 60% to 75%.
    fn renewal() -> Renewal {
        let config = Config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ca-config")).unwrap();
        *config.profiles().get(&"ldev".parse().unwrap()).unwrap().renewal().unwrap()
    }

    #[test]
    fn every_part_lies_in_the_window_of_the_profile() {
        let renewal = renewal();
        for _ in 0..1000 {
            let serial = Serial::generate(START, &SystemRandom);
            let window = Window::of(&renewal, &serial, START, START + DAY * 100);
            assert!(
                window.from >= START + DAY * 60 && window.until <= START + DAY * 75 + Duration::from_secs(1)
            );
            assert_eq!(window.until.since(window.from), DAY * 15 / 64);
            assert_eq!(
                window,
                Window::of(&renewal, &serial, START, START + DAY * 100),
                "nothing is left to chance"
            );
        }
    }

    /// However short a life, the window has a length: one without is none (the draft's MUST NOT).
    #[test]
    fn a_window_ends_after_it_begins() {
        let renewal = renewal();
        for seconds in [0, 1, 5, 60, 3600] {
            let serial = Serial::generate(START, &SystemRandom);
            let window = Window::of(&renewal, &serial, START, START + Duration::from_secs(seconds));
            assert!(window.until > window.from, "{seconds}");
        }
        let over = Window::over(START + DAY);
        assert!(over.until > over.from && over.until <= START + DAY);
    }

    /// Pearson's test against an even spread, on serial numbers as they are made and on the most regular ones there
    /// could be. With 63 degrees of freedom, one run in a million goes beyond 125.
    #[test]
    fn the_parts_are_evenly_spread() {
        let renewal = renewal();
        let made: fn(u64) -> Serial =
            |n| Serial::generate(START + Duration::from_millis(n / 7), &SystemRandom);
        let counted: fn(u64) -> Serial = |n| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            Serial::from_bytes(bytes)
        };
        for serial_of in [made, counted] {
            let mut counts = [0_u32; 64];
            let (number, part) = (64_000, (DAY * 15 / 64).as_secs());
            for n in 0..number {
                let window = Window::of(&renewal, &serial_of(n), START, START + DAY * 100);
                counts[usize::try_from(window.from.since(START + DAY * 60).as_secs() / part).unwrap()] += 1;
            }
            let expected = 1000.0;
            let off: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
            assert!(off < 125.0, "{off}: {counts:?}");
        }
    }
}
