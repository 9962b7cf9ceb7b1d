//! What a reader in another process is promised; here both have the file open in one.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;
use std::sync::Arc;

use super::contract::CACHE;
use super::copy::{whole_until, write_copy};
use super::follower::RedbFollower;
use super::redb::RedbStore;
use super::testing::{Event, Lines, ROWS, at, get, put};
use super::{CommitError, Store, StoreError};
use crate::clock::Timestamp;

/// The interface, for the events of these tests.
fn as_store(follower: &RedbFollower) -> &dyn Store<Event> {
    follower
}

#[tokio::test]
async fn a_follower_sees_each_commit_and_makes_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = RedbStore::open(&path, CACHE, Arc::new(Lines::default())).unwrap();
    let follower = RedbFollower::open(&path, CACHE).unwrap();
    let early = as_store(&follower).snapshot().unwrap();
    for value in ["1", "2", "3"] {
        store.commit(at(1, [put("key", value)])).await.unwrap();
        assert_eq!(get(&*as_store(&follower).snapshot().unwrap(), "key").as_deref(), Some(value));
    }
    assert_eq!(get(&*early, "key"), None, "a snapshot stays what it is, whatever is written over");
    let refused = as_store(&follower).commit(at(2, [put("key", "4")])).await.unwrap_err();
    assert!(
        matches!(&refused, CommitError::Store(StoreError::Failed(why)) if why.contains("reading alone")),
        "{refused}"
    );
    assert!(follower.is_being_written());
    store.close().unwrap();
    assert!(!follower.is_being_written());
    assert_eq!(get(&*as_store(&follower).snapshot().unwrap(), "key").as_deref(), Some("3"));
}

#[tokio::test]
async fn a_follower_goes_over_to_the_file_that_took_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let (path, new) = (directory.path().join("store"), directory.path().join("new"));
    let make = |path: &std::path::Path, until: u64, value: &str| {
        fs::write(path, b"").unwrap();
        write_copy(path, Timestamp::from_secs(until), |rows| rows.put(ROWS, b"key", value.as_bytes()))
            .unwrap();
    };
    make(&path, 10, "old");
    let follower = RedbFollower::open(&path, CACHE).unwrap();
    assert!(!follower.reopen_if_replaced().unwrap());
    let early = as_store(&follower).snapshot().unwrap();
    fs::write(&new, b"no store").unwrap();
    fs::rename(&new, &path).unwrap();
    assert!(follower.reopen_if_replaced().is_err());
    let still = as_store(&follower).snapshot().unwrap();
    assert_eq!(get(&*still, "key").as_deref(), Some("old"), "what cannot be read takes no place");
    make(&new, 20, "new");
    fs::rename(&new, &path).unwrap();
    assert!(follower.reopen_if_replaced().unwrap());
    let late = as_store(&follower).snapshot().unwrap();
    assert_eq!(get(&*late, "key").as_deref(), Some("new"));
    assert_eq!(whole_until(&*late).unwrap(), Some(Timestamp::from_secs(20)));
    assert_eq!(get(&*early, "key").as_deref(), Some("old"), "who reads the old one reads it to the end");
}
