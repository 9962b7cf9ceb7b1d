//! PEM, the armour of certificates in files (RFC 7468).

use super::body::{self, decode_base64};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Why a text holds no certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("there is no certificate in it: write '{BEGIN}' before and '{END}' after the base64")]
    None,
    #[error("certificate {number} has no line '{END}'")]
    NoEnd { number: usize },
    #[error("certificate {number} is damaged: {reason}")]
    Damaged { number: usize, reason: body::BodyError },
}

/// The DER of every certificate, in order. Text between them is skipped, as other tools write some there.
pub fn certificates(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    let mut found = Vec::new();
    // Each character is looked at a fixed number of times: PEM readers have been quadratic before.
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let number = found.len() + 1;
        let (base64, after) = after.split_once(END).ok_or(PemError::NoEnd { number })?;
        found.push(decode_base64(base64.as_bytes()).map_err(|reason| PemError::Damaged { number, reason })?);
        rest = after;
    }
    if found.is_empty() { Err(PemError::None) } else { Ok(found) }
}

/// The PEM of one object, in lines of 64 characters (RFC 7468 section 2).
pub fn encode(label: &str, der: &[u8]) -> String {
    let base64 = body::encode_base64(der);
    let mut out = String::with_capacity(base64.len() + base64.len() / 64 + 2 * label.len() + 64);
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so every index is a boundary.
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use der::pem::LineEnding;
    use proptest::prelude::*;

    use super::*;
    use crate::pki::testing::TestCa;

    #[test]
    fn bundles_are_read_with_whatever_stands_between() {
        let (a, b) = (TestCa::root(), TestCa::root());
        let a_pem = encode("CERTIFICATE", a.certificate.der());
        let b_pem = encode("CERTIFICATE", b.certificate.der()).replace('\n', "\r\n");
        let key = encode("PRIVATE KEY", b"not to be read");
        let bundle = format!("subject=CN = Root\n{a_pem}\n{key}# next\n{b_pem}end");
        assert_eq!(certificates(&bundle).unwrap(), [a.certificate.der(), b.certificate.der()]);
    }

    #[test]
    fn bad_bundles_are_refused_for_their_reason() {
        let good = encode("CERTIFICATE", &[0x30, 0]);
        assert_eq!(certificates(""), Err(PemError::None));
        assert_eq!(certificates("hello"), Err(PemError::None));
        assert_eq!(certificates(&format!("{good}{BEGIN}\nMAA=\n")), Err(PemError::NoEnd { number: 2 }));
        for broken in ["", "MA-=", "MAA", &format!("MAA=\n{BEGIN}\nMAA=\n")] {
            let text = format!("{good}{BEGIN}\n{broken}\n{END}\n");
            assert!(matches!(certificates(&text), Err(PemError::Damaged { number: 2, .. })), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn another_encoder_writes_the_same(der in proptest::collection::vec(any::<u8>(), 1..400)) {
            let other = der::pem::encode_string("CERTIFICATE", LineEnding::LF, &der).unwrap();
            prop_assert_eq!(encode("CERTIFICATE", &der), other);
        }

        #[test]
        fn no_text_panics(text in "(-----BEGIN CERTIFICATE-----|-----END CERTIFICATE-----|[A-Za-z=\n]|\\PC){0,40}") {
            let _ = certificates(&text);
        }
    }
}
