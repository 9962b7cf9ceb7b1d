//! OCSP requests (RFC 6960 section 4.1), from anyone.

use der::{Decode, Encode, Tagged};
use vitae::pki::ocsp::{HashAlg, OcspRequest, ParsedResponse, parse_response};

use super::by_hand;

const MOST: usize = 8;

/// What is read is written again as the same CertID. Was it read?
pub fn check(der: &[u8]) -> bool {
    // The client's side reads whatever a responder sends.
    if let Ok(ParsedResponse::Basic(response)) = parse_response(der) {
        assert!(response.singles.iter().all(|single| is_part(der, &single.cert_id.raw)));
    }
    let request = match OcspRequest::from_der(der, MOST) {
        Ok(request) => request,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control), "{error}");
            return false;
        }
    };
    assert!((1..=MOST).contains(&request.entries.len()));
    assert!(request.nonce.is_none_or(|nonce| (1..=128).contains(&nonce.len()) && is_part(der, &nonce)));
    for id in &request.entries {
        assert!(is_part(der, &id.raw));
        let fields = Vec::<der::Any>::from_der(&id.raw).expect("a CertID is a SEQUENCE");
        let [algorithm, ..] = &fields[..] else { panic!("it has an algorithm") };
        let algorithm = algorithm.to_der().expect("it was read");
        let again = by_hand::sequence(&[
            &algorithm,
            &by_hand::element(4, &id.issuer_name_hash),
            &by_hand::element(4, &id.issuer_key_hash),
            &by_hand::element(2, &id.serial),
        ]);
        assert_eq!(again, id.raw);
        let length = match id.hash {
            HashAlg::Sha1 => 20,
            HashAlg::Sha256 => 32,
            HashAlg::Sha384 => 48,
            HashAlg::Sha512 => 64,
            HashAlg::Other => id.issuer_name_hash.len(),
        };
        assert_eq!(id.issuer_name_hash.len(), length);
        assert_eq!(id.hash == HashAlg::Other, !is_known(&algorithm));
        // A number of this authority is 16 octets and positive, whatever the octets are.
        assert!(id.own_serial().is_none_or(|own| own.as_bytes()[..] == id.serial[..]));
    }
    assert!(OcspRequest::from_der(&[der, &[0]].concat(), MOST).is_err(), "an octet behind does not count");
    assert!(OcspRequest::from_der(der, request.entries.len() - 1).is_err(), "the bound holds");
    true
}

/// Whether the AlgorithmIdentifier begins with the OID of SHA-1 or of a SHA-2 hash.
fn is_known(algorithm: &[u8]) -> bool {
    const SHA1: [u8; 7] = [0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a];
    const SHA2: [u8; 10] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    let oid = der::Any::from_der(algorithm).expect("it was read");
    assert_eq!(oid.tag(), der::Tag::Sequence);
    let oid = oid.value();
    oid.starts_with(&SHA1)
        || (oid.starts_with(&SHA2) && oid.get(10).is_some_and(|last| (1..=3).contains(last)))
}

fn is_part(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}
