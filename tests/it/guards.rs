//! What an operator, too, may not do: guards that hold whoever asks.

use vitae::authority::{Failed, MoveRefused, RegisterRefused, RevokeRefused};
use vitae::fleet::movement::{Details, MoveRefused as Move};
use vitae::fleet::register::{NewDevice, RegisterRefused as Register};
use vitae::fleet::revoke::RevokeRefused as Revoke;
use vitae::ids::Reason;

use crate::support::House;

/// Certificates join model and serial number: two units that read alike there could not be told apart.
#[tokio::test]
async fn no_two_devices_read_alike() {
    let house = House::open().await;
    let new = |maker: &str, model: &str, serial: &str| NewDevice {
        maker: maker.parse().unwrap(),
        model: model.to_owned(),
        serial: serial.to_owned(),
        udi_di: None,
        site: None,
        lot: None,
        owner: None,
        stage: None,
    };
    let register = |new| {
        let operator = house.operator();
        let authority = &house.authority;
        async move { authority.register_device(&operator, new).await }
    };
    register(new("brannoc", "P3", "X-1")).await.unwrap();
    let before = house.events();
    for same in [new("aerune", "P3", "X-1"), new("brannoc", "P3-X", "1")] {
        match register(same).await {
            Err(Failed::Refused(RegisterRefused::Rules(Register::SamePlate { plate, other }))) => {
                assert_eq!((plate.as_str(), other.as_str()), ("P3-X-1", "brannoc.P3.X-1"));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(house.events(), before);
    register(new("aerune", "P3", "X-2")).await.unwrap();
}

/// A false alarm ends a quarantine, not a recall and not a loss: what was held for those stays held.
#[tokio::test]
async fn quarantine_is_no_way_around_a_remedy() {
    let house = House::open().await;
    for (serial, before, mark) in [("BR000001", "recall", "recalled"), ("BR000002", "lost", "missing")] {
        let (id, card) = house.working(serial).await;
        house.go(&id, "clinical-use").await;
        house.go(&id, before).await;
        house.go(&id, "quarantine").await;
        match house.try_go(&id, "clinical-use").await {
            Err(Failed::Refused(MoveRefused::Rules(Move::Marks { state, .. }))) => {
                assert_eq!(state, format!("already {mark}"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(house.status_of(card.serial()), "held");
    }
}

/// Only a move that claims a device changes its owner.
#[tokio::test]
async fn the_owner_changes_by_a_claim_alone() {
    let house = House::open().await;
    let (id, _) = house.working("BR000001").await;
    let details = Details { owner: Some("somebody".to_owned()), ..Details::default() };
    for stage in ["clinical-use", "quarantine", "retired"] {
        let to = stage.parse().unwrap();
        let moved = house.authority.move_device(&house.operator(), &id, &to, &details).await;
        assert!(
            matches!(moved, Err(Failed::Refused(MoveRefused::Rules(Move::NotTheOwner { .. })))),
            "{moved:?}"
        );
    }
}

/// The authority's own certificates take a permission of their own, and a CA is never put on hold.
#[tokio::test]
async fn the_authority_itself_is_not_revoked_in_passing() {
    let house = House::with(|policy| {
        policy.replace(
            "roles.toml",
            "\"ca.read\", \"ca.revoke\",\n    \"log.read\"",
            "\"ca.read\",\n    \"log.read\"",
        );
    })
    .await;
    let own = house.certificates_of(&"vitae".parse().unwrap());
    assert!(own.len() > 10, "{}", own.len());
    for view in own {
        let refused = house.try_revoke(view.serial, Reason::Superseded).await;
        assert!(matches!(refused, Err(Failed::Refused(RevokeRefused::Operator(_)))), "{refused:?}");
    }

    let house = House::open().await;
    // Serial numbers of one millisecond have no order: not just any CA, for a root is refused for another reason.
    let ca = house.ca_certificate("operational").serial().unwrap();
    let refused = house.try_revoke(ca, Reason::CertificateHold).await;
    assert!(matches!(refused, Err(Failed::Refused(RevokeRefused::Rules(Revoke::CaHold(_))))), "{refused:?}");
}
