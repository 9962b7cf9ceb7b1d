//! Whether a client's certificate leads to an anchor that is trusted here (RFC 5280 section 6, RFC 7030 section 3.3.2).

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage,
    anchor_from_trusted_cert,
};

use crate::clock::Timestamp;

/// No chain in use has more certificates between device and anchor. Strangers choose what they present, and among
/// certificates of one name the verifier tries every order: with ten of them that is a tenth of a second a handshake.
const MOST_BETWEEN: usize = 5;

/// Why a chain is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the certificate, or one of its issuers, has expired: renew it")]
    Expired,
    #[error("the certificate, or one of its issuers, is not valid yet: check the clock")]
    NotYetValid,
    #[error("the certificate is not meant for TLS clients (no id-kp-clientAuth among its purposes)")]
    NoClientAuth,
    #[error(
        "the certificate is not issued by a CA that is trusted here: send its intermediates, or register its CA"
    )]
    UnknownIssuer,
    #[error("the certificate is not accepted: {0}")]
    Other(String),
}

/// Verifies signatures, dates, CA flags, path lengths, name constraints and purpose from `leaf` up to one of `anchors`.
///
/// A leaf without extended key usages, as makers' device identities are, is good for any purpose (RFC 5280 4.2.1.12).
/// The dates of the anchors themselves do not count: an anchor is a name and a key (RFC 5280 section 6.1.1 (d)).
pub fn verify_client_chain(
    leaf: &[u8],
    intermediates: &[&[u8]],
    anchors: &[&[u8]],
    at: Timestamp,
) -> Result<(), PathError> {
    verify(leaf, intermediates, anchors, at, KeyUsage::client_auth())
}

/// The same for certificates of our own CAs, whatever their purpose: a server's certificate is renewed by showing it.
pub fn verify_own_chain(
    leaf: &[u8],
    intermediates: &[&[u8]],
    anchors: &[&[u8]],
    at: Timestamp,
) -> Result<(), PathError> {
    verify(leaf, intermediates, anchors, at, AnyPurpose)
}

struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

fn verify(
    leaf: &[u8],
    intermediates: &[&[u8]],
    anchors: &[&[u8]],
    at: Timestamp,
    purpose: impl ExtendedKeyUsageValidator,
) -> Result<(), PathError> {
    if intermediates.len() > MOST_BETWEEN {
        return Err(PathError::Other(format!("more than {MOST_BETWEEN} certificates come with it")));
    }
    let leaf = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&leaf).map_err(refused)?;
    let intermediates: Vec<CertificateDer<'_>> =
        intermediates.iter().map(|der| CertificateDer::from(*der)).collect();
    let anchors: Vec<CertificateDer<'_>> = anchors.iter().map(|der| CertificateDer::from(*der)).collect();
    // One anchor that webpki cannot read must not take the others down with it.
    let anchors: Vec<_> = anchors.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.secs()));
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &intermediates, at, purpose, None, None)
        .map(|_| ())
        .map_err(refused)
}

fn refused(error: Error) -> PathError {
    match error {
        Error::CertExpired { .. } => PathError::Expired,
        Error::CertNotValidYet { .. } => PathError::NotYetValid,
        Error::RequiredEkuNotFoundContext(_) => PathError::NoClientAuth,
        // An issuer of the same name with another key is an unknown issuer too.
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => PathError::UnknownIssuer,
        other => PathError::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::pki::certificate::CertificateTemplate;
    use crate::pki::extensions;
    use crate::pki::testing::{TestCa, TestKey, day, issue};

    fn drop_extension(template: &mut CertificateTemplate, oid: &str) {
        template.extensions.retain(|extension| extension.extn_id.to_string() != oid);
    }

    #[test]
    fn chains_are_judged() {
        let (ca, stranger, namesake) = (TestCa::root(), TestKey::p256(), TestCa::root());
        let leaf = ca.issue(ca.leaf(&stranger));
        let anchor = [ca.certificate.der()];
        let now = day("2026-11-23");
        let verify = |leaf: &[u8], anchors: &[&[u8]], at| verify_client_chain(leaf, &[], anchors, at);
        assert_eq!(verify(&leaf, &anchor, now), Ok(()));
        assert_eq!(verify(&leaf, &[&[0x30, 0], ca.certificate.der()], now), Ok(()), "one unreadable anchor");
        assert_eq!(verify(&leaf, &anchor, day("2027-02-02")), Err(PathError::Expired));
        assert_eq!(verify(&leaf, &anchor, day("2026-01-31")), Err(PathError::NotYetValid));
        assert_eq!(verify(&leaf, &[], now), Err(PathError::UnknownIssuer));
        // B19: the same name, another key.
        assert_eq!(verify(&leaf, &[namesake.certificate.der()], now), Err(PathError::UnknownIssuer));

        let mut server = ca.leaf(&stranger);
        drop_extension(&mut server, "2.5.29.37");
        let idevid = server.clone();
        server
            .extensions
            .push(extensions::extended_key_usage(&["1.3.6.1.5.5.7.3.1".parse().unwrap()], false).unwrap());
        assert_eq!(verify(&ca.issue(server), &anchor, now), Err(PathError::NoClientAuth));

        let mut idevid = CertificateTemplate { not_after: Timestamp::FOREVER, ..idevid };
        drop_extension(&mut idevid, "2.5.29.15");
        let idevid = ca.issue(idevid);
        assert_eq!(verify(&idevid, &anchor, now), Ok(()), "IDevID without usages, without end");
        assert_eq!(verify(&idevid, &anchor, Timestamp::FOREVER), Ok(()), "after the anchor's own end");
        let mut bare = ca.leaf(&stranger);
        bare.extensions.clear();
        assert_eq!(verify(&ca.issue(bare), &anchor, now), Ok(()), "no extensions at all");

        let mut ca_leaf = ca.leaf(&stranger);
        ca_leaf.extensions = vec![extensions::basic_constraints_ca(None)];
        assert!(matches!(verify(&ca.issue(ca_leaf), &anchor, now), Err(PathError::Other(_))));
        for junk in [&[][..], &[0x30, 0], &[0xff; 40]] {
            assert!(matches!(verify(junk, &anchor, now), Err(PathError::Other(_))));
        }
    }

    #[test]
    fn intermediates_are_used_and_a_leaf_is_no_ca() {
        let (root, sub_key, device) = (TestCa::root(), TestKey::p256(), TestKey::p256());
        let mut sub = root.leaf(&sub_key);
        sub.extensions = vec![
            extensions::basic_constraints_ca(Some(0)),
            extensions::key_usage(extensions::KeyUsages::KeyCertSign).unwrap(),
        ];
        let subject = sub.subject.clone();
        let sub_der = root.issue(sub);
        let mut leaf = root.leaf(&device);
        leaf.issuer = subject;
        let leaf = issue(leaf, &sub_key);
        let (anchor, now) = ([root.certificate.der()], day("2026-11-23"));
        assert_eq!(verify_client_chain(&leaf, &[&sub_der], &anchor, now), Ok(()));
        assert_eq!(verify_client_chain(&leaf, &[], &anchor, now), Err(PathError::UnknownIssuer));
        let not_a_ca = root.issue(root.leaf(&sub_key));
        assert!(verify_client_chain(&leaf, &[&not_a_ca], &anchor, now).is_err());
    }

    /// B37: every order of namesakes is a path to be tried, so there must not be many.
    #[test]
    fn many_intermediates_are_not_even_looked_at() {
        let (root, device, now) = (TestCa::root(), TestKey::p256(), day("2026-11-23"));
        let namesake = || {
            let mut template = root.leaf(&TestKey::p256());
            template.extensions = vec![extensions::basic_constraints_ca(None)];
            (template.issuer, template.not_after) = (template.subject.clone(), Timestamp::FOREVER);
            issue(template, &device)
        };
        let many: Vec<Vec<u8>> = (0..=MOST_BETWEEN).map(|_| namesake()).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        let mut leaf = root.leaf(&device);
        leaf.issuer = leaf.subject.clone();
        let leaf = issue(leaf, &device);
        let anchor = [root.certificate.der()];
        assert!(matches!(verify_client_chain(&leaf, &many, &anchor, now), Err(PathError::Other(_))));
        let fewer = &many[..MOST_BETWEEN];
        assert_eq!(verify_client_chain(&leaf, fewer, &anchor, now), Err(PathError::UnknownIssuer));
        // A good chain is not good in such company either: its sender can leave the others out.
        let good = root.issue(root.leaf(&device));
        assert_eq!(verify_client_chain(&good, fewer, &anchor, now), Ok(()));
        assert!(verify_client_chain(&good, &many, &anchor, now).is_err());
    }
}
