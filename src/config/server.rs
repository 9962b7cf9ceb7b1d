//! `vitae.toml`: where the listeners are, what they are called and how much they take.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::limits::{self, Limits, RawLimits};
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

pub(super) fn check(file: &File, raw: &RawServer) -> Server {
    let (listeners, limits) = (&raw.listeners, &raw.limits);
    check_addresses(file, listeners);
    let written = listeners.status_url.as_ref().map(|url| url.get_ref().clone());
    let status = listeners.status.get_ref().0;
    Server {
        est: listeners.est.get_ref().0,
        status,
        admin: listeners.admin.get_ref().0,
        names: listeners.names.get_ref().iter().map(|name| name.get_ref().clone()).collect(),
        status_url: url_of(written.as_deref(), status),
        written_status_url: written,
        limits: limits::check(file, limits),
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
