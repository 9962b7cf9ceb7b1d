//! What every store must do, asked of each of them.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::Arc;

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::memory::MemoryStore;
use super::redb::RedbStore;
use super::testing::{
    CHAIN, Event, Lines, ROWS, assert_whole, at, decode, entries, expecting, get, one, put, scanned,
};
use super::{
    CommitError, EVENTS, Head, Range, Rows, Store, StoreError, Table, prefix_end, rebuild, scan_prefix,
};
use crate::clock::Timestamp;
use crate::ids::EventNumber;

pub(super) const CACHE: usize = 8 << 20;

struct Kit {
    store: Arc<dyn Store<Event>>,
    _directory: Option<TempDir>,
}

fn in_memory() -> Kit {
    Kit { store: Arc::new(MemoryStore::new(Arc::new(Lines::default()))), _directory: None }
}

fn on_redb() -> Kit {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&directory.path().join("store"), CACHE, Arc::new(Lines::default())).unwrap();
    Kit { store: Arc::new(store), _directory: Some(directory) }
}

/// One test for each store and each question.
macro_rules! each_store {
    ($($question:ident)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $question() {
                super::$question(&super::in_memory().store).await;
            })*
        }
        mod redb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $question() {
                super::$question(&super::on_redb().store).await;
            })*
        }
    };
}

each_store! {
    a_new_store_is_empty
    what_is_committed_is_read
    a_snapshot_stands_still
    a_conflict_leaves_nothing
    of_two_with_the_same_expectation_one_wins
    checks_alone_write_nothing
    numbers_have_no_gap_and_time_never_goes_back
    whoever_follows_the_log_is_woken
    scans_keep_to_their_range
    a_scan_may_look_elsewhere
    a_failing_projection_latches
    a_panicking_projection_latches
    a_failing_seal_latches
    many_tasks_commit_at_once
    the_tables_follow_from_the_log
}

type Any = Arc<dyn Store<Event>>;

async fn a_new_store_is_empty(store: &Any) {
    let view = store.snapshot().unwrap();
    assert_eq!(view.get(Table("nowhere"), b"key").unwrap(), None);
    assert_eq!(scanned(&*view, Table("nowhere"), Range::ALL, 9), Vec::<String>::new());
    assert_eq!(Head::read(&*view).unwrap(), Head { next: EventNumber(0), at: Timestamp::EPOCH });
    assert_whole(&*view);
}

async fn what_is_committed_is_read(store: &Any) {
    let first = one(&**store, at(5, [put("a", "1"), put("b", "2")])).await;
    assert_eq!((first.first, first.at), (EventNumber(0), Timestamp::from_millis(5)));
    let second = one(&**store, at(6, [put("a", "3"), Event::Remove("b".into())])).await;
    assert_eq!(second.first, EventNumber(2));
    let view = store.snapshot().unwrap();
    assert_eq!((get(&*view, "a").as_deref(), get(&*view, "b")), (Some("3"), None));
    assert_eq!(entries(&*view), ["0 5 a=1", "1 5 b=2", "2 6 a=3", "3 6 b"]);
    assert_eq!(Head::read(&*view).unwrap(), Head { next: EventNumber(4), at: Timestamp::from_millis(6) });
    assert_whole(&*view);
}

async fn a_snapshot_stands_still(store: &Any) {
    one(&**store, at(1, [put("a", "1")])).await;
    let before = store.snapshot().unwrap();
    one(&**store, at(2, [put("a", "2"), put("b", "1")])).await;
    assert_eq!(get(&*before, "a").as_deref(), Some("1"));
    assert_eq!(scanned(&*before, ROWS, Range::ALL, 9), ["a=1"]);
    assert_eq!(get(&*store.snapshot().unwrap(), "a").as_deref(), Some("2"));
}

async fn a_conflict_leaves_nothing(store: &Any) {
    one(&**store, at(1, [put("a", "1")])).await;
    for commit in [
        expecting(at(2, [put("b", "1")]), "a", None),
        expecting(at(2, [put("b", "1")]), "a", Some("2")),
        expecting(at(2, [put("b", "1")]), "c", Some("1")),
        expecting(expecting(at(2, [put("b", "1")]), "a", Some("1")), "c", Some("1")),
        expecting(at(2, []), "a", None),
    ] {
        assert_eq!(store.commit(commit).await, Err(CommitError::Conflict { table: ROWS }));
    }
    let view = store.snapshot().unwrap();
    assert_eq!(entries(&*view), ["0 1 a=1"]);
    assert_eq!(scanned(&*view, ROWS, Range::ALL, 9), ["a=1"]);
    assert_whole(&*view);
    let kept = one(&**store, expecting(at(3, [put("b", "1")]), "a", Some("1"))).await;
    assert_eq!(kept.first, EventNumber(1));
}

async fn of_two_with_the_same_expectation_one_wins(store: &Any) {
    one(&**store, at(1, [put("token", "unspent")])).await;
    let spend = |by: &str| expecting(at(2, [put("token", by)]), "token", Some("unspent"));
    // Both are on their way before either is answered.
    let (first, second) = (store.commit(spend("first")), store.commit(spend("second")));
    assert_eq!(second.await, Err(CommitError::Conflict { table: ROWS }));
    assert_eq!(first.await.unwrap().first, EventNumber(1));
    assert_eq!(get(&*store.snapshot().unwrap(), "token").as_deref(), Some("first"));
}

async fn checks_alone_write_nothing(store: &Any) {
    one(&**store, at(7, [put("a", "1")])).await;
    let checked = one(&**store, expecting(at(3, []), "a", Some("1"))).await;
    assert_eq!((checked.first, checked.at), (EventNumber(1), Timestamp::from_millis(7)));
    assert_eq!(entries(&*store.snapshot().unwrap()).len(), 1);
    assert_eq!(Head::read(&*store.snapshot().unwrap()).unwrap().at, Timestamp::from_millis(7));
}

async fn numbers_have_no_gap_and_time_never_goes_back(store: &Any) {
    let mut expected = 0;
    for (millis, recorded) in [(10, 10), (5, 10), (10, 10), (11, 11), (0, 11)] {
        let conflict = expecting(at(millis + 100, [put("x", "y")]), "absent", Some("1"));
        assert!(store.commit(conflict).await.is_err());
        let done = one(&**store, at(millis, [put("a", "1"), put("b", "1")])).await;
        assert_eq!((done.first, done.at), (EventNumber(expected), Timestamp::from_millis(recorded)));
        expected += 2;
    }
    let entries = entries(&*store.snapshot().unwrap());
    assert_eq!(entries[2..4], ["2 10 a=1", "3 10 b=1"]);
    assert_eq!(entries.len() as u64, expected);
}

/// The head that is told has been committed: a snapshot taken on hearing of it holds everything below.
async fn whoever_follows_the_log_is_woken(store: &Any) {
    let mut head = store.head();
    assert_eq!(*head.borrow_and_update(), EventNumber(0));
    let refused = expecting(at(1, [put("x", "y")]), "absent", Some("1"));
    assert!(store.commit(refused).await.is_err());
    one(&**store, at(1, [])).await;
    assert!(!head.has_changed().unwrap(), "nothing was written");
    for count in [1, 3] {
        one(&**store, at(2, vec![put("a", "1"); count])).await;
        head.changed().await.unwrap();
        assert_eq!(*head.borrow_and_update(), Head::read(&*store.snapshot().unwrap()).unwrap().next);
    }
    assert_eq!(*store.head().borrow(), EventNumber(4));
}

async fn scans_keep_to_their_range(store: &Any) {
    let keys = ["a", "b", "b\u{1}", "ba", "bb", "c", "d"];
    one(&**store, at(1, keys.map(|key| put(key, "")))).await;
    let view = store.snapshot().unwrap();
    let met = |from: &str, to: Option<&str>, limit| {
        let range = Range { from: from.as_bytes(), to: to.map(str::as_bytes), backwards: false };
        let forwards = scanned(&*view, ROWS, range, limit).join(" ");
        (forwards, scanned(&*view, ROWS, range.reversed(), limit).join(" "))
    };
    assert_eq!(met("b", Some("c"), 9), ("b= b\u{1}= ba= bb=".into(), "bb= ba= b\u{1}= b=".into()));
    assert_eq!(met("bb", None, 9), ("bb= c= d=".into(), "d= c= bb=".into()));
    assert_eq!(met("", Some("b"), 9), ("a=".into(), "a=".into()));
    assert_eq!(met("", None, 2), ("a= b=".into(), "d= c=".into()));
    for (from, to) in [("b", "b"), ("c", "b"), ("e", "f"), ("", "")] {
        assert_eq!(met(from, Some(to), 9), (String::new(), String::new()), "{from}..{to}");
    }
    let prefixed = |prefix: &str| {
        let mut met = Vec::new();
        scan_prefix(&*view, ROWS, prefix.as_bytes(), &mut |key, _| {
            met.push(String::from_utf8(key.to_vec()).unwrap());
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        met
    };
    assert_eq!(prefixed("b"), ["b", "b\u{1}", "ba", "bb"]);
    assert_eq!(prefixed(""), keys);
    assert_eq!(prefixed("x"), Vec::<String>::new());
    assert_eq!(prefix_end(b"b").unwrap(), b"c");
}

async fn a_scan_may_look_elsewhere(store: &Any) {
    one(&**store, at(1, [put("a", "1"), put("b", "2")])).await;
    let view = store.snapshot().unwrap();
    let mut seen = 0;
    view.scan(ROWS, Range::ALL, &mut |key, value| {
        assert_eq!(view.get(ROWS, key).unwrap().unwrap(), value);
        assert!(view.get(CHAIN, b"end").unwrap().is_some());
        seen += scanned(&*view, EVENTS, Range::ALL, 9).len();
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, 4);
}

async fn a_failing_projection_latches(store: &Any) {
    assert_latches(store, Event::Fail, "asked to fail").await;
}

async fn a_panicking_projection_latches(store: &Any) {
    assert_latches(store, Event::Panic, "asked to panic").await;
}

async fn a_failing_seal_latches(store: &Any) {
    assert_latches(store, Event::BadSeal, "asked not to seal").await;
}

async fn assert_latches(store: &Any, event: Event, why: &str) {
    one(&**store, at(1, [put("before", "1")])).await;
    let failed = store.commit(at(2, [put("with", "1"), event])).await.unwrap_err();
    let CommitError::Store(StoreError::Failed(reason)) = &failed else { panic!("{failed:?}") };
    assert!(reason.contains(why), "{reason}");
    assert_eq!(store.commit(at(3, [put("after", "1")])).await, Err(failed.clone()));
    assert_eq!(store.commit(at(3, [])).await, Err(failed));
    let view = store.snapshot().unwrap();
    assert_eq!(scanned(&*view, ROWS, Range::ALL, 9), ["before=1"]);
    assert_eq!(entries(&*view), ["0 1 before=1"]);
    assert_whole(&*view);
}

async fn many_tasks_commit_at_once(store: &Any) {
    let mut tasks = JoinSet::new();
    for n in 0..400 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let key = format!("{n:03}");
            // Each decides on a counter that all of them change, and decides again until it is first.
            loop {
                let count = get(&*store.snapshot().unwrap(), "count");
                let more = count.as_deref().map_or(1, |count| count.parse::<u32>().unwrap() + 1);
                let events = [put("count", &more.to_string()), put(&key, "1")];
                let commit = expecting(at(n, events), "count", count.as_deref());
                match store.commit(commit).await {
                    Ok(done) => return done.first.0,
                    Err(CommitError::Conflict { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let mut firsts = tasks.join_all().await;
    firsts.sort_unstable();
    assert_eq!(firsts, (0..400).map(|n| n * 2).collect::<Vec<_>>());
    let view = store.snapshot().unwrap();
    assert_eq!(get(&*view, "count").as_deref(), Some("400"));
    assert_whole(&*view);
}

async fn the_tables_follow_from_the_log(store: &Any) {
    let commits = (0..600).map(|n| store.commit(at(n, [put(&format!("{:03}", n % 50), &n.to_string())])));
    for pending in commits.collect::<Vec<_>>() {
        pending.await.unwrap();
    }
    let view = store.snapshot().unwrap();
    assert_whole(&*view);
    let then = rebuild::replay(&*view, &Lines::default(), &decode, Timestamp::from_millis(299)).unwrap();
    assert_eq!(get(&then, "049").as_deref(), Some("299"));
    assert_eq!(Head::read(&then).unwrap(), Head { next: EventNumber(300), at: Timestamp::from_millis(299) });
    let mut rebuilt = rebuild::rebuild(&*view, &Lines::default(), &decode).unwrap();
    rebuilt.put(ROWS, b"001", b"forged").unwrap();
    rebuilt.put(ROWS, b"0005", b"invented").unwrap();
    rebuilt.put(ROWS, b"zzz", b"invented").unwrap();
    rebuilt.remove(ROWS, b"017").unwrap();
    let found = rebuild::difference(&*view, &rebuilt, &super::testing::TABLES).unwrap();
    let told = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
    let found: Vec<_> = found.iter().map(|d| (d.key.as_slice(), told(&d.kept), told(&d.rebuilt))).collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        found,
        [
            (b"0005".as_slice(), None, some("invented")),
            (b"001", some("551"), some("forged")),
            (b"017", some("567"), None),
            (b"zzz", None, some("invented")),
        ]
    );
    rebuilt.remove(EVENTS, &7u64.to_be_bytes()).unwrap();
    let gap = rebuild::rebuild(&rebuilt, &Lines::default(), &decode).unwrap_err();
    assert!(matches!(gap, StoreError::Corrupt { .. }), "{gap}");
}
