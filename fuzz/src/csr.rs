//! Certification requests (RFC 2986): what is believed, and why.

use der::{Decode, Encode};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use vitae::pki::csr::{Requested, VerifiedCsr};
use vitae::pki::envelope::Asked;
use vitae::pki::key::{PublicKey, PublicKeyKind};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::request::{CertReq, ExtensionReq};

use super::by_hand;

/// `D` and a request; or any other octet, the length of the subject, the subject and the attributes, which are then
/// signed with a good key, so that what lies behind the signature is reached too. Was it believed?
pub fn check(data: &[u8]) -> bool {
    match data {
        [b'D', request @ ..] => believed_for_a_reason(request, request.len()),
        [_, length, rest @ ..] => {
            let (subject, attributes) = rest.split_at(usize::from(*length).min(rest.len()));
            let request = by_hand::signed_request(7, subject, attributes);
            believed_for_a_reason(&request, subject.len() * 7 + attributes.len())
        }
        _ => false,
    }
}

fn believed_for_a_reason(der: &[u8], at: usize) -> bool {
    // Where the server makes the key, neither key nor signature of a request counts, but its wishes do.
    let wishes = Requested::from_csr_der(der);
    if let Ok(wishes) = &wishes
        && let Err(error) = Asked::from_attributes(wishes.attributes())
    {
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
    let csr = match VerifiedCsr::from_der(der) {
        Ok(csr) => csr,
        Err(error) => {
            // Shown to the client that sent it: one line of bounded length, without control characters.
            let text = error.to_string();
            assert!(text.len() < 1000 && !text.contains(char::is_control), "{text:?}");
            return false;
        }
    };
    // The bytes are those that came, and another library reads the same in them.
    assert_eq!(csr.der(), der);
    assert_eq!(wishes.as_ref(), Ok(csr.requested()));
    let other = CertReq::from_der(der).expect("what is believed, another library can read");
    // It sorts the attributes, as DER asks; not all clients do.
    assert_eq!(other.to_der().expect("and write").len(), der.len());
    assert_eq!(csr.requested().subject().to_der(), other.info.subject.to_der());
    let spki = other.info.public_key.to_der().expect("it was read");
    assert_eq!(csr.public_key().spki_der(), spki);
    assert_eq!(PublicKey::from_spki_der(&spki).as_ref(), Ok(csr.public_key()));

    // The signature verifies by another implementation too.
    if csr.public_key().kind() == PublicKeyKind::P256
        && other.algorithm.oid == const_oid::db::rfc5912::ECDSA_WITH_SHA_256
    {
        let key = VerifyingKey::from_public_key_der(&spki).expect("the point is on the curve");
        let signature =
            DerSignature::try_from(other.signature.raw_bytes()).expect("it is an ECDSA-Sig-Value");
        let parts = Vec::<der::Any>::from_der(der).expect("it is a SEQUENCE");
        let info = parts[0].to_der().expect("it was read");
        key.verify(&info, &signature).expect("no proof of possession");
    }
    // One bit changed, wherever it is, and nothing is believed any more.
    let mut changed = der.to_vec();
    let bit = at % (der.len() * 8);
    changed[bit / 8] ^= 1 << (bit % 8);
    assert!(VerifiedCsr::from_der(&changed).is_err(), "bit {bit} does not count");
    assert!(VerifiedCsr::from_der(&[der, &[0]].concat()).is_err(), "B35: an octet behind does not count");

    asks_for_what_it_says(&csr, &other);
    true
}

/// Names and purposes are those of the one extensionRequest, never an empty list.
fn asks_for_what_it_says(csr: &VerifiedCsr, other: &CertReq) {
    let requested: Vec<ExtensionReq> = other
        .info
        .attributes
        .iter()
        .filter(|attribute| attribute.oid == const_oid::db::rfc5912::ID_EXTENSION_REQ)
        .map(|attribute| attribute.values.iter().next().and_then(|value| value.decode_as().ok()))
        .map(|extensions| extensions.expect("it is read"))
        .collect();
    assert!(requested.len() <= 1);
    let extensions = requested.first().map_or(&[][..], |request| request.0.as_slice());
    let value = |oid| extensions.iter().find(|extension| extension.extn_id == oid);
    let names = value(const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME)
        .map(|extension| SubjectAltName::from_der(extension.extn_value.as_bytes()).expect("it is read").0);
    assert!(names.as_ref().is_none_or(|names| !names.is_empty()));
    assert_eq!(csr.requested().subject_alt_names(), names.as_deref());
    let purposes = value(const_oid::db::rfc5280::ID_CE_EXT_KEY_USAGE).is_some();
    assert_eq!(purposes, !csr.requested().extended_key_usages().is_empty());
}
