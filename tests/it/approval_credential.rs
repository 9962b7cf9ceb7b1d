//! Who may fetch what was approved: the client that asked, and no other (B17); and what becomes of its token.

use std::time::Duration;

use vitae::authority::Failed;
use vitae::ids::Digest;

use crate::support::approval::{by_hand, enroll, pending};
use crate::support::csr::{key, request};
use crate::support::maker::Maker;
use crate::support::wire::Ask;
use crate::support::{DAY, HOUR, House};

/// B17: the very same request under any other good credential, of the same device or of another, before and after the
/// grant: refused, the entry as it was.
#[tokio::test]
async fn no_other_client_fetches_what_was_approved() {
    let house = House::with(by_hand).await;
    let (id, birth) = house.born("BR000001").await;
    let (other, thief) = house.born("BR000002").await;
    let (own, others) = (house.token(&id, "ldev").await, house.token(&other, "ldev").await);
    let key = key();
    let ask = enroll(&key);
    let entry = pending(&house.ask(Some(&birth), &ask).await);
    for granted in [false, true] {
        if granted {
            house.grant(entry).await;
        }
        let before = house.approval(entry);
        for (case, card, ask) in [
            ("another device's birth certificate", Some(&thief), ask.clone()),
            ("another device's token", None, ask.clone().basic(other.as_str(), &others)),
            ("a token of the same device", None, ask.clone().basic(id.as_str(), &own)),
            ("a token beside the certificate that asked", Some(&birth), ask.clone().basic("", &own)),
        ] {
            let reply = house.ask(card, &ask).await;
            assert_eq!(reply.status, 403, "{case}: {}", reply.text());
            assert!(reply.text().contains("another client"), "{case}: {}", reply.text());
        }
        assert_eq!(house.ask(None, &ask).await.status, 401);
        assert_eq!(house.approval(entry), before);
        assert_eq!(house.certificates_of(&id).len() + house.certificates_of(&other).len(), 2);
    }
    // A new key of the thief's own is its own request; it has not become the victim's.
    let thiefs = pending(&house.ask(Some(&thief), &enroll(&self::key())).await);
    assert_eq!(house.approval(thiefs).device, other);
    let certificate = house.ask(Some(&birth), &ask).await.certificate();
    let view = house.authority.certificate(&house.operator(), &certificate.serial().unwrap()).unwrap();
    assert_eq!(view.device, id);
}

/// B17 with two certificates of one maker for one serial number: both prove the device, only one has asked.
#[tokio::test]
async fn a_second_birth_certificate_is_another_client() {
    let maker = Maker::root("Brannoc Root");
    let pem = maker.pem();
    let house = House::with(|policy| {
        by_hand(policy);
        policy.write("manufacturers/brannoc.pem", &pem);
    })
    .await;
    house.register("BR000001", "deployment").await;
    let (first, second) = (maker.birth("BR000001"), maker.birth("BR000001"));
    let ask = enroll(&key());
    let entry = pending(&house.ask(Some(&first), &ask).await);
    house.grant(entry).await;
    assert_eq!(house.ask(Some(&second), &ask).await.status, 403);
    assert_eq!(house.ask(Some(&second), &enroll(&key())).await.status, 403);
    assert_eq!(house.standing(entry), "granted");
    assert_eq!(house.ask(Some(&first), &ask).await.status, 200);
}

/// A key that waits is taken: nobody gets it in between, not for another purpose and not where no approval is needed.
#[tokio::test]
async fn a_key_that_waits_is_nobody_elses() {
    let house = House::with(by_hand).await;
    let (_, birth) = house.born("BR000001").await;
    let made = house.register("BR000003", "manufacturing").await;
    let token = house.token(&made, "idev").await;
    let key = key();
    let entry = pending(&house.ask(Some(&birth), &enroll(&key)).await);
    // Births need no approval.
    let reply =
        house.ask(None, &Ask::est("idev/simpleenroll", &request(&key)).basic(made.as_str(), &token)).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    let reply = house.ask(Some(&birth), &Ask::est("tls/simpleenroll", &request(&key))).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    house.cancel(entry).await;
    let reply =
        house.ask(None, &Ask::est("idev/simpleenroll", &request(&key)).basic(made.as_str(), &token)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// A token is spent by the certificate, not by the request; it lives as long as the request, and for it alone.
#[tokio::test]
async fn a_token_waits_with_its_request() {
    let house = House::with(by_hand).await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let with = |ask: Ask| ask.basic(id.as_str(), &token);
    let ask = with(enroll(&key()));
    let entry = pending(&house.ask(None, &ask).await);
    let status = || house.authority.tokens(&house.operator(), Some(&id)).unwrap()[0].status.clone();
    assert_eq!(status(), "waiting");
    // Past its own end (an hour), it is good for this request and for nothing else.
    house.clock.advance(3 * DAY);
    assert_eq!(pending(&house.ask(None, &ask).await), entry);
    assert_eq!(house.ask(None, &with(enroll(&key()))).await.status, 409);
    let tls = house.ask(None, &with(Ask::est("tls/simpleenroll", &request(&key())))).await;
    assert_eq!(tls.status, 403, "{}", tls.text());
    house.grant(entry).await;
    assert_eq!(status(), "waiting");
    assert_eq!(house.ask(None, &with(enroll(&key()))).await.status, 409);
    assert!(house.certificates_of(&id).is_empty());
    let certificate = house.ask(None, &ask).await.certificate();
    assert_eq!(status(), "spent");
    let reply = house.ask(None, &ask).await;
    assert_eq!(reply.status, 401, "a token is good once, even so: {}", reply.text());
    // As without approvals: who has lost the answer gets it by another token and the same key.
    let another = house.token(&id, "ldev").await;
    let again = Ask { headers: Vec::new(), ..ask.clone() };
    let again = again.header("Content-Type", "application/pkcs10").basic(id.as_str(), &another);
    assert_eq!(house.ask(None, &again).await.certificate().der(), certificate.der());
    assert_eq!(house.certificates_of(&id).len(), 1);
}

/// When the request is over, an expired token is over too; one that is still good may ask anew.
#[tokio::test]
async fn a_token_does_not_outlive_its_request() {
    let house = House::with(|policy| {
        by_hand(policy);
        policy.replace("vitae.toml", "approval-expiry = \"7d\"", "approval-expiry = \"2h\"");
    })
    .await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let ask = enroll(&key()).basic(id.as_str(), &token);
    let entry = pending(&house.ask(None, &ask).await);
    house.grant(entry).await;
    house.clock.advance(2 * HOUR + Duration::from_millis(1));
    let reply = house.ask(None, &ask).await;
    assert_eq!(reply.status, 401);
    assert!(reply.text().contains("expired"), "{}", reply.text());

    let profile = "ldev".parse().unwrap();
    let long = house.authority.issue_token(&house.operator(), &id, Some(&profile), 10 * HOUR).await.unwrap();
    let ask = enroll(&key()).basic(id.as_str(), &long.secret);
    let first = pending(&house.ask(None, &ask).await);
    house.clock.advance(3 * HOUR);
    let second = pending(&house.ask(None, &ask).await);
    assert_ne!(first, second);
    house.cancel(second).await;
    let third = pending(&house.ask(None, &ask).await);
    assert_ne!(second, third);
}

/// Who cancels a token wants nothing to come of it: the request falls in the same commit, granted or not.
#[tokio::test]
async fn cancelling_the_token_cancels_its_request() {
    let house = House::with(by_hand).await;
    for (serial, granted) in [("BR000001", false), ("BR000002", true)] {
        let id = house.register(serial, "deployment").await;
        let token = house.token(&id, "ldev").await;
        let ask = enroll(&key()).basic(id.as_str(), &token);
        let entry = pending(&house.ask(None, &ask).await);
        if granted {
            house.grant(entry).await;
        }
        let before = house.events();
        let digest = Digest::of(token.as_bytes());
        house.authority.cancel_token(&house.operator(), &digest).await.unwrap();
        assert_eq!(house.events(), before + 2);
        assert_eq!(house.standing(entry), "cancelled");
        assert_eq!(house.told_of(&id, &["cancelled: its token was cancelled"]), 1);
        let reply = house.ask(None, &ask).await;
        assert_eq!(reply.status, 401);
        assert!(reply.text().contains("cancelled"), "{}", reply.text());
        let why = house.try_grant(entry).await.unwrap_err();
        assert!(
            matches!(&why, Failed::Refused(refused) if refused.to_string().contains("cancelled")),
            "{why}"
        );
        // The way is free for another token.
        let another = house.token(&id, "ldev").await;
        pending(&house.ask(None, &enroll(&key()).basic(id.as_str(), &another)).await);
    }
    // A token without a request is cancelled as ever.
    let id = house.register("BR000003", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let before = house.events();
    house.authority.cancel_token(&house.operator(), &Digest::of(token.as_bytes())).await.unwrap();
    assert_eq!(house.events(), before + 1);
}
