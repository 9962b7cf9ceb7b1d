//! Ends certificates whose successor has taken over: at its first use, or when the overlap is over.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::timeout;

use super::Authority;
use super::caller::Peer;
use super::error::{Failed, OpenError};
use crate::clock::Timestamp;
use crate::fleet::enrol::{self, Ending};
use crate::fleet::rows::{self, OVERLAP_END};
use crate::fleet::{Actor, Fact, Succession};
use crate::ids::Serial;
use crate::store::{Range, StoreError, View};

/// As many overlaps are ended by one commit.
const BATCH: usize = 64;

impl Authority {
    /// A client has shown this certificate without asking for the next one. When it is the first time, that ends what the
    /// certificate replaced; a client without one leaves no trace (B54). What goes wrong here is tried again by the next
    /// use, or comes with the end of the overlap, so nobody is told.
    pub async fn certificate_used(&self, peer: &Peer, patience: Duration) {
        let Some(chain) = &peer.chain else { return };
        let Some(shown) = self.credentials(Some(chain), None).certificate else { return };
        let ended_by_use = |view: &dyn View| enrol::ended_by_use(view, &shown, self.clock.now());
        let holder = match self.snapshot().and_then(|view| ended_by_use(&*view)) {
            Ok(Some((holder, _))) => holder,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, "the first use of a certificate cannot be told"),
        };
        let actor = Actor::Holder { id: holder.clone() };
        let recorded = self.transact::<_, Infallible>(&actor, |view, now| {
            let ends = enrol::ended_by_use(view, &shown, now)?.map(|(_, ends)| ends).unwrap_or_default();
            // What is shown exists, so every ending names it.
            let facts = ends.iter().filter_map(|end| Some(end.fact(end.by?))).collect();
            Ok((facts, ()))
        });
        match timeout(patience, recorded).await {
            Ok(Ok(_)) => tracing::info!(%holder, "a new certificate was used for the first time"),
            Ok(Err(error)) => {
                tracing::warn!(%holder, %error, "the first use of a certificate cannot be recorded")
            }
            Err(_) => tracing::warn!(%holder, "the first use of a certificate could not be recorded in time"),
        }
    }

    /// Ends every certificate whose overlap is over, each of them once.
    pub(super) async fn end_overlaps(&self) -> Result<(), Failed<OpenError>> {
        loop {
            let due = self.overlaps_due(self.clock.now())?;
            if due.is_empty() {
                return Ok(());
            }
            let (_, count) = self
                .transact(&Actor::System, |view, now| {
                    let facts = ended(view, &due, now)?;
                    let count = facts.len();
                    Ok::<_, Failed<OpenError>>((facts, count))
                })
                .await?;
            // Others were faster, or the clock was set back: what is left comes with the next upkeep.
            if count == 0 {
                return Ok(());
            }
            tracing::info!(count, "overlaps have ended");
        }
    }

    fn overlaps_due(&self, now: Timestamp) -> Result<Vec<Serial>, StoreError> {
        let snapshot = self.snapshot()?;
        let mut due = Vec::new();
        let until = (now.millis() + 1).to_be_bytes();
        let range = Range { from: &[], to: Some(&until), backwards: false };
        let mut trouble = None;
        snapshot.scan(OVERLAP_END, range, &mut |key, _| {
            let serial = key.get(8..).and_then(|serial| <[u8; 16]>::try_from(serial).ok());
            match serial.map(|serial| rows::certificate(&*snapshot, &Serial::from_bytes(serial))) {
                // What has expired while nobody looked needs no end any more.
                Some(Ok(Some(row))) if !row.is_good_at(now) => {}
                Some(Ok(Some(row))) => due.push(row.serial),
                Some(Err(error)) => trouble = Some(error),
                Some(Ok(None)) | None => {
                    let reason = "it names no certificate".to_owned();
                    trouble = Some(StoreError::Corrupt { table: OVERLAP_END.0, reason });
                }
            }
            if trouble.is_some() || due.len() >= BATCH {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        trouble.map_or(Ok(due), Err)
    }
}

/// Those that are still good: a successor may have been used meanwhile.
fn ended(view: &dyn View, due: &[Serial], now: Timestamp) -> Result<Vec<Fact>, StoreError> {
    let mut facts = Vec::new();
    for serial in due {
        let row = rows::certificate(view, serial)?.filter(|row| row.is_good_at(now));
        let over = row.filter(|row| row.overlap_ends.is_some_and(|ends| ends <= now));
        if let Some((row, by)) = over.and_then(|row| row.replaced_by.map(|by| (row, by))) {
            let ending = Ending { serial: row.serial, by: Some(by), how: Succession::OverlapEnded };
            facts.push(ending.fact(by));
        }
    }
    Ok(facts)
}
