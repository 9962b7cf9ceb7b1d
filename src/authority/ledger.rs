//! Checks the record against itself: the tree against the entries, the tables against the events.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::caller::{Operator, OperatorRefused, permit};
use super::error::{Failed, OpenError};
use super::files;
use super::projection::{FRONTIER, HEAD, TREE};
use super::{Authority, Fold};
use crate::fleet::{Event, rows};
use crate::ids::{Digest, hex};
use crate::ledger::entry;
use crate::ledger::tree::{Frontier, leaf_hash};
use crate::store::rebuild::{Difference, difference, rebuild};
use crate::store::redb::RedbStore;
use crate::store::{EVENTS, Range, Store, StoreError, View};

/// Every page is read once, so a small cache does.
const CHECK_CACHE: usize = 64 << 20;

/// Size and root of the Merkle tree over all entries (RFC 6962 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeHead {
    pub size: u64,
    pub root: Digest,
}

/// What `log verify` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// What the store says.
    pub stored: TreeHead,
    /// What its entries give.
    pub computed: TreeHead,
    /// Rows that a replay of the events does not give, or gives otherwise; the first few, as table and key.
    pub table_differences: Vec<String>,
    /// Entries whose number, time or form is wrong.
    pub bad_entries: Vec<String>,
}

impl LogReport {
    pub fn is_sound(&self) -> bool {
        self.stored == self.computed && self.table_differences.is_empty() && self.bad_entries.is_empty()
    }
}

impl Authority {
    /// Size and root as they are stored.
    pub fn tree_head(&self, operator: &Operator) -> Result<TreeHead, Failed<OperatorRefused>> {
        permit(operator, "log.read")?;
        Ok(stored_head(&*self.snapshot()?)?)
    }

    /// Recomputes the tree and all tables on one snapshot. Takes seconds on a large store: keep it off the event loop.
    pub fn verify_log(&self, operator: &Operator) -> Result<LogReport, Failed<OperatorRefused>> {
        permit(operator, "log.verify")?;
        Ok(verify(&*self.snapshot()?)?)
    }
}

/// Verifies the store of a folder whose server is stopped.
pub fn check(dir: &Path) -> Result<LogReport, OpenError> {
    let path = files::store(dir);
    if !path.exists() {
        return Err(OpenError::NotInitialised { dir: dir.display().to_string() });
    }
    let store = RedbStore::open(&path, CHECK_CACHE, Arc::new(Fold))?;
    Ok(verify(&*store.snapshot()?)?)
}

pub(crate) fn verify(view: &dyn View) -> Result<LogReport, StoreError> {
    let mut frontier = Frontier::default();
    let mut bad_entries = Vec::new();
    let mut last = None;
    let all = Range { from: &[], to: None, backwards: false };
    view.scan(EVENTS, all, &mut |key, bytes| {
        let number = frontier.size();
        frontier.append(leaf_hash(bytes));
        match entry::decode::<Event>(bytes) {
            Ok(entry) => {
                if entry.number.0 != number || key != number.to_be_bytes() {
                    bad_entries.push(format!("entry {number} says it is {}", entry.number));
                }
                if last.is_some_and(|last| entry.time < last) {
                    bad_entries.push(format!("entry {number} is older than the one before it"));
                }
                last = Some(entry.time);
            }
            Err(error) => bad_entries.push(format!("entry {number}: {error}")),
        }
        std::ops::ControlFlow::Continue(())
    })?;
    let computed = TreeHead { size: frontier.size(), root: frontier.root() };
    let table_differences = if bad_entries.is_empty() { table_differences(view)? } else { Vec::new() };
    Ok(LogReport { stored: stored_head(view)?, computed, table_differences, bad_entries })
}

fn table_differences(view: &dyn View) -> Result<Vec<String>, StoreError> {
    let decode = |bytes: &[u8]| {
        let entry = entry::decode::<Event>(bytes)
            .map_err(|error| StoreError::Corrupt { table: EVENTS.0, reason: error.to_string() })?;
        Ok((entry.number, entry.time, entry.event))
    };
    let replayed = rebuild(view, &Fold, &decode)?;
    let mut tables = rows::ALL.to_vec();
    tables.push(TREE);
    let differences = difference(view, &replayed, &tables)?;
    Ok(differences.iter().take(20).map(describe).collect())
}

fn describe(difference: &Difference) -> String {
    format!("{} {}", difference.table.0, hex(&difference.key))
}

fn stored_head(view: &dyn View) -> Result<TreeHead, StoreError> {
    let corrupt = |reason: &str| StoreError::Corrupt { table: TREE.0, reason: reason.to_owned() };
    let Some(bytes) = view.get(TREE, HEAD)? else {
        let empty = Frontier::default();
        return Ok(TreeHead { size: 0, root: empty.root() });
    };
    let (size, root) = bytes.split_at_checked(8).ok_or_else(|| corrupt("the head is too short"))?;
    let size = <[u8; 8]>::try_from(size).map_err(|_| corrupt("the head has no size"))?;
    let root = <[u8; 32]>::try_from(root).map_err(|_| corrupt("the head has no root"))?;
    let frontier = view.get(TREE, FRONTIER)?.ok_or_else(|| corrupt("there is a head but no frontier"))?;
    let frontier = Frontier::from_bytes(&frontier).map_err(|error| corrupt(&error.to_string()))?;
    let head = TreeHead { size: u64::from_be_bytes(size), root: Digest::from_bytes(root) };
    if frontier.size() != head.size || frontier.root() != head.root {
        return Err(corrupt("frontier and head disagree"));
    }
    Ok(head)
}
