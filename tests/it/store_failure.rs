//! B47: the store fails or is locked at every point of the way. No certificate leaves, 503, nothing is recorded.

use std::sync::Arc;
use std::time::Duration;

use vitae::ids::Reason;
use vitae::pki::ocsp::{self, HashAlg, ParsedResponse};

use crate::support::House;
use crate::support::csr::{Csr, key, request};
use crate::support::ocsp::Said;
use crate::support::store::{Faulty, Switch, Trouble};
use crate::support::wire::Ask;

async fn house() -> (House, Switch) {
    let switch = Switch::new();
    let given = switch.clone();
    let house = House::on_store(move |inner| Arc::new(Faulty { inner, switch: given })).await;
    (house, switch)
}

/// B47: enrolment by token, by birth certificate, and renewal; on a store that cannot be read, and on one that cannot be written.
#[tokio::test]
async fn a_store_that_fails_lets_no_certificate_out() {
    let (house, switch) = house().await;
    let (id, birth) = house.born("BR000001").await;
    let work = house.enrolled(&id, "ldev").await;
    let token = house.token(&id, "ldev").await;
    let renewal = Csr::of(&work.key).repeating(&work.certificate()).sign(&work.key);
    let before = (house.events(), house.certificates_of(&id).len());
    for trouble in [Trouble::Snapshot, Trouble::Commit] {
        switch.set(trouble);
        for (case, card, ask) in [
            ("token", None, Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token)),
            ("birth certificate", Some(&birth), Ask::est("tls/simpleenroll", &request(&key()))),
            ("renewal", Some(&work), Ask::est("simplereenroll", &renewal)),
        ] {
            let reply = house.ask(card, &ask).await;
            assert_eq!(reply.status, 503, "{trouble:?}, {case}: {}", reply.text());
            assert!(reply.header("retry-after").unwrap().parse::<u32>().is_ok(), "E48: whole seconds");
            assert!(!reply.text().contains("disk"), "what is wrong is not the client's business");
        }
        // Trust anchors need no store.
        assert_eq!(house.ask(None, &Ask::get("/.well-known/est/cacerts")).await.status, 200);
        switch.set(Trouble::None);
        assert_eq!((house.events(), house.certificates_of(&id).len()), before, "{trouble:?}");
    }
    let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
    assert_eq!(house.ask(None, &ask).await.status, 200, "the token has outlived it all");
}

/// B47, the case that was seen: a lock that is not given back. No answer comes before the commit; a client that gives up gets
/// nothing, and its certificate is nowhere.
#[tokio::test]
async fn a_store_that_is_locked_lets_no_certificate_out() {
    let (house, switch) = house().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let before = house.events();
    switch.set(Trouble::Locked);
    let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
    let mut wire = house.est(None).await;
    wire.send(&ask.bytes()).await.unwrap();
    while switch.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    // The commit waits: there is nothing to be read, however long one waits for it.
    let answer = tokio::time::timeout(Duration::from_millis(200), wire.reply()).await;
    assert!(answer.is_err(), "{answer:?}");
    drop(wire);
    switch.set(Trouble::None);
    assert_eq!(house.events(), before);
    assert!(house.certificates_of(&id).is_empty());
    assert_eq!(house.ask(None, &ask).await.status, 200);
}

/// The same within the server's own limit of time: the answer is an error, not a certificate.
#[tokio::test]
async fn a_request_that_waits_too_long_is_answered_without_a_certificate() {
    let switch = Switch::new();
    let given = switch.clone();
    let edit = |policy: &crate::support::Policy| {
        policy.replace("vitae.toml", "request-timeout = \"30s\"", "request-timeout = \"1s\"");
    };
    let house = House::on_store_with(edit, move |inner| Arc::new(Faulty { inner, switch: given })).await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let before = house.events();
    switch.set(Trouble::Locked);
    let ask = Ask::est("simpleenroll", &request(&key())).basic(id.as_str(), &token);
    let reply = house.ask(None, &ask).await;
    assert_eq!(reply.status, 503);
    switch.set(Trouble::None);
    assert_eq!(house.events(), before);
    assert!(house.certificates_of(&id).is_empty());
}

/// Operators are told too, and nothing is half done: the move and its effects, the revocation, the registration.
#[tokio::test]
async fn nothing_is_half_done() {
    let (house, switch) = house().await;
    let (id, card) = house.working("BR000001").await;
    let before = house.events();
    for trouble in [Trouble::Snapshot, Trouble::Commit] {
        switch.set(trouble);
        assert!(house.try_go(&id, "retired").await.is_err());
        assert!(house.try_revoke(card.serial(), Reason::KeyCompromise).await.is_err());
        switch.set(Trouble::None);
        assert_eq!(house.events(), before, "{trouble:?}");
        assert_eq!(house.status_of(card.serial()), "good");
        assert_eq!(house.ocsp("operational", card.serial()).await, Said::Good);
    }
}

/// O32: OCSP does not guess when it cannot look; what was signed before goes on until it ends.
#[tokio::test]
async fn ocsp_says_try_later_when_it_cannot_look() {
    let (house, switch) = house().await;
    let (_, one) = house.working("BR000001").await;
    let (_, two) = house.working("BR000002").await;
    let kept = house.ocsp_request("operational", one.serial().as_bytes(), HashAlg::Sha1, None);
    let fresh = house.ocsp_request("operational", two.serial().as_bytes(), HashAlg::Sha1, None);
    let signed = house.post_ocsp(&kept).await.body;
    switch.set(Trouble::Snapshot);
    assert_eq!(house.post_ocsp(&kept).await.body, signed);
    let reply = house.post_ocsp(&fresh).await;
    assert_eq!(ocsp::parse_response(&reply.body).unwrap(), ParsedResponse::Error(3));
    assert!(reply.header("cache-control").unwrap().contains("no-store"));
    switch.set(Trouble::None);
    assert_eq!(house.ocsp("operational", two.serial()).await, Said::Good);
}
