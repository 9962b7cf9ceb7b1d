//! A random history of an authority: whatever people and devices may do, allowed or not, at any pace.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use vitae::agent::DeviceKey;
use vitae::authority::{
    self, ApprovalFilter, Authority, EnrolRequest, Failed, Fold, Operator, Outcome, Peer, PresentedChain,
    RevocationAsked,
};
use vitae::clock::{Clock, ManualClock, SystemRandom, Timestamp};
use vitae::config::{Cell, Config};
use vitae::fleet::enrol::{Bindings, Credentials};
use vitae::fleet::movement::Details;
use vitae::fleet::register::{NewDevice, NewIdentity};
use vitae::ids::{CaName, HolderId, ProfileName, Reason, Serial, StageName};
use vitae::pki::certificate::Certificate;
use vitae::pki::csr::VerifiedCsr;
use vitae::store::redb::RedbStore;

use crate::process::copy;

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const DAY: u64 = 24 * 60 * MINUTE;

/// SplitMix64: the same history for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 1).unwrap() % end
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())].clone()) }
    }
}

/// The policy is the shipped one, but that some first enrolments need an operator's word: by stage and by profile.
const APPROVALS: [(&str, &str, &str); 2] = [
    (
        "lifecycle.toml",
        "[matrix.tls]\ndeployment = \"issue when claimed\"",
        "[matrix.tls]\ndeployment = \"issue when claimed with approval\"",
    ),
    ("profiles/svc.toml", "authenticate-by", "approval = true\nauthenticate-by"),
];

/// A certificate that somebody has, with its key.
#[derive(Clone)]
pub(crate) struct Held {
    key: Arc<DeviceKey>,
    pub(crate) profile: ProfileName,
    pub(crate) certificate: Certificate,
}

/// A request that was told to come again.
#[derive(Clone)]
struct Waiting {
    profile: ProfileName,
    key: Arc<DeviceKey>,
    request: Vec<u8>,
    credentials: Credentials,
}

/// A device or another machine, as it sees itself.
struct Unit {
    id: HolderId,
    serial: Option<String>,
    held: Vec<Held>,
    /// Renewals whose answer never arrived: what was shown, and the key that was asked for.
    lost: Vec<(Held, Arc<DeviceKey>)>,
    tokens: Vec<(ProfileName, String)>,
    waiting: Vec<Waiting>,
}

/// What came of it, to know that the history was worth looking at.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) enrolled: usize,
    pub(crate) renewed: usize,
    pub(crate) repeated: usize,
    /// Answers that never arrived.
    pub(crate) lost: usize,
    /// Certificates that were shown without asking for the next one.
    pub(crate) shown: usize,
    pub(crate) refused: usize,
    pub(crate) moved: usize,
    pub(crate) revoked: usize,
    pub(crate) held: usize,
    pub(crate) released: usize,
    /// Requests that were told to wait, and certificates that were fetched by an approval.
    pub(crate) waited: usize,
    pub(crate) approved: usize,
    /// Why nothing was issued, and how often.
    pub(crate) codes: BTreeMap<&'static str, usize>,
}

pub(crate) struct History {
    folder: TempDir,
    pub(crate) config: Arc<Config>,
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<RedbStore<Fold>>,
    pub(crate) authority: Authority,
    pub(crate) operator: Operator,
    pub(crate) dice: Dice,
    pub(crate) tally: Tally,
    units: Vec<Unit>,
}

impl History {
    pub(crate) async fn begin(seed: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("vitae-it-").tempdir().unwrap();
        let data = folder.path().join("data");
        let policy = folder.path().join("config");
        copy(Path::new("ca-config"), &policy);
        for (file, from, to) in APPROVALS {
            let path = policy.join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{file} says {from}");
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        }
        let config = Arc::new(Config::load(&policy).unwrap());
        let clock = ManualClock::at("2026-11-23T10:00:00Z".parse().unwrap());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let random = Arc::new(SystemRandom);
        authority::init(&data, Arc::clone(&config), Arc::clone(&shared), random.clone()).await.unwrap();
        let store = RedbStore::open(&data.join("vitae.redb"), 16 << 20, Arc::new(Fold)).unwrap();
        let store = Arc::new(store);
        let authority =
            Authority::with_store(&data, Arc::clone(&config), shared, random, store.clone()).unwrap();
        let operator = authority.local_operator().unwrap();
        let (dice, tally) = (Dice(seed), Tally::default());
        Self { folder, config, clock, store, authority, operator, dice, tally, units: Vec::new() }
    }

    /// The policy by which it happens.
    pub(crate) fn policy(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn holders(&self) -> Vec<HolderId> {
        self.units.iter().map(|unit| unit.id.clone()).collect()
    }

    pub(crate) fn held(&self) -> impl Iterator<Item = (&HolderId, &Held)> {
        self.units.iter().flat_map(|unit| unit.held.iter().map(|held| (&unit.id, held)))
    }

    /// Closes the store; what is in the folder is all that is left.
    pub(crate) fn end(self) -> TempDir {
        let Self { folder, store, authority, .. } = self;
        authority.shutdown();
        drop(authority);
        Arc::into_inner(store).expect("the authority is gone").close().unwrap();
        folder
    }

    pub(crate) async fn step(&mut self) {
        self.let_time_pass();
        match self.dice.below(100) {
            _ if self.units.len() < 3 => self.register().await,
            0..4 => self.register().await,
            4..5 => self.register_identity().await,
            5..26 => self.move_one().await,
            26..48 => self.issue_token().await,
            48..58 => {
                if let Some(unit) = self.somebody(|unit| !unit.tokens.is_empty()) {
                    self.enrol_by_token(unit).await;
                }
            }
            58..66 => self.enrol_by_birth().await,
            66..70 => self.decide_approval().await,
            70..74 => self.ask_again().await,
            74..88 => self.renew().await,
            88..91 => self.show().await,
            91..94 => self.revoke().await,
            94..96 => self.cancel_token().await,
            96..98 => self.publish().await,
            _ => self.authority.upkeep().await.unwrap(),
        }
    }

    fn let_time_pass(&mut self) {
        let passed = match self.dice.below(100) {
            0..20 => 0,
            20..60 => 1 + self.dice.below(5000) as u64,
            60..92 => MINUTE * (1 + self.dice.below(60) as u64),
            92..97 => 60 * MINUTE * (1 + self.dice.below(12) as u64),
            97..98 => DAY * (1 + self.dice.below(5) as u64),
            // Somebody sets the clock back.
            _ => {
                let back = Duration::from_millis(1 + self.dice.below(20_000_000) as u64);
                return self.clock.set(self.clock.now() - back);
            }
        };
        self.clock.advance(Duration::from_millis(passed));
    }

    async fn register(&mut self) {
        let serial = format!("ME{:06}", self.units.len());
        let stages: Vec<StageName> =
            self.config.lifecycle().stages().iter().map(|stage| stage.name().clone()).collect();
        let stage = match self.dice.below(10) {
            0..4 => None,
            4..9 => Some("deployment".parse().unwrap()),
            _ => self.dice.pick(&stages),
        };
        let (maker, model) = ("meridel".parse().unwrap(), "M5".to_owned());
        let new = NewDevice {
            maker,
            model,
            serial: serial.clone(),
            udi_di: None,
            site: Some("SUH".to_owned()),
            lot: None,
            owner: None,
            stage,
        };
        let device = self.authority.register_device(&self.operator, new.clone()).await.unwrap();
        let twice = self.authority.register_device(&self.operator, new).await;
        assert!(matches!(twice, Err(Failed::Refused(_))));
        self.come(device.id, Some(serial));
    }

    async fn register_identity(&mut self) {
        let new = NewIdentity {
            kind: if self.dice.percent(50) { "signer" } else { "service" }.to_owned(),
            name: format!("machine-{}", self.units.len()),
            maker: Some("brannoc".parse().unwrap()),
            owner: "somebody".to_owned(),
            purpose: "a test".to_owned(),
        };
        let identity = self.authority.register_identity(&self.operator, new).await.unwrap();
        self.come(identity.id, None);
    }

    fn come(&mut self, id: HolderId, serial: Option<String>) {
        let (held, lost, tokens, waiting) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        self.units.push(Unit { id, serial, held, lost, tokens, waiting });
    }

    async fn move_one(&mut self) {
        let unit = self.dice.below(self.units.len());
        let id = self.units[unit].id.clone();
        let Ok(device) = self.authority.device(&self.operator, &id) else { return };
        let targets: Vec<StageName> =
            self.config.lifecycle().targets(&device.stage).into_iter().cloned().collect();
        let anywhere: StageName =
            self.dice.pick(self.config.lifecycle().stages()).map(|stage| stage.name().clone()).unwrap();
        let to = if self.dice.percent(90) { self.dice.pick(&targets).unwrap_or(anywhere) } else { anywhere };
        // False alarms: the one way by which a hold is lifted.
        let to = match device.stage.as_str() {
            "clinical-use" if self.dice.percent(50) => "quarantine".parse().unwrap(),
            "quarantine" if self.dice.percent(80) => "clinical-use".parse().unwrap(),
            _ => to,
        };
        // A life that ends is no longer interesting, so ends are rare; what was lost or recalled is never released.
        if ["retired", "lost", "recall"].contains(&to.as_str()) && self.dice.percent(85) {
            return;
        }
        let chance = |dice: &mut Dice, text: &str| dice.percent(85).then(|| text.to_owned());
        let details = Details {
            reason: chance(&mut self.dice, "a reason"),
            evidence: chance(&mut self.dice, "some evidence"),
            // Only a claim changes the owner; now and then somebody tries it elsewhere.
            owner: chance(&mut self.dice, "SUH")
                .filter(|_| to.as_str() == "deployment" || self.dice.percent(5)),
        };
        match self.authority.move_device(&self.operator, &id, &to, &details).await {
            Ok(moved) => {
                assert_eq!(moved.device.stage, to);
                self.tally.moved += 1;
                self.tally.revoked += moved.revoked.len();
                self.tally.held += moved.held.len();
                self.tally.released += moved.released.len();
            }
            Err(failed) => self.refused(failed),
        }
    }

    async fn issue_token(&mut self) {
        let unit = self.dice.below(self.units.len());
        let profile = self.profile(unit);
        let id = self.units[unit].id.clone();
        let life = Duration::from_secs(60 * (1 + self.dice.below(10_000) as u64));
        match self.authority.issue_token(&self.operator, &id, Some(&profile), life).await {
            Ok(token) => self.units[unit].tokens.push((profile, token.secret.to_string())),
            Err(failed) => return self.refused(failed),
        }
        if self.dice.percent(70) {
            self.enrol_by_token(unit).await;
        }
    }

    async fn cancel_token(&mut self) {
        let tokens = self.authority.tokens(&self.operator, None).unwrap();
        let Some(token) = self.dice.pick(&tokens) else { return };
        if let Err(failed) = self.authority.cancel_token(&self.operator, &token.token).await {
            self.refused(failed);
        }
    }

    /// An operator grants, denies or cancels something; mostly something that waits for it.
    async fn decide_approval(&mut self) {
        let filter = ApprovalFilter::default();
        let all = self.authority.approvals(&self.operator, &filter).unwrap().items;
        let waits: Vec<_> = all.iter().filter(|view| view.status.as_str() == "pending").cloned().collect();
        let from = if self.dice.percent(80) { waits } else { all };
        let Some(view) = self.dice.pick(&from) else { return };
        let (authority, operator) = (&self.authority, &self.operator);
        let said = match self.dice.below(10) {
            0..7 => authority.grant_approval(operator, &view.id, Some("a reason")).await,
            7..9 => authority.deny_approval(operator, &view.id, "a reason").await,
            _ => authority.cancel_approval(operator, &view.id, None).await,
        };
        if let Err(failed) = said {
            self.refused(failed);
        }
    }

    /// A device that was told to wait comes again, mostly as it was told to.
    async fn ask_again(&mut self) {
        let Some(unit) = self.somebody(|unit| !unit.waiting.is_empty()) else { return };
        let place = self.dice.below(self.units[unit].waiting.len());
        let mut again = self.units[unit].waiting.remove(place);
        if self.dice.percent(10) {
            again.key = Arc::new(DeviceKey::generate().unwrap());
            again.request = again.key.request(None).unwrap();
        }
        let Waiting { profile, key, request, credentials } = again;
        self.ask(unit, &profile, false, key, &request, &credentials).await;
    }

    async fn enrol_by_token(&mut self, unit: usize) {
        // Mostly the newest, once; others must be refused.
        let tokens = &mut self.units[unit].tokens;
        let token = if self.dice.percent(85) { tokens.pop() } else { self.dice.pick(tokens) };
        let Some((profile, secret)) = token else { return };
        let basic = Some((self.units[unit].id.as_str(), secret.as_str()));
        let credentials = self.authority.credentials(None, basic);
        self.enrol(unit, &profile, &credentials).await;
    }

    async fn enrol_by_birth(&mut self) {
        let Some((unit, birth)) = self.certificate(|held| held.profile.as_str() == "idev") else { return };
        let (profile, credentials) = (self.profile(unit), self.shown(&birth));
        self.enrol(unit, &profile, &credentials).await;
    }

    async fn enrol(&mut self, unit: usize, profile: &ProfileName, credentials: &Credentials) {
        let key = self.key(unit, profile);
        let request = key.request(self.units[unit].serial.as_deref()).unwrap();
        self.ask(unit, profile, false, key, &request, credentials).await;
    }

    async fn renew(&mut self) {
        if self.dice.percent(35)
            && let Some(unit) = self.somebody(|unit| !unit.lost.is_empty())
            && let lost = self.dice.below(self.units[unit].lost.len())
        {
            // Now and then it comes again, late.
            let (current, key) = match self.dice.percent(40) {
                true => self.units[unit].lost[lost].clone(),
                false => self.units[unit].lost.remove(lost),
            };
            return self.renew_with(unit, current, key).await;
        }
        let (often, newest) = (self.dice.percent(90), self.dice.percent(85));
        let heads: BTreeSet<Serial> = self.heads();
        let wanted = |held: &Held| {
            let is_head = held.certificate.serial().is_some_and(|serial| heads.contains(&serial));
            (held.profile.as_str() != "idev" || !often) && (is_head || !newest)
        };
        let Some((unit, current)) = self.certificate(wanted) else { return };
        let key =
            if self.dice.percent(20) { Arc::clone(&current.key) } else { self.key(unit, &current.profile) };
        self.renew_with(unit, current, key).await;
    }

    async fn renew_with(&mut self, unit: usize, current: Held, key: Arc<DeviceKey>) {
        let request = key.renewal(&current.certificate).unwrap();
        let credentials = self.shown(&current);
        let before = self.units[unit].held.len();
        self.ask(unit, &current.profile, true, Arc::clone(&key), &request, &credentials).await;
        if self.units[unit].held.len() > before && self.dice.percent(25) {
            self.units[unit].held.pop();
            self.units[unit].lost.push((current, key));
            self.tally.lost += 1;
        }
    }

    /// The certificates that nothing has replaced.
    fn heads(&self) -> BTreeSet<Serial> {
        let all = self.held().filter_map(|(_, held)| held.certificate.serial());
        let view = |serial: &Serial| self.authority.certificate(&self.operator, serial).unwrap();
        all.filter(|serial| view(serial).replaced_by.is_none()).collect()
    }

    /// Uses a certificate without asking for the next one.
    async fn show(&mut self) {
        let Some((_, held)) = self.certificate(|held| held.profile.as_str() != "idev") else { return };
        let chain = PresentedChain::proven_by_handshake(vec![held.certificate.der().to_vec()]);
        let peer = Peer { chain: Some(chain), ..Peer::default() };
        self.authority.certificate_used(&peer, Duration::from_secs(60)).await;
        self.tally.shown += 1;
    }

    /// Somebody's certificate, mostly a good one.
    fn certificate(&mut self, wanted: impl Fn(&Held) -> bool) -> Option<(usize, Held)> {
        let any = self.dice.percent(20);
        let is_good = |held: &Held| {
            let serial = held.certificate.serial().unwrap();
            self.authority.certificate(&self.operator, &serial).unwrap().status == "good"
        };
        let mut them = Vec::new();
        for (n, unit) in self.units.iter().enumerate() {
            let fitting = unit.held.iter().filter(|held| wanted(held) && (any || is_good(held)));
            them.extend(fitting.map(|held| (n, held.clone())));
        }
        self.dice.pick(&them)
    }

    async fn ask(
        &mut self,
        unit: usize,
        profile: &ProfileName,
        renewal: bool,
        key: Arc<DeviceKey>,
        der: &[u8],
        credentials: &Credentials,
    ) {
        let csr = VerifiedCsr::from_der(der).unwrap();
        let rules = self.config.profiles().get(profile).unwrap();
        let request = EnrolRequest {
            profile: rules,
            renewal,
            requested: csr.requested(),
            key: csr.public_key(),
            credentials,
            bindings: &Bindings::default(),
            server_key: false,
            source: Some(IpAddr::from([10, 0, 0, u8::try_from(self.dice.below(4)).unwrap()])),
        };
        let before = self.authority.tree_head(&self.operator).unwrap().size;
        match self.authority.enrol(request).await {
            Ok(Outcome::Pending(_)) => {
                assert!(!renewal && ["tls", "svc"].contains(&profile.as_str()), "{profile}");
                self.tally.waited += 1;
                let (request, credentials) = (der.to_vec(), credentials.clone());
                let waiting = Waiting { profile: profile.clone(), key, request, credentials };
                self.units[unit].waiting.push(waiting);
            }
            Ok(Outcome::Issued(issued)) => {
                let certificate = Certificate::from_der(issued.certificate()).unwrap();
                assert_eq!(certificate.serial(), Some(issued.serial()));
                assert_eq!(certificate.spki_der(), csr.public_key().spki_der());
                let view = self.authority.certificate(&self.operator, &issued.serial()).unwrap();
                assert_eq!((&view.device, view.profile.as_ref()), (&self.units[unit].id, Some(profile)));
                assert_eq!(view.status, "good");
                let unit = &mut self.units[unit];
                let again = view.issued_event.0 < before;
                *match (again, renewal) {
                    (true, _) => &mut self.tally.repeated,
                    (false, true) => &mut self.tally.renewed,
                    (false, false) => &mut self.tally.enrolled,
                } += 1;
                if unit.held.iter().any(|held| held.certificate.serial() == certificate.serial()) {
                    assert!(again);
                    return;
                }
                unit.held.push(Held { key, profile: profile.clone(), certificate });
            }
            Err(failed) => {
                if let Failed::Refused(why) = &failed {
                    *self.tally.codes.entry(why.code()).or_default() += 1;
                }
                self.refused(failed);
            }
        }
    }

    async fn revoke(&mut self) {
        let often = self.dice.percent(80);
        let wanted = |held: &Held| held.profile.as_str() != "idev" || !often;
        let Some(serial) = self.certificate(wanted).and_then(|(_, held)| held.certificate.serial()) else {
            return;
        };
        let reason = self.dice.pick(&Reason::ALL).unwrap();
        let since = self.dice.percent(20).then(|| self.clock.now() - Duration::from_secs(60));
        let asked = RevocationAsked { serials: vec![serial], reason, invalid_since: since };
        match self.authority.revoke(&self.operator, asked).await {
            Ok(_) => self.tally.revoked += 1,
            Err(failed) => self.refused(failed),
        }
    }

    async fn publish(&mut self) {
        let cas: Vec<CaName> = self.authority.cas().map(|ca| ca.name().clone()).collect();
        let ca = self.dice.pick(&cas).unwrap();
        self.authority.publish_crl(&self.operator, &ca).await.unwrap();
    }

    fn shown(&self, held: &Held) -> Credentials {
        let chain = PresentedChain::proven_by_handshake(vec![held.certificate.der().to_vec()]);
        self.authority.credentials(Some(&chain), None)
    }

    /// A new key, or sometimes one that was used before, by this unit or by another.
    fn key(&mut self, unit: usize, profile: &ProfileName) -> Arc<DeviceKey> {
        let (own, same) = (self.dice.percent(50), self.dice.percent(70));
        let mut old: Vec<&Arc<DeviceKey>> = Vec::new();
        for (n, other) in self.units.iter().enumerate().filter(|(n, _)| own == (*n == unit)) {
            let same = same && n != unit;
            old.extend(other.held.iter().filter(|it| !same || it.profile == *profile).map(|it| &it.key));
        }
        let old = self.dice.pick(&old).cloned().filter(|_| self.dice.percent(20));
        old.unwrap_or_else(|| Arc::new(DeviceKey::generate().unwrap()))
    }

    /// One of the units that fit.
    fn somebody(&mut self, fits: impl Fn(&Unit) -> bool) -> Option<usize> {
        let them: Vec<usize> = (0..self.units.len()).filter(|unit| fits(&self.units[*unit])).collect();
        self.dice.pick(&them)
    }

    /// Mostly one that the device's stage allows.
    fn profile(&mut self, unit: usize) -> ProfileName {
        if let Ok(device) = self.authority.device(&self.operator, &self.units[unit].id)
            && self.dice.percent(75)
        {
            let lifecycle = self.config.lifecycle();
            let allowed = ["idev", "ldev", "tls", "remed"]
                .map(|name| name.parse().unwrap())
                .into_iter()
                .filter(|profile| lifecycle.cell(profile, &device.stage) != Cell::Never);
            if let Some(profile) = self.dice.pick(&allowed.collect::<Vec<_>>()) {
                return profile;
            }
        }
        let names: &[&str] = match self.units[unit].serial {
            Some(_) => &["idev", "idev", "ldev", "ldev", "ldev", "tls", "remed", "maint", "svc"],
            None => &["svc", "update"],
        };
        self.dice.pick(names).unwrap().parse().unwrap()
    }

    /// Anything may be refused, but nothing may fail.
    fn refused<R: std::fmt::Display>(&mut self, failed: Failed<R>) {
        match failed {
            Failed::Refused(_) => self.tally.refused += 1,
            Failed::Unavailable(why) => panic!("the authority failed: {why}"),
        }
    }
}

/// The latest moment that anybody has seen: the clock may have been set back since.
pub(crate) fn latest(history: &History, last: Timestamp) -> Timestamp {
    history.clock.now().max(last)
}
