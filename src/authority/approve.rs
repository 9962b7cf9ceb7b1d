//! Approval by hand: puts requests before the operators, lists them, and records what operators say.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Authority;
use super::caller::{Operator, OperatorRefused, permit};
use super::enrol::EnrolRequest;
use super::error::Failed;
use super::query::{MAX_PAGE, QueryRefused, bad_cursor, page};
use super::view::Page;
use crate::clock::Timestamp;
use crate::fleet::approval::{self, ApprovalRefused, ApprovalStatus};
use crate::fleet::enrol::{Entry, Waiting};
use crate::fleet::rows::{self, APPROVAL, APPROVAL_BY_TIME, APPROVAL_UNDECIDED};
use crate::fleet::{Actor, ApprovalRow, Fact, Proof};
use crate::ids::{ApprovalId, Digest, EventNumber, HolderId, ProfileName, Serial};
use crate::store::{CommitError, Expected, Range, StoreError, View};

/// What a client is told whose request has to be approved first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingApproval {
    pub id: ApprovalId,
    pub expires: Timestamp,
    /// When to ask again; whole seconds.
    pub retry_after: Duration,
}

/// Why an operator's word was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApproveRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error(transparent)]
    Rules(#[from] ApprovalRefused),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalFilter {
    pub status: Option<ApprovalStatus>,
    pub device: Option<HolderId>,
    pub limit: Option<usize>,
    pub after: Option<String>,
}

/// A request that needs an approval, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalView {
    pub id: ApprovalId,
    pub device: HolderId,
    pub profile: ProfileName,
    pub status: ApprovalStatus,
    pub asked: Timestamp,
    pub asked_event: EventNumber,
    pub expires: Timestamp,
    /// SHA-256 of the requested subject public key info.
    pub key: Digest,
    /// The credential that asked.
    pub proof: Proof,
    pub source: Option<IpAddr>,
    pub decided: Option<Timestamp>,
    /// The operator who did.
    pub decided_by: Option<String>,
    pub reason: Option<String>,
    /// The certificate that was issued.
    pub serial: Option<Serial>,
}

impl ApprovalView {
    fn of(row: ApprovalRow, now: Timestamp) -> Self {
        Self {
            status: row.status_at(now),
            id: row.id,
            device: row.holder,
            profile: row.profile,
            asked: row.asked.time,
            asked_event: row.asked.event,
            expires: row.expires,
            key: row.key,
            proof: row.proof,
            source: row.source,
            decided: row.verdict.as_ref().map(|verdict| verdict.at.time),
            decided_by: row.verdict.as_ref().map(|verdict| verdict.by.to_string()),
            reason: row.verdict.and_then(|verdict| verdict.reason),
            serial: row.serial,
        }
    }
}

impl Authority {
    /// Puts a request before the operators, unless it waits there already.
    pub(super) async fn ask_approval(
        &self,
        request: EnrolRequest<'_>,
        waiting: &Waiting,
        mut expected: Vec<Expected>,
        now: Timestamp,
    ) -> Result<PendingApproval, CommitError> {
        let limits = self.config.server().limits();
        let Entry { id, expires } = match waiting.entry() {
            Some(entry) => entry,
            None => {
                let entry =
                    Entry { id: ApprovalId::generate(&*self.random), expires: now + limits.approval_expiry };
                expected.push(Expected { table: APPROVAL, key: entry.id.as_bytes().to_vec(), value: None });
                let grant = waiting.would_be();
                let fact = Fact::ApprovalAsked {
                    approval: entry.id,
                    holder: grant.holder().clone(),
                    profile: request.profile.name().clone(),
                    key: request.key.digest(),
                    proof: grant.proof().clone(),
                    expires: entry.expires,
                    source: request.source,
                };
                let actor = Actor::Holder { id: grant.asker().clone() };
                self.commit(&actor, vec![fact], expected, now).await?;
                entry
            }
        };
        Ok(PendingApproval { id, expires, retry_after: limits.approval_retry })
    }

    /// The client that asked may fetch its certificate, if the rules still allow it when it comes.
    pub async fn grant_approval(
        &self,
        operator: &Operator,
        id: &ApprovalId,
        reason: Option<&str>,
    ) -> Result<ApprovalView, Failed<ApproveRefused>> {
        self.say(operator, id, |row, now| approval::decide_grant(id, row, reason, now)).await
    }

    /// The client that asked is told the reason, until the request expires.
    pub async fn deny_approval(
        &self,
        operator: &Operator,
        id: &ApprovalId,
        reason: &str,
    ) -> Result<ApprovalView, Failed<ApproveRefused>> {
        self.say(operator, id, |row, now| approval::decide_deny(id, row, reason, now)).await
    }

    /// Takes a request off the record of what waits, whatever was decided: its holder may ask anew.
    pub async fn cancel_approval(
        &self,
        operator: &Operator,
        id: &ApprovalId,
        reason: Option<&str>,
    ) -> Result<ApprovalView, Failed<ApproveRefused>> {
        self.say(operator, id, |row, now| approval::decide_cancel(id, row, reason, now)).await
    }

    async fn say(
        &self,
        operator: &Operator,
        id: &ApprovalId,
        decide: impl Fn(Option<&ApprovalRow>, Timestamp) -> Result<Fact, ApprovalRefused>,
    ) -> Result<ApprovalView, Failed<ApproveRefused>> {
        permit(operator, "approval.decide")?;
        let (committed, ()) = self
            .transact(&operator.actor(), |view, now| {
                let row = rows::approval(view, id)?;
                let fact = decide(row.as_ref(), now).map_err(|why| Failed::Refused(why.into()))?;
                Ok((vec![fact], ()))
            })
            .await?;
        let row = rows::approval(&*self.snapshot()?, id)?.ok_or_else(|| missing(id))?;
        let view = ApprovalView::of(row, self.clock.now());
        tracing::info!(approval = %id, holder = %view.device, status = %view.status, event = %committed.first, "approval");
        Ok(view)
    }

    /// Newest first; `after` is the id of the last one of the page before.
    pub fn approvals(
        &self,
        operator: &Operator,
        filter: &ApprovalFilter,
    ) -> Result<Page<ApprovalView>, Failed<QueryRefused>> {
        permit(operator, "approval.read")?;
        let limit = filter.limit.unwrap_or(100).clamp(1, MAX_PAGE);
        let now = self.clock.now();
        let snapshot = self.snapshot()?;
        let end = filter.after.as_ref().map(|text| cursor(&*snapshot, text)).transpose()?;
        let table = match filter.status {
            Some(ApprovalStatus::Pending) => APPROVAL_UNDECIDED,
            _ => APPROVAL_BY_TIME,
        };
        let range = Range { from: &[], to: end.as_ref().map(<[u8; 8]>::as_slice), backwards: true };
        let mut found = Vec::new();
        let mut trouble = None;
        snapshot.scan(table, range, &mut |_, id| {
            match indexed(&*snapshot, id) {
                Ok(row) => {
                    let fits = filter.status.is_none_or(|status| row.status_at(now) == status)
                        && filter.device.as_ref().is_none_or(|device| row.holder == *device);
                    found.extend(fits.then(|| ApprovalView::of(row, now)));
                }
                Err(error) => trouble = Some(error),
            }
            // One more than the page holds tells whether there is a next one.
            if trouble.is_some() || found.len() > limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        match trouble {
            Some(error) => Err(error.into()),
            None => Ok(page(found, limit, |view| view.id.to_string())),
        }
    }
}

fn cursor(view: &dyn View, text: &str) -> Result<[u8; 8], Failed<QueryRefused>> {
    let id: ApprovalId = text.parse().map_err(|_| bad_cursor(text))?;
    let row = rows::approval(view, &id)?.ok_or_else(|| bad_cursor(text))?;
    Ok(row.asked.event.0.to_be_bytes())
}

fn indexed(view: &dyn View, id: &[u8]) -> Result<ApprovalRow, StoreError> {
    let id = <[u8; 8]>::try_from(id).map(ApprovalId::from_bytes).map_err(|_| StoreError::Corrupt {
        table: APPROVAL_BY_TIME.0,
        reason: "a row is not an id".to_owned(),
    })?;
    rows::approval(view, &id)?.ok_or_else(|| missing(&id))
}

fn missing(id: &ApprovalId) -> StoreError {
    StoreError::Corrupt { table: APPROVAL.0, reason: format!("approval {id} is indexed but missing") }
}
