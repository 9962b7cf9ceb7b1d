//! What may stand in an OCSP request, at the real door: extensions, names, versions, several CAs of one name.

use std::sync::Arc;

use vitae::authority::{self, Authority};
use vitae::clock::{SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::ids::{CaName, Reason};
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, HashAlg, ParsedResponse, ParsedStatus, parse_response};

use crate::support::der::{NULL, extension, name, octets, oid, seq, tlv};
use crate::support::ocsp::{Said, said};
use crate::support::{DAY, House, copy, shipped};

const MALFORMED: [u8; 5] = [0x30, 3, 0x0a, 1, 1];
const PREFERRED: &str = "1.3.6.1.5.5.7.48.1.8";
const ACCEPTABLE: &str = "1.3.6.1.5.5.7.48.1.4";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const RSA_SHA256: &str = "1.2.840.113549.1.1.11";

fn critical(kind: &str, value: &[u8]) -> Vec<u8> {
    seq(&[&oid(kind), &[1, 1, 0xff], &octets(value)])
}

/// What stands before the list, in single requests behind the CertID, and behind the list.
fn request(id: &[u8], before: &[u8], single: &[u8], behind: &[u8]) -> Vec<u8> {
    seq(&[&seq(&[before, &seq(&[&seq(&[id, single])]), behind])])
}

fn extensions(tag: u8, all: &[Vec<u8>]) -> Vec<u8> {
    tlv(tag, &tlv(0x30, &all.concat()))
}

async fn house_and_id() -> (House, Vec<u8>) {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let issuer = house.ca_certificate("operational");
    let key = issuer.public_key().unwrap();
    let id = ocsp::cert_id(issuer.subject_der(), &key, card.serial().as_bytes(), HashAlg::Sha256).unwrap();
    (house, id)
}

/// O18, O19, O20: what is known or harmless is passed over, what is critical and unknown or contradicts itself is refused.
#[tokio::test]
async fn extensions_names_and_versions() {
    let (house, id) = house_and_id().await;
    let unknown = || extension("1.2.3.4", b"x");
    let requestor = tlv(0xa1, &tlv(0xa4, &name(&[("2.5.4.3", "somebody")])));
    let signature = tlv(0xa0, &seq(&[&seq(&[&oid(ECDSA_SHA256)]), &[3, 2, 0, 1]]));
    let signed = {
        let tbs = seq(&[&requestor, &seq(&[&seq(&[&id])])]);
        seq(&[&tbs, &signature])
    };
    for (case, der) in [
        ("plain", request(&id, &[], &[], &[])),
        ("version 1, said", request(&id, &tlv(0xa0, &[2, 1, 0]), &[], &[])),
        ("O19: the name of who asks", request(&id, &requestor, &[], &[])),
        ("O19: signed", signed),
        ("unknown", request(&id, &[], &[], &extensions(0xa2, &[unknown()]))),
        ("unknown, single", request(&id, &[], &extensions(0xa0, &[unknown()]), &[])),
    ] {
        let reply = house.post_ocsp(&der).await;
        let single = &house.verified("operational", &reply.body).singles[0];
        assert_eq!((said(&single.status), &single.cert_id.raw), (Said::Good, &id), "{case}");
    }
    for (case, der) in [
        ("O20: version 2", request(&id, &tlv(0xa0, &[2, 1, 1]), &[], &[])),
        ("critical", request(&id, &[], &[], &extensions(0xa2, &[critical("1.2.3.4", b"x")]))),
        ("critical, single", request(&id, &[], &extensions(0xa0, &[critical("1.2.3.4", b"x")]), &[])),
        ("twice", request(&id, &[], &[], &extensions(0xa2, &[unknown(), unknown()]))),
    ] {
        assert_eq!(house.post_ocsp(&der).await.body, MALFORMED, "{case}");
    }
}

/// O31: a signer has one key and one algorithm, so a wish for another is understood, critical or not, and changes nothing;
/// neither does a list of acceptable response types.
#[tokio::test]
async fn wishes_for_algorithms_are_understood() {
    let (house, id) = house_and_id().await;
    let wish = |algorithm: &str| seq(&[&seq(&[&seq(&[&oid(algorithm)])])]);
    for (case, extension) in [
        ("ours", extension(PREFERRED, &wish(ECDSA_SHA256))),
        ("another", extension(PREFERRED, &wish(RSA_SHA256))),
        ("another, critical", critical(PREFERRED, &wish(RSA_SHA256))),
        ("basic responses", critical(ACCEPTABLE, &seq(&[&oid("1.3.6.1.5.5.7.48.1.1")]))),
    ] {
        let reply = house.post_ocsp(&request(&id, &[], &[], &extensions(0xa2, &[extension]))).await;
        let response = house.verified("operational", &reply.body);
        assert_eq!(said(&response.singles[0].status), Said::Good, "{case}");
        let algorithm = seq(&[&oid(ECDSA_SHA256)]);
        assert!(reply.body.windows(algorithm.len()).any(|window| window == algorithm), "{case}");
    }
}

/// O15: the record forgets nothing, so a certificate that has expired keeps its status, with the day since when it is known.
#[tokio::test]
async fn expired_certificates_are_answered_with_an_archive_cutoff() {
    let house = House::open().await;
    let (_, good) = house.working("BR000001").await;
    let (_, revoked) = house.working("BR000002").await;
    house.revoke(revoked.serial(), Reason::KeyCompromise).await;
    let cutoff = house.ca_certificate("operational").not_before();
    for expired in [false, true] {
        for (card, expected) in [(&good, Said::Good), (&revoked, Said::Revoked(1))] {
            let request = house.ocsp_request("operational", card.serial().as_bytes(), HashAlg::Sha1, None);
            let reply = house.post_ocsp(&request).await;
            let single = &house.verified("operational", &reply.body).singles[0];
            assert_eq!(said(&single.status), expected);
            assert_eq!(single.archive_cutoff, expired.then_some(cutoff), "{expected:?}");
        }
        while !expired && house.status_of(good.serial()) != "expired" {
            house.clock.advance(DAY * 14);
            house.authority.upkeep().await.unwrap();
        }
    }
}

/// O09: an unknown hash beside a known question is answered unknown, and alone it names nobody.
#[tokio::test]
async fn an_unknown_hash_is_no_ones() {
    let (house, id) = house_and_id().await;
    let odd =
        seq(&[&seq(&[&oid("1.2.840.113549.2.5"), NULL]), &octets(&[1; 16]), &octets(&[2; 16]), &[2, 1, 1]]);
    let both = seq(&[&seq(&[&seq(&[&seq(&[&odd]), &seq(&[&id])])])]);
    let response = house.verified("operational", &house.post_ocsp(&both).await.body);
    let told: Vec<_> = response.singles.iter().map(|single| said(&single.status)).collect();
    assert_eq!(told, [Said::Unknown, Said::Good]);
    assert_eq!(response.singles[0].cert_id.raw, odd, "O08");
    assert_eq!(house.post_ocsp(&request(&odd, &[], &[], &[])).await.body, [0x30, 3, 0x0a, 1, 6]);
}

/// O11: two CAs of one name, as before and after a change of keys, are told apart by the hash of the key.
#[tokio::test]
async fn two_cas_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (policy, data) = (folder.path().join("config"), folder.path().join("data"));
    copy(&shipped(), &policy);
    let path = policy.join("hierarchy.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let named = |name: &str| {
        let at = text.find(&format!("name = \"{name}\"")).unwrap();
        let rest = &text[at..];
        let begin = at + rest.find("common-name = \"").unwrap() + "common-name = \"".len();
        (begin, begin + text[begin..].find('"').unwrap())
    };
    let ((begin, end), (from, to)) = (named("service"), named("operational"));
    let renamed = [&text[..begin], &text[from..to], &text[end..]].concat();
    std::fs::write(&path, renamed).unwrap();
    let config = Arc::new(Config::load(&policy).unwrap());
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    authority::init(&data, Arc::clone(&config), clock.clone(), random.clone()).await.unwrap();
    let authority = Authority::open(&data, config, clock, random).await.unwrap();
    let ca = |name: &str| {
        let der = authority.ca(&name.parse::<CaName>().unwrap()).unwrap().certificate().to_vec();
        Certificate::from_der(&der).unwrap()
    };
    let (one, two) = (ca("operational"), ca("service"));
    assert_eq!(one.subject_der(), two.subject_der());
    // Each has issued its own signer.
    for (issuer, other) in [(&one, &two), (&two, &one)] {
        let mut told = Vec::new();
        let serial = signer(&authority, issuer).await;
        for asked in [issuer, other] {
            let key = asked.public_key().unwrap();
            let request =
                ocsp::request(asked.subject_der(), &key, serial.serial_bytes(), HashAlg::Sha1, None).unwrap();
            let answer = authority.ocsp(&request).await;
            let ParsedResponse::Basic(basic) = parse_response(&answer.der).unwrap() else { panic!("error") };
            basic.verify(asked, vitae::clock::Clock::now(&SystemClock)).unwrap();
            told.push(basic.singles[0].status);
        }
        assert_eq!(told, [ParsedStatus::Good, ParsedStatus::Unknown]);
    }
}

async fn signer(authority: &Authority, issuer: &Certificate) -> Certificate {
    let key = issuer.public_key().unwrap();
    let request = ocsp::request(issuer.subject_der(), &key, &[1], HashAlg::Sha1, None).unwrap();
    let ParsedResponse::Basic(basic) = parse_response(&authority.ocsp(&request).await.der).unwrap() else {
        panic!("an error");
    };
    Certificate::from_der(&basic.certs[0]).unwrap()
}

/// O06: the numbers that are used, at the door: 0, 1, 3 and 6 here, never 4; 2 and 5 have no cause.
#[tokio::test]
async fn errors_are_those_of_the_rfc() {
    let (house, id) = house_and_id().await;
    let good = request(&id, &[], &[], &[]);
    let other = house.ocsp_request("operational", &[1], HashAlg::Sha1, None);
    let foreign: Vec<u8> = other.iter().map(|byte| byte ^ u8::from(*byte == other[30])).collect();
    let number = |body: &[u8]| match parse_response(body).unwrap() {
        ParsedResponse::Basic(_) => 0,
        ParsedResponse::Error(number) => number,
    };
    assert_eq!(number(&house.post_ocsp(&good).await.body), 0);
    assert_eq!(number(&house.post_ocsp(b"x").await.body), 1);
    assert_eq!(number(&house.post_ocsp(&foreign).await.body), 6);
    house.clock.advance(DAY * 40);
    assert_eq!(number(&house.post_ocsp(&good).await.body), 3);
}

/// O34: every certificate whose status can be asked for says where, over plain http that needs no credentials.
#[tokio::test]
async fn certificates_say_where_to_ask() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let aia = |certificate: &Certificate| {
        let found = certificate.extensions().iter().find(|e| e.extn_id.to_string() == "1.3.6.1.5.5.7.1.1");
        found.map(|extension| String::from_utf8_lossy(extension.extn_value.as_bytes()).into_owned())
    };
    let url = format!("http://{}/ocsp", house.addresses.status);
    assert!(aia(&card.certificate()).unwrap().contains(&url));
    // O23: the signer itself points nowhere.
    let serial = card.serial();
    let request = house.ocsp_request("operational", serial.as_bytes(), HashAlg::Sha1, None);
    let response = house.verified("operational", &house.post_ocsp(&request).await.body);
    let signer = Certificate::from_der(&response.certs[0]).unwrap();
    assert!(aia(&signer).is_none_or(|text| !text.contains("/ocsp")));
    assert!(signer.not_after().since(signer.not_before()) <= DAY * 31, "O23: short-lived");
    assert_eq!(house.ocsp("operational", serial).await, Said::Good);
}
