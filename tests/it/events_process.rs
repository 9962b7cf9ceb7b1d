//! `vitae events` and the real server: a script that follows the record hears every event once, whatever happens to the
//! server meanwhile.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Admin, House, PATIENCE, poll};
use crate::support::receiver::{Heard, Receiver};
use crate::support::stream::numbers;

fn events(text: &str) -> Vec<Value> {
    // The last line may be half written.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// kill -9 in the middle of the load, several times: the follower and a webhook go on by themselves, and what they heard is
/// the record.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_hears_everything_over_kills() {
    let receiver = Receiver::answering([]).await;
    let house = House::ready();
    let hook = format!(
        "[[webhook]]\nname = \"gate\"\nurl = \"http://{}/\"\ntypes = [\"device-registered\"]\n\
         timeout = \"5s\"\nretry-first = \"1s\"\nretry-longest = \"1s\"\n",
        receiver.address
    );
    fs::write(house.config().join("webhooks.toml"), hook).unwrap();
    let mut server = house.serve();
    let position = house.data().join("hooks/gate.json");
    assert!(poll(PATIENCE, || position.exists().then_some(())).is_some(), "{}", server.log());
    let follower = house.begin(&["events", "--follow", "--from", "0", "--json"]);
    let mut told = 0;
    for _ in 0..4 {
        let mut admin = Admin::connect(house.data()).await.unwrap();
        let load = tokio::spawn(async move {
            let mut done = 0;
            while admin.register(&format!("ME{:06}", told + done), "deployment").await.is_ok() {
                done += 1;
            }
            done
        });
        let before = events(&follower.out_so_far()).len();
        let grown = poll(PATIENCE, || (events(&follower.out_so_far()).len() > before + 50).then_some(()));
        assert!(grown.is_some(), "the follower hears nothing any more: {}", server.log());
        server.kill();
        // The last one may have been recorded, though nobody was told.
        told += load.await.unwrap() + 1;
        server = house.serve();
    }
    let mut admin = Admin::connect(house.data()).await.unwrap();
    let last = admin.register("ME999999", "deployment").await.unwrap();
    let heard = poll(PATIENCE, || {
        let heard = events(&follower.out_so_far());
        heard.last().is_some_and(|event| event["subject"] == last.as_str()).then_some(heard)
    });
    let heard = heard.expect("the follower comes back");
    assert_eq!(numbers(&heard), (0..heard.len() as u64).collect::<Vec<_>>());
    let recorded = house.ok(&["events", "--json"]);
    assert_eq!(heard, events(&recorded));

    let hooked = loop {
        let hooked: Vec<Value> = receiver.heard().iter().map(Heard::event).collect();
        if hooked.last().is_some_and(|event| event["subject"] == last.as_str()) {
            break hooked;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let registered: Vec<&Value> =
        heard.iter().filter(|event| event["type"] == "vitae.device-registered").collect();
    // At least once: after a kill it may be told again what it was told last, and from there on in order.
    let mut next = 0;
    for event in &hooked {
        let at = registered.iter().position(|known| *known == event).expect("it is in the record");
        assert!(at <= next, "{} was left out", registered[next]);
        next = next.max(at + 1);
    }
    assert_eq!(next, registered.len());
    server.stop();
    house.check_is_sound();
}

/// What scripts rely on: one line an event, exit codes, an end where there is one.
#[test]
fn the_command_line_tells_events_and_webhooks() {
    let house = House::ready();
    let gone = house.refused(&["events"]);
    assert!(gone.contains("vitae serve"), "{gone}");
    let server = house.serve();
    house.ok(&["device", "register", "--maker", "meridel", "--model", "M5", "--serial", "ME000001"]);
    let lines = house.ok(&[
        "events",
        "--type",
        "device-registered",
        "--type",
        "ca-created",
        "--holder",
        "meridel.M5.ME000001",
    ]);
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("device-registered meridel.M5.ME000001"), "{lines}");
    assert!(house.ok(&["events", "--ca", "birth"]).contains("crl-published birth"));
    let whole = house.ok(&["events", "--json"]);
    let from = events(&whole).len() - 1;
    assert_eq!(events(&house.ok(&["events", "--json", "--from", &from.to_string()])), events(&whole)[from..]);
    assert!(house.refused(&["events", "--from", "1000000"]).contains("not known here"));
    assert!(house.refused(&["events", "--follow", "--type", "nonsense"]).contains("known are"));
    assert_eq!(house.run(&["events", "--from", "yesterday"]).code, Some(2));
    assert_eq!(house.run(&["events", "secret", "No Name"]).code, Some(2));
    let secret = house.ok(&["events", "secret", "gate"]);
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44 + 1, "{secret}");
    assert_eq!(house.ok(&["events", "secret", "gate"]), secret, "it is made once");
    assert_eq!(house.json(&["events", "hooks"]), serde_json::json!([]));
    server.stop();
}
