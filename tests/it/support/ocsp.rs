//! Asks the status door as any relying party would, and believes nothing that is not signed.

use vitae::ids::Serial;
use vitae::pki::certificate::Certificate;
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
}
