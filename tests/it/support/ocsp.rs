//! Asks the status door as any relying party would, and believes nothing that is not signed.

use vitae::clock::Timestamp;
use vitae::ids::Serial;
use vitae::pki::certificate::Certificate;
use vitae::pki::crl;
use vitae::pki::ocsp::{self, BasicResponse, HashAlg, ParsedResponse, ParsedStatus};

use super::House;
use super::wire::{Ask, Reply};

/// What was said of a certificate; the reason by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Good,
    Revoked(u8),
    Unknown,
}

pub(crate) fn said(status: &ParsedStatus) -> Said {
    match status {
        ParsedStatus::Good => Said::Good,
        ParsedStatus::Revoked { reason, .. } => Said::Revoked(reason.unwrap_or(0)),
        ParsedStatus::Unknown => Said::Unknown,
    }
}

/// A list, taken apart.
pub(crate) struct List {
    pub(crate) number: u64,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Timestamp,
    pub(crate) entries: Vec<(Serial, Timestamp, u8)>,
}

impl List {
    /// `None`: not listed.
    pub(crate) fn reason_of(&self, serial: Serial) -> Option<u8> {
        self.entries.iter().find(|entry| entry.0 == serial).map(|entry| entry.2)
    }
}

impl House {
    pub(crate) fn ocsp_request(
        &self,
        ca: &str,
        serial: &[u8],
        hash: HashAlg,
        nonce: Option<&[u8]>,
    ) -> Vec<u8> {
        let issuer = self.ca_certificate(ca);
        ocsp::request(issuer.subject_der(), &issuer.public_key().unwrap(), serial, hash, nonce).unwrap()
    }

    pub(crate) async fn post_ocsp(&self, request: &[u8]) -> Reply {
        let ask = Ask::new("POST", "/ocsp").header("Content-Type", "application/ocsp-request").body(request);
        self.status_door(&ask).await
    }

    pub(crate) async fn ocsp(&self, ca: &str, serial: Serial) -> Said {
        let request = self.ocsp_request(ca, serial.as_bytes(), HashAlg::Sha256, None);
        let reply = self.post_ocsp(&request).await;
        said(&self.verified(ca, &reply.body).singles[0].status)
    }

    /// A response whose signer is a delegate of the CA (RFC 6960 section 4.2.2.2) and whose signature is good.
    pub(crate) fn verified(&self, ca: &str, body: &[u8]) -> BasicResponse {
        let ParsedResponse::Basic(response) = ocsp::parse_response(body).unwrap() else {
            panic!("an error, not a response: {body:02x?}");
        };
        let signer = Certificate::from_der(&response.certs[0]).unwrap();
        signer.verify_signed_by(&self.ca_certificate(ca).public_key().unwrap()).unwrap();
        let usages: Vec<_> = signer.extended_key_usages().iter().map(ToString::to_string).collect();
        assert_eq!(usages, ["1.3.6.1.5.5.7.3.9"]);
        response.verify_signed_by(&signer.public_key().unwrap()).unwrap();
        *response
    }

    /// The published list, its signature checked.
    pub(crate) async fn crl(&self, ca: &str) -> List {
        let reply = self.status_door(&Ask::get(&format!("/crl/{ca}/0.crl"))).await;
        assert_eq!(reply.status, 200);
        crl::verify_signed_by(&reply.body, &self.ca_certificate(ca).public_key().unwrap()).unwrap();
        let mut entries = Vec::new();
        let summary = crl::parse_each(&reply.body, |entry| {
            entries.push((entry.own_serial().unwrap(), entry.revoked_at, entry.reason.unwrap_or(0)));
        })
        .unwrap();
        List {
            number: summary.number.unwrap(),
            this_update: summary.this_update,
            next_update: summary.next_update.unwrap(),
            entries,
        }
    }
}
