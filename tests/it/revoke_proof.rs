//! The whole of it by the program itself: dry run, confirmation, job, proof, and openssl that believes the proof; and a server
//! that is killed in the midst of a job.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vitae::authority::Fold;
use vitae::clock::{Clock, Random, SystemClock, SystemRandom};
use vitae::ids::Serial;
use vitae::pki::certificate::Certificate;
use vitae::pki::crl;
use vitae::pki::ocsp::ParsedStatus;
use vitae::pki::pem;
use vitae::store::redb::RedbStore;

use crate::process::{House, PATIENCE, enrolled, poll};
use crate::support::pumps;

/// Verifies a proof as a third party does: with the root and nothing else. The document that comes out.
fn verified(house: &House, file: &str, more: &[&str]) -> Result<Value, String> {
    let signer = house.root().join("signer.pem");
    let output = Command::new("openssl")
        .args(["cms", "-verify", "-binary", "-inform", "DER", "-in", file, "-CAfile"])
        .arg(house.data().join("ca/root.pem"))
        .arg("-signer")
        .arg(&signer)
        .args(more)
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    // Not any certificate below the root: one that is for documents (RFC 9336), of the CA that says so.
    let signer = pem::certificates(&std::fs::read_to_string(signer).unwrap()).unwrap().remove(0);
    let signer = Certificate::from_der(&signer).unwrap();
    let usages: Vec<_> = signer.extended_key_usages().iter().map(ToString::to_string).collect();
    assert!(usages.contains(&"1.3.6.1.5.5.7.3.36".to_owned()), "{usages:?}");
    signer.verify_signed_by(&house.ca("service").public_key().unwrap()).unwrap();
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_believed_by_openssl() {
    let house = House::ready();
    let server = house.serve();
    let mut serials = Vec::new();
    for n in 0..3 {
        serials.push(enrolled(&house, &format!("ME00000{n}")).await.1.serial());
    }
    let house = tokio::task::spawn_blocking(move || {
        let radius = house.json(&["revoke", "--where", "model=M5 and stage=deployment", "--dry-run"]);
        assert_eq!((&radius["certificates"], &radius["devices"]), (&json!(3), &json!(3)));
        let text = house.ok(&["revoke", "--where", "model=M5", "--dry-run"]);
        assert!(text.contains("3 certificates of 3 devices, 0 of them life-supporting"), "{text}");
        assert!(
            text.contains("lose their newest certificate of profile ldev") && text.contains("--confirm 3"),
            "{text}"
        );

        let why =
            house.refused(&["revoke", "--where", "model=M5", "--reason", "key-compromise", "--confirm", "2"]);
        assert!(why.contains("3 certificates match and not 2"), "{why}");
        let why = house.refused(&["revoke", "--where", "modell=M5", "--dry-run"]);
        assert!(why.lines().any(|line| line.trim() == "^"), "{why}");
        for wrong in [
            &["revoke", "--where", "model=M5", "--reason", "superseded"][..],
            &["revoke", "--where", "model=M5", "--confirm", "3"],
            &["revoke", "--where", "model=M5", "--reason", "superseded", "--confirm", "3", "--dry-run"],
            &["revoke", "--reason", "superseded"],
            &["revoke", "--dry-run", "--reason", "superseded", "00112233445566778899aabbccddeeff"],
        ] {
            assert_eq!(house.run(wrong).code, Some(2), "{wrong:?}");
        }
        let done =
            house.json(&["revoke", "--where", "model=M5", "--reason", "key-compromise", "--confirm", "3"]);
        assert_eq!((&done["status"], &done["revoked"]), (&json!("done"), &json!(3)));
        let job = done["job"].as_str().unwrap().to_owned();
        assert_eq!(house.json(&["revoke", "jobs"])[0]["job"], done["job"]);
        assert_eq!(house.json(&["revoke", "job", &job]), done);
        assert!(house.ok(&["revoke", "job", &job, "--wait"]).contains("revoked        3"));

        let file = house.root().join("proof.p7m");
        let file = file.to_str().unwrap();
        house.ok(&["revoke", "proof", &job, "--out", file]);
        let document = verified(&house, file, &[]).unwrap();
        assert_eq!(document, verified(&house, file, &["-purpose", "any"]).unwrap());
        assert_eq!(house.json(&["revoke", "proof", &job])["document"], document);
        assert!(house.ok(&["revoke", "proof", &job]).contains("3 revoked, 0 skipped of 3 where model=M5"));
        assert_eq!(document["decision"]["confirmed"], 3);
        assert_eq!(document["door"], format!("http://127.0.0.1:{}", house.status));
        let seen: BTreeSet<Serial> = document["samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sample| {
                assert_eq!(
                    (&sample["ocsp"]["status"], &sample["crl"]["listed"]),
                    (&json!("revoked"), &json!(true))
                );
                assert!(sample["ocsp"]["after_ms"].is_u64() && sample["crl"]["after_ms"].is_u64());
                sample["serial"].as_str().unwrap().parse().unwrap()
            })
            .collect();
        assert_eq!(seen, serials.iter().copied().collect());
        // The list that is named is the list that is served.
        let list = &document["lists"][0];
        let (_, der) =
            house.get(&format!("/crl/{}/{}.crl", list["ca"].as_str().unwrap(), list["shard"])).unwrap();
        assert_eq!(json!(vitae::ids::Digest::of(&der)), list["sha256"]);
        assert_eq!(json!(crl::parse(&der).unwrap().number), list["number"]);

        // One bit of it changed, or another root, and nobody believes it.
        let mut der = std::fs::read(file).unwrap();
        let at = der.windows(8).position(|some| some == b"confirme").unwrap();
        der[at] ^= 1;
        let spoilt = house.root().join("spoilt.p7m");
        std::fs::write(&spoilt, der).unwrap();
        assert!(verified(&house, spoilt.to_str().unwrap(), &[]).is_err());
        let other = Command::new("openssl")
            .args(["cms", "-verify", "-binary", "-inform", "DER", "-in", file, "-CAfile"])
            .arg(house.data().join("ca/update-root.pem"))
            .output()
            .unwrap();
        assert!(!other.status.success());
        assert!(house.refused(&["revoke", "proof", "0011223344556677"]).contains("there is no job"));
        house
    })
    .await
    .unwrap();
    // The key of a proof is gone.
    let keys: Vec<String> = std::fs::read_dir(house.data().join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("evidence"))
        .collect();
    assert_eq!(keys, Vec::<String>::new());
    server.stop();
    house.check_is_sound();
}

/// Makes a record of many certificates while no server is there to hold it.
async fn furnish(house: &House, count: usize) -> Vec<Serial> {
    let store = RedbStore::open(&house.data().join("vitae.redb"), 1 << 26, Arc::new(Fold)).unwrap();
    let serials = pumps::fleet(&store, count, SystemClock.now()).await;
    tokio::task::spawn_blocking(move || store.shutdown()).await.unwrap();
    serials
}

/// SIGKILL at any moment, three times over: the job that was confirmed is done, each certificate once, and proven.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_kill_9() {
    const COUNT: usize = 12_000;
    let house = House::ready();
    let serials = furnish(&house, COUNT).await;
    let work = move || {
        let mut server = house.serve();
        let count = COUNT.to_string();
        let begun = house.json(&[
            "revoke",
            "--where",
            "model=P3",
            "--reason",
            "superseded",
            "--confirm",
            &count,
            "--no-wait",
        ]);
        let job = begun["job"].as_str().unwrap().to_owned();
        // Somebody else is faster with one of them, or comes too late for it.
        let _ = house.run(&["revoke", &serials[COUNT - 1].to_string(), "--reason", "key-compromise"]);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut random = [0; 2];
            SystemRandom.fill(&mut random);
            // Not to wait for anything: the moment of death is what this test varies.
            std::thread::sleep(Duration::from_millis(u64::from(u16::from_be_bytes(random)) % 1200));
            server.kill();
            server = house.serve();
            let view = house.json(&["revoke", "job", &job]);
            seen.push(view["revoked"].as_u64().unwrap());
        }
        let done = poll(PATIENCE * 3, || {
            let view = house.json(&["revoke", "job", &job]);
            (view["status"] == "done").then_some(view)
        });
        let done = done.unwrap_or_else(|| panic!("the job does not end: {}", server.log()));
        println!("revoked when it was looked at after each kill: {seen:?}");
        let all = done["revoked"].as_u64().unwrap() + done["skipped"].as_u64().unwrap();
        assert_eq!((all, &done["count"]), (COUNT as u64, &json!(COUNT)));
        assert!(done["skipped"].as_u64().unwrap() <= 1);

        let (_, der) = house.get("/crl/operational/0.crl").unwrap();
        let mut listed = BTreeSet::new();
        let mut lines = 0;
        crl::parse_each(&der, |entry| {
            listed.extend(entry.own_serial());
            lines += 1;
        })
        .unwrap();
        assert_eq!((lines, &listed), (COUNT, &serials.iter().copied().collect()));
        for serial in [serials[0], serials[COUNT / 2], serials[COUNT - 1]] {
            let said = house.ocsp(&house.ca("operational"), serial);
            assert!(matches!(said, ParsedStatus::Revoked { .. }), "{serial}: {said:?}");
            let trace = house.json(&["cert", "trace", &serial.to_string()]);
            let times = trace["events"].as_array().unwrap().iter();
            let times = times.filter(|event| event["what"].as_str().unwrap().contains("revoked:")).count();
            assert_eq!(times, 1, "{trace}");
        }
        let file = house.root().join("proof.p7m");
        let file = file.to_str().unwrap();
        house.ok(&["revoke", "proof", &job, "--out", file]);
        let document = verified(&house, file, &[]).unwrap();
        assert!(document["sampling"].as_str().unwrap().contains("the last one"), "{document}");
        for sample in document["samples"].as_array().unwrap() {
            assert_eq!(
                (&sample["ocsp"]["status"], &sample["crl"]["listed"]),
                (&json!("revoked"), &json!(true))
            );
        }
        assert_eq!(house.json(&["revoke", "jobs"]).as_array().unwrap().len(), 1);
        server.stop();
        house.check_is_sound();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

/// A command that waits for a job may be ended: the job goes on. And holds by serial number come and go by the program.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_ended_does_not_end_its_job() {
    const COUNT: usize = 6000;
    let house = House::ready();
    let serials = furnish(&house, COUNT).await;
    let work = move || {
        let server = house.serve();
        let count = COUNT.to_string();
        let arguments =
            ["revoke", "--where", "model=P3", "--reason", "certificate-hold", "--confirm", &count];
        let waiting = house.background(&arguments);
        let begun = poll(PATIENCE, || {
            let jobs = house.json(&["revoke", "jobs"]);
            jobs.as_array().unwrap().first().filter(|job| job["status"] != "listing").cloned()
        });
        waiting.kill();
        let job = begun.expect("the job begins")["job"].as_str().unwrap().to_owned();
        let done = house.json(&["revoke", "job", &job, "--wait"]);
        assert_eq!((&done["status"], &done["revoked"]), (&json!("done"), &json!(COUNT)));
        let serial = serials[7].to_string();
        assert!(house.ok(&["release", &serial]).contains(&format!("released {serial}")));
        assert!(house.refused(&["release", &serial]).contains("no hold"));
        house.ok(&["revoke", &serial, "--reason", "key-compromise"]);
        assert!(house.refused(&["release", &serial]).contains("can never be released"));
        server.stop();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}
