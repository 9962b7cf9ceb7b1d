//! A record with as many certificates as wanted, made fast: by the events that make it, many in each commit.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vitae::authority::Fold;
use vitae::clock::{Clock, SystemClock, SystemRandom, Timestamp};
use vitae::fleet::{Actor, Cause, Der, Event, Fact, Issuance, Proof};
use vitae::ids::{Digest, HolderId, MakerName, Reason, Serial};
use vitae::store::redb::RedbStore;
use vitae::store::{Commit, Store};

use crate::Outcome;

/// Certificates of one commit. The disk is waited for so seldom that it does not matter.
const GROUP: usize = 4096;
/// Commits under way: the next are made while one is written.
const AHEAD: usize = 4;
/// Keys come in random order: the pages that they touch should stay in memory.
const CACHE: usize = 2 << 30;

/// What the certificates have in common.
pub(crate) struct Filling {
    /// Devices are numbered from here on.
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// One of so many is revoked; 0 revokes none.
    pub(crate) revoked: usize,
    /// Lists that they are spread over.
    pub(crate) shards: u32,
}

/// Adds pumps at work, each with one certificate of the operational CA. The serial numbers of those that are good.
pub(crate) async fn fill(dir: &Path, filling: &Filling) -> Outcome<Vec<Serial>> {
    let store = RedbStore::open(&dir.join("vitae.redb"), CACHE, Arc::new(Fold))?;
    let numbers: Vec<usize> = (filling.first..filling.first + filling.count).collect();
    let mut good = Vec::with_capacity(filling.count);
    let mut pending = std::collections::VecDeque::new();
    for some in numbers.chunks(GROUP) {
        let now = SystemClock.now();
        let mut events = Vec::with_capacity(some.len() * 2);
        for number in some {
            let serial = Serial::generate(now, &SystemRandom);
            let plate = format!("BULK{number:07}");
            let (device, registered) = registered(&plate)?;
            events.push(registered);
            events.push(Fact::CertificateIssued(Box::new(Issuance {
                stage: Some("clinical-use".parse()?),
                owner: Some("SUH".to_owned()),
                key: Digest::of(plate.as_bytes()),
                shard: serial.shard(filling.shards),
                // As large as a certificate is.
                certificate: Der(vec![0x30; 700]),
                ..issuance(serial, device, now)?
            })));
            if filling.revoked > 0 && number % filling.revoked == filling.revoked - 1 {
                events.push(revoked(serial));
            } else {
                good.push(serial);
            }
        }
        let events = events.into_iter().map(|fact| Event { actor: Actor::System, fact }).collect();
        pending.push_back(store.commit(Commit { at: now, events, expected: Vec::new() }));
        if pending.len() > AHEAD
            && let Some(oldest) = pending.pop_front()
        {
            oldest.await?;
        }
    }
    for one in pending {
        one.await?;
    }
    store.close()?;
    Ok(good)
}

fn registered(plate: &str) -> Outcome<(HolderId, Fact)> {
    let maker: MakerName = "brannoc".parse()?;
    let device = HolderId::device(&maker, "P3", plate);
    let fact = Fact::DeviceRegistered {
        device: device.clone(),
        maker,
        model: "P3".to_owned(),
        serial: plate.to_owned(),
        udi_di: None,
        site: Some("SUH".to_owned()),
        lot: Some("L2307".to_owned()),
        owner: Some("SUH".to_owned()),
        stage: "clinical-use".parse()?,
        marks: BTreeSet::new(),
    };
    Ok((device, fact))
}

/// The barest: no stage, no owner, no bytes.
pub(crate) fn issuance(serial: Serial, holder: HolderId, now: Timestamp) -> Outcome<Issuance> {
    Ok(Issuance {
        serial,
        ca: "operational".parse()?,
        profile: "ldev".parse()?,
        profile_version: Digest::of(b"a profile"),
        holder,
        stage: None,
        stage_event: None,
        owner: None,
        proof: Proof::Authority,
        approval: None,
        replaces: None,
        overlap_ends: None,
        after_expiry: None,
        not_before: now,
        not_after: now + Duration::from_secs(90 * 24 * 3600),
        renew: None,
        key: Digest::of(b"a key"),
        shard: 0,
        source: None,
        server_key: false,
        certificate: Der(Vec::new()),
    })
}

fn revoked(serial: Serial) -> Fact {
    Fact::CertificateRevoked {
        serial,
        reason: Reason::Superseded,
        invalid_since: None,
        cause: Cause::Command,
    }
}
