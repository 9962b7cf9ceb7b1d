//! /serverkeygen: keys for devices that cannot make their own (RFC 7030 section 4.4).

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData, RsaKeySize};
use vitae::authority;
use vitae::clock::SystemRandom;
use vitae::ids::{HolderId, Reason, hex};
use vitae::pki::certificate::Certificate;
use vitae::pki::key::PublicKeyKind;
use vitae::pki::{body, cms, pem};

use crate::key_envelope::{
    AES128_CBC, AES128_WRAP, AES256_CBC, AES256_WRAP, CAPABILITIES, PUBLIC_ID, SECRET_ID, Workshop, able,
    opened,
};
use crate::support::House;
use crate::support::csr::{CN, Csr, Key, attribute, eku, key};
use crate::support::der::{NULL, bits, int, octets, oid, seq, tlv, utf8};
use crate::support::maker::Maker;
use crate::support::wire::{Ask, Card, Reply};

/// A house that makes keys for operational certificates.
pub(crate) async fn house_making(kind: &'static str) -> House {
    House::with(|policy| {
        let word = format!("server-key = \"{kind}\"\nchannel-binding");
        policy.replace("profiles/ldev.toml", "channel-binding", &word);
    })
    .await
}

/// The parts of an answer, each with its content type.
fn parts(reply: &Reply) -> [(String, Vec<u8>); 2] {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let content_type = reply.header("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/mixed; boundary=").unwrap();
    let text = reply.text();
    let pieces: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    assert_eq!((pieces.len(), pieces[0], pieces[3]), (4, "", "--\r\n"));
    [pieces[1], pieces[2]].map(|part| {
        let (head, content) = part.strip_prefix("\r\n").unwrap().split_once("\r\n\r\n").unwrap();
        let headers: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(headers[1..], ["Content-Transfer-Encoding: base64"], "E51");
        let kind = headers[0].strip_prefix("Content-Type: ").unwrap();
        (kind.to_owned(), body::decode_base64(content.as_bytes()).unwrap())
    })
}

fn certificate_in(der: &[u8]) -> Certificate {
    let [certificate] = <[Vec<u8>; 1]>::try_from(cms::certificates_in(der).unwrap()).unwrap();
    Certificate::from_der(&certificate).unwrap()
}

/// An answer with an unprotected key.
pub(crate) fn plain(reply: &Reply) -> (Card, Vec<u8>) {
    let [(key_type, pkcs8), (certificate_type, certificate)] = parts(reply);
    assert_eq!(key_type, "application/pkcs8");
    assert_eq!(certificate_type, "application/pkcs7-mime; smime-type=certs-only");
    let key: Key = Arc::new(KeyPair::try_from(pkcs8.as_slice()).unwrap());
    let certificate = certificate_in(&certificate);
    assert_eq!(key.subject_public_key_info(), certificate.spki_der(), "the key is the certificate's");
    (Card::new(&key, &certificate), pkcs8)
}

/// An answer with a key in an envelope.
fn enveloped(reply: &Reply) -> (Vec<u8>, Certificate) {
    let [(key_type, sealed), (_, certificate)] = parts(reply);
    assert_eq!(key_type, "application/pkcs7-mime; smime-type=server-generated-key");
    (sealed, certificate_in(&certificate))
}

async fn with_token(house: &House, id: &HolderId, csr: &[u8]) -> Reply {
    let token = house.token(id, "ldev").await;
    house.ask(None, &Ask::est("ldev/serverkeygen", csr).basic(id.as_str(), &token)).await
}

/// A request that wants its key encrypted for `id`, a secret's or a key's.
fn wanting(kind: &str, id: &[u8], able: &[Vec<u8>]) -> Vec<u8> {
    let key = key();
    let mut csr = Csr::of(&key);
    csr.attributes.push(attribute(kind, &[octets(id)]));
    csr.attributes.push(attribute(CAPABILITIES, &[tlv(0x30, &able.concat())]));
    csr.sign(&key)
}

/// E50: as shipped no label has it, and that is said before anything is read.
#[tokio::test]
async fn it_is_off_by_default() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let before = house.events();
    for label in ["", "idev/", "ldev/", "tls/", "remed/", "svc/", "update/"] {
        let path = format!("/.well-known/est/{label}serverkeygen");
        // The body is announced and never sent.
        let ask = Ask::new("POST", &path).header("Content-Length", "100000");
        for (card, ask) in [(None, ask.clone()), (Some(&card), ask), (None, Ask::get(&path))] {
            let reply = house.ask(card, &ask).await;
            assert_eq!(reply.status, 404, "{label}");
            assert!(reply.text().contains("does not offer serverkeygen"), "{}", reply.text());
        }
    }
    assert_eq!(house.events(), before);
    let house = house_making("p256").await;
    let reply = house.ask(None, &Ask::get("/.well-known/est/ldev/serverkeygen")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    let reply = house.ask(None, &Ask::est("tls/serverkeygen", b"0")).await;
    assert_eq!(reply.status, 404, "for the other labels it is still off");
}

/// E51, B52: key and certificate belong together, are of the profile's kind, and work: the device renews with them. The
/// record says who made the key.
#[tokio::test]
async fn a_made_key_works() {
    for (kind, public_kind) in [
        ("p256", PublicKeyKind::P256),
        ("p384", PublicKeyKind::P384),
        ("rsa-2048", PublicKeyKind::Rsa { bits: 2048 }),
    ] {
        let house = house_making(kind).await;
        let id = house.register("BR000001", "deployment").await;
        let reply = with_token(&house, &id, &Csr::of(&key()).signed_falsely()).await;
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        let (card, _) = plain(&reply);
        assert_eq!(card.certificate().public_key().unwrap().kind(), public_kind);
        let fresh = key();
        let renewal = Csr::of(&fresh).repeating(&card.certificate()).sign(&fresh);
        let reply = house.ask(Some(&card), &Ask::est("ldev/simplereenroll", &renewal)).await;
        let renewed = reply.certificate();
        let trace = |serial| house.authority.trace(&house.operator(), &serial, None).unwrap();
        let (made, own) = (trace(card.serial()), trace(renewed.serial().unwrap()));
        assert!(made.server_key && !own.server_key);
        let told = |trace: &authority::Trace| {
            trace.events.iter().any(|line| line.what.contains("the authority made"))
        };
        assert!(told(&made), "{:?}", made.events);
        assert_eq!(made.certificate.status, "good");
    }
}

/// E51: libest reads base64 in lines only.
#[tokio::test]
async fn libest_gets_lines() {
    let house = house_making("rsa-2048").await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let ask = Ask::est("ldev/serverkeygen", &Csr::of(&key()).signed_falsely()).basic(id.as_str(), &token);
    let reply = house.ask(None, &ask.header("User-Agent", "libest 3.2.0")).await;
    assert!(reply.text().lines().all(|line| line.len() <= 76));
    plain(&reply);
}

/// E50: neither key nor signature of the request is looked at, be they weak, false or another's; and the same request
/// again is another key.
#[tokio::test]
async fn key_and_signature_of_the_request_are_ignored() {
    let house = house_making("p256").await;
    let id = house.register("BR000001", "deployment").await;
    let (_, other) = house.working("BR000002").await;
    let weak = seq(&[&int(&[0xff; 128]), &int(&[1, 0, 1])]);
    let weak = seq(&[&seq(&[&oid("1.2.840.113549.1.1.1"), NULL]), &bits(&weak)]);
    let own = key();
    let requests = [
        ("good", Csr::of(&own).sign(&own)),
        ("again", Csr::of(&own).sign(&own)),
        ("false signature", Csr::of(&own).signed_falsely()),
        ("RSA 1024", Csr { spki: weak, ..Csr::of(&own) }.signed_falsely()),
        ("no key at all", Csr { spki: seq(&[]), ..Csr::of(&own) }.signed_falsely()),
        ("another device's key", Csr::of(&other.key).signed_falsely()),
        ("unknown algorithm", Csr { algorithm: seq(&[&oid("1.2.3.4")]), ..Csr::of(&own) }.signed_falsely()),
    ];
    let mut keys = Vec::new();
    for (name, csr) in &requests {
        let (card, _) = plain(&with_token(&house, &id, csr).await);
        assert_ne!(card.certificate().spki_der(), own.subject_public_key_info(), "{name}");
        keys.push(card.certificate().spki_der().to_vec());
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), requests.len());
}

/// E50, B08, B11: what else the request says counts as always.
#[tokio::test]
async fn names_usages_and_binding_of_the_request_count() {
    let house = house_making("p256").await;
    let id = house.register("BR000001", "deployment").await;
    let csr = || Csr::of(&key());
    let mut tied = csr();
    tied.attributes.push(attribute("1.2.840.113549.1.9.7", &[utf8("another connection")]));
    for (csr, status, text) in [
        (csr().named(&[(CN, "BR000002")]), 403, "BR000002"),
        (csr().asking(&[eku(&["1.3.6.1.5.5.7.3.9"])]), 403, "usages"),
        (tied, 400, "tls-exporter"),
    ] {
        let reply = with_token(&house, &id, &csr.signed_falsely()).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.text().contains(text), "{}", reply.text());
    }
    let reply = with_token(&house, &id, b"no request").await;
    assert_eq!(reply.status, 400);
    assert!(house.certificates_of(&id).is_empty());
}

/// B14: whoever may not enrol gets no key, and a token is good once.
#[tokio::test]
async fn refused_holders_get_no_key() {
    let house = house_making("p256").await;
    let csr = Csr::of(&key()).signed_falsely();
    let ask = Ask::est("ldev/serverkeygen", &csr);
    assert_eq!(house.ask(None, &ask).await.status, 401, "a stranger");
    let reply = house.ask(None, &ask.clone().basic("brannoc.P3.BR000001", "no-token")).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    let wrong = house.ask(None, &ask.clone().basic("a", "b").header("Content-Type", "text/plain")).await;
    assert_eq!(wrong.status, 415);

    let id = house.register("BR000001", "manufacturing").await;
    assert_eq!(with_token(&house, &id, &csr).await.status, 403, "the stage does not allow it");
    let (born, birth) = house.born("BR000002").await;
    house.revoke(birth.serial(), Reason::KeyCompromise).await;
    assert_eq!(house.ask(Some(&birth), &ask).await.status, 403, "the birth certificate was revoked");
    for id in [&id, &born] {
        assert!(
            house.certificates_of(id).iter().all(|view| view.profile.as_ref().unwrap().as_str() != "ldev")
        );
    }

    let id = house.register("BR000003", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let ask = ask.basic(id.as_str(), &token);
    plain(&house.ask(None, &ask).await);
    assert_eq!(house.ask(None, &ask).await.status, 401, "spent");
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// RFC 7030 section 4.4: a client that shows its current certificate renews it, under the rules of simplereenroll.
#[tokio::test]
async fn a_current_certificate_is_renewed_with_a_made_key() {
    let house = house_making("p256").await;
    let (id, card) = house.working("BR000001").await;
    let bare = Ask::est("ldev/serverkeygen", &Csr::of(&key()).signed_falsely());
    let reply = house.ask(Some(&card), &bare).await;
    assert_eq!(reply.status, 403, "names are those of the current one (E31): {}", reply.text());
    let csr = Csr::of(&key()).repeating(&card.certificate()).signed_falsely();
    let (next, _) = plain(&house.ask(Some(&card), &Ask::est("ldev/serverkeygen", &csr)).await);
    assert_ne!(next.certificate().spki_der(), card.certificate().spki_der());
    let trace = house.authority.trace(&house.operator(), &next.serial(), None).unwrap();
    assert_eq!(trace.replaces.map(|link| link.serial), Some(card.serial()));
    assert_eq!(house.certificates_of(&id).len(), 2);
}

/// A workshop that trusts the house.
fn workshop(house: &House) -> Workshop {
    let shop = Workshop::new();
    shop.write("signer.pem", &fs::read(house.dir().join("ca/chain.pem")).unwrap());
    shop
}

fn hold(shop: &Workshop, card: &Card) {
    shop.write("holder.pem", pem::encode("CERTIFICATE", &card.chain[0]).as_bytes());
    shop.write("holder.key", card.key.serialize_pem().as_bytes());
}

fn assert_opened(shop: &Workshop, sealed: &[u8], certificate: &Certificate, arguments: &str) {
    let pkcs8 = opened(shop, sealed, arguments);
    let pair = KeyPair::try_from(pkcs8.as_slice()).unwrap();
    assert_eq!(pair.subject_public_key_info(), certificate.spki_der());
}

/// E53, kari and ktri: opened by `openssl cms` with the birth key, and the signature leads to the root.
#[tokio::test]
async fn a_key_is_encrypted_for_the_birth_key() {
    let house = house_making("p256").await;
    let id = house.register("BR000001", "manufacturing").await;
    let sha256 = seq(&[&oid("2.16.840.1.101.3.4.2.1"), NULL]);
    let mask = seq(&[&oid("1.2.840.113549.1.1.8"), &sha256]);
    let oaep = seq(&[&oid("1.2.840.113549.1.1.7"), &seq(&[&tlv(0xa0, &sha256), &tlv(0xa1, &mask)])]);
    let rsa: Key = Arc::new(KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072).unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&*rsa).unwrap();
    let token = house.token(&id, "idev").await;
    let ask = Ask::est("idev/simpleenroll", request.der()).basic(id.as_str(), &token);
    let rsa = Card::new(&rsa, &house.ask(None, &ask).await.certificate());
    let ec = house.enrolled(&id, "idev").await;
    for _ in 0..2 {
        house.go(&id, "deployment").await;
    }
    let shop = workshop(&house);
    for (birth, able) in [(&ec, [able(AES256_WRAP), able(AES256_CBC)]), (&rsa, [oaep, able(AES128_CBC)])] {
        hold(&shop, birth);
        let certificate = birth.certificate();
        let names = [
            certificate.subject_key_id().unwrap(),
            certificate.public_key().unwrap().sha1_key_hash().to_vec(),
        ];
        for (name, arguments) in
            names.iter().zip(["-recip holder.pem -inkey holder.key", "-inkey holder.key"])
        {
            let ask = Ask::est("ldev/serverkeygen", &wanting(PUBLIC_ID, name, &able));
            let (sealed, certificate) = enveloped(&house.ask(Some(birth), &ask).await);
            assert_opened(&shop, &sealed, &certificate, arguments);
        }
        // Proven once is enough: the other birth key is in the record, too.
        let ask = Ask::est("ldev/serverkeygen", &wanting(PUBLIC_ID, &names[0], &able));
        let (sealed, certificate) = enveloped(&house.ask(Some(&ec), &ask).await);
        assert_opened(&shop, &sealed, &certificate, "-inkey holder.key");
    }
}

/// E53: for a maker's birth certificate, which is in no record, while it is shown.
#[tokio::test]
async fn a_key_is_encrypted_for_a_makers_birth_key() {
    let maker = Maker::root("Brannoc Device CA");
    let anchor = maker.pem();
    let house = House::with(|policy| {
        policy.replace("profiles/ldev.toml", "channel-binding", "server-key = \"p256\"\nchannel-binding");
        policy.write("manufacturers/brannoc.pem", &anchor);
    })
    .await;
    house.register("BR000001", "deployment").await;
    let birth = maker.birth("BR000001");
    let shop = workshop(&house);
    hold(&shop, &birth);
    let name = birth.certificate().public_key().unwrap().key_id();
    let csr = wanting(PUBLIC_ID, &name, &[able(AES128_WRAP)]);
    let (sealed, certificate) =
        enveloped(&house.ask(Some(&birth), &Ask::est("ldev/serverkeygen", &csr)).await);
    assert_opened(&shop, &sealed, &certificate, "-inkey holder.key");
}

/// E53, kekri: with a secret that `vitae transport-key add` made while the server ran.
#[tokio::test]
async fn a_key_is_encrypted_with_a_shared_secret() {
    let house = house_making("p384").await;
    let id = house.register("BR000001", "deployment").await;
    let run = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vitae"));
        command.arg("--dir").arg(house.dir()).args(["transport-key", "add", name]).output().unwrap()
    };
    let made = run("fleet-7");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let secret = STANDARD.decode(String::from_utf8(made.stdout).unwrap().trim()).unwrap();
    assert_eq!(secret.len(), 32);
    for refused in ["fleet-7", "../fleet-8", "", "a/b"] {
        assert!(!run(refused).status.success(), "{refused}");
    }
    let shop = workshop(&house);
    let csr = wanting(SECRET_ID, b"fleet-7", &[able(AES256_WRAP), able(AES256_CBC)]);
    let (sealed, certificate) = enveloped(&with_token(&house, &id, &csr).await);
    let arguments = format!("-secretkey {} -secretkeyid {}", hex(&secret), hex(b"fleet-7"));
    assert_opened(&shop, &sealed, &certificate, &arguments);
    let wrong = format!("cms -decrypt -inform DER -in sealed.der -secretkey {}", hex(&[1; 32]));
    assert!(shop.run(&wrong).is_err());
}

/// E52: an identifier that leads to no fitting key of this holder ends the request, with nothing issued and no token
/// spent.
#[tokio::test]
async fn unknown_identifiers_are_refused() {
    let house = house_making("p256").await;
    let (id, old) = house.working("BR000001").await;
    let (_, stranger) = house.born("BR000002").await;
    authority::add_transport_key(&house.dir(), "fleet-7", &SystemRandom).unwrap();
    // A file that a name must not lead to.
    fs::write(house.dir().join("keys/other.key"), STANDARD.encode([1; 32])).unwrap();
    let ski = |card: &Card| card.certificate().subject_key_id().unwrap();
    let all = [able(AES256_WRAP), able(AES128_WRAP), able(AES256_CBC)];
    let mut two = Csr::of(&key());
    for (kind, id) in [(SECRET_ID, &b"fleet-7"[..]), (PUBLIC_ID, b"x")] {
        two.attributes.push(attribute(kind, &[octets(id)]));
    }
    let mut silent = Csr::of(&key());
    silent.attributes.push(attribute(SECRET_ID, &[octets(b"fleet-7")]));
    let token = house.token(&id, "ldev").await;
    let before = house.certificates_of(&id).len();
    for (csr, text) in [
        (wanting(SECRET_ID, b"fleet-8", &all), "shared secret"),
        (wanting(SECRET_ID, b"../other", &all), "shared secret"),
        (wanting(SECRET_ID, b"..", &all), "shared secret"),
        (wanting(SECRET_ID, &[0xff; 8], &all), "shared secret"),
        (wanting(SECRET_ID, b"fleet-7", &[able("1.2.3.4")]), "SMIMECapabilities"),
        (wanting(PUBLIC_ID, b"nobody's", &all), "not known to have"),
        (wanting(PUBLIC_ID, &ski(&stranger), &all), "not known to have"),
        (wanting(PUBLIC_ID, &ski(&old), &all), "key usage"),
        (two.signed_falsely(), "one of them"),
        (silent.signed_falsely(), "SMIMECapabilities"),
    ] {
        let ask = Ask::est("ldev/serverkeygen", &csr).basic(id.as_str(), &token);
        let reply = house.ask(None, &ask).await;
        assert_eq!(reply.status, 400, "{text}: {}", reply.text());
        assert!(reply.text().contains(text), "{text}: {}", reply.text());
    }
    assert_eq!(house.certificates_of(&id).len(), before);
    assert_eq!(house.told(&id).iter().filter(|line| line.contains("key-protection")).count(), 1);
    let ask = Ask::est("ldev/serverkeygen", &wanting(SECRET_ID, b"fleet-7", &all));
    enveloped(&house.ask(None, &ask.basic(id.as_str(), &token)).await);

    // A secret that others can read is trouble of the server's own.
    let path = house.dir().join("keys/transport/fleet-7.key");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let reply = with_token(&house, &id, &wanting(SECRET_ID, b"fleet-7", &all)).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
}

/// E52: a birth certificate that was revoked opens nothing any more.
#[tokio::test]
async fn a_revoked_birth_key_receives_nothing() {
    let house = house_making("p256").await;
    let (id, birth) = house.born("BR000001").await;
    house.revoke(birth.serial(), Reason::KeyCompromise).await;
    let name = birth.certificate().subject_key_id().unwrap();
    let reply = with_token(&house, &id, &wanting(PUBLIC_ID, &name, &[able(AES256_WRAP)])).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(house.certificates_of(&id).len(), 1);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(fs::read(entry.path()).unwrap());
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The private key is in the answer and nowhere else: not in a file, not in the record, not in a log of everything.
#[tokio::test]
async fn nothing_keeps_the_key() {
    let log = Log::default();
    let sink = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || sink.clone())
        .finish();
    // This runtime has one thread, so the server's tasks log here too.
    let _logging = tracing::subscriber::set_default(subscriber);
    let house = house_making("p256").await;
    // What other tests' threads have met first is known as unwanted, until it is asked again in this one.
    let first = house.register("BR000002", "deployment").await;
    plain(&with_token(&house, &first, &Csr::of(&key()).signed_falsely()).await);
    tracing::callsite::rebuild_interest_cache();
    let id = house.register("BR000001", "deployment").await;
    let (card, pkcs8) = plain(&with_token(&house, &id, &Csr::of(&key()).signed_falsely()).await);
    let dir = house.dir();
    let house = house.reopened(|_| {}).await;
    assert_eq!(house.certificates_of(&id).len(), 1);
    let mut found = Vec::new();
    files(&dir, &mut found);
    found.push(log.0.lock().unwrap().clone());
    assert!(contains(found.last().unwrap(), card.serial().to_string().as_bytes()), "the log has seen it");
    // ECPrivateKey ::= SEQUENCE { INTEGER 1, OCTET STRING of 32 (RFC 5915).
    let at = pkcs8.windows(5).position(|window| window == [2, 1, 1, 4, 32]).unwrap() + 5;
    let scalar = &pkcs8[at..at + 32];
    let decimal = format!("{scalar:?}");
    let spellings = [
        scalar.to_vec(),
        hex(scalar).into_bytes(),
        hex(scalar).to_uppercase().into_bytes(),
        STANDARD.encode(scalar).trim_end_matches('=').as_bytes()[..40].to_vec(),
        // Inside longer base64 the octets may begin at any of three places.
        STANDARD.encode(&pkcs8).as_bytes()[40..80].to_vec(),
        STANDARD.encode(&scalar[1..31]).into_bytes(),
        STANDARD.encode(&scalar[2..32]).into_bytes(),
        decimal.into_bytes(),
    ];
    for spelling in &spellings {
        assert!(!found.iter().any(|file| contains(file, spelling)));
    }
    // What must be there is found by the same search.
    assert!(found.iter().any(|file| contains(file, &STANDARD.encode(&card.chain[0]).into_bytes())));
}
