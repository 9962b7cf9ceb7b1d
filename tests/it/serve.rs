//! How the program starts, refuses to start, and stops.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vitae::agent::{AgentError, DeviceKey};
use vitae::ids::Digest;
use vitae::pki::body;
use vitae::pki::ocsp::ParsedStatus;

use crate::process::{Admin, House, PATIENCE, enrolled, poll};

/// Well below shutdown-grace: what takes longer has waited for the grace to end.
const PROMPT: Duration = Duration::from_secs(5);

/// Every file below a folder, with its mode and the digest of what is in it.
fn everything_in(folder: &Path) -> BTreeMap<PathBuf, (u32, Digest)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_in(&path));
        } else {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            let digest = Digest::of(&fs::read(&path).unwrap());
            found.insert(path, (mode, digest));
        }
    }
    found
}

/// The EST door by hand, as far as the handshake.
async fn tls(house: &House) -> TlsStream<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", house.est)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(house.trust().tls(None).unwrap()).connect(name, stream).await.unwrap()
}

async fn read_until(stream: &mut TlsStream<tokio::net::TcpStream>, end: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(end) {
        let mut some = [0; 4096];
        let count = tokio::time::timeout(PATIENCE, stream.read(&mut some)).await.unwrap().unwrap();
        assert!(count > 0, "the connection ended after {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&some[..count]);
    }
    String::from_utf8(text).unwrap()
}

const CACERTS: &[u8] = b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn init_keeps_secrets_to_itself_and_never_runs_twice() {
    let house = House::ready();
    let before = everything_in(house.data());
    let keys = before.iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "key"));
    let keys: Vec<_> = keys.collect();
    assert!(keys.len() >= 8, "{keys:?}");
    for (path, (mode, _)) in keys {
        assert_eq!(*mode, 0o600, "{}", path.display());
    }
    assert_eq!(before[&house.data().join("vitae.redb")].0, 0o600);
    for folder in ["", "keys", "admin"] {
        let mode = fs::metadata(house.data().join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
    let neighbours = fs::read_dir(house.root()).unwrap().count();
    let why = house.refused(&["init"]);
    assert!(why.contains("in use already") && why.contains(house.data().to_str().unwrap()), "{why}");
    assert_eq!(everything_in(house.data()), before, "nothing is changed");
    // The two outputs of that run are all that is new.
    assert_eq!(fs::read_dir(house.root()).unwrap().count(), neighbours + 2);
}

#[test]
fn serve_refuses_what_it_cannot_use() {
    let house = House::new();
    let why = house.refused(&["serve"]);
    assert!(why.contains("holds no authority") && why.contains("vitae init"), "{why}");
    assert!(!house.data().exists(), "a refusal leaves nothing behind");
    assert!(house.refused(&["check"]).contains("vitae init"));

    house.ok(&["init"]);
    for name in ["ca-operational.key", "ca-root.key"] {
        let key = house.data().join("keys").join(name);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let why = house.refused(&["serve"]);
        assert!(why.contains(key.to_str().unwrap()) && why.contains("chmod 600"), "{why}");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }

    let key = house.data().join("keys/ca-operational.key");
    let own = fs::read(&key).unwrap();
    fs::copy(house.data().join("keys/ca-service.key"), &key).unwrap();
    let why = house.refused(&["serve"]);
    assert!(why.contains("ca-operational.key is not the key of its certificate"), "{why}");
    fs::write(&key, own).unwrap();

    house.edit("lifecycle.toml", "first-stage = \"manufacturing\"", "first-stage = \"nowhere\"");
    let why = house.refused(&["serve"]);
    assert!(why.contains("lifecycle.toml:"), "{why}");
}

#[test]
fn a_folder_or_a_port_that_is_taken_is_said_so() {
    let house = House::ready();
    let server = house.serve();
    let why = house.refused(&["serve"]);
    assert!(why.contains(&format!("127.0.0.1:{}", house.est)) && why.contains("vitae.toml"), "{why}");

    let other = House::new().with_data(house.data().to_owned());
    let why = other.refused(&["serve"]);
    assert!(why.contains("vitae.redb"), "{why}");
    let said = ["in use", "already open", "locked", "another"].iter().any(|words| why.contains(words));
    assert!(said, "it says that another process has it: {why}");
    let why = other.refused(&["check"]);
    assert!(why.contains("vitae.redb"), "{why}");

    // Neither has harmed the one that runs.
    assert!(house.data().join("admin.sock").exists());
    house.ok(&["ca", "list"]);
    server.stop();
    house.check_is_sound();
}

#[test]
fn a_start_after_a_crash_replaces_the_socket_that_was_left() {
    let house = House::ready();
    house.serve().kill();
    assert!(house.data().join("admin.sock").exists(), "nobody was there to remove it");
    let why = house.refused(&["cert", "list"]);
    assert!(why.contains("vitae serve --dir"), "{why}");
    let server = house.serve();
    let mode = fs::metadata(house.data().join("admin.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    house.ok(&["cert", "list"]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_request_in_flight_end() {
    let house = House::ready();
    let mut server = house.serve();
    let (device, _) = enrolled(&house, "ME000001").await;
    let mut admin = Admin::connect(house.data()).await.unwrap();
    let token = admin.token(&device, "tls").await.unwrap();
    let basic = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(format!("{device}:{token}"))
    };

    // An idle client must not hold it up.
    let mut idle = tls(&house).await;
    idle.write_all(CACERTS).await.unwrap();
    read_until(&mut idle, "\r\n\r\n").await;

    let mut slow = tls(&house).await;
    let request = DeviceKey::generate().unwrap().request(Some("ME000001")).unwrap();
    let request = body::encode_base64(&request);
    let head = format!(
        "POST /.well-known/est/tls/simpleenroll HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
         Authorization: Basic {basic}\r\nContent-Type: application/pkcs10\r\nContent-Length: {}\r\n\r\n",
        request.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut slow, "100 Continue").await;
    let (half, rest) = request.as_bytes().split_at(request.len() / 2);
    slow.write_all(half).await.unwrap();
    slow.flush().await.unwrap();

    server.terminate();
    let closed = poll(PATIENCE, || TcpStream::connect(("127.0.0.1", house.est)).is_err().then_some(()));
    assert!(closed.is_some(), "a server that stops takes no new connections");
    slow.write_all(rest).await.unwrap();
    let answer = read_until(&mut slow, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let status = server.wait(PROMPT).unwrap_or_else(|| panic!("it does not end: {}", server.log()));
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(!house.data().join("admin.sock").exists(), "the socket goes with the server");
    house.check_is_sound();
    let again = house.serve();
    let list = house.json(&["cert", "list", "--device", &device, "--profile", "tls"]);
    assert_eq!(list.as_array().unwrap().len(), 1, "what was answered is in the record");
    again.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_is_heard_when_every_place_is_taken() {
    let house = House::ready();
    house.edit("vitae.toml", "max-connections = 4096", "max-connections = 2");
    let mut server = house.serve();
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = tls(&house).await;
        stream.write_all(CACERTS).await.unwrap();
        read_until(&mut stream, "\r\n\r\n").await;
        idle.push(stream);
    }
    server.terminate();
    let status = server.wait(PROMPT).unwrap_or_else(|| panic!("it waits for idle clients: {}", server.log()));
    assert_eq!(status.code(), Some(0));
}

/// A small file system that goes with the test.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf, kib: u32) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let size = format!("size={kib}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at);
        let done = mount.output().is_ok_and(|done| done.status.success());
        done.then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // What stays mounted is only seen in the list of mounts; the test has said what there is to say.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_issuance_and_loses_nothing() {
    let house = House::new();
    let at = house.root().join("small");
    // Before the mount, so that it goes after it.
    let house = house.with_data(at.join("data"));
    let Some(small) = Small::mount(at.clone(), 128) else {
        return println!(
            "SKIPPED a_full_disk_stops_issuance_and_loses_nothing: this user cannot mount a tmpfs"
        );
    };
    house.refused(&["init"]);
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0, "an init that failed leaves nothing behind");
    assert!(
        Command::new("mount").args(["-o", "remount,size=4096k"]).arg(&small.0).status().unwrap().success()
    );

    house.ok(&["init"]);
    let mut server = house.serve();
    let (_, mut current) = enrolled(&house, "ME000001").await;
    // Whatever room is left is taken.
    let ballast = at.join("ballast");
    let filled = fs::write(&ballast, vec![0; 4 << 20]);
    assert!(filled.is_err(), "the disk is full");
    let mut received = vec![current.serial()];
    let refused = loop {
        let key = DeviceKey::generate().unwrap();
        let request = key.renewal(&current.certificate).unwrap();
        let mut connection = house.est(Some(&current.identity())).connect().await.unwrap();
        match connection.reenroll(None, &request).await {
            Ok(der) => current = crate::process::Credential::new(key, &der),
            Err(why) => break why,
        }
        received.push(current.serial());
        assert!(received.len() < 1000, "a full disk is filled for ever");
    };
    assert!(matches!(refused, AgentError::Refused { status: 503, .. }), "{refused}");
    assert!(server.wait(Duration::ZERO).is_none(), "it goes on running");
    assert_eq!(house.ocsp(&house.ca("operational"), received[0]), ParsedStatus::Good, "status goes on");
    assert_eq!(house.get("/crl/operational/0.crl").unwrap().0, 200);
    server.terminate();
    assert!(server.wait(PATIENCE).is_some(), "it can still be stopped");

    fs::remove_file(&ballast).unwrap();
    house.check_is_sound();
    let server = house.serve();
    for serial in received {
        assert_eq!(house.ocsp(&house.ca("operational"), serial), ParsedStatus::Good, "{serial}");
    }
    enrolled(&house, "ME000002").await;
    server.stop();
}

#[test]
fn nobody_answers_where_no_server_is() {
    let house = House::ready();
    let address = SocketAddr::from(([127, 0, 0, 1], house.status));
    assert!(TcpStream::connect(address).is_err(), "init serves nothing");
    let serial = "0".repeat(32);
    for command in [
        &["device", "list"][..],
        &["device", "register", "--model", "M5", "--serial", "ME1"],
        &["token", "issue", "meridel.M5.ME1"],
        &["cert", "trace", &serial],
        &["revoke", &serial, "--reason", "superseded"],
        &["crl", "publish"],
        &["log", "verify"],
    ] {
        let why = house.refused(command);
        assert!(why.contains("vitae serve --dir") && why.contains("admin.sock"), "{command:?}: {why}");
    }
    for command in [
        &[][..],
        &["dance"],
        &["device", "register", "--model", "M5"],
        &["cert", "show", "not-a-serial"],
        &["revoke", &serial],
        &["revoke", &serial, "--reason", "boredom"],
        &["cert", "list", "--status", "fine"],
        &["token", "issue", "meridel.M5.ME1", "--ttl", "soon"],
        &["demo", "--devices", "3"],
        &["cert", "list", "--server", "http://127.0.0.1:1"],
    ] {
        let ended = house.run(command);
        assert_eq!(ended.code, Some(2), "vitae {command:?}: {}{}", ended.out, ended.err);
        assert!(ended.out.is_empty() && !ended.err.is_empty());
    }
}
