//! When a certificate is to be renewed: `GET /.well-known/est/[LABEL/]renewal-info/CERTIFICATE`.
//!
//! By draft-ietf-lamps-est-renewal-info-00, an Internet-Draft; the label in the path is that of RFC 7030. Everybody may
//! ask: what it tells is no more than OCSP does. The body is JSON and not base64 (RFC 8951 section 3.2).

use hyper::Method;

use super::answer::{Answer, WELL_KNOWN};
use crate::authority::Authority;
use crate::pki::renewal_info::{CertificateName, RenewalInfo, SuggestedWindow};

/// Label and certificate; `None`: the path is another one.
pub(super) fn parse(path: &str) -> Option<(Option<&str>, &str)> {
    let rest = path.strip_prefix(WELL_KNOWN)?;
    let (label, certificate) = match rest.strip_prefix("renewal-info/") {
        Some(certificate) => (None, certificate),
        None => {
            let (label, rest) = rest.split_once('/')?;
            (Some(label), rest.strip_prefix("renewal-info/")?)
        }
    };
    (!certificate.is_empty() && !certificate.contains('/')).then_some((label, certificate))
}

pub(super) fn answer(
    authority: &Authority,
    label: Option<&str>,
    certificate: &str,
    method: &Method,
) -> Result<Answer, Answer> {
    if authority.profile_of_label(label).is_none() {
        return Err(Answer::no_such_label(label.unwrap_or_default()));
    }
    if *method != Method::GET && *method != Method::HEAD {
        return Err(Answer::method_not_allowed("GET, HEAD"));
    }
    let name = CertificateName::parse(certificate).map_err(|error| Answer::invalid(&error))?;
    let advice = authority.renewal_advice(&name).map_err(|error| Answer::trouble(&error.to_string()))?;
    let advice = advice.ok_or_else(Answer::no_renewal)?;
    let window = SuggestedWindow { start: advice.window.from, end: advice.window.until };
    let body = RenewalInfo { suggested_window: window }.to_json();
    Ok(Answer::RenewalInfo { body, ask_again: advice.ask_again.as_secs() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_and_without_label() {
        let certificate = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
        let of = |path: &str| parse(path).map(|(label, name)| (label.map(str::to_owned), name.to_owned()));
        let named = |label: Option<&str>| Some((label.map(str::to_owned), certificate.to_owned()));
        assert_eq!(of(&format!("/.well-known/est/renewal-info/{certificate}")), named(None));
        assert_eq!(of(&format!("/.well-known/est/ldev/renewal-info/{certificate}")), named(Some("ldev")));
        for path in [
            "/.well-known/est/renewal-info",
            "/.well-known/est/renewal-info/",
            "/.well-known/est/ldev/renewal-info/",
            "/.well-known/est/a/b/renewal-info/x",
            "/.well-known/est/renewal-info/x/y",
            "/.well-known/est/Renewal-Info/x",
            "/renewal-info/x",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
