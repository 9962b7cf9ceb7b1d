//! A store file of another shape: some rows of a store, for readers elsewhere. Nobody can go on writing it.

use std::path::Path;

use ::redb::Database;
use ::redb::backends::FileBackend;

use super::fold::LOG;
use super::redb::{failed, open_reason};
use super::writer::TransactionRows;
use super::{Rows, StoreError, View};
use crate::clock::Timestamp;

/// The row of [`LOG`] that only a copy has: up to when it is known to be whole, in milliseconds (8 bytes, big-endian).
const WHOLE_UNTIL: &[u8] = b"whole-until";

/// Memory for pages: rows come in the order of their keys, so each page is written once.
const CACHE: usize = 32 << 20;

/// Up to when a copy is known to be whole; `None`: this is no copy.
pub fn whole_until(view: &dyn View) -> Result<Option<Timestamp>, StoreError> {
    let Some(row) = view.get(LOG, WHOLE_UNTIL)? else { return Ok(None) };
    let wrong =
        |_| StoreError::Corrupt { table: LOG.0, reason: "the end of the copy has not its form".to_owned() };
    Ok(Some(Timestamp::from_millis(i64::from_be_bytes(row.as_slice().try_into().map_err(wrong)?))))
}

/// Makes a store of what `fill` puts, in the empty file at `path`, which is synced at the end.
pub fn write_copy(
    path: &Path,
    until: Timestamp,
    fill: impl FnOnce(&mut dyn Rows) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let refused = |reason: String| StoreError::Open { path: path.display().to_string(), reason };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path);
    let backend = FileBackend::new(file.map_err(|error| refused(error.to_string()))?);
    let backend = backend.map_err(|error| refused(open_reason(&error)))?;
    let database = Database::builder()
        .set_cache_size(CACHE)
        .create_with_backend(backend)
        .map_err(|error| refused(open_reason(&error)))?;
    let transaction = database.begin_write().map_err(failed)?;
    {
        let mut rows = TransactionRows::new(&transaction);
        fill(&mut rows)?;
        rows.put(LOG, WHOLE_UNTIL, &until.millis().to_be_bytes())?;
    }
    transaction.commit().map_err(failed)?;
    // Closed in order, or no reader could open it.
    database.close().map_err(failed)
}
