//! The answer to serverkeygen: a private key and its certificate in one multipart body (RFC 7030 section 4.4.2).

use zeroize::Zeroizing;

use super::body::encode_base64;

/// The longest boundary (RFC 2046 section 5.1.1).
const LONGEST_BOUNDARY: usize = 70;
/// What base64 lines of mail have had at most (RFC 2045 section 6.8).
const LINE: usize = 76;

/// The private key, in DER.
#[derive(Clone, Copy)]
pub enum KeyPart<'a> {
    /// An unencrypted PrivateKeyInfo.
    Plain(&'a [u8]),
    /// A ContentInfo with EnvelopedData.
    Enveloped(&'a [u8]),
}

impl<'a> KeyPart<'a> {
    fn content_type(self) -> &'static str {
        match self {
            Self::Plain(_) => "application/pkcs8",
            Self::Enveloped(_) => "application/pkcs7-mime; smime-type=server-generated-key",
        }
    }

    fn der(self) -> &'a [u8] {
        match self {
            Self::Plain(der) | Self::Enveloped(der) => der,
        }
    }
}

/// The text is not a boundary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' cannot divide the parts of a body: use 1 to {LONGEST_BOUNDARY} letters, digits and dashes, a dash among them"
)]
pub struct BadBoundary(String);

/// What stands between the parts. It has a dash in it, which base64 has not, so no part can contain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// Less than RFC 2046 section 5.1.1 allows: what needs no quotes in a header.
    pub fn new(text: &str) -> Result<Self, BadBoundary> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if (1..=LONGEST_BOUNDARY).contains(&text.len()) && text.bytes().all(allowed) && text.contains('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadBoundary(text.to_owned()))
        }
    }

    /// The value of the Content-Type header that belongs to the body.
    pub fn content_type(&self) -> String {
        format!("multipart/mixed; boundary={}", self.0)
    }
}

/// The body: the key first, then the certs-only message, each in base64 under its two headers; libest reads no part
/// without both. With `lines`, base64 is broken as in mail.
///
/// A plain key is in the text: whoever sends it wipes it.
pub fn key_and_certificate(key: KeyPart<'_>, certs_only: &[u8], boundary: &Boundary, lines: bool) -> String {
    let certificate = "application/pkcs7-mime; smime-type=certs-only";
    let parts = [(key.content_type(), key.der()), (certificate, certs_only)];
    // Reserved whole, so that growing leaves no copy of the key behind.
    let base64 = |der: &[u8]| der.len().div_ceil(3) * 4;
    let room: usize = parts.iter().map(|(_, der)| base64(der) + base64(der) / LINE * 2 + 256).sum();
    let mut out = String::with_capacity(room + LONGEST_BOUNDARY);
    for (content_type, der) in parts {
        for text in ["--", &boundary.0, "\r\nContent-Type: ", content_type, "\r\n"] {
            out.push_str(text);
        }
        out.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
        put_base64(&mut out, der, lines);
    }
    for text in ["--", &boundary.0, "--\r\n"] {
        out.push_str(text);
    }
    out
}

fn put_base64(out: &mut String, der: &[u8], lines: bool) {
    let text = Zeroizing::new(encode_base64(der));
    let mut rest = text.as_str();
    let length = if lines { LINE } else { rest.len() };
    while !rest.is_empty() {
        // Base64 is ASCII, so any byte is a boundary.
        let (line, tail) = rest.split_at(rest.len().min(length));
        out.push_str(line);
        out.push_str("\r\n");
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;
    use crate::pki::body::decode_base64;

    /// E51: two parts, each with its two headers, as in the example of RFC 7030 appendix A.4 without its preamble.
    #[test]
    fn the_body_is_that_of_the_rfc() {
        let boundary = Boundary::new("vitae-1").unwrap();
        assert_eq!(boundary.content_type(), "multipart/mixed; boundary=vitae-1");
        let expected = "--vitae-1\r\n\
            Content-Type: application/pkcs8\r\n\
            Content-Transfer-Encoding: base64\r\n\
            \r\n\
            MAA=\r\n\
            --vitae-1\r\n\
            Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n\
            Content-Transfer-Encoding: base64\r\n\
            \r\n\
            MAMCAQA=\r\n\
            --vitae-1--\r\n";
        let certificate = [0x30, 3, 2, 1, 0];
        assert_eq!(key_and_certificate(KeyPart::Plain(&[0x30, 0]), &certificate, &boundary, false), expected);
    }

    /// E53: the type that says it is encrypted.
    #[test]
    fn an_enveloped_key_has_its_own_type() {
        let boundary = Boundary::new("vitae-1").unwrap();
        let body = key_and_certificate(KeyPart::Enveloped(&[0x30, 0]), &[0x30, 0], &boundary, false);
        let first = body.split("--vitae-1\r\n").nth(1).unwrap();
        assert!(
            first.starts_with("Content-Type: application/pkcs7-mime; smime-type=server-generated-key\r\n")
        );
    }

    #[test]
    fn what_could_be_mistaken_for_content_divides_nothing() {
        let longest = format!("-{}", "a".repeat(69));
        for good in ["-", "a-b", "vitae-0123456789abcdef", &longest] {
            assert!(Boundary::new(good).is_ok(), "{good}");
        }
        let too_long = format!("{longest}a");
        for bad in ["", "vitae", "a b-", "a-\r\n", "a-\"", "é-", "a_-", &too_long] {
            assert!(Boundary::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Any octets come back, in lines or not, and the text never outgrew its room.
        #[test]
        fn both_parts_come_back(
            key in proptest::collection::vec(any::<u8>(), 1..600),
            certificate in proptest::collection::vec(any::<u8>(), 1..600),
            lines in any::<bool>(),
        ) {
            let boundary = Boundary::new("a-b").unwrap();
            let body = key_and_certificate(KeyPart::Plain(&key), &certificate, &boundary, lines);
            let parts: Vec<&str> = body.split("--a-b").collect();
            prop_assert_eq!(parts.len(), 4);
            prop_assert_eq!((parts[0], parts[3]), ("", "--\r\n"));
            for (part, expected) in [(parts[1], &key), (parts[2], &certificate)] {
                let (headers, base64) = part.split_once("\r\n\r\n").unwrap();
                prop_assert_eq!(headers.matches("\r\n").count(), 2);
                prop_assert_eq!(&decode_base64(base64.as_bytes()).unwrap(), expected);
                let longest = base64.lines().map(str::len).max().unwrap();
                prop_assert!(!lines || longest <= 76, "{}", longest);
                prop_assert!(lines || base64.lines().count() == 1);
            }
            let room = body.capacity();
            prop_assert!(room < body.len() + 700, "{} {}", room, body.len());
        }
    }
}
