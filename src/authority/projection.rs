//! How events become what is kept: their bytes by `ledger`, their tables by `fleet`, the tree over both.

use crate::clock::Timestamp;
use crate::fleet::{self, At, Event};
use crate::ids::EventNumber;
use crate::ledger::entry;
use crate::ledger::tree::{Frontier, leaf_hash};
use crate::store::{Projection, Rows, StoreError, Table, View};

/// The Merkle tree over all entries: its frontier, from which the next leaf goes on.
pub(super) const TREE: Table = Table("tree");
pub(super) const FRONTIER: &[u8] = b"frontier";
/// The tree's size (8 bytes, big-endian) and root.
pub(super) const HEAD: &[u8] = b"head";

/// The projection of this authority.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fold;

impl Projection for Fold {
    type Event = Event;

    fn encode(&self, number: EventNumber, at: Timestamp, event: &Event) -> Vec<u8> {
        entry::encode(number, at, event)
    }

    fn apply(
        &self,
        rows: &mut dyn Rows,
        number: EventNumber,
        at: Timestamp,
        event: &Event,
    ) -> Result<(), StoreError> {
        fleet::apply::apply(rows, At { event: number, time: at }, event)
    }

    fn seal(&self, rows: &mut dyn Rows, first: EventNumber, entries: &[Vec<u8>]) -> Result<(), StoreError> {
        let mut frontier = frontier(rows)?;
        if frontier.size() != first.0 {
            return Err(StoreError::Corrupt {
                table: TREE.0,
                reason: format!("the tree has {} leaves before event {first}", frontier.size()),
            });
        }
        for entry in entries {
            frontier.append(leaf_hash(entry));
        }
        rows.put(TREE, FRONTIER, &frontier.to_bytes())?;
        let head = [frontier.size().to_be_bytes().as_slice(), frontier.root().as_bytes()].concat();
        rows.put(TREE, HEAD, &head)
    }
}

/// The stored frontier; that of the empty tree when nothing was written yet.
pub(super) fn frontier(view: &dyn View) -> Result<Frontier, StoreError> {
    match view.get(TREE, FRONTIER)? {
        None => Ok(Frontier::default()),
        Some(bytes) => Frontier::from_bytes(&bytes)
            .map_err(|error| StoreError::Corrupt { table: TREE.0, reason: error.to_string() }),
    }
}
