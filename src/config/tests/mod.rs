//! Tests of whole trees: the shipped one is right. The ways to spoil it are in `refusals`.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod approval;
mod delegation;
mod filter;
mod refusals;
mod webhooks;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::ids::{Reason, RoleName, StageName};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ca-config")
}

fn load() -> Config {
    Config::load(&shipped()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn stage(name: &str) -> StageName {
    name.parse().unwrap()
}

fn profile(name: &str) -> ProfileName {
    name.parse().unwrap()
}

fn marks(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the shipped tree, to be spoiled.
struct Spoilt(tempfile::TempDir);

impl Spoilt {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&shipped(), dir.path());
        Self(dir)
    }

    /// Replace the first `old`, which must be there; the line where it was.
    fn replace(&self, file: &str, old: &str, new: &str) -> usize {
        let path = self.0.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let at = text.find(old).unwrap_or_else(|| panic!("{file} has no {old}"));
        fs::write(&path, text.replacen(old, new, 1)).unwrap();
        text[..at].matches('\n').count() + 1
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.path().join(file), text).unwrap();
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        Config::load(self.0.path())
    }

    /// Some problem of `file` at `line` says all `words`.
    fn refused(&self, file: &str, line: usize, words: &str) {
        if let Err(surprise) = self.try_refused(file, line, words) {
            panic!("{surprise}");
        }
    }

    fn try_refused(&self, file: &str, line: usize, words: &str) -> Result<(), String> {
        let wanted = format!("{file}:{line}: ...{words}...");
        let errors = self.load().err().ok_or_else(|| format!("loads, without {wanted}"))?;
        let shown = format!("{}:{line}: ", self.0.path().join(file).display());
        let found = errors.to_string().lines().any(|text| text.starts_with(&shown) && text.contains(words));
        if found { Ok(()) } else { Err(format!("no {wanted} in\n{errors}")) }
    }
}

/// B49: what we ship is accepted, in the order and with the values that its design gives.
#[test]
fn the_shipped_tree_loads() {
    let config = load();
    let cas: Vec<&str> = config.hierarchy().cas().iter().map(|ca| ca.name().as_str()).collect();
    assert_eq!(cas, ["root", "birth", "operational", "service", "update-root", "update"]);
    let labels: Vec<&str> =
        config.profiles().iter().filter(|p| p.is_label()).map(|p| p.name().as_str()).collect();
    assert_eq!(labels, ["idev", "ldev", "maint", "ra", "remed", "svc", "tls", "update"]);
    assert_eq!(config.profiles().default_label().as_str(), "ldev");
    assert_eq!(config.server().status_url(), "http://127.0.0.1:8080");
    assert!(config.server().limits().max_body >= 64 * 1024);
    assert_eq!(config.manufacturers().len(), 4);
    assert_eq!(config.manufacturer(&"aerune".parse().unwrap()).unwrap().title(), "Aerune Respiratory");

    let ldev = config.profiles().get(&profile("ldev")).unwrap();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    assert_eq!(ldev.lifetime(None), hours(7 * 24));
    assert_eq!(ldev.lifetime(Some("P3")), hours(30 * 24));
    assert_eq!(ldev.lifetime(Some("HUB")), hours(24));
    assert_eq!(ldev.lifetime(Some("CT64")), hours(7 * 24));
    let update = config.profiles().get(&profile("update")).unwrap();
    assert_eq!(update.holder(), &HolderKind::Identity("signer".to_owned()));
    assert!(update.extended_key_usage_critical());
    assert_eq!(update.extended_key_usage()[0].oid(), "1.3.6.1.5.5.7.3.43");
    let ocsp = config.profiles().get(&profile("ocsp")).unwrap();
    assert!(ocsp.ocsp_no_check() && !ocsp.revocation_pointers() && *ocsp.ca() == Issuer::Every);
}

#[test]
fn the_shipped_matrix_is_the_designed_one() {
    let config = load();
    let life = config.lifecycle();
    let expected = [
        ("idev", "manufacturing=issue refurbish=issue"),
        ("ldev", "deployment=issue when claimed clinical-use=renew maintenance=renew"),
        ("tls", "deployment=issue when claimed clinical-use=renew maintenance=renew"),
        ("remed", "quarantine=issue recall=issue"),
        ("maint", ""),
    ];
    for (name, row) in expected {
        let cells = life.stages_where(&profile(name));
        let shown: Vec<String> = cells.iter().map(|(stage, cell)| format!("{stage}={cell}")).collect();
        assert_eq!(shown.join(" "), row, "{name}");
    }
    assert_eq!(life.cell(&profile("ldev"), &stage("lost")), Cell::Never);
    assert_eq!(life.first_stage().as_str(), "manufacturing");
    assert_eq!(life.clones().move_to(), Some(&stage("quarantine")));
    assert_eq!(life.clones().lost_key(), LostKey::Refuse);
}

/// The comment in the file says how to switch it on.
#[test]
fn approval_is_asked_for_by_a_profile_or_by_a_stage() {
    let tree = Spoilt::new();
    let update = |config: &Config| config.profiles().get(&profile("update")).unwrap().needs_approval();
    assert!(!update(&load()));
    tree.replace("profiles/update.toml", "# approval = true", "approval = true");
    tree.replace("lifecycle.toml", "\"issue when claimed\"", "\"issue when claimed with approval\"");
    let config = tree.load().unwrap_or_else(|errors| panic!("{errors}"));
    assert!(update(&config));
    let cell = |config: &Config, at: &str| config.lifecycle().cell(&profile("ldev"), &stage(at));
    assert!(cell(&config, "deployment").needs_approval() && !cell(&config, "maintenance").needs_approval());
    assert!(!cell(&load(), "deployment").needs_approval());
    let limits = config.server().limits();
    assert_eq!((limits.approval_expiry.as_secs(), limits.approval_retry.as_secs()), (7 * 86_400, 60));
}

#[test]
fn the_shipped_transitions_follow_marks() {
    let config = load();
    let life = config.lifecycle();
    let id = |from: &str, to: &str, set: &[&str]| {
        life.transition(&stage(from), &stage(to), &marks(set)).map(|t| t.id().to_owned())
    };
    assert_eq!(id("deployment", "deployment", &[]).as_deref(), Some("T6"));
    assert_eq!(id("deployment", "deployment", &["claimed"]), None);
    assert_eq!(id("deployment", "clinical-use", &[]), None);
    assert_eq!(id("deployment", "clinical-use", &["claimed"]).as_deref(), Some("T8"));
    assert_eq!(id("quarantine", "clinical-use", &["claimed"]).as_deref(), Some("T14"));
    assert_eq!(id("quarantine", "quarantine", &[]).as_deref(), Some("T15"));
    assert_eq!(id("design", "manufacturing", &[]), None);
    assert_eq!(life.registration(&stage("manufacturing")).unwrap().id(), "T2");
    assert!(life.registration(&stage("clinical-use")).unwrap().is_takeover());
    assert_eq!(life.stage(&stage("deployment")).unwrap().takeover_marks(), &marks(&["claimed"]));
    let targets: Vec<&str> = life.targets(&stage("lost")).into_iter().map(StageName::as_str).collect();
    assert_eq!(targets, ["quarantine", "retired"]);
    assert!(life.targets(&stage("retired")).is_empty());
    for stage in
        life.stages().iter().filter(|stage| !stage.is_terminal() && stage.name().as_str() != "transfer")
    {
        assert!(life.targets(stage.name()).iter().any(|to| to.as_str() == "retired"), "{}", stage.name());
    }
}

/// I3: whoever retires leaves no certificate but the birth certificate.
#[test]
fn retirement_revokes_every_device_profile_but_the_birth_one() {
    let config = load();
    let devices: BTreeSet<&ProfileName> = config
        .profiles()
        .iter()
        .filter(|p| *p.holder() == HolderKind::Device && p.name().as_str() != "idev")
        .map(Profile::name)
        .collect();
    let retiring: Vec<&Transition> = config
        .lifecycle()
        .transitions()
        .iter()
        .filter(|t| t.to().as_str() == "retired" && !t.from().is_empty())
        .collect();
    assert!(!retiring.is_empty());
    for transition in retiring {
        let revoked: BTreeSet<&ProfileName> = transition
            .effects()
            .iter()
            .filter(|effect| effect.action() == EffectAction::Revoke(Reason::CessationOfOperation))
            .flat_map(Effect::profiles)
            .collect();
        assert!(revoked.is_superset(&devices), "{}", transition.id());
    }
}

#[test]
fn the_shipped_roles_keep_their_distance() {
    let config = load();
    let role = |name: &str| config.roles().role(&name.parse::<RoleName>().unwrap()).unwrap();
    let admin = role("admin");
    assert!(PERMISSIONS.iter().all(|permission| admin.permits(permission)));
    for transition in config.lifecycle().transitions() {
        assert!(transition.who().iter().all(|who| admin.may_act_as(who)), "{}", transition.id());
        let who: Vec<&str> = transition.who().iter().map(RoleName::as_str).collect();
        assert!(!who.contains(&"ca-admin") && !who.contains(&"auditor"), "{}", transition.id());
    }
    let reads = |permission: &str| permission.ends_with(".read") || permission == "log.verify";
    assert!(role("auditor").permissions().all(reads));
    assert!(!role("ca-admin").permits("token.issue") && !role("ca-admin").may_act_as(admin.name()));
    let two_persons = |role: &&Role| !(role.permits("token.issue") && role.permits("approval.decide"));
    assert!(config.roles().iter().filter(|role| role.name() != admin.name()).all(|role| two_persons(&role)));
    assert!(role("hdo-sec").permits("approval.decide") && role("mfr-psirt").permits("approval.decide"));
}

#[test]
fn the_digest_covers_what_is_read_and_nothing_else() {
    let tree = Spoilt::new();
    let before = tree.load().unwrap();
    assert_eq!(before.digest(), load().digest());
    tree.write("demo/fleet.csv", "changed");
    tree.write("profiles/README.md", "new");
    assert_eq!(tree.load().unwrap().digest(), before.digest());
    tree.replace("manufacturers/aerune.toml", "# Aerune", "# aerune");
    let after = tree.load().unwrap();
    assert_ne!(after.digest(), before.digest());
    tree.replace("profiles/ldev.toml", "7d", "8d");
    let name = profile("ldev");
    let digest = |config: &Config| config.profiles().get(&name).unwrap().digest();
    assert_ne!(digest(&tree.load().unwrap()), digest(&after));
}

#[test]
fn listeners_move_the_status_url_only_when_it_was_not_written() {
    let address = |text: &str| text.parse().unwrap();
    let moved = |config: Config| {
        config.with_listeners(address("127.0.0.1:1"), address("[::1]:2"), address("127.0.0.1:3"))
    };
    let config = moved(load());
    assert_eq!(config.server().status_url(), "http://[::1]:2");
    assert_eq!((config.server().est().port(), config.server().admin().port()), (1, 3));
    let tree = Spoilt::new();
    tree.replace("vitae.toml", "# status-url", "status-url");
    assert_eq!(moved(tree.load().unwrap()).server().status_url(), "http://pki.hospital.example");
}

/// The demo's fleet is no policy, but it must fit the one we ship.
#[test]
fn the_demo_fleet_is_the_designed_one() {
    let config = load();
    let text = fs::read_to_string(shipped().join("demo/fleet.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("maker,model,serial,udi_di,site,lot"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let count = |column: usize, value: &str| rows.iter().filter(|row| row[column] == value).count();
    let models = [
        ("P3", 560),
        ("S1", 200),
        ("V8", 72),
        ("T2", 28),
        ("M5", 300),
        ("HUB", 20),
        ("CT64", 7),
        ("DR9", 15),
    ];
    for (model, units) in models {
        assert_eq!(count(1, model), units, "{model}");
        assert!(rows[..200].iter().any(|row| row[1] == model), "{model}");
    }
    for (site, units) in [("SUH", 705), ("KVG", 306), ("AFC", 123), ("NLR", 68)] {
        assert_eq!(count(4, site), units, "{site}");
    }
    assert_eq!((rows.len(), count(5, "L2307")), (1202, 38));
    let units: BTreeSet<(&str, &str)> = rows.iter().map(|row| (row[0], row[2])).collect();
    assert_eq!(units.len(), rows.len());
    for row in &rows {
        assert!(config.manufacturer(&row[0].parse().unwrap()).is_some(), "{}", row[0]);
        assert_eq!(row.len(), 6);
    }
}
