//! What operators do with requests that wait: by commands, over the API, two at once, and the device's own agent.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::sync::Barrier;
use vitae::agent::{AgentError, DeviceKey};
use vitae::ids::{ApprovalId, HolderId};

use crate::process;
use crate::support::House;
use crate::support::approval::{by_hand, enroll, pending};
use crate::support::csr::key;
use crate::support::wire::{Ask, Card, Reply, Wire};

async fn api(house: &House, ask: &Ask) -> Reply {
    let stream = UnixStream::connect(house.dir().join("admin.sock")).await.unwrap();
    Wire::over(stream).ask(ask).await.unwrap()
}

fn post(id: impl std::fmt::Display, verb: &str, body: &Value) -> Ask {
    Ask::new("POST", &format!("/api/v1/approvals/{id}/{verb}"))
        .header("Content-Type", "application/json")
        .body(body.to_string())
}

async fn waiting(house: &House, serial: &str) -> (HolderId, Card, Ask, ApprovalId) {
    let (id, birth) = house.born(serial).await;
    let ask = enroll(&key());
    let entry = pending(&house.ask(Some(&birth), &ask).await);
    (id, birth, ask, entry)
}

/// Each refusal by its status, its stable name and its words; nothing is changed by any.
#[tokio::test]
async fn words_that_change_nothing_are_refused() {
    let house = House::with(by_hand).await;
    let (_, _, _, open) = waiting(&house, "BR000001").await;
    let (_, _, _, granted) = waiting(&house, "BR000002").await;
    house.grant(granted).await;
    let (_, _, _, denied) = waiting(&house, "BR000003").await;
    house.deny(denied, "no").await;
    let (_, birth, ask, issued) = waiting(&house, "BR000004").await;
    house.grant(issued).await;
    assert_eq!(house.ask(Some(&birth), &ask).await.status, 200);
    let (_, _, _, cancelled) = waiting(&house, "BR000005").await;
    house.cancel(cancelled).await;
    let reason = |text: &str| json!({ "reason": text });
    let nothing = json!({});
    let unknown = "0".repeat(16);
    let id = |id: ApprovalId| id.to_string();
    let before = house.events();
    for (id, verb, body, status, code, words) in [
        (unknown.clone(), "grant", nothing.clone(), 404, "unknown-approval", "no request"),
        (unknown.clone(), "cancel", nothing.clone(), 404, "unknown-approval", "no request"),
        ("xyz".to_owned(), "grant", nothing.clone(), 400, "bad-request", "8 bytes in hex"),
        (id(granted), "grant", nothing.clone(), 409, "approval-decided", "granted already"),
        (id(granted), "deny", reason("no"), 409, "approval-decided", "admin (local socket)"),
        (id(denied), "grant", nothing.clone(), 409, "approval-decided", "denied already"),
        (id(issued), "grant", nothing.clone(), 409, "approval-over", "was issued"),
        (id(issued), "deny", reason("no"), 409, "approval-over", "can be revoked"),
        (id(issued), "cancel", nothing.clone(), 409, "approval-over", "was issued"),
        (id(cancelled), "grant", nothing.clone(), 409, "approval-over", "was cancelled"),
        (id(cancelled), "cancel", nothing.clone(), 409, "approval-over", "was cancelled"),
        (id(open), "deny", nothing.clone(), 422, "bad-request", "reason"),
        (id(open), "deny", reason(""), 422, "bad-reason", "printable"),
        (id(open), "deny", reason("  "), 422, "bad-reason", "printable"),
        (id(open), "deny", reason("a\r\nRetry-After: 1"), 422, "bad-reason", "printable"),
        (id(open), "deny", reason("\u{1b}[2J"), 422, "bad-reason", "printable"),
        (id(open), "deny", reason("\u{202e}txt"), 422, "bad-reason", "printable"),
        (id(open), "deny", reason(&"x".repeat(257)), 422, "bad-reason", "256"),
        (id(open), "grant", reason(&"x".repeat(257)), 422, "bad-reason", "256"),
        (id(open), "grant", json!({"reson": "x"}), 422, "bad-request", "unknown field"),
    ] {
        let reply = api(&house, &post(&id, verb, &body)).await;
        assert_eq!(reply.status, status, "{id} {verb} {body}: {}", reply.text());
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(problem["type"], format!("urn:vitae:problem:{code}"), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
    assert_eq!(house.events(), before);
    assert_eq!(house.standing(open), "pending");
    let longest = "x".repeat(256);
    assert_eq!(api(&house, &post(open, "deny", &reason(&longest))).await.status, 200);
    assert_eq!(house.approval(open).reason, Some(longest));
}

/// Two operators at once: one wins, the other is told who.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_operators_one_decides() {
    let house = Arc::new(House::with(by_hand).await);
    for round in 0..8 {
        let (id, birth, ask, entry) = waiting(&house, &format!("BR{round:06}")).await;
        let barrier = Arc::new(Barrier::new(2));
        let say = |grants: bool| {
            let (house, barrier) = (Arc::clone(&house), Arc::clone(&barrier));
            tokio::spawn(async move {
                let operator = house.operator();
                barrier.wait().await;
                match grants {
                    true => house.authority.grant_approval(&operator, &entry, None).await,
                    false => house.authority.deny_approval(&operator, &entry, "no").await,
                }
            })
        };
        let (grant, deny) = (say(true), say(false));
        let (grant, deny) = (grant.await.unwrap(), deny.await.unwrap());
        assert_ne!(grant.is_ok(), deny.is_ok());
        let status = house.ask(Some(&birth), &ask).await.status;
        assert_eq!(status, if grant.is_ok() { 200 } else { 403 });
        let loser = grant.err().or(deny.err()).unwrap().to_string();
        assert!(loser.contains("already") && loser.contains("admin (local socket)"), "{loser}");
        let said = |word: &str| house.told_of(&id, &[&format!("of profile ldev {word}")]);
        assert_eq!(said("granted") + said("denied"), 1);
    }
}

/// Newest first, narrowed by status and device, page by page.
#[tokio::test]
async fn the_list_is_paged_and_narrowed() {
    let house = House::with(by_hand).await;
    let mut entries = Vec::new();
    for n in 0..7 {
        entries.push(waiting(&house, &format!("BR{n:06}")).await.3);
    }
    house.grant(entries[1]).await;
    house.deny(entries[3], "no").await;
    entries.reverse();
    let list = async |query: &str| -> (Vec<String>, Option<String>) {
        let reply = api(&house, &Ask::get(&format!("/api/v1/approvals?{query}"))).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        let page: Value = serde_json::from_slice(&reply.body).unwrap();
        let items = page["items"].as_array().unwrap();
        let ids = items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        (ids, page["next"].as_str().map(str::to_owned))
    };
    let shown = |range: &[ApprovalId]| range.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(list("").await, (shown(&entries), None));
    let (first, next) = list("limit=3").await;
    assert_eq!((first, next.as_deref()), (shown(&entries[..3]), Some(entries[2].to_string().as_str())));
    let rest = format!("after={}", next.unwrap());
    assert_eq!(list(&rest).await, (shown(&entries[3..]), None));
    let (pending, next) = list("status=pending&limit=5").await;
    assert_eq!((pending.len(), next), (5, None));
    assert!(!pending.contains(&entries[5].to_string()) && !pending.contains(&entries[3].to_string()));
    assert_eq!(list("status=granted").await.0, shown(&entries[5..6]));
    assert_eq!(list("status=denied").await.0, shown(&entries[3..4]));
    assert_eq!(list("device=brannoc.P3.BR000002").await.0, shown(&entries[4..5]));
    for bad in ["status=fine", "after=nobody", "after=0000000000000000", "limit=x", "colour=red"] {
        assert_eq!(api(&house, &Ask::get(&format!("/api/v1/approvals?{bad}"))).await.status, 400, "{bad}");
    }
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("{field} of {row}"))
}

/// A house of the real program where service accounts need an approval, and who waits for one is told so every second.
fn ready() -> process::House {
    let house = process::House::new();
    house.edit("profiles/svc.toml", "authenticate-by", "approval = true\nauthenticate-by");
    house.edit("vitae.toml", "approval-retry = \"60s\"", "approval-retry = \"1s\"");
    house.ok(&["init"]);
    house
}

fn service(house: &process::House, name: &str) -> (String, String) {
    let id = house.ok(&[
        "identity",
        "register",
        name,
        "--kind",
        "service",
        "--owner",
        "somebody",
        "--purpose",
        "a test",
    ]);
    let token = house.ok(&["token", "issue", id.trim_end(), "--profile", "svc"]);
    (id.trim_end().to_owned(), token.trim_end().to_owned())
}

/// The commands, as people and scripts use them; a kill in between keeps what waits and what was said.
#[tokio::test(flavor = "multi_thread")]
async fn operators_decide_by_commands() {
    let house = ready();
    let server = house.serve();
    let (id, token) = service(&house, "telemetry");
    assert_eq!(house.json(&["approve", "list"]), json!([]));
    let key = DeviceKey::generate().unwrap();
    let request = key.request(None).unwrap();
    let ask = async || {
        let mut connection = house.est(None).connect().await.unwrap();
        connection.enroll(Some("svc"), &request, Some((&id, &token))).await
    };
    let Err(AgentError::Waits { text: said, retry_after }) = ask().await else { panic!("it has to wait") };
    assert_eq!(retry_after.as_secs(), 1);
    server.kill();
    let server = house.serve();
    let listed = house.json(&["approve", "list"]);
    let [row] = &listed.as_array().unwrap()[..] else { panic!("{listed}") };
    let entry = text(row, "id");
    assert!(said.contains(entry), "{said}");
    assert_eq!((text(row, "device"), text(row, "profile"), text(row, "status")), (&*id, "svc", "pending"));
    let table = house.ok(&["approve", "list"]);
    assert!(
        table.contains("CREDENTIAL") && table.contains("token") && table.contains("127.0.0.1"),
        "{table}"
    );
    assert_eq!(text(&house.json(&["token", "list"])[0], "status"), "waiting");

    assert_eq!(house.run(&["approve", "deny", entry]).code, Some(2), "a denial needs a reason");
    assert_eq!(house.run(&["approve", "grant", "xyz"]).code, Some(2));
    assert_eq!(house.run(&["approve"]).code, Some(2));
    assert!(house.refused(&["approve", "grant", &"0".repeat(16)]).contains("no request"));
    let said = house.ok(&["approve", "grant", entry, "--reason", "contract 4711"]);
    assert!(said.contains(entry) && said.contains("granted") && said.contains(&id), "{said}");
    assert!(house.refused(&["approve", "grant", entry]).contains("granted already"));
    assert!(house.refused(&["approve", "deny", entry, "--reason", "no"]).contains("granted already"));
    assert_eq!(house.json(&["approve", "list"]), json!([]), "nothing waits for a decision");
    assert_eq!(text(&house.json(&["approve", "list", "--all"])[0], "status"), "granted");
    server.kill();
    let server = house.serve();
    let certificate =
        process::Credential::new(DeviceKey::from_pem(&key.to_pem()).unwrap(), &ask().await.unwrap());
    let serial = certificate.serial().to_string();
    let row = &house.json(&["approve", "list", "--all", "--device", &id])[0];
    assert_eq!((text(row, "status"), text(row, "serial")), ("issued", &*serial));
    let trace = house.json(&["cert", "trace", &serial]);
    assert_eq!(text(&trace["approved_by"], "who"), "admin (local socket)");
    assert!(house.ok(&["cert", "trace", &serial]).contains("contract 4711"));
    assert!(house.ok(&["device", "history", &id]).contains("contract 4711"));

    let (id, token) = service(&house, "billing");
    let mut connection = house.est(None).connect().await.unwrap();
    let request = DeviceKey::generate().unwrap().request(None).unwrap();
    let basic = Some((id.as_str(), token.as_str()));
    assert!(matches!(connection.enroll(Some("svc"), &request, basic).await, Err(AgentError::Waits { .. })));
    let row = house.json(&["approve", "list", "--limit", "1"]);
    let entry = text(&row[0], "id");
    let denied = house.json(&["approve", "deny", entry, "--reason", "no contract"]);
    assert_eq!((text(&denied, "status"), text(&denied, "reason")), ("denied", "no contract"));
    let Err(AgentError::Refused { status, text: why }) =
        connection.enroll(Some("svc"), &request, basic).await
    else {
        panic!("it was denied")
    };
    assert!(status == 403 && why.contains("no contract"), "{status} {why}");
    assert!(house.ok(&["approve", "cancel", entry]).contains("cancelled"));
    assert!(matches!(connection.enroll(Some("svc"), &request, basic).await, Err(AgentError::Waits { .. })));
    assert_eq!(house.json(&["approve", "list", "--all"]).as_array().unwrap().len(), 3);
    server.stop();
    house.check_is_sound();
}

/// The agent waits as it is told to, through a server that is killed meanwhile, and keeps its key; denied, it ends with
/// the reason.
#[tokio::test(flavor = "multi_thread")]
async fn the_agent_waits_for_its_approval() {
    let house = ready();
    let server = house.serve();
    let (url, trust) =
        (format!("https://localhost:{}", house.est), house.data().join("ca/chain.pem").display().to_string());
    let begin = |name: &str| {
        let (id, token) = service(&house, name);
        let home = house.root().join(name);
        let shown = home.display().to_string();
        let arguments = [
            "agent", "enrol", "--url", &url, "--trust", &trust, "--home", &shown, "--label", "svc",
            "--device", &id, "--token", &token,
        ];
        (home, house.begin(&arguments))
    };
    let waits = |name: &str| {
        let entry = process::poll(process::PATIENCE, || {
            let listed = house.json(&["approve", "list"]);
            let rows = listed.as_array().unwrap().clone();
            rows.iter().find(|row| text(row, "device").ends_with(name)).map(|row| text(row, "id").to_owned())
        });
        entry.expect("the agent asks")
    };
    let (home, agent) = begin("telemetry");
    let entry = waits("telemetry");
    let kept = std::fs::read_to_string(home.join("next.key")).unwrap();
    server.kill();
    let server = house.serve();
    house.ok(&["approve", "grant", &entry]);
    let ended = agent.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert!(ended.err.contains(&entry) && ended.err.contains("asking again in 1 s"), "{}", ended.err);
    let identity = std::fs::read_to_string(home.join("identity.pem")).unwrap();
    assert!(identity.starts_with(kept.trim_end()), "the key of the first request");
    assert_eq!(text(&house.json(&["approve", "list", "--all"])[0], "status"), "issued");

    let (home, agent) = begin("billing");
    house.ok(&["approve", "deny", &waits("billing"), "--reason", "no contract"]);
    let ended = agent.end();
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("no contract"), "{}", ended.err);
    assert!(!home.join("identity.pem").exists() && home.join("next.key").exists());
    server.stop();
}
