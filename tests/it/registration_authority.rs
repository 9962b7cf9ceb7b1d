//! A machine enrols devices in their place (RFC 7030 section 3.7): who may, for whom, and what the record says of it
//! (E31, E64, B46, B48).

use vitae::authority::{CertificateFilter, PresentedChain};
use vitae::fleet::Proof;
use vitae::ids::{HolderId, Reason};

use crate::support::approval::pending;
use crate::support::csr::{CN, Csr, Key, SERIAL_NUMBER, attribute, eku, key, request, san};
use crate::support::der::{name, tlv, utf8};
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, HOUR, House, Policy};

const O: &str = "2.5.4.10";
const CMC_RA: &str = "1.3.6.1.5.5.7.3.28";
const CHALLENGE_PASSWORD: &str = "1.2.840.113549.1.9.7";
const LINE: &str = r#"
[[registration-authority]]
name = "ra.line-7"
profiles = ["idev"]
makers = ["brannoc", "aerune"]
models = ["P3"]
serials = ["BR000000..BR009999"]
quota = 100
"#;

async fn house() -> House {
    House::with(|policy| policy.append("roles.toml", LINE)).await
}

type Names<'a> = &'a [(&'a str, &'a str)];

fn naming(names: Names<'_>, key: &Key) -> Ask {
    Ask::est("idev/simpleenroll", &Csr::of(key).named(names).sign(key))
}

/// What the line asks for in the name of a serial number, with a key that only the device has.
async fn asks(house: &House, line: &Card, serial: &str) -> Reply {
    house.ask(Some(line), &naming(&[(SERIAL_NUMBER, serial)], &key())).await
}

/// The codes of the refusals in a life, oldest first.
fn refusals(house: &House, id: &HolderId) -> Vec<String> {
    let told = house.told(id).into_iter();
    told.filter_map(|what| what.split_once("refused: ").map(|(_, code)| code.to_owned())).collect()
}

/// E31: each way to say which device is meant; the certificate is the device's, and the record says who asked.
#[tokio::test]
async fn a_registration_authority_enrols_devices() {
    let house = house().await;
    let (line, card) = house.line("line-7").await;
    assert!(card.certificate().extended_key_usages().iter().any(|usage| usage.to_string() == CMC_RA));
    let forms: [Names<'_>; 6] = [
        &[(SERIAL_NUMBER, "BR000000")],
        &[(SERIAL_NUMBER, "BR000001"), (O, "brannoc")],
        &[(SERIAL_NUMBER, "BR000002"), (O, "brannoc"), (CN, "P3-BR000002")],
        &[(SERIAL_NUMBER, "BR000003"), (CN, "BR000003")],
        &[(CN, "P3-BR000004")],
        &[(CN, "brannoc.P3.BR000005")],
    ];
    // Many requests of many devices on one connection, as a line has them.
    let mut wire = house.est(Some(&card)).await;
    for (number, names) in forms.into_iter().enumerate() {
        let serial = format!("BR00000{number}");
        let id = house.register(&serial, "manufacturing").await;
        let key = key();
        let reply = wire.ask(&naming(names, &key)).await.unwrap();
        assert_eq!(reply.status, 200, "{names:?}: {}", reply.text());
        let issued = Card::new(&key, &reply.certificate());
        assert_eq!(issued.certificate().subject_serial_number(), Some(serial), "{names:?}");
        // The device's own from now on: it proves the device when that comes for its next one.
        house.go(&id, "deployment").await;
        house.go(&id, "deployment").await;
        let next =
            house.ask(Some(&issued), &Ask::est("simpleenroll", &request(&crate::support::csr::key()))).await;
        assert_eq!(next.status, 200, "{}", next.text());

        let operator = house.operator();
        let trace = house.authority.trace(&operator, &issued.serial(), None).unwrap();
        let proof = Proof::RegistrationAuthority { ra: line.clone(), serial: card.serial() };
        assert_eq!((trace.proof, trace.approved_by.who), (proof, line.to_string()));
        assert_eq!(trace.certificate.enrolled_by.as_ref(), Some(&line));
        assert_eq!(trace.certificate.device, id);
        let history = house.authority.history(&operator, &id, None).unwrap();
        let told = history.iter().find(|line| line.serial == Some(issued.serial())).unwrap();
        assert_eq!(told.actor, line.to_string());
        assert!(told.what.contains("by the registration authority ra.line-7"), "{}", told.what);
        let device = house.authority.device(&operator, &id).unwrap();
        assert_eq!(device.first_enrolment[&"idev".parse().unwrap()].enrolled_by, Some(line.clone()));
        assert_eq!(device.first_enrolment[&"ldev".parse().unwrap()].enrolled_by, None);
    }
    // What a stolen key of this line could have got: all of it is found, and nothing else.
    let filter = CertificateFilter { enrolled_by: Some(line.clone()), ..CertificateFilter::default() };
    let page = house.authority.certificates(&house.operator(), &filter).unwrap();
    assert_eq!(page.items.len(), 6);
    assert!(page.items.iter().all(|view| view.enrolled_by.as_ref() == Some(&line)));
    let first = CertificateFilter { limit: Some(4), ..filter.clone() };
    let next = house.authority.certificates(&house.operator(), &first).unwrap().next;
    let rest = CertificateFilter { after: next, ..filter.clone() };
    assert_eq!(house.authority.certificates(&house.operator(), &rest).unwrap().items.len(), 2);
    let of_one = CertificateFilter { device: Some("brannoc.P3.BR000003".parse().unwrap()), ..filter };
    assert_eq!(house.authority.certificates(&house.operator(), &of_one).unwrap().items.len(), 1);
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// E31, as libest's US893 has it: the same request with a certificate of ours that lacks the usage is refused, whatever the
/// request itself asks for; and only with the usage does the door take its caller for a registration authority.
#[tokio::test]
async fn the_usage_makes_the_difference() {
    let house = house().await;
    let id = house.register("BR000001", "manufacturing").await;
    let (_, line) = house.line("line-7").await;
    let service = house.register_identity("service", "line-7").await;
    let service = house.enrolled(&service, "svc").await;
    let (_, pump) = house.working("BR000002").await;
    for (case, card) in [("a service", &service), ("a device", &pump)] {
        let reply = asks(&house, card, "BR000001").await;
        assert_eq!(reply.status, 403, "{case}: {}", reply.text());
        let key = key();
        let wishing =
            Csr::of(&key).named(&[(SERIAL_NUMBER, "BR000001")]).asking(&[eku(&[CMC_RA])]).sign(&key);
        let reply = house.ask(Some(card), &Ask::est("idev/simpleenroll", &wishing)).await;
        assert_eq!(reply.status, 403, "{case}: {}", reply.text());
    }
    // Nor does it come into the certificate of who asks for it.
    let key = key();
    let csr = Csr::of(&key).repeating(&service.certificate()).sign(&key);
    let renewed = house.ask(Some(&service), &Ask::est("svc/simplereenroll", &csr)).await.certificate();
    assert!(renewed.extended_key_usages().iter().all(|usage| usage.to_string() != CMC_RA));
    assert!(house.certificates_of(&id).is_empty());

    let is_one = |card: &Card| {
        let chain = PresentedChain::proven_by_handshake(card.chain.clone());
        let credentials = house.authority.credentials(Some(&chain), None);
        house.authority.registration_authority(&credentials).unwrap()
    };
    assert_eq!(is_one(&line), Some("ra.line-7".parse().unwrap()));
    assert_eq!((is_one(&service), is_one(&pump)), (None, None));
    assert_eq!(
        house.authority.registration_authority(&house.authority.credentials(None, None)).unwrap(),
        None
    );
    assert_eq!(asks(&house, &line, "BR000001").await.status, 200);
    house.revoke(line.serial(), Reason::Superseded).await;
    assert_eq!(is_one(&line), None);
}

/// E64, B48: names that lead to no device, to several, or to one and beyond it.
#[tokio::test]
async fn the_names_lead_to_exactly_one_device() {
    let house = house().await;
    let (line, card) = house.line("line-7").await;
    let one = house.register("BR000001", "manufacturing").await;
    let two = house.register_as("aerune", "P3", "BR000002", "manufacturing").await;
    house.register_as("brannoc", "S1", "BR000002", "manufacturing").await;
    let cases: [(&str, Names<'_>, &str, Option<&str>); 16] = [
        ("no name", &[], "says in the subject", Some("ra-no-name")),
        ("the maker alone", &[(O, "brannoc")], "says in the subject", Some("ra-no-name")),
        (
            "an unknown serial",
            &[(SERIAL_NUMBER, "BR000009")],
            "no registered device",
            Some("ra-unknown-device"),
        ),
        ("a serial in other case", &[(SERIAL_NUMBER, "br000001")], "no registered device", None),
        ("the serial as common name alone", &[(CN, "BR000001")], "no registered device", None),
        ("an identity", &[(CN, "ra.line-7")], "no registered device", None),
        ("the maker of another", &[(SERIAL_NUMBER, "BR000001"), (O, "aerune")], "no registered device", None),
        ("an unknown maker", &[(SERIAL_NUMBER, "BR000001"), (O, "nobody")], "no registered device", None),
        ("two serials", &[(SERIAL_NUMBER, "BR000001"), (SERIAL_NUMBER, "BR000009")], "in its subject", None),
        (
            "two serials of two",
            &[(SERIAL_NUMBER, "BR000001"), (SERIAL_NUMBER, "BR000002")],
            "no registered",
            None,
        ),
        ("two ids", &[(CN, one.as_str()), (CN, two.as_str())], "no registered device", None),
        ("a serial of two", &[(SERIAL_NUMBER, "BR000002")], "2 devices", Some("ra-ambiguous-device")),
        (
            "one and the plate of another",
            &[(SERIAL_NUMBER, "BR000001"), (CN, "S1-BR000002")],
            "S1-BR000002",
            None,
        ),
        ("one and the id of another", &[(SERIAL_NUMBER, "BR000001"), (CN, two.as_str())], "aerune", None),
        (
            "one and a stranger's name",
            &[(SERIAL_NUMBER, "BR000001"), (CN, "est.hospital.example")],
            "est.h",
            None,
        ),
        ("the authority", &[(SERIAL_NUMBER, "BR000001"), (O, "Vitae")], "no registered device", None),
    ];
    for (case, names, words, code) in cases {
        let reply = house.ask(Some(&card), &naming(names, &key())).await;
        assert_eq!(reply.status, 403, "{case}: {}", reply.text());
        assert!(reply.text().contains(words), "{case}: {}", reply.text());
        assert!(code.is_none_or(|code| refusals(&house, &line).contains(&code.to_owned())), "{case}");
    }
    // A second name in the extension that a careless verifier would read first.
    let key = key();
    let other = Csr::of(&key)
        .named(&[(SERIAL_NUMBER, "BR000001")])
        .asking(&[san(&[tlv(0x86, b"urn:dev:ops:32473-S1-BR000002")])])
        .sign(&key);
    assert_eq!(house.ask(Some(&card), &Ask::est("idev/simpleenroll", &other)).await.status, 403);
    for id in [&one, &two, &"brannoc.S1.BR000002".parse().unwrap()] {
        assert!(house.certificates_of(id).is_empty(), "{id}");
    }
    // What tells them apart is enough.
    for names in
        [[(SERIAL_NUMBER, "BR000002"), (O, "aerune")], [(SERIAL_NUMBER, "BR000002"), (CN, "P3-BR000002")]]
    {
        let reply = house.ask(Some(&card), &naming(&names, &crate::support::csr::key())).await;
        assert_eq!(reply.status, 200, "{names:?}: {}", reply.text());
    }
    assert_eq!(house.certificates_of(&two).len(), 2);
    assert_eq!(name(&[]).len(), 2, "an empty subject was among the cases");
}

/// B46: what roles.toml does not list is refused with its own code; the line has proven who it is, so it is recorded, once
/// an hour for each reason and with the device it asked for.
#[tokio::test]
async fn nothing_is_enrolled_out_of_scope() {
    let house = house().await;
    let (line, card) = house.line("line-7").await;
    house.register("BR000001", "manufacturing").await;
    house.register("BR010000", "manufacturing").await;
    house.register("BR0000001", "manufacturing").await;
    house.register_as("brannoc", "S1", "BR000002", "manufacturing").await;
    house.register_as("meridel", "P3", "BR000003", "manufacturing").await;
    let ask = |label: &str, serial: &str| {
        let key = key();
        Ask::est(&format!("{label}simpleenroll"), &Csr::of(&key).named(&[(SERIAL_NUMBER, serial)]).sign(&key))
    };
    let cases = [
        (
            ask("idev/", "BR010000"),
            "may not enrol the serial number BR010000: it may BR000000..BR009999",
            "ra-serial",
        ),
        (ask("idev/", "BR0000001"), "may not enrol the serial number", "ra-serial"),
        (ask("idev/", "BR000002"), "model S1: it may P3", "ra-model"),
        (ask("idev/", "BR000003"), "maker meridel: it may those of brannoc, aerune", "ra-maker"),
        (ask("", "BR000001"), "may not enrol for profile ldev: it may for idev", "ra-profile"),
        (ask("tls/", "BR000001"), "may not enrol for profile tls", "ra-profile"),
        // It makes neither others of its kind nor anything else that is no device.
        (ask("ra/", "BR000001"), "renews with simplereenroll", "ra-profile"),
        (ask("svc/", "BR000001"), "may not enrol for profile svc", "ra-profile"),
        (ask("update/", "BR000001"), "may not enrol for profile update", "ra-profile"),
    ];
    for (ask, words, code) in cases {
        for _ in 0..2 {
            let reply = house.ask(Some(&card), &ask).await;
            assert_eq!(reply.status, 403, "{}: {}", ask.line, reply.text());
            assert!(reply.text().contains(words), "{}: {}", ask.line, reply.text());
        }
        assert!(refusals(&house, &line).contains(&code.to_owned()), "{code}");
    }
    assert_eq!(refusals(&house, &line), ["ra-serial", "ra-model", "ra-maker", "ra-profile"]);
    let told = house.told(&line);
    assert!(told.iter().any(|what| what.contains("of brannoc.P3.BR010000 refused: ra-serial")), "{told:?}");
    house.clock.advance(HOUR);
    assert_eq!(house.ask(Some(&card), &ask("idev/", "BR010000")).await.status, 403);
    assert_eq!(refusals(&house, &line).len(), 5, "an hour later it is told again");

    // A certificate with the usage, and nobody who wrote down what for.
    let (other, stranger) = house.line("line-8").await;
    let reply = asks(&house, &stranger, "BR000001").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("ra.line-8 has no entry"), "{}", reply.text());
    assert_eq!(refusals(&house, &other), ["ra-not-listed"]);
    for id in ["brannoc.P3.BR000001", "brannoc.P3.BR010000", "brannoc.S1.BR000002", "meridel.P3.BR000003"] {
        assert!(house.certificates_of(&id.parse().unwrap()).is_empty(), "{id}");
    }
    assert_eq!(asks(&house, &card, "BR000001").await.status, 200);
}

/// B01, B02, B33: whatever ends its certificate ends its rights at once, on the connection that is open too.
#[tokio::test]
async fn a_registration_authority_that_is_not_good_is_none() {
    let house = house().await;
    let id = house.register("BR000001", "manufacturing").await;
    let line = house.register_identity("ra", "line-7").await;
    for (word, end) in [
        ("revoked", Some(Reason::KeyCompromise)),
        ("on hold", Some(Reason::CertificateHold)),
        ("expired", None),
    ] {
        let card = house.enrolled(&line, "ra").await;
        let mut open = house.est(Some(&card)).await;
        assert_eq!(open.ask(&Ask::get("/.well-known/est/cacerts")).await.unwrap().status, 200);
        match end {
            Some(reason) => {
                house.revoke(card.serial(), reason).await;
            }
            None => house.clock.advance(DAY),
        }
        for reply in [
            open.ask(&naming(&[(SERIAL_NUMBER, "BR000001")], &key())).await.unwrap(),
            asks(&house, &card, "BR000001").await,
        ] {
            assert_eq!(reply.status, 403, "{word}: {}", reply.text());
            assert!(reply.text().contains(word), "{word}: {}", reply.text());
        }
    }
    assert!(house.certificates_of(&id).is_empty());
    assert!(refusals(&house, &line).iter().all(|code| code == "certificate-not-good"));
}

/// Stages and keys are judged as if the device came itself, and it is the device's life that tells of it; who acted was
/// the line.
#[tokio::test]
async fn stages_and_keys_are_judged_as_for_the_device() {
    let house = house().await;
    let (line, card) = house.line("line-7").await;
    let shipped = house.register("BR000001", "deployment").await;
    let reply = asks(&house, &card, "BR000001").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("is at stage deployment"), "{}", reply.text());
    assert_eq!(refusals(&house, &shipped), ["stage"]);
    let history = house.authority.history(&house.operator(), &shipped, None).unwrap();
    assert_eq!(history.last().unwrap().actor, line.to_string());
    assert!(refusals(&house, &line).is_empty());

    let one = house.register("BR000002", "manufacturing").await;
    let two = house.register("BR000003", "manufacturing").await;
    let taken = key();
    assert_eq!(house.ask(Some(&card), &naming(&[(SERIAL_NUMBER, "BR000002")], &taken)).await.status, 200);
    for (case, key) in [("another device's key", &taken), ("the line's own key", &card.key)] {
        let reply = house.ask(Some(&card), &naming(&[(SERIAL_NUMBER, "BR000003")], key)).await;
        assert_eq!(reply.status, 409, "{case}: {}", reply.text());
    }
    let weak = std::sync::Arc::new(rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    let csr = Csr {
        algorithm: crate::support::der::seq(&[&crate::support::der::oid("1.3.101.112")]),
        ..Csr::of(&weak)
    };
    let ask = Ask::est("idev/simpleenroll", &csr.named(&[(SERIAL_NUMBER, "BR000003")]).sign(&weak));
    assert_eq!(house.ask(Some(&card), &ask).await.status, 400);
    assert_eq!((house.certificates_of(&one).len(), house.certificates_of(&two).len()), (1, 0));
}

/// An answer was lost: the same key for the same device gives the same certificate, and it counts once.
#[tokio::test]
async fn the_same_request_again_gives_the_same_certificate() {
    let house =
        House::with(|policy| policy.append("roles.toml", &LINE.replace("quota = 100", "quota = 1"))).await;
    let (_, card) = house.line("line-7").await;
    let id = house.register("BR000001", "manufacturing").await;
    let key = key();
    let first = house.ask(Some(&card), &naming(&[(SERIAL_NUMBER, "BR000001")], &key)).await.certificate();
    // With other names and after the quota is used up, too.
    for names in [[(SERIAL_NUMBER, "BR000001")], [(CN, "P3-BR000001")]] {
        let again = house.ask(Some(&card), &naming(&names, &key)).await.certificate();
        assert_eq!(again.der(), first.der());
    }
    assert_eq!(house.certificates_of(&id).len(), 1);
    assert_eq!(asks(&house, &card, "BR000001").await.status, 403, "another key is another certificate");
}

/// It renews itself and nobody else.
#[tokio::test]
async fn a_registration_authority_renews_itself_alone() {
    let house = house().await;
    let (line, card) = house.line("line-7").await;
    house.register("BR000001", "manufacturing").await;
    let born = key();
    let birth = house.ask(Some(&card), &naming(&[(SERIAL_NUMBER, "BR000001")], &born)).await.certificate();
    let (_, work) = house.working("BR000002").await;
    for (label, current) in [("idev/", &birth), ("", &work.certificate()), ("svc/", &birth)] {
        let key = key();
        let csr = Csr::of(&key).repeating(current).sign(&key);
        let reply = house.ask(Some(&card), &Ask::est(&format!("{label}simplereenroll"), &csr)).await;
        assert_eq!(reply.status, 403, "{label}: {}", reply.text());
        assert!(reply.text().contains("does not renew for devices"), "{label}: {}", reply.text());
    }
    assert_eq!(refusals(&house, &line), ["ra-renewal"]);
    // At its own label, the names must be its own.
    let fresh = key();
    let foreign = Csr::of(&fresh).repeating(&birth).sign(&fresh);
    assert_eq!(house.ask(Some(&card), &Ask::est("ra/simplereenroll", &foreign)).await.status, 403);
    house.clock.advance(12 * HOUR);
    let csr = Csr::of(&fresh).repeating(&card.certificate()).sign(&fresh);
    let reply = house.ask(Some(&card), &Ask::est("ra/simplereenroll", &csr)).await;
    let renewed = Card::new(&fresh, &reply.certificate());
    house.register("BR000003", "manufacturing").await;
    assert_eq!(asks(&house, &renewed, "BR000003").await.status, 200);
    assert_eq!(house.certificates_of(&line).len(), 2);
}

/// A device's token beside the line's certificate: two holders, so nobody; the token lives on. Its own token is no matter.
#[tokio::test]
async fn a_token_beside_its_certificate_must_be_its_own() {
    let house = house().await;
    let (line, card) = house.line("line-7").await;
    let id = house.register("BR000001", "manufacturing").await;
    let token = house.token(&id, "idev").await;
    let ask = naming(&[(SERIAL_NUMBER, "BR000001")], &key()).basic(id.as_str(), &token);
    let reply = house.ask(Some(&card), &ask).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("different holders"), "{}", reply.text());
    assert!(house.certificates_of(&id).is_empty());
    assert_eq!(house.ask(None, &ask).await.status, 200);
    let own = house.token(&line, "ra").await;
    let ask = Ask::est("ra/simpleenroll", &request(&key())).basic(line.as_str(), &own);
    assert_eq!(house.ask(Some(&card), &ask).await.status, 200);
}

/// E31: a request that a device made for a connection of its own is passed on, even where each must be tied to its
/// connection. Whoever is no registration authority may not, nor may one with what it asks for itself.
#[tokio::test]
async fn a_request_tied_to_another_connection_is_passed_on() {
    let house = house().await;
    let (line, card) = house.line("line-7").await;
    let required = |policy: &Policy| {
        for profile in ["profiles/idev.toml", "profiles/ra.toml"] {
            policy.replace(profile, "channel-binding = \"optional\"", "channel-binding = \"required\"");
        }
    };
    let house = house.reopened(required).await;
    let id = house.register("BR000001", "manufacturing").await;
    let tied = |key: &Key, names: Names<'_>| {
        let mut csr = Csr::of(key).named(names);
        csr.attributes.push(attribute(CHALLENGE_PASSWORD, &[utf8("b3RoZXIgY29ubmVjdGlvbg==")]));
        csr
    };
    let (own, other) = (key(), key());
    let passed = Ask::est("idev/simpleenroll", &tied(&own, &[(SERIAL_NUMBER, "BR000001")]).sign(&own));
    let token = house.token(&id, "idev").await;
    let reply = house.ask(None, &passed.clone().basic(id.as_str(), &token)).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(house.ask(Some(&card), &passed).await.status, 200);
    let untied = house.ask(Some(&card), &naming(&[(SERIAL_NUMBER, "BR000001")], &other)).await;
    assert_eq!(untied.status, 200, "{}", untied.text());
    let renewal = Csr { subject: card.certificate().subject_der().to_vec(), ..tied(&other, &[]) };
    let reply = house.ask(Some(&card), &Ask::est("ra/simplereenroll", &renewal.sign(&other))).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!((house.certificates_of(&id).len(), house.certificates_of(&line).len()), (2, 1));
}

/// Where an operator has to approve, the line waits like a device; it may have renewed its certificate before anyone decides.
#[tokio::test]
async fn a_line_waits_for_an_operator_too() {
    let house = House::with(|policy| {
        policy.append("roles.toml", &LINE.replace("quota = 100", "quota = 1"));
        policy.replace(
            "lifecycle.toml",
            "manufacturing = \"issue\"",
            "manufacturing = \"issue with approval\"",
        );
    })
    .await;
    let (line, card) = house.line("line-7").await;
    let id = house.register("BR000001", "manufacturing").await;
    let key = key();
    let ask = naming(&[(SERIAL_NUMBER, "BR000001")], &key);
    let waits = pending(&house.ask(Some(&card), &ask).await);
    let history = house.authority.history(&house.operator(), &id, None).unwrap();
    assert_eq!(history.last().unwrap().actor, line.to_string());
    house.clock.advance(12 * HOUR);
    let fresh = crate::support::csr::key();
    let csr = Csr::of(&fresh).repeating(&card.certificate()).sign(&fresh);
    let renewed = house.ask(Some(&card), &Ask::est("ra/simplereenroll", &csr)).await.certificate();
    let renewed = Card::new(&fresh, &renewed);
    assert_eq!(pending(&house.ask(Some(&renewed), &ask).await), waits);
    house.grant(waits).await;
    let issued = house.ask(Some(&renewed), &ask).await.certificate();
    let trace = house.authority.trace(&house.operator(), &issued.serial().unwrap(), None).unwrap();
    assert_eq!(trace.certificate.enrolled_by, Some(line.clone()));
    // Whoever waits takes nothing from the quota, and does not wait for what there is no quota for.
    house.register("BR000002", "manufacturing").await;
    let reply = asks(&house, &renewed, "BR000002").await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert_eq!(refusals(&house, &line), ["ra-quota"]);
}
