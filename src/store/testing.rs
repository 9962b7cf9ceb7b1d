//! A small projection for the tests of stores: lines of text that set and remove rows, and a chain over all entries.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use super::{
    Commit, Committed, EVENTS, Expected, Head, LOG, Projection, Range, Rows, Store, StoreError, Table, View,
    rebuild,
};
use crate::clock::Timestamp;
use crate::ids::{Digest, EventNumber};

pub(super) const ROWS: Table = Table("row");
pub(super) const CHAIN: Table = Table("chain");
pub(super) const TABLES: [Table; 4] = [EVENTS, LOG, ROWS, CHAIN];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    Put(String, String),
    Remove(String),
    /// The projection refuses it, after writing a row that must not stay.
    Fail,
    Panic,
    /// Its group cannot be sealed.
    BadSeal,
}

pub(super) fn put(key: &str, value: &str) -> Event {
    Event::Put(key.to_owned(), value.to_owned())
}

#[derive(Default)]
pub(super) struct Lines {
    pub(super) seals: AtomicUsize,
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Lines {
    /// Makes the next transaction wait at its end until [`Self::go`].
    pub(super) fn hold(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub(super) fn go(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }
}

impl Projection for Lines {
    type Event = Event;

    fn encode(&self, number: EventNumber, at: Timestamp, event: &Event) -> Vec<u8> {
        let text = match event {
            Event::Put(key, value) => format!("{key}={value}"),
            Event::Remove(key) => key.clone(),
            other => format!("{other:?}"),
        };
        format!("{} {} {text}", number.0, at.millis()).into_bytes()
    }

    fn apply(
        &self,
        rows: &mut dyn Rows,
        _: EventNumber,
        _: Timestamp,
        event: &Event,
    ) -> Result<(), StoreError> {
        match event {
            Event::Put(key, value) => rows.put(ROWS, key.as_bytes(), value.as_bytes()),
            Event::Remove(key) => rows.remove(ROWS, key.as_bytes()),
            Event::Fail => {
                rows.put(ROWS, b"half", b"done")?;
                rows.remove(ROWS, b"before")?;
                Err(StoreError::Corrupt { table: ROWS.0, reason: "asked to fail".to_owned() })
            }
            Event::Panic => {
                rows.put(ROWS, b"half", b"done")?;
                panic!("asked to panic")
            }
            Event::BadSeal => rows.put(CHAIN, b"bad", b""),
        }
    }

    fn seal(&self, rows: &mut dyn Rows, first: EventNumber, entries: &[Vec<u8>]) -> Result<(), StoreError> {
        self.seals.fetch_add(1, Ordering::SeqCst);
        let closed = self.closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
        if rows.get(CHAIN, b"bad")?.is_some() {
            return Err(StoreError::Failed("asked not to seal".to_owned()));
        }
        let mut end = rows.get(CHAIN, b"end")?.unwrap_or_default();
        for (number, entry) in (first.0..).zip(entries) {
            assert!(
                entry.starts_with(format!("{number} ").as_bytes()),
                "entries are numbered from `first` on"
            );
            end = Digest::of(&[end.as_slice(), entry].concat()).as_bytes().to_vec();
        }
        rows.put(CHAIN, b"end", &end)
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<(EventNumber, Timestamp, Event), StoreError> {
    let wrong = || StoreError::Corrupt { table: EVENTS.0, reason: "not a line".to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    let [number, at, event] = text.splitn(3, ' ').collect::<Vec<_>>().try_into().map_err(|_| wrong())?;
    let event = event.split_once('=').map_or_else(|| Event::Remove(event.to_owned()), |(k, v)| put(k, v));
    let number = number.parse().map_err(|_| wrong())?;
    let millis = at.parse().map_err(|_| wrong())?;
    Ok((EventNumber(number), Timestamp::from_millis(millis), event))
}

pub(super) fn at(millis: i64, events: impl Into<Vec<Event>>) -> Commit<Event> {
    Commit { at: Timestamp::from_millis(millis), events: events.into(), expected: Vec::new() }
}

pub(super) fn expecting(mut commit: Commit<Event>, key: &str, value: Option<&str>) -> Commit<Event> {
    let value = value.map(|value| value.as_bytes().to_vec());
    commit.expected.push(Expected { table: ROWS, key: key.as_bytes().to_vec(), value });
    commit
}

pub(super) fn get(view: &dyn View, key: &str) -> Option<String> {
    view.get(ROWS, key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
}

/// What a scan meets, as text, at most `limit` rows.
pub(super) fn scanned(view: &dyn View, table: Table, range: Range<'_>, limit: usize) -> Vec<String> {
    let mut met = Vec::new();
    view.scan(table, range, &mut |key, value| {
        met.push(format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
        if met.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    met
}

/// The stored entries in order, which are also shown to have keys without a gap.
pub(super) fn entries(view: &dyn View) -> Vec<String> {
    let mut met = Vec::new();
    view.scan(EVENTS, Range::ALL, &mut |key, value| {
        assert_eq!(key, (met.len() as u64).to_be_bytes());
        met.push(String::from_utf8(value.to_vec()).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    met
}

/// Whatever happened to a store: its log is whole, and its tables are what follows from the log.
pub(super) fn assert_whole(view: &dyn View) {
    let rebuilt = rebuild::rebuild(view, &Lines::default(), &decode).unwrap();
    assert_eq!(rebuild::difference(view, &rebuilt, &TABLES).unwrap(), []);
    assert_eq!(Head::read(view).unwrap().next, EventNumber(entries(view).len() as u64));
}

pub(super) async fn one(store: &dyn Store<Event>, commit: Commit<Event>) -> Committed {
    store.commit(commit).await.unwrap()
}
