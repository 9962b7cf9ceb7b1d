//! What is told of an event: enough to act on it, and nothing that is nobody's business. Each field is chosen here, so a
//! field that an event gains one day is not told by itself. Never told: digests of tokens, addresses, names of operators,
//! and the texts that people write. What is told of an event never changes, whatever happens afterwards.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::authority::query::issued_der;
use crate::fleet::rows;
use crate::fleet::{Actor, Cause, Event, Fact, JobEvent, JobStep, Proof};
use crate::ids::{Digest, Serial};
use crate::pki::certificate::Certificate;
use crate::store::{EVENTS, StoreError, View};

/// The fields that filters look at.
pub(super) const HOLDER: &str = "holder";
pub(super) const DEVICE: &str = "device";
pub(super) const ISSUER: &str = "issuer";
pub(super) const CA: &str = "ca";

/// What an event is about, and what is told of it.
pub(super) struct Telling {
    pub(super) subject: Option<String>,
    pub(super) data: Map<String, Value>,
}

impl Telling {
    fn about(subject: impl ToString) -> Self {
        Self { subject: Some(subject.to_string()), data: Map::new() }
    }

    fn say(&mut self, name: &str, value: &impl Serialize) {
        // Names, numbers and times all have a JSON form.
        self.data.insert(name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null));
    }

    fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        self.say(name, value);
        self
    }

    fn maybe(self, name: &str, value: Option<&impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

pub(super) fn of(view: &dyn View, event: &Event) -> Result<Telling, StoreError> {
    let (actor, role) = match &event.actor {
        Actor::System => ("authority", None),
        Actor::Operator { role, .. } => ("operator", Some(role)),
        Actor::Holder { .. } => ("holder", None),
    };
    Ok(fact(view, &event.fact)?.with("actor", &actor).maybe("role", role))
}

fn fact(view: &dyn View, fact: &Fact) -> Result<Telling, StoreError> {
    Ok(match fact {
        Fact::ConfigurationLoaded { digest } => {
            Telling { subject: None, data: Map::new() }.with("digest", digest)
        }
        Fact::CaCreated { ca, issuer, serial, key, not_before, not_after, certificate } => Telling::about(ca)
            .with(CA, ca)
            .maybe(ISSUER, issuer.as_ref())
            .with("serial", serial)
            .with("key", key)
            .with("fingerprint", &Digest::of(&certificate.0))
            .with("not_before", not_before)
            .with("not_after", not_after),
        Fact::DeviceRegistered { device, maker, model, serial, udi_di, site, lot, owner, stage, marks } => {
            Telling::about(device)
                .with(DEVICE, device)
                .with("maker", maker)
                .with("model", model)
                .with("device_serial", serial)
                .maybe("udi_di", udi_di.as_ref())
                .maybe("site", site.as_ref())
                .maybe("lot", lot.as_ref())
                .maybe("owner", owner.as_ref())
                .with("stage", stage)
                .with("marks", marks)
        }
        Fact::DeviceMoved { device, transition, from, to, marks, owner, .. } => Telling::about(device)
            .with(DEVICE, device)
            .with("transition", transition)
            .with("from", from)
            .with("to", to)
            .with("marks", marks)
            .maybe("owner", owner.as_ref()),
        Fact::IdentityRegistered { identity, identity_kind, maker, .. } => Telling::about(identity)
            .with(HOLDER, identity)
            .with("kind", identity_kind)
            .maybe("maker", maker.as_ref()),
        Fact::TokenIssued { holder, profile, expires, .. } => {
            Telling::about(holder).with(HOLDER, holder).with("profile", profile).with("expires", expires)
        }
        Fact::TokenCancelled { holder, .. } => Telling::about(holder).with(HOLDER, holder),
        Fact::ApprovalAsked { approval, holder, profile, key, expires, .. } => Telling::about(holder)
            .with(HOLDER, holder)
            .with("profile", profile)
            .with("approval", approval)
            .with("key", key)
            .with("expires", expires),
        Fact::ApprovalGranted { approval, holder, profile, .. }
        | Fact::ApprovalDenied { approval, holder, profile, .. }
        | Fact::ApprovalCancelled { approval, holder, profile, .. } => {
            Telling::about(holder).with(HOLDER, holder).with("profile", profile).with("approval", approval)
        }
        Fact::CertificateIssued(issued) => {
            let by = match &issued.proof {
                Proof::RegistrationAuthority { ra, .. } => Some(ra),
                _ => None,
            };
            certificate(view, &issued.serial)?
                .maybe("stage", issued.stage.as_ref())
                .maybe("replaces", issued.replaces.as_ref())
                .maybe("enrolled_by", by)
        }
        Fact::CertificateRevoked { serial, reason, invalid_since, cause } => certificate(view, serial)?
            .with("reason", reason)
            .maybe("invalid_since", invalid_since.as_ref())
            .because(cause),
        Fact::CertificateHeld { serial, cause } | Fact::CertificateReleased { serial, cause } => {
            certificate(view, serial)?.because(cause)
        }
        Fact::EnrolmentRefused { holder, profile, code, device, .. } => Telling::about(holder)
            .with(HOLDER, holder)
            .with("profile", profile)
            .with("code", code)
            .maybe(DEVICE, device.as_ref()),
        Fact::CloneSuspected { holder, profile, presented, current, .. } => Telling::about(holder)
            .with(HOLDER, holder)
            .with("profile", profile)
            .with("presented", presented)
            .with("current", current),
        Fact::CrlPublished {
            ca, shard, number, this_update, next_update, entries, covers, digest, ..
        } => Telling::about(ca)
            .with(CA, ca)
            .with("shard", shard)
            .with("number", number)
            .with("this_update", this_update)
            .with("next_update", next_update)
            .with("entries", entries)
            .with("covers", covers)
            .with("digest", digest),
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
        } => Telling::about(ca)
            .with(CA, ca)
            .with("shard", shard)
            .with("number", number)
            .with("base", base)
            .with("this_update", this_update)
            .with("next_update", next_update)
            .with("entries", entries)
            .with("covers", covers)
            .with("digest", digest),
        Fact::RevocationJob(event) => job(event),
        Fact::FilterPublished {
            ca,
            number,
            this_update,
            next_update,
            covered_to,
            events,
            covered,
            revoked,
            digest,
        } => Telling::about(ca)
            .with(CA, ca)
            .with("number", number)
            .with("this_update", this_update)
            .with("next_update", next_update)
            .with("covered_to", covered_to)
            .with("events", events)
            .with("covered", covered)
            .with("revoked", revoked)
            .with("digest", digest),
    })
}

/// How far a job has come; each certificate that it revokes is an event of its own.
fn job(JobEvent { job, step }: &JobEvent) -> Telling {
    let told = |step: &str| Telling::about(job).with("job", job).with("step", &step);
    match step {
        JobStep::Asked { reason, count, .. } => told("asked").with("reason", reason).with("count", count),
        JobStep::Listed { part, .. } => told("listed").with("part", part),
        JobStep::Begun { parts } => told("begun").with("parts", parts),
        JobStep::Advanced { part, revoked, skipped, .. } => {
            told("advanced").with("part", part).with("revoked", revoked).with("skipped", skipped)
        }
        JobStep::Ended { left, .. } => told("ended").with("left", left),
        JobStep::Dropped => told("dropped"),
    }
}

impl Telling {
    fn because(self, cause: &Cause) -> Self {
        match cause {
            Cause::Command => self.with("cause", &"command"),
            Cause::Move { transition } => self.with("cause", &"move").with("transition", transition),
            Cause::Job { job } => self.with("cause", &"job").with("job", job),
            // Its holder goes on with the successor, so nobody has to be cut off.
            Cause::Superseded { by, how } => {
                self.with("cause", &"superseded").with("superseded_by", by).with("how", how)
            }
        }
    }
}

/// A certificate by everything that brokers and gateways know their clients by.
fn certificate(view: &dyn View, serial: &Serial) -> Result<Telling, StoreError> {
    let corrupt = |table: &'static str, reason: String| StoreError::Corrupt { table, reason };
    let row = rows::certificate(view, serial)?.ok_or_else(|| {
        corrupt(rows::CERTIFICATE.0, format!("an event speaks of {serial}, which is missing"))
    })?;
    let parsed = Certificate::from_der(&issued_der(view, &row)?)
        .map_err(|error| corrupt(EVENTS.0, error.to_string()))?;
    let (uris, dns_names): (Vec<&str>, Vec<&str>) = (parsed.uris().collect(), parsed.dns_names().collect());
    Ok(Telling::about(serial)
        .with("serial", serial)
        .with(ISSUER, &row.ca)
        .maybe("profile", row.profile.as_ref())
        .with(HOLDER, &row.holder)
        .with("not_before", &row.not_before)
        .with("not_after", &row.not_after)
        .with("fingerprint", &row.fingerprint)
        .with("key", &row.key)
        .with("subject", &parsed.subject().to_string())
        .maybe("common_name", parsed.common_name().as_ref())
        .maybe("serial_number", parsed.subject_serial_number().as_ref())
        .with("uris", &uris)
        .with("dns_names", &dns_names))
}
