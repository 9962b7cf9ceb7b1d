//! The names of all metrics, in one place, and their counters.
//!
//! Prometheus text format; every counter starts at zero with the process.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::ids::EventNumber;

/// The log hears of one kind of shed load once in so many milliseconds, however much there is.
const SAID_AGAIN: i64 = 60_000;

/// Why a connection or a request was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// Closed at once: too many new connections from its address.
    ConnectionRate,
    /// Not even accepted: the system had no file or no memory for it.
    NotAccepted,
    /// Closed at once: every place was taken, also those of who is told so.
    Closed,
    /// Answered 503: every place was taken.
    TurnedAway,
    /// Closed while it waited for its client: its place was needed.
    MadeWay,
    /// The header of the first request took too long.
    SlowHeader,
    /// The body of a request took too long.
    SlowBody,
    /// The client did not read its answer.
    SlowReader,
    /// Answered 503: too many useless tokens from its address.
    FailureRate,
    /// Answered 503: too many enrolments in progress.
    Enrolments,
    /// Answered 503: too many certificates for one holder.
    CertificateRate,
}

impl Shed {
    const ALL: [(Self, &'static str); 11] = [
        (Self::ConnectionRate, "connection-rate"),
        (Self::NotAccepted, "not-accepted"),
        (Self::Closed, "closed"),
        (Self::TurnedAway, "turned-away"),
        (Self::MadeWay, "made-way"),
        (Self::SlowHeader, "slow-header"),
        (Self::SlowBody, "slow-body"),
        (Self::SlowReader, "slow-reader"),
        (Self::FailureRate, "failure-rate"),
        (Self::Enrolments, "enrolments"),
        (Self::CertificateRate, "certificate-rate"),
    ];

    /// The name that the metrics use.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

#[derive(Debug, Default)]
struct Shedding {
    count: AtomicU64,
    /// How many the log has heard of, and the millisecond when.
    said: AtomicU64,
    said_at: AtomicI64,
}

/// Counts what the doors answered. One for a server; tests have their own.
#[derive(Debug, Default)]
pub struct Metrics {
    est: ByStatus,
    ocsp: AtomicU64,
    ocsp_cached: AtomicU64,
    crl: AtomicU64,
    admin: AtomicU64,
    tls_failed: [AtomicU64; TlsFailure::ALL.len()],
    shed: [Shedding; Shed::ALL.len()],
    hooks: Mutex<Vec<(String, Arc<HookMeter>)>>,
}

/// What one webhook does.
#[derive(Debug, Default)]
pub struct HookMeter {
    delivered: AtomicU64,
    failed: AtomicU64,
    failing: AtomicBool,
    next: AtomicU64,
}

impl HookMeter {
    /// The event was taken.
    pub fn delivered(&self, number: EventNumber) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
        self.next_is(EventNumber(number.0 + 1));
    }

    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Everything before this event has been told.
    pub fn next_is(&self, number: EventNumber) {
        self.next.store(number.0, Ordering::Relaxed);
    }
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

    /// The meter of a webhook; asked for once each.
    pub fn hook(&self, name: &str) -> Arc<HookMeter> {
        let meter = Arc::<HookMeter>::default();
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.push((name.to_owned(), Arc::clone(&meter)));
        meter
    }

    /// Counts it. `Some`: the log should hear of it, and of so many since it last did.
    pub fn shed(&self, why: Shed, now: Timestamp) -> Option<u64> {
        let shedding = &self.shed[why as usize];
        let count = shedding.count.fetch_add(1, Ordering::Relaxed) + 1;
        let said_at = shedding.said_at.load(Ordering::Relaxed);
        // Also when the clock was set back.
        let due = (now.millis() - said_at).abs() >= SAID_AGAIN;
        let mine = due
            && shedding
                .said_at
                .compare_exchange(said_at, now.millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        mine.then(|| count.saturating_sub(shedding.said.swap(count, Ordering::Relaxed)))
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
        for ((_, name), shedding) in Shed::ALL.iter().zip(&self.shed) {
            line(&mut out, &format!("vitae_shed_total{{reason=\"{name}\"}}"), &shedding.count);
        }
        for (name, hook) in self.hooks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let named = |what: &str| format!("vitae_webhook_{what}{{webhook=\"{name}\"}}");
            line(&mut out, &named("deliveries_total"), &hook.delivered);
            line(&mut out, &named("failures_total"), &hook.failed);
            let failing = u64::from(hook.failing.load(Ordering::Relaxed));
            line(&mut out, &named("failing"), &AtomicU64::new(failing));
            line(&mut out, &named("next_event"), &hook.next);
        }
        out
    }
}

fn line(out: &mut String, name: &str, counter: &AtomicU64) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{name} {}", counter.load(Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reasons_stand_where_their_counters_are() {
        for (at, (shed, name)) in Shed::ALL.into_iter().enumerate() {
            assert_eq!((shed as usize, shed.name()), (at, name));
        }
    }

    #[test]
    fn the_log_hears_of_shed_load_once_a_minute() {
        let (metrics, minute) = (Metrics::default(), Duration::from_secs(60));
        let now = Timestamp::EPOCH + minute * 1000;
        assert_eq!(metrics.shed(Shed::Closed, now), Some(1));
        for _ in 0..100 {
            assert_eq!(metrics.shed(Shed::Closed, now + minute / 2), None);
        }
        assert_eq!(metrics.shed(Shed::TurnedAway, now), Some(1));
        assert_eq!(metrics.shed(Shed::Closed, now + minute), Some(101));
        assert_eq!(metrics.shed(Shed::Closed, now - minute), Some(1));
        assert!(metrics.text().contains("\nvitae_shed_total{reason=\"closed\"} 103\n"), "{}", metrics.text());
    }
}
