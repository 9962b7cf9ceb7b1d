//! Approval by hand at the EST door: 202 until an operator has spoken, then one certificate (E45, E46, E47, B44).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use vitae::authority::Approval;
use vitae::fleet::Proof;
use vitae::ids::Reason;

use crate::support::approval::{by_hand, enroll, pending};
use crate::support::csr::{CN, Csr, SERIAL_NUMBER, attribute, eku, key, request};
use crate::support::der::{oid, seq, tlv};
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, HOUR, House};

const CHALLENGE_PASSWORD: &str = "1.2.840.113549.1.9.7";

/// E45, E46: 202 with a whole number of seconds; the same request is the same entry and writes nothing; granted, the same
/// request is answered by the certificate, and the record says who approved it.
#[tokio::test]
async fn a_request_waits_and_is_answered_after_the_grant() {
    let house = House::with(|policy| {
        by_hand(policy);
        // What the value of a challengePassword has to be is another matter than whose request it is.
        policy.replace("profiles/ldev.toml", "binding = \"optional\"", "binding = \"ignored\"");
    })
    .await;
    let (id, birth) = house.born("BR000001").await;
    let key = key();
    let ask = enroll(&key);
    let before = house.events();
    let first = house.ask(Some(&birth), &ask).await;
    let entry = pending(&first);
    assert_eq!(first.header("retry-after"), Some("60"));
    assert_eq!(house.events(), before + 1);
    for _ in 0..3 {
        assert_eq!(pending(&house.ask(Some(&birth), &ask).await), entry);
    }
    // E46: re-signed, for another connection's channel binding, with other names of the same device.
    let secret = tlv(0x13, b"another exporter value");
    let mut bound = Csr::of(&key);
    bound.attributes.push(attribute(CHALLENGE_PASSWORD, &[secret]));
    let named = Csr::of(&key).named(&[(SERIAL_NUMBER, "BR000001")]);
    let resigned = [bound.sign(&key), named.sign(&key), request(&key)];
    for csr in resigned {
        let reply = house.ask(Some(&birth), &Ask::est("ldev/simpleenroll", &csr)).await;
        assert_eq!(pending(&reply), entry);
    }
    assert_eq!(house.events(), before + 1, "asking again writes nothing");
    let view = house.approval(entry);
    assert_eq!(
        (view.device.clone(), view.profile.as_str(), view.status.as_str()),
        (id.clone(), "ldev", "pending")
    );
    assert_eq!(view.proof, Proof::BirthCertificate { serial: birth.serial() });
    assert_eq!(view.source.map(|source| source.is_loopback()), Some(true));
    assert_eq!(view.expires, view.asked + 7 * DAY);
    assert_eq!(house.certificates_of(&id).len(), 1, "the birth certificate alone");

    house.clock.advance(HOUR);
    let granted = house.grant(entry).await;
    assert_eq!(
        (granted.status.as_str(), granted.decided_by.as_deref()),
        ("granted", Some("admin (local socket)"))
    );
    let certificate = house.ask(Some(&birth), &ask).await.certificate();
    assert_eq!(certificate.spki_der(), key.subject_public_key_info());
    let serial = certificate.serial().unwrap();
    let view = house.approval(entry);
    assert_eq!((view.status.as_str(), view.serial), ("issued", Some(serial)));

    let trace = house.authority.trace(&house.operator(), &serial, None).unwrap();
    let Approval { who, how, at } = trace.approved_by;
    assert_eq!((who.as_str(), at.time), ("admin (local socket)", granted.decided.unwrap()));
    assert!(how.contains(&entry.to_string()) && how.contains("ticket 17"), "{how}");
    let events: Vec<&str> = trace.events.iter().map(|line| line.what.as_str()).collect();
    assert!(
        events[0].starts_with("asked for approval") && events[1].contains("granted: ticket 17"),
        "{events:?}"
    );
    assert!(events[2].contains(&format!("approved ({entry})")), "{events:?}");
    let history = house.authority.history(&house.operator(), &id, None).unwrap();
    let grant = history.iter().find(|line| line.what.contains("granted")).unwrap();
    assert_eq!(grant.actor, "admin (local socket)");
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// E47, B44: what was answered is answered again by the same certificate, never by a second one or another wait.
#[tokio::test]
async fn an_answered_request_gets_the_same_certificate_again() {
    let house = House::with(by_hand).await;
    let (id, birth) = house.born("BR000001").await;
    let ask = enroll(&key());
    house.grant(pending(&house.ask(Some(&birth), &ask).await)).await;
    let first = house.ask(Some(&birth), &ask).await.certificate();
    let before = house.events();
    for _ in 0..3 {
        assert_eq!(house.ask(Some(&birth), &ask).await.certificate().der(), first.der());
    }
    assert_eq!(house.events(), before);
    assert_eq!(house.certificates_of(&id).len(), 2);

    // Another key is another request, and asks for an approval of its own.
    let entry = pending(&house.ask(Some(&birth), &enroll(&key())).await);
    assert_eq!(house.standing(entry), "pending");
    // Once the certificate is no longer good, its key is spent: the old approval is good for nothing more.
    house.revoke(first.serial().unwrap(), Reason::Superseded).await;
    let reply = house.ask(Some(&birth), &ask).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!(house.approvals().len(), 2);
}

/// A renewal waits for nobody, and neither does what policy does not name.
#[tokio::test]
async fn renewals_and_other_profiles_do_not_wait() {
    let house = House::with(by_hand).await;
    let (_, birth) = house.born("BR000001").await;
    let key = key();
    house.grant(pending(&house.ask(Some(&birth), &enroll(&key)).await)).await;
    let card = Card::new(&key, &house.ask(Some(&birth), &enroll(&key)).await.certificate());
    let next = self::key();
    let csr = Csr::of(&next).repeating(&card.certificate()).sign(&next);
    let renewed = house.ask(Some(&card), &Ask::est("ldev/simplereenroll", &csr)).await.certificate();
    let trace = house.authority.trace(&house.operator(), &renewed.serial().unwrap(), None).unwrap();
    assert_eq!(trace.approved_by.who, "policy");

    // By the profile, not by a stage: a machine identity.
    let service = house.register_identity("service", "telemetry").await;
    let token = house.token(&service, "svc").await;
    let ask = Ask::est("svc/simpleenroll", &request(&self::key())).basic("", &token);
    let entry = pending(&house.ask(None, &ask).await);
    house.grant(entry).await;
    assert_eq!(house.ask(None, &ask).await.status, 200);
    assert_eq!(house.approvals().len(), 2);
}

/// Whatever would be refused after the approval is refused before, and no operator is bothered with it.
#[tokio::test]
async fn what_can_never_be_issued_does_not_wait() {
    let house = House::with(by_hand).await;
    let (id, birth) = house.born("BR000001").await;
    let (_, other) = house.born("BR000002").await;
    let taken = key();
    house.grant(pending(&house.ask(Some(&other), &enroll(&taken)).await)).await;
    assert_eq!(house.ask(Some(&other), &enroll(&taken)).await.status, 200);
    let unclaimed = house.register("BR000003", "manufacturing").await;
    let unborn = house.enrolled(&unclaimed, "idev").await;
    house.go(&unclaimed, "deployment").await;
    let k = key();
    let ed25519 = Arc::new(KeyPair::generate_for(&PKCS_ED25519).unwrap());
    let mut other_kind = Csr::of(&ed25519);
    other_kind.algorithm = seq(&[&oid("1.3.101.112")]);
    let of = |csr: Vec<u8>| Ask::est("ldev/simpleenroll", &csr);
    let cases = [
        ("a key of another device", &birth, enroll(&taken), 409),
        ("the birth certificate's own key", &birth, enroll(&birth.key), 409),
        ("an unclaimed device", &unborn, enroll(&key()), 403),
        ("another's name", &birth, of(Csr::of(&k).named(&[(SERIAL_NUMBER, "BR000002")]).sign(&k)), 403),
        ("a name nobody knows", &birth, of(Csr::of(&k).named(&[(CN, "ward 7")]).sign(&k)), 403),
        ("another's usage", &birth, of(Csr::of(&k).asking(&[eku(&["1.3.6.1.5.5.7.3.1"])]).sign(&k)), 403),
        ("a kind of key that the profile does not take", &birth, of(other_kind.sign(&ed25519)), 400),
        ("a signature of nobody's", &birth, of(Csr::of(&k).signed_falsely()), 400),
    ];
    let waiting = house.approvals().len();
    for (case, card, ask, status) in cases {
        let reply = house.ask(Some(card), &ask).await;
        assert_eq!(reply.status, status, "{case}: {}", reply.text());
        assert_eq!(house.approvals().len(), waiting, "{case}");
    }
    let revoked = house.born("BR000004").await.1;
    house.revoke(revoked.serial(), Reason::KeyCompromise).await;
    assert_eq!(house.ask(Some(&revoked), &enroll(&key())).await.status, 403);
    assert_eq!(house.approvals().len(), waiting);
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// B54: who has not shown who it is makes nobody wait and leaves no trace.
#[tokio::test]
async fn strangers_write_nothing() {
    let house = House::with(by_hand).await;
    house.born("BR000001").await;
    let before = house.events();
    for ask in [
        enroll(&key()),
        enroll(&key()).basic("brannoc.P3.BR000001", "vt_guess"),
        enroll(&key()).basic("", ""),
        Ask::est("svc/simpleenroll", &request(&key())),
    ] {
        assert_eq!(house.ask(None, &ask).await.status, 401);
    }
    assert_eq!(house.events(), before);
    assert!(house.approvals().is_empty());
}

/// One request of a holder and profile waits at a time; the way out is said, and works.
#[tokio::test]
async fn another_key_has_to_wait_for_its_turn() {
    let house = House::with(by_hand).await;
    let (id, birth) = house.born("BR000001").await;
    let (first, second) = (enroll(&key()), enroll(&key()));
    let entry = pending(&house.ask(Some(&birth), &first).await);
    for granted in [false, true] {
        if granted {
            house.grant(entry).await;
        }
        let reply = house.ask(Some(&birth), &second).await;
        assert_eq!(reply.status, 409, "{}", reply.text());
        assert!(reply.text().contains(&format!("vitae approve cancel {entry}")), "{}", reply.text());
    }
    assert_eq!(house.told_of(&id, &["approval-with-other-key"]), 1, "once an hour");
    house.cancel(entry).await;
    assert_eq!(house.standing(entry), "cancelled");
    let next = pending(&house.ask(Some(&birth), &second).await);
    assert_ne!(next, entry);
    let reply = house.ask(Some(&birth), &first).await;
    assert_eq!(reply.status, 409, "what was granted and cancelled is not fetched: {}", reply.text());
    house.grant(next).await;
    assert_eq!(house.ask(Some(&birth), &second).await.status, 200);
}

/// The denied client is told the operator's reason, until the request expires; another key does not help it.
#[tokio::test]
async fn a_denial_is_told_until_it_expires() {
    let house = House::with(by_hand).await;
    let (id, birth) = house.born("BR000001").await;
    let ask = enroll(&key());
    let entry = pending(&house.ask(Some(&birth), &ask).await);
    house.deny(entry, "not on the delivery note").await;
    for ask in [&ask, &enroll(&key())] {
        let reply = house.ask(Some(&birth), ask).await;
        assert_eq!(reply.status, 403);
        assert!(reply.text().contains("denied") && reply.text().contains("not on the delivery note"));
        assert_eq!(reply.header("retry-after"), None);
    }
    assert_eq!(house.told_of(&id, &["refused: approval-denied"]), 1);
    house.clock.advance(7 * DAY - Duration::from_secs(1));
    assert_eq!(house.ask(Some(&birth), &ask).await.status, 403);
    house.clock.advance(Duration::from_secs(2));
    let again = pending(&house.ask(Some(&birth), &ask).await);
    assert_ne!(again, entry);
    assert_eq!((house.standing(entry), house.standing(again)), ("denied", "pending"));
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// Time alone ends what nobody decided, and what nobody fetched; nothing is written for it.
#[tokio::test]
async fn what_waits_too_long_expires() {
    let house = House::with(|policy| {
        by_hand(policy);
        policy.replace("vitae.toml", "approval-expiry = \"7d\"", "approval-expiry = \"2h\"");
        policy.replace("vitae.toml", "approval-retry = \"60s\"", "approval-retry = \"15m\"");
    })
    .await;
    let (id, birth) = house.born("BR000001").await;
    let ask = enroll(&key());
    let reply = house.ask(Some(&birth), &ask).await;
    assert_eq!(reply.header("retry-after"), Some("900"));
    let undecided = pending(&reply);
    house.clock.advance(2 * HOUR);
    assert_eq!(pending(&house.ask(Some(&birth), &ask).await), undecided, "to the very end");
    house.clock.advance(Duration::from_millis(1));
    let before = house.events();
    assert_eq!(house.standing(undecided), "expired");
    assert!(house.try_grant(undecided).await.unwrap_err().to_string().contains("expired"));
    assert_eq!(house.events(), before);

    let unfetched = pending(&house.ask(Some(&birth), &ask).await);
    assert_ne!(unfetched, undecided);
    house.grant(unfetched).await;
    house.clock.advance(2 * HOUR + Duration::from_millis(1));
    assert_eq!(house.standing(unfetched), "expired");
    let third = pending(&house.ask(Some(&birth), &ask).await);
    assert!(![undecided, unfetched].contains(&third), "an approval does not outlive its time");
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// All rules are decided again on the day of the fetch: an approval is no way round them.
#[tokio::test]
async fn a_grant_does_not_outweigh_the_stage() {
    let house = House::with(by_hand).await;
    let (id, birth) = house.born("BR000001").await;
    let ask = enroll(&key());
    let entry = pending(&house.ask(Some(&birth), &ask).await);
    house.grant(entry).await;
    house.go(&id, "quarantine").await;
    let reply = house.ask(Some(&birth), &ask).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("quarantine"), "{}", reply.text());
    house.go(&id, "retired").await;
    assert_eq!(house.ask(Some(&birth), &ask).await.status, 403);
    assert_eq!((house.standing(entry), house.certificates_of(&id).len()), ("cancelled", 1));

    // A birth certificate that is revoked after the grant fetches nothing either.
    let (id, birth) = house.born("BR000002").await;
    let ask = enroll(&key());
    house.grant(pending(&house.ask(Some(&birth), &ask).await)).await;
    house.revoke(birth.serial(), Reason::KeyCompromise).await;
    assert_eq!(house.ask(Some(&birth), &ask).await.status, 403);
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// What a move would have revoked, had it been fetched, is not fetched after it: neither what waits nor what was granted.
/// A denial stays.
#[tokio::test]
async fn an_approval_ends_with_the_life_that_it_was_given_for() {
    let house = House::with(by_hand).await;
    for (serial, verdict, after) in [
        ("BR000001", None, "cancelled"),
        ("BR000002", Some(true), "cancelled"),
        ("BR000003", Some(false), "denied"),
    ] {
        let (id, birth) = house.born(serial).await;
        let ask = enroll(&key());
        let entry = pending(&house.ask(Some(&birth), &ask).await);
        match verdict {
            Some(true) => drop(house.grant(entry).await),
            Some(false) => drop(house.deny(entry, "unknown unit").await),
            None => {}
        }
        // T20 revokes what the device had for its old owner, and T21 gives it to the next.
        house.go(&id, "transfer").await;
        assert_eq!(house.standing(entry), after);
        let told = house.told_of(&id, &["approval", &entry.to_string(), "T20"]);
        assert_eq!(told, usize::from(after == "cancelled"));
        house.go(&id, "deployment").await;
        let reply = house.ask(Some(&birth), &ask).await;
        if after == "denied" {
            assert_eq!(reply.status, 403, "{}", reply.text());
        } else {
            assert_ne!(pending(&reply), entry, "the operators of the next owner are asked anew");
        }
        assert_eq!(house.certificates_of(&id).len(), 1);
    }
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// A policy that no longer asks for an approval does not answer for the operators what they were asked.
#[tokio::test]
async fn what_was_asked_is_decided_even_when_policy_changes() {
    let house = House::with(by_hand).await;
    let (_, birth) = house.born("BR000001").await;
    let (_, denied) = house.born("BR000002").await;
    let (one, two) = (enroll(&key()), enroll(&key()));
    let waits = pending(&house.ask(Some(&birth), &one).await);
    let refused = pending(&house.ask(Some(&denied), &two).await);
    house.deny(refused, "unknown unit").await;
    let house = house.reopened(|policy| policy.replace("lifecycle.toml", " with approval", "")).await;
    assert_eq!(pending(&house.ask(Some(&birth), &one).await), waits);
    assert_eq!(house.ask(Some(&denied), &two).await.status, 403);
    house.grant(waits).await;
    assert_eq!(house.ask(Some(&birth), &one).await.status, 200);
    // Who was not asked yet is not asked now.
    let (_, third) = house.born("BR000003").await;
    assert_eq!(house.ask(Some(&third), &enroll(&key())).await.status, 200);
}

/// Entries, verdicts and the certificate survive a restart.
#[tokio::test]
async fn a_restart_forgets_nothing() {
    let house = House::with(by_hand).await;
    let (id, birth) = house.born("BR000001").await;
    let ask = enroll(&key());
    let entry = pending(&house.ask(Some(&birth), &ask).await);
    let house = house.reopened(|_| {}).await;
    assert_eq!(pending(&house.ask(Some(&birth), &ask).await), entry);
    house.grant(entry).await;
    let house = house.reopened(|_| {}).await;
    assert_eq!(house.ask(Some(&birth), &ask).await.status, 200);
    assert_eq!(house.standing(entry), "issued");
    assert_eq!(house.certificates_of(&id).len(), 2);
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

const AT_ONCE: usize = 16;

async fn at_once(house: &Arc<House>, card: &Card, asks: Vec<Ask>) -> Vec<Reply> {
    let barrier = Arc::new(Barrier::new(asks.len()));
    let mut tasks = JoinSet::new();
    for ask in asks {
        let (house, card, barrier) = (Arc::clone(house), card.clone(), Arc::clone(&barrier));
        tasks.spawn(async move {
            let mut wire = house.est(Some(&card)).await;
            barrier.wait().await;
            wire.ask(&ask).await.unwrap()
        });
    }
    tasks.join_all().await
}

/// E47: many first requests make one entry, many fetches one certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn polls_at_once_give_one_entry_and_one_certificate() {
    let house = Arc::new(House::with(by_hand).await);
    for round in 0..4 {
        let (id, birth) = house.born(&format!("BR{round:06}")).await;
        let same = enroll(&key());
        let replies = at_once(&house, &birth, vec![same.clone(); AT_ONCE]).await;
        let entries: BTreeSet<_> = replies.iter().map(pending).collect();
        assert_eq!(entries.len(), 1);
        assert_eq!(house.told_of(&id, &["asked for approval"]), 1);
        house.grant(*entries.first().unwrap()).await;
        let replies = at_once(&house, &birth, vec![same; AT_ONCE]).await;
        let issued: BTreeSet<_> = replies.iter().map(|reply| reply.certificate().der().to_vec()).collect();
        assert_eq!(issued.len(), 1);
        assert_eq!(house.certificates_of(&id).len(), 2);
    }
}

/// Sixteen keys at once: one waits, the others are told to wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_keys_at_once_one_waits() {
    let house = Arc::new(House::with(by_hand).await);
    let (id, birth) = house.born("BR000001").await;
    let replies = at_once(&house, &birth, (0..AT_ONCE).map(|_| enroll(&key())).collect()).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 202).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == 409).count(), AT_ONCE - 1);
    assert_eq!((house.approvals().len(), house.certificates_of(&id).len()), (1, 1));
}
