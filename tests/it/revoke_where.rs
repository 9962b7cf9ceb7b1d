//! Revocation of all that a selector holds of: what is told beforehand, what is refused, what happens to each certificate once.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use vitae::authority::{
    self, Authority, BlastRadius, Failed, Fetched, Fold, JobAsked, JobRefused, JobStatus, JobView,
    OperatorRefused, PublicDoor, RevocationAsked,
};
use vitae::clock::{Clock, SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::fleet::Event;
use vitae::ids::{CaName, JobId, Reason, Serial};
use vitae::store::Store;
use vitae::store::redb::RedbStore;

use crate::support::ocsp::Said;
use crate::support::pumps;
use crate::support::store::{Faulty, Switch, Trouble};
use crate::support::{DAY, HOUR, House, Policy};

pub(crate) fn asked(selector: &str, reason: Reason, confirm: u64) -> JobAsked {
    JobAsked { selector: selector.to_owned(), reason, invalid_since: None, confirm }
}

impl House {
    pub(crate) fn radius(&self, selector: &str) -> BlastRadius {
        self.authority.blast_radius(&self.operator(), selector, None).unwrap()
    }

    pub(crate) async fn try_revoke_where(&self, asked: JobAsked) -> Result<JobView, Failed<JobRefused>> {
        Arc::clone(&self.authority).revoke_where(self.operator(), asked).await
    }

    pub(crate) fn job(&self, job: JobId) -> JobView {
        self.authority.revocation_job(&self.operator(), &job).unwrap()
    }

    pub(crate) async fn job_until(&self, job: JobId, status: JobStatus) -> JobView {
        let waiting = async {
            loop {
                let view = self.job(job);
                if view.status == status {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .unwrap_or_else(|_| panic!("{:?}", self.job(job)))
    }

    /// The whole of it.
    pub(crate) async fn revoke_where(&self, selector: &str, reason: Reason) -> JobView {
        let count = self.radius(selector).certificates;
        let begun = self.try_revoke_where(asked(selector, reason, count)).await.unwrap();
        self.job_until(begun.job, JobStatus::Done).await
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Failed<JobRefused>>) -> JobRefused {
    match outcome {
        Err(Failed::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A house whose store the test writes to, too.
async fn with_bulk(count: usize) -> (House, Vec<Serial>, Switch) {
    let kept: Arc<OnceLock<Arc<dyn Store<Event>>>> = Arc::default();
    let (given, switch) = (Arc::clone(&kept), Switch::new());
    let faulty = switch.clone();
    let house = House::on_store(move |inner| {
        assert!(given.set(Arc::clone(&inner)).is_ok());
        Arc::new(Faulty { inner, switch: faulty })
    })
    .await;
    house.authority.upkeep().await.unwrap();
    let serials = pumps::fleet(&**kept.get().unwrap(), count, house.clock.now()).await;
    (house, serials, switch)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_be_hit() {
    let house = House::open().await;
    let (pump, card) = house.working("BR000001").await;
    house.enrolled(&pump, "tls").await;
    house.working("BR000002").await;
    let monitor = house.register_as("meridel", "M5", "ME000001", "deployment").await;
    house.enrolled(&monitor, "ldev").await;
    let signer = house.register_identity("signer", "P3-upd").await;
    house.enrolled(&signer, "update").await;
    let line = house.register_identity("ra", "line-7").await;
    house.enrolled(&line, "ra").await;

    let before = house.events();
    let radius = house.radius("model in (P3, M5)");
    assert_eq!((radius.certificates, radius.devices, radius.life_supporting), (4, 3, 2));
    let hit = |hits: &std::collections::BTreeMap<String, authority::Hit>, name: &str| {
        hits.get(name).map(|hit| (hit.certificates, hit.devices))
    };
    assert_eq!(hit(&radius.by_model, "P3"), Some((3, 2)));
    assert_eq!(hit(&radius.by_model, "M5"), Some((1, 1)));
    assert_eq!(hit(&radius.by_profile, "ldev"), Some((3, 3)));
    assert_eq!(hit(&radius.by_profile, "tls"), Some((1, 1)));
    assert_eq!(hit(&radius.by_stage, "deployment"), Some((4, 3)));
    assert_eq!(hit(&radius.by_site, "-"), Some((4, 3)));
    assert_eq!(radius.by_issuer["operational"], 4);
    assert_eq!(radius.lose_newest[&"ldev".parse().unwrap()], 3);
    assert!(radius.machines.is_empty() && radius.own.is_empty());

    let radius = house.radius("signer=P3-upd or device=ra.line-7");
    assert_eq!((radius.certificates, radius.devices), (2, 0));
    let kinds: BTreeSet<&str> = radius.machines.iter().map(|machine| machine.kind.as_str()).collect();
    assert_eq!(kinds, ["ra", "signer"].into());

    // Only what can change counts.
    house.revoke(card.serial(), Reason::Superseded).await;
    assert_eq!(house.radius("model=P3").certificates, 2);
    house.clock.advance(40 * DAY);
    assert_eq!(house.radius("model in (P3, M5)").certificates, 0);
    house.clock.set(house.clock.now() - 40 * DAY);
    assert_eq!(
        house.events(),
        before + 3,
        "a dry run writes nothing: the revocation, its list and delta were three"
    );
}

/// Text and words of the selector reach the caller with the place.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_told_with_its_place() {
    let house = House::open().await;
    for (selector, word) in [
        ("stage=clinical", "known are design, manufacturing"),
        ("profile=ldef", "known are"),
        ("issuer=operation", "known are"),
        ("maker=branoc", "known are"),
        ("model=P3 and", "a field is expected"),
    ] {
        let why = house.authority.blast_radius(&house.operator(), selector, None);
        let why = refused(why).to_string();
        assert!(why.contains(word) && why.contains(selector) && why.ends_with('^'), "{why}");
        assert!(matches!(
            refused(house.try_revoke_where(asked(selector, Reason::Superseded, 1)).await),
            JobRefused::Selector(_)
        ));
    }
}

/// The exact number, or nothing; and when it has changed meanwhile, the new one is told.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_has_to_be_confirmed() {
    let house = House::open().await;
    let (_, first) = house.working("BR000001").await;
    let before = house.events();
    for wrong in [0, 2, u64::MAX] {
        let why = refused(house.try_revoke_where(asked("model=P3", Reason::Superseded, wrong)).await);
        assert_eq!(why, JobRefused::Count { confirmed: wrong, now: 1 });
    }
    assert_eq!(house.events(), before);
    let seen = house.radius("model=P3").certificates;
    let (_, second) = house.working("BR000002").await;
    let why = refused(house.try_revoke_where(asked("model=P3", Reason::Superseded, seen)).await);
    assert_eq!(why, JobRefused::Count { confirmed: 1, now: 2 });
    assert!(why.to_string().contains("confirm 2"), "{why}");
    assert_eq!(
        (house.status_of(first.serial()).as_str(), house.status_of(second.serial()).as_str()),
        ("good", "good")
    );

    let why = refused(house.try_revoke_where(asked("model=S1", Reason::Superseded, 0)).await);
    assert_eq!(why, JobRefused::Nothing { selector: "model=S1".to_owned() });
    assert!(house.authority.revocation_jobs(&house.operator()).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_revokes_what_was_confirmed_and_ends_with_a_proof() {
    let house = House::with(Policy::one_shard).await;
    let (id, first) = house.working("BR000001").await;
    let (_, second) = house.working("BR000002").await;
    let monitor = house.register_as("meridel", "M5", "ME000001", "deployment").await;
    let other = house.enrolled(&monitor, "ldev").await;
    let done = house.revoke_where("model=P3", Reason::KeyCompromise).await;
    assert_eq!((done.count, done.revoked, done.skipped, done.left), (2, 2, 0, Some(0)));
    for card in [&first, &second] {
        assert_eq!(house.ocsp("operational", card.serial()).await, Said::Revoked(1));
    }
    assert_eq!(house.ocsp("operational", other.serial()).await, Said::Good);
    let list = house.crl("operational").await;
    assert_eq!(list.entries.len(), 2);
    assert_eq!(list.reason_of(first.serial()), Some(1));
    // Trace and history say why.
    let told = house.told(&id);
    let last = told.last().unwrap();
    assert!(last.contains("key-compromise") && last.contains(&format!("by the job {}", done.job)), "{last}");
    let history = house.authority.history(&house.operator(), &id, None).unwrap();
    assert!(history.iter().any(|line| line.what == *last && line.actor == "admin (local socket)"));

    let proof = house.authority.revocation_proof(&house.operator(), &done.job).unwrap();
    let document = &proof.document;
    assert_eq!(document["done"]["revoked"], 2);
    assert_eq!(document["sampling"], "all");
    assert_eq!(document["samples"].as_array().unwrap().len(), 2);
    for sample in document["samples"].as_array().unwrap() {
        assert_eq!(sample["ocsp"]["status"], "revoked", "{document}");
        assert_eq!(sample["crl"]["listed"], true);
    }
    let [listed] = &document["lists"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!((&listed["number"], &listed["entries"]), (&list.number.into(), &2.into()));
    assert_eq!(listed["fetched"]["sha256"], listed["sha256"]);
    let check = house.authority.verify_log(&house.operator()).unwrap();
    assert!(check.table_differences.is_empty() && check.bad_entries.is_empty());
}

/// A hold by selector holds what is good, and a job of another reason ends what is on hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_can_be_a_job_too() {
    let house = House::open().await;
    let (_, first) = house.working("BR000001").await;
    let (_, second) = house.working("BR000002").await;
    house.revoke(first.serial(), Reason::CertificateHold).await;
    let why = refused(house.try_revoke_where(asked("model=P3", Reason::CertificateHold, 2)).await);
    assert_eq!(why, JobRefused::Count { confirmed: 2, now: 1 });
    let begun = house.try_revoke_where(asked("model=P3", Reason::CertificateHold, 1)).await.unwrap();
    assert_eq!(house.job_until(begun.job, JobStatus::Done).await.revoked, 1);
    assert_eq!(house.ocsp("operational", second.serial()).await, Said::Revoked(6));
    let done = house.revoke_where("status=held", Reason::PrivilegeWithdrawn).await;
    assert_eq!(done.revoked, 2);
    assert_eq!(house.ocsp("operational", first.serial()).await, Said::Revoked(9));
}

/// The authority's own certificates are never hit by the way, CAs not at all.
#[tokio::test(flavor = "multi_thread")]
async fn the_authority_is_not_hit_by_the_way() {
    let house = House::open().await;
    let service = house.register_identity("service", "telemetry").await;
    let card = house.enrolled(&service, "svc").await;
    let radius = house.radius("issuer=service");
    assert_eq!(radius.certificates, 1);
    let own: BTreeSet<&str> = radius.own.iter().map(|own| own.profile.as_str()).collect();
    assert_eq!(own, ["admin", "ocsp", "server"].into());
    let why = refused(house.try_revoke_where(asked("issuer=service", Reason::Superseded, 1)).await);
    assert!(why.to_string().contains("device!=vitae"), "{why}");
    let done = house.revoke_where("issuer=service and device!=vitae", Reason::Superseded).await;
    assert_eq!((done.revoked, house.status_of(card.serial()).as_str()), (1, "revoked"));

    // Named, they are revoked; what the house needs is made anew by the next upkeep.
    let radius = house.radius("device=vitae and profile=server");
    assert_eq!((radius.certificates, radius.own.len()), (1, 0));
    house.revoke_where("device=vitae and profile=server", Reason::KeyCompromise).await;
    house.authority.upkeep().await.unwrap();
    assert_eq!(house.radius("device=vitae and profile=server").certificates, 1);

    // Every CA stays as it is, whatever the selector.
    let everything = "status=good and (device=vitae or device!=vitae)";
    house.revoke_where(everything, Reason::Superseded).await;
    for ca in ["root", "birth", "operational", "service", "update-root", "update"] {
        assert_eq!(house.status_of(house.ca_certificate(ca).serial().unwrap()), "good", "{ca}");
    }
}

/// A permission of its own, and that for the authority's own certificates.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_takes_a_permission_of_its_own() {
    let house = House::open().await;
    house.working("BR000001").await;
    for (permission, selector) in [("certificate.revoke-many", "model=P3"), ("ca.revoke", "device=vitae")] {
        let shipped = std::fs::read_to_string(crate::support::shipped().join("roles.toml")).unwrap();
        let lacking = House::with(|policy| {
            policy.write(
                "roles.toml",
                &shipped
                    .replace(&format!("\"{permission}\","), "")
                    .replace(&format!(", \"{permission}\""), ""),
            );
        })
        .await;
        lacking.working("BR000001").await;
        let why = refused(lacking.try_revoke_where(asked(selector, Reason::Superseded, 1)).await);
        let JobRefused::Operator(OperatorRefused::NoPermission { permission: told, .. }) = why else {
            panic!("{why:?}")
        };
        assert_eq!(told, permission);
        assert!(lacking.authority.revocation_jobs(&lacking.operator()).unwrap().is_empty());
    }
}

/// invalidityDate (RFC 5280 section 5.3.2): never in the future, and never before a certificate began.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_since_is_held_within_each_certificate() {
    let house = House::open().await;
    let (_, old) = house.working("BR000001").await;
    house.clock.advance(10 * HOUR);
    let since = house.clock.now() - 5 * HOUR;
    let (_, young) = house.working("BR000002").await;
    let asked = |since, reason| JobAsked {
        selector: "model=P3".to_owned(),
        reason,
        invalid_since: Some(since),
        confirm: 2,
    };
    for (since, reason) in
        [(house.clock.now() + HOUR, Reason::KeyCompromise), (since, Reason::CertificateHold)]
    {
        let why = refused(house.try_revoke_where(asked(since, reason)).await);
        assert!(matches!(why, JobRefused::InvalidSince { .. }), "{why:?}");
    }
    let begun = house.try_revoke_where(asked(since, Reason::KeyCompromise)).await.unwrap();
    house.job_until(begun.job, JobStatus::Done).await;
    let trace = |serial| house.authority.trace(&house.operator(), &serial, None).unwrap();
    let told = |serial| trace(serial).events.last().unwrap().what.clone();
    assert!(
        told(old.serial()).contains(&format!("not to be trusted since {since}")),
        "{}",
        told(old.serial())
    );
    let began = trace(young.serial()).certificate.not_before;
    assert!(told(young.serial()).contains(&format!("since {began}")), "{}", told(young.serial()));

    // By serial number it is refused: there is one certificate, and one answer.
    let (_, third) = house.working("BR000003").await;
    for since in [house.clock.now() + HOUR, house.clock.now() - 30 * DAY] {
        let asked = RevocationAsked {
            serials: vec![third.serial()],
            reason: Reason::KeyCompromise,
            invalid_since: Some(since),
        };
        assert!(house.authority.revoke(&house.operator(), asked).await.is_err());
    }
}

/// Thousands in several parts; two jobs over the same certificates; others revoke and enrol meanwhile. Each once.
#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_at_once_revoke_each_certificate_once() {
    let (house, serials, _) = with_bulk(3500).await;
    let one = house.try_revoke_where(asked("model=P3", Reason::KeyCompromise, 3500)).await.unwrap();
    let two = house
        .try_revoke_where(asked("site=SUH", Reason::Superseded, house.radius("site=SUH").certificates))
        .await;
    // EST and OCSP go on meanwhile.
    let (_, card) = house.working("BR000001").await;
    assert_eq!(house.ocsp("operational", card.serial()).await, Said::Good);
    let _ = house.try_revoke(serials[3499], Reason::Superseded).await;
    let one = house.job_until(one.job, JobStatus::Done).await;
    assert_eq!(one.revoked + one.skipped, 3500);
    let mut all = one.revoked;
    match two {
        Ok(two) => {
            let two = house.job_until(two.job, JobStatus::Done).await;
            assert_eq!(two.revoked + two.skipped, two.count);
            all += two.revoked;
        }
        // The first was faster than the count.
        Err(why) => assert!(matches!(
            refused::<JobView>(Err(why)),
            JobRefused::Count { .. } | JobRefused::Nothing { .. }
        )),
    }
    assert!((3499..=3500).contains(&all), "{all}");
    for serial in &serials {
        let trace = house.authority.trace(&house.operator(), serial, None).unwrap();
        let revoked = trace.events.iter().filter(|line| line.what.contains("revoked:")).count();
        assert_eq!(revoked, 1, "{serial}: {:?}", trace.events);
    }
    let list = house.crl("operational").await;
    assert_eq!(list.entries.len(), 3500);
    let check = house.authority.verify_log(&house.operator()).unwrap();
    assert!(check.table_differences.is_empty(), "{:?}", check.table_differences);
}

/// A disk that is full in the middle: nothing is lost, and the job goes on when there is room again.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_delays_a_job_and_loses_nothing() {
    let (house, _, switch) = with_bulk(2500).await;
    let begun = house.try_revoke_where(asked("model=P3", Reason::Superseded, 2500)).await.unwrap();
    let some = async {
        while house.job(begun.job).revoked == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), some).await.unwrap();
    switch.set(Trouble::Commit);
    // While it is so, no job begins.
    let refused = house.try_revoke_where(asked("lot=L1 and status=good", Reason::Superseded, 1)).await;
    assert!(refused.is_err());
    switch.set(Trouble::None);
    let done = house.job_until(begun.job, JobStatus::Done).await;
    assert_eq!((done.revoked, done.skipped), (2500, 0));
    assert_eq!(house.radius("model=P3").certificates, 0);
    let jobs = house.authority.revocation_jobs(&house.operator()).unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
}

/// A list that was never whole revokes nothing, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_list_broke_off_is_dropped() {
    let (house, _, switch) = with_bulk(2500).await;
    switch.set(Trouble::Slow);
    let authority = Arc::clone(&house.authority);
    let operator = house.operator();
    let asking = tokio::spawn(authority.revoke_where(operator, asked("model=P3", Reason::Superseded, 2500)));
    while switch.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    switch.set(Trouble::None);
    while house.authority.revocation_jobs(&house.operator()).unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    switch.set(Trouble::Commit);
    let outcome = asking.await.unwrap();
    switch.set(Trouble::None);
    let job = house.authority.revocation_jobs(&house.operator()).unwrap().remove(0);
    match outcome {
        // It was faster than the trouble.
        Ok(begun) => assert_eq!(house.job_until(begun.job, JobStatus::Done).await.revoked, 2500),
        Err(_) => {
            let dropped = house.job_until(job.job, JobStatus::Dropped).await;
            assert_eq!(dropped.revoked, 0);
            assert_eq!(house.radius("model=P3").certificates, 2500);
            let why = house.authority.revocation_proof(&house.operator(), &job.job).unwrap_err();
            assert!(why.to_string().contains("dropped"), "{why}");
        }
    }
}

/// A door that nobody opens.
struct Closed;

impl PublicDoor for Closed {
    fn address(&self) -> String {
        "nowhere".to_owned()
    }

    fn ocsp(&self, _: Vec<u8>) -> Fetched<'_> {
        Box::pin(async { Err("it is closed".to_owned()) })
    }

    fn crl(&self, _: &CaName, _: u32) -> Fetched<'_> {
        Box::pin(async { Err("it is closed".to_owned()) })
    }
}

/// What was not seen is not claimed: everything is revoked and published, and the proof tells that nobody could look at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_tells_what_it_could_not_see() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let config = Arc::new(Config::load(&crate::support::shipped()).unwrap());
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    authority::init(&dir, Arc::clone(&config), clock.clone(), random.clone()).await.unwrap();
    let store = RedbStore::open(&dir.join("vitae.redb"), 1 << 24, Arc::new(Fold)).unwrap();
    pumps::fleet(&store, 40, clock.now()).await;
    tokio::task::spawn_blocking(move || store.shutdown()).await.unwrap();
    let authority = Arc::new(Authority::open(&dir, config, clock, random).await.unwrap());
    let working = tokio::spawn(Arc::clone(&authority).work_off_jobs(Arc::new(Closed)));
    let operator = authority.local_operator().unwrap();
    let begun = Arc::clone(&authority)
        .revoke_where(operator.clone(), asked("site=SUH", Reason::Superseded, 20))
        .await
        .unwrap();
    let proof = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if let Ok(proof) = authority.revocation_proof(&operator, &begun.job) {
                return proof;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let document = proof.await.unwrap().document;
    assert_eq!((&document["done"]["revoked"], &document["door"]), (&20.into(), &"nowhere".into()));
    assert_eq!(document["lists"][0]["fetched"]["trouble"], "it is closed");
    assert_eq!(document["lists"][0]["entries"], 20);
    assert_eq!(document["samples"].as_array().unwrap().len(), 20);
    for sample in document["samples"].as_array().unwrap() {
        assert_eq!(
            (&sample["ocsp"]["trouble"], &sample["crl"]),
            (&"it is closed".into(), &serde_json::Value::Null)
        );
    }
    working.abort();
}
