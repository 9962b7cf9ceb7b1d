//! Keeps registration authorities within their quota, to the certificate, while many of their requests are under way.
//!
//! A row with the count that every commit relied on would do it too, and make all requests of a factory line conflict with
//! each other. So the count is read without relying on it, and what is not in it yet is counted here: a request takes a
//! place, then reads the record, then signs, and gives the place back when its commit is durable or will never be. Whoever
//! gave its place back before mine was taken is in the record that I read; whoever did not is counted. Nobody is
//! overlooked, so a quota is never exceeded. Somebody may be counted twice, between its commit and giving its place back:
//! then the last certificates of a quota cannot be promised for a moment, and the client is asked to come again.
//!
//! Places live in memory alone. After a restart nothing is under way, and the record has the count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Authority;
use super::error::Failed;
use crate::clock::Timestamp;
use crate::fleet::enrol::{self, EnrolError, Grant, QuotaRoom, Refusal};
use crate::ids::HolderId;

/// How many requests of each registration authority are between their decision and the end of their commit.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<Mutex<BTreeMap<HolderId, u64>>>);

impl UnderWay {
    /// Takes a place; also says how many others are taken.
    fn enter(&self, ra: &HolderId) -> (Place, u64) {
        let mut counts = self.lock();
        let count = counts.entry(ra.clone()).or_default();
        let others = *count;
        *count += 1;
        (Place { under_way: self.clone(), ra: ra.clone() }, others)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<HolderId, u64>> {
        // Each change is one addition: there is no half of it that a panic could leave behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, given back when it is dropped. It belongs to the commit, not to the client that may go away before.
#[derive(Debug)]
pub(super) struct Place {
    under_way: UnderWay,
    ra: HolderId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.under_way.lock();
        let Some(count) = counts.get_mut(&self.ra) else { return };
        *count -= 1;
        if *count == 0 {
            counts.remove(&self.ra);
        }
    }
}

impl Authority {
    /// A place for what a registration authority asks for; `None` for all who ask for themselves.
    pub(super) fn within_quota(
        &self,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<Option<Place>, Failed<Refusal>> {
        let Some(ra) = grant.proof().registration_authority() else { return Ok(None) };
        let (place, others) = self.under_way.enter(ra);
        // Not before the place is taken: see above.
        let snapshot = self.snapshot()?;
        match enrol::quota_room(&*snapshot, &self.config, ra, grant.holder(), others, now) {
            Ok(QuotaRoom::Free) => Ok(Some(place)),
            Ok(QuotaRoom::Unsettled) => Err(Failed::Unavailable(format!(
                "{others} certificates for {ra} are under way, and its quota has room for no more until they are done"
            ))),
            Err(EnrolError::Refused(refusal)) => Err(Failed::Refused(refusal)),
            Err(EnrolError::Store(error)) => Err(error.into()),
        }
    }
}
