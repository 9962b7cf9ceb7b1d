//! What kind of event a fact is: the name that stands in the log, in filters and in webhooks.

use super::event::Fact;

impl Fact {
    /// The value of `type` in the log; one of [`EVENT_KINDS`](crate::config::EVENT_KINDS).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ConfigurationLoaded { .. } => "configuration-loaded",
            Self::CaCreated { .. } => "ca-created",
            Self::DeviceRegistered { .. } => "device-registered",
            Self::DeviceMoved { .. } => "device-moved",
            Self::IdentityRegistered { .. } => "identity-registered",
            Self::TokenIssued { .. } => "token-issued",
            Self::TokenCancelled { .. } => "token-cancelled",
            Self::ApprovalAsked { .. } => "approval-asked",
            Self::ApprovalGranted { .. } => "approval-granted",
            Self::ApprovalDenied { .. } => "approval-denied",
            Self::ApprovalCancelled { .. } => "approval-cancelled",
            Self::CertificateIssued(_) => "certificate-issued",
            Self::CertificateRevoked { .. } => "certificate-revoked",
            Self::CertificateHeld { .. } => "certificate-held",
            Self::CertificateReleased { .. } => "certificate-released",
            Self::EnrolmentRefused { .. } => "enrolment-refused",
            Self::CloneSuspected { .. } => "clone-suspected",
            Self::CrlPublished { .. } => "crl-published",
            Self::DeltaCrlPublished { .. } => "delta-crl-published",
            Self::RevocationJob(_) => "revocation-job",
            Self::FilterPublished { .. } => "filter-published",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use serde_json::json;

    use super::*;
    use crate::config::EVENT_KINDS;
    use crate::fleet::Cause;
    use crate::ids::Serial;

    /// A kind that is missing in the list could not be asked for.
    #[test]
    fn every_kind_is_listed() {
        let error = serde_json::from_value::<Fact>(json!({"type": "no-such-kind"})).unwrap_err().to_string();
        let known: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, EVENT_KINDS);
    }

    #[test]
    fn the_kind_is_what_the_log_says() {
        let serial = Serial::from_bytes([1; 16]);
        for fact in [
            Fact::CertificateHeld { serial, cause: Cause::Command },
            Fact::CertificateReleased { serial, cause: Cause::Command },
            serde_json::from_value(json!({"type": "ca-created", "ca": "root", "issuer": null,
                "serial": serial, "key": "00".repeat(32), "not_before": "2026-01-01T00:00:00Z",
                "not_after": "2027-01-01T00:00:00Z", "certificate": ""}))
            .unwrap(),
        ] {
            assert_eq!(serde_json::to_value(&fact).unwrap()["type"], fact.kind());
        }
    }
}
