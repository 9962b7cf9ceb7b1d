//! Webhooks: told in order, at least once, signed; whatever the receiver does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vitae::authority::{HookView, hook_secret};
use vitae::clock::{Clock, SystemRandom};
use vitae::ids::Reason;

use crate::support::receiver::{Answer, Heard, Receiver};
use crate::support::stream::{Stream, numbers};
use crate::support::{House, Policy};

fn hook(policy: &Policy, name: &str, to: SocketAddr, types: &str, timeout: &str) {
    let text = format!(
        "\n[[webhook]]\nname = \"{name}\"\nurl = \"http://{to}/in?key=hidden\"\ntypes = [{types}]\n\
         timeout = \"{timeout}\"\nretry-first = \"1s\"\nretry-longest = \"2s\"\n"
    );
    policy.append("webhooks.toml", &text);
}

/// A house with one webhook that is told of registered devices.
async fn with_hook(to: SocketAddr) -> House {
    let house = House::with(|policy| hook(policy, "gate", to, "\"device-registered\"", "1s")).await;
    served(&house, "gate").await;
    house
}

/// When a webhook has found its place: what comes from then on, it is told.
async fn served(house: &House, name: &str) {
    until(house, name, |view| view.next.is_some()).await;
}

async fn until(house: &House, name: &str, fits: impl Fn(&HookView) -> bool) -> HookView {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let views = house.authority.hooks(&house.operator()).unwrap();
        let view = views.into_iter().find(|view| view.name.as_str() == name).unwrap();
        if fits(&view) {
            return view;
        }
        assert!(Instant::now() < end, "{view:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn subjects(heard: &[Heard]) -> Vec<String> {
    heard.iter().map(|heard| heard.event()["subject"].as_str().unwrap().to_owned()).collect()
}

fn devices(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("brannoc.P3.BR{n:06}")).collect()
}

async fn register(house: &House, from: usize, to: usize) {
    for n in from..to {
        house.register(&format!("BR{n:06}"), "deployment").await;
    }
}

/// CloudEvents HTTP binding section 3.2, Standard Webhooks' headers; the document is that of the stream.
#[tokio::test]
async fn what_is_told_is_signed_and_is_what_the_stream_tells() {
    let receiver = Receiver::answering([]).await;
    let house =
        House::with(|policy| hook(policy, "gate", receiver.address, "\"certificate-revoked\"", "5s")).await;
    served(&house, "gate").await;
    let (_, card) = house.working("BR000001").await;
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    let heard = receiver.hears(1).await.remove(0);
    assert!(heard.head.starts_with("POST /in?key=hidden HTTP/1.1\r\n"), "{}", heard.head);
    assert_eq!(heard.header("host"), receiver.address.to_string());
    assert_eq!(heard.header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(heard.header("webhook-timestamp"), house.clock.now().secs().to_string());
    let told = Stream::open(&house, "?follow=false&from=0&type=certificate-revoked").await.events().await;
    assert_eq!(heard.event(), told[0]);
    let source = told[0]["source"].as_str().unwrap().rsplit(':').next().unwrap();
    assert_eq!(heard.header("webhook-id"), format!("{source}-{}", told[0]["id"].as_str().unwrap()));
    let secret = hook_secret(&house.dir(), &"gate".parse().unwrap(), &SystemRandom).unwrap();
    assert!(heard.is_signed_with(&secret));
    let spoilt = Heard { body: [heard.body.as_slice(), b" "].concat(), ..heard.clone() };
    assert!(!spoilt.is_signed_with(&secret));
    // The secret is for the owner of the folder alone, and the URL's query is shown to nobody.
    let view = until(&house, "gate", |view| view.delivered == 1).await;
    assert_eq!(view.url, format!("http://{}/in", receiver.address));
    assert!(view.failing.is_none() && view.failed == 0);
    assert!(house.metrics().await.contains("vitae_webhook_deliveries_total{webhook=\"gate\"} 1\n"));
}

/// A receiver that is away is told everything when it is back, in order; meanwhile everybody can see that it is.
#[tokio::test]
async fn a_receiver_that_was_away_misses_nothing() {
    let receiver = Receiver::answering([]).await;
    let address = receiver.address;
    let house = with_hook(address).await;
    register(&house, 0, 3).await;
    assert_eq!(subjects(&receiver.hears(3).await), devices(0, 3));
    drop(receiver);
    register(&house, 3, 8).await;
    let view =
        until(&house, "gate", |view| view.failing.as_ref().is_some_and(|failing| failing.in_a_row > 1)).await;
    let failing = view.failing.unwrap();
    assert!(failing.reason.contains("connect") && failing.retry_at > failing.at, "{failing:?}");
    assert_eq!(view.behind, Some(5));
    assert!(house.metrics().await.contains("vitae_webhook_failing{webhook=\"gate\"} 1\n"));
    let receiver = Receiver::at(address, []).await;
    assert_eq!(subjects(&receiver.hears(5).await), devices(3, 8));
    let view = until(&house, "gate", |view| view.behind == Some(0)).await;
    assert!(view.failing.is_none());
}

/// Over a restart it goes on where it was: nothing is left out, and what was told before is not told anew from the start.
#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let receiver = Receiver::answering([]).await;
    let house = with_hook(receiver.address).await;
    register(&house, 0, 3).await;
    receiver.hears(3).await;
    let house = house.reopened(|_| {}).await;
    register(&house, 3, 5).await;
    assert_eq!(subjects(&receiver.hears(5).await), devices(0, 5));
    // One that has another name is another one, and begins with what comes.
    let house = house.reopened(|policy| policy.replace("webhooks.toml", "\"gate\"", "\"gate-2\"")).await;
    served(&house, "gate-2").await;
    register(&house, 5, 6).await;
    assert_eq!(subjects(&receiver.hears(6).await), devices(0, 6));
    // A position that cannot be read is no reason to leave something out: it stands still and says so.
    let position = house.dir().join("hooks/gate-2.json");
    let house = house.reopened(|_| std::fs::write(&position, "{").unwrap()).await;
    let view = until(&house, "gate-2", |view| view.failing.is_some()).await;
    assert!(view.failing.unwrap().reason.contains("gate-2.json"));
}

/// Each is a failure and comes again, the same and before all others; a redirect leads nowhere.
#[tokio::test]
async fn whatever_is_answered_nothing_is_left_out() {
    let elsewhere = Receiver::answering([]).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        elsewhere.address
    );
    let bad = [
        Answer::Bytes("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
        Answer::Bytes(redirect.leak()),
        Answer::Bytes("what do you want?\r\n\r\n"),
        Answer::Bytes(""),
        Answer::Endless("HTTP/1.1 404 Not Found\r\nContent-Length: 999999999999\r\n\r\n"),
        Answer::Endless("HTTP/1.1 200 OK\r\nX: "),
        Answer::Silence,
    ];
    let count = bad.len();
    let receiver = Receiver::answering(bad).await;
    let house = with_hook(receiver.address).await;
    register(&house, 0, 3).await;
    let heard = receiver.hears(count + 3).await;
    let again: Vec<String> = std::iter::repeat_n(devices(0, 1), count).flatten().collect();
    assert_eq!(subjects(&heard), [again, devices(0, 3)].concat());
    let ids: std::collections::BTreeSet<&str> =
        heard[..=count].iter().map(|heard| heard.header("webhook-id")).collect();
    assert_eq!(ids.len(), 1, "a receiver knows by it what it had already");
    assert_eq!(elsewhere.heard().len(), 0);
    let view = until(&house, "gate", |view| view.delivered == 3).await;
    assert_eq!(view.failed, count as u64);
    assert!(view.failing.is_none());
}

/// It has taken the event and only cannot stop talking.
#[tokio::test]
async fn an_answer_without_end_is_a_success() {
    let endless = Answer::Endless("HTTP/1.1 200 OK\r\n\r\n");
    let long = Answer::Endless("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n");
    let receiver = Receiver::answering([long, endless]).await;
    let house = with_hook(receiver.address).await;
    register(&house, 0, 1).await;
    register(&house, 1, 2).await;
    let heard = receiver.hears(2).await;
    assert_eq!(subjects(&heard)[..1], devices(0, 1));
    until(&house, "gate", |view| view.delivered == 2).await;
}

/// One that never answers is nobody's trouble but its own; nor does it keep the server from stopping.
#[tokio::test]
async fn one_webhook_does_not_wait_for_another() {
    let (stuck, quick) = (Receiver::answering([Answer::Silence]).await, Receiver::answering([]).await);
    let house = House::with(|policy| {
        hook(policy, "stuck", stuck.address, "\"*\"", "1h");
        hook(policy, "quick", quick.address, "\"device-registered\"", "1s");
        policy.replace("vitae.toml", "shutdown-grace = \"10s\"", "shutdown-grace = \"1h\"");
    })
    .await;
    served(&house, "stuck").await;
    served(&house, "quick").await;
    register(&house, 0, 10).await;
    assert_eq!(subjects(&quick.hears(10).await), devices(0, 10));
    assert_eq!(stuck.hears(1).await.len(), 1);
    // What it has not taken comes again, and then the rest.
    let before = house.events() - 10;
    let house = house.reopened(|_| {}).await;
    let heard: Vec<Value> = stuck.hears(11).await.iter().map(Heard::event).collect();
    assert_eq!(numbers(&heard)[..2], [before, before]);
    assert_eq!(numbers(&heard)[1..11], (before..before + 10).collect::<Vec<_>>());
    let quiet = Stream::open(&house, "/hooks").await.problem().await;
    assert_eq!(quiet[1]["name"], json!("quick"));
}
