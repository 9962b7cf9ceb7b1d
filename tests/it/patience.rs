//! Peers that hold a place and do nothing with it lose it: with as many of them as there are places, others are served
//! soon. Who comes before that is told to try again.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::House;
use crate::support::wire::{self, Ask, Reply, Wire};

const PLACES: usize = 2;
/// Far more than the limits below; only a door that stays shut takes it.
const LONG: Duration = Duration::from_secs(20);

async fn house() -> House {
    House::with(|policy| {
        let file = "vitae.toml";
        policy.replace(file, "max-connections = 4096", &format!("max-connections = {PLACES}"));
        for (name, shipped) in
            [("header-timeout", "10s"), ("request-timeout", "30s"), ("handshake-timeout", "10s")]
        {
            policy.replace(file, &format!("{name} = \"{shipped}\""), &format!("{name} = \"1s\""));
        }
    })
    .await
}

/// Asks and asks and reads nothing, until no more can be written.
async fn ask_without_reading<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, ask: &Ask) {
    let many = ask.bytes().repeat(100);
    while let Ok(Ok(())) = timeout(Duration::from_millis(300), wire.stream.write_all(&many)).await {}
}

/// Asks until there is a place.
async fn served(ask: impl AsyncFn() -> Reply) -> Reply {
    let asked = async {
        loop {
            let reply = ask().await;
            if reply.status != 503 {
                return reply;
            }
            assert!(reply.header("retry-after").unwrap().parse::<u32>().is_ok(), "{}", reply.head);
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, asked).await.expect("a door that stays shut")
}

#[tokio::test]
async fn the_status_door_does_not_wait_for_ever() {
    let house = house().await;
    let mut held = Vec::new();
    for _ in 0..PLACES {
        let mut wire = wire::connect(house.addresses.status).await.unwrap();
        wire.send(b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0").await.unwrap();
        held.push(wire);
    }
    let health = served(async || house.status_door(&Ask::get("/health")).await).await;
    assert_eq!(health.status, 200, "bodies that never come");
    drop(held);

    let mut held = Vec::new();
    for _ in 0..PLACES {
        let mut wire = wire::connect(house.addresses.status).await.unwrap();
        ask_without_reading(&mut wire, &Ask::get("/crl/birth/0.crl")).await;
        held.push(wire);
    }
    let health = served(async || house.status_door(&Ask::get("/health")).await).await;
    assert_eq!(health.status, 200, "answers nobody reads");
}

#[tokio::test]
async fn the_est_door_does_not_wait_for_ever() {
    let house = house().await;
    let ask = Ask::get("/.well-known/est/cacerts");
    let mut held = Vec::new();
    for _ in 0..PLACES {
        let mut wire = house.est(None).await;
        ask_without_reading(&mut wire, &ask).await;
        held.push(wire);
    }
    assert_eq!(served(async || house.ask(None, &ask).await).await.status, 200, "answers nobody reads");
}

/// E48: as long as nobody else needs the place, a body has its whole time, and its end is told.
#[tokio::test]
async fn a_body_that_never_comes_is_told_so() {
    let house = house().await;
    let mut wire = wire::connect(house.addresses.status).await.unwrap();
    wire.send(b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0").await.unwrap();
    assert_eq!(timeout(LONG, wire.reply()).await.unwrap().unwrap().status, 408);
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let ask = Ask::est("simpleenroll", b"0").basic("", &token).header("Content-Length", "100");
    let mut wire = house.est(None).await;
    wire.send(&ask.bytes()).await.unwrap();
    assert_eq!(timeout(LONG, wire.reply()).await.unwrap().unwrap().status, 408);
    assert!(house.metrics().await.contains("vitae_shed_total{reason=\"slow-body\"} 2\n"));
}

/// Silence after the handshake; and HTTP/2, which has no time limit for silence, is not spoken.
#[tokio::test]
async fn the_admin_door_does_not_wait_for_ever() {
    let house = house().await;
    let connect = async || wire::connect_tls(house.addresses.admin, house.tls(None)).await.unwrap();
    for first in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut held = Vec::new();
        for _ in 0..PLACES {
            let mut wire = connect().await;
            wire.send(first).await.unwrap();
            held.push(wire);
        }
        let reply = served(async || connect().await.ask(&Ask::get("/api/v1/log")).await.unwrap()).await;
        assert_eq!(reply.status, 401, "silence");
    }
}

/// A head is held in memory until it is complete, so it has an end (with the limit of connections, so has the memory).
#[tokio::test]
async fn a_head_without_end_is_refused() {
    let house = house().await;
    let mut wire = wire::connect(house.addresses.status).await.unwrap();
    let long = Ask::get("/health").header("X-Long", &"x".repeat(300_000)).bytes();
    // The refusal may come while we still write.
    let _ = wire.send(&long).await;
    assert_eq!(wire.reply().await.unwrap().status, 431);
}
