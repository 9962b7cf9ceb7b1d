//! The stream of events at the admin door: who hears what, from where on, and for how long.

use std::collections::BTreeSet;
use std::sync::Arc;

use rcgen::KeyPair;
use serde_json::{Value, json};
use vitae::clock::Timestamp;
use vitae::config::EVENT_KINDS;
use vitae::fleet::movement::Details;
use vitae::ids::{Digest, Reason};
use vitae::pki::pem;

use crate::support::csr::{Csr, key};
use crate::support::stream::{Stream, numbers};
use crate::support::wire::{self, Ask, Card};
use crate::support::{DAY, House, Policy};

/// The credential that `init` hands out.
fn admin(house: &House) -> Card {
    let read = |name: &str| std::fs::read_to_string(house.dir().join("admin").join(name)).unwrap();
    let chain = pem::certificates(&read("admin.pem")).unwrap();
    Card { key: Arc::new(KeyPair::from_pem(&read("admin.key")).unwrap()), chain }
}

async fn over_tls(house: &House, query: &str) -> Stream {
    let admin = admin(house);
    let wire = wire::connect_tls(house.addresses.admin, house.tls(Some(&admin))).await.unwrap();
    Stream::over(wire.stream, query, None).await
}

async fn all(house: &House, query: &str) -> Vec<Value> {
    Stream::open(house, &format!("?follow=false&from=0{query}")).await.events().await
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Every event of the record, each once and in order, as CloudEvents 1.0 wants it (section 3.1).
#[tokio::test]
async fn every_event_is_told_once_and_in_order() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    let stream = Stream::open(&house, "?follow=false&from=0").await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["cache-control"], "no-store");
    let events = stream.events().await;
    assert_eq!(numbers(&events), (0..house.events()).collect::<Vec<_>>());
    let sources: BTreeSet<&str> = events.iter().map(|event| event["source"].as_str().unwrap()).collect();
    assert_eq!(sources.len(), 1);
    assert!(sources.first().unwrap().starts_with("urn:vitae:log:"), "{sources:?}");
    for event in &events {
        assert_eq!(
            (&event["specversion"], &event["datacontenttype"]),
            (&json!("1.0"), &json!("application/json"))
        );
        let kind = event["type"].as_str().unwrap().strip_prefix("vitae.").unwrap();
        assert!(EVENT_KINDS.contains(&kind), "{kind}");
        event["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
        assert!(event["data"].is_object());
        assert!(event["subject"].is_string() || kind == "configuration-loaded", "{event}");
    }
    let other = House::open().await;
    other.register("BR000001", "deployment").await;
    // Both were unpacked from one template, so they tell the same beginning of the same record.
    assert_eq!(all(&other, "").await[0], events[0]);
    // What is told does not change with what happens afterwards.
    house.clock.advance(DAY);
    house.register("BR000002", "deployment").await;
    assert_eq!(all(&house, "").await[..events.len()], events[..]);
}

/// A broker or gateway has in one event what it can know its client by.
#[tokio::test]
async fn a_change_of_status_names_the_certificate_by_all_its_names() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    let certificate = card.certificate();
    let mut stream =
        Stream::open(&house, "?type=certificate-revoked,certificate-held,certificate-released").await;
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    let event = stream.event().await.unwrap();
    assert_eq!(event["type"], "vitae.certificate-revoked");
    assert_eq!(event["subject"], card.serial().to_string());
    let data = &event["data"];
    assert_eq!(data["serial"], card.serial().to_string());
    assert_eq!((&data["issuer"], &data["profile"]), (&json!("operational"), &json!("ldev")));
    assert_eq!(data["holder"], id.as_str());
    assert_eq!(data["fingerprint"], json!(Digest::of(certificate.der())));
    assert_eq!(data["key"], json!(Digest::of(certificate.spki_der())));
    assert_eq!((&data["reason"], &data["cause"]), (&json!("key-compromise"), &json!("command")));
    assert_eq!(data["common_name"], certificate.common_name().unwrap());
    assert_eq!(data["serial_number"], "BR000001");
    assert_eq!(data["subject"], certificate.subject().to_string());
    assert_eq!(data["uris"], json!(["urn:dev:ops:32473-P3-BR000001"]));
    assert_eq!((&data["actor"], &data["role"]), (&json!("operator"), &json!("admin")));
    // Moves hold and release.
    let (id, card) = house.working("BR000002").await;
    house.go(&id, "clinical-use").await;
    house.go(&id, "quarantine").await;
    let held = stream.event().await.unwrap();
    assert_eq!((&held["type"], &held["data"]["cause"]), (&json!("vitae.certificate-held"), &json!("move")));
    assert_eq!(held["subject"], card.serial().to_string());
    house.go(&id, "clinical-use").await;
    assert_eq!(stream.event().await.unwrap()["type"], "vitae.certificate-released");
}

/// A device that renews is not to be cut off: the end of its old certificate says so.
#[tokio::test]
async fn a_superseded_certificate_says_so() {
    let house = House::open().await;
    let (_, first) = house.working("BR000001").await;
    house.clock.advance(25 * DAY);
    let mut current = first.clone();
    for _ in 0..2 {
        let next = key();
        let csr = Csr::of(&next).repeating(&current.certificate()).sign(&next);
        let reply = house.ask(Some(&current), &Ask::est("simplereenroll", &csr)).await;
        current = Card::new(&next, &reply.certificate());
    }
    let events = all(&house, "&type=certificate-revoked").await;
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event["subject"], first.serial().to_string());
    assert_eq!(
        (&event["data"]["cause"], &event["data"]["reason"]),
        (&json!("superseded"), &json!("superseded"))
    );
    assert!(event["data"]["superseded_by"].is_string());
}

/// All that is named has to fit, and what cannot be named is a mistake that is told.
#[tokio::test]
async fn filters_narrow_what_is_told() {
    let house = House::open().await;
    let (one, card) = house.working("BR000001").await;
    let (two, _) = house.working("BR000002").await;
    let (_, birth) = house.born("BR000003").await;
    house.revoke(card.serial(), Reason::Superseded).await;
    let all_of_one = all(&house, &format!("&holder={one}")).await;
    assert_eq!(
        kinds(&all_of_one),
        ["device-registered", "token-issued", "certificate-issued", "certificate-revoked"]
            .map(|kind| format!("vitae.{kind}"))
    );
    let issued = all(&house, &format!("&holder={two}&type=certificate-issued,certificate-revoked")).await;
    assert_eq!(kinds(&issued), ["vitae.certificate-issued"]);
    // With their prefix too, as they stand in the events themselves.
    assert_eq!(all(&house, &format!("&holder={two}&type=vitae.certificate-issued")).await, issued);
    let of_birth = all(&house, "&ca=birth").await;
    assert_eq!(kinds(&of_birth).iter().filter(|kind| **kind == "vitae.certificate-issued").count(), 2);
    assert!(of_birth.iter().any(|event| event["subject"] == birth.serial().to_string()));
    assert!(
        of_birth.iter().all(|event| event["data"]["issuer"] == "birth" || event["data"]["ca"] == "birth")
    );
    assert_eq!(all(&house, "&holder=brannoc.P3.NOBODY").await, Vec::<Value>::new());
    for (query, status, words) in [
        ("?type=certificate-revoke", 400, "there is no event type 'certificate-revoke'"),
        ("?type=", 400, "there is no event type"),
        ("?holder=..%2F", 400, "holder"),
        ("?ca=nobody", 404, "there is no CA nobody"),
        ("?from=-1", 400, "from"),
        ("?form=1", 400, "unknown field `form`"),
        ("?follow=yes", 400, "follow"),
    ] {
        let refused = Stream::open(&house, query).await;
        assert_eq!(refused.status, status, "{query}");
        assert_eq!(refused.headers["content-type"], "application/problem+json");
        let problem = refused.problem().await;
        assert!(problem["detail"].as_str().unwrap().contains(words), "{query}: {problem}");
    }
}

/// A client that comes back goes on where it was, whatever its URL says; one that has seen more than there is, is told so.
#[tokio::test]
async fn a_stream_is_resumed_by_number() {
    let house = House::open().await;
    house.working("BR000001").await;
    let events = all(&house, "").await;
    let last = events.len() - 1;
    for at in [0, 7, last] {
        let from = Stream::open(&house, &format!("?follow=false&from={at}")).await.events().await;
        assert_eq!(from, events[at..]);
        let after = Stream::after(&house, "?follow=false&from=3", Some(&at.to_string())).await.events().await;
        assert_eq!(after, events[at + 1..]);
    }
    for (query, header, status) in [
        (format!("?from={}", last + 2), None, 409),
        (String::new(), Some((last + 1).to_string()), 409),
        (String::new(), Some(u64::MAX.to_string()), 400),
        (String::new(), Some("yesterday".to_owned()), 400),
    ] {
        let refused = Stream::after(&house, &query, header.as_deref()).await;
        assert_eq!(refused.status, status, "{query} {header:?}");
        let problem = refused.problem().await;
        assert!(problem["detail"].as_str().unwrap().len() > 20, "{problem}");
    }
    // Without either it begins with what comes, and says at once where that is.
    let mut stream = Stream::open(&house, "").await;
    let first = stream.block().await.unwrap();
    assert_eq!((first.id, first.data, first.retry.as_deref()), (Some(last as u64), None, Some("1000")));
    house.register("BR000002", "deployment").await;
    let event = stream.event().await.unwrap();
    assert_eq!(event["id"], (last + 1).to_string());
    // A client that went away meanwhile has missed nothing.
    drop(stream);
    house.register("BR000003", "deployment").await;
    let mut again = Stream::after(&house, "", event["id"].as_str()).await;
    assert_eq!(again.event().await.unwrap()["subject"], "brannoc.P3.BR000003");
}

/// What is told helps nobody to get in, and says nothing of the people who work with the devices.
#[tokio::test]
async fn nothing_is_told_that_is_nobodys_business() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    let token = house.token(&id, "ldev").await;
    let words = Details {
        reason: Some("the patient in bed 7".to_owned()),
        evidence: Some("mail of the ward".to_owned()),
        owner: None,
    };
    let stage = "clinical-use".parse().unwrap();
    house.authority.move_device(&house.operator(), &id, &stage, &words).await.unwrap();
    // A copy, which is refused and recorded with its address.
    house.ask(Some(&card), &Ask::est("tls/simplereenroll", &Csr::of(&key()).sign(&key()))).await;
    let told = serde_json::to_string(&all(&house, "").await).unwrap();
    assert!(told.contains("token-issued") && told.contains("device-moved"));
    let digest = Digest::of(token.as_bytes()).to_string();
    for secret in
        [token.as_str(), &digest, "bed 7", "mail of", "local socket", "127.0.0.1\"", "BEGIN", "\"MII"]
    {
        assert!(!told.contains(secret), "{secret}");
    }
}

fn limits(policy: &Policy, old: &str, new: &str) {
    policy.replace("vitae.toml", old, new);
}

/// Over https and the socket together; who closes a stream makes room.
#[tokio::test]
async fn only_so_many_streams_are_open() {
    let house = House::with(|policy| limits(policy, "max-event-streams = 64", "max-event-streams = 2")).await;
    let by_socket = Stream::open(&house, "").await;
    let mut by_tls = over_tls(&house, "").await;
    assert_eq!((by_socket.status.as_u16(), by_tls.status.as_u16()), (200, 200));
    let third = Stream::open(&house, "").await;
    assert_eq!((third.status.as_u16(), &third.headers["retry-after"]), (503, &"5".parse().unwrap()));
    assert!(third.problem().await["detail"].as_str().unwrap().contains("max-event-streams"));
    drop(by_socket);
    while Stream::open(&house, "").await.status != 200 {
        tokio::task::yield_now().await;
    }
    house.register("BR000001", "deployment").await;
    by_tls.block().await.unwrap();
    assert_eq!(by_tls.event().await.unwrap()["subject"], "brannoc.P3.BR000001");
}

/// Far longer than a request may take; and each sign of life says how far the client may trust to have heard all.
#[tokio::test]
async fn a_silent_stream_stays_open() {
    let house = House::with(|policy| {
        limits(policy, "event-keep-alive = \"15s\"", "event-keep-alive = \"1s\"");
        limits(policy, "request-timeout = \"30s\"", "request-timeout = \"1s\"");
        limits(policy, "header-timeout = \"10s\"", "header-timeout = \"1s\"");
    })
    .await;
    let mut stream = over_tls(&house, "?type=certificate-revoked").await;
    let (id, card) = house.working("BR000001").await;
    let at = house.events() - 1;
    let mut seen = stream.block().await.unwrap();
    assert!(seen.comment && seen.id < Some(at));
    let mut silent = 0;
    while silent < 3 {
        seen = stream.block().await.unwrap();
        assert!(seen.comment && seen.data.is_none(), "{seen:?}");
        silent += usize::from(seen.id == Some(at));
    }
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    assert_eq!(stream.event().await.unwrap()["data"]["holder"], id.as_str());
}

/// A stream lives no longer than the certificate that opened it.
#[tokio::test]
async fn a_stream_ends_with_the_certificate_that_opened_it() {
    let house = House::open().await;
    let mut stream = over_tls(&house, "?type=certificate-revoked").await;
    assert!(stream.block().await.is_some());
    house.revoke(admin(&house).serial(), Reason::CertificateHold).await;
    house.register("BR000001", "deployment").await;
    assert_eq!(stream.block().await, None);
    assert_eq!(over_tls(&house, "").await.status, 403);
}

/// Nobody but who may: `events.read` is a permission of its own, and a role can have it alone.
#[tokio::test]
async fn following_takes_its_own_permission() {
    let none = House::with(|policy| {
        let roles = policy.read("roles.toml").replacen("    \"events.read\",\n", "", 1);
        policy.write("roles.toml", &roles);
    })
    .await;
    for path in ["", "/hooks"] {
        let refused = Stream::open(&none, path).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.problem().await["detail"].as_str().unwrap().contains("events.read"));
    }
    let config = none.authority.config();
    let follower = config.roles().role(&"follower".parse().unwrap()).unwrap();
    assert_eq!(follower.permissions().collect::<Vec<_>>(), ["events.read"]);
}

/// The server does not wait for those who would follow for ever, and they hear an end in good order.
#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let house =
        House::with(|policy| limits(policy, "shutdown-grace = \"10s\"", "shutdown-grace = \"1h\"")).await;
    let mut streams = vec![Stream::open(&house, "").await, over_tls(&house, "?type=crl-published").await];
    for stream in &mut streams {
        assert!(stream.block().await.is_some());
    }
    let house = house.reopened(|_| {}).await;
    for stream in streams {
        assert_eq!(stream.events().await, Vec::<Value>::new());
    }
    assert_eq!(numbers(&all(&house, "").await), (0..house.events()).collect::<Vec<_>>());
}

/// A client that does not read keeps nobody waiting, and hears everything when it does.
#[tokio::test]
async fn a_slow_client_delays_nobody_and_misses_nothing() {
    let house = Arc::new(House::open().await);
    let begin = house.events();
    let slow = Stream::open(&house, &format!("?from={begin}")).await;
    let mut quick = Stream::open(&house, &format!("?from={begin}")).await;
    // More than the sockets and buffers between hold.
    for n in 0..1200 {
        house.register(&format!("BR{n:06}"), "deployment").await;
    }
    let mut last = quick.event().await.unwrap();
    while numbers(&[last.clone()]) != [begin + 1199] {
        last = quick.event().await.unwrap();
    }
    let mut slow = slow;
    for n in begin..begin + 1200 {
        assert_eq!(numbers(&[slow.event().await.unwrap()]), [n]);
    }
}
