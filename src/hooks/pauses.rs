//! How long to wait after a failure: twice as long as after the one before, with chance in it, up to a longest time.

use std::time::Duration;

use crate::clock::Random;

#[derive(Debug)]
pub(super) struct Pauses {
    first: Duration,
    longest: Duration,
    in_a_row: u32,
}

impl Pauses {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, in_a_row: 0 }
    }

    /// How many failures there were since the last success.
    pub(super) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// The pause after one more failure: between half of what is due and all of it, so that receivers that were down at
    /// the same time are not all asked at the same time. What the receiver asked for is the least, within the longest.
    pub(super) fn next(&mut self, random: &dyn Random, asked: Option<Duration>) -> Duration {
        let due = self.first.saturating_mul(1 << self.in_a_row.min(30)).min(self.longest);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let mut dice = [0];
        random.fill(&mut dice);
        let pause = due / 2 + (due / 2) * u32::from(dice[0]) / 255;
        pause.max(asked.unwrap_or_default().min(self.longest))
    }

    /// It works; whether it had not before.
    pub(super) fn reset(&mut self) -> bool {
        std::mem::take(&mut self.in_a_row) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[derive(Debug)]
    struct Always(u8);

    impl Random for Always {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut pauses = Pauses::new(SECOND, 10 * SECOND);
        let some: Vec<_> = (0..6).map(|_| pauses.next(&Always(255), None).as_secs()).collect();
        assert_eq!((some, pauses.in_a_row()), (vec![1, 2, 4, 8, 10, 10], 6));
        assert!(pauses.reset() && !pauses.reset());
        assert_eq!(pauses.next(&Always(0), None), SECOND / 2);
        for _ in 0..100 {
            assert!(pauses.next(&Always(7), None) <= 10 * SECOND);
        }
    }

    /// A receiver cannot put us off for ever, nor make us come more often.
    #[test]
    fn a_receiver_may_ask_for_more_time_within_bounds() {
        let mut pauses = Pauses::new(SECOND, 10 * SECOND);
        assert_eq!(pauses.next(&Always(255), Some(5 * SECOND)), 5 * SECOND);
        assert_eq!(pauses.next(&Always(255), Some(Duration::MAX)), 10 * SECOND);
        assert_eq!(pauses.next(&Always(255), Some(Duration::ZERO)), 4 * SECOND);
    }
}
