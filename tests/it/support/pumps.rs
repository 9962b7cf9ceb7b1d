//! Many devices with certificates, written as events: enrolling them one by one would take minutes.

use std::collections::BTreeSet;
use std::time::Duration;

use vitae::clock::{SystemRandom, Timestamp};
use vitae::fleet::{Actor, Der, Event, Fact, Issuance, Proof};
use vitae::ids::{Digest, HolderId, Serial};
use vitae::store::{Commit, Store};

/// `count` pumps at work, each with one operational certificate, issued a minute ago; their serial numbers.
pub(crate) async fn fleet(store: &dyn Store<Event>, count: usize, now: Timestamp) -> Vec<Serial> {
    let maker: vitae::ids::MakerName = "brannoc".parse().unwrap();
    let numbers: Vec<usize> = (0..count).collect();
    let mut serials = Vec::new();
    for some in numbers.chunks(500) {
        let mut events = Vec::new();
        for n in some {
            let plate = format!("BULK{n:06}");
            let device = HolderId::device(&maker, "P3", &plate);
            let serial = Serial::generate(now, &SystemRandom);
            serials.push(serial);
            let facts = [
                Fact::DeviceRegistered {
                    device: device.clone(),
                    maker: maker.clone(),
                    model: "P3".to_owned(),
                    serial: plate.clone(),
                    udi_di: None,
                    site: Some(["SUH", "KVG"][n % 2].to_owned()),
                    lot: Some(format!("L{}", n % 10)),
                    owner: Some("SUH".to_owned()),
                    stage: "clinical-use".parse().unwrap(),
                    marks: BTreeSet::new(),
                },
                Fact::CertificateIssued(Box::new(Issuance {
                    serial,
                    ca: "operational".parse().unwrap(),
                    profile: "ldev".parse().unwrap(),
                    profile_version: Digest::of(b"bulk"),
                    holder: device,
                    stage: Some("clinical-use".parse().unwrap()),
                    stage_event: None,
                    owner: Some("SUH".to_owned()),
                    proof: Proof::Authority,
                    approval: None,
                    replaces: None,
                    overlap_ends: None,
                    after_expiry: None,
                    not_before: now - Duration::from_secs(60),
                    not_after: now + Duration::from_secs(30 * 24 * 3600),
                    renew: None,
                    key: Digest::of(plate.as_bytes()),
                    shard: 0,
                    source: None,
                    server_key: false,
                    // Neither OCSP nor a CRL looks at the bytes.
                    certificate: Der(plate.into_bytes()),
                })),
            ];
            events.extend(facts.map(|fact| Event { actor: Actor::System, fact }));
        }
        store.commit(Commit { at: now, events, expected: Vec::new() }).await.unwrap();
    }
    serials
}
