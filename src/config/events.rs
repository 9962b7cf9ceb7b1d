//! The kinds of events that the record knows, by the names that filters, webhooks and the log itself use.

/// In the order of `fleet::Fact`.
pub const EVENT_KINDS: &[&str] = &[
    "configuration-loaded",
    "ca-created",
    "device-registered",
    "device-moved",
    "identity-registered",
    "token-issued",
    "token-cancelled",
    "approval-asked",
    "approval-granted",
    "approval-denied",
    "approval-cancelled",
    "certificate-issued",
    "certificate-revoked",
    "certificate-held",
    "certificate-released",
    "enrolment-refused",
    "clone-suspected",
    "crl-published",
    "delta-crl-published",
    "revocation-job",
    "filter-published",
];
