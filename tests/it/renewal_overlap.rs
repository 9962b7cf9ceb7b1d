//! The old certificate stays good until the new one is first used or the overlap ends (E38, E47, B02, B44, B54).

use std::time::Duration;

use vitae::clock::{Clock, Timestamp};
use vitae::ids::{HolderId, Reason};

use crate::support::csr::{Csr, Key, key, request};
use crate::support::ocsp::Said;
use crate::support::wire::{Ask, Card, Reply};
use crate::support::{DAY, HOUR, House, Policy};

pub(crate) async fn renew_with(house: &House, card: &Card, label: &str, key: &Key) -> Reply {
    let csr = Csr::of(key).repeating(&card.certificate()).sign(key);
    house.ask(Some(card), &Ask::est(&format!("{label}/simplereenroll"), &csr)).await
}

pub(crate) async fn renewed(house: &House, card: &Card, key: &Key) -> Card {
    Card::new(key, &renew_with(house, card, "ldev", key).await.certificate())
}

/// Reads the CA certificates, as a client does that has just received its certificate.
pub(crate) async fn read(house: &House, card: Option<&Card>) {
    assert_eq!(house.ask(card, &Ask::get("/.well-known/est/cacerts")).await.status, 200);
}

/// The first use ends the old certificate in the same moment: by OCSP at once, by the list with the next upkeep.
#[tokio::test]
async fn the_first_use_of_the_new_certificate_ends_the_old_one() {
    let house = House::open().await;
    let (id, old) = house.working("BR000001").await;
    let new = renewed(&house, &old, &key()).await;
    assert_eq!(house.ocsp("operational", old.serial()).await, Said::Good);
    assert_eq!(house.status_of(old.serial()), "good", "the new one may not have arrived");

    let before = house.events();
    read(&house, None).await;
    read(&house, Some(&old)).await;
    assert_eq!(house.events(), before, "B54: neither a stranger nor the old certificate leaves a trace");
    read(&house, Some(&new)).await;
    assert_eq!(house.events(), before + 1);
    assert_eq!(house.ocsp("operational", old.serial()).await, Said::Revoked(4));
    assert_eq!(house.ocsp("operational", new.serial()).await, Said::Good);
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.crl("operational").await.reason_of(old.serial()), Some(4));
    let listed = house.events();
    for _ in 0..3 {
        read(&house, Some(&new)).await;
        house.authority.upkeep().await.unwrap();
    }
    assert_eq!(house.events(), listed, "once");
    let told = house.told(&id);
    assert!(
        told.iter().any(|what| what.ends_with(&format!("superseded: {} was used", new.serial()))),
        "{told:?}"
    );
}

/// Asking for the next certificate is a use as well: one commit for both.
#[tokio::test]
async fn the_next_renewal_ends_the_old_one_in_the_same_commit() {
    let house = House::open().await;
    let (_, first) = house.working("BR000001").await;
    let second = renewed(&house, &first, &key()).await;
    let before = house.events();
    let third = renewed(&house, &second, &key()).await;
    assert_eq!(house.events(), before + 2, "the issuance and what it ends");
    assert_eq!(house.status_of(first.serial()), "revoked");
    assert_eq!(house.status_of(second.serial()), "good");
    read(&house, Some(&third)).await;
    assert_eq!(house.status_of(second.serial()), "revoked");
}

/// Policy may let the old one expire by itself: it is good meanwhile, and can ask for nothing more.
#[tokio::test]
async fn without_an_overlap_the_old_one_expires() {
    let house = House::with(|policy| policy.replace("profiles/ldev.toml", "overlap = \"2d\"\n", "")).await;
    let (_, old) = house.working("BR000001").await;
    let next = key();
    let new = renewed(&house, &old, &next).await;
    let before = house.events();
    read(&house, Some(&new)).await;
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.events(), before, "nothing ends early");
    assert_eq!(house.ocsp("operational", old.serial()).await, Said::Good);
    // An answer that was lost is still found again; another key is still a copy's.
    assert_eq!(renewed(&house, &old, &next).await.serial(), new.serial());
    assert_eq!(renew_with(&house, &old, "ldev", &key()).await.status, 403);
    assert_eq!(house.status_of(old.serial()), "held", "the quarantine holds all of its certificates");
}

/// Nobody uses the new one: upkeep ends the old one when the overlap is over, once, and a pile of them as well.
#[tokio::test]
async fn the_end_of_the_overlap_ends_the_old_one() {
    let house = House::open().await;
    let mut cards = Vec::new();
    // More than one commit takes.
    for n in 0..70 {
        let (_, old) = house.working(&format!("BR{n:06}")).await;
        renewed(&house, &old, &key()).await;
        cards.push(old);
    }
    // 'overlap' of profiles/ldev.toml.
    house.clock.advance(2 * DAY - Duration::from_secs(2));
    house.authority.upkeep().await.unwrap();
    assert!(cards.iter().all(|card| house.status_of(card.serial()) == "good"));
    house.clock.advance(Duration::from_secs(2));
    house.authority.upkeep().await.unwrap();
    let list = house.crl("operational").await;
    for card in &cards {
        assert_eq!(house.status_of(card.serial()), "revoked");
        assert_eq!(list.reason_of(card.serial()), Some(4));
    }
    let events = house.events();
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.events(), events);
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// What expires within its overlap needs no end of its own: the list does not fill up with it.
#[tokio::test]
async fn what_expires_within_the_overlap_is_never_listed() {
    let house = House::open().await;
    let (_, old) = house.working("BR000001").await;
    house.clock.set(old.certificate().not_after() - DAY);
    house.authority.upkeep().await.unwrap();
    let new = renewed(&house, &old, &key()).await;
    house.clock.advance(3 * DAY);
    house.authority.upkeep().await.unwrap();
    read(&house, Some(&new)).await;
    assert_eq!(house.status_of(old.serial()), "expired");
    assert_eq!(house.crl("operational").await.reason_of(old.serial()), None);
}

/// Nor does what expired while nobody looked.
#[tokio::test]
async fn what_expired_unattended_is_not_listed_afterwards() {
    let house = House::open().await;
    let (_, old) = house.working("BR000001").await;
    renewed(&house, &old, &key()).await;
    house.clock.set(old.certificate().not_after() + HOUR);
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.status_of(old.serial()), "expired");
    let events = house.events();
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.events(), events);
    assert_eq!(house.crl("operational").await.reason_of(old.serial()), None);
}

/// A hold is not overlooked: what comes back from it after its overlap ends then.
#[tokio::test]
async fn a_hold_outlasts_the_overlap() {
    let house = House::open().await;
    let (id, old) = house.working("BR000001").await;
    house.go(&id, "clinical-use").await;
    renewed(&house, &old, &key()).await;
    house.go(&id, "quarantine").await;
    house.clock.advance(3 * DAY);
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.status_of(old.serial()), "held", "what a person has stopped stays as it is");
    house.go(&id, "clinical-use").await;
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.status_of(old.serial()), "revoked");
}

/// Certificates of a profile without [renewal] do not end one another.
#[tokio::test]
async fn what_is_not_renewed_does_not_supersede() {
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    house.go(&id, "refurbish").await;
    let again = house.enrolled(&id, "idev").await;
    read(&house, Some(&again)).await;
    house.clock.advance(30 * DAY);
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.status_of(birth.serial()), "good");
    let view = house.authority.certificate(&house.operator(), &again.serial()).unwrap();
    assert_eq!((view.replaces, view.overlap_ends), (Some(birth.serial()), None), "the trace goes on");
}

/// A device that enrols anew goes on with its lineage; how it did is what the proof says.
#[tokio::test]
async fn enrolling_anew_continues_the_lineage() {
    let house = House::open().await;
    let (id, first) = house.working("BR000001").await;
    let second = house.enrolled(&id, "ldev").await;
    let view = |card: &Card| house.authority.certificate(&house.operator(), &card.serial()).unwrap();
    assert_eq!(view(&second).replaces, Some(first.serial()));
    assert_eq!(house.status_of(first.serial()), "good");
    read(&house, Some(&second)).await;
    assert_eq!(house.status_of(first.serial()), "revoked");
    house.revoke(second.serial(), Reason::CessationOfOperation).await;
    let third = house.enrolled(&id, "ldev").await;
    assert_eq!(view(&third).replaces, Some(second.serial()), "what was revoked, too");
    let device = house.authority.device(&house.operator(), &id).unwrap();
    assert_eq!(device.current[&"ldev".parse().unwrap()], third.serial());
    let trace = house.authority.trace(&house.operator(), &third.serial(), None).unwrap();
    assert_eq!(trace.enrolment.serial, first.serial());
    assert!(house.told(&id).iter().any(|what| what.contains(&format!("in place of {}", second.serial()))));
}

/// Machines that share a name are not each other's past: only their own lineage counts.
#[tokio::test]
async fn replicas_live_side_by_side() {
    let house = House::open().await;
    let id = house.register_identity("service", "telemetry").await;
    let (one, other) = (house.enrolled(&id, "svc").await, house.enrolled(&id, "svc").await);
    for card in [&one, &other] {
        let next = key();
        let next = Card::new(&next, &renew_with(&house, card, "svc", &next).await.certificate());
        read(&house, Some(&next)).await;
        assert_eq!(house.status_of(card.serial()), "revoked");
        assert_eq!(renew_with(&house, &next, "svc", &key()).await.status, 200);
    }
}

/// E47, B44: however late it is repeated, the same request with the same key gets the same certificate.
#[tokio::test]
async fn a_lost_answer_is_found_again_while_its_certificate_is_good() {
    let house = House::open().await;
    let (id, old) = house.working("BR000001").await;
    let next = key();
    let new = renewed(&house, &old, &next).await;
    let again = async |when: &str| {
        let events = house.events();
        let reply = renew_with(&house, &old, "ldev", &next).await;
        assert_eq!(reply.certificate().der(), new.certificate().der(), "{when}");
        assert_eq!(house.events(), events, "{when}");
    };
    again("at once").await;
    house.clock.advance(2 * DAY);
    again("the overlap is over").await;
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.status_of(old.serial()), "revoked");
    again("and was ended").await;
    read(&house, Some(&new)).await;
    again("the new one was used, and lost").await;
    house.clock.set(new.certificate().not_after());
    again("the old one has expired").await;
    house.clock.advance(DAY);
    let late = renew_with(&house, &old, "ldev", &next).await.certificate();
    assert_ne!(late.der(), new.certificate().der(), "the lost one has expired: the next of the same key");
    let view = house.authority.certificate(&house.operator(), &late.serial().unwrap()).unwrap();
    assert_eq!(view.replaces, Some(new.serial()));
    assert!(house.told(&id).iter().all(|what| !what.contains("suspected") && !what.contains("refused")));
}

/// B02: what a person has revoked gets nothing, not even what was lost; nor does what its successor's end has ended.
#[tokio::test]
async fn what_was_withdrawn_is_given_nothing_again() {
    let house = House::open().await;
    for (n, reason, of_the_new, word) in [
        (1, Reason::Superseded, false, "certificate is revoked"),
        (2, Reason::CertificateHold, false, "on hold"),
        (3, Reason::KeyCompromise, true, "replaced by one that is revoked"),
        (4, Reason::CertificateHold, true, "replaced by one that is on hold"),
    ] {
        let (id, old) = house.working(&format!("BR00000{n}")).await;
        let next = key();
        let new = renewed(&house, &old, &next).await;
        house.revoke(if of_the_new { new.serial() } else { old.serial() }, reason).await;
        let reply = renew_with(&house, &old, "ldev", &next).await;
        assert_eq!(reply.status, 403);
        let text = reply.text();
        if reason == Reason::KeyCompromise {
            assert!(text.contains(word) || text.contains("compromised"), "{text}");
        } else {
            assert!(text.contains(word), "{text}");
        }
        assert!(house.told(&id).iter().all(|what| !what.contains("suspected")));
        assert_eq!(house.certificates_of(&id).len(), 2);
    }
}

/// A certificate that had its time can still be reported compromised: the reason is what verifiers of the past need.
#[tokio::test]
async fn a_superseded_certificate_can_be_compromised() {
    let house = House::open().await;
    let (_, old) = house.working("BR000001").await;
    let new = renewed(&house, &old, &key()).await;
    read(&house, Some(&new)).await;
    assert!(house.try_revoke(old.serial(), Reason::CessationOfOperation).await.is_err());
    house.revoke(old.serial(), Reason::KeyCompromise).await;
    assert_eq!(house.ocsp("operational", old.serial()).await, Said::Revoked(1));
    assert_eq!(house.crl("operational").await.reason_of(old.serial()), Some(1));
    assert!(house.try_revoke(old.serial(), Reason::KeyCompromise).await.is_err());
    assert!(house.authority.verify_log(&house.operator()).unwrap().is_sound());
}

/// A key whose certificate has been replaced is no way back to it.
#[tokio::test]
async fn a_first_enrolment_does_not_bring_back_what_was_replaced() {
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    let old = key();
    let ask = Ask::est("simpleenroll", &request(&old));
    let first = house.ask(Some(&birth), &ask).await.certificate();
    assert_eq!(house.ask(Some(&birth), &ask).await.certificate().der(), first.der());
    let second = Ask::est("simpleenroll", &request(&key()));
    assert_eq!(house.ask(Some(&birth), &second).await.status, 200);
    let reply = house.ask(Some(&birth), &ask).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(reply.text().contains("was replaced"), "{}", reply.text());
    assert_eq!(house.certificates_of(&id).len(), 3);
}

/// To a later time, with what is due until then: the listeners' certificate does not live for ever.
async fn let_pass(house: &House, until: Timestamp) {
    house.clock.set(until);
    house.authority.upkeep().await.unwrap();
}

/// B04: late by the grace at most, and it is told; the way out after it is named.
#[tokio::test]
async fn an_expired_certificate_is_renewed_within_its_grace() {
    let house = House::open().await;
    let (id, old) = house.working("BR000001").await;
    // 'grace' of profiles/ldev.toml, and one of none.
    let_pass(&house, old.certificate().not_after() + 30 * DAY).await;
    let new = renewed(&house, &old, &key()).await;
    assert!(house.clock.now() < new.certificate().not_after());
    let told = house.told(&id);
    let end = old.certificate().not_after();
    assert!(told.iter().any(|what| what.contains(&format!("(expired at {end})"))), "{told:?}");
    assert_eq!(house.status_of(old.serial()), "expired");

    let_pass(&house, new.certificate().not_after() + 30 * DAY + Duration::from_secs(1)).await;
    let reply = renew_with(&house, &new, "ldev", &key()).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("a birth certificate or a token"), "{}", reply.text());
    let back = house.enrolled(&id, "ldev").await;
    let view = house.authority.certificate(&house.operator(), &back.serial()).unwrap();
    assert_eq!(view.replaces, Some(new.serial()));

    let service = house.register_identity("service", "telemetry").await;
    let card = house.enrolled(&service, "svc").await;
    let_pass(&house, card.certificate().not_after() + Duration::from_secs(1)).await;
    assert_eq!(renew_with(&house, &card, "svc", &key()).await.status, 403, "a grace of 0s is none");
}

/// B04, B02: leave to be late is leave for nothing else.
#[tokio::test]
async fn grace_excuses_lateness_alone() {
    let house = House::open().await;
    house.clock.advance(2 * DAY);
    let (_, early) = house.working("BR000001").await;
    let tls = house.tls(Some(&early));
    house.clock.set(early.certificate().not_before() - HOUR);
    let mut wire = crate::support::wire::connect_tls(house.addresses.est, tls).await.unwrap();
    let csr = Csr::of(&early.key).repeating(&early.certificate()).sign(&early.key);
    let reply = wire.ask(&Ask::est("simplereenroll", &csr)).await.unwrap();
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("not valid yet"), "{}", reply.text());

    for (n, reason) in [(2, Reason::CessationOfOperation), (3, Reason::CertificateHold)] {
        let (id, card) = house.working(&format!("BR00000{n}")).await;
        house.revoke(card.serial(), reason).await;
        let_pass(&house, card.certificate().not_after() + HOUR).await;
        assert_eq!(renew_with(&house, &card, "ldev", &key()).await.status, 403, "{reason}");
        assert_eq!(house.certificates_of(&id).len(), 1);
    }
    let (id, card) = house.working("BR000004").await;
    let_pass(&house, card.certificate().not_after() + HOUR).await;
    house.go(&id, "lost").await;
    let reply = renew_with(&house, &card, "ldev", &key()).await;
    assert!(reply.status == 403 && reply.text().contains("stage lost"), "{}", reply.text());
}

fn with_key_rule(rule: &str) -> impl Fn(&Policy) {
    move |policy: &Policy| {
        policy.replace("profiles/ldev.toml", "key = \"any\"", &format!("key = \"{rule}\""));
    }
}

/// E38: a profile may want the same key, or a new one; what was answered already is answered again.
#[tokio::test]
async fn the_profile_says_which_key_renews() {
    for (rule, word) in [("same", "another"), ("new", "new key")] {
        let house = House::with(with_key_rule(rule)).await;
        let (id, old): (HolderId, Card) = house.working("BR000001").await;
        let (good, bad) = if rule == "same" { (old.key.clone(), key()) } else { (key(), old.key.clone()) };
        let reply = renew_with(&house, &old, "ldev", &bad).await;
        assert_eq!(reply.status, 403, "{rule}");
        assert!(reply.text().contains(word), "{}", reply.text());
        assert_eq!(house.certificates_of(&id).len(), 1);
        let new = renewed(&house, &old, &good).await;
        assert_eq!(renewed(&house, &old, &good).await.chain, new.chain, "{rule}");
        let next = if rule == "same" { good } else { key() };
        assert_eq!(renew_with(&house, &new, "ldev", &next).await.status, 200, "{rule}");
    }
}
