//! A gateway without a network: `vitae check-filter`, and the stock tool that verifies the same file.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use vitae::clock::Timestamp;
use vitae::ids::Reason;
use vitae::pki::certificate::Certificate;
use vitae::pki::filter::RevocationFilter;
use vitae::pki::pem;

use crate::support::wire::Card;
use crate::support::{DAY, HOUR, House};

/// A folder that holds what a gateway has.
struct Gateway {
    folder: TempDir,
    at: Timestamp,
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Gateway {
    /// With the filter that is served now.
    async fn of(house: &House) -> Self {
        use vitae::clock::Clock;
        let gateway = Self { folder: tempfile::tempdir().unwrap(), at: house.clock.now() };
        gateway.write("operational.filter", &house.filter_reply("operational").await.body);
        fs::copy(house.dir().join("ca/operational.pem"), gateway.path().join("ca.pem")).unwrap();
        fs::copy(house.dir().join("ca/chain.pem"), gateway.path().join("chain.pem")).unwrap();
        gateway
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    fn write_pem(&self, name: &str, certificates: &[&Certificate]) -> String {
        let text: String = certificates.iter().map(|it| pem::encode("CERTIFICATE", it.der())).collect();
        self.write(name, text.as_bytes());
        text
    }

    fn ask(&self, arguments: &[&str]) -> Said {
        self.ask_at(self.at, arguments, "")
    }

    fn ask_at(&self, at: Timestamp, arguments: &[&str], input: &str) -> Said {
        let at = at.to_string();
        let mut all = vec!["check-filter", "--filter", "operational.filter", "--at", &at];
        if !arguments.contains(&"--ca") {
            all.extend(["--ca", "ca.pem"]);
        }
        all.extend(arguments);
        let mut child = Command::new(env!("CARGO_BIN_EXE_vitae"))
            .args(all)
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A refusal may come before the input is read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Said { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

async fn three(house: &House) -> [Card; 3] {
    let (_, good) = house.working("BR000001").await;
    let (_, revoked) = house.working("BR000002").await;
    house.revoke(revoked.serial(), Reason::KeyCompromise).await;
    house.next_filter("operational").await;
    let (_, later) = house.working("BR000003").await;
    [good, revoked, later]
}

/// Each answer has its exit code; of several, revoked goes before not covered.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_exit_code() {
    let house = House::open().await;
    let [good, revoked, later] = three(&house).await;
    let gateway = Gateway::of(&house).await;
    for (name, card) in [("good", &good), ("revoked", &revoked), ("later", &later)] {
        gateway.write_pem(&format!("{name}.pem"), &[&card.certificate()]);
    }
    let said = gateway.ask(&[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("Vitae Operational CA") && said.out.contains("without error"), "{}", said.out);

    for (file, code, words) in
        [("good.pem", 0, "  good\n"), ("revoked.pem", 3, "  revoked\n"), ("later.pem", 4, "  not-covered  ")]
    {
        let said = gateway.ask(&["--certificate", file]);
        assert_eq!((said.code, said.out.contains(words)), (code, true), "{file}: {}{}", said.out, said.err);
    }
    let said = gateway.ask(&["--certificate", "later.pem"]);
    assert!(said.out.contains("; ask http://") && said.out.contains("/ocsp"), "{}", said.out);
    let all = ["--certificate", "later.pem", "--certificate", "revoked.pem", "--certificate", "good.pem"];
    assert_eq!(gateway.ask(&all).code, 3);

    let serial = revoked.serial().to_string();
    assert_eq!(gateway.ask(&["--serial", &serial]).code, 3);
    assert_eq!(gateway.ask(&["--serial", &serial.to_uppercase()]).code, 3);
    assert_eq!(gateway.ask(&["--serial", &good.serial().to_string()]).code, 0);
    assert_eq!(gateway.ask(&["--serial", "01AB"]).code, 4, "no number of this authority");
    for wrong in ["", "x1", "123"] {
        assert_eq!(gateway.ask(&["--serial", wrong]).code, 2, "'{wrong}'");
    }

    // Many at once, through the standard input.
    let lines = format!("{}\n\n{}\n", good.serial(), later.serial());
    let said = gateway.ask_at(gateway.at, &["--serial", "-", "--json"], &lines);
    assert_eq!(said.code, 4, "{}", said.err);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&json["answers"][0]["status"], &json["answers"][1]["status"]),
        (&"good".into(), &"not-covered".into())
    );
    assert_eq!((&json["filter"]["false_positives"], &json["filter"]["revoked"]), (&0.into(), &1.into()));
    let bundle = gateway.write_pem("all.pem", &[&good.certificate(), &revoked.certificate()]);
    let said = gateway.ask_at(gateway.at, &["--certificate", "-"], &bundle);
    assert_eq!((said.code, said.out.lines().count()), (3, 2));
    let twice = gateway.ask(&["--certificate", "-", "--serial", "-"]);
    assert_eq!(twice.code, 2, "{}", twice.err);
}

/// What is stale, from the future, changed, of another CA or older than one before it answers nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_not_to_be_used_answers_nothing() {
    let house = House::open().await;
    let [good, ..] = three(&house).await;
    let gateway = Gateway::of(&house).await;
    let serial = good.serial().to_string();
    let ask = ["--serial", &serial];
    let refused = |said: Said, words: &str| {
        assert_eq!((said.code, &*said.out), (1, ""), "{}", said.err);
        assert!(said.err.contains(words), "{}", said.err);
    };
    refused(gateway.ask_at(gateway.at + DAY + HOUR, &ask, ""), "out of date");
    refused(gateway.ask_at(gateway.at - HOUR, &ask, ""), "set the clock right");
    assert_eq!(gateway.ask_at(gateway.at - HOUR / 60, &ask, "").code, 0, "a clock may be a minute slow");

    let older = fs::read(gateway.path().join("operational.filter")).unwrap();
    let number = |gateway: &Gateway| -> u64 {
        let said = gateway.ask(&["--json"]);
        serde_json::from_str::<Value>(&said.out).unwrap()["filter"]["number"].as_u64().unwrap()
    };
    let first = number(&gateway);
    let [less, same] = [(first - 1).to_string(), first.to_string()];
    assert_eq!(gateway.ask(&["--newer-than", &less, "--serial", &serial]).code, 0);
    refused(gateway.ask(&["--newer-than", &same, "--serial", &serial]), "older one");

    let remember = ["--remember", "seen.json", "--serial", &serial];
    assert_eq!((gateway.ask(&remember).code, gateway.ask(&remember).code), (0, 0), "the same may come again");
    house.next_filter("operational").await;
    let newer = house.filter_reply("operational").await.body;
    gateway.write("operational.filter", &newer);
    assert_eq!(gateway.ask_at(gateway.at + HOUR, &remember, "").code, 0);
    gateway.write("operational.filter", &older);
    refused(gateway.ask_at(gateway.at + HOUR, &remember, ""), "was seen before (seen.json)");
    assert_eq!(gateway.ask(&ask).code, 0, "without a memory it is good until it ends");
    gateway.write("seen.json", b"{\"no digest\": 1}");
    refused(gateway.ask(&remember), "holds no numbers of filters");

    assert_eq!(
        gateway.ask(&["--ca", "chain.pem", "--serial", &serial]).code,
        0,
        "the one that signed is found"
    );
    fs::copy(house.dir().join("ca/birth.pem"), gateway.path().join("birth.pem")).unwrap();
    refused(gateway.ask(&["--ca", "birth.pem", "--serial", &serial]), "not that of this CA's key");
    for at in [0, older.len() / 3, older.len() / 2, older.len() - 1] {
        let mut changed = older.clone();
        changed[at] ^= 4;
        gateway.write("operational.filter", &changed);
        refused(gateway.ask(&ask), "is not to be used");
    }
    gateway.write("operational.filter", &older[..older.len() - 1]);
    refused(gateway.ask(&ask), "is not to be used");
    fs::remove_file(gateway.path().join("operational.filter")).unwrap();
    refused(gateway.ask(&ask), "cannot read");
}

/// `openssl cms -verify` takes the file with nothing but the CA's certificate, and refuses it when one bit differs.
#[tokio::test(flavor = "multi_thread")]
async fn openssl_verifies_the_signature() {
    let house = House::open().await;
    three(&house).await;
    let gateway = Gateway::of(&house).await;
    let verify = || {
        Command::new("openssl")
            .args(["cms", "-verify", "-binary", "-inform", "DER", "-in", "operational.filter"])
            .args(["-certfile", "ca.pem", "-CAfile", "ca.pem", "-partial_chain", "-purpose", "any"])
            .args(["-out", "filter.bin"])
            .current_dir(gateway.path())
            .output()
            .expect("openssl is installed")
    };
    let good = verify();
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let content = fs::read(gateway.path().join("filter.bin")).unwrap();
    let filter = RevocationFilter::from_bytes(&content).unwrap();
    assert_eq!(filter, house.filter("operational").await);

    let mut changed = fs::read(gateway.path().join("operational.filter")).unwrap();
    let at = changed.windows(8).position(|window| window == b"VITAE-RF").unwrap() + 70;
    changed[at] ^= 1;
    gateway.write("operational.filter", &changed);
    let bad = verify();
    assert!(!bad.status.success());
    assert!(
        String::from_utf8_lossy(&bad.stderr).contains("verification failure"),
        "{}",
        String::from_utf8_lossy(&bad.stderr)
    );
}
