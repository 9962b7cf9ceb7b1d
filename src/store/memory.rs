//! Tables in memory: for replaying a log, and for tests that need a whole store but no disk.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::future;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::fold::fold_group;
use super::{
    Commit, CommitError, Committed, Each, Pending, Projection, Range, Rows, Store, StoreError, Table, View,
};
use crate::ids::EventNumber;

/// The rows of one table.
type Sorted = BTreeMap<Vec<u8>, Vec<u8>>;

/// Rows that live as long as this value. A clone is cheap and keeps the rows as they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryRows {
    tables: BTreeMap<Table, Arc<Sorted>>,
}

impl MemoryRows {
    /// The tables something was ever put into.
    pub fn tables(&self) -> impl Iterator<Item = Table> + '_ {
        self.tables.keys().copied()
    }

    /// The rows of a table in key order.
    pub(super) fn rows(&self, table: Table) -> btree_map::Range<'_, Vec<u8>, Vec<u8>> {
        // A table that does not exist reads as this one.
        static NO_ROWS: Sorted = Sorted::new();
        self.tables.get(&table).map_or(&NO_ROWS, |rows| &**rows).range::<Vec<u8>, _>(..)
    }

    fn set(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) -> Option<Vec<u8>> {
        let rows = Arc::make_mut(self.tables.entry(table).or_default());
        match value {
            Some(value) => rows.insert(key.to_vec(), value.to_vec()),
            None => rows.remove(key),
        }
    }
}

impl View for MemoryRows {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables.get(&table).and_then(|rows| rows.get(key)).cloned())
    }

    fn scan(&self, table: Table, range: Range<'_>, each: Each<'_>) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let Some(rows) = self.tables.get(&table) else { return Ok(()) };
        let to = range.to.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows = rows.range::<[u8], _>((Bound::Included(range.from), to));
        while let Some((key, value)) = if range.backwards { rows.next_back() } else { rows.next() } {
            if each(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Rows for MemoryRows {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.set(table, key, Some(value));
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.set(table, key, None);
        Ok(())
    }
}

/// A transaction over rows in memory: it remembers what it replaced.
struct Undoable<'a> {
    rows: &'a mut MemoryRows,
    replaced: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Undoable<'_> {
    fn undo(self) {
        for (table, key, value) in self.replaced.into_iter().rev() {
            self.rows.set(table, &key, value.as_deref());
        }
    }
}

impl View for Undoable<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, each: Each<'_>) -> Result<(), StoreError> {
        self.rows.scan(table, range, each)
    }
}

impl Rows for Undoable<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let before = self.rows.set(table, key, Some(value));
        self.replaced.push((table, key.to_vec(), before));
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let before = self.rows.set(table, key, None);
        self.replaced.push((table, key.to_vec(), before));
        Ok(())
    }
}

/// A store that forgets everything when it is dropped, and otherwise means what the others mean.
pub struct MemoryStore<P> {
    projection: Arc<P>,
    state: Mutex<State>,
    head: watch::Sender<EventNumber>,
}

#[derive(Default)]
struct State {
    rows: MemoryRows,
    dead: Option<StoreError>,
}

impl<P: Projection> MemoryStore<P> {
    pub fn new(projection: Arc<P>) -> Self {
        Self { projection, state: Mutex::default(), head: watch::Sender::new(EventNumber(0)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside a commit is caught and undone before the lock is released, so the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_now(&self, commit: Commit<P::Event>) -> Result<Committed, CommitError> {
        let mut state = self.state();
        if let Some(dead) = &state.dead {
            return Err(dead.clone().into());
        }
        let mut rows = Undoable { rows: &mut state.rows, replaced: Vec::new() };
        match fold_group(&mut rows, &*self.projection, vec![commit]) {
            // One commit went in, so one outcome comes out.
            Ok(outcomes) => {
                if outcomes.wrote {
                    self.head.send_replace(outcomes.next);
                }
                outcomes.each.into_iter().next().expect("each commit has an outcome")
            }
            Err(error) => {
                rows.undo();
                let error = error.latched();
                state.dead = Some(error.clone());
                Err(error.into())
            }
        }
    }
}

impl<P: Projection> Store<P::Event> for MemoryStore<P> {
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        Ok(Box::new(self.state().rows.clone()))
    }

    fn commit(&self, commit: Commit<P::Event>) -> Pending {
        Box::pin(future::ready(self.commit_now(commit)))
    }

    fn head(&self) -> watch::Receiver<EventNumber> {
        self.head.subscribe()
    }

    /// Commits are over when they return, so there is nothing to wait for.
    fn shutdown(&self) {
        self.state().dead.get_or_insert(StoreError::Failed("it is closed".to_owned()));
    }
}
