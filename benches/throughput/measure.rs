//! Rounds, and what is said of them: median rate, its range, latencies, and the ratio to the baseline.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::cpu::Spent;

/// How often and how long.
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) length: Duration,
}

/// What one round gave.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) took: Duration,
    /// Of each thing done, in microseconds.
    pub(crate) latencies: Vec<u32>,
    pub(crate) spent: Spent,
}

pub(crate) fn micros(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}

/// All rounds of one side.
#[derive(Default)]
pub(crate) struct Series {
    rates: Vec<f64>,
    latencies: Vec<u32>,
    spent: Spent,
    took: Duration,
}

impl Series {
    fn add(&mut self, round: Round) -> Outcome<()> {
        if round.latencies.is_empty() {
            return Err("a round in which nothing was done".into());
        }
        self.rates.push(as_f64(round.latencies.len()) / round.took.as_secs_f64());
        self.latencies.extend(round.latencies);
        self.took += round.took;
        for (name, nanos) in round.spent {
            *self.spent.entry(name).or_default() += nanos;
        }
        Ok(())
    }

    fn median(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }

    fn print(&mut self, what: &str) {
        self.latencies.sort_unstable();
        let lowest = self.rates.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = self.rates.iter().copied().fold(0.0, f64::max);
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let place = (as_f64(self.latencies.len() - 1) * share) as usize;
            f64::from(self.latencies[place]) / 1000.0
        };
        println!(
            "{what:50} {:>8.0}  {:>15}  {:>8.3} {:>8.3} {:>8.3}  {:>7.1}  {}",
            self.median(),
            format!("{lowest:.0}-{highest:.0}"),
            at(0.5),
            at(0.99),
            at(1.0),
            self.each(),
            self.busy()
        );
    }

    /// Microseconds on a processor for each thing done, all threads together. Others on the machine change it least.
    fn each(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
        let micros = self.spent.values().sum::<u64>() as f64 / 1000.0;
        micros / as_f64(self.latencies.len())
    }

    /// Cores kept busy, by the kind of thread.
    fn busy(&self) -> String {
        let mut busy: Vec<String> = Vec::new();
        for (name, nanos) in &self.spent {
            #[expect(clippy::cast_precision_loss, reason = "printed with two digits")]
            let cores = *nanos as f64 / 1e9 / self.took.as_secs_f64();
            if cores >= 0.05 {
                busy.push(format!("{name} {cores:.2}"));
            }
        }
        busy.join(", ")
    }
}

/// A figure and its baseline.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) beside: &'static str,
    pub(crate) aim: f64,
    measured: Series,
    baseline: Series,
}

impl Row {
    /// Turn by turn, so that whatever else the machine does falls on both sides alike.
    pub(crate) fn measure(
        what: &'static str,
        beside: &'static str,
        aim: f64,
        plan: &Plan,
        mut measured: impl FnMut(Duration) -> Outcome<Round>,
        mut baseline: impl FnMut(Duration) -> Outcome<Round>,
    ) -> Outcome<Self> {
        // Caches fill, connections open and pools are sized here.
        let warm_up = plan.length.min(Duration::from_millis(500));
        measured(warm_up)?;
        baseline(warm_up)?;
        let (mut ours, mut theirs) = (Series::default(), Series::default());
        for _ in 0..plan.rounds {
            ours.add(measured(plan.length)?)?;
            theirs.add(baseline(plan.length)?)?;
        }
        Ok(Self { what, beside, aim, measured: ours, baseline: theirs })
    }

    /// Of rounds that were measured elsewhere.
    pub(crate) fn of(
        what: &'static str,
        beside: &'static str,
        aim: f64,
        measured: Vec<Round>,
        baseline: Vec<Round>,
    ) -> Outcome<Self> {
        let (mut ours, mut theirs) = (Series::default(), Series::default());
        measured.into_iter().try_for_each(|round| ours.add(round))?;
        baseline.into_iter().try_for_each(|round| theirs.add(round))?;
        Ok(Self { what, beside, aim, measured: ours, baseline: theirs })
    }

    pub(crate) fn head() {
        println!(
            "\n{:50} {:>8}  {:>15}  {:>8} {:>8} {:>8}  {:>7}  cores busy",
            "", "median/s", "min-max/s", "p50 ms", "p99 ms", "max ms", "cpu us"
        );
    }

    pub(crate) fn print(mut self) {
        self.measured.print(self.what);
        self.baseline.print(&format!("  beside: {}", self.beside));
        let ratio = self.measured.median() / self.baseline.median();
        println!("  ratio of medians {ratio:.2} (aim {})", self.aim);
    }
}

fn as_f64(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = count as f64;
    count
}
