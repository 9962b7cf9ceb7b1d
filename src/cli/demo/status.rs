//! Asks the public status door what it says of a certificate, as any relying party would.

use std::net::SocketAddr;
use std::path::Path;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HOST;
use tokio::net::TcpStream;

use crate::cli::Failure;
use crate::clock::{Clock, SystemClock};
use crate::http::Client;
use crate::ids::{CaName, Reason, Serial};
use crate::pki::certificate::Certificate;
use crate::pki::ocsp::{self, HashAlg, ParsedResponse, ParsedStatus};
use crate::pki::{crl, pem};

/// The status door, and the CA whose certificates are asked about.
pub(super) struct StatusDoor {
    address: SocketAddr,
    ca: CaName,
    issuer: Certificate,
}

impl StatusDoor {
    pub(super) fn new(dir: &Path, address: SocketAddr, ca: &str) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(dir.join(format!("ca/{ca}.pem")))?;
        let der = pem::certificates(&text)?.into_iter().next();
        let der = der.ok_or_else(|| Failure::Refused(format!("ca/{ca}.pem holds no certificate")))?;
        Ok(Self { address, ca: ca.parse()?, issuer: Certificate::from_der(&der)? })
    }

    /// What OCSP says, in words; the signature of the delegated signer is checked up to the CA.
    pub(super) async fn ocsp(&self, serial: Serial) -> Result<String, Failure> {
        let issuer_key = self.issuer.public_key()?;
        let request =
            ocsp::request(self.issuer.subject_der(), &issuer_key, serial.as_bytes(), HashAlg::Sha256, None)?;
        let body = self.send("POST", "/ocsp", request).await?;
        let ParsedResponse::Basic(response) = ocsp::parse_response(&body)? else {
            return Err(Failure::Refused("the OCSP responder answered with an error".to_owned()));
        };
        response.verify(&self.issuer, SystemClock.now())?;
        let status = response.singles.first().map(|single| single.status);
        Ok(match status {
            Some(ParsedStatus::Good) => "good".to_owned(),
            Some(ParsedStatus::Revoked { at, reason }) => format!("revoked at {at}{}", because(reason)),
            Some(ParsedStatus::Unknown) | None => "unknown".to_owned(),
        })
    }

    /// What the CRL says: its number, its length, and whether it lists the certificate.
    pub(super) async fn crl(&self, serial: Serial) -> Result<(u64, usize, bool), Failure> {
        let der = self.send("GET", &format!("/crl/{}/0.crl", self.ca), Vec::new()).await?;
        crl::verify_signed_by(&der, &self.issuer.public_key()?)?;
        let mut listed = false;
        let mut entries = 0;
        let summary = crl::parse_each(&der, |entry| {
            entries += 1;
            listed |= entry.own_serial() == Some(serial);
        })?;
        let number = summary.number.ok_or_else(|| Failure::Refused("the CRL has no number".to_owned()))?;
        Ok((number, entries, listed))
    }

    async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut http = Client::new(TcpStream::connect(self.address).await?).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string())
            .body(Full::new(Bytes::from(body)))?;
        let response = http.send(request).await?;
        if response.status().is_success() {
            Ok(response.into_body().to_vec())
        } else {
            Err(Failure::Refused(format!("{path} was answered {}", response.status())))
        }
    }
}

fn because(reason: Option<u8>) -> String {
    let known = reason.and_then(|code| Reason::ALL.into_iter().find(|reason| reason.code() == code));
    known.map(|reason| format!(" for {reason}")).unwrap_or_default()
}
