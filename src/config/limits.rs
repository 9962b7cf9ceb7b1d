//! `[limits]` of `vitae.toml`: what the listeners take before they say no.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::addresses::AddressRange;
use super::duration::Length;
use super::renewal::Percent;
use super::text::deserialize_from_str;
use super::tree::File;
use crate::rate::Rate;

/// What a listener takes before it says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body, on every listener.
    pub max_body: usize,
    /// Bytes of an OCSP request.
    pub max_ocsp_body: usize,
    /// Memory for signed OCSP answers; 0 keeps none.
    pub ocsp_cache_bytes: usize,
    /// From the first byte of a request to the end of its header.
    pub header_timeout: Duration,
    /// From the end of the header to the end of the body, and again from there to the answer.
    pub request_timeout: Duration,
    /// From a connection to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// Open connections of one listener.
    pub max_connections: usize,
    /// Connections of one listener beyond that which are told so with a 503.
    pub max_turned_away: usize,
    /// The part of the processors that handshakes may use.
    pub handshake_share: Percent,
    /// Enrolments in progress.
    pub max_enrolments: usize,
    /// New connections from one address, for each listener.
    pub connections_per_address: Rate,
    /// Tokens from one address that turn out to be good for nothing.
    pub failures_per_address: Rate,
    /// Certificates for one holder.
    pub certificates_per_holder: Rate,
    /// Addresses that the rates for addresses do not hold for.
    pub no_rate_for: Vec<AddressRange>,
    /// Open streams of events at the admin door.
    pub max_event_streams: usize,
    /// A stream on which nothing happens says so often that it is alive.
    pub event_keep_alive: Duration,
    /// How long requests in progress may take to end when the server stops.
    pub shutdown_grace: Duration,
    /// How long a request waits for an operator's approval, and the approval for the device that fetches.
    pub approval_expiry: Duration,
    /// When a device that waits for approval is told to ask again; whole seconds.
    pub approval_retry: Duration,
}

impl Limits {
    /// Whether the rates for addresses hold for this one.
    pub fn is_rated(&self, address: IpAddr) -> bool {
        !self.no_rate_for.iter().any(|range| range.contains(address))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawLimits {
    max_body: Spanned<usize>,
    max_ocsp_body: Spanned<usize>,
    ocsp_cache_bytes: usize,
    header_timeout: Spanned<Length>,
    request_timeout: Spanned<Length>,
    handshake_timeout: Spanned<Length>,
    max_connections: Spanned<usize>,
    max_turned_away: Spanned<usize>,
    handshake_share: Percent,
    max_enrolments: Spanned<usize>,
    connections_per_address: Rate,
    failures_per_address: Rate,
    certificates_per_holder: Rate,
    no_rate_for: Vec<AddressRange>,
    max_event_streams: Spanned<usize>,
    event_keep_alive: Spanned<Length>,
    shutdown_grace: Spanned<Length>,
    approval_expiry: Spanned<Length>,
    approval_retry: Spanned<Length>,
    pub(super) cache_bytes: usize,
}

deserialize_from_str!(Rate);

/// A certificate request with a post-quantum key and its chain still fits.
const LEAST_BODY: usize = 64 * 1024;

/// The longest OCSP request for one certificate, with nonce and signature, still fits.
const LEAST_OCSP_BODY: usize = 1024;

/// What a semaphore can count; more is a slip of the pen.
const MOST: usize = 1_000_000;

pub(super) fn check(file: &File, raw: &RawLimits) -> Limits {
    if raw.event_keep_alive.get_ref().0.is_zero() {
        file.refuse(
            raw.event_keep_alive.span(),
            "that would be nothing but signs of life: write 1s or longer",
        );
    }
    for length in [&raw.header_timeout, &raw.request_timeout, &raw.handshake_timeout] {
        if length.get_ref().0.is_zero() {
            file.refuse(length.span(), "a timeout of zero refuses everyone: write a longer one");
        }
    }
    let least = [
        (&raw.max_body, LEAST_BODY),
        (&raw.max_ocsp_body, LEAST_OCSP_BODY),
        (&raw.max_connections, 1),
        (&raw.max_enrolments, 1),
        (&raw.max_event_streams, 1),
    ];
    for (number, least) in least.into_iter().filter(|(number, least)| number.get_ref() < least) {
        file.refuse(number.span(), format!("{} is too little: write at least {least}", number.get_ref()));
    }
    for number in [&raw.max_connections, &raw.max_turned_away, &raw.max_enrolments, &raw.max_event_streams] {
        if *number.get_ref() > MOST {
            file.refuse(number.span(), format!("{} is too much: write at most {MOST}", number.get_ref()));
        }
    }
    check_approval(file, raw);
    Limits {
        max_body: *raw.max_body.get_ref(),
        max_ocsp_body: *raw.max_ocsp_body.get_ref(),
        ocsp_cache_bytes: raw.ocsp_cache_bytes,
        header_timeout: raw.header_timeout.get_ref().0,
        request_timeout: raw.request_timeout.get_ref().0,
        handshake_timeout: raw.handshake_timeout.get_ref().0,
        max_connections: *raw.max_connections.get_ref(),
        max_turned_away: *raw.max_turned_away.get_ref(),
        handshake_share: raw.handshake_share,
        max_enrolments: *raw.max_enrolments.get_ref(),
        connections_per_address: raw.connections_per_address,
        failures_per_address: raw.failures_per_address,
        certificates_per_holder: raw.certificates_per_holder,
        no_rate_for: raw.no_rate_for.clone(),
        max_event_streams: *raw.max_event_streams.get_ref(),
        event_keep_alive: raw.event_keep_alive.get_ref().0,
        shutdown_grace: raw.shutdown_grace.get_ref().0,
        approval_expiry: raw.approval_expiry.get_ref().0,
        approval_retry: raw.approval_retry.get_ref().0,
    }
}

fn check_approval(file: &File, raw: &RawLimits) {
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
}
