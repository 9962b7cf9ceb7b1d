//! Faults that other servers had, in what they did with requests: B09, B12, B14, B31, B32, B36, B42, B43.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vitae::clock::Random;
use vitae::ids::HolderId;
use vitae::pki::certificate::Certificate;
use vitae::pki::pem;

use crate::support::csr::{
    CN, Csr, EKU, EXTENSION_REQUEST, SAN, SERIAL_NUMBER, attribute, key, request, san,
};
use crate::support::der::{NULL, bits, extension, int, name, octets, oid, seq, tlv, utf8};
use crate::support::processor::spent;
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, House, Policy};

const CHALLENGE: &str = "1.2.840.113549.1.9.7";
const OWN_URI: &[u8] = b"urn:dev:ops:32473-P3-BR000001";

/// A device with all that it can enrol by.
struct Ways {
    house: House,
    id: HolderId,
    birth: Card,
    work: Card,
}

impl Ways {
    async fn open() -> Self {
        let house = House::open().await;
        let (id, birth) = house.born("BR000001").await;
        let work = house.enrolled(&id, "ldev").await;
        Self { house, id, birth, work }
    }

    /// The same request by token, by birth certificate and as a renewal.
    async fn by_each(&self, csr: &[u8]) -> [(&'static str, Reply); 3] {
        let token = self.house.token(&self.id, "ldev").await;
        let enroll = Ask::est("simpleenroll", csr);
        let by_token = enroll.clone().basic(self.id.as_str(), &token);
        [
            ("token", self.house.ask(None, &by_token).await),
            ("birth certificate", self.house.ask(Some(&self.birth), &enroll).await),
            ("renewal", self.house.ask(Some(&self.work), &Ask::est("simplereenroll", csr)).await),
        ]
    }

    fn held(&self) -> usize {
        self.house.certificates_of(&self.id).len()
    }
}

/// B09: one rule for names, whatever field they come in and whatever way the request comes.
#[tokio::test]
async fn no_way_in_takes_a_foreign_name_from_any_field() {
    let ways = Ways::open().await;
    let held = ways.held();
    let fresh = key();
    let own = tlv(0x86, OWN_URI);
    let beside = |foreign: Vec<u8>| Csr::of(&fresh).asking(&[san(&[own.clone(), foreign])]);
    let renewed = |csr: Csr| Csr { subject: ways.work.certificate().subject_der().to_vec(), ..csr };
    let sources = [
        ("common name", Csr::of(&fresh).named(&[(CN, "192.0.2.1")])),
        ("serial number", Csr::of(&fresh).named(&[(SERIAL_NUMBER, "BR000002")])),
        ("a second common name", Csr::of(&fresh).named(&[(CN, "BR000001"), (CN, "admin")])),
        ("IPv4 address", beside(tlv(0x87, &[10, 0, 0, 1]))),
        ("IPv6 address", beside(tlv(0x87, &[0x20; 16]))),
        ("DNS name", beside(tlv(0x82, b"est.example.test"))),
        ("wildcard", beside(tlv(0x82, b"*"))),
        ("e-mail address", beside(tlv(0x81, b"root@example.test"))),
        ("URI", beside(tlv(0x86, b"urn:dev:ops:32473-P3-BR000002"))),
        ("directory name", beside(tlv(0xa4, &name(&[(CN, "admin")])))),
    ];
    for (source, csr) in sources {
        let renewed = renewed(csr.clone());
        // As it is, and under the right subject, so that a renewal is refused for its SAN alone.
        for csr in [&csr, &renewed] {
            if csr.attributes.is_empty() && csr.subject == renewed.subject {
                continue;
            }
            for (way, reply) in ways.by_each(&csr.sign(&fresh)).await {
                assert_eq!(reply.status, 403, "{source} by {way}: {}", reply.text());
            }
        }
    }
    assert_eq!(ways.held(), held);
}

/// B12: a weak key is refused on every way in, by the same rule.
#[tokio::test]
async fn no_way_in_takes_a_weak_key() {
    let ways = Ways::open().await;
    let held = ways.held();
    let fresh = key();
    let rsa = |octets: usize, exponent: &[u8]| {
        let modulus = [&vec![0xc3; octets - 1][..], &[1]].concat();
        let numbers = seq(&[&int(&modulus), &int(exponent)]);
        seq(&[&seq(&[&oid("1.2.840.113549.1.1.1"), NULL]), &bits(&numbers)])
    };
    let point = fresh.public_key_raw();
    let ec = |parameters: &[u8]| seq(&[&seq(&[&oid("1.2.840.10045.2.1"), parameters]), &bits(point)]);
    for (case, spki) in [
        ("RSA 1024", rsa(128, &[1, 0, 1])),
        ("RSA 2040", rsa(255, &[1, 0, 1])),
        ("RSA 16384", rsa(2048, &[1, 0, 1])),
        ("RSA with exponent 3", rsa(256, &[3])),
        ("a curve spelt out (B34)", ec(&seq(&[&int(&[1]), &seq(&[&oid("1.2.840.10045.1.1"), &int(&[7])])]))),
        ("secp256k1", ec(&oid("1.3.132.0.10"))),
    ] {
        let csr = Csr { spki, ..Csr::of(&fresh).repeating(&ways.work.certificate()) };
        for (way, reply) in ways.by_each(&csr.sign(&fresh)).await {
            assert_eq!(reply.status, 400, "{case} by {way}: {}", reply.text());
        }
    }
    assert_eq!(ways.held(), held);
}

/// B14: nobody is told anything about a request before it is known who asks, and what is not an operation is none,
/// whoever asks.
#[tokio::test]
async fn who_asks_is_asked_before_what() {
    let ways = Ways::open().await;
    let (house, id) = (&ways.house, &ways.id);
    let before = house.events();
    for operation in ["simpleenroll", "simplereenroll", "ldev/simpleenroll", "ldev/simplereenroll"] {
        for body in [b"".to_vec(), b"junk".to_vec(), request(&key())] {
            let reply = house.ask(None, &Ask::est(operation, b"").body(body)).await;
            assert_eq!(reply.status, 401, "{operation}: {}", reply.text());
        }
    }
    // Whether they are offered or not: strangers get nothing out of them and leave nothing behind.
    for operation in ["serverkeygen", "fullcmc", "ldev/serverkeygen", "ldev/fullcmc"] {
        for kind in ["application/pkcs10", "application/pkcs7-mime"] {
            let ask = Ask::est(operation, &request(&key())).header("Content-Type", kind);
            let reply = house.ask(None, &ask).await;
            assert!([401, 404, 501].contains(&reply.status), "{operation}: {}", reply.status);
        }
    }
    assert_eq!(house.events(), before);
    let token = house.token(id, "ldev").await;
    let before = house.events();
    for operation in ["simplerevoke", "simpleenrol", "update", "keyupdate", "fullcmc/simpleenroll", "csr"] {
        let ask = Ask::est(operation, &request(&key())).basic(id.as_str(), &token);
        for card in [None, Some(&ways.birth), Some(&ways.work)] {
            let reply = house.ask(card, &ask).await;
            assert_eq!(reply.status, 404, "{operation}: {}", reply.text());
        }
    }
    // A message of another protocol, at the right path.
    let cmc = Ask::est("simpleenroll", &seq(&[&oid("1.2.840.113549.1.7.2"), &tlv(0xa0, &seq(&[]))]));
    let cmc = cmc.basic(id.as_str(), &token);
    let reply = house.ask(None, &cmc.clone().header("Content-Type", "application/pkcs7-mime")).await;
    assert_eq!(reply.status, 415);
    assert_eq!(house.ask(None, &cmc).await.status, 400);
    assert_eq!(house.events(), before);
    let good = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
    assert_eq!(house.ask(None, &good).await.status, 200, "and the token is as good as before");
}

/// Random bytes that repeat themselves where serial numbers are made, and nowhere else.
#[derive(Debug, Default)]
struct Repeating(AtomicU64);

impl Random for Repeating {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
        if bytes.len() != 10 {
            let count = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
            bytes[..8].copy_from_slice(&count);
        }
    }
}

/// B31: a serial number is given once, even if chance gives it twice. (That chance is fair: `ids::tests`.)
#[tokio::test]
async fn a_serial_number_is_never_given_twice() {
    let house = House::with_random(Repeating::default()).await;
    let (_, first) = house.working("BR000001").await;
    let second = house.register("BR000002", "deployment").await;
    let token = house.token(&second, "ldev").await;
    let ask = Ask::est("simpleenroll", &request(&key())).basic(second.as_str(), &token);
    let before = house.events();
    assert_eq!(house.ask(None, &ask).await.status, 503, "there is no other number in this millisecond");
    assert_eq!(house.events(), before);
    assert_eq!(house.status_of(first.serial()), "good");
    house.clock.advance(Duration::from_millis(1));
    let certificate = house.ask(None, &ask).await.certificate();
    assert_ne!(certificate.serial(), Some(first.serial()));
}

/// B32: a megabyte of armour that never closes, closes at once or closes late costs what a megabyte costs. The square of
/// it would be minutes.
#[test]
fn reading_pem_takes_linear_time() {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let count = (1 << 20) / begin.len();
    for (case, text) in [
        ("never closed", begin.repeat(count)),
        ("closed at the very end", begin.repeat(count) + end),
        ("closed at once", format!("{begin}\nMAA=\n{end}\n").repeat(count / 2)),
        ("almost", "-----BEGIN CERTIFICATE----".repeat(count)),
        ("dashes", "-".repeat(1 << 20)),
        ("blank", format!("{begin}{}{end}", "\n".repeat(1 << 20))),
    ] {
        let before = spent();
        let read = pem::certificates(&text);
        let took = spent() - before;
        assert_eq!(read.is_ok(), case == "closed at once", "{case}");
        assert!(took < Duration::from_secs(5), "{case}: {took:?}");
    }
}

/// B32, the other side: a hundred names are many, and no reason not to read a request.
#[tokio::test]
async fn a_request_with_a_hundred_names_is_judged_by_its_names() {
    let ways = Ways::open().await;
    let fresh = key();
    let names: Vec<Vec<u8>> = (0..100).map(|n| tlv(0x82, format!("a{n}.example.test").as_bytes())).collect();
    let csr = Csr::of(&fresh).asking(&[san(&names)]).sign(&fresh);
    for (way, reply) in ways.by_each(&csr).await {
        assert_eq!(reply.status, 403, "{way}: {}", reply.text());
        assert!(reply.text().len() < 2000, "what the client wrote does not come back whole");
    }
}

/// B36: as deep as a body can hold, in each place where something may be nested.
#[tokio::test]
async fn deep_nesting_is_read_without_falling_in() {
    let ways = Ways::open().await;
    // Built from the inside: each level adds four octets at most.
    let deep = |tag: u8, most: usize| {
        let mut inner = tlv(tag, &[]);
        while inner.len() < most {
            inner = tlv(tag, &inner);
        }
        inner
    };
    let most = 40_000;
    let (sequences, strings) = (deep(0x30, most), deep(0x24, most));
    let other_name = tlv(0xa0, &[oid("1.2.3.4"), deep(0xa0, most)].concat());
    let attributes = |kind: &str, value: &[u8]| vec![attribute(kind, &[value.to_vec()])];
    type Deepen<'a> = Box<dyn Fn(Csr) -> Csr + 'a>;
    let cases: Vec<(&str, u16, Deepen<'_>)> = vec![
        (
            "an attribute nobody knows",
            200,
            Box::new(|csr| Csr { attributes: attributes("1.2.3.4", &sequences), ..csr }),
        ),
        (
            "extensionRequest",
            400,
            Box::new(|csr| Csr { attributes: attributes(EXTENSION_REQUEST, &sequences), ..csr }),
        ),
        (
            "challengePassword",
            400,
            Box::new(|csr| Csr { attributes: attributes(CHALLENGE, &strings), ..csr }),
        ),
        ("SAN", 400, Box::new(|csr| csr.asking(&[extension(SAN, &sequences)]))),
        ("EKU", 400, Box::new(|csr| csr.asking(&[extension(EKU, &sequences)]))),
        ("directoryName", 400, Box::new(|csr| csr.asking(&[san(&[tlv(0xa4, &sequences)])]))),
        ("otherName", 403, Box::new(|csr| csr.asking(&[san(std::slice::from_ref(&other_name))]))),
        ("subject", 400, Box::new(|csr| Csr { subject: sequences.clone(), ..csr })),
        ("key", 400, Box::new(|csr| Csr { spki: sequences.clone(), ..csr })),
        ("algorithm", 400, Box::new(|csr| Csr { algorithm: sequences.clone(), ..csr })),
    ];
    for (case, expected, deepen) in cases {
        let fresh = key();
        let der = deepen(Csr::of(&fresh)).sign(&fresh);
        let token = ways.house.token(&ways.id, "ldev").await;
        let reply = ways.house.ask(None, &Ask::est("simpleenroll", &der).basic("", &token)).await;
        assert_eq!(reply.status, expected, "{case}: {}", reply.text());
    }
    let nonce = seq(&[&oid("1.3.6.1.5.5.7.48.1.2"), &octets(&deep(0x24, 3000))]);
    for body in [deep(0x30, 4000), seq(&[&seq(&[&deep(0x30, 3000), &tlv(0xa2, &seq(&[&nonce]))])])] {
        assert_eq!(ways.house.post_ocsp(&body).await.body, [0x30, 3, 0x0a, 1, 1], "malformedRequest");
    }
}

/// B42: a policy of which one thing was edited keeps everything else: anchors, chains and what was issued.
#[tokio::test]
async fn an_edited_policy_keeps_the_chain_of_trust() {
    let ways = Ways::open().await;
    let chain = async |house: &House, label: &str| {
        let reply = house.ask(None, &Ask::get(&format!("/.well-known/est/{label}/cacerts"))).await;
        reply.certificates()
    };
    let before = (chain(&ways.house, "ldev").await, chain(&ways.house, "update").await);
    let Ways { house, id, birth, work } = ways;
    let house = house
        .reopened(|policy| {
            policy.replace("profiles/ldev.toml", "title = \"Operational identity\"", "title = \"Work\"");
            policy.replace("profiles/ldev.toml", "backdate = \"5m\"", "backdate = \"6m\"");
            policy.replace("hierarchy.toml", "ocsp-lifetime = \"12h\"", "ocsp-lifetime = \"11h\"");
        })
        .await;
    assert_eq!((chain(&house, "ldev").await, chain(&house, "update").await), before);
    let ways = Ways { house, id, birth, work };
    let fresh = key();
    let csr = Csr::of(&fresh).repeating(&ways.work.certificate()).sign(&fresh);
    let reply = ways.house.ask(Some(&ways.work), &Ask::est("simplereenroll", &csr)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = ways.house.ask(Some(&ways.birth), &Ask::est("simpleenroll", &request(&key()))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// All of a certificate but what must differ: the key, its identifier, the number and the dates.
fn said(certificate: &Certificate) -> BTreeMap<String, (bool, Vec<u8>)> {
    let each = certificate.extensions().iter().map(|extension| {
        let value = extension.extn_value.as_bytes().to_vec();
        (extension.extn_id.to_string(), (extension.critical, value))
    });
    let mut said: BTreeMap<_, _> = each.filter(|(kind, _)| kind != "2.5.29.14").collect();
    said.insert("subject".to_owned(), (false, certificate.subject_der().to_vec()));
    said.insert("issuer".to_owned(), (false, certificate.issuer_der().to_vec()));
    said
}

/// B43: one profile gives one certificate, whichever way it was asked for, and whatever the request said.
#[tokio::test]
async fn every_way_to_a_profile_gives_the_same_certificate() {
    // Certificates of one shard, which alone they have in common.
    let house = House::with(Policy::one_shard).await;
    let (id, birth) = house.born("BR000001").await;
    // No certificate begins before its CA.
    house.clock.advance(DAY);
    let lasts = |certificate: &Certificate| certificate.not_after().since(certificate.not_before());
    for label in ["ldev", "tls"] {
        let by_token = house.enrolled(&id, label).await;
        let first = by_token.certificate();
        let mut certificates = Vec::new();
        let fresh = key();
        let wordy = Csr::of(&fresh).named(&[(CN, "BR000001")]).asking(&[san(&[tlv(0x86, OWN_URI)])]);
        let padded = Csr { attributes: vec![attribute("1.2.3.4", &[utf8("x")])], ..Csr::of(&fresh) };
        for csr in [wordy, padded, Csr::of(&fresh)] {
            house.clock.advance(DAY / 24);
            let ask = Ask::est(&format!("{label}/simpleenroll"), &csr.sign(&fresh));
            certificates.push(house.ask(Some(&birth), &ask).await.certificate());
        }
        let mut card = Card::new(&fresh, certificates.last().unwrap());
        for renewed in [fresh.clone(), key()] {
            let csr = Csr::of(&renewed).repeating(&first).sign(&renewed);
            let ask = Ask::est(&format!("{label}/simplereenroll"), &csr);
            certificates.push(house.ask(Some(&card), &ask).await.certificate());
            card = Card::new(&renewed, certificates.last().unwrap());
        }
        assert!(said(&first).len() >= 8, "{label}: {:?}", said(&first).keys());
        for certificate in &certificates {
            assert_eq!(said(certificate), said(&first), "{label}");
            assert_eq!(lasts(certificate), lasts(&first), "{label}");
            assert!(certificate.subject_key_id().is_some());
        }
    }
}
