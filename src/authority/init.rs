//! Makes a new authority: hierarchy, keys, listeners' certificate, first admin credential. All or nothing.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use x509_cert::name::Name;

use super::ca::urls;
use super::error::OpenError;
use super::issue::{CaContent, ca_template};
use super::own::{ADMIN, key_kind};
use super::{Authority, Fold, files, identity};
use crate::clock::{Clock, Random, Timestamp};
use crate::config::{Ca, Config, NameAttribute};
use crate::fleet::{Actor, Der, Event, Fact};
use crate::ids::{CaName, Serial};
use crate::keys::software::SoftwareKey;
use crate::keys::{KeyError, Signer};
use crate::pki::key::PublicKey;
use crate::pki::lint::lint_certificate;
use crate::pki::{name, pem};
use crate::store::redb::RedbStore;
use crate::store::{Commit, Store, StoreError};

/// Why no authority was made; nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("{dir} is in use already: choose another folder with --dir; nothing was changed")]
    InUse { dir: String },
    #[error("cannot make {path}: {source}")]
    File { path: String, source: io::Error },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("cannot make the CA {ca}: {reason}")]
    Ca { ca: String, reason: String },
    #[error("cannot make the first credentials: {0}")]
    Credentials(String),
}

/// Makes the authority beside `dir` and moves it there when it is complete.
pub async fn init(
    dir: &Path,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<(), InitError> {
    let in_use = || InitError::InUse { dir: dir.display().to_string() };
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) || dir.is_file() {
        return Err(in_use());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(file_error(parent))?;
    let building = Building(parent.join(format!(".{}-being-made-{}", file_name(dir), std::process::id())));
    make_folders(&building.0)?;

    create_hierarchy(&building.0, &config, &*clock, &*random).await?;
    let authority = Authority::open(&building.0, Arc::clone(&config), clock, random).await?;
    make_admin(&authority).await?;
    drop(authority);

    // Fails when somebody else was faster and the folder is no longer empty.
    fs::rename(&building.0, dir).map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => in_use(),
        _ => file_error(dir)(error),
    })?;
    fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(file_error(parent))
}

/// A folder that is removed unless it was moved to its place.
struct Building(PathBuf);

impl Drop for Building {
    fn drop(&mut self) {
        // After the rename there is nothing here; before it, this is all that init has touched.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn file_name(dir: &Path) -> String {
    dir.file_name().map_or_else(|| "vitae".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn make_folders(dir: &Path) -> Result<(), InitError> {
    let private = |path: &Path| DirBuilder::new().mode(0o700).create(path).map_err(file_error(path));
    private(dir)?;
    for (name, mode) in [("keys", 0o700), ("admin", 0o700), ("ca", 0o755), ("crl", 0o755)] {
        let path = dir.join(name);
        DirBuilder::new().mode(mode).create(&path).map_err(file_error(&path))?;
    }
    Ok(())
}

struct Made {
    certificate: Vec<u8>,
    subject: Name,
    not_after: Timestamp,
    key: SoftwareKey,
    public: PublicKey,
}

async fn create_hierarchy(
    dir: &Path,
    config: &Config,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(), InitError> {
    let now = clock.now();
    let mut made: BTreeMap<CaName, Made> = BTreeMap::new();
    let mut facts = vec![Fact::ConfigurationLoaded { digest: config.digest() }];
    for settings in config.hierarchy().cas() {
        let (ca, fact) = create_ca(config, settings, &made, now, random).await?;
        let path = files::ca_certificate(dir, settings.name());
        files::replace(&path, pem::encode("CERTIFICATE", &ca.certificate).as_bytes())
            .map_err(file_error(&path))?;
        ca.key.save(&files::ca_key(dir, settings.name()))?;
        made.insert(settings.name().clone(), ca);
        facts.push(fact);
    }
    write_chain(dir, config, &made)?;
    let store = RedbStore::open(&files::store(dir), config.server().cache_bytes(), Arc::new(Fold))?;
    let events = facts.into_iter().map(|fact| Event { actor: Actor::System, fact }).collect();
    let commit = Commit { at: now, events, expected: Vec::new() };
    store.commit(commit).await.map_err(|error| InitError::Credentials(error.to_string()))?;
    Ok(())
}

async fn create_ca(
    config: &Config,
    settings: &Ca,
    made: &BTreeMap<CaName, Made>,
    now: Timestamp,
    random: &dyn Random,
) -> Result<(Made, Fact), InitError> {
    let name = settings.name();
    let bad = |reason: String| InitError::Ca { ca: name.to_string(), reason };
    let key = SoftwareKey::generate(key_kind(settings.key()))?;
    let public = PublicKey::from_spki_der(key.public_key()).map_err(|error| bad(error.to_string()))?;
    // Issuers come before what they issue, so the issuer is made already.
    let issuer = settings.issuer().and_then(|issuer| made.get(issuer));
    let subject = ca_subject(settings).map_err(|error| bad(error.to_string()))?;
    let serial = Serial::generate(now, random);
    let not_before = now.whole_second();
    let own_end = not_before + settings.lifetime() - std::time::Duration::from_secs(1);
    let not_after = issuer.map_or(own_end, |issuer| own_end.min(issuer.not_after));
    let signer: &SoftwareKey = issuer.map_or(&key, |issuer| &issuer.key);
    let template = ca_template(CaContent {
        serial,
        issuer: issuer.map_or_else(|| subject.clone(), |issuer| issuer.subject.clone()),
        subject: subject.clone(),
        not_before,
        not_after,
        key: &public,
        issuer_key: issuer.map_or(&public, |issuer| &issuer.public),
        signer: signer.kind(),
        path_len: settings.path_len(),
        pointers: urls(config, settings.issuer().unwrap_or(name)),
        is_root: settings.issuer().is_none(),
    })
    .map_err(|error| bad(error.to_string()))?;
    let unsigned = template.to_be_signed().map_err(|error| bad(error.to_string()))?;
    let signature = signer.sign(unsigned.bytes()).await?;
    let certificate = unsigned.assemble(&signature).map_err(|error| bad(error.to_string()))?;
    let judge = issuer.map_or(certificate.as_slice(), |issuer| issuer.certificate.as_slice());
    if let Some(finding) = lint_certificate(&certificate, Some(judge)).first() {
        return Err(bad(format!("{} {}", finding.rule, finding.text)));
    }
    let fact = Fact::CaCreated {
        ca: name.clone(),
        issuer: settings.issuer().cloned(),
        serial,
        key: public.digest(),
        not_before,
        not_after,
        certificate: Der(certificate.clone()),
    };
    Ok((Made { certificate, subject, not_after, key, public }, fact))
}

fn ca_subject(settings: &Ca) -> Result<Name, name::NameError> {
    let mut attributes = Vec::new();
    if let Some(organization) = settings.organization() {
        attributes.push((NameAttribute::Organization, organization.to_owned()));
    }
    attributes.push((NameAttribute::CommonName, settings.common_name().to_owned()));
    identity::subject(&attributes)
}

/// What a client trusts for EST's TLS and for device certificates: the listeners' root and all below it.
fn write_chain(dir: &Path, config: &Config, made: &BTreeMap<CaName, Made>) -> Result<(), InitError> {
    let family = super::query::trusted_by_clients(config);
    let text: String = family
        .iter()
        .filter_map(|name| made.get(name))
        .map(|ca| pem::encode("CERTIFICATE", &ca.certificate))
        .collect();
    let path = files::chain(dir);
    files::replace(&path, text.as_bytes()).map_err(file_error(&path))
}

async fn make_admin(authority: &Authority) -> Result<(), InitError> {
    let credentials = |error: String| InitError::Credentials(error);
    let subject = vec![(NameAttribute::CommonName, "admin".to_owned())];
    let role = name::uri("urn:vitae:role:admin").map_err(|error| credentials(error.to_string()))?;
    let own = authority
        .issue_own(ADMIN, None, subject, vec![role])
        .await
        .map_err(|error| credentials(error.to_string()))?;
    let profile = own.row.profile.as_ref().ok_or_else(|| credentials("no profile".to_owned()))?;
    // The authority has no use for this key: it is handed out, not kept.
    let kept = files::own_key(&authority.dir, profile, &own.row.ca, &own.row.serial);
    let given = files::admin(&authority.dir, "admin.key");
    fs::rename(&kept, &given).map_err(file_error(&given))?;
    let path = files::admin(&authority.dir, "admin.pem");
    files::replace(&path, pem::encode("CERTIFICATE", &own.certificate).as_bytes()).map_err(file_error(&path))
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> InitError + '_ {
    |source| InitError::File { path: path.display().to_string(), source }
}
