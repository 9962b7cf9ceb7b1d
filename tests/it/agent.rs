//! `vitae agent` as devices run it: it uses what it was given, and keeps its key until it is answered (E47).

use std::fs;
use std::path::Path;

use serde_json::Value;
use vitae::agent::{Home, read_identity};
use vitae::pki::certificate::Certificate;

use crate::process::House;

const DEVICE: &str = "brannoc.P3.BR000001";

struct Unit<'a> {
    house: &'a House,
    folder: String,
    server: Vec<String>,
}

impl<'a> Unit<'a> {
    fn enrolled(house: &'a House) -> Self {
        let device = house.json(&[
            "device",
            "register",
            "--model",
            "P3",
            "--serial",
            "BR000001",
            "--stage",
            "deployment",
        ]);
        let device = device["id"].as_str().unwrap();
        let token = house.json(&["token", "issue", device, "--profile", "ldev"]);
        let folder = house.root().join("device").display().to_string();
        let trust = house.data().join("ca/chain.pem").display().to_string();
        let url = format!("https://localhost:{}", house.est);
        let server = ["--url", &url, "--trust", &trust, "--home", &folder].map(str::to_owned).to_vec();
        let unit = Self { house, folder, server };
        unit.agent("enrol", &["--device", device, "--token", token["token"].as_str().unwrap()]);
        unit
    }

    fn arguments<'b>(&'b self, verb: &'b str, more: &[&'b str]) -> Vec<&'b str> {
        let server = self.server.iter().map(String::as_str);
        ["agent", verb].into_iter().chain(server).chain(more.iter().copied()).collect()
    }

    fn agent(&self, verb: &str, more: &[&str]) -> String {
        self.house.ok(&self.arguments(verb, more))
    }

    fn device(&self) -> Value {
        self.house.json(&["device", "show", DEVICE])
    }

    fn move_to(&self, stage: &str) {
        self.house.ok(&["device", "move", DEVICE, stage, "--reason", "a test", "--evidence", "none"]);
    }

    fn identity(&self) -> String {
        fs::read_to_string(format!("{}/identity.pem", self.folder)).unwrap()
    }

    fn certificate(&self) -> Certificate {
        Home::at(Path::new(&self.folder)).unwrap().enrolled().unwrap().unwrap().certificate
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(format!("{}/{file}", self.folder), text).unwrap();
    }

    fn view(&self, certificate: &Certificate) -> Value {
        self.house.json(&["cert", "show", &certificate.serial().unwrap().to_string()])
    }
}

#[test]
fn the_agent_uses_its_certificate_at_once_and_keeps_its_key() {
    let house = House::ready();
    let server = house.serve();
    let unit = Unit::enrolled(&house);
    let (first, first_identity) = (unit.certificate(), unit.identity());
    unit.agent("renew", &[]);
    let (second, second_identity) = (unit.certificate(), unit.identity());
    assert_ne!(first.spki_der(), second.spki_der(), "a new key");
    assert_eq!(unit.view(&first)["status"], "revoked", "the new one has been used");
    assert_eq!(unit.view(&first)["replaced_by"], unit.view(&second)["serial"]);

    // The answer was lost: what is on the disk is the old certificate and the key that was asked for.
    unit.write("identity.pem", &first_identity);
    unit.write("next.key", &second_identity);
    unit.agent("renew", &[]);
    assert_eq!(unit.certificate().der(), second.der());

    // The power went after the certificate was taken into use, and before its key was no longer the next one.
    unit.write("next.key", &unit.identity());
    unit.agent("renew", &[]);
    let third = unit.certificate();
    assert_ne!(third.spki_der(), second.spki_der(), "a key that is in use is not asked for again");
    assert!(!Path::new(&format!("{}/next.key", unit.folder)).exists());
    assert_eq!(unit.view(&third)["status"], "good");
    assert_eq!(
        house
            .json(&["cert", "list"])
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["profile"] == "ldev")
            .count(),
        3
    );

    let kept = read_identity(Path::new(&format!("{}/identity.pem", unit.folder))).unwrap();
    assert_eq!(kept.certificate.der(), third.der());
    server.stop();
    house.check_is_sound();
}

/// Two agents on one folder, such as a service and a timer, would ask with two keys and be taken for a copy.
#[test]
fn one_agent_at_a_time_works_on_a_folder() {
    let house = House::ready();
    let server = house.serve();
    let unit = Unit::enrolled(&house);
    let identity = unit.identity();
    let locked = Home::at(Path::new(&unit.folder)).unwrap().lock().unwrap();
    for verb in ["renew", "enrol"] {
        let token = ["--token", "x"];
        let more = if verb == "enrol" { &token[..] } else { &[] };
        let said = house.refused(&unit.arguments(verb, more));
        assert!(said.contains("another agent is at work"), "{said}");
    }
    assert_eq!(unit.identity(), identity);
    drop(locked);

    // Several at once: some find the folder in use, and nobody is suspected.
    let arguments = unit.arguments("renew", &[]);
    for _ in 0..3 {
        let agents: Vec<_> = (0..4).map(|_| house.begin(&arguments)).collect();
        let ended: Vec<_> = agents.into_iter().map(|agent| agent.end()).collect();
        assert!(ended.iter().any(|ended| ended.code == Some(0)));
        for other in ended.iter().filter(|ended| ended.code != Some(0)) {
            assert!(other.err.contains("another agent is at work"), "{}", other.err);
        }
    }
    assert_eq!(unit.device()["stage"], "deployment");
    server.stop();
    house.check_is_sound();
}

/// The answer was lost, and what it brought was revoked before the device came again: its key leads nowhere any more, and
/// nobody has to remove it by hand.
#[test]
fn a_key_that_is_spent_does_not_keep_a_device_out() {
    let house = House::ready();
    let server = house.serve();
    let unit = Unit::enrolled(&house);
    for (stage, reason) in [("T13", None), ("T15", Some("quarantine"))] {
        let old = unit.identity();
        unit.agent("renew", &[]);
        unit.write("next.key", &unit.identity());
        unit.write("identity.pem", &old);
        unit.move_to("quarantine");
        // T15 says that the key is compromised, T13 merely that there shall be a new one.
        if let Some(again) = reason {
            unit.move_to(again);
        }
        unit.move_to("maintenance");
        let token = house.json(&["token", "issue", DEVICE, "--profile", "ldev"]);
        unit.agent("enrol", &["--device", DEVICE, "--token", token["token"].as_str().unwrap()]);
        assert_eq!(unit.view(&unit.certificate())["status"], "good", "{stage}");
        assert!(Path::new(&format!("{}/refused.key", unit.folder)).exists(), "it is put aside, not lost");
        assert!(!Path::new(&format!("{}/next.key", unit.folder)).exists());
    }
    server.stop();
    house.check_is_sound();
}
