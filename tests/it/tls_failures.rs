//! Handshakes that come to nothing: what an operator can count, and see when looking for it.

use std::net::{SocketAddr, TcpStream as Plain};

use rcgen::CertificateParams;
use tokio::time::timeout;
use vitae::pki::certificate::Certificate;

use crate::process::{self, PATIENCE, poll};
use crate::support::House;
use crate::support::csr::key;
use crate::support::wire::{self, Ask, Card};

const REASONS: [&str; 7] =
    ["timeout", "closed", "not-tls", "incompatible", "client-certificate", "refused-by-client", "other"];

/// How often each reason was counted, in the order above.
async fn counted(house: &House) -> [u64; 7] {
    let metrics = house.status_door(&Ask::get("/metrics")).await.text();
    REASONS.map(|reason| {
        let name = format!("vitae_tls_handshakes_failed_total{{reason=\"{reason}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
    })
}

/// Waits until this reason, and no other, was counted once more.
async fn expect(house: &House, before: &mut [u64; 7], reason: &str) {
    before[REASONS.iter().position(|known| *known == reason).unwrap()] += 1;
    let counted = async {
        while counted(house).await.iter().sum::<u64>() < before.iter().sum() {
            tokio::task::yield_now().await;
        }
        counted(house).await
    };
    assert_eq!(timeout(PATIENCE, counted).await.expect(reason), *before, "{reason}");
}

/// A ClientHello of TLS 1.0 with AES in CBC mode.
fn old_hello() -> Vec<u8> {
    let mut hello = vec![3, 1];
    hello.extend([5; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], hello.as_slice()].concat()
}

#[tokio::test]
async fn failed_handshakes_are_counted_by_reason() {
    let house = House::with(|policy| {
        policy.replace("vitae.toml", "handshake-timeout = \"10s\"", "handshake-timeout = \"1s\"");
    })
    .await;
    let mut count = [0; 7];
    for to in [house.addresses.est, house.addresses.admin] {
        drop(wire::connect(to).await.unwrap());
        expect(&house, &mut count, "closed").await;

        let mut plain = wire::connect(to).await.unwrap();
        plain.send(&Ask::get("/.well-known/est/cacerts").bytes()).await.unwrap();
        expect(&house, &mut count, "not-tls").await;

        let mut old = wire::connect(to).await.unwrap();
        old.send(&old_hello()).await.unwrap();
        expect(&house, &mut count, "incompatible").await;

        let stranger = key();
        let foreign = CertificateParams::default().self_signed(&*stranger).unwrap();
        let card = Card::new(&stranger, &Certificate::from_der(foreign.der()).unwrap());
        let shown = wire::connect_tls(to, house.tls(Some(&card))).await;
        // Under TLS 1.3 a client believes itself connected until it is told otherwise.
        if let Ok(mut wire) = shown {
            assert!(wire.ask(&Ask::get("/.well-known/est/cacerts")).await.is_err());
        }
        expect(&house, &mut count, "client-certificate").await;

        let distrustful = wire::tls(&[foreign.der().to_vec()], &house.clock, None, rustls::DEFAULT_VERSIONS);
        assert!(wire::connect_tls(to, distrustful).await.is_err());
        expect(&house, &mut count, "refused-by-client").await;

        let silent = wire::connect(to).await.unwrap();
        expect(&house, &mut count, "timeout").await;
        drop(silent);
    }
    assert_eq!(house.ask(None, &Ask::get("/.well-known/est/cacerts")).await.status, 200);
    assert_eq!(counted(&house).await, count, "a handshake that succeeds is none of them");
}

/// Speaks http to the EST listener, and waits until that is over.
fn speak_plainly(house: &process::House) {
    use std::io::{Read, Write};
    let mut stream = Plain::connect(SocketAddr::from(([127, 0, 0, 1], house.est))).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // A reset is as good an end as a close.
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn the_log_says_as_much_as_it_is_told_to() {
    let house = process::House::ready();
    let server = house.serve_with(&["--log-level", "debug"]);
    speak_plainly(&house);
    let seen = poll(PATIENCE, || server.log().contains("TLS handshake failed").then_some(()));
    let log = server.log();
    assert!(seen.is_some() && log.contains("not-tls") && log.contains("127.0.0.1"), "{log}");
    server.stop();

    for (arguments, is_told) in
        [(&[][..], true), (&["--log-level", "info"], true), (&["--log-level", "error"], false)]
    {
        let server = house.serve_with(arguments);
        speak_plainly(&house);
        let log = server.log();
        assert!(!log.contains("TLS handshake failed"), "{log}");
        assert_eq!(log.contains("serving"), is_told, "{arguments:?}: {log}");
        server.stop();
    }
    let ended = house.run(&["serve", "--log-level", "loud"]);
    assert_eq!(ended.code, Some(2));
    for level in ["error", "warn", "info", "debug"] {
        assert!(ended.err.contains(level), "{}", ended.err);
    }
    assert!(house.ok(&["serve", "--help"]).contains("--log-level <LEVEL>"));
}
