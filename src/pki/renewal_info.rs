//! Renewal information for EST: how a certificate is named there, and the answer as JSON.
//!
//! By the Internet-Draft draft-ietf-lamps-est-renewal-info-00, which takes both over from ACME (RFC 9773 sections 4.1
//! and 4.2). A draft may change before it becomes an RFC.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use crate::clock::Timestamp;

/// Twice 20 octets in base64 and a period; nothing that names a certificate is longer.
const LONGEST: usize = 64;

/// What names a certificate: the key identifier of its issuer and its serial number (the content of the INTEGER).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateName {
    pub authority_key_id: Vec<u8>,
    pub serial: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate is named by base64url(authority key identifier).base64url(serial number), both without padding"
)]
pub struct NotAName;

impl CertificateName {
    /// `None`: the certificate does not say which key signed it.
    pub fn of(certificate: &Certificate) -> Option<Self> {
        let authority_key_id = certificate.authority_key_id()?;
        Some(Self { authority_key_id, serial: certificate.serial_bytes().to_vec() })
    }

    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let part = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAName)?;
            Some(bytes).filter(|bytes| !bytes.is_empty()).ok_or(NotAName)
        };
        let (key_id, serial) = Some(text)
            .filter(|text| text.len() <= LONGEST)
            .and_then(|text| text.split_once('.'))
            .ok_or(NotAName)?;
        Ok(Self { authority_key_id: part(key_id)?, serial: part(serial)? })
    }

    pub fn text(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}", encode(&self.authority_key_id), encode(&self.serial))
    }
}

/// The answer. What else may be in it is not for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalInfo {
    pub suggested_window: SuggestedWindow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuggestedWindow {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl RenewalInfo {
    /// `None`: it is no answer, or says nothing because the window ends before it begins.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let info: Self = serde_json::from_slice(bytes).ok()?;
        Some(info).filter(|info| info.suggested_window.end > info.suggested_window.start)
    }

    pub fn to_json(self) -> String {
        let SuggestedWindow { start, end } = self.suggested_window;
        // Times hold nothing that JSON would escape.
        format!(r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}}}}"#)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// The example of RFC 9773 section 4.1.
    #[test]
    fn certificates_are_named_as_in_acme() {
        let name = CertificateName::parse("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").unwrap();
        assert_eq!(name.serial, [0x00, 0x87, 0x65, 0x43, 0x21]);
        assert_eq!(name.authority_key_id[..4], [0x69, 0x88, 0x5b, 0x6b]);
        assert_eq!(name.text(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
        for text in [
            "",
            ".",
            "a.b",
            "aYhb",
            "aYhb.",
            ".aYhb",
            "aYhb.aY==",
            "aY+b.aYhb",
            "aYhb.aYhb.aYhb",
            "aYhb.aYh b",
        ] {
            assert_eq!(CertificateName::parse(text), Err(NotAName), "{text}");
        }
        assert!(CertificateName::parse(&format!("{}.aYhb", "A".repeat(400))).is_err());
    }

    #[test]
    fn answers_are_read_as_they_are_written() {
        let text = r#"{"suggestedWindow":{"start":"2025-01-02T04:00:00Z","end":"2025-01-03T04:00:00Z"}}"#;
        assert_eq!(RenewalInfo::from_json(text.as_bytes()).unwrap().to_json(), text);
        let with_more = text.replace("}}", r#"},"explanationURL":"https://x"}"#);
        assert!(RenewalInfo::from_json(with_more.as_bytes()).is_some());
        for bad in [
            "{}",
            "null",
            r#"{"suggestedWindow":{"start":"2025-01-02T04:00:00Z"}}"#,
            r#"{"suggestedWindow":{"start":"soon","end":"later"}}"#,
            r#"{"suggestedWindow":{"start":"2025-01-03T04:00:00Z","end":"2025-01-03T04:00:00Z"}}"#,
            r#"{"suggestedWindow":{"start":"2025-01-04T04:00:00Z","end":"2025-01-03T04:00:00Z"}}"#,
        ] {
            assert_eq!(RenewalInfo::from_json(bad.as_bytes()), None, "{bad}");
        }
    }
}
