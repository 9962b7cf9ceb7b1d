//! The admin door: who may come in, and in which words it refuses.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rcgen::{DnType, KeyPair};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use vitae::admin::ROUTES;
use vitae::authority::{Failed, OperatorRefused, PresentedChain};
use vitae::ids::Reason;

use crate::support::maker::Maker;
use crate::support::wire::{self, Ask, Card, Reply, Wire};
use crate::support::{DAY, House};

/// The credential that `init` hands out.
fn admin(house: &House) -> Card {
    let read = |name: &str| std::fs::read_to_string(house.dir().join("admin").join(name)).unwrap();
    let chain = vitae::pki::pem::certificates(&read("admin.pem")).unwrap();
    Card { key: Arc::new(KeyPair::from_pem(&read("admin.key")).unwrap()), chain }
}

async fn try_https(house: &House, card: Option<&Card>, ask: &Ask) -> std::io::Result<Reply> {
    wire::connect_tls(house.addresses.admin, house.tls(card)).await?.ask(ask).await
}

async fn https(house: &House, card: Option<&Card>, ask: &Ask) -> Reply {
    try_https(house, card, ask).await.unwrap()
}

async fn socket(house: &House, ask: &Ask) -> Reply {
    let stream = UnixStream::connect(house.dir().join("admin.sock")).await.unwrap();
    Wire::over(stream).ask(ask).await.unwrap()
}

fn post(path: &str, body: &Value) -> Ask {
    Ask::new("POST", path).header("Content-Type", "application/json").body(body.to_string())
}

/// RFC 9457, with the stable name of the refusal.
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let problem: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(problem["type"], format!("urn:vitae:problem:{code}"));
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].as_str().is_some_and(|text| text.len() > 5), "{problem}");
    assert!(problem["title"].is_string());
}

/// A request to each route, with a body that would do something if it were let in.
fn every_route(device: &str, serial: &str) -> Vec<(&'static str, &'static str, Ask)> {
    let body = |path: &str| match path {
        "/api/v1/devices" => json!({"model": "P3", "serial": "BR999999"}),
        "/api/v1/devices/{id}/move" => json!({"stage": "retired"}),
        "/api/v1/identities" => {
            json!({"kind": "signer", "name": "x", "owner": "x", "purpose": "x"})
        }
        "/api/v1/tokens" => json!({"device": device, "profile": "ldev"}),
        "/api/v1/approvals/{approval}/deny" => json!({"reason": "a test"}),
        "/api/v1/releases" => json!({"serials": [serial]}),
        "/api/v1/revocation-jobs" => {
            json!({"where": format!("device={device}"), "reason": "superseded", "confirm": 1})
        }
        "/api/v1/revocation-jobs/dry-run" => json!({"where": format!("device={device}")}),
        "/api/v1/revocations" => json!({"serials": [serial], "reason": "key-compromise"}),
        _ => json!({}),
    };
    let filled = |path: &str| {
        let path = path.replace("{id}", device).replace("{serial}", serial).replace("{ca}", "root");
        let path = path.replace("{token}", &"0".repeat(64)).replace("{approval}", &"0".repeat(16));
        path.replace("{job}", &"0".repeat(16))
    };
    ROUTES
        .iter()
        .map(|(method, path, _, _)| {
            let ask = match *method {
                // Without it, the answer has no end.
                "get" if *path == "/api/v1/events" => Ask::get("/api/v1/events?follow=false"),
                "get" => Ask::get(&filled(path)),
                "post" => post(&filled(path), &body(path)),
                other => panic!("{other}"),
            };
            (*method, *path, ask)
        })
        .collect()
}

/// Every route there is, by the table that the API's own description is made from: closed to whoever is no operator.
#[tokio::test]
async fn every_route_is_closed_to_strangers_and_devices() {
    let house = House::open().await;
    let (id, device) = house.working("BR000001").await;
    let service = house.register_identity("service", "telemetry").await;
    let service = house.enrolled(&service, "svc").await;
    let serial = device.serial().to_string();
    let before = house.events();
    for (method, path, ask) in every_route(id.as_str(), &serial) {
        assert_problem(&https(&house, None, &ask).await, 401, "no-certificate");
        // NHI10: a certificate of the same CA that is nobody's admin certificate.
        assert_problem(&https(&house, Some(&service), &ask).await, 403, "not-an-admin");
        // A device's certificate is of another CA: TLS itself may turn it away.
        if let Ok(reply) = try_https(&house, Some(&device), &ask).await {
            assert_problem(&reply, 403, "not-an-admin");
        }
        let forged = Maker::root("Vitae Service CA").birth("x");
        assert!(try_https(&house, Some(&forged), &ask).await.is_err(), "{method} {path}");
    }
    assert_eq!(house.events(), before);
    assert_eq!(house.status_of(device.serial()), "good");
}

/// The admin certificate opens every route, over https as the socket does for the server's own user.
#[tokio::test]
async fn every_route_answers_an_admin() {
    let house = House::open().await;
    let (id, device) = house.working("BR000001").await;
    let admin = admin(&house);
    for (method, path, ask) in every_route(id.as_str(), &device.serial().to_string()) {
        for reply in [https(&house, Some(&admin), &ask).await, socket(&house, &ask).await] {
            let again = [404, 409].contains(&reply.status);
            // The second to register, move or revoke finds it done; the token to be cancelled and the request to be
            // decided do not exist.
            let changes = [
                "/move",
                "/cancel",
                "/grant",
                "/deny",
                "revocations",
                "devices",
                "identities",
                "releases",
                "revocation-jobs",
            ];
            let may_be_done = method == "post" && changes.iter().any(|end| path.ends_with(end));
            let unknown = path.contains("{job}");
            assert!(
                reply.status < 300 || again && (may_be_done || unknown),
                "{method} {path}: {}",
                reply.text()
            );
        }
    }
    assert_eq!(house.status_of(device.serial()), "revoked");
}

/// Every permission by itself: a role that lacks it is refused at the routes that need it, and at no other.
#[tokio::test]
async fn a_role_without_the_permission_is_refused() {
    let house = House::open().await;
    let (id, device) = house.working("BR000001").await;
    let shipped = std::fs::read_to_string(crate::support::shipped().join("roles.toml")).unwrap();
    let mut house = house;
    let mut permissions: Vec<&str> = ROUTES.iter().filter_map(|(_, _, permission, _)| *permission).collect();
    permissions.sort_unstable();
    permissions.dedup();
    assert!(permissions.len() >= 12);
    for lacking in permissions {
        house = house
            .reopened(|policy| {
                // The first role is the admin's.
                let (role, others) = shipped.split_once("\nacts-as = [").unwrap();
                let role =
                    role.replace(&format!("\"{lacking}\","), "").replace(&format!("\"{lacking}\""), "");
                policy.write("roles.toml", &format!("{role}\nacts-as = [{others}"));
            })
            .await;
        let admin = admin(&house);
        for ((method, path, ask), (_, _, needs, _)) in
            every_route(id.as_str(), &device.serial().to_string()).into_iter().zip(ROUTES)
        {
            if needs != Some(lacking) {
                continue;
            }
            let before = (lacking != "log.read").then(|| house.events());
            for reply in [https(&house, Some(&admin), &ask).await, socket(&house, &ask).await] {
                assert_problem(&reply, 403, "no-permission");
                assert!(reply.text().contains(lacking), "{method} {path}: {}", reply.text());
            }
            if let Some(before) = before {
                assert_eq!(house.events(), before);
            }
        }
    }
}

/// An admin certificate that was revoked, held or has expired opens nothing, on an open connection either.
#[tokio::test]
async fn an_admin_certificate_has_to_be_good() {
    let house = House::open().await;
    let admin = admin(&house);
    let ask = Ask::get("/api/v1/cas");
    let mut open = wire::connect_tls(house.addresses.admin, house.tls(Some(&admin))).await.unwrap();
    assert_eq!(open.ask(&ask).await.unwrap().status, 200);
    house.revoke(admin.serial(), Reason::CertificateHold).await;
    assert_problem(&open.ask(&ask).await.unwrap(), 403, "certificate-not-good");
    assert_problem(&https(&house, Some(&admin), &ask).await, 403, "certificate-not-good");
    house.revoke(admin.serial(), Reason::KeyCompromise).await;
    assert_problem(&open.ask(&ask).await.unwrap(), 403, "certificate-not-good");

    let house = House::open().await;
    let admin = self::admin(&house);
    let mut open = wire::connect_tls(house.addresses.admin, house.tls(Some(&admin))).await.unwrap();
    house.clock.advance(91 * DAY);
    let reply = open.ask(&ask).await.unwrap();
    assert_problem(&reply, 403, "certificate-not-good");
    assert!(reply.text().contains("expired"), "{}", reply.text());
}

/// B19 behind TLS: a copy of the admin certificate under another key is nobody's.
#[tokio::test]
async fn a_forged_admin_certificate_opens_nothing() {
    let house = House::open().await;
    let genuine = admin(&house);
    let chain = |card: &Card| PresentedChain::proven_by_handshake(card.chain.clone());
    assert_eq!(house.authority.operator(Some(&chain(&genuine))).unwrap().role().name().as_str(), "admin");
    let own = [(DnType::OrganizationName, "Vitae"), (DnType::CommonName, "Vitae Service CA")];
    let forged = Maker::impostor(&own).forge(&genuine.certificate());
    assert_eq!(forged.serial(), genuine.serial());
    let refused = house.authority.operator(Some(&chain(&forged))).unwrap_err();
    assert_eq!(refused, Failed::Refused(OperatorRefused::NotAnAdmin));
    assert!(try_https(&house, Some(&forged), &Ask::get("/api/v1/log")).await.is_err());
}

/// The local socket is the server's own user's.
#[tokio::test]
async fn the_socket_and_the_keys_are_for_one_user() {
    let house = House::open().await;
    let path = house.dir().join("admin.sock");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(socket(&house, &Ask::get("/api/v1/log")).await.status, 200);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&house.dir()), 0o700);
    assert_eq!(mode(&house.dir().join("admin/admin.key")), 0o600);
    for entry in std::fs::read_dir(house.dir().join("keys")).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

/// What cannot be read is the caller's fault, and said in the same form.
#[tokio::test]
async fn bad_requests_are_told_so() {
    let house = House::open().await;
    house.register("BR000001", "deployment").await;
    let before = house.events();
    let devices = "/api/v1/devices";
    let raw = |text: &str| Ask { body: text.into(), ..post(devices, &json!({})) };
    let move_to = "/api/v1/devices/brannoc.P3.BR000001/move";
    for (ask, status) in [
        (raw("{"), 400),
        (raw(""), 400),
        (raw("[]"), 422),
        (raw("{\"model\": 3, \"serial\": \"x\"}"), 422),
        (raw("{\"model\": \"P3\"}"), 422),
        (raw("{\"model\": \"P3\", \"serial\": \"x\", \"evil\": 1}"), 422),
        (post(devices, &json!({"model": "P3", "serial": "x"})).without("Content-Type"), 415),
        (post(devices, &json!({"model": "P3", "serial": "x"})).header("Content-Type", "text/plain"), 415),
        (post(devices, &json!({"model": "P3", "serial": ""})), 422),
        (post(devices, &json!({"model": "P3", "serial": "x".repeat(65)})), 422),
        (post(devices, &json!({"model": "P3", "serial": "a\u{1}b"})), 422),
        (post(devices, &json!({"model": "P3", "serial": "x", "maker": "nobody"})), 422),
        (post(devices, &json!({"model": "P3", "serial": "x", "stage": "nowhere"})), 422),
        (post(devices, &json!({"model": "P3", "serial": "BR000001"})), 409),
        (post(devices, &json!({"model": "P3", "serial": "x".repeat(70_000)})), 413),
        (Ask::get("/api/v1/devices?limit=many"), 400),
        (Ask::get("/api/v1/devices?colour=red"), 400),
        (Ask::get("/api/v1/devices?after=nobody"), 400),
        (Ask::get("/api/v1/certificates?status=fine"), 400),
        (Ask::get("/api/v1/certificates/xyz"), 400),
        (Ask::get(&format!("/api/v1/certificates/{}", "0".repeat(32))), 404),
        (Ask::get("/api/v1/devices/brannoc.P3.NOBODY"), 404),
        (Ask::get("/api/v1/devices/..%2F..%2Fetc"), 400),
        (Ask::get("/api/v1/nothing"), 404),
        (Ask::new("DELETE", devices), 405),
        (post("/api/v1/tokens", &json!({"device": "brannoc.P3.BR000001", "profile": "svc"})), 422),
        (post("/api/v1/tokens", &json!({"device": "brannoc.P3.BR000001", "ttl_seconds": 0})), 422),
        (post("/api/v1/tokens", &json!({"device": "brannoc.P3.NOBODY"})), 404),
        (post("/api/v1/revocations", &json!({"serials": [], "reason": "superseded"})), 422),
        (post("/api/v1/revocations", &json!({"serials": ["0".repeat(32)], "reason": "superseded"})), 404),
        (post("/api/v1/revocations", &json!({"serials": ["0".repeat(32)], "reason": "boredom"})), 422),
        (post("/api/v1/crls/nobody", &json!({})), 404),
        (post(move_to, &json!({"stage": "nowhere"})), 422),
        (post(move_to, &json!({"stage": "transfer"})), 422),
        (post(move_to, &json!({"stage": "quarantine", "owner": "x".repeat(65)})), 422),
        (post(move_to, &json!({"stage": "quarantine", "owner": "a\u{1b}[2Jb"})), 422),
        (post(move_to, &json!({"stage": "quarantine", "reason": "x".repeat(1025)})), 422),
        (post(move_to, &json!({"stage": "quarantine", "evidence": "a\nb"})), 422),
    ] {
        let reply = socket(&house, &ask).await;
        assert_eq!(
            reply.status,
            status,
            "{} {}: {}",
            ask.line,
            String::from_utf8_lossy(&ask.body),
            reply.text()
        );
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", ask.line);
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(problem["status"], status);
    }
    assert_eq!(house.events(), before);
}

/// Punctuation is written with three characters in an id. A device whose id could not be read back would be a hole in the
/// log for ever, and in every list.
#[tokio::test]
async fn an_id_that_would_not_be_read_back_is_refused() {
    let house = House::open().await;
    let id = |signs: usize, letters: usize| json!({"model": "!".repeat(64), "serial": format!("{}{}", "#".repeat(signs), "x".repeat(letters))});
    // brannoc, two dots and 64 x 3 characters leave room for 55.
    let longest = socket(&house, &post("/api/v1/devices", &id(18, 1))).await;
    assert_eq!(longest.status, 201, "{}", longest.text());
    for device in [id(18, 2), id(64, 0)] {
        let reply = socket(&house, &post("/api/v1/devices", &device)).await;
        assert_problem(&reply, 422, "bad-record");
        assert!(reply.text().contains("shorten"), "{}", reply.text());
    }
    let listed: Value =
        serde_json::from_slice(&socket(&house, &Ask::get("/api/v1/devices")).await.body).unwrap();
    assert_eq!(listed["items"][0]["id"].as_str().unwrap().len(), 256);
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// 409 with the ways there are; never a silent success for what is over.
#[tokio::test]
async fn an_illegal_move_is_a_conflict_that_names_the_ways_there_are() {
    let house = House::open().await;
    let id = house.register("BR000001", "clinical-use").await;
    let path = format!("/api/v1/devices/{id}/move");
    let reply = socket(&house, &post(&path, &json!({"stage": "deployment"}))).await;
    assert_problem(&reply, 409, "illegal_transition");
    for target in ["maintenance", "quarantine", "recall", "lost", "transfer", "refurbish", "retired"] {
        assert!(reply.text().contains(target), "{}", reply.text());
    }
    house.go(&id, "retired").await;
    for stage in ["retired", "clinical-use", "lost"] {
        let reply = socket(&house, &post(&path, &json!({"stage": stage}))).await;
        assert_problem(&reply, 409, "illegal_transition");
        assert!(reply.text().contains("end of its life"), "{}", reply.text());
    }
}

/// Revocation is all or none: one serial that cannot be revoked, and nobody is.
#[tokio::test]
async fn a_revocation_is_all_or_none() {
    let house = House::open().await;
    let (_, one) = house.working("BR000001").await;
    let (_, two) = house.working("BR000002").await;
    house.revoke(two.serial(), Reason::Superseded).await;
    let root = house.ca_certificate("root").serial().unwrap();
    let never = "0".repeat(32);
    for (other, status) in [(two.serial().to_string(), 409), (root.to_string(), 409), (never, 404)] {
        let body = json!({"serials": [one.serial().to_string(), other], "reason": "key-compromise"});
        let reply = socket(&house, &post("/api/v1/revocations", &body)).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(house.status_of(one.serial()), "good");
    }
}

/// The description of the API is the API: every path in it answers, and nothing else does.
#[tokio::test]
async fn the_api_describes_itself() {
    let house = House::open().await;
    let document = socket(&house, &Ask::get("/api/v1/openapi.json")).await;
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let described: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(described, ROUTES.len());
    for (method, path, permission, _) in ROUTES {
        assert_eq!(paths[path][method]["x-permission"], json!(permission), "{method} {path}");
    }
}

/// A token's secret is shown once and by no list afterwards.
#[tokio::test]
async fn a_token_is_shown_once() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let reply = socket(&house, &post("/api/v1/tokens", &json!({"device": id}))).await;
    assert_eq!(reply.status, 201);
    let token: Value = serde_json::from_slice(&reply.body).unwrap();
    let secret = token["token"].as_str().unwrap().to_owned();
    assert!(secret.len() > 40);
    for path in ["/api/v1/tokens", &format!("/api/v1/devices/{id}/history"), &format!("/api/v1/devices/{id}")]
    {
        let reply = socket(&house, &Ask::get(path)).await;
        assert!(!reply.text().contains(&secret), "{path}");
    }
    let store = std::fs::read(house.dir().join("vitae.redb")).unwrap();
    assert!(
        !store.windows(secret.len()).any(|at| at == secret.as_bytes()),
        "the store holds the digest alone"
    );
}
