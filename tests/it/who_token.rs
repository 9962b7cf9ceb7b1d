//! Who asks, by token: unknown, spent, expired, cancelled, somebody else's (E24, B15, B48, B54).

use vitae::ids::Digest;

use crate::support::csr::{Csr, SERIAL_NUMBER, key, request};
use crate::support::wire::Ask;
use crate::support::{HOUR, House};

fn enroll(label: &str, user: &str, token: &str) -> Ask {
    Ask::est(&format!("{label}/simpleenroll"), &request(&key())).basic(user, token)
}

/// B15: each refusal by its status and words; strangers leave no trace, a known holder one event an hour for each reason.
#[tokio::test]
async fn tokens_that_are_not_good_are_refused() {
    let house = House::open().await;
    let one = house.register("BR000001", "deployment").await;
    let two = house.register("BR000002", "deployment").await;
    let spent = house.token(&one, "ldev").await;
    assert_eq!(house.ask(None, &enroll("ldev", one.as_str(), &spent)).await.status, 200);
    let cancelled = house.token(&one, "ldev").await;
    let digest = Digest::of(cancelled.as_bytes());
    house.authority.cancel_token(&house.operator(), &digest).await.unwrap();
    let for_tls = house.token(&one, "tls").await;
    let fresh = house.token(&one, "ldev").await;

    let strangers = [
        ("unknown token", one.as_str(), "vt_unknown".to_owned(), "does not exist"),
        ("another device's name", two.as_str(), fresh.clone(), "do not belong together"),
        ("no device's name", "brannoc.P3.NOBODY", fresh.clone(), "do not belong together"),
        ("the digest instead of the token", one.as_str(), digest.to_string(), "does not exist"),
        ("empty password", one.as_str(), String::new(), "does not exist"),
        ("a token in other case", one.as_str(), fresh.to_uppercase(), "does not exist"),
        ("the device's own serial", one.as_str(), "BR000001".to_owned(), "does not exist"),
    ];
    let before = house.events();
    for (case, user, token, words) in strangers {
        let reply = house.ask(None, &enroll("ldev", user, &token)).await;
        assert_eq!(reply.status, 401, "{case}: {}", reply.text());
        assert!(reply.text().contains(words), "{case}: {}", reply.text());
        assert!(reply.header("www-authenticate").is_some(), "{case}");
    }
    assert_eq!(house.events(), before, "B54");

    for (case, label, token, status, words) in [
        ("spent", "ldev", &spent, 401, "was used"),
        ("cancelled", "ldev", &cancelled, 401, "was cancelled"),
        ("for another label", "ldev", &for_tls, 403, "tls"),
        ("for the default label", "tls", &fresh, 403, "ldev"),
    ] {
        for _ in 0..3 {
            let reply = house.ask(None, &enroll(label, one.as_str(), token)).await;
            assert_eq!(reply.status, status, "{case}: {}", reply.text());
            assert!(reply.text().contains(words), "{case}: {}", reply.text());
        }
    }
    assert_eq!(house.events(), before + 2, "token-not-good and token-for-other-profile, once each");
    assert_eq!(house.certificates_of(&one).len(), 1);
    assert!(house.certificates_of(&two).is_empty());

    house.clock.advance(HOUR + std::time::Duration::from_secs(1));
    let reply = house.ask(None, &enroll("ldev", one.as_str(), &fresh)).await;
    assert_eq!(reply.status, 401);
    assert!(reply.text().contains("expired"), "{}", reply.text());
    assert_eq!(house.certificates_of(&one).len(), 1);
}

/// A token is no certificate: renewal needs the one that is renewed (E35).
#[tokio::test]
async fn a_token_does_not_renew() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    let token = house.token(&id, "ldev").await;
    let csr = Csr::of(&card.key).repeating(&card.certificate()).sign(&card.key);
    let before = house.events();
    let reply = house.ask(None, &Ask::est("simplereenroll", &csr).basic(id.as_str(), &token)).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert_eq!(house.ask(None, &Ask::est("simplereenroll", &csr)).await.status, 401);
    assert_eq!(house.events(), before);
}

/// Odd credentials are no credentials.
#[tokio::test]
async fn credentials_that_cannot_be_read_are_none() {
    let house = House::open().await;
    let before = house.events();
    for value in
        ["Basic", "Basic !!!", "Basic YWJj", "Bearer vt_x", "Digest username=\"a\"", "Basic /////w=="]
    {
        let ask = Ask::est("simpleenroll", &request(&key())).header("Authorization", value);
        assert_eq!(house.ask(None, &ask).await.status, 401, "{value}");
    }
    let long = format!("Basic {}", "QUFB".repeat(20_000));
    let ask = Ask::est("simpleenroll", &request(&key())).header("Authorization", &long);
    let reply = house.try_ask(None, &ask).await;
    assert!(reply.is_ok_and(|reply| [401, 431].contains(&reply.status)));
    assert_eq!(house.events(), before);
}

/// B48: every way to show an identity, at every operation, for somebody else's device: refused, and nothing issued.
#[tokio::test]
async fn no_identity_gets_a_certificate_of_another_device() {
    let house = House::open().await;
    let (victim, _) = house.working("BR000001").await;
    let (thief, birth) = house.born("BR000002").await;
    let work = house.enrolled(&thief, "ldev").await;
    let held = house.certificates_of(&victim).len() + house.certificates_of(&thief).len();

    let fresh = key();
    let naming = Csr::of(&fresh).named(&[(SERIAL_NUMBER, "BR000001")]);
    let as_victim = naming.sign(&fresh);
    let repeating = {
        let (_, card) = house.working("BR000003").await;
        Csr::of(&fresh).repeating(&card.certificate()).sign(&fresh)
    };
    let token = house.token(&thief, "ldev").await;
    let victims = house.token(&victim, "ldev").await;
    let enroll = || Ask::est("simpleenroll", &request(&fresh));
    let cases = [
        ("own token, other's user name", None, enroll().basic(victim.as_str(), &token), 401),
        (
            "own token, other's name in the request",
            None,
            Ask::est("simpleenroll", &as_victim).basic("", &token),
            403,
        ),
        ("own birth, other's name in the request", Some(&birth), Ask::est("simpleenroll", &as_victim), 403),
        ("own birth, other's token", Some(&birth), enroll().basic(victim.as_str(), &victims), 403),
        ("own work certificate, other's token", Some(&work), enroll().basic("", &victims), 403),
        ("own work certificate, first enrolment", Some(&work), enroll(), 403),
        (
            "own work certificate, other's name, renewal",
            Some(&work),
            Ask::est("simplereenroll", &repeating),
            403,
        ),
        ("own birth certificate, renewal", Some(&birth), Ask::est("simplereenroll", &repeating), 403),
        (
            "own birth certificate, renewal of births",
            Some(&birth),
            Ask::est("idev/simplereenroll", &repeating),
            403,
        ),
        (
            "own birth certificate at the birth label",
            Some(&birth),
            Ask::est("idev/simpleenroll", &request(&fresh)),
            403,
        ),
        (
            "own work certificate at another label",
            Some(&work),
            Ask::est("tls/simplereenroll", &repeating),
            403,
        ),
    ];
    for (case, card, ask, status) in cases {
        let reply = house.ask(card, &ask).await;
        assert_eq!(reply.status, status, "{case}: {}", reply.text());
        let now = house.certificates_of(&victim).len() + house.certificates_of(&thief).len();
        assert_eq!(now, held, "{case}");
    }
    // Both tokens have survived all this; one's own token beside one's own certificate is no contradiction.
    assert_eq!(house.ask(Some(&birth), &enroll().basic(thief.as_str(), &token)).await.status, 200);
    let reply = house.ask(None, &Ask::est("simpleenroll", &request(&key())).basic("", &victims)).await;
    assert_eq!(reply.status, 200);
}
