//! What a commit means, said once for every backend: check, number, record, fold, seal.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Commit, CommitError, Committed, EVENTS, Projection, Range, Rows, StoreError, Table, View};
use crate::clock::Timestamp;
use crate::ids::EventNumber;

/// The store's own table; its one row is the [`Head`].
pub const LOG: Table = Table("log");
const HEAD: &[u8] = b"head";

/// How far the log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number the next event will have, which is how many there are.
    pub next: EventNumber,
    /// The recorded time of the last event.
    pub at: Timestamp,
}

impl Head {
    pub fn read(view: &dyn View) -> Result<Self, StoreError> {
        let Some(row) = view.get(LOG, HEAD)? else {
            return Ok(Self { next: EventNumber(0), at: Timestamp::EPOCH });
        };
        let wrong = || StoreError::Corrupt { table: LOG.0, reason: "the head has not its form".to_owned() };
        let (next, at) = row.split_first_chunk::<8>().ok_or_else(wrong)?;
        let millis = i64::from_be_bytes(at.try_into().map_err(|_| wrong())?);
        let at = Timestamp::from_millis(millis);
        if at.millis() != millis {
            return Err(wrong());
        }
        Ok(Self { next: EventNumber(u64::from_be_bytes(*next)), at })
    }

    fn write(self, rows: &mut dyn Rows) -> Result<(), StoreError> {
        let row = [self.next.0.to_be_bytes(), self.at.millis().to_be_bytes()].concat();
        rows.put(LOG, HEAD, &row)
    }

    /// The head and the last event must tell the same number, or the next one would overwrite an event.
    pub(super) fn check(view: &dyn View) -> Result<(), StoreError> {
        let mut last = None;
        view.scan(EVENTS, Range::ALL.reversed(), &mut |key, _| {
            last = Some(key.to_vec());
            ControlFlow::Break(())
        })?;
        let next = Self::read(view)?.next;
        let expected = next.0.checked_sub(1).map(|number| event_key(EventNumber(number)).to_vec());
        if last == expected {
            return Ok(());
        }
        let reason =
            format!("the log says that {} events are recorded, the last event says otherwise", next.0);
        Err(StoreError::Corrupt { table: EVENTS.0, reason })
    }
}

/// The key of an event in [`EVENTS`].
pub fn event_key(number: EventNumber) -> [u8; 8] {
    number.0.to_be_bytes()
}

/// One transaction's worth of events on their way into the rows.
pub(super) struct Fold<'a, P: Projection> {
    rows: &'a mut dyn Rows,
    projection: &'a P,
    head: Head,
    first: EventNumber,
    entries: Vec<Vec<u8>>,
}

impl<'a, P: Projection> Fold<'a, P> {
    pub(super) fn begin(rows: &'a mut dyn Rows, projection: &'a P) -> Result<Self, StoreError> {
        let head = Head::read(rows)?;
        Ok(Self { rows, projection, head, first: head.next, entries: Vec::new() })
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// How many events wait for [`Self::seal`].
    pub(super) fn unsealed(&self) -> usize {
        self.entries.len()
    }

    /// Takes a commit whole or, when a row it relied on has changed, leaves no trace of it. After any other error
    /// the transaction must be given up.
    fn commit(&mut self, commit: Commit<P::Event>) -> Result<Committed, CommitError> {
        for expected in &commit.expected {
            if self.rows.get(expected.table, &expected.key)? != expected.value {
                return Err(CommitError::Conflict { table: expected.table });
            }
        }
        let first = self.head.next;
        let at = commit.at.max(self.head.at);
        for event in &commit.events {
            let bytes = self.projection.encode(self.head.next, at, event);
            self.append(at, event, bytes)?;
        }
        Ok(Committed { first, at })
    }

    /// Records the next event, whose stored form is `bytes`.
    pub(super) fn append(
        &mut self,
        at: Timestamp,
        event: &P::Event,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let number = self.head.next;
        self.rows.put(EVENTS, &event_key(number), &bytes)?;
        self.projection.apply(self.rows, number, at, event)?;
        self.entries.push(bytes);
        self.head = Head { next: EventNumber(number.0 + 1), at };
        Ok(())
    }

    /// Ends the group: the rows are complete up to here.
    pub(super) fn seal(&mut self) -> Result<(), StoreError> {
        if !self.entries.is_empty() {
            self.projection.seal(self.rows, self.first, &self.entries)?;
            self.head.write(self.rows)?;
            self.entries.clear();
            self.first = self.head.next;
        }
        Ok(())
    }
}

/// What came of each commit of a group, to be told once the group is durable.
pub(super) struct Outcomes {
    pub(super) each: Vec<Result<Committed, CommitError>>,
    /// Whether there is anything to make durable.
    pub(super) wrote: bool,
    /// The number that the next event will have.
    pub(super) next: EventNumber,
}

/// Folds a group of commits into the rows of one transaction; each sees those before it. After an error nothing
/// of the transaction may be kept. A panic in the projection is such an error.
pub(super) fn fold_group<P: Projection>(
    rows: &mut dyn Rows,
    projection: &P,
    commits: Vec<Commit<P::Event>>,
) -> Result<Outcomes, StoreError> {
    caught(|| {
        let mut fold = Fold::begin(rows, projection)?;
        let mut each = Vec::with_capacity(commits.len());
        for commit in commits {
            each.push(match fold.commit(commit) {
                Err(CommitError::Store(error)) => return Err(error),
                outcome => outcome,
            });
        }
        let wrote = fold.unsealed() > 0;
        fold.seal()?;
        Ok(Outcomes { each, wrote, next: fold.head().next })
    })
}

/// Turns a panic of `work` into an error: whoever waits for an answer gets one.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // What the panic left half done is given up with the transaction, and the store is latched.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(StoreError::Failed(format!("folding events panicked: {}", panic_text(panic.as_ref()))))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::super::memory::MemoryRows;
    use super::*;

    #[test]
    fn a_head_that_contradicts_the_log_is_found() {
        let mut rows = MemoryRows::default();
        assert_eq!(Head::check(&rows), Ok(()));
        rows.put(EVENTS, &event_key(EventNumber(0)), b"an event").unwrap();
        assert!(Head::check(&rows).is_err(), "an event that was never counted");
        Head { next: EventNumber(1), at: Timestamp::FOREVER }.write(&mut rows).unwrap();
        assert_eq!(Head::check(&rows), Ok(()));
        Head { next: EventNumber(2), at: Timestamp::FOREVER }.write(&mut rows).unwrap();
        assert!(Head::check(&rows).is_err(), "an event that is gone");
        for row in [b"".as_slice(), &[0; 15], &[0; 17], &[0xff; 16]] {
            rows.put(LOG, HEAD, row).unwrap();
            assert!(Head::read(&rows).is_err(), "{row:?}");
        }
    }
}
