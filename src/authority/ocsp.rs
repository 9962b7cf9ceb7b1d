//! Answers status questions (RFC 6960) from the record, signed by the delegated key of the CA that is asked about.

use super::Authority;
use super::ca::{IssuingCa, OcspSigner};
use super::watch::{Grounds, Watched};
use crate::clock::Timestamp;
use crate::fleet::rows::Status;
use crate::fleet::standing::standing;
use crate::ids::Reason;
use crate::pki::ocsp::{
    CertId, CertStatus, OcspError, OcspRequest, ResponseTemplate, Single, error_response,
};
use crate::store::{StoreError, View};

/// More certificates than a client has reason to ask about at once; each costs a look into the record.
const MAX_ENTRIES: usize = 32;

/// An OCSP response, and how long it may be kept.
#[derive(Clone, Debug)]
pub struct OcspAnswer {
    pub der: Vec<u8>,
    /// `None` for an error, which must not be kept (RFC 9919 section 7.2).
    pub validity: Option<OcspValidity>,
    /// What it rests on, when it may be given to another client that sends the same bytes: no nonce, and nothing unknown in
    /// it (O28).
    pub shareable: Option<Grounds>,
    /// Nobody could answer: what was answered before is not to be repeated either (O32).
    pub out_of_order: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OcspValidity {
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    /// A new answer would say more from here on.
    pub renew_from: Timestamp,
}

impl Authority {
    /// Answers any bytes: what is wrong with them is an OCSP error, not a failure (O05).
    pub async fn ocsp(&self, request: &[u8]) -> OcspAnswer {
        let request = match OcspRequest::from_der(request, MAX_ENTRIES) {
            Ok(request) => request,
            Err(wrong) => return error(wrong.status()),
        };
        // One delegated signer speaks for one CA only: the first that is asked about and is ours.
        let Some(ca) = request.entries.iter().find_map(|id| self.ca_of(id)) else {
            return error(OcspError::Unauthorized);
        };
        match self.sign_statuses(ca, &request).await {
            Ok(answer) => answer,
            Err(trouble) => {
                tracing::error!(ca = %ca.name(), %trouble, "cannot answer an OCSP request");
                OcspAnswer { out_of_order: true, ..error(OcspError::TryLater) }
            }
        }
    }

    fn ca_of(&self, id: &CertId) -> Option<&IssuingCa> {
        self.cas().find(|ca| names(ca, id))
    }

    async fn sign_statuses(&self, ca: &IssuingCa, request: &OcspRequest) -> Result<OcspAnswer, String> {
        let now = self.clock.now();
        let signer = ca.ocsp.load_full().ok_or("no OCSP signer")?;
        if now > signer.not_after {
            return Err("the OCSP signer has expired".to_owned());
        }
        if !signer.standing.is_current() {
            return Err("the OCSP signer was revoked; the next upkeep makes another".to_owned());
        }
        // Before the record is read: what changes while the answer is made is then known to be old.
        let watched = request.nonce.is_none().then(|| self.watch_all(ca, &signer, request));
        let (singles, validity) = {
            let snapshot = self.snapshot().map_err(|error| error.to_string())?;
            let single = |id| single_of(&*snapshot, ca, id, now);
            let singles: Result<Vec<_>, StoreError> = request.entries.iter().map(single).collect();
            (singles.map_err(|error| error.to_string())?, self.validity(ca, &signer, now)?)
        };
        let unknown = singles.iter().any(|single| single.status == CertStatus::Unknown);
        let template = ResponseTemplate {
            responder_key_hash: signer.key_hash,
            produced_at: now.whole_second(),
            this_update: validity.this_update,
            next_update: validity.next_update,
            singles,
            nonce: request.nonce.clone(),
            signer: signer.signer.kind(),
            certs: vec![signer.certificate.clone()],
        };
        let unsigned = template.to_be_signed().map_err(|error| error.to_string())?;
        let signature = signer.signer.sign(unsigned.bytes()).await.map_err(|error| error.to_string())?;
        let der = unsigned.assemble(&signature).map_err(|error| error.to_string())?;
        let shareable = watched.filter(|_| !unknown).map(Grounds::new);
        Ok(OcspAnswer { der, validity: Some(validity), shareable, out_of_order: false })
    }

    /// The certificates that are asked about, and the signer's own.
    fn watch_all(&self, ca: &IssuingCa, signer: &OcspSigner, request: &OcspRequest) -> Vec<Watched> {
        let ours = request.entries.iter().filter(|id| names(ca, id)).filter_map(CertId::own_serial);
        let watched = ours.map(|serial| self.watches.watch(serial));
        watched.chain([signer.standing.clone()]).collect()
    }

    fn validity(&self, ca: &IssuingCa, signer: &OcspSigner, now: Timestamp) -> Result<OcspValidity, String> {
        let known_until = self.known_until(now);
        let this_update = known_until.whole_second();
        let lifetime = ca.settings().ocsp_lifetime();
        let next_update = (this_update + lifetime).min(signer.not_after);
        if next_update <= now {
            return Err(format!("the record is known up to {known_until} only: bring a newer copy"));
        }
        // At half its life, so that no client gets one that is about to end.
        // Of what is left: one that was made later than it is dated would else be old at once.
        let renew_from = now + next_update.since(now) / 2;
        Ok(OcspValidity { this_update, next_update, renew_from })
    }
}

fn names(ca: &IssuingCa, id: &CertId) -> bool {
    ca.is_named_by(id.hash, &id.issuer_name_hash, &id.issuer_key_hash)
}

/// By issuer and serial together: the serial of another issuer's certificate is unknown here (B51, O13).
fn single_of(view: &dyn View, ca: &IssuingCa, id: &CertId, now: Timestamp) -> Result<Single, StoreError> {
    let serial = id.own_serial().filter(|_| names(ca, id));
    let found = match serial {
        Some(serial) => standing(view, &serial)?.filter(|found| found.ca == *ca.name()),
        None => None,
    };
    let status = found.as_ref().map_or(CertStatus::Unknown, |found| match found.status {
        Status::Good => CertStatus::Good,
        Status::Held => CertStatus::Revoked { at: found.status_since.time, reason: Reason::CertificateHold },
        Status::Revoked { reason, .. } => CertStatus::Revoked { at: found.status_since.time, reason },
    });
    // The record forgets nothing, so it reaches back to the CA's first day (O15).
    let expired = found.is_some_and(|found| found.not_after < now);
    let archive_cutoff = expired.then(|| ca.not_before());
    Ok(Single { cert_id: id.raw.clone(), status, archive_cutoff })
}

fn error(kind: OcspError) -> OcspAnswer {
    OcspAnswer { der: error_response(kind), validity: None, shareable: None, out_of_order: false }
}
