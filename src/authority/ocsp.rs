//! Answers status questions (RFC 6960) from the record, signed by the delegated key of the CA that is asked about.

use super::Authority;
use super::ca::IssuingCa;
use crate::clock::Timestamp;
use crate::fleet::rows::{self, Status};
use crate::ids::Reason;
use crate::pki::ocsp::{CertId, CertStatus, OcspError, OcspRequest, ResponseTemplate, error_response};
use crate::store::{StoreError, View};

/// More certificates than a client has reason to ask about at once; each costs a look into the record.
const MAX_ENTRIES: usize = 32;

/// An OCSP response, and how long it may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspAnswer {
    pub der: Vec<u8>,
    /// `None` for an error, which must not be kept (RFC 9919 section 7.2).
    pub validity: Option<OcspValidity>,
    /// May be given to another client that sends the same bytes: no nonce, and nothing unknown in it (O28).
    pub shareable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OcspValidity {
    pub this_update: Timestamp,
    pub next_update: Timestamp,
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
                error(OcspError::TryLater)
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
        let mut unknown = false;
        let singles = {
            let snapshot = self.snapshot().map_err(|error| error.to_string())?;
            let status = |id: &CertId| {
                let status = status_of(&*snapshot, ca, id)?;
                unknown |= status == CertStatus::Unknown;
                Ok((id.raw.clone(), status))
            };
            let singles: Result<Vec<_>, StoreError> = request.entries.iter().map(status).collect();
            singles.map_err(|error| error.to_string())?
        };
        let this_update = now.whole_second();
        let next_update = (this_update + ca.settings().ocsp_lifetime()).min(signer.not_after);
        let template = ResponseTemplate {
            responder_key_hash: signer.key_hash,
            produced_at: this_update,
            this_update,
            next_update,
            singles,
            nonce: request.nonce.clone(),
            signer: signer.signer.kind(),
            certs: vec![signer.certificate.clone()],
        };
        let unsigned = template.to_be_signed().map_err(|error| error.to_string())?;
        let signature = signer.signer.sign(unsigned.bytes()).await.map_err(|error| error.to_string())?;
        let der = unsigned.assemble(&signature).map_err(|error| error.to_string())?;
        Ok(OcspAnswer {
            der,
            validity: Some(OcspValidity { this_update, next_update }),
            shareable: request.nonce.is_none() && !unknown,
        })
    }
}

fn names(ca: &IssuingCa, id: &CertId) -> bool {
    ca.is_named_by(id.hash, &id.issuer_name_hash, &id.issuer_key_hash)
}

/// By issuer and serial together: the serial of another issuer's certificate is unknown here (B51, O13).
fn status_of(view: &dyn View, ca: &IssuingCa, id: &CertId) -> Result<CertStatus, StoreError> {
    if !names(ca, id) {
        return Ok(CertStatus::Unknown);
    }
    let Some(serial) = id.own_serial() else { return Ok(CertStatus::Unknown) };
    let row = rows::certificate(view, &serial)?.filter(|row| row.ca == *ca.name());
    Ok(row.map_or(CertStatus::Unknown, |row| match row.status {
        Status::Good => CertStatus::Good,
        Status::Held => CertStatus::Revoked { at: row.status_since.time, reason: Reason::CertificateHold },
        Status::Revoked { reason, .. } => CertStatus::Revoked { at: row.status_since.time, reason },
    }))
}

fn error(kind: OcspError) -> OcspAnswer {
    OcspAnswer { der: error_response(kind), validity: None, shareable: false }
}
