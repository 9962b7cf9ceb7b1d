//! The base64 that EST bodies are made of (RFC 8951 section 3, RFC 4648 section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Why a body is not base64.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is empty: send DER in base64")]
    Empty,
    #[error("the body is PEM: send the base64 between its BEGIN and END lines")]
    Pem,
    #[error("the body is DER: send it in base64 (RFC 8951 section 3)")]
    Der,
    #[error(
        "octet {at} of the body is not base64: use the alphabet of RFC 4648 section 4, not the URL-safe one"
    )]
    Alphabet { at: usize },
    #[error("the base64 of the body ends wrongly: pad it with '=' to a multiple of four characters")]
    Padding,
}

/// Decodes a body. CR, LF, space and tab may stand anywhere (RFC 8951 section 3.1); nothing else may.
pub fn decode_base64(body: &[u8]) -> Result<Vec<u8>, BodyError> {
    let is_space = |byte: u8| matches!(byte, b'\r' | b'\n' | b' ' | b'\t');
    let digits: Vec<u8> = body.iter().copied().filter(|byte| !is_space(*byte)).collect();
    if digits.is_empty() {
        return Err(BodyError::Empty);
    }
    if digits.starts_with(b"-----BEGIN") {
        return Err(BodyError::Pem);
    }
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if let Some(at) = body.iter().position(|byte| !is_space(*byte) && !is_digit(*byte)) {
        // Clients that leave the base64 out send a SEQUENCE with a two-octet length.
        return Err(if body.starts_with(&[0x30, 0x82]) {
            BodyError::Der
        } else {
            BodyError::Alphabet { at }
        });
    }
    // Padding must be there and must be last, and the bits it hides must be zero.
    STANDARD.decode(&digits).map_err(|_| BodyError::Padding)
}

/// Base64 on one line, which more clients read than any other layout.
pub fn encode_base64(der: &[u8]) -> String {
    STANDARD.encode(der)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    /// B50: line breaks of every kind, and a newline at the end.
    #[test]
    fn white_space_may_stand_anywhere() {
        for body in ["MAMCAQA=", "MAMCAQA=\n", "MAMC\r\nAQA=\r\n", " M\tA M\nC A Q A\r=", "\n\n MAMCAQA=  "] {
            assert_eq!(decode_base64(body.as_bytes()).unwrap(), [0x30, 3, 2, 1, 0], "{body:?}");
        }
    }

    #[test]
    fn what_is_not_base64_is_refused_for_its_reason() {
        let cases: [(&[u8], BodyError); 14] = [
            (b"", BodyError::Empty),
            (b" \r\n\t", BodyError::Empty),
            (
                b"-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQA=\n-----END CERTIFICATE REQUEST-----\n",
                BodyError::Pem,
            ),
            (b"\x30\x82\x01\x00", BodyError::Der),
            (b"MAMC-QA=", BodyError::Alphabet { at: 4 }),
            (b"MAMC\n_QA=", BodyError::Alphabet { at: 5 }),
            (b"MAMC\x0bAQA=", BodyError::Alphabet { at: 4 }),
            (b"MAMC\0AQA=", BodyError::Alphabet { at: 4 }),
            (b"MAMCAQA", BodyError::Padding),
            (b"MAMCAQA==", BodyError::Padding),
            (b"MAMCAQA=MAMC", BodyError::Padding),
            (b"MAMCAQB=", BodyError::Padding),
            (b"=", BodyError::Padding),
            (b"M", BodyError::Padding),
        ];
        for (body, expected) in cases {
            assert_eq!(decode_base64(body), Err(expected), "{}", String::from_utf8_lossy(body));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode_base64(&bytes);
        }

        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 1..256), width in 1usize..80) {
            let text = encode_base64(&bytes);
            prop_assert_eq!(decode_base64(text.as_bytes()).unwrap(), bytes.clone());
            let lines: Vec<&[u8]> = text.as_bytes().chunks(width).collect();
            prop_assert_eq!(decode_base64(&lines.join(&b"\r\n"[..])).unwrap(), bytes);
        }
    }
}
