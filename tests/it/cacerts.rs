//! /cacerts and the files that `init` writes for other tools (E40 to E44, B52).

use der::Decode;
use vitae::pki::body;

use crate::support::House;
use crate::support::wire::Ask;

async fn cacerts(house: &House, label: &str) -> Vec<Vec<u8>> {
    house.ask(None, &Ask::get(&format!("/.well-known/est/{label}cacerts"))).await.certificates()
}

/// E40, E42, B52: without any credential, byte for byte the certificates of `init`, the root among them.
#[tokio::test]
async fn cacerts_are_the_very_bytes_of_the_cas() {
    let house = House::open().await;
    let before = house.events();
    let file = |name: &str| house.ca_certificate(name).der().to_vec();
    for (label, names) in [
        ("", &["root", "birth", "operational", "service"][..]),
        ("ldev/", &["root", "birth", "operational", "service"]),
        ("update/", &["root", "birth", "operational", "service", "update-root", "update"]),
    ] {
        let mut got = cacerts(&house, label).await;
        let mut wanted: Vec<_> = names.iter().map(|name| file(name)).collect();
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted, "{label}");
    }
    let mut chain = house.roots();
    chain.sort();
    let mut got = cacerts(&house, "").await;
    got.sort();
    assert_eq!(got, chain, "chain.pem says the same");
    assert_eq!(house.events(), before, "B54");
}

/// E41, read by another library: a degenerate SignedData.
#[tokio::test]
async fn cacerts_is_a_certs_only_message() {
    use der::asn1::{Any, ObjectIdentifier};
    let house = House::open().await;
    let reply = house.ask(None, &Ask::get("/.well-known/est/cacerts")).await;
    let der = body::decode_base64(&reply.body).unwrap();
    let outer = Vec::<Any>::from_der(&der).unwrap();
    let signed_data: ObjectIdentifier = outer[0].decode_as().unwrap();
    assert_eq!(signed_data.to_string(), "1.2.840.113549.1.7.2");
    let inner = Vec::<Any>::from_der(outer[1].value()).unwrap();
    assert_eq!(inner[0].decode_as::<u8>().unwrap(), 1, "version");
    assert!(inner[1].value().is_empty(), "no digest algorithms");
    let content: Vec<Any> = inner[2].decode_as().unwrap();
    assert_eq!(content.len(), 1, "no eContent");
    assert_eq!(content[0].decode_as::<ObjectIdentifier>().unwrap().to_string(), "1.2.840.113549.1.7.1");
    assert!(inner.last().unwrap().value().is_empty(), "no signers");
    assert_eq!(outer.len(), 2);
}

/// HEAD is answered as GET, without the body.
#[tokio::test]
async fn cacerts_answers_head() {
    let house = House::open().await;
    let get = house.ask(None, &Ask::get("/.well-known/est/cacerts")).await;
    let head = house.ask(None, &Ask::new("HEAD", "/.well-known/est/cacerts")).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), get.header("content-type"));
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

/// E44: an enrolment is answered with exactly the one certificate that was issued (checked by every helper of these
/// tests too), and that one leads to what /cacerts gave.
#[tokio::test]
async fn an_enrolment_is_answered_with_one_certificate_under_the_cacerts() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let issuer = house.ca_certificate("operational");
    assert_eq!(card.certificate().issuer_der(), issuer.subject_der());
    card.certificate().verify_signed_by(&issuer.public_key().unwrap()).unwrap();
    let root = house.ca_certificate("root");
    issuer.verify_signed_by(&root.public_key().unwrap()).unwrap();
    root.verify_signed_by(&root.public_key().unwrap()).unwrap();
    assert!(cacerts(&house, "").await.contains(&issuer.der().to_vec()));
}

/// The status door serves the same bytes where the certificates point to.
#[tokio::test]
async fn issuers_are_served_where_certificates_point_to() {
    let house = House::open().await;
    for ca in ["root", "birth", "operational", "service", "update-root", "update"] {
        let reply = house.status_door(&Ask::get(&format!("/ca/{ca}.cer"))).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/pkix-cert")));
        assert_eq!(reply.body, house.ca_certificate(ca).der());
    }
    for path in ["/ca/none.cer", "/ca/root.pem", "/ca/../keys/ca-root.key", "/ca/root.cer/", "/ca/%2e%2e"] {
        assert_eq!(house.status_door(&Ask::get(path)).await.status, 404, "{path}");
    }
}
