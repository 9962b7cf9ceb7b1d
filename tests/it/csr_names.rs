//! What a request says about itself never reaches a certificate: names, extensions, usages (E60, B03, B06 to B13, O24).

use std::collections::BTreeMap;

use vitae::pki::certificate::Certificate;

use crate::support::csr::{CN, Csr, SERIAL_NUMBER, attribute, eku, key, request, san};
use crate::support::der::{extension, int, name, octets, oid, seq, set, tlv, utf8};
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{House, Policy};

const ORGANIZATION: &str = "2.5.4.10";
const EMAIL: &str = "1.2.840.113549.1.9.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// Enrols the pump BR000001 with a token of its own.
async fn enroll(house: &House, csr: impl FnOnce(Csr) -> Csr) -> Reply {
    let id = "brannoc.P3.BR000001".parse().unwrap();
    let (key, token) = (key(), house.token(&id, "ldev").await);
    let der = csr(Csr::of(&key)).sign(&key);
    house.ask(None, &Ask::est("simpleenroll", &der).basic(id.as_str(), &token)).await
}

/// B08: what the subject says must be in the record, each single attribute of it.
#[tokio::test]
async fn foreign_names_in_the_subject_are_refused() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    house.register("BR000002", "deployment").await;
    let names: [&[(&str, &str)]; 9] = [
        &[(CN, "brannoc.P3.BR000002")],
        &[(SERIAL_NUMBER, "BR000002")],
        &[(CN, "BR000001"), (CN, "BR000002")],
        &[(CN, "BR000001"), (EMAIL, "root@example.test")],
        &[(CN, "BR000001"), (ORGANIZATION, "Vitae")],
        &[(CN, "Vitae Operational CA")],
        &[(CN, "br000001")],
        &[(CN, "BR000001 ")],
        &[(CN, "*")],
    ];
    for subject in names {
        let reply = enroll(&house, |csr| csr.named(subject)).await;
        assert_eq!(reply.status, 403, "{subject:?}: {}", reply.text());
    }
    // One RDN with two attributes hides nothing either.
    let pair = set(&[&seq(&[&oid(CN), &utf8("BR000001")]), &seq(&[&oid(ORGANIZATION), &utf8("Vitae")])]);
    let reply = enroll(&house, |csr| Csr { subject: seq(&[&pair]), ..csr }).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(house.certificates_of(&id).is_empty());
    let refusals = house.told(&id).iter().filter(|what| what.contains("name-mismatch")).count();
    assert_eq!(refusals, 1, "the same refusal is recorded once an hour");
}

/// What a device may know of itself: its plate and its id. The certificate says what the record says.
#[tokio::test]
async fn a_device_may_repeat_what_is_on_its_plate() {
    let house = House::open().await;
    house.register("BR000001", "deployment").await;
    let names: [&[(&str, &str)]; 6] = [
        &[],
        &[(CN, "BR000001")],
        &[(CN, "P3-BR000001")],
        &[(CN, "brannoc.P3.BR000001")],
        &[(SERIAL_NUMBER, "BR000001")],
        &[(SERIAL_NUMBER, "BR000001"), (ORGANIZATION, "brannoc"), (CN, "BR000001")],
    ];
    let mut subjects = Vec::new();
    for subject in names {
        subjects.push(enroll(&house, |csr| csr.named(subject)).await.certificate().subject_der().to_vec());
    }
    subjects.dedup();
    assert_eq!(subjects.len(), 1, "one subject, whatever was asked for");
    let own = tlv(0x86, b"urn:dev:ops:32473-P3-BR000001");
    assert_eq!(enroll(&house, |csr| csr.asking(&[san(&[own])])).await.status, 200);
}

/// B07, B13: a foreign name of each kind.
#[tokio::test]
async fn a_foreign_general_name_of_any_kind_is_refused() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let own = tlv(0x86, b"urn:dev:ops:32473-P3-BR000001");
    let upn = [oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xa0, &utf8("root@example.test"))].concat();
    let module = seq(&[&oid("1.3.6.1.4.1.32473.1"), &octets(b"P3-BR000001")]);
    let module = [oid("1.3.6.1.5.5.7.8.4"), tlv(0xa0, &module)].concat();
    let edi = tlv(0xa1, &utf8("party"));
    let directory = tlv(0xa4, &name(&[(CN, "brannoc.P3.BR000001")]));
    for (kind, foreign) in [
        ("otherName, a user principal", tlv(0xa0, &upn)),
        ("otherName, the hardware module of the birth profile", tlv(0xa0, &module)),
        ("rfc822Name", tlv(0x81, b"root@example.test")),
        ("dNSName", tlv(0x82, b"est.example.test")),
        ("dNSName localhost", tlv(0x82, b"localhost")),
        ("directoryName", directory),
        ("ediPartyName", tlv(0xa5, &edi)),
        ("URI", tlv(0x86, b"urn:dev:ops:32473-P3-BR000002")),
        ("URI of a role", tlv(0x86, b"urn:vitae:role:admin")),
        ("iPAddress", tlv(0x87, &[127, 0, 0, 1])),
        ("registeredID", tlv(0x88, oid("1.2.3.4").get(2..).unwrap())),
    ] {
        let alone = enroll(&house, |csr| csr.asking(&[san(std::slice::from_ref(&foreign))])).await;
        assert_eq!(alone.status, 403, "{kind}: {}", alone.text());
        let beside = enroll(&house, |csr| csr.asking(&[san(&[own.clone(), foreign])])).await;
        assert_eq!(beside.status, 403, "{kind} beside the own name: {}", beside.text());
    }
    // x400Address and what is no GeneralName at all.
    for (kind, tag) in [("x400Address", 0xa3), ("no such choice", 0x8a)] {
        let reply = enroll(&house, |csr| csr.asking(&[san(&[tlv(tag, &seq(&[]))])])).await;
        assert!([400, 403].contains(&reply.status), "{kind}: {}", reply.text());
    }
    assert!(house.certificates_of(&id).is_empty());
}

fn extensions(certificate: &Certificate) -> BTreeMap<String, (bool, Vec<u8>)> {
    let each = certificate.extensions().iter().map(|extension| {
        (extension.extn_id.to_string(), (extension.critical, extension.extn_value.as_bytes().to_vec()))
    });
    // The subject key identifier follows the key.
    each.filter(|(kind, _)| kind != "2.5.29.14").collect()
}

/// E60, B06: no extension of a request is copied; the certificate is the one that a bare request gets (B43: by every way).
#[tokio::test]
async fn no_extension_is_copied_from_a_request() {
    // Certificates of one shard, which alone they have in common.
    let house = House::with(Policy::one_shard).await;
    let id = house.register("BR000001", "deployment").await;
    let plain = enroll(&house, |csr| csr).await.certificate();
    let url = tlv(0x86, b"http://evil.example.test/");
    let greedy = [
        extension("2.5.29.19", &seq(&[&[1, 1, 0xff]])),
        extension("2.5.29.15", &tlv(3, &[1, 0x06])),
        extension("1.3.6.1.5.5.7.1.1", &seq(&[&seq(&[&oid("1.3.6.1.5.5.7.48.1"), &url])])),
        extension("2.5.29.31", &seq(&[&seq(&[&tlv(0xa0, &tlv(0xa0, &url))])])),
        extension("2.5.29.30", &seq(&[&tlv(0xa0, &seq(&[&tlv(0x82, b"test")]))])),
        extension("2.5.29.32", &seq(&[&seq(&[&oid("2.5.29.32.0")])])),
        extension("2.5.29.35", &seq(&[&tlv(0x80, b"somebody else")])),
        extension("2.5.29.14", &octets(b"somebody else")),
        extension("1.3.6.1.5.5.7.48.1.5", &[5, 0]),
        extension("2.5.29.56", &[5, 0]),
        extension("2.5.29.54", &int(&[0])),
        eku(&[CLIENT_AUTH, "1.3.6.1.5.5.7.3.9", "2.5.29.37.0"]),
    ];
    let certificate = enroll(&house, |csr| csr.asking(&greedy)).await.certificate();
    assert_eq!(extensions(&certificate), extensions(&plain));
    assert!(!certificate.is_ca());
    assert_ne!(certificate.subject_key_id().unwrap(), b"somebody else");

    // On renewal too, where the subjectAltName must be repeated and the rest must not count.
    let key = key();
    let token = house.token(&id, "ldev").await;
    let ask = Ask::est("simpleenroll", &Csr::of(&key).sign(&key)).basic(id.as_str(), &token);
    let card = Card::new(&key, &house.ask(None, &ask).await.certificate());
    let names = san(&[tlv(0x86, b"urn:dev:ops:32473-P3-BR000001")]);
    let mut csr = Csr::of(&key).asking(&[&greedy[..], &[names]].concat());
    csr.subject = card.certificate().subject_der().to_vec();
    let reply = house.ask(Some(&card), &Ask::est("simplereenroll", &csr.sign(&key))).await;
    assert_eq!(extensions(&reply.certificate()), extensions(&plain));
}

/// B11, B12, O24: who asks for forbidden usages alone gets no certificate, least of all one for any usage.
#[tokio::test]
async fn a_request_for_forbidden_usages_alone_is_refused() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    for usages in [
        &["1.3.6.1.5.5.7.3.3"][..],
        &["1.3.6.1.5.5.7.3.9"],
        &["2.5.29.37.0"],
        &["1.3.6.1.5.5.7.3.1"],
        &["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.43", "1.3.6.1.5.5.7.3.28"],
    ] {
        let reply = enroll(&house, |csr| csr.asking(&[eku(usages)])).await;
        assert_eq!(reply.status, 403, "{usages:?}: {}", reply.text());
    }
    assert!(house.certificates_of(&id).is_empty());
    let mixed = enroll(&house, |csr| csr.asking(&[eku(&["1.3.6.1.5.5.7.3.9", CLIENT_AUTH])])).await;
    let given: Vec<_> = mixed.certificate().extended_key_usages().iter().map(ToString::to_string).collect();
    assert_eq!(given, [CLIENT_AUTH], "the profile's own, and no other");
}

/// B10: a record is written into a certificate as it is or not at all, and a device that cannot have one is not told to
/// come again later.
#[tokio::test]
async fn a_record_that_no_certificate_can_say_is_refused() {
    let house = House::open().await;
    for (model, serial) in [("P3", "BR*1"), ("P3", "{serial}"), ("P3", "a@b"), ("P 3", "BR1"), ("P<3", "BR1")]
    {
        let id = house.register_as("brannoc", model, serial, "deployment").await;
        let token = house.token(&id, "ldev").await;
        let ask = Ask::est("ldev/simpleenroll", &request(&key())).basic(id.as_str(), &token);
        let reply = house.ask(None, &ask).await;
        assert_eq!(reply.status, 403, "{id}: {}", reply.text());
        assert!(reply.text().contains("cannot be written"), "{}", reply.text());
        assert!(house.certificates_of(&id).is_empty());
    }
}

/// E37: names of the client's own choice are refused, not overlooked: it would get others than it asked for.
#[tokio::test]
async fn a_request_to_change_the_subject_is_refused() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    // ChangeSubjectName ::= SEQUENCE { subject Name OPTIONAL, subjectAlt GeneralNames OPTIONAL } (RFC 6402).
    let change = |names: &[(&str, &str)]| attribute("1.3.6.1.5.5.7.7.36", &[seq(&[&name(names)])]);
    let asking = |mut csr: Csr, names: &[(&str, &str)]| {
        csr.attributes.push(change(names));
        csr
    };
    for names in [&[(CN, "BR000002")][..], &[(CN, "BR000001")], &[]] {
        let fresh = key();
        let renewal = asking(Csr::of(&fresh).repeating(&card.certificate()), names).sign(&fresh);
        let reply = house.ask(Some(&card), &Ask::est("simplereenroll", &renewal)).await;
        assert_eq!(reply.status, 403, "{names:?}: {}", reply.text());
        assert!(reply.text().contains("ChangeSubjectName"), "{}", reply.text());
        let reply = enroll(&house, |csr| asking(csr, names)).await;
        assert_eq!(reply.status, 403, "{names:?}: {}", reply.text());
    }
    assert_eq!(house.certificates_of(&id).len(), 1);
}
