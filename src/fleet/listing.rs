//! What revocation lists are made of: which certificates each shard lists, which shards there are, what is published.
//!
//! A list of a million entries is read row by row whenever it is published, so the rows of [`REVOKED_BY_CA`] are short
//! and of fixed form instead of JSON, all numbers big-endian:
//!
//! | | octets | |
//! |---|---|---|
//! | key | CA name, 0, 4, 0, 8, 16 | shard, the moment from which the row may leave the list (milliseconds), serial number |
//! | value | 8, 8, 8, 1 | since when, by which event, the certificate's end, CRLReason number (8: released) |
//! | | 8 | invalid since, when that was said |
//!
//! Those that may leave first come first: a list begins its reading behind them, so what has expired costs nothing.

use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Fact;
use super::rows::{self, At, CRL, CertificateRow, REVOKED_BY_CA, SHARD, STATUS_CHANGE, get, put};
use crate::clock::Timestamp;
use crate::ids::{CaName, Digest, EventNumber, Reason, Serial, ShardId, Standing};
use crate::store::{Range, Rows, StoreError, View, prefix_end};

/// A certificate whose status is not what it was when it was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedRow {
    pub serial: Serial,
    pub since: Timestamp,
    pub event: EventNumber,
    pub not_after: Timestamp,
    pub standing: Standing,
}

impl RevokedRow {
    /// A scheduled list later than this has shown it beyond the certificate's end (RFC 5280 section 3.3). One that is revoked
    /// after its end counts from then: the clock may have been ahead when the list before was made.
    pub fn may_leave(&self) -> Timestamp {
        self.not_after.max(self.since)
    }

    fn key(&self, shard: &ShardId) -> Vec<u8> {
        let leaves = self.may_leave().millis().to_be_bytes();
        [shard_prefix(shard).as_slice(), &leaves, self.serial.as_bytes()].concat()
    }

    fn value(&self) -> Vec<u8> {
        let (code, invalid_since) = match self.standing {
            Standing::Released => (RELEASED, None),
            Standing::Revoked { reason, invalid_since } => (reason.code(), invalid_since),
        };
        let mut value = Vec::with_capacity(33);
        value.extend_from_slice(&self.since.millis().to_be_bytes());
        value.extend_from_slice(&self.event.0.to_be_bytes());
        value.extend_from_slice(&self.not_after.millis().to_be_bytes());
        value.push(code);
        if let Some(since) = invalid_since {
            value.extend_from_slice(&since.millis().to_be_bytes());
        }
        value
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let serial = Serial::from_bytes(*key.last_chunk::<16>()?);
        let (since, value) = value.split_first_chunk::<8>()?;
        let (event, value) = value.split_first_chunk::<8>()?;
        let (not_after, value) = value.split_first_chunk::<8>()?;
        let (code, value) = value.split_first()?;
        let moment = |bytes: &[u8; 8]| Timestamp::from_millis(i64::from_be_bytes(*bytes));
        let invalid_since = match value {
            [] => None,
            value => Some(moment(value.try_into().ok()?)),
        };
        let standing = match *code {
            RELEASED => Standing::Released,
            code => Standing::Revoked {
                reason: Reason::ALL.into_iter().find(|reason| reason.code() == code)?,
                invalid_since,
            },
        };
        let event = EventNumber(u64::from_be_bytes(*event));
        Some(Self { serial, since: moment(since), event, not_after: moment(not_after), standing })
    }
}

/// removeFromCRL (RFC 5280 section 5.3.1).
const RELEASED: u8 = 8;

/// Every row of a shard that may not leave before `from`: those that may leave first come first.
pub fn each_listed(
    view: &dyn View,
    shard: &ShardId,
    from: Timestamp,
    each: &mut dyn FnMut(RevokedRow) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let prefix = shard_prefix(shard);
    let end = prefix_end(&prefix);
    let start = [prefix.as_slice(), &from.millis().to_be_bytes()].concat();
    let mut bad = false;
    let range = Range { from: &start, to: end.as_deref(), backwards: false };
    view.scan(REVOKED_BY_CA, range, &mut |key, value| {
        let row = RevokedRow::read(key, value).filter(|_| key.len() == prefix.len() + 24);
        row.map_or_else(
            || {
                bad = true;
                ControlFlow::Break(())
            },
            &mut *each,
        )
    })?;
    if bad {
        let reason = "a row has not the form of this version".to_owned();
        return Err(StoreError::Corrupt { table: REVOKED_BY_CA.0, reason });
    }
    Ok(())
}

/// Puts a certificate on its list, changes what the list says of it, or takes it off. `before` is its row until now.
pub(super) fn change(
    rows: &mut dyn Rows,
    at: At,
    before: &CertificateRow,
    standing: Standing,
) -> Result<(), StoreError> {
    let shard = before.shard_id();
    let row = RevokedRow {
        serial: before.serial,
        since: at.time,
        event: at.event,
        not_after: before.not_after,
        standing,
    };
    if before.status_since.event != before.issued.event {
        let last = RevokedRow { since: before.status_since.time, ..row };
        rows.remove(REVOKED_BY_CA, &last.key(&shard))?;
    }
    rows.put(REVOKED_BY_CA, &row.key(&shard), &row.value())?;
    put(rows, STATUS_CHANGE, &shard_key(&shard), &at.event)
}

/// The last event that the list of a shard must show.
pub fn last_change(view: &dyn View, shard: &ShardId) -> Result<Option<EventNumber>, StoreError> {
    get(view, STATUS_CHANGE, &shard_key(shard))
}

/// A shard that certificates name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRow {
    /// The last of them ends before this.
    pub until: Timestamp,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate that ends at `not_after` names the shard.
pub(super) fn name(rows: &mut dyn Rows, shard: &ShardId, not_after: Timestamp) -> Result<(), StoreError> {
    let key = shard_key(shard);
    let known: Option<ShardRow> = get(rows, SHARD, &key)?;
    if known.is_none_or(|known| known.until <= not_after) {
        // To the end of the day, so that one certificate a day changes this row and not each.
        let days = not_after.secs() / DAY.as_secs() + 1;
        put(rows, SHARD, &key, &ShardRow { until: Timestamp::from_secs(days * DAY.as_secs()) })?;
    }
    Ok(())
}

/// The shards of a CA that certificates have named, and until when.
pub fn shards_named(view: &dyn View, ca: &CaName) -> Result<Vec<(u32, ShardRow)>, StoreError> {
    let prefix = rows::key(&[ca.as_str().as_bytes(), b""]);
    let mut found = Vec::new();
    let mut outcome = Ok(());
    rows::scan_prefix(view, SHARD, &prefix, false, &mut |key, value| {
        let wrong = || StoreError::Corrupt { table: SHARD.0, reason: "a key has the wrong form".to_owned() };
        let number = <[u8; 4]>::try_from(&key[prefix.len()..]).map(u32::from_be_bytes).map_err(|_| wrong());
        match number.and_then(|number| Ok((number, rows::parse(SHARD, value)?))) {
            Ok(row) => {
                found.push(row);
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        }
    })?;
    outcome.map(|()| found)
}

/// What is published for a shard: its last complete list, and its last delta if it has any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrlRow {
    pub ca: CaName,
    pub shard: u32,
    pub number: u64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub entries: u64,
    pub covers: EventNumber,
    pub digest: Digest,
    pub published: At,
    /// The URLs of its scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// It names none of them: there is no other list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// What was left off this list, as [`Fact::CrlPublished`] says.
    #[serde(default = "beginning", skip_serializing_if = "is_beginning")]
    pub without: Timestamp,
    /// What may be left off the next.
    #[serde(default = "beginning", skip_serializing_if = "is_beginning")]
    pub next_without: Timestamp,
    /// Scheduled lists that are still of use, oldest first: what a delta may go on from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<Base>,
    /// When the last list came by the schedule.
    #[serde(default = "beginning", skip_serializing_if = "is_beginning")]
    pub scheduled: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<DeltaRow>,
}

/// A complete list by the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    pub number: u64,
    /// Until then somebody may hold it, or a list that came before the next scheduled one.
    pub needed_until: Timestamp,
    pub covers: EventNumber,
    /// When the last event in it was recorded: no later change has an earlier time.
    pub covers_until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaRow {
    pub number: u64,
    pub base: u64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub entries: u64,
    pub covers: EventNumber,
    pub digest: Digest,
}

/// Older lists than these are fetched anew by who still holds one.
const MOST_BASES: usize = 8;

impl CrlRow {
    pub fn shard_id(&self) -> ShardId {
        ShardId { ca: self.ca.clone(), shard: self.shard }
    }

    /// Complete lists and deltas share one sequence of numbers (RFC 5280 section 5.2.3).
    pub fn last_number(&self) -> u64 {
        self.delta.map_or(self.number, |delta| delta.number.max(self.number))
    }

    /// The moment that no list may begin before.
    pub fn last_update(&self) -> Timestamp {
        self.delta.map_or(self.this_update, |delta| delta.this_update.max(self.this_update))
    }
}

fn beginning() -> Timestamp {
    Timestamp::EPOCH
}

fn is_beginning(at: &Timestamp) -> bool {
    *at == Timestamp::EPOCH
}

pub fn published(view: &dyn View, shard: &ShardId) -> Result<Option<CrlRow>, StoreError> {
    get(view, CRL, &shard_key(shard))
}

/// The last lists of every shard of a CA, also of those that are published no more.
pub fn all_published(view: &dyn View, ca: &CaName) -> Result<Vec<CrlRow>, StoreError> {
    let prefix = rows::key(&[ca.as_str().as_bytes(), b""]);
    let mut found = Vec::new();
    rows::scan_prefix(view, CRL, &prefix, false, &mut |_, value| {
        found.push(rows::parse(CRL, value));
        ControlFlow::Continue(())
    })?;
    found.into_iter().collect()
}

/// Folds the two facts of publishing.
pub(super) fn publish(rows: &mut dyn Rows, at: At, fact: &Fact) -> Result<(), StoreError> {
    match fact {
        Fact::CrlPublished { .. } => complete(rows, at, fact),
        Fact::DeltaCrlPublished {
            ca,
            shard,
            number,
            base,
            this_update,
            next_update,
            entries,
            covers,
            digest,
        } => {
            let key = shard_key(&ShardId { ca: ca.clone(), shard: *shard });
            let Some(mut row) = get::<CrlRow>(rows, CRL, &key)? else { return Ok(()) };
            row.delta = Some(DeltaRow {
                number: *number,
                base: *base,
                this_update: *this_update,
                next_update: *next_update,
                entries: *entries,
                covers: *covers,
                digest: *digest,
            });
            put(rows, CRL, &key, &row)
        }
        _ => Ok(()),
    }
}

fn complete(rows: &mut dyn Rows, at: At, fact: &Fact) -> Result<(), StoreError> {
    let Fact::CrlPublished {
        ca,
        shard,
        number,
        this_update,
        next_update,
        entries,
        covers,
        digest,
        covers_until,
        scheduled,
        without,
        names,
        whole,
        unseen,
    } = fact
    else {
        return Ok(());
    };
    let key = shard_key(&ShardId { ca: ca.clone(), shard: *shard });
    let last: Option<CrlRow> = get(rows, CRL, &key)?;
    let mut row = CrlRow {
        ca: ca.clone(),
        shard: *shard,
        number: *number,
        this_update: *this_update,
        next_update: *next_update,
        entries: *entries,
        covers: *covers,
        digest: *digest,
        published: at,
        names: Vec::new(),
        whole: *whole,
        without: without.unwrap_or(Timestamp::EPOCH),
        next_without: without.unwrap_or(Timestamp::EPOCH),
        bases: Vec::new(),
        scheduled: Timestamp::EPOCH,
        delta: None,
    };
    if let Some(last) = last {
        row.bases = last.bases;
        row.bases.retain(|base| base.needed_until > *this_update && !(*unseen && base.number == last.number));
        // What was left off because of a list that nobody has seen comes on again.
        row.next_without = if *unseen { row.without } else { last.next_without };
        (row.names, row.scheduled, row.delta) = (last.names, last.scheduled, last.delta);
    }
    if let Some(names) = names {
        row.names = names.clone();
        // A delta and its base have one scope (RFC 5280 section 5.2.4).
        row.bases.clear();
        row.delta = None;
    }
    if let Some(covers_until) = *covers_until
        && *scheduled
    {
        row.scheduled = *this_update;
        // Nothing recorded later than the events in it may leave by it, whatever the clock says of today.
        row.next_without = row.next_without.max(covers_until.min(*this_update));
        row.bases.push(Base { number: *number, needed_until: *next_update, covers: *covers, covers_until });
        let surplus = row.bases.len().saturating_sub(MOST_BASES);
        row.bases.drain(..surplus);
    } else if let Some(base) = row.bases.last_mut() {
        base.needed_until = base.needed_until.max(*next_update);
    }
    put(rows, CRL, &key, &row)
}

/// The key of a shard in [`CRL`], [`SHARD`] and [`STATUS_CHANGE`].
pub fn shard_key(shard: &ShardId) -> Vec<u8> {
    rows::key(&[shard.ca.as_str().as_bytes(), &shard.shard.to_be_bytes()])
}

fn shard_prefix(shard: &ShardId) -> Vec<u8> {
    rows::key(&[shard.ca.as_str().as_bytes(), &shard.shard.to_be_bytes(), b""])
}
