//! The store in one file, on redb.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use ::redb::backends::FileBackend;
use ::redb::{
    AccessGuard, ConcurrencyMode, Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    ReadableTable, StorageBackend, StorageError, TableDefinition, TableError,
};

use tokio::sync::watch;

use super::fold::Head;
use super::follower::RedbFollower;
use super::writer::{self, Queue};
use super::{Commit, Each, Pending, Projection, Range, Store, StoreError, Table, View};
use crate::ids::EventNumber;

/// A store in a file that this process alone has open.
///
/// Dropping it lets the writer finish what it took and closes the file; [`Self::close`] does the same and tells
/// what went wrong.
pub struct RedbStore<P: Projection> {
    queue: Queue<P::Event>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// `None` only once [`Self::close`] has taken it.
    database: Option<Arc<Database>>,
    /// Locked as long as the file is open, so that a reader can tell whether anybody writes. After `database`: it is let
    /// go of last.
    mark: Option<File>,
    /// Where the file is, and how much memory its pages may take; `None` on another backend.
    place: Option<(PathBuf, usize)>,
    /// The same file, opened again to read.
    reader: OnceLock<RedbFollower>,
}

impl<P: Projection> RedbStore<P> {
    /// Opens the file, or makes it with mode 0600. `cache_bytes` bounds the memory that redb uses for pages.
    pub fn open(path: &Path, cache_bytes: usize, projection: Arc<P>) -> Result<Self, StoreError> {
        let refused = |reason: String| StoreError::Open { path: path.display().to_string(), reason };
        let file = open_file(path).map_err(|error| refused(error.to_string()))?;
        let backend = FileBackend::new(file).map_err(|error| refused(open_reason(&error)))?;
        // Readers in other processes may follow: see RedbFollower.
        let mode = ConcurrencyMode::SingleWriter;
        let mut store =
            Self::with_backend(backend, mode, cache_bytes, projection).map_err(|error| match error {
                StoreError::Open { reason, .. } => refused(reason),
                other => other,
            })?;
        store.place = Some((path.to_owned(), cache_bytes));
        store.mark = Some(mark_as_written(path).map_err(|error| refused(error.to_string()))?);
        Ok(store)
    }

    /// Opens a store that lives in `backend`.
    pub(super) fn with_backend(
        backend: impl StorageBackend,
        mode: ConcurrencyMode,
        cache_bytes: usize,
        projection: Arc<P>,
    ) -> Result<Self, StoreError> {
        let refused = |reason: String| StoreError::Open { path: String::new(), reason };
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .set_concurrency_mode(mode)
            .set_repair_callback(|repair| {
                tracing::warn!(done = repair.progress(), "the store was not closed and is being checked");
            })
            .create_with_backend(backend)
            .map_err(|error| refused(open_reason(&error)))?;
        let database = Arc::new(database);
        let snapshot = Snapshot::of(&*database)?;
        Head::check(&snapshot)?;
        let (queue, work) = writer::queue(Head::read(&snapshot)?.next);
        drop(snapshot);
        let theirs = Arc::clone(&database);
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || work.run(&theirs, &*projection))
            .map_err(|error| refused(format!("its writer cannot be started: {error}")))?;
        Ok(Self {
            queue,
            writer: Mutex::new(Some(writer)),
            database: Some(database),
            mark: None,
            place: None,
            reader: OnceLock::new(),
        })
    }

    /// Ends writing: what the writer has taken is finished and answered, later commits fail, snapshots go on.
    ///
    /// Blocks until the writer has ended, which is one transaction away.
    pub fn shutdown(&self) {
        self.queue.stop();
        // Held while joining, so that a second caller also returns after the end.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.take() {
            // The writer catches panics; one that got past it has been printed and has nothing to add here.
            let _ = writer.join();
        }
    }

    /// [`Self::shutdown`], then closes the file. Snapshots that are still alive fail from here on.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.shutdown();
        match self.database.take().map(Arc::try_unwrap) {
            Some(Ok(database)) => database.close().map_err(failed),
            // The writer has ended, and nobody else is given the database.
            Some(Err(_)) | None => Ok(()),
        }
    }

    /// After a failed write redb takes no more locks through the handle that has failed, and in this mode gives no snapshot
    /// without one. Status goes on all the same: what is durable can be read through another handle.
    fn snapshot_after(&self, error: StoreError) -> Result<Snapshot, StoreError> {
        let Some((path, cache_bytes)) = &self.place else { return Err(error) };
        if self.reader.get().is_none() {
            // Of two that come first at once, one is closed again.
            let _ = self.reader.set(RedbFollower::open(path, *cache_bytes)?);
        }
        self.reader.get().map_or(Err(error), RedbFollower::read)
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_deref().ok_or_else(|| StoreError::Failed("it is closed".to_owned()))
    }
}

impl<P: Projection> Drop for RedbStore<P> {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl<P: Projection> Store<P::Event> for RedbStore<P> {
    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        let snapshot = Snapshot::of(self.database()?).or_else(|error| self.snapshot_after(error));
        Ok(Box::new(snapshot?))
    }

    fn commit(&self, commit: Commit<P::Event>) -> Pending {
        self.queue.submit(commit)
    }

    fn head(&self) -> watch::Receiver<EventNumber> {
        self.queue.head()
    }

    fn shutdown(&self) {
        // The method above, not this one.
        RedbStore::shutdown(self);
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // A new file's name must outlive a power cut as surely as the commits in it.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}

/// The file that a writer holds locked, beside the store.
pub(super) fn writer_mark(path: &Path) -> PathBuf {
    let mut mark = path.as_os_str().to_owned();
    mark.push(".writer");
    mark.into()
}

/// To be called by the one that has the store open. Readers hold the lock for moments only, to see whether it is free.
fn mark_as_written(path: &Path) -> io::Result<File> {
    let mark =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(writer_mark(path))?;
    mark.lock()?;
    Ok(mark)
}

pub(super) fn open_reason(error: &DatabaseError) -> String {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            "another process has it open; one store has one server: stop the other first".to_owned()
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            format!("it is not a store, or one whose first start was cut short ({error})")
        }
        other => other.to_string(),
    }
}

pub(super) fn failed(error: impl Into<::redb::Error>) -> StoreError {
    StoreError::Failed(error.into().to_string())
}

/// How every table is declared to redb: bytes to bytes.
pub(super) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.0)
}

type ReadTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A read transaction, with the tables it has looked at.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
    /// `None`: the table did not exist when the snapshot was taken.
    tables: RefCell<BTreeMap<Table, Option<Arc<ReadTable>>>>,
}

impl Snapshot {
    pub(super) fn of(database: &impl ReadableDatabase) -> Result<Self, StoreError> {
        let transaction = database.begin_read().map_err(failed)?;
        Ok(Self { transaction, tables: RefCell::default() })
    }

    /// The table is handed out whole, so that a scan may look into other tables on its way.
    fn table(&self, table: Table) -> Result<Option<Arc<ReadTable>>, StoreError> {
        if let Some(known) = self.tables.borrow().get(&table) {
            return Ok(known.clone());
        }
        let opened = match self.transaction.open_table(definition(table)) {
            Ok(opened) => Some(Arc::new(opened)),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(failed(error)),
        };
        self.tables.borrow_mut().insert(table, opened.clone());
        Ok(opened)
    }
}

impl View for Snapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(table) = self.table(table)? else { return Ok(None) };
        get_from(&*table, key)
    }

    fn scan(&self, table: Table, range: Range<'_>, each: Each<'_>) -> Result<(), StoreError> {
        let Some(table) = self.table(table)? else { return Ok(()) };
        scan_from(&*table, range, each)
    }
}

pub(super) fn get_from(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let copy = |value: AccessGuard<'_, &[u8]>| value.value().to_vec();
    Ok(table.get(key).map_err(failed)?.map(copy))
}

pub(super) fn scan_from(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    range: Range<'_>,
    each: Each<'_>,
) -> Result<(), StoreError> {
    if range.is_empty() {
        return Ok(());
    }
    let to = range.to.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rows = table.range::<&[u8]>((Bound::Included(range.from), to)).map_err(failed)?;
    while let Some(row) = if range.backwards { rows.next_back() } else { rows.next() } {
        let (key, value) = row.map_err(failed)?;
        if each(key.value(), value.value()).is_break() {
            break;
        }
    }
    Ok(())
}
