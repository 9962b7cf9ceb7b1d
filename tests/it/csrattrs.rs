//! /csrattrs: what a request should hold, told before it is made (RFC 7030 section 4.5, RFC 9908).

use std::sync::Arc;

use der::asn1::{Any, ObjectIdentifier};
use der::{Decode, Encode, Tagged};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitae::agent::{DeviceKey, EstClient, Home, Trust};
use vitae::config::HolderKind;
use vitae::ids::HolderId;
use vitae::pki::body;
use vitae::pki::csr_attributes::{CsrAttributes, KeyWanted};
use vitae::pki::key::PublicKeyKind;
use vitae::pki::pem;

use crate::support::csr::{CN, Csr, ECDSA_SHA256, EXTENSION_REQUEST, SERIAL_NUMBER, attribute, key};
use crate::support::der::{oid, seq, set, tlv, utf8};
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{House, Policy};

const CHALLENGE_PASSWORD: &str = "1.2.840.113549.1.9.7";
const EC_KEY: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const ORGANIZATION: &str = "2.5.4.10";
const TEMPLATE: &str = "1.2.840.113549.1.9.16.2.61";

async fn ask(house: &House, label: &str) -> Reply {
    house.ask(None, &Ask::get(&format!("/.well-known/est/{label}/csrattrs"))).await
}

async fn wishes(house: &House, label: &str) -> Vec<u8> {
    let reply = ask(house, label).await;
    assert_eq!(reply.status, 200, "{label}: {}", reply.text());
    body::decode_base64(&reply.body).unwrap()
}

/// E40, E54, B54: everybody may read, as DER in base64 under its own type, and nothing is written.
#[tokio::test]
async fn everybody_may_ask_and_nothing_is_written() {
    let house = House::open().await;
    let before = house.events();
    let labels: Vec<String> = house
        .authority
        .config()
        .profiles()
        .iter()
        .filter(|profile| profile.is_label())
        .map(|profile| format!("{}/", profile.name()))
        .collect();
    for label in labels.iter().map(String::as_str).chain([""]) {
        let path = format!("/.well-known/est/{label}csrattrs");
        let reply = house.ask(None, &Ask::get(&path)).await;
        assert_eq!(reply.status, 200, "{label}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/csrattrs"));
        assert_eq!(reply.header("content-transfer-encoding"), Some("base64"));
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        assert!(!reply.body.contains(&b'\n'), "{label}");
        let der = body::decode_base64(&reply.body).unwrap();
        assert!(!Vec::<Any>::from_der(&der).unwrap().is_empty(), "{label}: there is something to say");
        let head = house.ask(None, &Ask::new("HEAD", &path)).await;
        assert_eq!((head.status, head.header("content-length")), (200, reply.header("content-length")));
        let lines = house.ask(None, &Ask::get(&path).header("User-Agent", "libest 3.2.0")).await;
        assert!(lines.text().lines().all(|line| line.len() <= 76) && lines.text().lines().count() > 1);
        assert_eq!(body::decode_base64(&lines.body).unwrap(), der, "{label}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let reply = house.ask(None, &Ask::new(method, &path)).await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
        }
    }
    for nobodys in ["server/csrattrs", "ocsp/csrattrs", "nobody/csrattrs"] {
        let reply = house.ask(None, &Ask::get(&format!("/.well-known/est/{nobodys}"))).await;
        assert_eq!(reply.status, 404, "{nobodys}");
    }
    assert_eq!(house.events(), before);
}

/// What a device or machine knows of itself.
struct Plate(Vec<(&'static str, String)>);

impl Plate {
    fn value(&self, kind: &str) -> String {
        let known = self.0.iter().find(|(known, _)| *known == kind);
        known.unwrap_or_else(|| panic!("nobody can fill in {kind}")).1.clone()
    }
}

/// Whom a label is for, and how it may ask.
struct Asker {
    id: HolderId,
    plate: Plate,
    birth: Option<Card>,
}

async fn asker(house: &House, label: &str, serial: &str) -> Option<Asker> {
    let profile = house.authority.profile_of_label(Some(label)).unwrap();
    if let HolderKind::Identity(kind) = profile.holder() {
        let id = house.register_identity(kind, serial).await;
        let plate = Plate(vec![(CN, serial.to_owned()), (ORGANIZATION, "brannoc".to_owned())]);
        return Some(Asker { id, plate, birth: None });
    }
    let (stage, _) = house.authority.config().lifecycle().stages_where(profile.name()).first()?.clone();
    let plate = [(CN, serial), (SERIAL_NUMBER, serial), (ORGANIZATION, "brannoc")];
    let plate = Plate(plate.map(|(kind, value)| (kind, value.to_owned())).to_vec());
    let tokens = profile.authenticate_by().contains(&vitae::config::Proof::Token);
    if tokens {
        let id = house.register(serial, stage.as_str()).await;
        return Some(Asker { id, plate, birth: None });
    }
    let (id, birth) = house.born(serial).await;
    house.go(&id, "clinical-use").await;
    house.go(&id, stage.as_str()).await;
    Some(Asker { id, plate, birth: Some(birth) })
}

impl Asker {
    async fn enrol(&self, house: &House, label: &str, csr: &[u8]) -> Reply {
        let ask = Ask::est(&format!("{label}/simpleenroll"), csr);
        match &self.birth {
            Some(birth) => house.ask(Some(birth), &ask).await,
            None => {
                let token = house.token(&self.id, label).await;
                house.ask(None, &ask.basic(self.id.as_str(), &token)).await
            }
        }
    }
}

fn kind_of(attribute: &[Any]) -> String {
    attribute[0].decode_as::<ObjectIdentifier>().unwrap().to_string()
}

/// Builds a request from the list of RFC 7030 alone, as clients did before RFC 9908.
fn by_the_list(wishes: &[u8], plate: &Plate) -> Vec<u8> {
    let key = key();
    let (mut subject, mut csr, mut key_named) = (Vec::new(), Csr::of(&key), false);
    for wish in Vec::<Any>::from_der(wishes).unwrap() {
        if wish.tag() == der::Tag::ObjectIdentifier {
            match wish.decode_as::<ObjectIdentifier>().unwrap().to_string() {
                kind if kind.starts_with("2.5.4.") => {
                    subject.push(set(&[&seq(&[&oid(&kind), &utf8(&plate.value(&kind))])]));
                }
                kind => assert_eq!(kind, ECDSA_SHA256),
            }
            continue;
        }
        let parts: Vec<Any> = wish.decode_as().unwrap();
        match kind_of(&parts).as_str() {
            EC_KEY => {
                // A SET OF one curve.
                assert_eq!(parts[1].value(), oid(P256));
                key_named = true;
            }
            // Copied as it is.
            EXTENSION_REQUEST => csr.attributes.push(wish.to_der().unwrap()),
            // What an older client does not know, it passes over (E59).
            TEMPLATE => {}
            other => panic!("{other}"),
        }
    }
    assert!(key_named, "E55");
    csr.subject = tlv(0x30, &subject.concat());
    csr.sign(&key)
}

/// Builds a request from the template of RFC 9908 section 3.4 alone.
fn by_the_template(wishes: &[u8], plate: &Plate) -> Vec<u8> {
    let elements = Vec::<Any>::from_der(wishes).unwrap();
    let attributes = elements.iter().filter(|wish| wish.tag() == der::Tag::Sequence);
    let attributes = attributes.map(|wish| wish.decode_as::<Vec<Any>>().unwrap());
    let [template] =
        <[Vec<Any>; 1]>::try_from(attributes.filter(|parts| kind_of(parts) == TEMPLATE).collect::<Vec<_>>())
            .unwrap();
    let [version, subject, key_wanted, attributes] =
        <[Any; 4]>::try_from(Vec::<Any>::from_der(template[1].value()).unwrap()).unwrap();
    assert_eq!(version.decode_as::<u8>().unwrap(), 0);
    let mut names = Vec::new();
    for rdn in subject.decode_as::<Vec<Any>>().unwrap() {
        let pair = Vec::<Any>::from_der(rdn.value()).unwrap();
        let kind = kind_of(&pair);
        let value = pair.get(1).map_or_else(|| utf8(&plate.value(&kind)), |value| value.to_der().unwrap());
        names.push(set(&[&seq(&[&oid(&kind), &value])]));
    }
    let key = key();
    assert_eq!(key_wanted.value(), seq(&[&oid(EC_KEY), &oid(P256)]), "E57");
    let csr = Csr { subject: tlv(0x30, &names.concat()), ..Csr::of(&key) };
    Csr { attributes: vec![attributes.value().to_vec()], ..csr }.sign(&key)
}

/// E55 to E58: who knows nothing but the answer and its own plate gets a certificate, by the list and by the template,
/// for every label that a device or machine can have.
#[tokio::test]
async fn a_client_that_obeys_the_answer_is_enrolled() {
    let house = House::open().await;
    let mut enrolled = Vec::new();
    let labels: Vec<String> = house
        .authority
        .config()
        .profiles()
        .iter()
        .filter(|profile| profile.is_label())
        .map(|profile| profile.name().to_string())
        .collect();
    for label in &labels {
        let Some(asker) = asker(&house, label, &format!("BR-{label}")).await else { continue };
        let wishes = wishes(&house, label).await;
        let list = asker.enrol(&house, label, &by_the_list(&wishes, &asker.plate)).await.certificate();
        let template = asker.enrol(&house, label, &by_the_template(&wishes, &asker.plate)).await;
        let template = template.certificate();
        assert_eq!(list.subject_der(), template.subject_der(), "{label}");
        let asked = CsrAttributes::from_der(&wishes).unwrap();
        for wanted in asked.extensions {
            let given = template.extensions().iter().find(|given| given.extn_id == wanted.kind).unwrap();
            assert_eq!(Some(given.extn_value.as_bytes()), wanted.value.as_deref(), "{label}");
            assert_eq!(given.critical, wanted.critical, "{label}");
        }
        enrolled.push(label.as_str());
    }
    // maint is issued at no stage as shipped.
    assert_eq!(enrolled, ["idev", "ldev", "ra", "remed", "svc", "tls", "update"]);
}

fn binding_required(policy: &Policy) {
    let (old, new) = ("channel-binding = \"optional\"", "channel-binding = \"required\"");
    policy.replace("profiles/ldev.toml", old, new);
}

/// E29: named where a request must have it, and there alone; who obeys is enrolled.
#[tokio::test]
async fn the_challenge_password_is_named_where_it_is_required() {
    let house = House::with(binding_required).await;
    let names_it = |der: &[u8]| {
        let oids = Vec::<Any>::from_der(der).unwrap().into_iter();
        oids.filter_map(|wish| wish.decode_as::<ObjectIdentifier>().ok())
            .any(|kind| kind.to_string() == CHALLENGE_PASSWORD)
    };
    assert!(names_it(&wishes(&house, "ldev").await));
    for label in ["idev", "tls", "svc", "update"] {
        assert!(!names_it(&wishes(&house, label).await), "{label}");
    }
    let id = house.register("BR000001", "deployment").await;
    let mut wire = house.est(None).await;
    let exporter = |connection: &rustls::ClientConnection| {
        connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
    };
    let value = body::encode_base64(&exporter(wire.stream.get_ref().1));
    let key = key();
    let mut csr = Csr::of(&key);
    for (challenge, status) in [(None, 400), (Some(value), 200)] {
        csr.attributes = challenge.iter().map(|it| attribute(CHALLENGE_PASSWORD, &[utf8(it)])).collect();
        let token = house.token(&id, "ldev").await;
        let ask = Ask::est("ldev/simpleenroll", &csr.sign(&key)).basic(id.as_str(), &token);
        assert_eq!(wire.ask(&ask).await.unwrap().status, status);
    }
}

/// The agent makes the kind of key that it is asked for, tied to its connection where that is wanted; a key under way is
/// kept.
#[tokio::test]
async fn the_agent_obeys() {
    for (keys, kind) in [
        ("[\"p384\", \"p256\"]", PublicKeyKind::P384),
        ("[\"p521\"]", PublicKeyKind::P521),
        ("[\"ed25519\"]", PublicKeyKind::Ed25519),
        ("[\"rsa-2048\"]", PublicKeyKind::Rsa { bits: 2048 }),
    ] {
        let house = House::with(|policy| {
            binding_required(policy);
            policy.replace("profiles/ldev.toml", "[\"p256\", \"p384\", \"rsa-2048\"]", keys);
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let (home, id) = (Home::at(folder.path()).unwrap(), house.register("BR000001", "deployment").await);
        let chain = std::fs::read_to_string(house.dir().join("ca/chain.pem")).unwrap();
        let trust = Trust::from_pem(&chain).unwrap();
        let client = EstClient::new(house.addresses.est, "localhost", &trust, None).unwrap();
        let mut connection = client.connect().await.unwrap();
        let wishes = connection.csr_attributes(Some("ldev")).await.unwrap();
        assert!(wishes.challenge_password && wishes.key.unwrap().is(kind));
        connection.can_obey(&wishes).unwrap();
        let key = home.next_key(&wishes).unwrap();
        let again = home.next_key(&CsrAttributes::default()).unwrap();
        assert_eq!(key.to_der(), again.to_der(), "the key under way, read from its file");
        let token = house.token(&id, "ldev").await;
        let request = again.request_on(&connection, Some("BR000001")).unwrap();
        let certificate =
            connection.enroll(Some("ldev"), &request, Some((id.as_str(), &token))).await.unwrap();
        home.take_into_use(&again, &certificate).unwrap();
        let certificate = home.enrolled().unwrap().unwrap().certificate;
        assert_eq!(certificate.public_key().unwrap().kind(), kind);
    }
}

/// What the agent cannot make, it says; what a server leaves open, it chooses.
#[test]
fn the_agent_says_what_it_cannot_do() {
    let wanting = |key| CsrAttributes { key, ..CsrAttributes::default() };
    for open in [None, Some(KeyWanted::Ec { curve: None })] {
        assert!(DeviceKey::wanted(&wanting(open)).is_ok());
    }
    let unknown = ObjectIdentifier::new_unwrap("1.3.132.0.10");
    for impossible in [
        KeyWanted::Ec { curve: Some(unknown) },
        KeyWanted::Rsa { bits: Some(16384) },
        KeyWanted::Other(unknown),
    ] {
        let Err(error) = DeviceKey::wanted(&wanting(Some(impossible))) else { panic!("{impossible:?}") };
        assert!(error.to_string().contains("cannot make"), "{error}");
    }
}

/// Another server, which gives every request on its one connection the same answer.
async fn other_server(answer: &'static str) -> EstClient {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tokio_rustls::TlsAcceptor::from(Arc::new(tls)).accept(stream).await.unwrap();
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let trust = Trust::from_pem(&pem::encode("CERTIFICATE", certificate.der())).unwrap();
    EstClient::new(address, "localhost", &trust, None).unwrap()
}

/// E54, from the other side: 204, 404 and an empty list leave the choice to the agent; trouble does not.
#[tokio::test]
async fn the_agent_chooses_where_a_server_has_nothing_to_say() {
    for (answer, says_nothing) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Type: application/csrattrs\r\nContent-Length: 4\r\n\r\nMAA=", true),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nAAAA", false),
    ] {
        let mut connection = other_server(answer).await.connect().await.unwrap();
        let wishes = connection.csr_attributes(Some("ldev")).await;
        assert_eq!(wishes.as_ref().is_ok_and(CsrAttributes::is_empty), says_nothing, "{answer}: {wishes:?}");
        assert_eq!(wishes.is_ok(), says_nothing, "{answer}");
    }
}
