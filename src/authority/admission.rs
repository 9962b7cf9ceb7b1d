//! What is looked at before anything costs much: whether a token is worth reading a request for, and whether there is
//! room for one more enrolment, and for one more certificate of this holder.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Authority;
use super::error::Failed;
use crate::clock::Timestamp;
use crate::config::{Limits, Profile};
use crate::fleet::enrol::{self, Credentials, EnrolError, Refusal};
use crate::ids::HolderId;
use crate::rate::{Buckets, Neighbourhood};

/// How many addresses and how many holders are remembered; some ten megabytes at most.
const REMEMBERED: usize = 65_536;

/// The buckets and places of one authority.
pub(super) struct Admission {
    failures: Buckets<Neighbourhood>,
    certificates: Buckets<HolderId>,
    enrolments: Arc<Semaphore>,
}

/// A place among the enrolments in progress, given back when it is dropped.
#[derive(Debug)]
pub struct InProgress {
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            failures: Buckets::new(limits.failures_per_address, REMEMBERED),
            certificates: Buckets::new(limits.certificates_per_holder, REMEMBERED),
            enrolments: Arc::new(Semaphore::new(limits.max_enrolments)),
        }
    }

    /// Counts one more certificate of a holder.
    pub(super) fn count(&self, holder: &HolderId, now: Timestamp) -> Result<(), Refusal> {
        let counted = self.certificates.take(holder, now);
        counted.map_err(|wait| Refusal::TooManyCertificates { holder: holder.clone(), wait })
    }
}

impl Authority {
    /// To be asked before the body of a request to enrol is read: nobody's signature is verified for a token that does
    /// not exist, and whoever tries many is slowed down.
    pub async fn admit(
        &self,
        profile: &Profile,
        renewal: bool,
        credentials: &Credentials,
        source: Option<IpAddr>,
    ) -> Result<(), Failed<Refusal>> {
        // A renewal is by certificate, which the handshake has proven; a token beside it is not looked at.
        let token = match &credentials.token {
            Some(token) if !renewal => token,
            _ => return Ok(()),
        };
        let now = self.clock.now();
        let limits = self.config.server().limits();
        let rated = source.filter(|source| limits.is_rated(*source)).map(Neighbourhood::from);
        if let Some(source) = &rated {
            let looked = self.admission.failures.look(source, now);
            looked.map_err(|wait| Failed::Refused(Refusal::TooManyFailures { wait }))?;
        }
        let refusal = match enrol::check_token(&*self.snapshot()?, token, now) {
            Ok(()) => return Ok(()),
            Err(EnrolError::Store(error)) => return Err(error.into()),
            Err(EnrolError::Refused(refusal)) => refusal,
        };
        if let Some(source) = &rated {
            // Somebody else may have taken the last one meanwhile; there is none then all the same.
            let _ = self.admission.failures.take(source, now);
        }
        tracing::info!(code = refusal.code(), profile = %profile.name(), ?source, "refused");
        self.record_refusal(profile, source, credentials, &refusal).await;
        Err(Failed::Refused(refusal))
    }

    /// Lets one more enrolment begin, unless as many are in progress as the store can keep up with.
    pub fn begin(&self) -> Result<InProgress, Failed<Refusal>> {
        let permit = Arc::clone(&self.admission.enrolments).try_acquire_owned();
        permit
            .map(|permit| InProgress { _permit: permit })
            .map_err(|_| Failed::Refused(Refusal::TooManyEnrolments))
    }
}
