//! The tables again, from nothing but the log: to answer what was true then, and to prove what is kept now.

use std::ops::ControlFlow;

use super::fold::{Fold, caught, event_key};
use super::memory::MemoryRows;
use super::{EVENTS, Projection, Range, StoreError, Table, View};
use crate::clock::Timestamp;
use crate::ids::EventNumber;

/// How many entries are sealed at once: any number gives the same rows, and this bounds the memory.
const GROUP: usize = 256;

/// Reads the stored bytes of an entry back.
pub type Decode<'a, E> = &'a dyn Fn(&[u8]) -> Result<(EventNumber, Timestamp, E), StoreError>;

/// Folds the whole log of `view` anew.
pub fn rebuild<P: Projection>(
    view: &dyn View,
    projection: &P,
    decode: Decode<'_, P::Event>,
) -> Result<MemoryRows, StoreError> {
    replay(view, projection, decode, Timestamp::FOREVER)
}

/// Folds the log of `view` up to and including `until`: the tables as they were at that moment.
///
/// The kept bytes of an entry are taken as they are, never encoded again. A log with a gap, with entries out of
/// order or that goes back in time is not replayed but refused.
pub fn replay<P: Projection>(
    view: &dyn View,
    projection: &P,
    decode: Decode<'_, P::Event>,
    until: Timestamp,
) -> Result<MemoryRows, StoreError> {
    let mut rows = MemoryRows::default();
    caught(|| {
        let mut fold = Fold::begin(&mut rows, projection)?;
        let mut step = |key: &[u8], bytes: &[u8]| -> Result<ControlFlow<()>, StoreError> {
            let expected = fold.head().next;
            if key != event_key(expected) {
                return Err(corrupt(format!("where {expected} should be is another key")));
            }
            let (number, at, event) = decode(bytes)?;
            if number != expected {
                return Err(corrupt(format!("the entry kept as {expected} says that it is {number}")));
            }
            if at < fold.head().at {
                return Err(corrupt(format!("{number} is earlier than the one before it")));
            }
            if at > until {
                return Ok(ControlFlow::Break(()));
            }
            fold.append(at, &event, bytes.to_vec())?;
            if fold.unsealed() >= GROUP {
                fold.seal()?;
            }
            Ok(ControlFlow::Continue(()))
        };
        let mut outcome = Ok(());
        view.scan(EVENTS, Range::ALL, &mut |key, bytes| {
            step(key, bytes).unwrap_or_else(|error| {
                outcome = Err(error);
                ControlFlow::Break(())
            })
        })?;
        outcome?;
        fold.seal()
    })?;
    Ok(rows)
}

fn corrupt(reason: String) -> StoreError {
    StoreError::Corrupt { table: EVENTS.0, reason }
}

/// A row that is kept otherwise than the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub table: Table,
    pub key: Vec<u8>,
    /// The value in the view; `None`: it has no such row.
    pub kept: Option<Vec<u8>>,
    /// The value that follows from the log; `None`: no such row follows.
    pub rebuilt: Option<Vec<u8>>,
}

/// Every row of `tables` in which `view` and `rebuilt` are not the same to the byte.
pub fn difference(
    view: &dyn View,
    rebuilt: &MemoryRows,
    tables: &[Table],
) -> Result<Vec<Difference>, StoreError> {
    let mut found = Vec::new();
    for table in tables.iter().copied() {
        let missing = |(key, value): (&Vec<u8>, &Vec<u8>)| Difference {
            table,
            key: key.clone(),
            kept: None,
            rebuilt: Some(value.clone()),
        };
        let mut expected = rebuilt.rows(table).peekable();
        // Both sides are in key order, so one walk along them finds what either lacks.
        view.scan(table, Range::ALL, &mut |key, value| {
            while let Some(row) = expected.next_if(|(next, _)| next.as_slice() < key) {
                found.push(missing(row));
            }
            let same_key = expected.next_if(|(next, _)| next.as_slice() == key).map(|(_, value)| value);
            if same_key.is_none_or(|expected| expected != value) {
                let rebuilt = same_key.cloned();
                found.push(Difference { table, key: key.to_vec(), kept: Some(value.to_vec()), rebuilt });
            }
            ControlFlow::Continue(())
        })?;
        found.extend(expected.map(missing));
    }
    Ok(found)
}
