//! What the redb store promises beyond the contract: files, groups, waiting and stopping.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::contract::CACHE;
use super::redb::RedbStore;
use super::testing::{Event, Lines, ROWS, assert_whole, at, entries, expecting, get, one, put};
use super::{CommitError, Store, StoreError};
use crate::ids::EventNumber;

fn opened(directory: &TempDir, lines: &Arc<Lines>) -> Result<RedbStore<Lines>, StoreError> {
    RedbStore::open(&directory.path().join("store"), CACHE, Arc::clone(lines))
}

fn made() -> (TempDir, Arc<Lines>, RedbStore<Lines>) {
    let directory = tempfile::tempdir().unwrap();
    let lines = Arc::new(Lines::default());
    let store = opened(&directory, &lines).unwrap();
    (directory, lines, store)
}

/// Waits until the writer is inside a transaction, held there by [`Lines::hold`].
async fn holding(lines: &Lines, store: &RedbStore<Lines>) -> super::Pending {
    lines.hold();
    let seals = lines.seals.load(Ordering::SeqCst);
    let first = store.commit(at(1, [put("first", "1")]));
    while lines.seals.load(Ordering::SeqCst) == seals {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    first
}

#[tokio::test]
async fn what_waits_is_written_together() {
    let (_directory, lines, store) = made();
    let first = holding(&lines, &store).await;
    let waiting: Vec<_> = (0..300).map(|n| store.commit(at(n, [put(&n.to_string(), "1")]))).collect();
    lines.go();
    assert_eq!(first.await.unwrap().first, EventNumber(0));
    for (n, pending) in (1..).zip(waiting) {
        assert_eq!(pending.await.unwrap().first, EventNumber(n));
    }
    // The first alone, then 256, then the other 44.
    assert_eq!(lines.seals.load(Ordering::SeqCst), 3);
    assert_whole(&*store.snapshot().unwrap());
}

#[tokio::test]
async fn commits_of_a_group_see_each_other() {
    let (_directory, lines, store) = made();
    let first = holding(&lines, &store).await;
    let a = store.commit(expecting(at(2, [put("a", "1")]), "first", Some("1")));
    let late = store.commit(expecting(at(2, [put("lost", "1")]), "a", None));
    let b = store.commit(expecting(at(2, [put("b", "1")]), "a", Some("1")));
    let check = store.commit(expecting(at(2, []), "b", Some("1")));
    lines.go();
    first.await.unwrap();
    assert_eq!(a.await.unwrap().first, EventNumber(1));
    assert_eq!(late.await, Err(CommitError::Conflict { table: ROWS }));
    assert_eq!(b.await.unwrap().first, EventNumber(2));
    assert_eq!(check.await.unwrap().first, EventNumber(3));
    assert_eq!(lines.seals.load(Ordering::SeqCst), 2);
    assert_eq!(get(&*store.snapshot().unwrap(), "lost"), None);
}

#[tokio::test]
async fn a_failure_fails_the_whole_group() {
    let (directory, lines, store) = made();
    let first = holding(&lines, &store).await;
    let good = store.commit(at(2, [put("a", "1")]));
    let bad = store.commit(at(2, [Event::Panic]));
    let conflict = store.commit(expecting(at(2, [put("b", "1")]), "first", None));
    let many: Vec<_> = (0..1000).map(|n| store.commit(at(n, [put("c", "1")]))).collect();
    lines.go();
    first.await.unwrap();
    for pending in [good, bad, conflict].into_iter().chain(many) {
        assert!(matches!(pending.await, Err(CommitError::Store(StoreError::Failed(_)))));
    }
    assert_eq!(entries(&*store.snapshot().unwrap()), ["0 1 first=1"]);
    store.close().unwrap();
    let store = opened(&directory, &lines).unwrap();
    one(&store, at(3, [put("again", "1")])).await;
    assert_eq!(entries(&*store.snapshot().unwrap()), ["0 1 first=1", "1 3 again=1"]);
}

/// One thread runs all tasks here: if a full queue blocked it, nobody could open the gate.
#[tokio::test(flavor = "current_thread")]
async fn waiting_for_room_does_not_block_the_thread() {
    let (_directory, lines, store) = made();
    let store = Arc::new(store);
    let first = holding(&lines, &store).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..3000 {
        let pending = store.commit(at(n, [put(&n.to_string(), "1")]));
        tasks.spawn(pending);
    }
    tokio::task::yield_now().await;
    lines.go();
    first.await.unwrap();
    let all = timeout(Duration::from_secs(60), tasks.join_all()).await.unwrap();
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(entries(&*store.snapshot().unwrap()).len(), 3001);
}

#[tokio::test]
async fn a_commit_nobody_waits_for_is_written() {
    let (directory, lines, store) = made();
    drop(store.commit(at(1, [put("a", "1")])));
    drop(store);
    let store = opened(&directory, &lines).unwrap();
    assert_eq!(get(&*store.snapshot().unwrap(), "a").as_deref(), Some("1"));
}

#[tokio::test]
async fn stopping_finishes_what_was_taken() {
    let (_directory, lines, store) = made();
    let store = Arc::new(store);
    let first = holding(&lines, &store).await;
    let taken: Vec<_> = (0..512).map(|n| store.commit(at(n, [put(&n.to_string(), "1")]))).collect();
    let outside = store.commit(at(1, [put("outside", "1")]));
    let stopping = tokio::task::spawn_blocking({
        let store = Arc::clone(&store);
        move || store.shutdown()
    });
    let turned_away = timeout(Duration::from_secs(60), outside).await.unwrap();
    assert!(matches!(turned_away, Err(CommitError::Store(StoreError::Failed(_)))));
    assert!(store.commit(at(1, [put("late", "1")])).await.is_err());
    lines.go();
    stopping.await.unwrap();
    first.await.unwrap();
    for pending in taken {
        pending.await.unwrap();
    }
    store.shutdown();
    assert_eq!(entries(&*store.snapshot().unwrap()).len(), 513);
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let (directory, lines, store) = made();
    for n in 0..20 {
        one(&store, at(n, [put(&format!("{n:02}"), "1")])).await;
    }
    let before = entries(&*store.snapshot().unwrap());
    drop(store);
    let store = opened(&directory, &lines).unwrap();
    assert_eq!(entries(&*store.snapshot().unwrap()), before);
    assert_eq!(one(&store, at(0, [put("a", "1")])).await.at.millis(), 19);
    assert_whole(&*store.snapshot().unwrap());
    let alive = store.snapshot().unwrap();
    store.close().unwrap();
    drop(alive);
    assert!(opened(&directory, &lines).is_ok());
}

#[test]
fn the_file_is_its_owners_alone_and_opened_once() {
    let (directory, lines, store) = made();
    let path = directory.path().join("store");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = opened(&directory, &lines).err().unwrap().to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("another process has it open"), "{text}");
    drop(store);
    assert!(opened(&directory, &lines).is_ok());
}

#[test]
fn what_is_no_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let lines = Arc::new(Lines::default());
    std::fs::write(directory.path().join("store"), "a text of somebody else, which must stay as it is")
        .unwrap();
    let refused = opened(&directory, &lines).err().unwrap();
    assert!(matches!(refused, StoreError::Open { .. }), "{refused}");
    let text = std::fs::read_to_string(directory.path().join("store")).unwrap();
    assert_eq!(text, "a text of somebody else, which must stay as it is");
    let nowhere = directory.path().join("no/such/directory");
    assert!(RedbStore::open(&nowhere, CACHE, lines).is_err());
}
