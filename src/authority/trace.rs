//! Tells a certificate's story and a device's life, from the events, now or as of any date.

use std::net::IpAddr;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::Authority;
use super::caller::{Operator, permit};
use super::error::Failed;
use super::query::{QueryRefused, entry_at};
use super::view::CertificateView;
use crate::clock::Timestamp;
use crate::fleet::rows::{self, At, CertificateRow, Device, EVENT_BY_HOLDER};
use crate::fleet::{Cause, Event, Fact, Proof, Succession, apply};
use crate::ids::{EventNumber, HolderId, MakerName, ProfileName, Serial, StageName};
use crate::ledger::entry::Entry;
use crate::store::memory::MemoryRows;
use crate::store::{StoreError, View};

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    pub event: EventNumber,
    pub time: Timestamp,
    /// Who acted.
    pub actor: String,
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
}

/// A certificate and everything that led to it and followed from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// `None`: now.
    pub as_of: Option<Timestamp>,
    pub certificate: CertificateView,
    pub issued: At,
    pub status_since: At,
    pub device: Option<TracedDevice>,
    /// How the holder proved who it is.
    pub proof: Proof,
    /// The authority made the key pair (serverkeygen).
    #[serde(default)]
    pub server_key: bool,
    /// Who or what allowed it.
    pub approved_by: Approval,
    /// The first certificate of this lineage: where renewals began.
    pub enrolment: Link,
    pub replaces: Option<Link>,
    pub replaced_by: Option<Link>,
    /// Everything that happened to this certificate.
    pub events: Vec<HistoryLine>,
}

/// The device of a certificate, then and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedDevice {
    pub id: HolderId,
    pub maker: MakerName,
    pub model: String,
    pub serial: String,
    pub stage_at_issue: Option<StageName>,
    pub stage_at_issue_since: Option<At>,
    pub owner_at_issue: Option<String>,
    pub stage_now: StageName,
    pub stage_now_since: At,
    pub owner_now: Option<String>,
}

/// Who or what allowed a certificate, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub who: String,
    pub how: String,
    pub at: At,
}

/// Another certificate of the same lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub serial: Serial,
    pub profile: Option<ProfileName>,
    pub at: At,
}

impl Authority {
    /// The story of one certificate, as it was known at `as_of`.
    pub fn trace(
        &self,
        operator: &Operator,
        serial: &Serial,
        as_of: Option<Timestamp>,
    ) -> Result<Trace, Failed<QueryRefused>> {
        permit(operator, "certificate.read")?;
        let snapshot = self.snapshot()?;
        let row = rows::certificate(&*snapshot, serial)?;
        let row = row.ok_or(Failed::Refused(QueryRefused::UnknownCertificate(*serial)))?;
        let entries = life_of(&*snapshot, &row.holder, as_of)?;
        match as_of {
            None => story(&*snapshot, row, &entries, None, self.clock.now()),
            Some(at) => {
                let then = replay(&entries)?;
                let row = rows::certificate(&then, serial)?;
                let row = row.ok_or_else(|| not_yet(format!("certificate {serial}"), at))?;
                story(&then, row, &entries, as_of, at)
            }
        }
    }

    /// The whole life of a device or identity, oldest event first.
    pub fn history(
        &self,
        operator: &Operator,
        id: &HolderId,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<HistoryLine>, Failed<QueryRefused>> {
        permit(operator, "device.read")?;
        let snapshot = self.snapshot()?;
        if rows::device(&*snapshot, id)?.is_none() && rows::identity(&*snapshot, id)?.is_none() {
            return Err(Failed::Refused(QueryRefused::UnknownHolder(id.clone())));
        }
        let entries = life_of(&*snapshot, id, as_of)?;
        match as_of {
            Some(at) if entries.is_empty() => Err(not_yet(id.to_string(), at)),
            _ => Ok(entries.iter().map(line).collect()),
        }
    }
}

fn not_yet(what: String, at: Timestamp) -> Failed<QueryRefused> {
    Failed::Refused(QueryRefused::NotYet { what, at })
}

/// Every event of a holder's life up to a moment, oldest first.
fn life_of(
    view: &dyn View,
    holder: &HolderId,
    until: Option<Timestamp>,
) -> Result<Vec<Entry<Event>>, StoreError> {
    let prefix = rows::key(&[holder.as_str().as_bytes(), b""]);
    let mut numbers = Vec::new();
    rows::scan_prefix(view, EVENT_BY_HOLDER, &prefix, false, &mut |key, _| {
        if let Ok(number) = <[u8; 8]>::try_from(&key[prefix.len()..]) {
            numbers.push(EventNumber(u64::from_be_bytes(number)));
        }
        ControlFlow::Continue(())
    })?;
    let mut entries = Vec::new();
    for number in numbers {
        let entry = entry_at(view, number)?;
        // The log's time never goes backwards, so everything behind is later too.
        if until.is_some_and(|until| entry.time > until) {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The tables as these events alone make them: a holder's rows depend on no other holder's events.
fn replay(entries: &[Entry<Event>]) -> Result<MemoryRows, StoreError> {
    let mut rows = MemoryRows::default();
    for entry in entries {
        apply::apply(&mut rows, At { event: entry.number, time: entry.time }, &entry.event)?;
    }
    Ok(rows)
}

fn story(
    view: &dyn View,
    row: CertificateRow,
    entries: &[Entry<Event>],
    as_of: Option<Timestamp>,
    now: Timestamp,
) -> Result<Trace, Failed<QueryRefused>> {
    let device = rows::device(view, &row.holder)?.map(|device| traced(device, &row, entries));
    let first = first_of_all(view, &row)?;
    let link = |serial: Option<Serial>| -> Result<Option<Link>, StoreError> {
        let Some(serial) = serial else { return Ok(None) };
        Ok(rows::certificate(view, &serial)?.map(|row| Link { serial, profile: row.profile, at: row.issued }))
    };
    Ok(Trace {
        as_of,
        device,
        approved_by: approval(&row, entries),
        enrolment: Link { serial: first.serial, profile: first.profile, at: first.issued },
        replaces: link(row.replaces)?,
        replaced_by: link(row.replaced_by)?,
        issued: row.issued,
        status_since: row.status_since,
        proof: row.proof.clone(),
        server_key: entries.iter().any(|entry| matches!(&entry.event.fact, Fact::CertificateIssued(issued) if issued.serial == row.serial && issued.server_key)),
        events: entries.iter().filter(|entry| concerns(&entry.event.fact, &row)).map(line).collect(),
        certificate: CertificateView::of(row, now),
    })
}

fn traced(device: Device, row: &CertificateRow, entries: &[Entry<Event>]) -> TracedDevice {
    let since = row.stage_event.and_then(|number| entries.iter().find(|entry| entry.number == number));
    TracedDevice {
        id: device.id,
        maker: device.maker,
        model: device.model,
        serial: device.serial,
        stage_at_issue: row.stage.clone(),
        stage_at_issue_since: since.map(|entry| At { event: entry.number, time: entry.time }),
        owner_at_issue: row.owner.clone(),
        stage_now: device.stage,
        stage_now_since: device.stage_since,
        owner_now: device.owner,
    }
}

fn first_of_all(view: &dyn View, row: &CertificateRow) -> Result<CertificateRow, StoreError> {
    let mut at = row.clone();
    while let Some(serial) = at.replaces {
        match rows::certificate(view, &serial)? {
            Some(older) => at = older,
            None => break,
        }
    }
    Ok(at)
}

/// An operator who approved the request, or the one who handed out the token; everything else is allowed by the policy on
/// record.
fn approval(row: &CertificateRow, entries: &[Entry<Event>]) -> Approval {
    if let Some(approved) = by_hand(row, entries) {
        return approved;
    }
    let by_policy = |how: &str| Approval { who: "policy".to_owned(), how: how.to_owned(), at: row.issued };
    match &row.proof {
        Proof::Token { token } => {
            let issued = entries
                .iter()
                .find(|entry| matches!(&entry.event.fact, Fact::TokenIssued { token: issued, .. } if issued == token));
            match issued {
                Some(entry) => Approval {
                    who: entry.event.actor.to_string(),
                    how: "one-time token".to_owned(),
                    at: At { event: entry.number, time: entry.time },
                },
                None => by_policy("one-time token"),
            }
        }
        Proof::BirthCertificate { serial } => {
            by_policy(&format!("profile x stage matrix, on the birth certificate {serial}"))
        }
        Proof::MakerCertificate { maker, .. } => {
            by_policy(&format!("profile x stage matrix, on a birth certificate of {maker}"))
        }
        Proof::CurrentCertificate { serial } => by_policy(&format!("renewal of {serial}")),
        Proof::RegistrationAuthority { ra, serial } => Approval {
            who: ra.to_string(),
            how: format!("registration authority within roles.toml, by its certificate {serial}"),
            at: row.issued,
        },
        Proof::Authority => by_policy("issued by the authority to itself"),
    }
}

fn by_hand(row: &CertificateRow, entries: &[Entry<Event>]) -> Option<Approval> {
    let wanted = row.approval?;
    entries.iter().find_map(|entry| match &entry.event.fact {
        Fact::ApprovalGranted { approval, reason, .. } if *approval == wanted => Some(Approval {
            who: entry.event.actor.to_string(),
            how: format!("approval {approval}{}", because(reason.as_ref())),
            at: At { event: entry.number, time: entry.time },
        }),
        _ => None,
    })
}

fn because(reason: Option<&String>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn concerns(fact: &Fact, row: &CertificateRow) -> bool {
    let serial = row.serial;
    match fact {
        Fact::CertificateIssued(issued) => issued.serial == serial || issued.replaces == Some(serial),
        Fact::CertificateRevoked { serial: about, .. }
        | Fact::CertificateHeld { serial: about, .. }
        | Fact::CertificateReleased { serial: about, .. }
        | Fact::CaCreated { serial: about, .. } => *about == serial,
        Fact::CloneSuspected { presented, current, .. } => *presented == serial || *current == serial,
        Fact::TokenIssued { token, .. } => {
            matches!(&row.proof, Proof::Token { token: spent } if spent == token)
        }
        Fact::ApprovalAsked { approval, .. } | Fact::ApprovalGranted { approval, .. } => {
            row.approval == Some(*approval)
        }
        _ => false,
    }
}

fn line(entry: &Entry<Event>) -> HistoryLine {
    HistoryLine {
        event: entry.number,
        time: entry.time,
        actor: entry.event.actor.to_string(),
        what: describe(&entry.event.fact),
        serial: match &entry.event.fact {
            Fact::CertificateIssued(issued) => Some(issued.serial),
            Fact::CertificateRevoked { serial, .. }
            | Fact::CertificateHeld { serial, .. }
            | Fact::CertificateReleased { serial, .. }
            | Fact::CaCreated { serial, .. }
            | Fact::CloneSuspected { presented: serial, .. } => Some(*serial),
            _ => None,
        },
    }
}

fn describe(fact: &Fact) -> String {
    let cause_of = |cause: &Cause| match cause {
        Cause::Command => String::new(),
        Cause::Move { transition } => format!(" by the move {transition}"),
        Cause::Superseded { by, how: Succession::FirstUse } => format!(": {by} was used"),
        Cause::Superseded { by, how: Succession::OverlapEnded } => {
            format!(": its overlap with {by} has ended")
        }
        Cause::Job { job } => format!(" by the job {job}"),
        Cause::Superseded { by, how: Succession::LostKey } => {
            format!(": it was never used, and {by} was asked for with another key")
        }
    };
    match fact {
        Fact::ConfigurationLoaded { digest } => format!("configuration {digest} loaded"),
        Fact::CaCreated { ca, .. } => format!("CA {ca} created"),
        Fact::DeviceRegistered { stage, owner, .. } => {
            format!(
                "registered at stage {stage}{}",
                owner.as_ref().map(|owner| format!(", owned by {owner}")).unwrap_or_default()
            )
        }
        Fact::DeviceMoved { transition, from, to, owner, reason, evidence, .. } => {
            let mut text = format!("moved from {from} to {to} ({transition})");
            for (word, value) in [("owner", owner), ("reason", reason), ("evidence", evidence)] {
                if let Some(value) = value {
                    text.push_str(&format!(", {word}: {value}"));
                }
            }
            text
        }
        Fact::IdentityRegistered { owner, purpose, .. } => {
            format!("registered, owned by {owner}, for: {purpose}")
        }
        Fact::TokenIssued { profile, expires, .. } => {
            format!("token for profile {profile} issued, good until {expires}")
        }
        Fact::TokenCancelled { .. } => "token cancelled".to_owned(),
        Fact::CertificateIssued(issued) => {
            let at = issued.stage.as_ref().map(|stage| format!(" at stage {stage}")).unwrap_or_default();
            let renewing = match (issued.replaces, &issued.proof) {
                (None, _) => String::new(),
                (Some(old), Proof::CurrentCertificate { .. }) => format!(", renewing {old}"),
                (Some(old), _) => format!(", in place of {old}"),
            };
            let late = issued.after_expiry.map(|end| format!(" (expired at {end})")).unwrap_or_default();
            let made = if issued.server_key { ", with a key that the authority made" } else { "" };
            let approved = issued.approval.map(|id| format!(", approved ({id})")).unwrap_or_default();
            format!(
                "certificate {} of profile {} issued{at}{renewing}{late}, {}{approved}{made}",
                issued.serial,
                issued.profile,
                by(&issued.proof)
            )
        }
        Fact::ApprovalAsked { approval, profile, proof, expires, .. } => {
            format!("asked for approval {approval} of profile {profile}, {}, until {expires}", by(proof))
        }
        Fact::ApprovalGranted { approval, profile, reason, .. } => {
            format!("approval {approval} of profile {profile} granted{}", because(reason.as_ref()))
        }
        Fact::ApprovalDenied { approval, profile, reason, .. } => {
            format!("approval {approval} of profile {profile} denied{}", because(Some(reason)))
        }
        Fact::ApprovalCancelled { approval, profile, reason, .. } => {
            format!("approval {approval} of profile {profile} cancelled{}", because(reason.as_ref()))
        }
        Fact::CertificateRevoked { serial, reason, invalid_since, cause } => {
            let since =
                invalid_since.map(|since| format!(", not to be trusted since {since}")).unwrap_or_default();
            format!("certificate {serial} revoked: {reason}{since}{}", cause_of(cause))
        }
        Fact::CertificateHeld { serial, cause } => {
            format!("certificate {serial} put on hold{}", cause_of(cause))
        }
        Fact::CertificateReleased { serial, cause } => {
            format!("certificate {serial} released{}", cause_of(cause))
        }
        Fact::EnrolmentRefused { profile, code, device, .. } => {
            let whose = device.as_ref().map(|device| format!(" of {device}")).unwrap_or_default();
            format!("request for profile {profile}{whose} refused: {code}")
        }
        Fact::CloneSuspected { presented, current, source, current_source, .. } => {
            let from = |source: &Option<IpAddr>| {
                source.map_or_else(|| "an unknown address".to_owned(), |source| source.to_string())
            };
            format!(
                "copy suspected: certificate {presented}, which {current} replaced, asked for another key from {}; {current} was asked for from {}",
                from(source),
                from(current_source)
            )
        }
        Fact::CrlPublished { ca, shard, number, entries, .. } => {
            format!("CRL {number} of {ca}, shard {shard}, published, {entries} entries")
        }
        Fact::DeltaCrlPublished { ca, shard, number, base, entries, .. } => {
            format!("delta CRL {number} of {ca}, shard {shard}, published on {base}, {entries} entries")
        }
        Fact::RevocationJob(event) => format!("revocation job {}: {}", event.job, event.step),
        Fact::FilterPublished { ca, number, covered, revoked, .. } => {
            format!(
                "revocation filter {number} of {ca} published, {revoked} of {covered} certificates revoked"
            )
        }
    }
}

fn by(proof: &Proof) -> String {
    match proof {
        Proof::BirthCertificate { serial } => format!("by birth certificate {serial}"),
        Proof::MakerCertificate { maker, .. } => format!("by a birth certificate of {maker}"),
        Proof::Token { .. } => "by one-time token".to_owned(),
        Proof::CurrentCertificate { .. } => "by the current certificate".to_owned(),
        Proof::RegistrationAuthority { ra, .. } => format!("by the registration authority {ra}"),
        Proof::Authority => "by the authority itself".to_owned(),
    }
}
