//! Requests that are refused for what they are: form, key, signature (E20, E34, B16, B34, B35).

use std::time::{Duration, Instant};

use rcgen::{PKCS_RSA_SHA256, RsaKeySize};

use crate::support::House;
use crate::support::csr::{CN, Csr, EKU, EXTENSION_REQUEST, Key, SAN, attribute, eku, key, request, san};
use crate::support::der::{NULL, bits, extension, int, name, oid, seq, tlv};
use crate::support::wire::Ask;

const EC: &str = "1.2.840.10045.2.1";
const RSA: &str = "1.2.840.113549.1.1.1";
const P256: &str = "1.2.840.10045.3.1.7";

fn rsa_spki(modulus_octets: usize) -> Vec<u8> {
    let mut modulus = vec![0xc3; modulus_octets];
    modulus[modulus_octets - 1] = 0x01;
    let key = seq(&[&int(&modulus), &int(&[1, 0, 1])]);
    seq(&[&seq(&[&oid(RSA), NULL]), &bits(&key)])
}

/// The parameters of P-256 spelled out (RFC 3279 section 2.3.5), as CVE-2022-0778 needs them.
fn explicit_spki(point: &[u8]) -> Vec<u8> {
    let field = seq(&[&oid("1.2.840.10045.1.1"), &int(&[0xff; 32])]);
    let curve = seq(&[&tlv(4, &[0xff; 32]), &tlv(4, &[0x5a; 32])]);
    let parameters = seq(&[&int(&[1]), &field, &curve, &tlv(4, point), &int(&[0xff; 32]), &int(&[1])]);
    seq(&[&seq(&[&oid(EC), &parameters]), &bits(point)])
}

fn ec_spki(curve: &str, point: &[u8]) -> Vec<u8> {
    seq(&[&seq(&[&oid(EC), &oid(curve)]), &bits(point)])
}

fn with_key(key: &Key, spki: Vec<u8>) -> Vec<u8> {
    Csr { spki, ..Csr::of(key) }.sign(key)
}

fn with(key: &Key, change: impl FnOnce(&mut Csr)) -> Vec<u8> {
    let mut csr = Csr::of(key);
    change(&mut csr);
    csr.sign(key)
}

/// Each of them is told why with 400; nothing is written, and the token that came along is not spent.
#[tokio::test]
async fn requests_of_a_wrong_form_are_refused_and_change_nothing() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let key = key();
    let point = key.public_key_raw().to_vec();
    let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
    let mut off_curve = point.clone();
    off_curve[64] ^= 1;
    let other = crate::support::csr::key();
    let uri = san(&[tlv(0x86, b"urn:dev:ops:32473-P3-BR000001")]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("E34: another key's signature", Csr::of(&key).sign(&other)),
        ("E34: a signature of nothing", Csr::of(&key).signed_falsely()),
        ("B34: explicit curve", with_key(&key, explicit_spki(&point))),
        ("B34: RSA 16384", with_key(&key, rsa_spki(2048))),
        ("RSA 1024", with_key(&key, rsa_spki(128))),
        ("compressed point", with_key(&key, ec_spki(P256, &compressed))),
        ("point off the curve", with_key(&key, ec_spki(P256, &off_curve))),
        ("point at infinity", with_key(&key, ec_spki(P256, &[0]))),
        ("secp256k1", with_key(&key, ec_spki("1.3.132.0.10", &point))),
        ("a curve of another size", with_key(&key, ec_spki("1.3.132.0.34", &point))),
        ("DSA", with_key(&key, seq(&[&seq(&[&oid("1.2.840.10040.4.1")]), &bits(&point)]))),
        ("SHA-1", with(&key, |csr| csr.algorithm = seq(&[&oid("1.2.840.10045.4.1")]))),
        ("an algorithm of another key", with(&key, |csr| csr.algorithm = seq(&[&oid("1.3.101.112")]))),
        ("version 2", with(&key, |csr| csr.version = int(&[1]))),
        (
            "B16: attribute without a value",
            with(&key, |csr| csr.attributes = vec![attribute("1.2.3.4", &[])]),
        ),
        (
            "B16: no extensions at all",
            with(&key, |csr| {
                csr.attributes = vec![attribute(EXTENSION_REQUEST, &[seq(&[])])];
            }),
        ),
        ("B16: empty SAN", Csr::of(&key).asking(&[extension(SAN, &seq(&[]))]).sign(&key)),
        ("B16: empty EKU", Csr::of(&key).asking(&[extension(EKU, &seq(&[]))]).sign(&key)),
        (
            "B16: empty values of extensionRequest",
            with(&key, |csr| {
                csr.attributes = vec![attribute(EXTENSION_REQUEST, &[])];
            }),
        ),
        ("one extension twice", Csr::of(&key).asking(&[uri.clone(), uri.clone()]).sign(&key)),
        ("two extensionRequests", Csr::of(&key).asking(std::slice::from_ref(&uri)).asking(&[uri]).sign(&key)),
        ("SAN that is no SEQUENCE", Csr::of(&key).asking(&[extension(SAN, &int(&[1]))]).sign(&key)),
        (
            "EKU with octets behind",
            Csr::of(&key)
                .asking(&[extension(EKU, &[seq(&[&oid("1.3.6.1.5.5.7.3.2")]), vec![0]].concat())])
                .sign(&key),
        ),
        ("subject that is no Name", with(&key, |csr| csr.subject = int(&[1]))),
        ("subject with an empty RDN", with(&key, |csr| csr.subject = seq(&[&tlv(0x31, &[])]))),
    ];
    let before = house.events();
    let mut wire = house.est(None).await;
    let begun = Instant::now();
    let count = u32::try_from(cases.len()).unwrap();
    for (case, der) in cases {
        let reply = wire.ask(&Ask::est("simpleenroll", &der).basic(id.as_str(), &token)).await.unwrap();
        assert_eq!(reply.status, 400, "{case}: {}", reply.text());
        assert!(reply.text().len() > 10, "{case}");
    }
    // B34: none of these keys costs arithmetic; a debug build on a busy machine is still far below this.
    assert!(begun.elapsed() / count < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(house.events(), before);
    let good = Ask::est("simpleenroll", &request(&key)).basic(id.as_str(), &token);
    assert_eq!(wire.ask(&good).await.unwrap().certificates().len(), 1);
}

/// A key that is sound but of a kind the profile does not take: 400, and told what it takes.
#[tokio::test]
async fn the_profile_says_which_keys_it_takes() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let rsa = |size| Key::new(rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap());
    let of = |algorithm| Key::new(rcgen::KeyPair::generate_for(algorithm).unwrap());
    let sha256_rsa = seq(&[&oid("1.2.840.113549.1.1.11"), NULL]);
    let ecdsa = |oid_text| seq(&[&oid(oid_text)]);
    for (case, status, key, algorithm) in [
        ("RSA 2048", 200, rsa(RsaKeySize::_2048), sha256_rsa.clone()),
        ("Ed25519", 400, of(&rcgen::PKCS_ED25519), ecdsa("1.3.101.112")),
        ("RSA 3072", 200, rsa(RsaKeySize::_3072), sha256_rsa),
        ("P-384", 200, of(&rcgen::PKCS_ECDSA_P384_SHA384), ecdsa("1.2.840.10045.4.3.3")),
    ] {
        let token = house.token(&id, "ldev").await;
        let before = house.certificates_of(&id).len();
        let csr = Csr { algorithm, ..Csr::of(&key) }.sign(&key);
        let reply = house.ask(None, &Ask::est("simpleenroll", &csr).basic(id.as_str(), &token)).await;
        assert_eq!(reply.status, status, "{case}: {}", reply.text());
        assert_eq!(house.certificates_of(&id).len(), before + usize::from(status == 200), "{case}");
        if status == 400 {
            assert!(reply.text().contains("p384"), "{}", reply.text());
        }
    }
}

/// A hundred attributes that are known to nobody are a bad request; one of them is nobody's business.
#[tokio::test]
async fn unknown_attributes_are_passed_over_up_to_a_number() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let key = key();
    for (count, status) in [(1, 200), (60, 200), (100, 400)] {
        let token = house.token(&id, "ldev").await;
        let csr = with(&key, |csr| {
            csr.subject = name(&[(CN, "BR000001")]);
            csr.attributes = (0..count).map(|n| attribute(&format!("1.2.3.{n}"), &[NULL.to_vec()])).collect();
            csr.attributes.sort();
        });
        let reply = house.ask(None, &Ask::est("simpleenroll", &csr).basic(id.as_str(), &token)).await;
        assert_eq!(reply.status, status, "{count}: {}", reply.text());
    }
    // An unknown extension in an extensionRequest is no different.
    let token = house.token(&id, "ldev").await;
    let odd = Csr::of(&key).asking(&[extension("1.2.3.4", b"odd"), eku(&["1.3.6.1.5.5.7.3.2"])]).sign(&key);
    let reply = house.ask(None, &Ask::est("simpleenroll", &odd).basic(id.as_str(), &token)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}
