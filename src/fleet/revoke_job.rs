//! Jobs that revoke or hold many certificates: a list that is fixed once, worked off part by part, each part in one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::event::{Actor, Cause, Der, Fact};
use super::rows::{self, At, CertificateRow, Status, get, put};
use crate::clock::Timestamp;
use crate::ids::{CaName, JobId, ProfileName, Reason, Serial, ShardId};
use crate::store::{Expected, Rows, StoreError, Table, View};

/// Jobs that revoke many certificates.
pub const JOB: Table = Table("job");
/// What each job has on its list: job and number of the part (4 bytes, big-endian) to serial numbers, 16 bytes each. The job
/// alone leads to how many parts are done, in the same form: what the commit of the next one relies on.
pub const JOB_LIST: Table = Table("job-list");

/// As many certificates as a proof of effect looks at.
pub const SAMPLES: usize = 32;

/// One step of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    pub job: JobId,
    #[serde(flatten)]
    pub step: JobStep,
}

/// The life of a job: asked, listed as often as it takes, begun, advanced once for each part, ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum JobStep {
    /// An operator has confirmed the number. The list follows; nothing is done before it is whole.
    Asked {
        selector: String,
        reason: Reason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invalid_since: Option<Timestamp>,
        count: u64,
    },
    /// One part of the list.
    Listed { part: u32, serials: Vec<Serial> },
    /// The list is whole: from here on the job is done, whatever happens to the process.
    Begun { parts: u32 },
    /// A part is done, in the same commit as what was done to its certificates.
    Advanced {
        part: u32,
        revoked: u64,
        /// Those that somebody else had revoked, or that had expired meanwhile.
        skipped: u64,
        /// The lists that must carry it.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        lists: BTreeSet<ShardId>,
        /// The first of each CA, shard and profile that no part before had.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        samples: Vec<Sample>,
        /// The last one that was revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<Sample>,
    },
    /// All of it is done, and it was looked at from outside.
    Ended {
        /// Certificates that the selector holds of by now, though it did not when the list was made.
        left: u64,
        /// The proof of effect: CMS SignedData around JSON.
        proof: Der,
    },
    /// The process ended before the list was whole, so nobody was told that the job would be done. It revoked nothing.
    Dropped,
}

/// A certificate that a proof of effect looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sample {
    pub serial: Serial,
    pub ca: CaName,
    pub shard: u32,
    pub profile: Option<ProfileName>,
}

impl Sample {
    fn of(row: &CertificateRow) -> Self {
        Self { serial: row.serial, ca: row.ca.clone(), shard: row.shard, profile: row.profile.clone() }
    }

    fn is_of_the_kind_of(&self, other: &Self) -> bool {
        (&self.ca, self.shard, &self.profile) == (&other.ca, other.shard, &other.profile)
    }
}

impl fmt::Display for JobStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { selector, reason, count, .. } => {
                write!(f, "{count} certificates asked to be revoked ({reason}) where {selector}")
            }
            Self::Listed { part, serials } => write!(f, "part {part} lists {} certificates", serials.len()),
            Self::Begun { parts } => write!(f, "begun, {parts} parts"),
            Self::Advanced { part, revoked, skipped, .. } => {
                write!(f, "part {part} done, {revoked} revoked, {skipped} skipped")
            }
            Self::Ended { left, .. } => write!(f, "ended, {left} certificates match by now"),
            Self::Dropped => f.write_str("dropped before it began"),
        }
    }
}

/// A job, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    pub job: JobId,
    pub selector: String,
    pub reason: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<Timestamp>,
    pub count: u64,
    pub by: Actor,
    pub asked: At,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<At>,
    pub parts: u32,
    /// Parts that are done: the first ones.
    pub done: u32,
    pub revoked: u64,
    pub skipped: u64,
    /// The last part's commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advanced: Option<At>,
    pub lists: BTreeSet<ShardId>,
    pub samples: Vec<Sample>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Sample>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// The event that holds the proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<At>,
}

impl JobRow {
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && self.dropped.is_none()
    }
}

pub fn job(view: &dyn View, job: &JobId) -> Result<Option<JobRow>, StoreError> {
    get(view, JOB, job.as_bytes())
}

/// Every job, last asked first.
pub fn jobs(view: &dyn View) -> Result<Vec<JobRow>, StoreError> {
    let mut found: Vec<JobRow> = Vec::new();
    let mut bad = None;
    rows::scan_prefix(view, JOB, &[], false, &mut |_, value| match rows::parse(JOB, value) {
        Ok(row) => {
            found.push(row);
            ControlFlow::Continue(())
        }
        Err(error) => {
            bad = Some(error);
            ControlFlow::Break(())
        }
    })?;
    found.sort_by_key(|row| std::cmp::Reverse(row.asked.event));
    bad.map_or(Ok(found), Err)
}

/// One part of a job's list.
pub fn part(view: &dyn View, job: &JobId, part: u32) -> Result<Vec<Serial>, StoreError> {
    let bytes = view.get(JOB_LIST, &list_key(job, part))?;
    let bytes = bytes.ok_or_else(|| corrupt("a part of a job's list is missing"))?;
    let (serials, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(corrupt("a part of a job's list is no row of serial numbers"));
    }
    Ok(serials.iter().copied().map(Serial::from_bytes).collect())
}

/// What stands in the list's table when `done` parts of it are done.
pub fn progress(job: &JobId, done: u32) -> Expected {
    Expected { table: JOB_LIST, key: job.as_bytes().to_vec(), value: Some(done.to_be_bytes().to_vec()) }
}

fn list_key(job: &JobId, part: u32) -> Vec<u8> {
    [job.as_bytes().as_slice(), &part.to_be_bytes()].concat()
}

fn corrupt(reason: &str) -> StoreError {
    StoreError::Corrupt { table: JOB_LIST.0, reason: reason.to_owned() }
}

/// Whether a revocation for this reason changes anything: not of what has ended, nor a second hold.
pub fn can_change(row: &CertificateRow, reason: Reason, now: Timestamp) -> bool {
    let alive = now <= row.not_after;
    match row.status {
        Status::Good => alive,
        Status::Held => alive && reason != Reason::CertificateHold,
        Status::Revoked { .. } => false,
    }
}

/// What is done to the certificates of one part, and the step that says so.
pub fn advance(
    view: &dyn View,
    job: &JobRow,
    number: u32,
    serials: &[Serial],
    now: Timestamp,
) -> Result<Vec<Fact>, StoreError> {
    let cause = || Cause::Job { job: job.job };
    let mut facts = Vec::with_capacity(serials.len() + 1);
    let (mut skipped, mut lists, mut last) = (0, BTreeSet::new(), None);
    let mut kinds: BTreeMap<(CaName, u32, Option<ProfileName>), Sample> = BTreeMap::new();
    for serial in serials {
        let row = rows::certificate(view, serial)?.filter(|row| can_change(row, job.reason, now));
        let Some(row) = row else {
            skipped += 1;
            continue;
        };
        facts.push(match job.reason {
            Reason::CertificateHold => Fact::CertificateHeld { serial: *serial, cause: cause() },
            reason => Fact::CertificateRevoked {
                serial: *serial,
                reason,
                // What was issued later was never to be trusted: its own beginning says that (RFC 5280 section 5.3.2).
                invalid_since: job.invalid_since.map(|since| since.max(row.not_before)),
                cause: cause(),
            },
        });
        let sample = Sample::of(&row);
        lists.insert(row.shard_id());
        kinds.entry((sample.ca.clone(), sample.shard, sample.profile.clone())).or_insert(sample.clone());
        last = Some(sample);
    }
    let revoked = facts.len() as u64;
    let room = SAMPLES.saturating_sub(job.samples.len() + 1);
    let new = |sample: &Sample| !job.samples.iter().any(|known| known.is_of_the_kind_of(sample));
    let samples = kinds.into_values().filter(new).take(room).collect();
    let step = JobStep::Advanced { part: number, revoked, skipped, lists, samples, last };
    facts.push(Fact::RevocationJob(Box::new(JobEvent { job: job.job, step })));
    Ok(facts)
}

/// Writes what a step changed.
pub(super) fn apply(rows: &mut dyn Rows, at: At, actor: &Actor, event: &JobEvent) -> Result<(), StoreError> {
    let id = event.job.as_bytes();
    if let JobStep::Asked { selector, reason, invalid_since, count } = &event.step {
        let row = JobRow {
            job: event.job,
            selector: selector.clone(),
            reason: *reason,
            invalid_since: *invalid_since,
            count: *count,
            by: actor.clone(),
            asked: at,
            begun: None,
            parts: 0,
            done: 0,
            revoked: 0,
            skipped: 0,
            advanced: None,
            lists: BTreeSet::new(),
            samples: Vec::new(),
            last: None,
            left: None,
            ended: None,
            dropped: None,
        };
        return put(rows, JOB, id, &row);
    }
    if let JobStep::Listed { part, serials } = &event.step {
        let packed: Vec<u8> = serials.iter().flat_map(|serial| *serial.as_bytes()).collect();
        return rows.put(JOB_LIST, &list_key(&event.job, *part), &packed);
    }
    let mut row =
        job(rows, &event.job)?.ok_or_else(|| corrupt("an event speaks of a job that nobody asked for"))?;
    match &event.step {
        JobStep::Asked { .. } | JobStep::Listed { .. } => {}
        JobStep::Begun { parts } => {
            row.begun = Some(at);
            row.parts = *parts;
            rows.put(JOB_LIST, id, &0u32.to_be_bytes())?;
        }
        JobStep::Advanced { part, revoked, skipped, lists, samples, last } => {
            row.done = part + 1;
            rows.put(JOB_LIST, id, &row.done.to_be_bytes())?;
            row.revoked += revoked;
            row.skipped += skipped;
            row.advanced = Some(at);
            row.lists.extend(lists.iter().cloned());
            // Two parts that were decided at the same time may have the same in mind.
            for sample in samples {
                if row.samples.len() + 1 < SAMPLES
                    && !row.samples.iter().any(|it| it.is_of_the_kind_of(sample))
                {
                    row.samples.push(sample.clone());
                }
            }
            row.last = last.clone().or(row.last);
        }
        JobStep::Ended { left, .. } => {
            row.left = Some(*left);
            row.ended = Some(at);
        }
        JobStep::Dropped => row.dropped = Some(at),
    }
    put(rows, JOB, id, &row)
}
