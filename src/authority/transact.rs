//! Decide on a snapshot, commit what it relied on, decide again when somebody else was faster.

use std::cell::RefCell;
use std::sync::Arc;

use super::Authority;
use super::error::Failed;
use super::quota::Place;
use super::watch;
use crate::clock::Timestamp;
use crate::fleet::{Actor, Event, Fact};
use crate::ids::Serial;
use crate::store::{Commit, CommitError, Committed, Each, Expected, Range, StoreError, Table, View};

/// A decision loses a race only while others win it, so a few rounds are enough for any honest load.
pub(super) const ROUNDS: usize = 64;

/// A view that remembers each row it was asked for: exactly that is what a decision relied on.
pub(super) struct Tracked<'a> {
    view: &'a dyn View,
    read: RefCell<Vec<Expected>>,
}

impl<'a> Tracked<'a> {
    pub(super) fn new(view: &'a dyn View) -> Self {
        Self { view, read: RefCell::default() }
    }

    pub(super) fn into_expected(self) -> Vec<Expected> {
        self.read.into_inner()
    }
}

impl View for Tracked<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.view.get(table, key)?;
        self.read.borrow_mut().push(Expected { table, key: key.to_vec(), value: value.clone() });
        Ok(value)
    }

    /// Scans are not remembered: whoever adds a row that a scan would have seen also changes a row that was read
    /// (every issuance changes its device's row).
    fn scan(&self, table: Table, range: Range<'_>, each: Each<'_>) -> Result<(), StoreError> {
        self.view.scan(table, range, each)
    }
}

impl Authority {
    /// Decides and commits. `decide` may run more than once and must have no effect.
    pub(super) async fn transact<T, R>(
        &self,
        actor: &Actor,
        mut decide: impl FnMut(&dyn View, Timestamp) -> Result<(Vec<Fact>, T), Failed<R>>,
    ) -> Result<(Committed, T), Failed<R>> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let (facts, value, expected) = {
                let snapshot = self.snapshot()?;
                let tracked = Tracked::new(&*snapshot);
                let (facts, value) = decide(&tracked, now)?;
                (facts, value, tracked.into_expected())
            };
            match self.commit(actor, facts, expected, now).await {
                Ok(committed) => return Ok((committed, value)),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Failed::Unavailable(format!("lost {ROUNDS} races for the same rows")))
    }

    /// Commits, with nothing that must last as long as that takes.
    pub(super) async fn commit(
        &self,
        actor: &Actor,
        facts: Vec<Fact>,
        expected: Vec<Expected>,
        at: Timestamp,
    ) -> Result<Committed, CommitError> {
        self.commit_in(actor, facts, expected, at, None).await
    }

    /// The only way into the store. `place` is given back when the outcome is known, not when the caller goes away.
    pub(super) async fn commit_in(
        &self,
        actor: &Actor,
        facts: Vec<Fact>,
        expected: Vec<Expected>,
        at: Timestamp,
        place: Option<Place>,
    ) -> Result<Committed, CommitError> {
        let changed: Vec<Serial> = facts.iter().filter_map(watch::changed_by).collect();
        let events = facts.into_iter().map(|fact| Event { actor: actor.clone(), fact }).collect();
        let pending = self.store.commit(Commit { at, events, expected });
        if changed.is_empty() && place.is_none() {
            return pending.await;
        }
        // A caller that goes away does not stop the commit, so it must not stop what follows from it: cached status
        // answers of before would live on, and a quota would forget what is under way.
        let watches = Arc::clone(&self.watches);
        let followed = tokio::spawn(async move {
            let outcome = pending.await;
            // A commit that failed while it was made durable may be in the record all the same.
            if !matches!(outcome, Err(CommitError::Conflict { .. })) {
                watches.end(&changed);
            }
            drop(place);
            outcome
        });
        followed
            .await
            .map_err(|error| StoreError::Failed(format!("a commit was not followed to its end: {error}")))?
    }
}
