//! Judges a finished certificate by its bytes, before it is let out (rules P01 to P23, O22 and O23 of the profile), and a
//! revocation list likewise ([`lint_crl`]).
//!
//! Nothing here is shared with the builders: the certificate is parsed by another library and walked by hand, so that
//! one mistake cannot hide in both. The rules are those of RFC 5280 unless a finding names another document.

mod basics;
mod crl;
mod extensions;
mod issuer;
#[cfg(test)]
mod mutation_tests;
mod names;
mod raw;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::name::Name;

pub use crl::{ReadAt, lint_crl};
use raw::RawCertificate;

/// One thing that is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The number of the rule, such as `P05`.
    pub rule: &'static str,
    /// What is wrong, and where it is written that it is.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}

/// What is wrong with this certificate, and with it under this issuer if one is given. Empty is the good answer.
///
/// For a self-signed certificate the issuer is the certificate itself.
pub fn lint_certificate(der: &[u8], issuer: Option<&[u8]>) -> Vec<Finding> {
    let issuer = issuer.map(Issuer::read);
    lint(der, issuer.as_ref())
}

/// The same under an issuer that was read before: one issuer signs many certificates.
pub fn lint_issued(der: &[u8], issuer: &Issuer) -> Vec<Finding> {
    lint(der, Some(issuer))
}

fn lint(der: &[u8], issuer: Option<&Issuer>) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some(subject) = Judged::read(der, &mut findings) else { return findings.0 };
    basics::judge(&subject, &mut findings);
    names::judge(&subject, &mut findings);
    extensions::judge(&subject, &mut findings);
    if let Some(issuer) = issuer {
        match issuer.judged() {
            Some(issuer) => issuer::judge(&subject, &issuer, &mut findings),
            None => findings.add("P03", "the issuer's certificate cannot be read"),
        }
    }
    findings.0
}

/// An issuer's certificate, read once.
#[derive(Clone, Debug)]
pub struct Issuer {
    der: Vec<u8>,
    /// `None` when it cannot be read: then nothing under it is good.
    parsed: Option<x509_cert::Certificate>,
}

impl Issuer {
    pub fn read(der: &[u8]) -> Self {
        Self { der: der.to_owned(), parsed: x509_cert::Certificate::from_der(der).ok() }
    }

    fn judged(&self) -> Option<Judged<'_>> {
        let raw = RawCertificate::read(&self.der)?;
        Some(Judged { raw, parsed: Cow::Borrowed(self.parsed.as_ref()?) })
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &'static str, text: impl Into<String>) {
        self.0.push(Finding { rule, text: text.into() });
    }

    fn require(&mut self, holds: bool, rule: &'static str, text: &str) {
        if !holds {
            self.add(rule, text);
        }
    }
}

/// A certificate in two readings.
struct Judged<'a> {
    raw: RawCertificate<'a>,
    parsed: Cow<'a, x509_cert::Certificate>,
}

impl<'a> Judged<'a> {
    /// P23: a second library reads it, and would write the same bytes.
    fn read(der: &'a [u8], findings: &mut Findings) -> Option<Self> {
        let parsed = match x509_cert::Certificate::from_der(der) {
            Ok(parsed) => parsed,
            Err(error) => {
                findings.add("P23", format!("it cannot be parsed: {error}"));
                return None;
            }
        };
        let Some(raw) = RawCertificate::read(der) else {
            findings.add("P23", "its fields are not in the order of RFC 5280 section 4.1");
            return None;
        };
        findings.require(
            parsed.to_der().is_ok_and(|again| again == der),
            "P23",
            "it is not in DER: encoding it again gives other bytes (X.690 section 10)",
        );
        Some(Self { raw, parsed: Cow::Owned(parsed) })
    }

    fn subject(&self) -> &Name {
        self.parsed.tbs_certificate().subject()
    }

    fn is_self_issued(&self) -> bool {
        self.raw.subject == self.raw.issuer
    }

    fn extensions(&self) -> &[Extension] {
        self.parsed.tbs_certificate().extensions().map_or(&[], Vec::as_slice)
    }

    fn extension(&self, oid: ObjectIdentifier) -> Option<&Extension> {
        self.extensions().iter().find(|extension| extension.extn_id == oid)
    }

    /// The value of an extension. What cannot be read is absent here, and a P23 finding of [`extensions`].
    fn value<'b, T: Decode<'b>>(&'b self, oid: ObjectIdentifier) -> Option<T> {
        T::from_der(self.extension(oid)?.extn_value.as_bytes()).ok()
    }

    fn is_ca(&self) -> bool {
        let constraints: Option<x509_cert::ext::pkix::BasicConstraints> =
            self.value(const_oid::db::rfc5280::ID_CE_BASIC_CONSTRAINTS);
        constraints.is_some_and(|constraints| constraints.ca)
    }
}
