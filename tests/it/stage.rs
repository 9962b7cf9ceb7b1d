//! The stage decides: the profile x stage matrix as a property over the whole table (I1), and what moves do.

use vitae::clock::Clock;
use vitae::config::{Cell, Profile, Proof};
use vitae::ids::HolderId;

use crate::renewal_overlap::{renew_with, renewed};
use crate::support::csr::{Csr, SERIAL_NUMBER, key, request};
use crate::support::maker::Maker;
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, HOUR, House, Policy};

const DEVICE_PROFILES: [&str; 5] = ["idev", "ldev", "tls", "remed", "maint"];
const STAGES: [&str; 11] = [
    "design",
    "manufacturing",
    "deployment",
    "clinical-use",
    "maintenance",
    "quarantine",
    "recall",
    "lost",
    "transfer",
    "refurbish",
    "retired",
];

const LINE: &str = r#"
[[registration-authority]]
name = "ra.line-7"
profiles = ["idev"]
makers = ["brannoc"]
models = ["*"]
serials = ["*"]
quota = 100
"#;

fn cell(house: &House, profile: &str, stage: &str) -> Cell {
    let lifecycle = house.authority.config().lifecycle();
    lifecycle.cell(&profile.parse().unwrap(), &stage.parse().unwrap())
}

fn profile<'a>(house: &'a House, name: &str) -> &'a Profile {
    house.authority.config().profiles().get(&name.parse().unwrap()).unwrap()
}

fn assert_names_stage_and_profile(reply: &Reply, stage: &str, profile: &str) {
    assert_eq!(reply.status, 403, "{profile} at {stage}: {}", reply.text());
    assert!(reply.text().contains(&format!("stage {stage}")), "{}", reply.text());
    assert!(reply.text().contains(&format!("profile {profile}")), "{}", reply.text());
}

/// First enrolment, every profile at every stage, by every proof the profile takes: as the matrix says and not otherwise.
#[tokio::test]
async fn first_enrolment_is_allowed_exactly_where_the_matrix_says() {
    let brannoc = Maker::root("Brannoc Root");
    let house = House::with(|policy| {
        policy.write("manufacturers/brannoc.pem", &brannoc.pem());
        policy.append("roles.toml", LINE);
    })
    .await;
    let (_, line) = house.line("line-7").await;
    let mut issued = 0;
    for (i, name) in DEVICE_PROFILES.iter().enumerate() {
        for (j, stage) in STAGES.iter().enumerate() {
            for (k, proof) in profile(&house, name).authenticate_by().iter().enumerate() {
                let serial = format!("BR{i}{j:02}{k}");
                let id = house.register(&serial, stage).await;
                let birth = brannoc.birth(&serial);
                let ask = Ask::est(&format!("{name}/simpleenroll"), &request(&key()));
                let reply = match proof {
                    Proof::Token => {
                        let token = house.token(&id, name).await;
                        house.ask(None, &ask.basic(id.as_str(), &token)).await
                    }
                    Proof::BirthCertificate => house.ask(Some(&birth), &ask).await,
                    Proof::RegistrationAuthority => {
                        let key = key();
                        let csr = Csr::of(&key).named(&[(SERIAL_NUMBER, &serial)]).sign(&key);
                        house.ask(Some(&line), &Ask::est(&format!("{name}/simpleenroll"), &csr)).await
                    }
                };
                // Units taken over at these stages are claimed.
                let allowed = matches!(cell(&house, name, stage), Cell::Issue { .. });
                if allowed {
                    assert_eq!(reply.status, 200, "{name} at {stage}: {}", reply.text());
                    assert_eq!(house.certificates_of(&id)[0].stage_at_issue, Some(stage.parse().unwrap()));
                    issued += 1;
                } else {
                    assert_names_stage_and_profile(&reply, stage, name);
                    assert!(house.certificates_of(&id).is_empty(), "{name} at {stage}");
                    assert!(
                        house.told(&id).iter().any(|what| what.contains("stage")),
                        "the refusal is on record"
                    );
                }
            }
        }
    }
    // idev by token and by a line at 2 stages, ldev and tls by 2 proofs at 1, remed by birth at 2, maint nowhere.
    assert_eq!(issued, 4 + 2 + 2 + 2);
}

/// For once everything may be issued everywhere, so that certificates exist where the shipped matrix allows none.
fn generous(policy: &Policy) {
    let text = policy.read("lifecycle.toml");
    let (rules, _) = text.split_once("[matrix.idev]").unwrap();
    let row: String =
        STAGES.iter().filter(|s| **s != "retired").map(|stage| format!("{stage} = \"issue\"\n")).collect();
    let matrix: String = DEVICE_PROFILES.iter().map(|name| format!("[matrix.{name}]\n{row}")).collect();
    policy.write("lifecycle.toml", &format!("{rules}{matrix}"));
}

/// Renewal, every profile at every stage, with certificates that are good: as the matrix says and not otherwise.
#[tokio::test]
async fn renewal_is_allowed_exactly_where_the_matrix_says() {
    let shipped = std::fs::read_to_string(crate::support::shipped().join("lifecycle.toml")).unwrap();
    let house = House::with(generous).await;
    let mut held: Vec<(&str, &str, HolderId, Card)> = Vec::new();
    for (i, name) in ["idev", "ldev", "tls", "maint"].into_iter().enumerate() {
        for (j, stage) in STAGES.into_iter().enumerate().filter(|(_, stage)| *stage != "retired") {
            let id = house.register(&format!("BR{i}{j:02}"), stage).await;
            let card = house.enrolled(&id, name).await;
            held.push((name, stage, id, card));
        }
    }
    let house = house.reopened(|policy| policy.write("lifecycle.toml", &shipped)).await;
    let mut renewed = 0;
    for (name, stage, id, card) in held {
        let csr = Csr::of(&card.key).repeating(&card.certificate()).sign(&card.key);
        let ask = Ask::est(&format!("{name}/simplereenroll"), &csr);
        let reply = house.ask(Some(&card), &ask).await;
        let renewable = profile(&house, name).renewal().is_some();
        if renewable && cell(&house, name, stage) != Cell::Never {
            assert_eq!(reply.status, 200, "{name} at {stage}: {}", reply.text());
            renewed += 1;
        } else if renewable {
            assert_names_stage_and_profile(&reply, stage, name);
        } else {
            assert_eq!(reply.status, 403, "{name} at {stage}: {}", reply.text());
            assert!(reply.text().contains("cannot be renewed"), "{}", reply.text());
        }
        let count = 1 + usize::from(reply.status == 200);
        assert_eq!(house.certificates_of(&id).len(), count, "{name} at {stage}");
    }
    assert_eq!(renewed, 6, "ldev and tls, each at deployment, clinical-use and maintenance");
}

/// A unit that nobody has claimed gets nothing, and is told so.
#[tokio::test]
async fn an_unclaimed_unit_is_told_to_be_claimed() {
    let house = House::open().await;
    let id = house.register("BR000001", "manufacturing").await;
    house.go(&id, "deployment").await;
    let token = house.token(&id, "ldev").await;
    let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
    let reply = house.ask(None, &ask).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("claimed"), "{}", reply.text());
    house.go(&id, "deployment").await;
    assert_eq!(house.ask(None, &ask).await.status, 200, "the token was not spent by the refusal");
}

/// Where only renewal is allowed, a birth certificate brings back a device whose certificate expired, and a token one
/// whose certificate was withdrawn (T13, T17, T19).
#[tokio::test]
async fn coming_back_in_clinical_use_takes_what_the_end_was() {
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    let card = house.enrolled(&id, "ldev").await;
    house.go(&id, "clinical-use").await;
    let by_birth = async || house.ask(Some(&birth), &Ask::est("simpleenroll", &request(&key()))).await;
    let still_good = by_birth().await;
    assert_names_stage_and_profile(&still_good, "clinical-use", "ldev");
    assert!(still_good.text().contains("simplereenroll"), "{}", still_good.text());

    house.clock.set(card.certificate().not_after() + HOUR);
    let back = by_birth().await;
    assert_eq!(back.status, 200, "it merely expired: {}", back.text());

    house.revoke(back.certificate().serial().unwrap(), vitae::ids::Reason::Superseded).await;
    let revoked = by_birth().await;
    assert_names_stage_and_profile(&revoked, "clinical-use", "ldev");
    assert!(revoked.text().contains("token"), "{}", revoked.text());
    assert!(house.enrolled(&id, "ldev").await.certificate().not_after() > card.certificate().not_after());
}

/// The server's clock was a year ahead for a while: a device that renewed in that time has a certificate that is good for
/// nothing yet. It comes back by itself, and nobody takes it for a copy.
#[tokio::test]
async fn a_certificate_from_a_clock_that_was_ahead_does_not_keep_a_device_out() {
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    let first = key();
    let enroll = Ask::est("simpleenroll", &request(&first));
    let first = Card::new(&first, &house.ask(Some(&birth), &enroll).await.certificate());
    house.go(&id, "clinical-use").await;
    let right = house.clock.now();
    house.clock.advance(50 * DAY);
    house.authority.upkeep().await.unwrap();
    let early = renewed(&house, &first, &key()).await;
    house.clock.set(right);
    house.authority.upkeep().await.unwrap();

    let reply = renew_with(&house, &early, "ldev", &key()).await;
    assert!(reply.status == 403 && reply.text().contains("not valid yet"), "{}", reply.text());
    let next = key();
    let again = Ask::est("simpleenroll", &request(&next));
    // Its rate was counted in a time that has not come yet, which costs it one wait.
    assert_eq!(house.ask(Some(&birth), &again).await.status, 503);
    house.clock.advance(HOUR);
    let reply = house.ask(Some(&birth), &again).await;
    let back = Card::new(&next, &reply.certificate());
    assert_eq!(renew_with(&house, &back, "ldev", &key()).await.status, 200);
    assert!(house.told(&id).iter().all(|what| !what.contains("suspected")));
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// The whole life of one pump, as the lifecycle was written for: each move with what it does.
#[tokio::test]
async fn the_life_of_a_pump() {
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    let enroll = Ask::est("simpleenroll", &request(&key()));
    let first = house.ask(Some(&birth), &enroll).await.certificate();
    house.go(&id, "clinical-use").await;
    let moved = house.go(&id, "quarantine").await;
    assert_eq!(moved.held, [first.serial().unwrap()]);
    assert_eq!(house.status_of(moved.held[0]), "held");
    let remed = Ask::est("remed/simpleenroll", &request(&key()));
    let remediation = house.ask(Some(&birth), &remed).await.certificate();
    let moved = house.go(&id, "maintenance").await;
    let mut both = [first.serial().unwrap(), remediation.serial().unwrap()];
    both.sort();
    let mut revoked = moved.revoked.clone();
    revoked.sort();
    assert_eq!(revoked, both);
    let second = house.enrolled(&id, "ldev").await;
    house.go(&id, "clinical-use").await;
    let moved = house.go(&id, "retired").await;
    assert_eq!((moved.transition.as_str(), &moved.revoked), ("T23", &vec![second.serial()]));
    assert_eq!(
        house.status_of(birth.serial()),
        "good",
        "kept: it proves what the device is, not what it may"
    );
    for label in DEVICE_PROFILES {
        let ask = Ask::est(&format!("{label}/simpleenroll"), &request(&key()));
        let reply = house.ask(Some(&birth), &ask).await;
        assert_eq!(reply.status, 403, "{label}: {}", reply.text());
        if ["ldev", "tls", "remed"].contains(&label) {
            assert_names_stage_and_profile(&reply, "retired", label);
        }
    }
}
