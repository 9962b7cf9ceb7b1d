//! `vitae.toml`: where the listeners are, what they are called and how much they take.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::duration::Length;
use super::text::{deserialize_from_str, is_dns_name};
use super::tree::File;
use crate::ids::{MakerName, ProfileName};

/// The listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    est: SocketAddr,
    status: SocketAddr,
    admin: SocketAddr,
    names: Vec<String>,
    /// None: made from the status address.
    written_status_url: Option<String>,
    status_url: String,
    limits: Limits,
    cache_bytes: usize,
}

/// What a listener takes before it says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body, on every listener.
    pub max_body: usize,
    /// Bytes of an OCSP request.
    pub max_ocsp_body: usize,
    /// From the first byte of a request to the end of its header.
    pub header_timeout: Duration,
    /// From the end of the header to the end of the body, and again from there to the answer.
    pub request_timeout: Duration,
    /// From a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// Open connections of one listener.
    pub max_connections: usize,
    /// How long requests in progress may take to end when the server stops.
    pub shutdown_grace: Duration,
    /// How long a request waits for an operator's approval, and the approval for the device that fetches.
    pub approval_expiry: Duration,
    /// When a device that waits for approval is told to ask again; whole seconds.
    pub approval_retry: Duration,
}

impl Server {
    pub fn est(&self) -> SocketAddr {
        self.est
    }

    pub fn status(&self) -> SocketAddr {
        self.status
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// DNS names and IP addresses in the listeners' TLS certificate.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Where certificates say their status is; no slash at the end.
    pub fn status_url(&self) -> &str {
        &self.status_url
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How much memory the pages of the store may take.
    pub fn cache_bytes(&self) -> usize {
        self.cache_bytes
    }

    pub(super) fn with_listeners(self, est: SocketAddr, status: SocketAddr, admin: SocketAddr) -> Self {
        let status_url = url_of(self.written_status_url.as_deref(), status);
        Self { est, status, admin, status_url, ..self }
    }
}

fn url_of(written: Option<&str>, status: SocketAddr) -> String {
    written.map_or_else(|| format!("http://{status}"), str::to_owned)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawServer {
    pub(super) default_label: Spanned<ProfileName>,
    pub(super) default_maker: Spanned<MakerName>,
    listeners: RawListeners,
    limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawListeners {
    est: Spanned<Address>,
    status: Spanned<Address>,
    admin: Spanned<Address>,
    names: Spanned<Vec<Spanned<String>>>,
    status_url: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawLimits {
    max_body: Spanned<usize>,
    max_ocsp_body: Spanned<usize>,
    header_timeout: Spanned<Length>,
    request_timeout: Spanned<Length>,
    handshake_timeout: Spanned<Length>,
    max_connections: Spanned<usize>,
    shutdown_grace: Spanned<Length>,
    approval_expiry: Spanned<Length>,
    approval_retry: Spanned<Length>,
    cache_bytes: usize,
}

/// A listener's address; its own type for an error that shows how to write one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Address(SocketAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("'{text}' is not the address of a listener: write IP:PORT, such as 127.0.0.1:8443 or [::1]:8443")
        })
    }
}

deserialize_from_str!(Address);

/// A certificate request with a post-quantum key and its chain still fits.
const LEAST_BODY: usize = 64 * 1024;

/// The longest OCSP request for one certificate, with nonce and signature, still fits.
const LEAST_OCSP_BODY: usize = 1024;

pub(super) fn check(file: &File, raw: &RawServer) -> Server {
    let (listeners, limits) = (&raw.listeners, &raw.limits);
    check_addresses(file, listeners);
    check_limits(file, limits);
    let written = listeners.status_url.as_ref().map(|url| url.get_ref().clone());
    let status = listeners.status.get_ref().0;
    Server {
        est: listeners.est.get_ref().0,
        status,
        admin: listeners.admin.get_ref().0,
        names: listeners.names.get_ref().iter().map(|name| name.get_ref().clone()).collect(),
        status_url: url_of(written.as_deref(), status),
        written_status_url: written,
        limits: Limits {
            max_body: *limits.max_body.get_ref(),
            max_ocsp_body: *limits.max_ocsp_body.get_ref(),
            header_timeout: limits.header_timeout.get_ref().0,
            request_timeout: limits.request_timeout.get_ref().0,
            handshake_timeout: limits.handshake_timeout.get_ref().0,
            max_connections: *limits.max_connections.get_ref(),
            shutdown_grace: limits.shutdown_grace.get_ref().0,
            approval_expiry: limits.approval_expiry.get_ref().0,
            approval_retry: limits.approval_retry.get_ref().0,
        },
        cache_bytes: limits.cache_bytes,
    }
}

fn check_addresses(file: &File, raw: &RawListeners) {
    let all = [("est", &raw.est), ("status", &raw.status), ("admin", &raw.admin)];
    for (i, (name, address)) in all.iter().enumerate() {
        // Port 0 asks the system for a free one.
        let taken = all[..i].iter().find(|(_, other)| other == address && address.get_ref().0.port() != 0);
        if let Some((other, _)) = taken {
            file.refuse(
                address.span(),
                format!("'{name}' and '{other}' cannot share an address: change a port"),
            );
        }
    }
    if raw.names.get_ref().is_empty() {
        file.refuse(
            raw.names.span(),
            "no client could verify a server without a name: write one, such as localhost",
        );
    }
    for name in raw.names.get_ref() {
        if name.get_ref().parse::<IpAddr>().is_err() && !is_dns_name(name.get_ref()) {
            let reason = format!(
                "'{}' is neither a DNS name nor an IP address: write it without port",
                name.get_ref()
            );
            file.refuse(name.span(), reason);
        }
    }
    match &raw.status_url {
        Some(url) => {
            let host = url.get_ref().strip_prefix("http://");
            let good = host.is_some_and(|host| {
                !host.is_empty() && !host.starts_with('/') && host.bytes().all(|b| b.is_ascii_graphic())
            });
            if !good || url.get_ref().ends_with('/') || url.get_ref().contains(['?', '#']) {
                let reason = "write http://HOST, without a slash at the end: with https, checking that one's certificate would need the status of another";
                file.refuse(url.span(), reason);
            }
        }
        None if raw.status.get_ref().0.ip().is_unspecified() => {
            let reason =
                "a certificate cannot point at an unspecified address: write status-url = \"http://HOST\"";
            file.refuse(raw.status.span(), reason);
        }
        None => {}
    }
}

fn check_limits(file: &File, raw: &RawLimits) {
    for length in [&raw.header_timeout, &raw.request_timeout, &raw.handshake_timeout] {
        if length.get_ref().0.is_zero() {
            file.refuse(length.span(), "a timeout of zero refuses everyone: write a longer one");
        }
    }
    let (expiry, retry) = (&raw.approval_expiry, &raw.approval_retry);
    if retry.get_ref().0.is_zero() {
        file.refuse(
            retry.span(),
            "a device that may ask again at once never stops asking: write a longer one",
        );
    }
    // The device that was told to wait that long would find its request gone.
    if retry.get_ref() >= expiry.get_ref() {
        let reason = format!(
            "approval-retry ({}) must be shorter than approval-expiry ({})",
            retry.get_ref(),
            expiry.get_ref()
        );
        file.refuse(retry.span(), reason);
    }
    let least =
        [(&raw.max_body, LEAST_BODY), (&raw.max_ocsp_body, LEAST_OCSP_BODY), (&raw.max_connections, 1)];
    for (number, least) in least.into_iter().filter(|(number, least)| number.get_ref() < least) {
        file.refuse(number.span(), format!("{} is too little: write at least {least}", number.get_ref()));
    }
}
