//! What OCSP says (RFC 6960): B24, B25, B51, O08 to O16, O21 to O27.

use vitae::clock::{Clock, Random};
use vitae::ids::{Reason, Serial};
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, HashAlg, ParsedResponse, ParsedStatus, ResponderId};

use crate::support::der::{extension, octets, oid, seq, tlv};
use crate::support::ocsp::{Said, said};
use crate::support::{DAY, HOUR, House};

const NONCE: &str = "1.3.6.1.5.5.7.48.1.2";
const MALFORMED: [u8; 5] = [0x30, 3, 0x0a, 1, 1];
const UNAUTHORIZED: [u8; 5] = [0x30, 3, 0x0a, 1, 6];

fn cert_id(house: &House, ca: &str, serial: &[u8], hash: HashAlg) -> Vec<u8> {
    let issuer = house.ca_certificate(ca);
    ocsp::cert_id(issuer.subject_der(), &issuer.public_key().unwrap(), serial, hash).unwrap()
}

fn request_for(ids: &[Vec<u8>], extensions: &[Vec<u8>]) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = ids.iter().map(|id| seq(&[id])).collect();
    let list = tlv(0x30, &entries.concat());
    let extensions = match extensions {
        [] => Vec::new(),
        some => tlv(0xa2, &tlv(0x30, &some.concat())),
    };
    seq(&[&seq(&[&list, &extensions])])
}

/// O09, O21, O22, O23, O25: both hashes; the delegated signer, its marks, its name and its times.
#[tokio::test]
async fn answers_are_signed_by_a_delegate_of_the_ca() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    for hash in [HashAlg::Sha1, HashAlg::Sha256, HashAlg::Sha384, HashAlg::Sha512] {
        let request = house.ocsp_request("operational", card.serial().as_bytes(), hash, None);
        let reply = house.post_ocsp(&request).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("application/ocsp-response"));
        let response = house.verified("operational", &reply.body);
        assert_eq!(said(&response.singles[0].status), Said::Good);
        assert_eq!(
            response.singles[0].cert_id.raw,
            cert_id(&house, "operational", card.serial().as_bytes(), hash)
        );
        let signer = Certificate::from_der(&response.certs[0]).unwrap();
        let no_check = signer.extensions().iter().find(|e| e.extn_id.to_string() == "1.3.6.1.5.5.7.48.1.5");
        assert!(no_check.is_some_and(|e| !e.critical && e.extn_value.as_bytes() == [5, 0]));
        assert!(!signer.extensions().iter().any(|e| e.extn_id.to_string() == "2.5.29.31"), "no CRL pointer");
        let key_hash = signer.public_key().unwrap().sha1_key_hash().to_vec();
        assert_eq!(response.responder, ResponderId::KeyHash(key_hash));
        let single = &response.singles[0];
        let next = single.next_update.unwrap();
        assert!(single.this_update <= response.produced_at && response.produced_at <= house.clock.now());
        assert!(next > house.clock.now() && next <= signer.not_after());
    }
}

/// Another library reads our requests as we mean them.
#[tokio::test]
async fn requests_are_what_another_parser_reads() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let issuer = house.ca_certificate("operational");
    let (name, key) = ocsp::issuer_hashes(issuer.subject_der(), &issuer.public_key().unwrap(), HashAlg::Sha1);
    for nonce in [None, Some(&[7; 32][..])] {
        let der = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, nonce);
        let theirs = ::ocsp::request::OcspRequest::parse(&der).unwrap();
        let id = theirs.extract_certid()[0];
        assert_eq!((&id.issuer_name_hash[..], &id.issuer_key_hash[..]), (&name[..], &key[..]));
        assert_eq!(&id.serial_num[..], card.serial().as_bytes());
        let asked = ocsp::OcspRequest::from_der(&der, 1).unwrap();
        assert_eq!(asked.nonce.as_deref(), nonce);
        assert_eq!(asked.entries[0].issuer_key_hash, key);
    }
}

/// O11, O12, O13, O14, B25, B51: who asks about whose certificate.
#[tokio::test]
async fn a_serial_is_known_under_its_own_issuer_only() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let serial = card.serial();
    assert_eq!(house.ocsp("operational", serial).await, Said::Good);
    for other in ["root", "birth", "service", "update", "update-root"] {
        assert_eq!(house.ocsp(other, serial).await, Said::Unknown, "B51: {other}");
    }
    // Never issued, and in forms that this authority never gives.
    for never in [&[1][..], &[0x7f; 16], &[0x01; 20], &[0]] {
        let request = house.ocsp_request("operational", never, HashAlg::Sha1, None);
        let reply = house.post_ocsp(&request).await;
        let response = house.verified("operational", &reply.body);
        assert_eq!(said(&response.singles[0].status), Said::Unknown, "{never:?}");
    }
    // B25: the CAs below the root, and the delegated signer itself.
    for (issuer, ca) in
        [("root", "birth"), ("root", "operational"), ("root", "service"), ("update-root", "update")]
    {
        assert_eq!(house.ocsp(issuer, house.ca_certificate(ca).serial().unwrap()).await, Said::Good, "{ca}");
    }
    let request = house.ocsp_request("operational", serial.as_bytes(), HashAlg::Sha256, None);
    let signer = house.verified("operational", &house.post_ocsp(&request).await.body).certs[0].clone();
    let signer = Certificate::from_der(&signer).unwrap().serial().unwrap();
    assert_eq!(house.ocsp("operational", signer).await, Said::Good);
}

/// O11, O12: an issuer that is not ours by name or by key gets no signed answer.
#[tokio::test]
async fn an_unknown_issuer_is_unauthorized() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let (ours, other) = (house.ca_certificate("operational"), house.ca_certificate("birth"));
    let serial = card.serial();
    for (name, key) in [(&ours, &other), (&other, &ours)] {
        let key = key.public_key().unwrap();
        let request =
            ocsp::request(name.subject_der(), &key, serial.as_bytes(), HashAlg::Sha256, None).unwrap();
        assert_eq!(house.post_ocsp(&request).await.body, UNAUTHORIZED);
    }
    // A hash that nobody knows names nobody.
    let odd = seq(&[&seq(&[&oid("1.2.3.4")]), &octets(&[1; 20]), &octets(&[2; 20]), &[2, 1, 1]]);
    assert_eq!(house.post_ocsp(&request_for(&[odd], &[])).await.body, UNAUTHORIZED);
}

/// O08: one answer for each question, in order, with the CertID as it was sent; a bound on how many.
#[tokio::test]
async fn each_of_many_questions_is_answered() {
    let house = House::open().await;
    let (_, good) = house.working("BR000001").await;
    let (_, revoked) = house.working("BR000002").await;
    house.revoke(revoked.serial(), Reason::KeyCompromise).await;
    let birth = house.ca_certificate("birth").serial().unwrap();
    let ids = [
        cert_id(&house, "operational", good.serial().as_bytes(), HashAlg::Sha1),
        cert_id(&house, "operational", revoked.serial().as_bytes(), HashAlg::Sha256),
        cert_id(&house, "operational", &[9; 16], HashAlg::Sha1),
        cert_id(&house, "root", birth.as_bytes(), HashAlg::Sha1),
        cert_id(&house, "operational", good.serial().as_bytes(), HashAlg::Sha1),
    ];
    let reply = house.post_ocsp(&request_for(&ids, &[])).await;
    let response = house.verified("operational", &reply.body);
    let told: Vec<_> = response.singles.iter().map(|single| said(&single.status)).collect();
    assert_eq!(told, [Said::Good, Said::Revoked(1), Said::Unknown, Said::Unknown, Said::Good]);
    let raw: Vec<_> = response.singles.iter().map(|single| single.cert_id.raw.clone()).collect();
    assert_eq!(raw, ids);
    let many = vec![ids[0].clone(); 33];
    let most = house.post_ocsp(&request_for(&many[..32], &[])).await;
    assert_eq!(house.verified("operational", &most.body).singles.len(), 32);
    assert_eq!(house.post_ocsp(&request_for(&many, &[])).await.body, MALFORMED);
}

/// O16: 1 to 128 octets come back, anything else is malformed.
#[tokio::test]
async fn a_nonce_comes_back() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    for length in [1, 16, 32, 128] {
        let nonce = vec![0xa5; length];
        let request =
            house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha256, Some(&nonce));
        let reply = house.post_ocsp(&request).await;
        assert_eq!(house.verified("operational", &reply.body).nonce, Some(nonce), "{length}");
    }
    let id = cert_id(&house, "operational", card.serial().as_bytes(), HashAlg::Sha1);
    for length in [0, 129, 4000] {
        let nonce = extension(NONCE, &octets(&vec![0; length]));
        let reply = house.post_ocsp(&request_for(std::slice::from_ref(&id), &[nonce])).await;
        assert_eq!(reply.body, MALFORMED, "{length}");
    }
}

/// O05, O18, O20: what is no request is answered in OCSP's own words, with HTTP 200.
#[tokio::test]
async fn what_is_no_request_is_malformed() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let good = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, None);
    let id = cert_id(&house, "operational", card.serial().as_bytes(), HashAlg::Sha1);
    let list = seq(&[&seq(&[&id])]);
    let critical = seq(&[&oid("1.2.3.4"), &[1, 1, 0xff], &octets(b"x")]);
    let plain = extension("1.2.3.4", b"x");
    let deep = (0..500).fold(Vec::new(), |inner, _| tlv(0x30, &inner));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("text", b"hello".to_vec()),
        ("an empty SEQUENCE", seq(&[])),
        ("no question", seq(&[&seq(&[&seq(&[])])])),
        ("octets behind", [&good[..], &[0]].concat()),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("version 2", seq(&[&seq(&[&tlv(0xa0, &[2, 1, 1]), &list])])),
        ("an unknown critical extension", request_for(std::slice::from_ref(&id), &[critical])),
        ("one extension twice", request_for(std::slice::from_ref(&id), &[plain.clone(), plain.clone()])),
        ("deep nesting", deep),
    ];
    for (case, body) in cases {
        let reply = house.post_ocsp(&body).await;
        assert_eq!((reply.status, &reply.body[..]), (200, &MALFORMED[..]), "{case}");
        let cache = reply.header("cache-control").unwrap();
        assert!(cache.contains("no-store"), "O07: {case}: {cache}");
    }
    let reply = house.post_ocsp(&request_for(&[id], &[plain])).await;
    assert_eq!(house.verified("operational", &reply.body).singles.len(), 1, "an unknown one is passed over");
}

/// B24, O26, O27: the next answer says revoked, whatever was cached, with the reason and moment of the CRL.
#[tokio::test]
async fn a_revocation_is_in_the_very_next_answer() {
    let house = House::open().await;
    for (i, reason) in Reason::ALL.into_iter().enumerate() {
        let (_, card) = house.working(&format!("BR00000{i}")).await;
        let request = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, None);
        let mut etag = None;
        for _ in 0..3 {
            let reply = house.post_ocsp(&request).await;
            let response = house.verified("operational", &reply.body);
            assert_eq!(said(&response.singles[0].status), Said::Good);
            etag = reply.header("etag").map(str::to_owned);
        }
        house.clock.advance(HOUR / 4);
        let done = house.revoke(card.serial(), reason).await;
        let reply = house.post_ocsp(&request).await;
        assert_ne!(reply.header("etag").map(str::to_owned), etag);
        let single = &house.verified("operational", &reply.body).singles[0];
        let ParsedStatus::Revoked { at, reason: told } = single.status else { panic!("{single:?}") };
        assert_eq!(told.unwrap_or(0), reason.code());
        assert_eq!(at, done.at.whole_second());
        let list = house.crl("operational").await;
        let entry = list.entries.iter().find(|entry| entry.0 == card.serial()).unwrap();
        assert_eq!((entry.1, entry.2), (at, reason.code()), "CRL and OCSP agree");
    }
}

/// Bytes that anybody can foretell.
#[derive(Debug)]
struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// O28: who asked before the certificate was issued learns of it at once afterwards.
#[tokio::test]
async fn unknown_is_not_kept() {
    let house = House::with_random(Sevens).await;
    let next = Serial::generate(house.clock.now(), &Sevens);
    let request = house.ocsp_request("operational", next.as_bytes(), HashAlg::Sha256, None);
    for _ in 0..2 {
        let response = house.verified("operational", &house.post_ocsp(&request).await.body);
        assert_eq!(said(&response.singles[0].status), Said::Unknown);
    }
    let (_, card) = house.working("BR000001").await;
    assert_eq!(card.serial(), next);
    let response = house.verified("operational", &house.post_ocsp(&request).await.body);
    assert_eq!(said(&response.singles[0].status), Said::Good);
}

/// The signer is renewed by upkeep, well before it ends; without upkeep there is no answer rather than a stale one (O32).
#[tokio::test]
async fn the_signer_is_renewed_in_time() {
    let house = House::open().await;
    let (_, card) = house.born("BR000001").await;
    let request = house.ocsp_request("birth", card.serial().as_bytes(), HashAlg::Sha1, None);
    let first = house.verified("birth", &house.post_ocsp(&request).await.body).certs[0].clone();
    house.clock.advance(16 * DAY);
    house.authority.upkeep().await.unwrap();
    let response = house.verified("birth", &house.post_ocsp(&request).await.body);
    assert_ne!(response.certs[0], first);
    assert!(response.singles[0].next_update.unwrap() > house.clock.now());
    house.clock.advance(31 * DAY);
    let stale = ocsp::parse_response(&house.post_ocsp(&request).await.body).unwrap();
    assert_eq!(stale, ParsedResponse::Error(3), "tryLater");
}
