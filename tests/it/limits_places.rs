//! Places: who has to give one up, who is turned away with a 503, who is closed at once (E48, B38).

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::csr::{key, request};
use crate::support::store::{Faulty, Switch, Trouble};
use crate::support::wire::{self, Ask};
use crate::support::{House, Policy};

/// Far more than anything here takes; well above the time limits of the shipped policy, so that only those are not what
/// helped which the test has shortened.
const LONG: Duration = Duration::from_secs(20);

fn places(policy: &Policy, places: usize, turned_away: usize) {
    policy.replace("vitae.toml", "max-connections = 4096", &format!("max-connections = {places}"));
    policy.replace("vitae.toml", "max-turned-away = 64", &format!("max-turned-away = {turned_away}"));
    // Nothing but the lack of places may end a connection.
    for (name, shipped) in [("header-timeout", "10s"), ("handshake-timeout", "10s")] {
        policy.replace("vitae.toml", &format!("{name} = \"{shipped}\""), &format!("{name} = \"10m\""));
    }
}

fn cacerts() -> Ask {
    Ask::get("/.well-known/est/cacerts")
}

async fn counted(house: &House, reason: &str) -> u64 {
    let name = format!("vitae_shed_total{{reason=\"{reason}\"}} ");
    let metrics = house.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// The one that has been idle longest goes, in good order; the other stays as it is.
#[tokio::test]
async fn an_idle_connection_gives_its_place_up() {
    let house = House::with(|policy| places(policy, 2, 0)).await;
    let mut old = house.est(None).await;
    let mut young = house.est(None).await;
    for wire in [&mut old, &mut young] {
        assert_eq!(wire.ask(&cacerts()).await.unwrap().status, 200);
    }
    assert_eq!(timeout(LONG, house.ask(None, &cacerts())).await.unwrap().status, 200);
    assert!(timeout(LONG, old.is_closed()).await.unwrap());
    assert_eq!(young.ask(&cacerts()).await.unwrap().status, 200);
    assert_eq!(counted(&house, "made-way").await, 1);
}

/// Slow-loris in all its forms: silence on TCP, half a handshake, silence after it, half a header, half a body. None of
/// them keeps anybody out for long, though no time limit ends them.
#[tokio::test]
async fn silent_connections_give_their_places_up() {
    let house = House::with(|policy| places(policy, 2, 2)).await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let half = Ask::est("simpleenroll", b"0").basic("", &token).header("Content-Length", "100").bytes();
    for form in ["tcp", "half a handshake", "tls", "half a header", "half a body"] {
        let (mut plain, mut secret) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            match form {
                "tcp" | "half a handshake" => {
                    let mut wire = wire::connect(house.addresses.est).await.unwrap();
                    if form != "tcp" {
                        wire.send(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await.unwrap();
                    }
                    plain.push(wire);
                }
                _ => {
                    let mut wire = house.est(None).await;
                    match form {
                        "half a header" => wire.send(b"GET /.well-known/est/cacerts HT").await.unwrap(),
                        "half a body" => wire.send(&half).await.unwrap(),
                        _ => {}
                    }
                    secret.push(wire);
                }
            }
        }
        let served = async {
            // Told to come again, or closed, until their time is over.
            while !house.try_ask(None, &cacerts()).await.is_ok_and(|reply| reply.status == 200) {}
        };
        timeout(LONG, served).await.unwrap_or_else(|_| panic!("{form} keeps others out"));
    }
}

/// E48: while every place is worked for, the next are told so with a 503, and those beyond are closed at once.
#[tokio::test]
async fn who_finds_no_place_is_turned_away() {
    let switch = Switch::new();
    let given = switch.clone();
    let edit = |policy: &Policy| {
        places(policy, 2, 1);
        policy.replace("vitae.toml", "request-timeout = \"30s\"", "request-timeout = \"3s\"");
    };
    let house = House::on_store_with(edit, move |inner| Arc::new(Faulty { inner, switch: given })).await;
    let id = house.register("BR000001", "deployment").await;
    let mut worked_for = Vec::new();
    let tokens = [house.token(&id, "ldev").await, house.token(&id, "ldev").await];
    switch.set(Trouble::Locked);
    for token in &tokens {
        let mut wire = house.est(None).await;
        let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), token);
        wire.send(&ask.bytes()).await.unwrap();
        worked_for.push(wire);
    }
    while switch.waiting() < 2 {
        tokio::task::yield_now().await;
    }
    let mut told = house.est(None).await;
    let mut beyond = TcpStream::connect(house.addresses.est).await.unwrap();
    assert!(matches!(timeout(LONG, beyond.read(&mut [0; 1])).await.unwrap(), Ok(0) | Err(_)));
    let reply = told.ask(&cacerts()).await.unwrap();
    assert_eq!(reply.status, 503);
    assert!((5..=10).contains(&reply.header("retry-after").unwrap().parse::<u32>().unwrap()));
    assert!(reply.head.len() < 1024 && reply.head.contains("\r\nConnection: close\r\n"), "{}", reply.head);
    assert_eq!(reply.header("content-length").unwrap(), reply.body.len().to_string());
    assert!(told.is_closed().await);
    assert_eq!((counted(&house, "turned-away").await, counted(&house, "closed").await), (1, 1));
    // Those who have a place hear what became of their request, and places come free.
    for wire in &mut worked_for {
        assert_eq!(timeout(LONG, wire.reply()).await.unwrap().unwrap().status, 503);
    }
    switch.set(Trouble::None);
    assert_eq!(house.ask(None, &cacerts()).await.status, 200);
}

/// The other doors turn away in the same words.
#[tokio::test]
async fn every_door_turns_away() {
    let house = House::with(|policy| places(policy, 1, 4)).await;
    // In the middle of a request, and not yet for a second.
    let mut held = wire::connect(house.addresses.status).await.unwrap();
    let turned_away = async {
        loop {
            held = wire::connect(house.addresses.status).await.unwrap();
            let _ = held.send(b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n0").await;
            let reply = house.status_door(&Ask::get("/health")).await;
            if reply.status == 503 {
                return reply;
            }
        }
    };
    let reply = timeout(LONG, turned_away).await.unwrap();
    assert!(reply.header("retry-after").unwrap().parse::<u32>().is_ok());
    let connect = async || wire::connect_tls(house.addresses.admin, house.tls(None)).await.unwrap();
    let _silent = connect().await;
    let turned_away = async {
        loop {
            let _silent = connect().await;
            let reply = connect().await.ask(&Ask::get("/api/v1/log")).await.unwrap();
            if reply.status == 503 {
                return reply;
            }
        }
    };
    let reply = timeout(LONG, turned_away).await.unwrap();
    assert!(reply.header("retry-after").unwrap().parse::<u32>().is_ok());
}

/// The time limits are counted by what they ended.
#[tokio::test]
async fn slow_clients_are_counted() {
    let edit = |policy: &Policy| {
        for (name, shipped) in
            [("header-timeout", "10s"), ("request-timeout", "30s"), ("handshake-timeout", "10s")]
        {
            policy.replace("vitae.toml", &format!("{name} = \"{shipped}\""), &format!("{name} = \"1s\""));
        }
    };
    let house = House::with(edit).await;
    let mut handshake = wire::connect(house.addresses.est).await.unwrap();
    let mut header = house.est(None).await;
    let mut idle = house.est(None).await;
    assert_eq!(idle.ask(&cacerts()).await.unwrap().status, 200);
    let mut reader = house.est(None).await;
    let many = cacerts().bytes().repeat(100);
    let stuck = async { while reader.send(&many).await.is_ok() {} };
    timeout(LONG, stuck).await.unwrap();
    assert!(timeout(LONG, handshake.is_closed()).await.unwrap());
    assert!(timeout(LONG, header.is_closed()).await.unwrap());
    assert!(timeout(LONG, idle.is_closed()).await.unwrap());
    let counts = async {
        loop {
            let counts = [counted(&house, "slow-header").await, counted(&house, "slow-reader").await];
            if counts.iter().sum::<u64>() >= 2 {
                return counts;
            }
        }
    };
    assert_eq!(timeout(LONG, counts).await.unwrap(), [1, 1], "an idle end is nobody's fault");
    let metrics = house.metrics().await;
    assert!(metrics.contains("vitae_tls_handshakes_failed_total{reason=\"timeout\"} 1\n"), "{metrics}");
}
