//! `vitae serve --only status`: the responder as a process of its own, beside the server and without it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vitae::authority::{Authority, FilterState};
use vitae::clock::{Clock, ManualClock, SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::ids::Digest;
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, HashAlg, ParsedResponse, ParsedStatus};

use crate::process::{House, PATIENCE, Server, copy, enrolled, free_port, poll};

const CA: &str = "operational";
/// RFC 6960 section 4.2.1.
const TRY_LATER: u8 = 3;

/// A responder of a house, with its port.
struct Responder {
    server: Server,
    port: u16,
}

impl Responder {
    /// One that is ready.
    fn of(house: &mut House) -> Self {
        let mut responder = Self::begun(house);
        let ready = poll(PATIENCE, || {
            if let Some(status) = responder.server.wait(Duration::ZERO) {
                panic!("the responder ended with {status}: {}", responder.server.log());
            }
            responder.asked(house, |house| house.get("/ready")).filter(|(status, _)| *status == 200)
        });
        assert!(ready.is_some(), "the responder is not ready: {}", responder.server.log());
        responder
    }

    /// One that listens or will.
    fn begun(house: &House) -> Self {
        let port = free_port();
        let server =
            house.background(&["serve", "--only", "status", "--listen", &format!("127.0.0.1:{port}")]);
        Self { server, port }
    }

    /// Asks this responder what the house would be asked.
    fn asked<T>(&self, house: &mut House, ask: impl FnOnce(&House) -> T) -> T {
        let own = std::mem::replace(&mut house.status, self.port);
        let answer = ask(house);
        house.status = own;
        answer
    }

    fn ready(&self, house: &mut House) -> (u16, String) {
        let (status, body) = self.asked(house, |house| house.get("/ready")).expect("it answers");
        (status, String::from_utf8(body).unwrap())
    }

    /// Waits until it says so of a certificate.
    fn comes_to_say(&self, house: &mut House, certificate: &Certificate, wanted: fn(&ParsedStatus) -> bool) {
        let (ca, serial) = (house.ca(CA), certificate.serial().unwrap());
        let said = poll(PATIENCE, || Some(self.asked(house, |house| house.ocsp(&ca, serial))).filter(wanted));
        assert!(said.is_some(), "it never says so: {}", self.server.log());
    }
}

fn is_good(status: &ParsedStatus) -> bool {
    *status == ParsedStatus::Good
}

fn is_revoked(status: &ParsedStatus) -> bool {
    matches!(status, ParsedStatus::Revoked { reason: Some(1), .. })
}

/// Every list of the CA, and its filter or that it is awaited.
fn published_of_ca() -> impl Iterator<Item = String> {
    (0..8).map(|shard| format!("/crl/{CA}/{shard}.crl")).chain([format!("/crl/{CA}/filter")])
}

fn revoke(house: &House, certificate: &Certificate) {
    house.ok(&["revoke", &certificate.serial().unwrap().to_string(), "--reason", "key-compromise"]);
}

fn everything_in(folder: &Path) -> BTreeMap<PathBuf, Digest> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_in(&path));
        } else {
            let digest = Digest::of(&fs::read(&path).unwrap());
            found.insert(path, digest);
        }
    }
    found
}

fn keys_of(house: &House, prefix: &str) -> Vec<PathBuf> {
    let keys = fs::read_dir(house.data().join("keys")).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> =
        keys.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).collect();
    assert!(!found.is_empty(), "{prefix}");
    found
}

/// Two at once beside the server that writes the same file: each sees what it commits, also after it was stopped and
/// started again. Kept answers do not outlive a revocation (B24), and the lists are the server's, to the byte.
#[tokio::test(flavor = "multi_thread")]
async fn responders_follow_the_server_on_the_same_file() {
    let mut house = House::ready();
    let server = house.serve();
    let (_, one) = enrolled(&house, "BR000001").await;
    let responders = [Responder::of(&mut house), Responder::of(&mut house)];
    let (_, two) = enrolled(&house, "BR000002").await;
    for responder in &responders {
        responder.comes_to_say(&mut house, &one.certificate, is_good);
        // Was enrolled after the responder had begun, and is in the cache now.
        responder.comes_to_say(&mut house, &two.certificate, is_good);
    }
    revoke(&house, &two.certificate);
    for responder in &responders {
        responder.comes_to_say(&mut house, &two.certificate, is_revoked);
        responder.comes_to_say(&mut house, &one.certificate, is_good);
        for path in published_of_ca() {
            let published = house.get(&path).unwrap();
            let told = poll(PATIENCE, || {
                responder.asked(&mut house, |house| house.get(&path)).filter(|told| *told == published)
            });
            assert!(told.is_some(), "{path}: {}", responder.server.log());
        }
        assert_eq!(
            responder.asked(&mut house, |house| house.get(&format!("/ca/{CA}.cer"))).unwrap().1,
            house.ca(CA).der()
        );
    }
    server.stop();
    for responder in &responders {
        responder.comes_to_say(&mut house, &two.certificate, is_revoked);
        assert_eq!(responder.ready(&mut house).0, 200);
    }
    let server = house.serve();
    revoke(&house, &one.certificate);
    for responder in &responders {
        responder.comes_to_say(&mut house, &one.certificate, is_revoked);
    }
    for responder in responders {
        responder.server.stop();
    }
    server.stop();
    house.check_is_sound();
}

/// Without the server, and without the private keys of the CAs. Not a byte of the folder changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_responder_needs_neither_the_server_nor_the_keys_of_the_cas_and_writes_nothing() {
    let house = House::ready();
    let server = house.serve();
    let (_, one) = enrolled(&house, "BR000001").await;
    let (_, two) = enrolled(&house, "BR000002").await;
    revoke(&house, &two.certificate);
    server.stop();
    let elsewhere = house.root().join("elsewhere");
    copy(house.data(), &elsewhere);
    let mut house = house.with_data(elsewhere);
    for name in ["ca-", "server-", "evidence-"] {
        let Ok(entries) = fs::read_dir(house.data().join("keys")) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.file_name().unwrap().to_str().unwrap().starts_with(name) {
                fs::remove_file(path).unwrap();
            }
        }
    }
    fs::remove_dir_all(house.data().join("admin")).unwrap();
    // What a run that was killed left behind is for the server to remove.
    fs::write(house.data().join("crl/operational-0.crl.new"), b"half").unwrap();
    let before = everything_in(house.data());
    let responders = [Responder::of(&mut house), Responder::of(&mut house)];
    for responder in responders {
        responder.comes_to_say(&mut house, &one.certificate, is_good);
        responder.comes_to_say(&mut house, &two.certificate, is_revoked);
        responder.server.stop();
    }
    assert_eq!(everything_in(house.data()), before);
}

/// The server is killed: who has the file open goes on, who comes is told what to do, and all is well when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_leaves_its_responders_answering() {
    let mut house = House::ready();
    let server = house.serve();
    let (_, one) = enrolled(&house, "BR000001").await;
    let (_, two) = enrolled(&house, "BR000002").await;
    revoke(&house, &two.certificate);
    let responder = Responder::of(&mut house);
    responder.comes_to_say(&mut house, &one.certificate, is_good);
    server.kill();
    responder.comes_to_say(&mut house, &one.certificate, is_good);
    responder.comes_to_say(&mut house, &two.certificate, is_revoked);
    let late = house.refused(&["serve", "--only", "status", "--listen", "127.0.0.1:0"]);
    assert!(late.contains("cut short") && late.contains("'vitae check' or start the server"), "{late}");
    let server = house.serve();
    revoke(&house, &one.certificate);
    responder.comes_to_say(&mut house, &one.certificate, is_revoked);
    let late = Responder::of(&mut house);
    late.comes_to_say(&mut house, &one.certificate, is_revoked);
    server.stop();
}

/// A copy that is made beside the running server: nothing but status in it; a responder that serves from it goes over to
/// a newer one without a stop, and then knows of a revocation.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_served_elsewhere_and_replaced_under_its_responder() {
    let house = House::ready();
    let server = house.serve();
    let (device, one) = enrolled(&house, "BR000001").await;
    let (_, two) = enrolled(&house, "BR000002").await;
    revoke(&house, &two.certificate);
    let to = house.root().join("copy");
    let target = to.to_str().unwrap();
    let said = house.json(&["status-copy", target]);
    assert!(said["certificates"].as_u64().unwrap() > 2, "{said}");
    let names: Vec<_> = everything_in(&to).into_keys().map(|path| path.display().to_string()).collect();
    assert!(names.iter().any(|name| name.contains("keys/ocsp-operational-")), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("/ca-") || name.contains("admin")), "{names:?}");
    let store = fs::read(to.join("vitae.redb")).unwrap();
    let holds = |text: &str| store.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("operational") && !holds(&device), "the copy names no device");

    let policy = house.config();
    let port = free_port();
    let elsewhere = |arguments: &[&str]| {
        let config = policy.to_str().unwrap();
        house.background(&[&["--dir", target, "--config", config], arguments].concat())
    };
    let address = format!("127.0.0.1:{port}");
    let responder =
        Responder { server: elsewhere(&["serve", "--only", "status", "--listen", &address]), port };
    let mut house = house;
    let ready = poll(PATIENCE, || {
        responder.asked(&mut house, |house| house.get("/ready")).filter(|(status, _)| *status == 200)
    });
    assert!(ready.is_some(), "{}", responder.server.log());
    responder.comes_to_say(&mut house, &one.certificate, is_good);
    responder.comes_to_say(&mut house, &two.certificate, is_revoked);
    revoke(&house, &one.certificate);
    house.ok(&["status-copy", target]);
    responder.comes_to_say(&mut house, &one.certificate, is_revoked);
    for path in published_of_ca() {
        assert_eq!(responder.asked(&mut house, |house| house.get(&path)), house.get(&path), "{path}");
    }
    responder.server.stop();

    // Nothing but a copy is written over, and nobody goes on writing that.
    let data = house.data().to_str().unwrap().to_owned();
    let before = everything_in(&house.data().join("keys"));
    let refused = house.refused(&["status-copy", &data]);
    assert!(refused.contains("no status copy"), "{refused}");
    assert_eq!(everything_in(&house.data().join("keys")), before);
    server.stop();
    house.check_is_sound();
    for command in [&["serve"][..], &["check"]] {
        let refused = house.refused(&[&["--dir", target], command].concat());
        assert!(refused.contains("the last event says otherwise"), "{refused}");
    }
}

/// A CA whose signer's key is not there gets no answer; /ready names it, and the other CAs are not touched.
#[test]
fn a_ca_without_its_signers_key_is_named() {
    let mut house = House::ready();
    house.serve().stop();
    for key in keys_of(&house, "ocsp-operational-") {
        fs::remove_file(key).unwrap();
    }
    let responder = Responder::begun(&house);
    let answers = poll(PATIENCE, || responder.asked(&mut house, |house| house.get("/health")));
    assert!(answers.is_some(), "{}", responder.server.log());
    let (status, why) = responder.ready(&mut house);
    assert_eq!(status, 503);
    assert!(why.contains("operational has no OCSP signer"), "{why}");
    assert!(responder.server.log().contains("operational"), "{}", responder.server.log());
    let root = house.ca("root");
    let serial = root.serial().unwrap();
    assert_eq!(responder.asked(&mut house, |house| house.ocsp(&root, serial)), ParsedStatus::Good);
    responder.server.stop();
}

#[test]
fn what_cannot_be_served_is_refused() {
    let house = House::new();
    let refused = house.refused(&["serve", "--only", "status"]);
    assert!(refused.contains("vitae init"), "{refused}");
    let usage = house.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(usage.code, Some(2), "{}", usage.err);
    let usage = house.run(&["serve", "--only", "est"]);
    assert_eq!(usage.code, Some(2), "{}", usage.err);
    house.ok(&["init"]);
    house.serve().stop();
    fs::write(house.data().join("vitae.redb"), b"no store").unwrap();
    let refused = house.refused(&["serve", "--only", "status", "--listen", "127.0.0.1:0"]);
    assert!(refused.contains("vitae.redb"), "{refused}");
}

fn said_of(ca: &Certificate, response: &[u8]) -> Result<(Said, ParsedStatus), u8> {
    match ocsp::parse_response(response).unwrap() {
        ParsedResponse::Error(error) => Err(error),
        ParsedResponse::Basic(response) => {
            let [single] = &response.singles[..] else {
                panic!("one was asked about, of {:?}", ca.subject())
            };
            Ok((Said { this_update: single.this_update, next_update: single.next_update }, single.status))
        }
    }
}

struct Said {
    this_update: vitae::clock::Timestamp,
    next_update: Option<vitae::clock::Timestamp>,
}

/// Without a server that writes, the record is known up to its last event: answers are dated by that and end by that, and
/// afterwards there are none (O32). /ready says so.
#[tokio::test]
async fn a_record_that_nobody_writes_grows_old() {
    let house = House::ready();
    let config = Arc::new(Config::load(&house.config()).unwrap());
    let clock = ManualClock::at(SystemClock.now());
    let (time, random) = (Arc::new(clock.clone()), Arc::new(SystemRandom));
    let written = Authority::open(house.data(), config.clone(), time.clone(), random.clone()).await.unwrap();
    let last = clock.now();
    let follower = Authority::open_to_follow(house.data(), config, time, random).unwrap();
    let ca = house.ca(CA);
    let asked =
        ocsp::request(ca.subject_der(), &ca.public_key().unwrap(), &[7; 16], HashAlg::Sha256, None).unwrap();
    let lifetime = Duration::from_secs(12 * 3600);

    // As long as somebody has it open to write, what it says is of now.
    clock.advance(Duration::from_secs(3600));
    follower.catch_up().unwrap();
    let answer = follower.ocsp(&asked).await;
    let (said, status) = said_of(&ca, &answer.der).unwrap();
    assert_eq!(status, ParsedStatus::Unknown);
    assert_eq!(said.this_update, clock.now().whole_second());
    assert_eq!(follower.not_ready(), None);
    written.publish_filters().await.unwrap();
    let FilterState::Published(made) = written.filter(&CA.parse().unwrap()) else { panic!("no filter") };
    follower.catch_up().unwrap();
    let FilterState::Published(told) = follower.filter(&CA.parse().unwrap()) else { panic!("not told") };
    assert_eq!(told.der, made.der, "a filter is taken up as lists are");
    drop(written);
    let known = clock.now().whole_second();
    assert!(known > last);

    clock.advance(Duration::from_secs(3 * 3600));
    follower.catch_up().unwrap();
    let (said, _) = said_of(&ca, &follower.ocsp(&asked).await.der).unwrap();
    assert_eq!(said.this_update, known, "nobody knows of anything later");
    assert_eq!(said.next_update, Some(known + lifetime));

    clock.set(known + lifetime - Duration::from_secs(1));
    follower.catch_up().unwrap();
    assert!(said_of(&ca, &follower.ocsp(&asked).await.der).is_ok());
    clock.set(known + lifetime);
    follower.catch_up().unwrap();
    let answer = follower.ocsp(&asked).await;
    assert_eq!(said_of(&ca, &answer.der).err(), Some(TRY_LATER));
    assert!(
        answer.validity.is_none() && answer.out_of_order,
        "nor is anything repeated that was said before"
    );
    assert!(follower.not_ready().unwrap().contains("too long ago"), "{:?}", follower.not_ready());
}
