//! Answers get lost, devices sleep and crash, thieves copy keys. Who keeps the protocol is never refused and never
//! suspected; who copies is found out as soon as both have asked (E47, B44).

use std::sync::Arc;
use std::time::Duration;

use vitae::agent::DeviceKey;
use vitae::authority::{self, EnrolRequest, Failed, Peer, PresentedChain};
use vitae::clock::{Clock, Timestamp};
use vitae::fleet::enrol::{Bindings, Credentials, Refusal};
use vitae::ids::HolderId;
use vitae::pki::certificate::Certificate;
use vitae::pki::csr::VerifiedCsr;

use crate::history::Dice;
use crate::support::wire::Ask;
use crate::support::{DAY, House};

/// 'grace' of profiles/ldev.toml.
const GRACE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Of a hundred messages so many do not arrive, each way.
const LOST: usize = 35;

/// What is stored on a device: it survives a crash, and a thief can copy it.
#[derive(Clone)]
struct Disk {
    current: Option<(Arc<DeviceKey>, Certificate)>,
    /// Made before it is first asked for, kept until it is answered.
    next: Option<Arc<DeviceKey>>,
}

struct Device {
    id: HolderId,
    serial: String,
    birth: (Arc<DeviceKey>, Certificate),
    disk: Disk,
    /// The server has answered the request under way, without the device hearing it.
    unheard: bool,
}

enum Outcome {
    /// The server never saw it.
    Unsent,
    /// The server answered, and nobody heard it.
    Unheard,
    Heard,
    Refused(Refusal),
}

struct World {
    house: House,
    dice: Dice,
    unheard: usize,
    late: usize,
    anew: usize,
}

impl World {
    fn credentials(&self, certificate: &Certificate) -> Credentials {
        let chain = PresentedChain::proven_by_handshake(vec![certificate.der().to_vec()]);
        self.house.authority.credentials(Some(&chain), None)
    }

    async fn born(&mut self, n: usize) -> Device {
        let serial = format!("ME{n:06}");
        let id = self.house.register_as("meridel", "M5", &serial, "manufacturing").await;
        let key = Arc::new(DeviceKey::generate().unwrap());
        let token = self.house.token(&id, "idev").await;
        let ask = Ask::est("idev/simpleenroll", &key.request(Some(&serial)).unwrap());
        let certificate = self.house.ask(None, &ask.basic(id.as_str(), &token)).await.certificate();
        self.house.go(&id, "deployment").await;
        self.house.go(&id, "deployment").await;
        let disk = Disk { current: None, next: None };
        Device { id, serial, birth: (key, certificate), disk, unheard: false }
    }

    /// One attempt, as the agent makes it: with the birth certificate when there is no other way.
    async fn attempt(&mut self, device: &Device, disk: &mut Disk, by_birth: bool) -> Outcome {
        let next = disk.next.get_or_insert_with(|| Arc::new(DeviceKey::generate().unwrap())).clone();
        if self.dice.percent(LOST) {
            return Outcome::Unsent;
        }
        let (request, shown, renewal) = match &disk.current {
            Some((_, current)) if !by_birth => (next.renewal(current).unwrap(), current, true),
            _ => (next.request(Some(&device.serial)).unwrap(), &device.birth.1, false),
        };
        let csr = VerifiedCsr::from_der(&request).unwrap();
        let credentials = self.credentials(shown);
        let asked = EnrolRequest {
            profile: self.house.authority.profile_of_label(Some("ldev")).unwrap(),
            renewal,
            requested: csr.requested(),
            key: csr.public_key(),
            credentials: &credentials,
            bindings: &Bindings::default(),
            server_key: false,
            source: None,
        };
        match self.house.authority.enrol(asked).await {
            Ok(_) if self.dice.percent(LOST) => {
                self.unheard += 1;
                Outcome::Unheard
            }
            Ok(authority::Outcome::Pending(_)) => panic!("nobody has to approve it"),
            Ok(authority::Outcome::Issued(issued)) => {
                let certificate = Certificate::from_der(issued.certificate()).unwrap();
                disk.current = Some((next, certificate));
                disk.next = None;
                Outcome::Heard
            }
            Err(Failed::Refused(refusal)) => Outcome::Refused(refusal),
            Err(Failed::Unavailable(why)) => panic!("{why}"),
        }
    }

    /// Reads the CA certificates with the certificate in use, which may not arrive either.
    async fn show(&mut self, disk: &Disk) {
        if let Some((_, certificate)) = &disk.current
            && !self.dice.percent(LOST)
        {
            let chain = PresentedChain::proven_by_handshake(vec![certificate.der().to_vec()]);
            let peer = Peer { chain: Some(chain), ..Peer::default() };
            self.house.authority.certificate_used(&peer, Duration::from_secs(60)).await;
        }
    }

    /// What a device does when it is awake. The only refusal that it may meet is that it slept for too long.
    async fn act(&mut self, device: &mut Device) {
        let mut disk = device.disk.clone();
        let outcome = self.attempt(device, &mut disk, false).await;
        device.unheard =
            matches!(outcome, Outcome::Unheard) || device.unheard && matches!(outcome, Outcome::Unsent);
        match outcome {
            Outcome::Heard if self.dice.percent(80) => self.show(&disk).await,
            Outcome::Refused(Refusal::GraceOver { since, .. }) => {
                assert!(self.house.clock.now() > since + GRACE);
                self.late += 1;
                // Again with the key that may have been answered before.
                loop {
                    match self.attempt(device, &mut disk, true).await {
                        Outcome::Heard => break,
                        Outcome::Refused(refusal) => panic!("{} cannot come back: {refusal}", device.id),
                        Outcome::Unsent | Outcome::Unheard => {}
                    }
                }
                self.anew += 1;
            }
            Outcome::Refused(refusal) => panic!("{} was refused: {refusal}", device.id),
            _ => {}
        }
        device.disk = disk;
    }

    async fn let_time_pass(&mut self) {
        let hours = match self.dice.below(100) {
            0..50 => self.dice.below(12),
            50..98 => self.dice.below(80),
            _ => 24 * (30 + self.dice.below(30)),
        };
        self.house.clock.advance(Duration::from_secs(3600 * hours as u64 + 1));
        if self.dice.percent(40) || hours > 24 {
            self.house.authority.upkeep().await.unwrap();
        }
    }

    fn suspicions(&self, id: &HolderId) -> usize {
        self.house.told(id).iter().filter(|what| what.contains("copy suspected")).count()
    }
}

async fn world(seed: u64) -> World {
    World { house: House::open().await, dice: Dice::new(seed), unheard: 0, late: 0, anew: 0 }
}

/// A device in clinical use.
async fn at_work(world: &mut World, n: usize) -> Device {
    world.house.authority.upkeep().await.unwrap();
    let mut device = world.born(n).await;
    while device.disk.current.is_none() {
        world.act(&mut device).await;
    }
    world.house.go(&device.id, "clinical-use").await;
    device
}

async fn honest(seed: u64) {
    println!("seed {seed}");
    let mut world = world(seed).await;
    let mut fleet = Vec::new();
    for n in 0..4 {
        fleet.push(at_work(&mut world, n).await);
    }
    for _ in 0..150 {
        world.let_time_pass().await;
        let n = world.dice.below(fleet.len());
        world.act(&mut fleet[n]).await;
    }
    for device in &fleet {
        assert_eq!(world.suspicions(&device.id), 0, "{}", device.id);
        let refused: Vec<String> =
            world.house.told(&device.id).into_iter().filter(|what| what.contains("refused")).collect();
        assert!(refused.iter().all(|what| what.ends_with("grace-over")), "{refused:?}");
        let heads = world.house.certificates_of(&device.id);
        let heads = heads.iter().filter(|view| view.profile.as_ref().unwrap().as_str() == "ldev");
        assert_eq!(heads.filter(|view| view.replaced_by.is_none()).count(), 1);
    }
    println!("{} answers unheard, {} slept too long, {} came anew", world.unheard, world.late, world.anew);
    assert!(world.unheard > 8);
    assert!(world.house.authority.verify_log(&world.house.operator()).unwrap().is_sound());
}

/// Whatever is lost, and however long it takes: the same key again is all that a device has to do.
#[tokio::test]
async fn a_device_that_keeps_its_key_is_never_refused_nor_suspected() {
    honest(1).await;
    honest(Timestamp::from(std::time::SystemTime::now()).millis().unsigned_abs()).await;
}

/// A copy of what is on the disk, with or without the key of a request under way; both go on for themselves.
#[tokio::test]
async fn a_copy_is_found_out_when_both_have_asked() {
    let seed = Timestamp::from(std::time::SystemTime::now()).millis().unsigned_abs();
    println!("seed {seed}");
    let mut world = world(seed).await;
    let mut first_to_ask = [0, 0];
    for n in 0..16 {
        let mut device = at_work(&mut world, n).await;
        for _ in 0..world.dice.below(4) {
            world.house.clock.advance(DAY);
            world.act(&mut device).await;
        }
        let thief = Disk { next: None, ..device.disk.clone() };
        let mut disks = [device.disk.clone(), thief];
        // Whether each has been heard by the server since the copy was made.
        let mut asked = [device.unheard, false];
        while world.suspicions(&device.id) == 0 {
            assert!(!(asked[0] && asked[1]), "{}: both have asked, and nobody is suspected", device.id);
            world.house.clock.advance(Duration::from_secs(3600 * (1 + world.dice.below(20) as u64)));
            let who = world.dice.below(2);
            let mut disk = disks[who].clone();
            match world.attempt(&device, &mut disk, false).await {
                Outcome::Unsent => {}
                Outcome::Refused(Refusal::CloneSuspected(_)) => first_to_ask[1 - who] += 1,
                Outcome::Refused(other) => panic!("{}: {other}", device.id),
                Outcome::Unheard | Outcome::Heard => asked[who] = true,
            }
            disks[who] = disk;
        }
        let moved = world.house.authority.device(&world.house.operator(), &device.id).unwrap();
        assert_eq!(moved.stage.as_str(), "quarantine");
    }
    println!("the device asked first {} times, the thief {}", first_to_ask[0], first_to_ask[1]);
    assert_eq!(first_to_ask[0] + first_to_ask[1], 16);
}
