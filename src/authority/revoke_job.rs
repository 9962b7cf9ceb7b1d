//! Works off jobs that revoke many certificates: part by part, each once, from wherever the process before has ended.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Authority;
use super::caller::{Operator, permit};
use super::door::PublicDoor;
use super::error::Failed;
use super::revoke_where::JobRefused;
use super::transact::{ROUNDS, Tracked};
use crate::clock::Timestamp;
use crate::fleet::revoke_job::{self, JOB, JobStep};
use crate::fleet::{Actor, Fact, JobEvent, JobRow};
use crate::ids::{EventNumber, JobId, Reason, ShardId};
use crate::store::{CommitError, Committed, Expected, StoreError};

/// What could not be done is tried again after this long.
const AGAIN: Duration = Duration::from_secs(10);

/// The jobs of this process.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    listing: Mutex<BTreeSet<JobId>>,
    news: Notify,
}

impl Jobs {
    /// Until the guard goes, the list of this job is being made.
    pub(super) fn listing(&self, job: JobId) -> Listing<'_> {
        self.lists().insert(job);
        Listing { jobs: self, job }
    }

    pub(super) fn wake(&self) {
        self.news.notify_one();
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, BTreeSet<JobId>> {
        // A set of numbers is whole after any panic.
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Listing<'a> {
    jobs: &'a Jobs,
    job: JobId,
}

impl Drop for Listing<'_> {
    fn drop(&mut self) {
        self.jobs.lists().remove(&self.job);
    }
}

/// A job, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    pub job: JobId,
    pub status: JobStatus,
    pub selector: String,
    pub reason: Reason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_since: Option<Timestamp>,
    pub by: String,
    pub asked: Timestamp,
    pub event: EventNumber,
    /// Certificates on its list.
    pub count: u64,
    pub revoked: u64,
    /// Those that somebody else had revoked, or that had expired before their turn came.
    pub skipped: u64,
    /// The lists that carry it.
    pub lists: Vec<ShardId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Certificates that matched at its end though they did not when its list was made: issued or released meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStatus {
    /// Its list is being made: should the process end now, it will not be done.
    Listing,
    Running,
    /// Everything is revoked; the lists are published and the proof is made.
    Proving,
    Done,
    /// The process ended while its list was being made. It revoked nothing.
    Dropped,
}

impl std::fmt::Display for JobStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Listing => "listing",
            Self::Running => "running",
            Self::Proving => "proving",
            Self::Done => "done",
            Self::Dropped => "dropped",
        })
    }
}

impl JobView {
    pub(super) fn of(row: JobRow) -> Self {
        let status = match (row.dropped, row.ended, row.begun) {
            (Some(_), _, _) => JobStatus::Dropped,
            (None, Some(_), _) => JobStatus::Done,
            (None, None, None) => JobStatus::Listing,
            (None, None, Some(_)) if row.done < row.parts => JobStatus::Running,
            (None, None, Some(_)) => JobStatus::Proving,
        };
        Self {
            job: row.job,
            status,
            by: row.by.to_string(),
            selector: row.selector,
            reason: row.reason,
            invalid_since: row.invalid_since,
            asked: row.asked.time,
            event: row.asked.event,
            count: row.count,
            revoked: row.revoked,
            skipped: row.skipped,
            lists: row.lists.into_iter().collect(),
            ended: row.ended.or(row.dropped).map(|at| at.time),
            left: row.left,
        }
    }
}

/// A part that was handed to the store.
type Writing<'a> = Pin<Box<dyn Future<Output = Result<Committed, CommitError>> + Send + 'a>>;

/// A part that is decided and waits to be committed.
struct Prepared {
    facts: Vec<Fact>,
    expected: Vec<Expected>,
    now: Timestamp,
}

impl Authority {
    /// Every job, last asked first.
    pub fn revocation_jobs(&self, operator: &Operator) -> Result<Vec<JobView>, Failed<JobRefused>> {
        permit(operator, "certificate.read")?;
        Ok(revoke_job::jobs(&*self.snapshot()?)?.into_iter().map(JobView::of).collect())
    }

    pub fn revocation_job(&self, operator: &Operator, job: &JobId) -> Result<JobView, Failed<JobRefused>> {
        permit(operator, "certificate.read")?;
        let row = revoke_job::job(&*self.snapshot()?, job)?;
        row.map(JobView::of).ok_or(Failed::Refused(JobRefused::Unknown(*job)))
    }

    /// Does what jobs there are and what jobs there will be, and never ends. Those of the process before go on where it ended.
    pub async fn work_off_jobs(self: Arc<Self>, door: Arc<dyn PublicDoor>) {
        let mut running: JoinSet<JobId> = JoinSet::new();
        let mut taken = BTreeSet::new();
        loop {
            match self.open_jobs() {
                Ok(open) => {
                    for row in open {
                        if taken.insert(row.job) {
                            let (authority, door) = (Arc::clone(&self), Arc::clone(&door));
                            running.spawn(async move {
                                let job = row.job;
                                if let Err(error) = authority.work_off(row, &*door).await {
                                    tracing::error!(%job, %error, "a job of revocation stopped; it goes on in a moment");
                                    // Not at once: what failed has not got better yet.
                                    tokio::time::sleep(AGAIN).await;
                                }
                                job
                            });
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "the jobs of revocation cannot be read"),
            }
            tokio::select! {
                () = self.jobs.news.notified() => {}
                () = tokio::time::sleep(AGAIN) => {}
                Some(ended) = running.join_next() => match ended {
                    Ok(job) => {
                        taken.remove(&job);
                    }
                    Err(error) => {
                        tracing::error!(%error, "a job of revocation ended early");
                        // It is not known which: those that run are in the record as open, and taking one twice is held
                        // off by what its commits rely on.
                        taken.clear();
                    }
                }
            }
        }
    }

    fn open_jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        let listing = self.jobs.lists().clone();
        let jobs = revoke_job::jobs(&*self.snapshot()?)?;
        let open = |row: &JobRow| row.is_open() && !(row.begun.is_none() && listing.contains(&row.job));
        Ok(jobs.into_iter().filter(open).collect())
    }

    async fn work_off(self: Arc<Self>, row: JobRow, door: &dyn PublicDoor) -> Result<(), Failed<JobRefused>> {
        let job = row.job;
        if row.begun.is_none() {
            // The process that made its list has ended before anybody was told of it.
            self.commit(
                &row.by,
                vec![step(job, JobStep::Dropped)],
                vec![self.as_it_is(&job)?],
                self.clock.now(),
            )
            .await?;
            tracing::warn!(%job, "a job of revocation was dropped: its list was never whole");
            return Ok(());
        }
        let mut lost = 0;
        let row = loop {
            let row = revoke_job::job(&*self.snapshot()?, &job)?;
            let row = row.ok_or(Failed::Refused(JobRefused::Unknown(job)))?;
            if row.done >= row.parts {
                break row;
            }
            if lost == ROUNDS {
                return Err(Failed::Unavailable(format!("it lost {ROUNDS} races for the same rows")));
            }
            match self.advance(&row).await {
                Ok(()) => {}
                Err(CommitError::Conflict { .. }) => lost += 1,
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        };
        if row.is_open() { self.prove(row, door).await } else { Ok(()) }
    }

    /// Does the parts that are left, until somebody else changes one of their certificates: then the rest is to be decided
    /// anew. Always one part is being written, one waits behind it, and the next is being decided.
    async fn advance(self: &Arc<Self>, row: &JobRow) -> Result<(), CommitError> {
        let mut next = Some(self.prepare_part(row, row.done).await?);
        let mut written: Option<Writing<'_>> = None;
        let mut outcome = Ok(());
        for part in row.done..row.parts {
            let Some(Prepared { facts, expected, now }) = next.take() else { break };
            let mut waiting: Writing<'_> = Box::pin(self.commit(&row.by, facts, expected, now));
            // A commit is handed over when it is first polled, and the parts must come in their order.
            let early = tokio::select! {
                biased;
                committed = &mut waiting => Some(committed),
                () = std::future::ready(()) => None,
            };
            let prepared = async {
                if part + 1 < row.parts { Some(self.prepare_part(row, part + 1).await) } else { None }
            };
            let before = async {
                match written.take() {
                    Some(before) => before.await.map(|_| ()),
                    None => Ok(()),
                }
            };
            let (before, prepared) = tokio::join!(before, prepared);
            written = match early {
                Some(committed) => {
                    outcome = outcome.and(committed.map(|_| ()));
                    None
                }
                None => Some(waiting),
            };
            outcome = outcome.and(before);
            next = prepared.transpose()?;
            if outcome.is_err() {
                break;
            }
        }
        // What follows a part that was lost is lost, too: each relies on how many were done before.
        let last = match written {
            Some(last) => last.await.map(|_| ()),
            None => Ok(()),
        };
        outcome.and(last)
    }

    /// Decides a part on a snapshot of its own.
    async fn prepare_part(self: &Arc<Self>, row: &JobRow, part: u32) -> Result<Prepared, StoreError> {
        let (authority, row) = (Arc::clone(self), row.clone());
        let decided = tokio::task::spawn_blocking(move || {
            let now = authority.clock.now();
            let snapshot = authority.snapshot()?;
            let serials = revoke_job::part(&*snapshot, &row.job, part)?;
            let tracked = Tracked::new(&*snapshot);
            let facts = revoke_job::advance(&tracked, &row, part, &serials, now)?;
            let mut expected = vec![revoke_job::progress(&row.job, part)];
            expected.extend(tracked.into_expected());
            Ok(Prepared { facts, expected, now })
        });
        decided.await.map_err(|error| StoreError::Failed(format!("a part was not decided: {error}")))?
    }

    /// Ends the job, unless it has ended meanwhile.
    pub(super) async fn end_job(&self, row: &JobRow, ended: JobStep) -> Result<(), Failed<JobRefused>> {
        let as_it_is = self.as_it_is(&row.job)?;
        self.commit(&Actor::System, vec![step(row.job, ended)], vec![as_it_is], self.clock.now()).await?;
        Ok(())
    }

    fn as_it_is(&self, job: &JobId) -> Result<Expected, StoreError> {
        let value = self.snapshot()?.get(JOB, job.as_bytes())?;
        Ok(Expected { table: JOB, key: job.as_bytes().to_vec(), value })
    }
}

fn step(job: JobId, step: JobStep) -> Fact {
    Fact::RevocationJob(Box::new(JobEvent { job, step }))
}
