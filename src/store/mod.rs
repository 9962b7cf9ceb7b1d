//! Where bytes are kept: a log of events, tables folded from it, and one way to write both.
//!
//! The store knows no policy. A [`Projection`] given at opening turns each event into table rows inside the
//! transaction that appends it, so the tables can be nothing but a fold of the events.

#[cfg(test)]
mod contract;
pub mod copy;
mod fold;
pub mod follower;
#[cfg(test)]
mod follower_tests;
pub mod memory;
#[cfg(test)]
mod power_cut;
mod range;
pub mod rebuild;
pub mod redb;
#[cfg(test)]
mod redb_tests;
#[cfg(test)]
mod testing;
mod writer;

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;

use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::ids::EventNumber;

pub use fold::{Head, LOG, event_key};
pub use range::{prefix_end, scan_prefix};

/// The name of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub &'static str);

/// The log itself: event number (8 bytes, big-endian) to the stored bytes of the entry.
pub const EVENTS: Table = Table("event");

/// Keys from `from` (included) up to `to` (excluded; `None` is the end of the table).
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    pub from: &'a [u8],
    pub to: Option<&'a [u8]>,
    /// Last key first.
    pub backwards: bool,
}

/// What a scan calls with each key and value, until it breaks.
pub type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A consistent picture of all tables.
pub trait View {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Calls `each(key, value)` for every row of the range, in key order, until it breaks.
    fn scan(&self, table: Table, range: Range<'_>, each: Each<'_>) -> Result<(), StoreError>;
}

/// A picture that can be written to, inside a commit.
pub trait Rows: View {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;
}

/// How events become bytes and rows. Must depend on nothing but its arguments and the rows it reads.
pub trait Projection: Send + Sync + 'static {
    type Event: Send + 'static;

    /// The bytes to keep for ever.
    fn encode(&self, number: EventNumber, at: Timestamp, event: &Self::Event) -> Vec<u8>;

    /// Folds one event into the tables.
    fn apply(
        &self,
        rows: &mut dyn Rows,
        number: EventNumber,
        at: Timestamp,
        event: &Self::Event,
    ) -> Result<(), StoreError>;

    /// Runs once a transaction, after its last event: `entries` are the stored bytes of the new events in order,
    /// the first of them numbered `first`. Must give the same rows however the entries are grouped.
    fn seal(&self, rows: &mut dyn Rows, first: EventNumber, entries: &[Vec<u8>]) -> Result<(), StoreError>;
}

/// A row that a decision relied on, exactly as it was read; checked again inside the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub table: Table,
    pub key: Vec<u8>,
    /// `None`: the key was absent.
    pub value: Option<Vec<u8>>,
}

/// Events that belong together, and what they rely on: all of it is written or none.
#[derive(Debug)]
pub struct Commit<E> {
    /// When it was decided. The log never goes backwards: an earlier moment than the last entry's is recorded as that one.
    pub at: Timestamp,
    pub events: Vec<E>,
    pub expected: Vec<Expected>,
}

/// A commit that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of its first event; the others follow without a gap.
    pub first: EventNumber,
    /// The recorded time of its events.
    pub at: Timestamp,
}

/// Why a commit is not answered with [`Committed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Somebody else was faster: take a fresh snapshot and decide again.
    #[error("the decision relied on a row of '{}' that has changed", .table.0)]
    Conflict { table: Table },
    /// Nobody may be told that it happened. When the failure came while making it durable, the log may yet hold it
    /// after a restart; only reading the log tells.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store cannot be used; nobody's request is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("cannot open the store {path}: {reason}")]
    Open { path: String, reason: String },
    /// Reading or writing failed; after a failed write the handle stays closed until restart.
    #[error("the store failed: {0}")]
    Failed(String),
    /// A row or an entry does not have the form this version writes.
    #[error("the store holds a row of '{table}' that cannot be read: {reason}")]
    Corrupt { table: &'static str, reason: String },
}

impl StoreError {
    /// The form in which a failed write is told to everybody who comes after it.
    fn latched(self) -> Self {
        match self {
            Self::Failed(_) => self,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The durable outcome of a commit, later.
pub type Pending = Pin<Box<dyn Future<Output = Result<Committed, CommitError>> + Send>>;

/// A store of events of one kind.
pub trait Store<E>: Send + Sync {
    /// Everything that is durable now.
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError>;

    /// Hands the commit to the writer. The future ends when the commit is durable, or will never be; dropping it
    /// takes the commit back only while it still waits for room in the queue.
    fn commit(&self, commit: Commit<E>) -> Pending;

    /// How far the log has come: the number that the next event will have. It changes when events have become durable,
    /// so whoever follows the log can sleep until then and reads what is new from a snapshot.
    fn head(&self) -> watch::Receiver<EventNumber>;

    /// Finishes what was handed over and takes nothing more; waits for the disk.
    fn shutdown(&self);
}
