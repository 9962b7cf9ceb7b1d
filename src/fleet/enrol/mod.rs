//! Decides an enrolment or a renewal: who asks, whether the stage allows it, and what will be granted.

mod approval;
mod binding;
mod delegate;
mod gate;
mod key;
mod lineage;
mod prove;

use super::event::{Cause, Fact, Proof, Succession};
use super::names::{Holder, RecordIncomplete, RenderedAltName};
use super::rows;
use crate::clock::Timestamp;
use crate::config::{Config, HolderKind, NameAttribute, Profile};
use crate::ids::{ApprovalId, Digest, EventNumber, HolderId, MakerName, Reason, Serial, StageName};
use crate::store::{StoreError, View};
use approval::Standing;
use lineage::{Next, Step};

pub use super::refusal::{CertificateState, Class, Refusal, Suspicion, TokenState};
pub use approval::Entry;
pub use binding::{Bindings, Unbound};
pub use delegate::{DelegationRefused, QuotaRoom, quota_room, registration_authority};

/// What is asked for, and by what right.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub profile: &'a Profile,
    /// simplereenroll, not simpleenroll.
    pub renewal: bool,
    /// SHA-256 of the requested subject public key info.
    pub key: Digest,
    /// The server makes the key, so the client has none that it could ask with again.
    pub server_key: bool,
    /// What the subject of the request says. It counts as a claim to be one of these only for who may ask for others.
    pub subject: &'a [(NameAttribute, String)],
    pub credentials: &'a Credentials,
    /// The challengePassword of the request.
    pub challenge: Option<&'a str>,
    /// What it is held against.
    pub bindings: &'a Bindings,
}

/// What the client showed. The certificate was proven in the TLS handshake; the token is only a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub certificate: Option<ClientCertificate>,
    pub token: Option<PresentedToken>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Names one of our CAs as its issuer.
    Own { serial: Option<Serial>, fingerprint: Digest },
    /// Chains to the anchor of this maker.
    Maker {
        maker: MakerName,
        subject_serial: Option<String>,
        fingerprint: Digest,
        not_before: Timestamp,
        not_after: Timestamp,
        /// SHA-256 of its subject public key info.
        key: Digest,
    },
}

/// HTTP Basic: the user is the device id (or empty), the password the token, of which only the digest is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedToken {
    pub user: String,
    pub token: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Issue(Box<Grant>),
    /// This key already has a good certificate of this profile: the answer was lost, give it again.
    Repeat(Serial),
    /// Nothing stands against it but that an operator has to approve it first.
    Wait(Box<Waiting>),
}

/// A request that an operator has to approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    grant: Grant,
    entry: Option<Entry>,
}

impl Waiting {
    /// What it would be granted: what would be refused after the approval is to be refused before.
    pub fn would_be(&self) -> &Grant {
        &self.grant
    }

    /// `None`: no operator was asked yet.
    pub fn entry(&self) -> Option<Entry> {
        self.entry
    }
}

/// Leave to issue one certificate. Only [`decide`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    holder: HolderId,
    model: Option<String>,
    stage: Option<(StageName, EventNumber)>,
    owner: Option<String>,
    proof: Proof,
    approval: Option<ApprovalId>,
    step: Step,
    subject: Vec<(NameAttribute, String)>,
    alt_names: Vec<RenderedAltName>,
    also_known_as: Vec<(NameAttribute, String)>,
}

impl Grant {
    pub fn holder(&self) -> &HolderId {
        &self.holder
    }
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
    pub fn stage(&self) -> Option<&(StageName, EventNumber)> {
        self.stage.as_ref()
    }
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
    /// Who asked: the holder, or a registration authority in its place.
    pub fn asker(&self) -> &HolderId {
        self.proof.registration_authority().unwrap_or(&self.holder)
    }
    /// The operators' approval, where policy asks for one.
    pub fn approval(&self) -> Option<ApprovalId> {
        self.approval
    }
    /// The certificate whose place the new one takes.
    pub fn replaces(&self) -> Option<Serial> {
        self.step.replaces
    }
    /// The certificates that end with this issuance.
    pub fn ends(&self) -> &[Ending] {
        &self.step.ends
    }
    /// The end of the certificate that is renewed, when it has expired.
    pub fn after_expiry(&self) -> Option<Timestamp> {
        self.step.after_expiry
    }
    pub fn subject(&self) -> &[(NameAttribute, String)] {
        &self.subject
    }
    pub fn alt_names(&self) -> &[RenderedAltName] {
        &self.alt_names
    }
    /// Names that a first request may carry besides the granted ones.
    pub fn also_known_as(&self) -> &[(NameAttribute, String)] {
        &self.also_known_as
    }
}

/// A certificate whose place another takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    pub serial: Serial,
    /// `None`: the one that is to be issued.
    pub by: Option<Serial>,
    pub how: Succession,
}

impl Ending {
    /// `issued`: the certificate that is issued with it.
    pub fn fact(&self, issued: Serial) -> Fact {
        let cause = Cause::Superseded { by: self.by.unwrap_or(issued), how: self.how };
        Fact::CertificateRevoked {
            serial: self.serial,
            reason: Reason::Superseded,
            invalid_since: None,
            cause,
        }
    }
}

/// A refusal, or a store that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RecordIncomplete> for EnrolError {
    fn from(incomplete: RecordIncomplete) -> Self {
        Self::Refused(incomplete.into())
    }
}

/// Decides on what `view` shows at `now`.
pub fn decide(
    view: &dyn View,
    config: &Config,
    ask: &Ask<'_>,
    now: Timestamp,
) -> Result<Decision, EnrolError> {
    let proven = prove::prove(view, config, ask, now)?;
    binding::check_of(ask, &proven.holder, proven.proof.registration_authority().is_some())?;
    let profile = ask.profile;
    let holder = load(view, &proven.holder)?;
    if !fits(&holder, profile.holder()) {
        return Err(
            Refusal::WrongHolderKind { holder: proven.holder, profile: profile.name().clone() }.into()
        );
    }
    // Before the stage is asked: a copy is one wherever the device is.
    let next = lineage::next(view, config, ask, &proven, &holder, now)?;
    if let Holder::Device(device) = &holder {
        gate::check(view, config, ask, device, &proven.proof, now)?;
    }
    key::check_owner(view, ask, &proven.holder)?;
    let step = match (next, &proven.renews) {
        (Next::Again(serial), _) => return Ok(Decision::Repeat(serial)),
        (Next::Issue(step), Some(presented)) => {
            key::check_renewal(ask, presented)?;
            step
        }
        (Next::Issue(step), None) => match key::answered_before(view, ask, &proven.holder, now)? {
            Some(serial) => return Ok(Decision::Repeat(serial)),
            None => step,
        },
    };
    let standing = approval::check(view, config, ask, &holder, &proven, now)?;
    let grant = Grant {
        holder: proven.holder,
        model: holder.model().map(str::to_owned),
        stage: match &holder {
            Holder::Device(device) => Some((device.stage.clone(), device.stage_since.event)),
            Holder::Identity(_) => None,
        },
        owner: match &holder {
            Holder::Device(device) => device.owner.clone(),
            Holder::Identity(identity) => Some(identity.owner.clone()),
        },
        proof: proven.proof,
        approval: match standing {
            Standing::Granted(id) => Some(id),
            Standing::NotNeeded | Standing::ToBeAsked | Standing::Pending(_) => None,
        },
        step,
        subject: holder.subject(profile)?,
        alt_names: holder.alt_names(profile)?,
        also_known_as: holder.also_known_as(),
    };
    Ok(match standing {
        Standing::NotNeeded | Standing::Granted(_) => Decision::Issue(Box::new(grant)),
        Standing::ToBeAsked => Decision::Wait(Box::new(Waiting { grant, entry: None })),
        Standing::Pending(entry) => Decision::Wait(Box::new(Waiting { grant, entry: Some(entry) })),
    })
}

/// What the first use of a certificate ends: whoever shows it has received it, so its predecessor has served. Empty when
/// the certificate is not good, or nothing waited for it.
pub fn ended_by_use(
    view: &dyn View,
    shown: &ClientCertificate,
    now: Timestamp,
) -> Result<Option<(HolderId, Vec<Ending>)>, StoreError> {
    let Some(row) = prove::good_certificate(view, shown, now)? else { return Ok(None) };
    let ends = lineage::ended_by_use(view, &row, now)?;
    Ok((!ends.is_empty()).then_some((row.holder, ends)))
}

/// Whether a token could prove anything at all: cheap, and to be asked before anything that is not.
pub fn check_token(view: &dyn View, presented: &PresentedToken, now: Timestamp) -> Result<(), EnrolError> {
    prove::token(view, presented, now).map(|_| ())
}

fn load(view: &dyn View, id: &HolderId) -> Result<Holder, EnrolError> {
    if let Some(device) = rows::device(view, id)? {
        return Ok(Holder::Device(device));
    }
    match rows::identity(view, id)? {
        Some(identity) => Ok(Holder::Identity(identity)),
        None => Err(Refusal::UnknownDevice.into()),
    }
}

fn fits(holder: &Holder, kind: &HolderKind) -> bool {
    match (holder, kind) {
        (Holder::Device(_), HolderKind::Device) => true,
        (Holder::Identity(identity), HolderKind::Identity(kind)) => identity.kind == *kind,
        _ => false,
    }
}
