//! Follows the record from an event on: every event once, in order, in pages read when they are asked for. Whoever is slow
//! delays nobody, because nothing is kept for it but a number.

mod telling;

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::Authority;
use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use crate::clock::Timestamp;
use crate::config::EVENT_KINDS;
use crate::fleet::Event;
use crate::ids::{CaName, Digest, EventNumber, HolderId, hex};
use crate::ledger::entry;
use crate::store::{EVENTS, Range, StoreError, View, event_key};

/// A page ends with so many events that were looked at,
const LOOKED_AT: u64 = 512;
/// or so many that are told.
const TOLD: usize = 128;

/// What stands before the kind of an event in `type`. CloudEvents asks for a prefix that tells producers apart and suggests
/// a domain name; this program is run under many and owns none.
const PREFIX: &str = "vitae.";

/// An event as it is told outside: CloudEvents 1.0, in the names of its JSON form. `source` and `id` together are unique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// "1.0".
    pub specversion: String,
    /// The number of the event in the record, in decimal.
    pub id: String,
    /// The record: `urn:vitae:log:` and the first half of the SHA-256 of its first entry, in hex.
    pub source: String,
    /// `vitae.` and the kind of the event, such as `vitae.certificate-revoked`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The serial number of the certificate, else the holder or CA that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub time: Timestamp,
    pub datacontenttype: String,
    pub data: Map<String, Value>,
}

impl CloudEvent {
    /// Its number in the record.
    pub fn number(&self) -> Option<EventNumber> {
        self.id.parse().ok().map(EventNumber)
    }
}

/// Which events are told; everything that is named must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedFilter {
    /// Of [`EVENT_KINDS`]; empty: all.
    pub kinds: Vec<String>,
    pub holder: Option<HolderId>,
    /// The CA that issued the certificate, or that the event is about.
    pub ca: Option<CaName>,
}

impl FeedFilter {
    /// Kinds separated by commas, with or without their prefix.
    pub fn parse_kinds(text: &str) -> Result<Vec<String>, FeedRefused> {
        let kinds = text.split(',').map(|kind| {
            let bare = kind.strip_prefix(PREFIX).unwrap_or(kind);
            let known = EVENT_KINDS.contains(&bare);
            known.then(|| bare.to_owned()).ok_or_else(|| FeedRefused::UnknownKind(kind.to_owned()))
        });
        kinds.collect()
    }

    fn takes_kind(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|known| known == kind)
    }

    fn takes(&self, data: &Map<String, Value>) -> bool {
        let is = |wanted: Option<&str>, names: &[&str]| {
            wanted
                .is_none_or(|wanted| names.iter().any(|name| data.get(*name).is_some_and(|it| it == wanted)))
        };
        is(self.holder.as_ref().map(HolderId::as_str), &[telling::HOLDER, telling::DEVICE])
            && is(self.ca.as_ref().map(CaName::as_str), &[telling::ISSUER, telling::CA])
    }
}

/// Why the record is not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error("there is no event type '{0}': known are {known}", known = EVENT_KINDS.join(", "))]
    UnknownKind(String),
    #[error("there is no CA {0}")]
    UnknownCa(CaName),
    #[error(
        "the record has {has} events, so event {asked} is not known here: whoever has seen it followed another record, or this one before it was restored from an older backup; begin anew with from=0"
    )]
    NotYet { asked: u64, has: u64 },
    #[error(
        "{0} streams of events are open, which is as many as max-event-streams allows: close one, or try again later"
    )]
    TooMany(usize),
}

/// A place in the record, and what is told from there on.
pub struct Feed {
    authority: Arc<Authority>,
    filter: FeedFilter,
    source: Arc<str>,
    next: EventNumber,
    head: watch::Receiver<EventNumber>,
    /// Held as long as this lives.
    _place: Option<OwnedSemaphorePermit>,
}

impl Authority {
    /// From the event `from` on; without it, from the next one that is recorded.
    pub fn feed(
        self: &Arc<Self>,
        operator: &Operator,
        filter: FeedFilter,
        from: Option<EventNumber>,
    ) -> Result<Feed, Failed<FeedRefused>> {
        self.may_follow(operator).map_err(|failed| failed.map(FeedRefused::Operator))?;
        if let Some(ca) = filter.ca.as_ref().filter(|ca| self.ca(ca).is_none()) {
            return Err(Failed::Refused(FeedRefused::UnknownCa(ca.clone())));
        }
        let most = self.config.server().limits().max_event_streams;
        let place = Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| Failed::Refused(FeedRefused::TooMany(most)))?;
        let head = *self.store.head().borrow();
        match from {
            Some(from) if from > head => {
                Err(Failed::Refused(FeedRefused::NotYet { asked: from.0, has: head.0 }))
            }
            from => Ok(self.feed_from(filter, from.unwrap_or(head), Some(place))?),
        }
    }

    /// Whoever follows is asked anew now and then: a stream must not outlive the certificate that opened it.
    pub fn may_follow(&self, operator: &Operator) -> Result<(), Failed<OperatorRefused>> {
        permit(operator, "events.read")
    }

    pub(super) fn feed_from(
        self: &Arc<Self>,
        filter: FeedFilter,
        next: EventNumber,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Feed, StoreError> {
        let source = self.log_source()?.into();
        let (authority, head) = (Arc::clone(self), self.store.head());
        Ok(Feed { authority, filter, source, next, head, _place: place })
    }

    /// What tells this record from every other: its first entry made the first CA, whose serial number is random.
    pub(super) fn log_source(&self) -> Result<String, StoreError> {
        let first = self.snapshot()?.get(EVENTS, &event_key(EventNumber(0)))?.unwrap_or_default();
        Ok(format!("urn:vitae:log:{}", hex(&Digest::of(&first).as_bytes()[..16])))
    }
}

impl Feed {
    /// The event that will be looked at next: all before it have been told, or were not asked for.
    pub fn next(&self) -> EventNumber {
        self.next
    }

    /// How far the record has come.
    pub fn head(&self) -> EventNumber {
        *self.head.borrow()
    }

    /// Whether everything that is recorded has been looked at.
    pub fn is_at_head(&self) -> bool {
        self.next >= self.head()
    }

    /// Ends when there is something to look at. Whoever stops waiting loses nothing.
    pub async fn wait(&mut self) {
        let next = self.next;
        // The store is gone with the authority, which this holds.
        let _ = self.head.wait_for(|head| *head > next).await;
    }

    /// The next events, at most a page of them. None: nothing there was asked for, or there is nothing yet.
    pub async fn page(&mut self) -> Result<Vec<CloudEvent>, StoreError> {
        let (authority, source) = (Arc::clone(&self.authority), Arc::clone(&self.source));
        let (filter, from) = (self.filter.clone(), self.next);
        let read = move || read(&*authority.snapshot()?, &source, &filter, from);
        let (told, next) = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| StoreError::Failed(format!("a page of events was not read: {error}")))??;
        self.next = next;
        Ok(told)
    }
}

/// The events from `from` on that fit, and the number of the one to look at next.
fn read(
    view: &dyn View,
    source: &str,
    filter: &FeedFilter,
    from: EventNumber,
) -> Result<(Vec<CloudEvent>, EventNumber), StoreError> {
    let (mut told, mut next, mut trouble) = (Vec::new(), from, None);
    let (first, end) = (event_key(from), event_key(EventNumber(from.0.saturating_add(LOOKED_AT))));
    let page = Range { from: &first, to: Some(&end), backwards: false };
    view.scan(EVENTS, page, &mut |_, bytes| {
        match tell(view, source, filter, bytes) {
            Ok(event) => told.extend(event),
            Err(error) => {
                trouble = Some(error);
                return ControlFlow::Break(());
            }
        }
        next = EventNumber(next.0 + 1);
        if told.len() < TOLD { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    trouble.map_or(Ok((told, next)), Err)
}

fn tell(
    view: &dyn View,
    source: &str,
    filter: &FeedFilter,
    bytes: &[u8],
) -> Result<Option<CloudEvent>, StoreError> {
    let entry = entry::decode::<Event>(bytes)
        .map_err(|error| StoreError::Corrupt { table: EVENTS.0, reason: error.to_string() })?;
    let kind = entry.event.fact.kind();
    if !filter.takes_kind(kind) {
        return Ok(None);
    }
    let telling = telling::of(view, &entry.event)?;
    Ok(filter.takes(&telling.data).then(|| CloudEvent {
        specversion: "1.0".to_owned(),
        id: entry.number.0.to_string(),
        source: source.to_owned(),
        kind: format!("{PREFIX}{kind}"),
        subject: telling.subject,
        time: entry.time,
        datacontenttype: "application/json".to_owned(),
        data: telling.data,
    }))
}
