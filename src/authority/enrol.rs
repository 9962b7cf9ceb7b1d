//! Enrols and renews: from a verified request to a certificate that is durably recorded.

use std::net::IpAddr;
use std::time::Duration;

use super::Authority;
use super::approve::PendingApproval;
use super::ca::IssuingCa;
use super::error::Failed;
use super::identity::{self, GrantedNames};
use super::issue::{self, Content, Signed};
use super::query::entry_at;
use super::quota::Place;
use super::transact::{ROUNDS, Tracked};
use crate::clock::Timestamp;
use crate::config::{Issuer, Profile, Renewal, SubjectKey};
use crate::fleet::enrol::{
    self, Ask, Bindings, Class, Credentials, Decision, EnrolError, Grant, Refusal, Waiting,
};
use crate::fleet::rows::{self, CERTIFICATE, Status};
use crate::fleet::window::Window;
use crate::fleet::{Actor, Der, Fact, Issuance, Proof};
use crate::ids::{EventNumber, HolderId, Serial};
use crate::pki::certificate::Certificate;
use crate::pki::csr::Requested;
use crate::pki::key::{PublicKey, PublicKeyKind};
use crate::store::{CommitError, Committed, Expected, StoreError, View};

/// A device that keeps asking for what it may not have is recorded once in this time, so it cannot fill the log.
pub(super) const SAME_REFUSAL_AGAIN: Duration = Duration::from_secs(3600);

/// A request for a certificate.
#[derive(Clone, Copy, Debug)]
pub struct EnrolRequest<'a> {
    pub profile: &'a Profile,
    /// simplereenroll, not simpleenroll.
    pub renewal: bool,
    pub requested: &'a Requested,
    /// The key to certify; whoever asks has shown to hold it, or the authority has made it.
    pub key: &'a PublicKey,
    pub credentials: &'a Credentials,
    /// Of the connection that the request came on; its challengePassword is held against them.
    pub bindings: &'a Bindings,
    /// The authority has made the key pair.
    pub server_key: bool,
    /// The address that the request came from, for the record.
    pub source: Option<IpAddr>,
}

/// A certificate that is in the record. Only a commit makes one, or the record itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    serial: Serial,
    certificate: Vec<u8>,
    event: EventNumber,
}

impl Issued {
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The event that issued it.
    pub fn event(&self) -> EventNumber {
        self.event
    }
}

/// What comes of a request that is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Issued(Issued),
    /// An operator has to approve it first (RFC 7030 section 4.2.3).
    Pending(PendingApproval),
}

impl Outcome {
    /// The certificate, where nothing has to be waited for.
    pub fn issued(self) -> Option<Issued> {
        match self {
            Self::Issued(issued) => Some(issued),
            Self::Pending(_) => None,
        }
    }
}

impl Authority {
    /// Gives the certificate that was asked for, or says who has to approve it first, or why not. Nothing is changed by a
    /// refusal but its own record.
    pub async fn enrol(&self, request: EnrolRequest<'_>) -> Result<Outcome, Failed<Refusal>> {
        let result = self.enrol_unrecorded(request).await;
        let profile = request.profile.name();
        match &result {
            Ok(Outcome::Issued(issued)) => {
                tracing::info!(serial = %issued.serial, %profile, event = %issued.event, "issued");
            }
            Ok(Outcome::Pending(pending)) => {
                tracing::info!(approval = %pending.id, %profile, "waits for approval");
            }
            Err(Failed::Refused(refusal)) => {
                let holder = refusal.proven_holder().map(tracing::field::display);
                match refusal.class() {
                    // However often it comes: what is shed is counted.
                    Class::Later => tracing::debug!(code = refusal.code(), %profile, holder, "refused"),
                    _ => tracing::info!(code = refusal.code(), %profile, holder, "refused"),
                }
                self.record_refusal(request.profile, request.source, request.credentials, refusal).await;
            }
            // The door that answers it tells the log.
            Err(Failed::Unavailable(_)) => {}
        }
        result
    }

    async fn enrol_unrecorded(&self, request: EnrolRequest<'_>) -> Result<Outcome, Failed<Refusal>> {
        for round in 0..ROUNDS {
            let now = self.clock.now();
            let committed = match self.decide(request, now)? {
                Decided::Repeat(issued) => return Ok(Outcome::Issued(issued)),
                Decided::Issue(grant, expected) => {
                    let names = check_granted(request, &grant)?;
                    let place = self.within_quota(&grant, now)?;
                    // The last thing to stand in the way: what is refused for another reason was not given. A key that
                    // the authority made was counted before it cost anything.
                    if round == 0 && !request.server_key {
                        self.admission.count(grant.holder(), now).map_err(Failed::Refused)?;
                    }
                    let signed = self.sign_granted(request, &grant, names, now).await?;
                    self.record(request, *grant, signed, expected, now, place).await.map(Outcome::Issued)
                }
                Decided::Wait(waiting, expected) => {
                    check_granted(request, waiting.would_be())?;
                    // The place is for the certificate: whoever waits for an operator keeps none.
                    self.within_quota(waiting.would_be(), now)?;
                    self.ask_approval(request, &waiting, expected, now).await.map(Outcome::Pending)
                }
            };
            match committed {
                Ok(outcome) => return Ok(outcome),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Failed::Unavailable(format!("lost {ROUNDS} races for the same rows")))
    }

    fn decide(&self, request: EnrolRequest<'_>, now: Timestamp) -> Result<Decided, Failed<Refusal>> {
        let snapshot = self.snapshot()?;
        let view = Tracked::new(&*snapshot);
        let subject = identity::named(request.requested);
        let ask = Ask {
            profile: request.profile,
            renewal: request.renewal,
            key: request.key.digest(),
            server_key: request.server_key,
            subject: &subject,
            credentials: request.credentials,
            challenge: request.requested.challenge_password(),
            bindings: request.bindings,
        };
        let decision = enrol::decide(&view, &self.config, &ask, now).map_err(|error| match error {
            EnrolError::Refused(refusal) => Failed::Refused(refusal),
            EnrolError::Store(error) => error.into(),
        })?;
        match decision {
            Decision::Repeat(serial) => Ok(Decided::Repeat(self.recall(&view, serial)?)),
            Decision::Issue(grant) => {
                self.check_issuer(&view, request.profile)?;
                self.check_renewed_names(&view, request.requested, &grant)?;
                Ok(Decided::Issue(grant, view.into_expected()))
            }
            Decision::Wait(waiting) => {
                self.check_issuer(&view, request.profile)?;
                Ok(Decided::Wait(waiting, view.into_expected()))
            }
        }
    }

    /// Takes an issued certificate out of the record again.
    fn recall<R>(&self, view: &dyn View, serial: Serial) -> Result<Issued, Failed<R>> {
        let row = rows::certificate(view, &serial)?.ok_or_else(|| StoreError::Corrupt {
            table: CERTIFICATE.0,
            reason: format!("certificate {serial} is indexed but missing"),
        })?;
        let certificate = self.certificate_der(view, &row)?;
        Ok(Issued { serial, certificate, event: row.issued.event })
    }

    pub(super) fn check_renewed_names(
        &self,
        view: &dyn View,
        requested: &Requested,
        grant: &Grant,
    ) -> Result<(), Failed<Refusal>> {
        let Proof::CurrentCertificate { serial } = grant.proof() else { return Ok(()) };
        let current = self.recall(view, *serial)?;
        let current = Certificate::from_der(current.certificate()).map_err(own_fault)?;
        identity::check_renewal(requested, grant.holder(), &current)
    }

    async fn sign_granted(
        &self,
        request: EnrolRequest<'_>,
        grant: &Grant,
        names: GrantedNames,
        now: Timestamp,
    ) -> Result<Signed, Failed<Refusal>> {
        let profile = request.profile;
        let content = Content {
            profile,
            model: grant.model(),
            subject: names.subject,
            alt_names: names.alt_names,
            key: request.key,
        };
        self.sign(self.issuer_of(profile)?, content, now).await
    }

    fn issuer_of<R>(&self, profile: &Profile) -> Result<&IssuingCa, Failed<R>> {
        let ca = match profile.ca() {
            Issuer::One(name) => self.ca(name),
            Issuer::Every => None,
        };
        ca.ok_or_else(|| Failed::Unavailable(format!("profile {} has no CA of its own", profile.name())))
    }

    /// What a revoked CA signs is good for nobody, up to its root.
    pub(super) fn check_issuer<R>(&self, view: &dyn View, profile: &Profile) -> Result<(), Failed<R>> {
        let mut above = Some(self.issuer_of(profile)?);
        while let Some(ca) = above {
            let row = ca.serial().map(|serial| rows::certificate(view, &serial)).transpose()?.flatten();
            if row.is_none_or(|row| row.status != Status::Good) {
                return Err(Failed::Unavailable(format!("the CA {} was revoked or is on hold", ca.name())));
            }
            above = ca.settings().issuer().and_then(|issuer| self.ca(issuer));
        }
        Ok(())
    }

    async fn record(
        &self,
        request: EnrolRequest<'_>,
        grant: Grant,
        signed: Signed,
        mut expected: Vec<Expected>,
        now: Timestamp,
        place: Option<Place>,
    ) -> Result<Issued, CommitError> {
        expected.push(Expected { table: CERTIFICATE, key: signed.serial.as_bytes().to_vec(), value: None });
        let ca = match request.profile.ca() {
            Issuer::One(name) => name.clone(),
            Issuer::Every => return Err(StoreError::Failed("a profile without a CA".to_owned()).into()),
        };
        let issuance = Issuance {
            serial: signed.serial,
            ca,
            profile: request.profile.name().clone(),
            profile_version: request.profile.digest(),
            holder: grant.holder().clone(),
            stage: grant.stage().map(|(stage, _)| stage.clone()),
            stage_event: grant.stage().map(|(_, event)| *event),
            owner: grant.owner().map(str::to_owned),
            proof: grant.proof().clone(),
            approval: grant.approval(),
            replaces: grant.replaces(),
            overlap_ends: grant
                .replaces()
                .and(request.profile.renewal())
                .and_then(Renewal::overlap)
                .map(|overlap| now + overlap),
            after_expiry: grant.after_expiry(),
            not_before: signed.not_before,
            not_after: signed.not_after,
            renew: request
                .profile
                .renewal()
                .map(|renewal| Window::of(renewal, &signed.serial, signed.not_before, signed.not_after)),
            key: request.key.digest(),
            shard: signed.shard,
            source: request.source,
            server_key: request.server_key,
            certificate: Der(signed.der.clone()),
        };
        let actor = Actor::Holder { id: grant.asker().clone() };
        let mut facts = vec![Fact::CertificateIssued(Box::new(issuance))];
        facts.extend(grant.ends().iter().map(|ending| ending.fact(signed.serial)));
        let Committed { first, .. } = self.commit_in(&actor, facts, expected, now, place).await?;
        Ok(Issued { serial: signed.serial, certificate: signed.der, event: first })
    }

    /// Keeps the refusal of a holder that has proven who it is. Strangers leave no trace: they could fill the disk (B54).
    pub(super) async fn record_refusal(
        &self,
        profile: &Profile,
        source: Option<IpAddr>,
        credentials: &Credentials,
        refusal: &Refusal,
    ) {
        if let Refusal::CloneSuspected(suspicion) = refusal {
            return self.record_suspicion(suspicion, source).await;
        }
        let Some(holder) = refusal.proven_holder() else { return };
        // A device that a registration authority asked for has done nothing itself. Without an answer, it counts as the one.
        let ra = self.registration_authority(credentials).ok().flatten();
        let actor = Actor::Holder { id: ra.unwrap_or_else(|| holder.clone()) };
        let recorded = self
            .transact(&actor, |view, now| {
                let last = match rows::device(view, holder)? {
                    Some(device) => device.last_refusal,
                    None => rows::identity(view, holder)?.and_then(|identity| identity.last_refusal),
                };
                let told = last.is_some_and(|last| {
                    last.code == refusal.code() && now < last.at.time + SAME_REFUSAL_AGAIN
                });
                if told || told_lately(view, holder, refusal.code(), now)? {
                    return Ok((Vec::new(), ()));
                }
                let fact = Fact::EnrolmentRefused {
                    holder: holder.clone(),
                    profile: profile.name().clone(),
                    code: refusal.code().to_owned(),
                    key: refusal.key(),
                    device: refusal.device().cloned(),
                    source,
                };
                Ok::<_, Failed<Refusal>>((vec![fact], ()))
            })
            .await;
        if let Err(error) = recorded {
            tracing::warn!(%holder, code = refusal.code(), %error, "a refusal could not be recorded");
        }
    }
}

/// Whether the same refusal is among a holder's last events: who is refused for one reason and another in turn must not
/// fill the log either. There are fewer reasons than are looked back for.
fn told_lately(view: &dyn View, holder: &HolderId, code: &str, now: Timestamp) -> Result<bool, StoreError> {
    for number in rows::last_events_of(view, holder, 64)? {
        let entry = entry_at(view, number)?;
        if now >= entry.time + SAME_REFUSAL_AGAIN {
            break;
        }
        if matches!(&entry.event.fact, Fact::EnrolmentRefused { code: told, .. } if told == code) {
            return Ok(true);
        }
    }
    Ok(false)
}

enum Decided {
    Issue(Box<Grant>, Vec<Expected>),
    Repeat(Issued),
    Wait(Box<Waiting>, Vec<Expected>),
}

fn own_fault<R>(error: impl std::fmt::Display) -> Failed<R> {
    Failed::Unavailable(error.to_string())
}

/// What the request itself says, held against what is granted; the names that the certificate will have.
fn check_granted(request: EnrolRequest<'_>, grant: &Grant) -> Result<GrantedNames, Failed<Refusal>> {
    check_key_kind(request, grant)?;
    check_wishes(request.profile, request.renewal, request.requested, grant)
}

/// The same for all that is not the key.
pub(super) fn check_wishes(
    profile: &Profile,
    renewal: bool,
    requested: &Requested,
    grant: &Grant,
) -> Result<GrantedNames, Failed<Refusal>> {
    check_usages(profile, requested, grant)?;
    // The record can hold texts that a certificate cannot: coming again later would not help.
    let names = identity::encode(grant).map_err(|error| {
        Failed::Refused(Refusal::Unnameable {
            holder: grant.holder().clone(),
            profile: profile.name().clone(),
            reason: error.to_string(),
        })
    })?;
    if !renewal {
        identity::check_first(requested, grant, &names)?;
    }
    Ok(names)
}

fn check_key_kind(request: EnrolRequest<'_>, grant: &Grant) -> Result<(), Failed<Refusal>> {
    let kind = request.key.kind();
    let fits = |accepted: &SubjectKey| match (accepted, kind) {
        (SubjectKey::P256, PublicKeyKind::P256)
        | (SubjectKey::P384, PublicKeyKind::P384)
        | (SubjectKey::P521, PublicKeyKind::P521)
        | (SubjectKey::Ed25519, PublicKeyKind::Ed25519) => true,
        (SubjectKey::Rsa { min_bits }, PublicKeyKind::Rsa { bits }) => bits >= *min_bits,
        _ => false,
    };
    let accepted = request.profile.keys();
    if accepted.iter().any(fits) {
        return Ok(());
    }
    let accepted: Vec<_> = accepted.iter().map(ToString::to_string).collect();
    Err(Failed::Refused(Refusal::KeyKind {
        holder: grant.holder().clone(),
        profile: request.profile.name().clone(),
        given: kind.to_string(),
        accepted: accepted.join(", "),
    }))
}

/// Usages come from the profile alone. A request that wants only others would get a certificate it cannot use (B11).
fn check_usages(profile: &Profile, requested: &Requested, grant: &Grant) -> Result<(), Failed<Refusal>> {
    let asked = requested.extended_key_usages();
    let given = issue::usages_of(profile);
    if asked.is_empty() || asked.iter().any(|usage| given.contains(usage)) {
        return Ok(());
    }
    Err(Failed::Refused(Refusal::UsageNotGiven {
        holder: grant.holder().clone(),
        profile: profile.name().clone(),
    }))
}
