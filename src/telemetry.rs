//! The names of all metrics, in one place, and their counters.
//!
//! Prometheus text format; every counter starts at zero with the process.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what the doors answered. One for a server; tests have their own.
#[derive(Debug, Default)]
pub struct Metrics {
    est: ByStatus,
    ocsp: AtomicU64,
    ocsp_cached: AtomicU64,
    crl: AtomicU64,
    admin: AtomicU64,
    tls_failed: [AtomicU64; TlsFailure::ALL.len()],
}

/// Why a TLS handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// It was not over within the handshake timeout.
    Timeout,
    /// The client broke it off.
    Closed,
    /// What came is no TLS, such as plain http.
    NotTls,
    /// No version, cipher suite or group in common.
    Incompatible,
    /// The client's certificate is not acceptable, or not the client's.
    ClientCertificate,
    /// The client did not accept us, as one that does not know our root.
    RefusedByClient,
    Other,
}

impl TlsFailure {
    const ALL: [Self; 7] = [
        Self::Timeout,
        Self::Closed,
        Self::NotTls,
        Self::Incompatible,
        Self::ClientCertificate,
        Self::RefusedByClient,
        Self::Other,
    ];

    /// The stable name, for metrics and the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::NotTls => "not-tls",
            Self::Incompatible => "incompatible",
            Self::ClientCertificate => "client-certificate",
            Self::RefusedByClient => "refused-by-client",
            Self::Other => "other",
        }
    }
}

#[derive(Debug, Default)]
struct ByStatus {
    ok: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Metrics {
    pub fn est_answered(&self, status: u16) {
        let counter = match status {
            ..400 => &self.est.ok,
            400..500 => &self.est.refused,
            _ => &self.est.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn ocsp_answered(&self, cached: bool) {
        self.ocsp.fetch_add(1, Ordering::Relaxed);
        if cached {
            self.ocsp_cached.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn crl_answered(&self) {
        self.crl.fetch_add(1, Ordering::Relaxed);
    }

    pub fn admin_answered(&self) {
        self.admin.fetch_add(1, Ordering::Relaxed);
    }

    pub fn tls_failed(&self, reason: TlsFailure) {
        self.tls_failed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// All counters in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let est = "vitae_est_answers_total";
        for (labels, counter) in [
            ("{result=\"ok\"}", &self.est.ok),
            ("{result=\"refused\"}", &self.est.refused),
            ("{result=\"failed\"}", &self.est.failed),
        ] {
            line(&mut out, &format!("{est}{labels}"), counter);
        }
        for (name, counter) in [
            ("vitae_ocsp_answers_total", &self.ocsp),
            ("vitae_ocsp_answers_from_cache_total", &self.ocsp_cached),
            ("vitae_crl_answers_total", &self.crl),
            ("vitae_admin_answers_total", &self.admin),
        ] {
            line(&mut out, name, counter);
        }
        for (reason, counter) in TlsFailure::ALL.into_iter().zip(&self.tls_failed) {
            let name = format!("vitae_tls_handshakes_failed_total{{reason=\"{}\"}}", reason.name());
            line(&mut out, &name, counter);
        }
        out
    }
}

fn line(out: &mut String, name: &str, counter: &AtomicU64) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{name} {}", counter.load(Ordering::Relaxed));
}
