//! B49: what is shipped works. Every file of the policy tree is read, and every profile issues what it says.

use std::fs;

use vitae::authority;
use vitae::clock::{Clock, ManualClock, SystemClock, SystemRandom};
use vitae::config::{Config, HolderKind, Issuer, Profile};
use vitae::pki::lint::lint_certificate;

use crate::support::csr::{key, request};
use crate::support::wire::{Ask, Card};
use crate::support::{DAY, House, shipped};

/// Each file of the tree counts: without it, or with a word in it that nobody knows, the tree is another or none.
#[test]
fn every_shipped_file_is_read() {
    let whole = Config::load(&shipped()).unwrap().digest();
    for folder in ["", "profiles", "manufacturers"] {
        for entry in fs::read_dir(shipped().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let copy = tempfile::tempdir().unwrap();
            let tree = copy.path().join("config");
            let options = [&shipped(), &tree];
            crate::support::copy(options[0], options[1]);
            let file = tree.join(path.strip_prefix(shipped()).unwrap());
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, format!("unknown-key = 1\n{text}")).unwrap();
            let errors = Config::load(&tree).unwrap_err().to_string();
            let name = path.file_name().unwrap().to_string_lossy();
            assert!(errors.contains(&*name) && errors.contains("unknown-key"), "{errors}");
            fs::write(&file, format!("{text}\n# another version\n")).unwrap();
            assert_ne!(Config::load(&tree).unwrap().digest(), whole, "{name}");
        }
    }
}

async fn card_of(house: &House, profile: &Profile) -> Option<Card> {
    let name = profile.name().as_str();
    match profile.holder() {
        HolderKind::Authority => None,
        HolderKind::Identity(kind) => {
            let id = house.register_identity(kind, &format!("{name}-1")).await;
            Some(house.enrolled(&id, name).await)
        }
        HolderKind::Device => {
            let serial = format!("BR-{name}");
            let stages = house.authority.config().lifecycle().stages_where(profile.name());
            let (stage, _) = stages.first()?;
            let (_, birth) = house.born(&format!("{serial}-born")).await;
            match name {
                "remed" => {
                    let id = format!("brannoc.P3.{serial}-born").parse().unwrap();
                    house.go(&id, "clinical-use").await;
                    house.go(&id, stage.as_str()).await;
                    let key = key();
                    let reply =
                        house.ask(Some(&birth), &Ask::est("remed/simpleenroll", &request(&key))).await;
                    Some(Card::new(&key, &reply.certificate()))
                }
                _ => {
                    let id = house.register(&serial, stage.as_str()).await;
                    Some(house.enrolled(&id, name).await)
                }
            }
        }
    }
}

/// Every profile that any stage or identity may have: issued, with the usages, the names, the CA and the end that its
/// file says, and nothing for the linter to find.
#[tokio::test]
async fn every_profile_issues_what_its_file_says() {
    let house = House::open().await;
    let config = house.authority.config();
    let mut issued = Vec::new();
    for profile in config.profiles().iter() {
        let Some(card) = card_of(&house, profile).await else { continue };
        let name = profile.name().as_str();
        let certificate = card.certificate();
        let Issuer::One(ca) = profile.ca() else { panic!("{name}") };
        let issuer = house.ca_certificate(ca.as_str());
        certificate.verify_signed_by(&issuer.public_key().unwrap()).unwrap();
        assert_eq!(lint_certificate(certificate.der(), Some(issuer.der())), [], "{name}");
        let usages: Vec<_> = certificate.extended_key_usages().iter().map(ToString::to_string).collect();
        let wanted: Vec<_> =
            profile.extended_key_usage().iter().map(|usage| usage.oid().to_owned()).collect();
        assert_eq!(usages, wanted, "{name}");
        let model = matches!(profile.holder(), HolderKind::Device).then_some("P3");
        let life = certificate.not_after().since(house.clock.now().whole_second()).as_secs();
        assert_eq!(life, profile.lifetime(model).as_secs() - 1, "{name}");
        assert_eq!(
            certificate.subject_alt_names().unwrap().len(),
            profile.subject_alt_names().len(),
            "{name}"
        );
        issued.push(name.to_owned());
    }
    // maint is issued at no stage as shipped; admin, ocsp and server are the authority's own.
    assert_eq!(issued, ["idev", "ldev", "ra", "remed", "svc", "tls", "update"]);
}

/// The authority's own: admin, OCSP signers and the listener, all of them linted.
#[tokio::test]
async fn what_the_authority_issues_to_itself_is_sound() {
    let house = House::open().await;
    let own = "vitae".parse().unwrap();
    let mut profiles: Vec<String> = Vec::new();
    for view in house.certificates_of(&own) {
        let der = house.authority.certificate_bytes(&house.operator(), &view.serial).unwrap();
        let issuer = house.ca_certificate(view.issuer.as_str());
        assert_eq!(lint_certificate(&der, Some(issuer.der())), [], "{view:?}");
        profiles.extend(view.profile.map(|profile| profile.to_string()));
    }
    profiles.sort();
    profiles.dedup();
    assert_eq!(profiles, ["admin", "ocsp", "server"]);
}

/// A policy that a certificate names counts only if every CA above it allows it (RFC 5280 section 6.1.3); the trust
/// anchor is not asked.
#[tokio::test]
async fn every_ca_below_a_root_allows_the_policies_of_certificates() {
    let house = House::open().await;
    let any_policy = [6, 4, 0x55, 0x1d, 0x20, 0];
    for (name, is_root) in [
        ("root", true),
        ("birth", false),
        ("operational", false),
        ("service", false),
        ("update-root", true),
        ("update", false),
    ] {
        let certificate = house.ca_certificate(name);
        let found = certificate.der().windows(any_policy.len()).any(|window| window == any_policy);
        assert_eq!(found, !is_root, "{name}");
    }
}

/// P05: no certificate outlives its CA, whatever its profile says.
#[tokio::test]
async fn no_certificate_outlives_its_ca() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let config = std::sync::Arc::new(Config::load(&shipped()).unwrap());
    let clock = ManualClock::at(SystemClock.now());
    let (time, random) = (std::sync::Arc::new(clock.clone()), std::sync::Arc::new(SystemRandom));
    authority::init(&dir, config.clone(), time.clone(), random.clone()).await.unwrap();
    // Nine years and 364 days later the operational CA has a day left.
    clock.advance(3649 * DAY);
    let authority = authority::Authority::open(&dir, config, time, random).await.unwrap();
    let end = authority.ca(&"service".parse().unwrap()).unwrap().not_after();
    let listener = authority.listener_identity().unwrap();
    let certificate = vitae::pki::certificate::Certificate::from_der(&listener.chain[0]).unwrap();
    assert_eq!(certificate.not_after(), end);
}

/// `init` is all or nothing, and never touches what is there.
#[tokio::test]
async fn init_never_touches_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("precious"), b"mine").unwrap();
    let config = std::sync::Arc::new(Config::load(&shipped()).unwrap());
    let (time, random) = (std::sync::Arc::new(SystemClock), std::sync::Arc::new(SystemRandom));
    let error = authority::init(&dir, config, time, random).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(fs::read(dir.join("precious")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}
