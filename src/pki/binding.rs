//! What ties a request to its TLS connection (RFC 7030 section 3.5): the names and sizes that both ends must agree on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Of the tls-exporter value (RFC 9266 section 2); its context is the empty string.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// Octets of the tls-exporter value.
pub const EXPORTER_LENGTH: usize = 32;
/// Octets of the tls-unique value, the first Finished of a TLS 1.2 handshake (RFC 5929 section 3).
pub const UNIQUE_LENGTH: usize = 12;

/// A value as the challengePassword of a request spells it: base64 with padding, without line breaks.
pub fn challenge(value: &[u8]) -> String {
    STANDARD.encode(value)
}
