//! Certs-only messages (RFC 5652 section 5), the only CMS that is read; CMC requests are not parsed at all.

use vitae::pki::cms::{certificates_in, certs_only};

use super::by_hand;

/// The input as certificates to be bundled, and as a message: was it read?
pub fn check(data: &[u8]) -> bool {
    as_certificates(data);
    as_message(data)
}

/// Each certificate stands in the message byte for byte, and all of them survive another bundle.
fn as_message(der: &[u8]) -> bool {
    let Ok(certificates) = certificates_in(der) else { return false };
    assert!(certificates.iter().map(Vec::len).sum::<usize>() < der.len());
    let mut at = 0;
    for certificate in &certificates {
        let found = der[at..].windows(certificate.len()).position(|window| window == certificate);
        at += found.expect("it is a part of the message, after the one before it") + certificate.len();
    }
    assert!(certificates_in(&[der, &[0]].concat()).is_err(), "an octet behind does not count");
    let parts: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    match certs_only(&parts) {
        Ok(again) => assert_eq!(certificates_in(&again), Ok(sorted(&parts))),
        Err(_) => assert!(certificates.is_empty()),
    }
    true
}

/// What goes in comes out: the first octets say how the rest is cut.
fn as_certificates(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else { return };
    let parts: Vec<Vec<u8>> =
        rest.chunks(1 + usize::from(*cut)).take(64).map(|value| by_hand::element(0x30, value)).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let Ok(der) = certs_only(&parts) else {
        assert!(parts.is_empty());
        return;
    };
    assert_eq!(certificates_in(&der), Ok(sorted(&parts)));
    // What is no SEQUENCE is no certificate.
    assert!(certs_only(&[&[&[0x31], &parts[0][1..]].concat()]).is_err());
}

fn sorted(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut sorted: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
    sorted.sort();
    sorted.dedup();
    sorted
}
