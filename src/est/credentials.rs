//! HTTP Basic (RFC 7617), sent without waiting for a challenge or after one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use zeroize::Zeroizing;

/// User name and password. No Debug: the password is a token.
pub(super) struct Basic(Zeroizing<String>, usize);

impl Basic {
    /// `None` when there is no such header, or none that can be read.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
        let text = Zeroizing::new(std::str::from_utf8(&decoded).ok()?.to_owned());
        let colon = text.find(':')?;
        Some(Self(text, colon))
    }

    pub(super) fn pair(&self) -> (&str, &str) {
        (&self.0[..self.1], &self.0[self.1 + 1..])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn read(value: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        Basic::from_headers(&headers).map(|basic| (basic.pair().0.to_owned(), basic.pair().1.to_owned()))
    }

    #[test]
    fn user_and_password_are_split_at_the_first_colon() {
        let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(read("Basic YTpiOmM="), both("a", "b:c"));
        assert_eq!(read("basic OnRva2Vu"), both("", "token"));
    }

    #[test]
    fn anything_else_is_no_credential() {
        for value in ["Basic", "Basic !!!", "Basic YWJj", "Bearer YTpi", "Basic /w=="] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
