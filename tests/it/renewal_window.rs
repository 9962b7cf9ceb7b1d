//! When a certificate is to be renewed: chosen at issuance, recorded, told (draft-ietf-lamps-est-renewal-info-00), obeyed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use vitae::agent::{EstClient, Identity, Trust};
use vitae::authority::CertificateView;
use vitae::clock::{Clock, Timestamp};
use vitae::fleet::Event;
use vitae::ids::{Reason, Serial};
use vitae::pki::certificate::Certificate;
use vitae::pki::pem;
use vitae::pki::renewal_info::{CertificateName, RenewalInfo, SuggestedWindow};

use crate::process::{self, PATIENCE, enrolled, poll};
use crate::support::csr::{Csr, key};
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, HOUR, House};

fn name_of(card: &Card) -> String {
    CertificateName::of(&card.certificate()).unwrap().text()
}

fn path(label: &str, name: &str) -> String {
    format!("/.well-known/est/{label}renewal-info/{name}")
}

async fn told(house: &House, card: &Card) -> SuggestedWindow {
    let reply = house.ask(None, &Ask::get(&path("", &name_of(card)))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    RenewalInfo::from_json(&reply.body).unwrap().suggested_window
}

fn view(house: &House, serial: Serial) -> CertificateView {
    house.authority.certificate(&house.operator(), &serial).unwrap()
}

/// Inside the window of the profile, 60% to 75% of a life of 30 days and 5 minutes.
fn is_inside(view: &CertificateView) -> bool {
    let life = view.not_after.since(view.not_before);
    let window = view.renew.unwrap();
    // Times are cut to whole seconds.
    let (begin, end) = (view.not_before + life / 100 * 60, view.not_before + life / 100 * 75);
    window.from + Duration::from_secs(1) >= begin && window.from < window.until && window.until <= end
}

#[tokio::test]
async fn a_window_is_chosen_recorded_and_told() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    let view = view(&house, card.serial());
    assert!(is_inside(&view), "{view:?}");
    let window = view.renew.unwrap();
    let mut wire = house.est(None).await;
    for label in ["", "ldev/", "tls/"] {
        let reply = wire.ask(&Ask::get(&path(label, &name_of(&card)))).await.unwrap();
        assert_eq!(reply.status, 200, "{label}: {}", reply.text());
        let said: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(said["suggestedWindow"]["start"], window.from.to_string());
        assert_eq!(said["suggestedWindow"]["end"], window.until.to_string());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("retry-after"), Some("21600"));
        assert_eq!(reply.header("content-length").unwrap(), reply.body.len().to_string());
    }
    let head = Ask::new("HEAD", &path("", &name_of(&card)));
    assert_eq!(wire.ask(&head).await.unwrap().status, 200);
    // What is never renewed has no window, and neither have the certificates of the authority itself.
    let birth = house.register("BR000002", "manufacturing").await;
    let birth = house.enrolled(&birth, "idev").await;
    assert_eq!(self::view(&house, birth.serial()).renew, None);
    assert_eq!(house.ask(None, &Ask::get(&path("", &name_of(&birth)))).await.status, 404);
    let own = Card { key: key(), chain: vec![house.ca_certificate("operational").der().to_vec()] };
    assert_eq!(house.ask(None, &Ask::get(&path("", &name_of(&own)))).await.status, 404);
    // The tables follow from the events, windows and all.
    let trace = house.authority.trace(&house.operator(), &card.serial(), None).unwrap();
    assert_eq!(trace.certificate.renew, Some(window));
    let then = house.clock.now();
    house.clock.advance(HOUR);
    let trace = house.authority.trace(&house.operator(), &card.serial(), Some(then)).unwrap();
    assert_eq!(trace.certificate.renew, Some(window));
    assert_eq!(house.certificates_of(&id)[0].renew, Some(window));
}

#[tokio::test]
async fn what_is_no_certificate_is_told_so() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let good = name_of(&card);
    let (key_id, serial) = good.split_once('.').unwrap();
    let mut wire = house.est(None).await;
    for (status, path) in [
        (400, path("", "no-period")),
        (400, path("", &format!("{key_id}="))),
        (400, path("", &format!("{key_id}.{serial}="))),
        (400, path("", &"A".repeat(400))),
        (400, path("", &format!("{}.{serial}", key_id.replace(['-', '_'], "+").replacen('A', "+", 1) + "+"))),
        (404, path("", &format!("{key_id}.AIdlQyE"))),
        (404, path("", &format!("aYhba4dGQEHhs3uEe6CuLN4ByNQ.{serial}"))),
        (404, path("nolabel/", &good)),
        (404, path("server/", &good)),
        (404, path("a/b/", &good)),
        (404, format!("{}/x", path("", &good))),
        (404, path("", "")),
        (404, "/.well-known/est/renewal-info".to_owned()),
    ] {
        let reply = wire.ask(&Ask::get(&path)).await.unwrap();
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(!reply.text().trim().is_empty(), "{path}");
    }
    let reply: Reply = wire.ask(&Ask::new("POST", &path("", &good))).await.unwrap();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
}

/// As in ACME (RFC 9773 section 4.2), a window that is over says: now.
#[tokio::test]
async fn what_was_withdrawn_or_replaced_is_due_now() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let regular = told(&house, &card).await;
    assert!(regular.start > house.clock.now() + DAY);
    house.clock.advance(HOUR);
    house.revoke(card.serial(), Reason::CertificateHold).await;
    let held = told(&house, &card).await;
    assert!(held.start < held.end && held.end <= house.clock.now());

    let (_, revoked) = house.working("BR000002").await;
    house.revoke(revoked.serial(), Reason::Superseded).await;
    assert!(told(&house, &revoked).await.end <= house.clock.now());

    let (_, replaced) = house.working("BR000003").await;
    let next = key();
    let csr = Csr::of(&next).repeating(&replaced.certificate()).sign(&next);
    let renewed = house.ask(Some(&replaced), &Ask::est("simplereenroll", &csr)).await.certificate();
    assert!(told(&house, &replaced).await.end <= house.clock.now());
    assert!(told(&house, &Card::new(&next, &renewed)).await.start > house.clock.now() + DAY);
}

/// A ward that gets its devices on one day does not come back on one day.
#[tokio::test]
async fn devices_that_were_enrolled_together_do_not_come_back_together() {
    let house = House::open().await;
    let mut days = BTreeSet::new();
    for number in 0..32 {
        let (_, card) = house.working(&format!("BR{number:06}")).await;
        let view = view(&house, card.serial());
        assert!(is_inside(&view), "{view:?}");
        days.insert(view.renew.unwrap().from.since(house.clock.now()).as_secs() / 86_400);
    }
    // Four and a half days: that 32 devices miss three of them happens once in a million runs.
    assert!(days.len() >= 3, "{days:?}");
}

/// Events of before windows were recorded are read as they are, and written again byte for byte.
#[test]
fn an_event_without_a_window_stays_one() {
    let text = r#"{"actor":{"kind":"system"},"type":"certificate-issued","serial":"01000000000000000000000000000001","ca":"operational","profile":"ldev","profile-version":"0000000000000000000000000000000000000000000000000000000000000000","holder":"brannoc.P3.BR000001","proof":{"kind":"authority"},"not-before":"2026-01-01T00:00:00Z","not-after":"2026-02-01T00:00:00Z","key":"0000000000000000000000000000000000000000000000000000000000000000","shard":0,"certificate":"AA=="}"#;
    let text = text.replace("profile-version", "profile_version").replace("not-before", "not_before");
    let text = text.replace("not-after", "not_after");
    let event: Event = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), text);
}

/// The client of this program asks, and a server that does not know the question is no trouble.
#[tokio::test]
async fn the_agent_asks_when_to_renew() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let chain = fs::read_to_string(house.dir().join("ca/chain.pem")).unwrap();
    let key = zeroize::Zeroizing::new(card.key.serialize_der());
    let identity = Identity { chain: card.chain.clone(), key };
    let trust = Trust::from_pem(&chain).unwrap();
    let client = EstClient::new(house.addresses.est, "localhost", &trust, Some(&identity)).unwrap();
    let mut connection = client.connect().await.unwrap();
    let advice = connection.renewal_info(None, &card.certificate()).await.unwrap().unwrap();
    let window = view(&house, card.serial()).renew.unwrap();
    assert_eq!((advice.window.start, advice.window.end), (window.from, window.until));
    assert_eq!(advice.ask_again, HOUR * 6);
    let stranger = house.ca_certificate("operational");
    assert_eq!(connection.renewal_info(Some("ldev"), &stranger).await.unwrap(), None);
}

/// A device's folder as `vitae agent enrol` leaves it.
fn furnish(home: &Path, credential: &process::Credential) {
    fs::create_dir(home).unwrap();
    let certificate = pem::encode("CERTIFICATE", credential.certificate.der());
    fs::write(home.join("identity.pem"), format!("{}{certificate}", *credential.key.to_pem())).unwrap();
}

fn installed(home: &Path) -> Option<Serial> {
    let text = fs::read_to_string(home.join("identity.pem")).ok()?;
    Certificate::from_der(pem::certificates(&text).ok()?.first()?).ok()?.serial()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_show_and_obey_the_window() {
    let house = process::House::ready();
    // The CA is too young for a certificate to begin before now: it is due some four to eight seconds later.
    house.edit("profiles/ldev.toml", "lifetime = \"7d\"", "lifetime = \"6m\"");
    house.edit("profiles/ldev.toml", "from = \"60%\", to = \"75%\"", "from = \"1%\", to = \"2%\"");
    house.edit("profiles/ldev.toml", "overlap = \"2d\"", "overlap = \"1m\"");
    let server = house.serve();
    let (device, credential) = enrolled(&house, "ME000001").await;
    let serial = credential.serial().to_string();
    let shown = house.json(&["cert", "show", &serial]);
    let time = |field: &str| shown["renew"][field].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(time("from") < time("until"), "{shown}");
    assert_eq!(house.json(&["cert", "list", "--device", &device])[0]["renew"], shown["renew"]);
    let line = format!("renew           {} to {}\n", time("from"), time("until"));
    for command in ["show", "trace"] {
        let text = house.ok(&["cert", command, &serial]);
        assert!(text.contains(&line), "{command}: {text}");
    }

    let home = house.root().join("device");
    furnish(&home, &credential);
    let url = format!("https://localhost:{}", house.est);
    let chain = house.data().join("ca/chain.pem");
    let of = |verb: &'static str| {
        ["agent", verb, "--url", &url, "--trust", chain.to_str().unwrap(), "--home", home.to_str().unwrap()]
            .map(str::to_owned)
            .to_vec()
    };
    let agent_run = of("run");
    let agent = house.background(&agent_run.iter().map(String::as_str).collect::<Vec<_>>());
    let renewed = poll(PATIENCE, || installed(&home).filter(|found| *found != credential.serial()));
    let renewed = renewed.unwrap_or_else(|| panic!("nothing was renewed: {}", agent.log()));
    agent.stop();
    let issued = house.json(&["cert", "show", &renewed.to_string()]);
    assert_eq!(issued["replaces"], serial);

    // Whose certificate is withdrawn is not told to wait.
    let renewed = installed(&home).unwrap();
    let mut if_due = of("renew");
    if_due.push("--if-due".to_owned());
    let if_due: Vec<&str> = if_due.iter().map(String::as_str).collect();
    house.ok(&["revoke", &renewed.to_string(), "--reason", "superseded"]);
    let why = house.refused(&if_due);
    assert!(why.contains("revoked"), "due at once, and refused for another reason: {why}");
    server.stop();
}

/// With the windows of the shipped policy, nothing is due on the first day.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_renews_only_when_it_is_time() {
    let house = process::House::ready();
    let server = house.serve();
    let (_, credential) = enrolled(&house, "ME000001").await;
    let home = house.root().join("device");
    furnish(&home, &credential);
    let url = format!("https://localhost:{}", house.est);
    let chain = house.data().join("ca/chain.pem");
    let renew = [
        "agent",
        "renew",
        "--url",
        &url,
        "--trust",
        chain.to_str().unwrap(),
        "--home",
        home.to_str().unwrap(),
    ];
    let said = house.ok(&[&renew[..], &["--if-due"]].concat());
    assert!(said.contains("not due yet"), "{said}");
    assert_eq!(installed(&home), Some(credential.serial()));
    house.ok(&renew);
    assert_ne!(installed(&home), Some(credential.serial()));
    server.stop();
}
