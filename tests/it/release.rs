//! Holds and releases by serial number: what comes back, and what never does.

use vitae::authority::{Failed, ReleaseRefused, Released};
use vitae::fleet::release;
use vitae::ids::{Reason, Serial};

use crate::support::ocsp::Said;
use crate::support::{DAY, House};

impl House {
    async fn try_release(&self, serials: &[Serial]) -> Result<Released, Failed<ReleaseRefused>> {
        self.authority.release(&self.operator(), serials).await
    }
}

fn rule(outcome: Result<Released, Failed<ReleaseRefused>>) -> release::ReleaseRefused {
    match outcome {
        Err(Failed::Refused(ReleaseRefused::Rules(why))) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_held_comes_back() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    house.revoke(card.serial(), Reason::CertificateHold).await;
    assert_eq!(house.ocsp("operational", card.serial()).await, Said::Revoked(6));
    assert_eq!(house.crl("operational").await.reason_of(card.serial()), Some(6));
    let released = house.try_release(&[card.serial(), card.serial()]).await.unwrap();
    assert_eq!((released.serials.as_slice(), released.holders.as_slice()), (&[card.serial()][..], &[id][..]));
    assert_eq!(house.ocsp("operational", card.serial()).await, Said::Good);
    let list = house.crl("operational").await;
    assert_eq!(list.reason_of(card.serial()), None);
    assert_eq!(released.lists[0].number, list.number);
    assert!(matches!(rule(house.try_release(&[card.serial()]).await), release::ReleaseRefused::Good(_)));
}

/// What is not a hold can never be released, whatever the reason was.
#[tokio::test]
async fn what_is_revoked_for_good_stays_revoked() {
    let house = House::open().await;
    for (n, reason) in Reason::ALL.into_iter().filter(|reason| *reason != Reason::CertificateHold).enumerate()
    {
        let (_, card) = house.working(&format!("BR00000{n}")).await;
        house.revoke(card.serial(), Reason::CertificateHold).await;
        house.revoke(card.serial(), reason).await;
        let before = house.events();
        let why = rule(house.try_release(&[card.serial()]).await);
        assert!(matches!(why, release::ReleaseRefused::Revoked { .. }), "{why:?}");
        assert!(why.to_string().contains("enrol anew"), "{why}");
        assert_eq!(house.events(), before);
        assert_eq!(house.status_of(card.serial()), "revoked");
    }
}

/// A hold outlives its certificate: the answer says so and asks for a new enrolment.
#[tokio::test]
async fn what_has_expired_on_hold_is_told_and_not_released() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    let (_, other) = house.working("BR000002").await;
    house.revoke(card.serial(), Reason::CertificateHold).await;
    house.clock.advance(40 * DAY);
    let why = rule(house.try_release(&[card.serial()]).await);
    assert!(matches!(why, release::ReleaseRefused::Expired { .. }), "{why:?}");
    assert!(why.to_string().contains("expired") && why.to_string().contains("enrol anew"), "{why}");
    // All or none.
    house.clock.set(vitae::clock::Clock::now(&house.clock) - 40 * DAY);
    house.revoke(other.serial(), Reason::Superseded).await;
    assert!(house.try_release(&[card.serial(), other.serial()]).await.is_err());
    assert_eq!(house.status_of(card.serial()), "held");
    house.try_release(&[card.serial()]).await.unwrap();
}

/// A hold that a move made is ended by a move: releasing it by hand would go round quarantine, recall and loss.
#[tokio::test]
async fn the_hold_of_a_move_is_not_released_by_hand() {
    let house = House::open().await;
    let (id, card) = house.working("BR000001").await;
    house.go(&id, "quarantine").await;
    assert_eq!(house.status_of(card.serial()), "held");
    let why = rule(house.try_release(&[card.serial()]).await);
    assert!(
        matches!(&why, release::ReleaseRefused::Moved { transition, .. } if transition == "T12"),
        "{why:?}"
    );
    house.go(&id, "clinical-use").await;
    assert_eq!(house.status_of(card.serial()), "good");
}

/// An unknown number, and none at all.
#[tokio::test]
async fn nothing_is_released_by_mistake() {
    let house = House::open().await;
    let unknown = Serial::from_bytes([7; 16]);
    assert!(matches!(rule(house.try_release(&[unknown]).await), release::ReleaseRefused::Unknown(_)));
    let why = house.try_release(&[]).await.unwrap_err();
    assert_eq!(why, Failed::Refused(ReleaseRefused::Nothing));
}
