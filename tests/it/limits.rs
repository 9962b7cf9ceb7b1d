//! Rates: new connections and useless tokens from one address, certificates for one holder, enrolments in progress.

use std::sync::Arc;

use vitae::ids::HolderId;

use crate::support::csr::{CN, Csr, key, request};
use crate::support::store::{Faulty, Switch, Trouble};
use crate::support::wire::{self, Ask, Card, Reply};
use crate::support::{HOUR, House, Policy};

/// With loopback as one more stranger.
async fn house(edit: impl FnOnce(&Policy)) -> House {
    House::with(|policy| {
        policy.replace("vitae.toml", "no-rate-for = [\"127.0.0.0/8\", \"::1\"]", "no-rate-for = []");
        edit(policy);
    })
    .await
}

fn rate(policy: &Policy, name: &str, shipped: &str, now: &str) {
    policy.replace("vitae.toml", &format!("{name} = \"{shipped}\""), &format!("{name} = \"{now}\""));
}

fn connections(policy: &Policy, now: &str) {
    rate(policy, "connections-per-address", "300 per second, burst 10000", now);
}

fn failures(policy: &Policy, now: &str) {
    rate(policy, "failures-per-address", "10 per second, burst 1000", now);
}

fn certificates(policy: &Policy, now: &str) {
    rate(policy, "certificates-per-holder", "20 per hour, burst 100", now);
}

/// 503 with the seconds to wait, in a head that small clients can read.
fn wait_told(reply: &Reply) -> u64 {
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(reply.head.len() < 1024 && reply.head.lines().count() < 18, "{}", reply.head);
    assert!(reply.head.contains("\r\nRetry-After: "), "{}", reply.head);
    assert_eq!(reply.header("content-type"), Some("text/plain"));
    reply.header("retry-after").unwrap().parse().unwrap()
}

fn counted(metrics: &str, reason: &str) -> u64 {
    let name = format!("vitae_shed_total{{reason=\"{reason}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// B38: beyond the rate a connection is closed before the handshake costs anything; each listener counts for itself.
#[tokio::test]
async fn connections_of_one_address_have_a_rate() {
    let house = house(|policy| connections(policy, "1 per hour, burst 3")).await;
    let cacerts = Ask::get("/.well-known/est/cacerts");
    let mut first = house.est(None).await;
    for _ in 0..2 {
        assert_eq!(house.ask(None, &cacerts).await.status, 200);
    }
    for _ in 0..5 {
        assert!(wire::connect_tls(house.addresses.est, house.tls(None)).await.is_err());
    }
    // What is open already is served as before.
    for _ in 0..20 {
        assert_eq!(first.ask(&cacerts).await.unwrap().status, 200);
    }
    assert_eq!(counted(&house.metrics().await, "connection-rate"), 5);
    house.clock.advance(HOUR);
    assert_eq!(house.ask(None, &cacerts).await.status, 200);
    assert!(wire::connect_tls(house.addresses.est, house.tls(None)).await.is_err());
}

/// The shipped policy leaves this machine alone: a fleet of tests, a gateway, a bench.
#[tokio::test]
async fn named_addresses_have_no_rate() {
    let edit = |policy: &Policy| {
        connections(policy, "1 per day, burst 1");
        failures(policy, "1 per day, burst 1");
    };
    let house = House::with(edit).await;
    for _ in 0..5 {
        let ask = Ask::est("simpleenroll", &request(&key())).basic("", "vt_nothing");
        assert_eq!(house.ask(None, &ask).await.status, 401);
    }
    assert_eq!(counted(&house.metrics().await, "connection-rate"), 0);
}

/// Whoever tries token after token is told to wait, and not even told any more whether one exists. Certificates are no
/// guesses: devices that have one are not held up by a neighbour.
#[tokio::test]
async fn useless_tokens_of_one_address_have_a_rate() {
    let house = house(|policy| failures(policy, "1 per minute, burst 3")).await;
    let (id, birth) = house.born("BR000001").await;
    let token = house.token(&id, "ldev").await;
    let csr = request(&key());
    let junk = Ask::est("simpleenroll", &csr).basic(id.as_str(), "vt_nothing");
    let good = Ask::est("simpleenroll", &csr).basic(id.as_str(), &token);
    // A stranger without anything is asked who it is, as often as it likes: there is nothing to guess in that.
    for _ in 0..10 {
        assert_eq!(house.ask(None, &Ask::est("simpleenroll", &csr)).await.status, 401);
    }
    for _ in 0..3 {
        assert_eq!(house.ask(None, &junk).await.status, 401);
    }
    let before = house.events();
    assert_eq!(wait_told(&house.ask(None, &junk).await), 60);
    assert_eq!(wait_told(&house.ask(None, &good).await), 60);
    assert_eq!(counted(&house.metrics().await, "failure-rate"), 2);
    assert_eq!(house.events(), before, "strangers leave no trace");
    assert_eq!(house.ask(Some(&birth), &Ask::est("tls/simpleenroll", &request(&key()))).await.status, 200);
    house.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(house.ask(None, &good).await.status, 200);
}

/// A spent token counts as a guess too, and is in the record of the device it was for.
#[tokio::test]
async fn a_spent_token_is_refused_early_and_recorded() {
    let house = house(|policy| failures(policy, "1 per minute, burst 2")).await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let ask = |csr: &[u8]| Ask::est("simpleenroll", csr).basic(id.as_str(), &token);
    assert_eq!(house.ask(None, &ask(&request(&key()))).await.status, 200);
    let before = house.events();
    for _ in 0..2 {
        let reply = house.ask(None, &ask(b"not even a request")).await;
        assert_eq!(reply.status, 401);
        assert!(reply.text().contains("was used"), "{}", reply.text());
    }
    assert_eq!(house.events(), before + 1, "one refusal, once an hour");
    assert_eq!(wait_told(&house.ask(None, &ask(&request(&key()))).await), 60);
}

/// Nothing is read and no signature verified for a token that does not exist; with a good one the request is judged.
#[tokio::test]
async fn credentials_come_before_the_request() {
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let fresh = key();
    let forged = Csr::of(&fresh).signed_falsely();
    let ask = Ask::est("simpleenroll", &forged);
    let junk = ask.clone().basic(id.as_str(), "vt_nothing");
    let reply = house.ask(None, &junk).await;
    assert_eq!(reply.status, 401);
    assert!(reply.head.contains("\r\nWWW-Authenticate: Basic "), "{}", reply.head);
    // Not even called for.
    let bytes = junk.header("Expect", "100-continue").bytes();
    let mut wire = house.est(None).await;
    wire.send(&bytes[..bytes.len() - ask.body.len()]).await.unwrap();
    assert_eq!(wire.reply().await.unwrap().status, 401);

    let before = house.events();
    let reply = house.ask(None, &ask.basic(id.as_str(), &token)).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(house.events(), before);
    let good = Ask::est("simpleenroll", &request(&fresh)).basic(id.as_str(), &token);
    assert_eq!(house.ask(None, &good).await.status, 200, "the token is still good");
}

async fn renew(house: &House, card: &Card) -> Reply {
    let next = key();
    let csr = Csr::of(&next).repeating(&card.certificate()).sign(&next);
    house.ask(Some(card), &Ask::est("simplereenroll", &csr)).await
}

fn refusals(house: &House, id: &HolderId, code: &str) -> usize {
    let told = house.told(id);
    told.iter().filter(|what| what.contains(code)).count()
}

/// B46: nobody renews without end. A lost answer is given again for nothing, and others have buckets of their own.
#[tokio::test]
async fn certificates_of_one_holder_have_a_rate() {
    let house = House::with(|policy| certificates(policy, "1 per hour, burst 2")).await;
    let (id, card) = house.working("BR000001").await;
    let next = key();
    let renewal = Csr::of(&next).repeating(&card.certificate()).sign(&next);
    let mut renewed = None;
    for _ in 0..5 {
        let reply = house.ask(Some(&card), &Ask::est("simplereenroll", &renewal)).await;
        renewed = Some(Card::new(&next, &reply.certificate()));
    }
    let card = renewed.unwrap();
    let issued = house.certificates_of(&id).len();
    for _ in 0..3 {
        let reply = renew(&house, &card).await;
        assert_eq!(wait_told(&reply), 3600);
        assert!(reply.text().contains(id.as_str()), "{}", reply.text());
    }
    // Another profile is no way around it.
    let token = house.token(&id, "tls").await;
    let ask = Ask::est("tls/simpleenroll", &request(&key())).basic(id.as_str(), &token);
    wait_told(&house.ask(None, &ask).await);
    assert_eq!(house.certificates_of(&id).len(), issued);
    assert_eq!(refusals(&house, &id, "too-many-certificates"), 1, "once an hour: {:?}", house.told(&id));
    assert_eq!(counted(&house.metrics().await, "certificate-rate"), 4);

    let (_, other) = house.working("BR000002").await;
    assert_eq!(renew(&house, &other).await.status, 200);
    house.clock.advance(HOUR);
    assert_eq!(house.ask(None, &ask).await.status, 200, "the token has outlived it");
    wait_told(&renew(&house, &card).await);
}

/// What is refused was not given, so it takes nothing from the rate, and the reason is not hidden behind it: a device
/// with wrong names is told so as often as it asks, and what it asks for rightly is still to be had.
#[tokio::test]
async fn refused_requests_are_no_certificates() {
    let house = House::with(|policy| certificates(policy, "1 per hour, burst 2")).await;
    let (renewed, card) = house.working("BR000001").await;
    let next = key();
    for _ in 0..4 {
        let misnamed = Csr::of(&next).named(&[(CN, "BR000002")]).sign(&next);
        let reply = house.ask(Some(&card), &Ask::est("simplereenroll", &misnamed)).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
    }
    let id = house.register("BR000003", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let ask = |csr: &[u8]| Ask::est("simpleenroll", csr).basic(id.as_str(), &token);
    for _ in 0..4 {
        let reply = house.ask(None, &ask(&Csr::of(&next).named(&[(CN, "BR000001")]).sign(&next))).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
    }
    assert_eq!(house.ask(None, &ask(&request(&next))).await.status, 200);
    assert_eq!(renew(&house, &card).await.status, 200);
    let token = house.token(&renewed, "tls").await;
    let ask = Ask::est("tls/simpleenroll", &request(&key())).basic(renewed.as_str(), &token);
    wait_told(&house.ask(None, &ask).await);
}

/// E48: who comes when the store has more than enough to do is told so at once.
#[tokio::test]
async fn enrolments_in_progress_have_a_limit() {
    let switch = Switch::new();
    let given = switch.clone();
    let edit = |policy: &Policy| {
        policy.replace("vitae.toml", "max-enrolments = 1024", "max-enrolments = 1");
        policy.replace("vitae.toml", "request-timeout = \"30s\"", "request-timeout = \"3s\"");
    };
    let house = House::on_store_with(edit, move |inner| Arc::new(Faulty { inner, switch: given })).await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let before = house.events();
    switch.set(Trouble::Locked);
    let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
    let mut waiting = house.est(None).await;
    waiting.send(&ask.bytes()).await.unwrap();
    while switch.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(wait_told(&house.ask(None, &ask).await) > 0);
    assert_eq!(house.ask(None, &Ask::get("/.well-known/est/cacerts")).await.status, 200);
    assert_eq!(counted(&house.metrics().await, "enrolments"), 1);
    assert_eq!(house.events(), before);
    switch.set(Trouble::None);
    // It gives its place back when its time is over.
    assert_eq!(waiting.reply().await.unwrap().status, 503);
    assert_eq!(house.ask(None, &ask).await.status, 200);
}
