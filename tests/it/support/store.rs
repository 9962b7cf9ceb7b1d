//! A store that fails when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::watch;
use vitae::fleet::Event;
use vitae::ids::EventNumber;
use vitae::store::{Commit, Pending, Store, StoreError, View};

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None = 0,
    /// Nothing can be read.
    Snapshot,
    /// Commits are refused.
    Commit,
    /// Commits wait for a lock that nobody gives back.
    Locked,
    /// Commits wait until this is over, and are done then.
    Slow,
}

#[derive(Clone)]
pub(crate) struct Switch(Arc<AtomicU8>, Arc<AtomicUsize>);

impl Switch {
    pub(crate) fn new() -> Self {
        Self(Arc::default(), Arc::default())
    }

    pub(crate) fn set(&self, trouble: Trouble) {
        self.0.store(trouble as u8, Ordering::SeqCst);
    }

    fn is(&self, trouble: Trouble) -> bool {
        self.0.load(Ordering::SeqCst) == trouble as u8
    }

    /// How many commits have come to the lock.
    pub(crate) fn waiting(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn Store<Event>>,
    pub(crate) switch: Switch,
}

impl Store<Event> for Faulty {
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        if self.switch.is(Trouble::Snapshot) {
            return Err(StoreError::Failed("the disk is gone".to_owned()));
        }
        self.inner.snapshot()
    }

    fn commit(&self, commit: Commit<Event>) -> Pending {
        if self.switch.is(Trouble::Commit) {
            return Box::pin(async { Err(StoreError::Failed("the disk is full".to_owned()).into()) });
        }
        if self.switch.is(Trouble::Locked) {
            self.switch.1.fetch_add(1, Ordering::SeqCst);
            return Box::pin(std::future::pending());
        }
        if self.switch.is(Trouble::Slow) {
            self.switch.1.fetch_add(1, Ordering::SeqCst);
            let (inner, switch) = (Arc::clone(&self.inner), self.switch.clone());
            return Box::pin(async move {
                while switch.is(Trouble::Slow) {
                    tokio::task::yield_now().await;
                }
                inner.commit(commit).await
            });
        }
        self.inner.commit(commit)
    }

    fn head(&self) -> watch::Receiver<EventNumber> {
        self.inner.head()
    }

    fn shutdown(&self) {
        self.inner.shutdown();
    }
}
