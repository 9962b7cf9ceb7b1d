//! When a shard's lists are due.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Ca;
use crate::fleet::listing::CrlRow;
use crate::ids::EventNumber;

/// What is known about one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) shard: u32,
    pub(super) row: Option<&'a CrlRow>,
    /// The lists that the record speaks of are the ones that are served.
    pub(super) complete_served: bool,
    pub(super) delta_served: bool,
    pub(super) last_change: Option<EventNumber>,
    pub(super) scope_changed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// What is in the list stays good for a while: its end alone comes near.
    Delta,
    Complete {
        scheduled: bool,
    },
}

/// What is due of a shard.
pub(super) fn due(ca: &Ca, known: &Known<'_>, now: Timestamp) -> Due {
    if is_scheduled(ca, known, now) {
        return Due::Complete { scheduled: true };
    }
    let Some(row) = known.row else { return Due::Complete { scheduled: true } };
    // A change was committed but its list was not: the process ended in between, or nobody waits for it.
    if known.last_change.is_some_and(|change| change >= row.covers) {
        return Due::Complete { scheduled: false };
    }
    let Some(lifetime) = ca.delta_lifetime() else { return Due::Nothing };
    let ends = row.delta.filter(|_| known.delta_served).map(|delta| delta.next_update);
    if ends.is_some_and(|ends| now + lifetime / 2 + earlier(lifetime / 8, known.shard) < ends) {
        Due::Nothing
    } else {
        Due::Delta
    }
}

/// A complete list is due whatever has changed: one that is published now counts as the scheduled one.
pub(super) fn is_scheduled(ca: &Ca, known: &Known<'_>, now: Timestamp) -> bool {
    let Some(row) = known.row.filter(|_| known.complete_served && !known.scope_changed) else { return true };
    let (lifetime, margin) = (ca.crl_lifetime(), ca.crl_renew_before());
    let period = lifetime.saturating_sub(margin);
    let period = period - earlier(period.min(margin) / 4, known.shard);
    let based = ca.delta_lifetime().is_none() || row.bases.iter().any(|base| base.needed_until > now);
    now >= row.scheduled + period || now + margin >= row.next_update || !based
}

/// Shards that were published together, as all are at the first start, must not all be due together for ever: each has a
/// share of `most` of its own, spread evenly however many there are.
fn earlier(most: Duration, shard: u32) -> Duration {
    // The golden ratio in 32 bits: its multiples fill the circle without a gap or a crowd.
    let share = shard.wrapping_mul(0x9e37_79b1);
    most.mul_f64(f64::from(share) / f64::from(u32::MAX))
}
