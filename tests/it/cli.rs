//! The commands, as people and scripts use them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use vitae::clock::Timestamp;
use vitae::ids::{HolderId, Serial};
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::ParsedStatus;
use vitae::pki::pem;

use crate::process::{Admin, House, enrolled};

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("{field} of {row}"))
}

fn serials(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|row| text(row, "serial")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_can_rely_on_these_forms() {
    let house = House::ready();
    let server = house.serve();

    let printed =
        house.ok(&["device", "register", "--model", "P3", "--serial", "BR000001", "--maker", "brannoc"]);
    let device = printed.trim_end();
    assert_eq!(printed, format!("{device}\n"), "the id alone");
    let id: HolderId = device.parse().unwrap();
    assert!(device.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{id}");
    let why = house.refused(&["device", "register", "--model", "P3", "--serial", "BR000001"]);
    assert!(why.contains("registered already"), "brannoc is the default maker: {why}");
    let row =
        house.json(&["device", "register", "--model", "P3", "--serial", "BR000002", "--stage", "deployment"]);
    let claimed = text(&row, "id");
    assert_eq!((text(&row, "stage"), &row["marks"][0]), ("deployment", &Value::from("claimed")));

    let printed = house.ok(&["token", "issue", claimed, "--ttl", "15m"]);
    let token = printed.trim_end();
    assert_eq!(printed, format!("{token}\n"), "the token alone");
    assert!(token.starts_with("vt_") && !token.contains(char::is_whitespace));
    let tokens = house.json(&["token", "list", "--device", claimed]);
    assert_eq!((text(&tokens[0], "status"), text(&tokens[0], "profile")), ("open", "ldev"));
    assert!(!tokens.to_string().contains(token), "a token is seen once");
    house.ok(&["token", "cancel", text(&tokens[0], "token")]);
    assert_eq!(text(&house.json(&["token", "list"])[0], "status"), "cancelled");

    let (device, credential) = enrolled(&house, "ME000001").await;
    let serial = credential.serial().to_string();
    let list = house.json(&["cert", "list", "--device", &device]);
    let [row] = &list.as_array().unwrap()[..] else { panic!("{list}") };
    for (field, value) in [
        ("serial", &*serial),
        ("issuer", "operational"),
        ("profile", "ldev"),
        ("device", &device),
        ("status", "good"),
    ] {
        assert_eq!(text(row, field), value);
    }
    let not_after: Timestamp = text(row, "not_after").parse().unwrap();
    assert_eq!(not_after, credential.certificate.not_after());
    assert!(text(row, "not_after").ends_with('Z'));

    let shown = house.ok(&["cert", "show", &serial, "--pem"]);
    assert_eq!(pem::certificates(&shown).unwrap(), [credential.certificate.der().to_vec()]);
    assert!(house.ok(&["cert", "show", &serial]).contains("operational"));
    assert_eq!(text(&house.json(&["cert", "show", &serial]), "serial"), serial);

    let trace = house.json(&["cert", "trace", &serial]);
    assert_eq!(text(&trace["device"], "id"), device);
    assert_eq!(text(&trace["device"], "stage_at_issue"), "deployment");
    assert_eq!(text(&trace["approved_by"], "how"), "one-time token");
    assert!(house.ok(&["cert", "trace", &serial]).contains("one-time token"));

    let ca = house.ca("operational");
    assert_eq!(house.ocsp(&ca, credential.serial()), ParsedStatus::Good);
    let said = house.ok(&["revoke", &serial, "--reason", "key-compromise"]);
    assert!(said.contains(&serial) && said.contains("operational"), "{said}");
    assert!(matches!(house.ocsp(&ca, credential.serial()), ParsedStatus::Revoked { reason: Some(1), .. }));
    assert!(house.refused(&["revoke", &serial, "--reason", "superseded"]).contains("revoked already"));
    assert!(house.refused(&["revoke", &"0".repeat(32), "--reason", "superseded"]).contains("no certificate"));
    assert_eq!(serials(&house.json(&["cert", "list", "--status", "revoked"])), [&*serial]);
    assert!(!serials(&house.json(&["cert", "list", "--status", "good"])).contains(&&*serial));

    assert!(house.ok(&["log", "verify"]).contains("recomputed:"));
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_shown_as_it_was() {
    let house = House::ready();
    let server = house.serve();
    let (device, credential) = enrolled(&house, "ME000001").await;
    let serial = credential.serial().to_string();

    let said = house.ok(&["device", "move", &device, "clinical-use"]);
    assert!(said.contains("T8") && said.contains("clinical-use"), "{said}");
    let before = text(&house.json(&["device", "show", &device])["stage_since"], "time").to_owned();
    let moved = house.json(&["device", "move", &device, "quarantine", "--reason", "malware found"]);
    assert_eq!(moved["held"], Value::from(vec![&*serial]));
    let why = house.refused(&["device", "move", &device, "design"]);
    assert!(why.contains("it can go to") && why.contains("maintenance"), "{why}");
    let why = house.refused(&["device", "move", &device, "refurbish"]);
    assert!(why.contains("--evidence"), "{why}");
    assert_eq!(text(&house.json(&["cert", "show", &serial]), "status"), "held");

    let history = house.json(&["device", "history", &device]);
    let lines: Vec<&str> = history.as_array().unwrap().iter().map(|line| text(line, "what")).collect();
    assert!(lines[0].starts_with("registered at stage deployment"), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("malware found")), "{lines:?}");
    assert!(house.ok(&["device", "history", &device]).contains("malware found"));

    let then = house.json(&["device", "history", &device, "--as-of", &before]);
    let earlier: Vec<&str> = then.as_array().unwrap().iter().map(|line| text(line, "what")).collect();
    assert_eq!(earlier, lines[..earlier.len()]);
    assert!(
        earlier.len() < lines.len() && !earlier.iter().any(|line| line.contains("malware")),
        "{earlier:?}"
    );
    let then = house.json(&["cert", "trace", &serial, "--as-of", &before]);
    assert_eq!(text(&then["certificate"], "status"), "good");
    assert_eq!(text(&then["device"], "stage_now"), "clinical-use");
    let why = house.refused(&["cert", "trace", &serial, "--as-of", "2020-01-01"]);
    assert!(why.contains("did not exist yet"), "{why}");
    assert_eq!(house.run(&["device", "history", &device, "--as-of", "yesterday"]).code, Some(2));

    let why = house.refused(&["device", "show", "meridel.M5.NOBODY"]);
    assert!(why.contains("not registered"), "{why}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_newest_first_and_page_by_page() {
    let house = House::ready();
    let server = house.serve();
    let mut admin = Admin::connect(house.data()).await.unwrap();
    let mut devices = Vec::new();
    for n in 0..7 {
        let stage = if n % 2 == 0 { "deployment" } else { "manufacturing" };
        devices.push(admin.register(&format!("ME{n:06}"), stage).await.unwrap());
    }
    devices.reverse();
    let ids = |arguments: &[&str]| -> Vec<String> {
        let list = house.json(arguments);
        list.as_array().unwrap().iter().map(|row| text(row, "id").to_owned()).collect()
    };
    let list = |arguments: &[&str]| ids(&[&["device", "list"], arguments].concat());
    assert_eq!(list(&[]), devices);
    assert_eq!(list(&["--limit", "3"]), devices[..3]);
    assert_eq!(list(&["--limit", "3", "--after", &devices[2]]), devices[3..6]);
    assert_eq!(list(&["--after", &devices[5]]), devices[6..]);
    assert_eq!(list(&["--after", &devices[6]]), [""; 0]);
    let deployed: Vec<String> = devices.iter().step_by(2).cloned().collect();
    assert_eq!(list(&["--stage", "deployment"]), deployed);
    assert_eq!(list(&["--stage", "deployment", "--limit", "2", "--after", &deployed[0]]), deployed[1..3]);
    assert_eq!(list(&["--model", "M5", "--limit", "1"]), devices[..1]);
    assert!(house.refused(&["device", "list", "--after", "meridel.M5.NOBODY"]).contains("cursor"));

    let (_, first) = enrolled(&house, "ME000100").await;
    let (_, second) = enrolled(&house, "ME000101").await;
    let all = house.json(&["cert", "list"]);
    let all = serials(&all);
    assert_eq!(all[..2], [second.serial().to_string(), first.serial().to_string()]);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    for size in [1, 4, 1000] {
        let mut paged: Vec<String> = Vec::new();
        loop {
            let size = size.to_string();
            let mut arguments = vec!["cert", "list", "--limit", &size];
            let last = paged.last().cloned();
            arguments.extend(last.iter().flat_map(|last| ["--after", last]));
            let page = house.json(&arguments);
            if serials(&page).is_empty() {
                break;
            }
            paged.extend(serials(&page).into_iter().map(str::to_owned));
            assert!(paged.len() <= all.len(), "a page comes again: {paged:?}");
        }
        assert_eq!(paged, all, "pages of {size}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machine_needs_an_admin_certificate() {
    let house = House::ready();
    let server = house.serve();
    let (_, credential) = enrolled(&house, "ME000001").await;
    let url = format!("https://localhost:{}", house.admin);
    assert_eq!(house.json(&["ca", "list", "--server", &url]), house.json(&["ca", "list"]));

    let cert = house.root().join("device.pem");
    let key = house.root().join("device.key");
    fs::write(&cert, pem::encode("CERTIFICATE", credential.certificate.der())).unwrap();
    fs::write(&key, credential.key.to_pem().as_bytes()).unwrap();
    let as_device = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
    for command in [&["cert", "list"][..], &["crl", "publish"], &["token", "issue", "meridel.M5.ME000001"]] {
        let ended = house.run(&[command, &["--server", &url], &as_device].concat());
        assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
        assert!(ended.out.is_empty(), "{}", ended.out);
    }

    // The credential of init is a certificate like any other: revoked, it opens nothing.
    let text = fs::read_to_string(house.data().join("admin/admin.pem")).unwrap();
    let admin = Certificate::from_der(&pem::certificates(&text).unwrap()[0]).unwrap();
    let serial: Serial = admin.serial().unwrap();
    house.ok(&["revoke", &serial.to_string(), "--reason", "superseded"]);
    let why = house.refused(&["ca", "list", "--server", &url]);
    assert!(why.contains("revoked"), "{why}");
    house.ok(&["ca", "list"]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hierarchy_and_its_lists_are_shown() {
    let house = House::ready();
    let server = house.serve();
    let cas = house.json(&["ca", "list"]);
    let names: Vec<&str> = cas.as_array().unwrap().iter().map(|ca| text(ca, "ca")).collect();
    assert_eq!(names, ["birth", "operational", "root", "service", "update", "update-root"]);
    assert!(house.ok(&["ca", "show", "operational"]).contains("Vitae Operational CA"));
    assert!(house.refused(&["ca", "show", "nobody"]).contains("nobody"));

    let number = |lists: &Value, ca: &str| {
        let mut lists = lists.as_array().unwrap().iter();
        lists.find(|list| list["ca"] == ca).unwrap()["number"].as_u64().unwrap()
    };
    let before = house.json(&["crl", "list"]);
    let after = house.json(&["crl", "publish", "update"]);
    assert!(number(&after, "update") > number(&before, "update"));
    let all = house.json(&["crl", "publish"]);
    assert!(number(&all, "update") > number(&after, "update"));
    assert!(number(&all, "root") > number(&before, "root"));
    let shown = house.ok(&["crl", "list"]);
    let line = shown.lines().find(|line| line.starts_with("operational") && line.contains(" 7 ")).unwrap();
    assert!(line.split_whitespace().count() >= 7 && shown.contains("DELTA ON"), "{shown}");
    assert!(house.refused(&["crl", "publish", "nobody"]).contains("nobody"));

    let printed = house.ok(&[
        "identity",
        "register",
        "P3-upd-1",
        "--kind",
        "signer",
        "--maker",
        "brannoc",
        "--owner",
        "somebody",
        "--purpose",
        "signs firmware",
    ]);
    let identities = house.json(&["identity", "list"]);
    assert_eq!(printed, format!("{}\n", text(&identities[0], "id")));
    server.stop();
}

#[test]
fn a_policy_is_checked_with_file_line_and_reason() {
    let house = House::new();
    assert!(house.ok(&["config", "check"]).contains("is sound"));
    assert!(house.run(&["config", "check", "--config", "ca-config"]).code == Some(0), "the shipped tree");

    let line = |file: &str, of: &str| {
        let text = fs::read_to_string(house.config().join(file)).unwrap();
        1 + text.lines().position(|line| line.contains(of)).unwrap()
    };
    let (ldev, admin) = (line("profiles/ldev.toml", "lifetime = "), line("roles.toml", "name = \"admin\""));
    house.edit("profiles/ldev.toml", "lifetime = \"7d\"", "lifetime = \"seven days\"");
    house.edit("roles.toml", "name = \"admin\"", "nome = \"admin\"");
    let why = house.refused(&["config", "check"]);
    for place in [format!("profiles/ldev.toml:{ldev}: "), format!("roles.toml:{admin}: ")] {
        assert!(why.contains(&place), "no {place} in {why}");
    }
    assert!(house.refused(&["init"]).contains("ldev.toml"), "nothing begins on such a policy");
    assert!(!house.data().exists());
    let missing = house.root().join("nothing");
    assert!(house.refused(&["config", "check", "--config", missing.to_str().unwrap()]).contains("nothing"));
}

#[test]
fn the_demo_tells_its_story_and_ends() {
    let house = House::new();
    let told = house.ok(&["demo", "--once", "--devices", "20"]);
    let chapters: Vec<usize> = told
        .lines()
        .filter_map(|line| line.split_once(". ").and_then(|(number, _)| number.trim_start().parse().ok()))
        .collect();
    assert_eq!(chapters, (1..=10).collect::<Vec<_>>(), "{told}");
    assert!(told.contains("20 devices of the demo fleet registered"), "{told}");
    let folder = told.lines().next().unwrap().split_once("data in ").unwrap().1;
    assert!(Path::new(folder).is_absolute() || folder == house.data().to_str().unwrap(), "{folder}");
    house.check_is_sound();
}
