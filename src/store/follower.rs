//! The store of another process, or a copy of it, opened for reading alone: follows what that process commits.

use std::fs::{File, OpenOptions, TryLockError};
use std::future;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::backends::FileBackend;
use ::redb::{Builder, ConcurrencyMode, DatabaseError, ReadOnlyDatabase};
use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::fold::Head;
use super::redb::{Snapshot, open_reason, writer_mark};
use super::{Commit, Pending, Store, StoreError, View};
use crate::ids::EventNumber;

/// A store that somebody else writes, or nobody any more.
///
/// The file needs no permission to write. Any number of these may have it open, beside one
/// [`RedbStore`](super::redb::RedbStore).
pub struct RedbFollower {
    path: PathBuf,
    cache_bytes: usize,
    opened: ArcSwap<Opened>,
    head: watch::Sender<EventNumber>,
}

struct Opened {
    database: ReadOnlyDatabase,
    /// Device and inode: another file under the same name has others.
    file: (u64, u64),
}

impl RedbFollower {
    /// `cache_bytes` bounds the memory that redb uses for pages.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        let opened = open(path, cache_bytes)?;
        let (head, _) = watch::channel(Head::read(&Snapshot::of(&opened.database)?)?.next);
        Ok(Self { path: path.to_owned(), cache_bytes, opened: ArcSwap::from_pointee(opened), head })
    }

    /// Goes over to the file that has taken the place of the one that is open, if one has. Snapshots of the old one go on.
    pub fn reopen_if_replaced(&self) -> Result<bool, StoreError> {
        let metadata =
            std::fs::metadata(&self.path).map_err(|error| refused(&self.path, error.to_string()))?;
        if identity(&metadata) == self.opened.load().file {
            return Ok(false);
        }
        let opened = open(&self.path, self.cache_bytes)?;
        // Before anybody may rely on it: what cannot be read must not take the place of what can.
        Head::read(&Snapshot::of(&opened.database)?)?;
        self.opened.store(Arc::new(opened));
        Ok(true)
    }

    pub(super) fn read(&self) -> Result<Snapshot, StoreError> {
        Snapshot::of(&self.opened.load().database)
    }

    /// Whether a process that writes has the file open: what the next snapshot shows is then all that there is.
    pub fn is_being_written(&self) -> bool {
        // A copy has no such file, and one that was copied along is held by nobody.
        let Ok(mark) = File::open(writer_mark(&self.path)) else { return false };
        matches!(mark.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Tells those who wait on the log how far it has come.
    pub fn tell(&self, next: EventNumber) {
        self.head.send_if_modified(|head| std::mem::replace(head, next) != next);
    }
}

fn open(path: &Path, cache_bytes: usize) -> Result<Opened, StoreError> {
    let failed = |error: std::io::Error| refused(path, error.to_string());
    let file = OpenOptions::new().read(true).open(path).map_err(failed)?;
    // Asked of the open file: the name may be another's by now.
    let identity = identity(&file.metadata().map_err(failed)?);
    let backend = FileBackend::new(file).map_err(|error| refused(path, reason(&error)))?;
    let database = Builder::new()
        .set_cache_size(cache_bytes)
        .set_concurrency_mode(ConcurrencyMode::SingleWriter)
        .open_read_only_with_backend(backend)
        .map_err(|error| refused(path, reason(&error)))?;
    Ok(Opened { database, file: identity })
}

fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn refused(path: &Path, reason: String) -> StoreError {
    StoreError::Open { path: path.display().to_string(), reason }
}

fn reason(error: &DatabaseError) -> String {
    match error {
        DatabaseError::RepairAborted => "the process that wrote it was cut short, or it was copied while it was \
            written. In the server's own folder, run 'vitae check' or start the server, then try again; for another \
            folder, make the copy with 'vitae status-copy'"
            .to_owned(),
        other => open_reason(other),
    }
}

impl<E: Send + 'static> Store<E> for RedbFollower {
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        Ok(Box::new(self.read()?))
    }

    fn commit(&self, _: Commit<E>) -> Pending {
        let reason = "it is open for reading alone: changes are made through the admin door of 'vitae serve'";
        Box::pin(future::ready(Err(StoreError::Failed(reason.to_owned()).into())))
    }

    fn head(&self) -> watch::Receiver<EventNumber> {
        self.head.subscribe()
    }

    fn shutdown(&self) {}
}
