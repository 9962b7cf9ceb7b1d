//! Which certificates a selector holds of, and what revoking them would stop; then the confirmed number of them as one job.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Authority;
use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use super::revoke_job::JobView;
use super::revoke_radius::{BlastRadius, OwnHit, Radius};
use crate::clock::Timestamp;
use crate::fleet::revoke_job::{self, JOB, JobStep, can_change};
use crate::fleet::selector::{self, Field, Found, Known, Selector, SelectorError};
use crate::fleet::{Fact, JobEvent, JobRow};
use crate::ids::{HolderId, JobId, Reason, Serial};
use crate::store::{Expected, StoreError, View};

/// As many certificates as one commit revokes. Measured: more gains little, and everybody else's commits wait longer.
const PART: usize = 1000;
/// The list itself is written faster, with fewer waits for the disk.
const PARTS_A_COMMIT: usize = 16;

/// Why many certificates are not revoked, or not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error("{0}")]
    Selector(#[from] SelectorError),
    #[error("nothing that can still be revoked matches: {selector}")]
    Nothing { selector: String },
    #[error(
        "{now} certificates match and not {confirmed}: look at them again with --dry-run, then confirm {now}; nothing was revoked"
    )]
    Count { confirmed: u64, now: u64 },
    #[error(
        "among what matches are {own}: leave them out with 'and device!=vitae', or revoke them alone with 'and \
         device=vitae'; nothing was revoked"
    )]
    Own { own: String },
    #[error("the certificates cannot be invalid since {since}: that is {why}")]
    InvalidSince { since: Timestamp, why: &'static str },
    #[error("there is no job {0}")]
    Unknown(JobId),
    #[error("the job {0} has no proof: {1}")]
    NoProof(JobId, &'static str),
}

/// What shall be revoked, all as one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobAsked {
    pub selector: String,
    pub reason: Reason,
    pub invalid_since: Option<Timestamp>,
    /// How many certificates that must be.
    pub confirm: u64,
}

/// What is to be selected, once it was understood.
#[derive(Clone)]
pub(super) struct Selection {
    pub(super) selector: Selector,
    pub(super) reason: Reason,
    /// It says that it means the authority's own certificates too.
    pub(super) names_own: bool,
}

impl Selection {
    /// Calls `each` with everything that would be revoked, and with what is our own and was not named.
    pub(super) fn each(
        &self,
        view: &dyn View,
        now: Timestamp,
        each: &mut dyn FnMut(Found<'_>, IsOwn) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        selector::select(view, &self.selector, now, &mut |found| {
            if !can_change(found.certificate, self.reason, now) {
                return Ok(ControlFlow::Continue(()));
            }
            let own = found.certificate.holder == HolderId::authority();
            Ok(each(found, IsOwn(own && !self.names_own)))
        })
    }

    pub(super) fn count(&self, view: &dyn View, now: Timestamp) -> Result<u64, StoreError> {
        let mut count = 0;
        self.each(view, now, &mut |_, is_own| {
            count += u64::from(!is_own.0);
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// All of it, 16 bytes for each; and what is our own.
    fn serials(&self, view: &dyn View, now: Timestamp) -> Result<(Vec<Serial>, Vec<OwnHit>), StoreError> {
        let (mut serials, mut own) = (Vec::new(), Vec::new());
        self.each(view, now, &mut |found, is_own| {
            if is_own.0 {
                OwnHit::add(&mut own, found.certificate);
            } else {
                serials.push(found.certificate.serial);
            }
            ControlFlow::Continue(())
        })?;
        // In the order of the tables they are found and changed fastest.
        serials.sort_unstable();
        Ok((serials, own))
    }
}

/// A certificate of the authority itself that the selector hits by the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct IsOwn(pub(super) bool);

impl Authority {
    /// What a selector holds of and what revoking that would stop. May look at every certificate there is.
    pub fn blast_radius(
        &self,
        operator: &Operator,
        selector: &str,
        reason: Option<Reason>,
    ) -> Result<BlastRadius, Failed<JobRefused>> {
        permit(operator, "certificate.read")?;
        let selection = self.selection(selector, reason.unwrap_or(Reason::Unspecified))?;
        let now = self.clock.now();
        let snapshot = self.snapshot()?;
        let mut radius = Radius::new(&self.config);
        selection.each(&*snapshot, now, &mut |found, is_own| {
            radius.add(found, is_own);
            ControlFlow::Continue(())
        })?;
        Ok(radius.finish(selection.selector.to_string(), now))
    }

    /// Begins a job, once the number is the one that was confirmed. It is done even if nobody waits for it and the process
    /// ends in between; [`Authority::work_off_jobs`] does it.
    pub async fn revoke_where(
        self: Arc<Self>,
        operator: Operator,
        asked: JobAsked,
    ) -> Result<JobView, Failed<JobRefused>> {
        permit(&operator, "certificate.revoke-many")?;
        let selection = self.selection(&asked.selector, asked.reason)?;
        if selection.names_own {
            permit(&operator, "ca.revoke")?;
        }
        if let Some(since) = asked.invalid_since {
            let why = if since > self.clock.now() {
                Some("in the future")
            } else if asked.reason == Reason::CertificateHold {
                Some("not said of a hold")
            } else {
                None
            };
            if let Some(why) = why {
                return Err(Failed::Refused(JobRefused::InvalidSince { since, why }));
            }
        }
        // A caller that goes away leaves no half of a list behind.
        let listing = tokio::spawn(async move { self.list(&operator, asked, selection).await });
        listing.await.map_err(|error| Failed::Unavailable(format!("the list was not made: {error}")))?
    }

    fn selection(&self, text: &str, reason: Reason) -> Result<Selection, Failed<JobRefused>> {
        let selector = Selector::parse(text, &self.known_names())
            .map_err(|error| Failed::Refused(JobRefused::Selector(error)))?;
        Ok(Selection::of(selector, reason))
    }

    /// The names that the policy gives, so that a misspelt one is told and does not select nothing.
    fn known_names(&self) -> Known {
        let config = &self.config;
        let stages = || config.lifecycle().stages().iter().map(|stage| stage.name().to_string());
        Known::default()
            .with(Field::Stage, stages())
            .with(Field::StageAtIssue, stages())
            .with(Field::Profile, config.profiles().iter().map(|profile| profile.name().to_string()))
            .with(Field::Issuer, self.cas().map(|ca| ca.name().to_string()))
            .with(Field::Maker, config.manufacturers().iter().map(|maker| maker.name().to_string()))
    }

    /// Fixes the list from one picture of the record. Until it is whole nobody is told that it will be worked off.
    async fn list(
        self: Arc<Self>,
        operator: &Operator,
        asked: JobAsked,
        selection: Selection,
    ) -> Result<JobView, Failed<JobRefused>> {
        let now = self.clock.now();
        let snapshot = self.snapshot()?;
        let selector = selection.selector.to_string();
        let found = blocking(move || selection.serials(&*snapshot, now)).await?;
        let (serials, own) = found?;
        if !own.is_empty() {
            return Err(Failed::Refused(JobRefused::Own { own: OwnHit::told(&own) }));
        }
        let count = serials.len() as u64;
        if count == 0 {
            return Err(Failed::Refused(JobRefused::Nothing { selector }));
        }
        if count != asked.confirm {
            return Err(Failed::Refused(JobRefused::Count { confirmed: asked.confirm, now: count }));
        }

        let job = JobId::generate(&*self.random);
        let _listing = self.jobs.listing(job);
        let actor = operator.actor();
        let JobAsked { reason, invalid_since, .. } = asked;
        let fact = |step| Fact::RevocationJob(Box::new(JobEvent { job, step }));
        let first = fact(JobStep::Asked { selector, reason, invalid_since, count });
        let absent = Expected { table: JOB, key: job.as_bytes().to_vec(), value: None };
        self.commit(&actor, vec![first], vec![absent], now).await?;
        let mut parts = 0;
        for some in serials.chunks(PART * PARTS_A_COMMIT) {
            let mut facts = Vec::new();
            for serials in some.chunks(PART) {
                facts.push(fact(JobStep::Listed { part: parts, serials: serials.to_vec() }));
                parts += 1;
            }
            self.commit(&actor, facts, Vec::new(), now).await?;
        }
        let row = self.snapshot()?.get(JOB, job.as_bytes())?;
        let as_it_was = Expected { table: JOB, key: job.as_bytes().to_vec(), value: row };
        self.commit(&actor, vec![fact(JobStep::Begun { parts })], vec![as_it_was], now).await?;
        tracing::info!(%job, count, %reason, "a job of revocation has begun");
        self.jobs.wake();
        let row = revoke_job::job(&*self.snapshot()?, &job)?;
        row.map(JobView::of).ok_or_else(|| Failed::Unavailable(format!("the job {job} is not in the record")))
    }
}

impl Selection {
    pub(super) fn of(selector: Selector, reason: Reason) -> Self {
        let names_own = selector.names(Field::Device, HolderId::authority().as_str());
        Self { selector, reason, names_own }
    }

    /// What a job was asked for, read from the record.
    pub(super) fn of_job(row: &JobRow) -> Result<Self, SelectorError> {
        Ok(Self::of(Selector::parse(&row.selector, &Known::default())?, row.reason))
    }
}

/// What looks at many rows: nobody else must wait for it.
pub(super) async fn blocking<T: Send + 'static, R>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failed<R>> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failed::Unavailable(format!("a search was not finished: {error}")))
}
