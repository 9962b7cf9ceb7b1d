//! The certification authorities of the hierarchy, with their keys and what they publish.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use x509_cert::name::Name;

use super::Authority;
use super::error::OpenError;
use super::files;
use super::own::{ADMIN, key_kind};
use super::publish::PublishedCrl;
use super::watch::Watched;
use crate::clock::Timestamp;
use crate::config::{Ca, Config, Issuer, Profile};
use crate::fleet::rows::{self, CA, CaRow};
use crate::ids::{CaName, Digest, Serial};
use crate::keys::Signer;
use crate::keys::absent::AbsentKey;
use crate::keys::software::SoftwareKey;
use crate::pki::certificate::Certificate;
use crate::pki::key::PublicKey;
use crate::pki::lint;
use crate::pki::ocsp::{HashAlg, issuer_hashes};
use crate::pki::pem;
use crate::store::View;

/// The shard of what is not divided: the certificates of CAs, and those that name no list.
pub(super) const FIRST_SHARD: u32 = 0;

/// What is served of one shard.
#[derive(Clone, Debug)]
pub struct ShardLists {
    pub complete: Arc<PublishedCrl>,
    pub delta: Option<Arc<PublishedCrl>>,
}

/// One CA: what it is, its certificate and its key.
pub struct IssuingCa {
    settings: Ca,
    certificate: Certificate,
    /// The same certificate, as the linter reads it.
    pub(super) judge: lint::Issuer,
    public_key: PublicKey,
    pub(super) signer: Arc<dyn Signer>,
    /// Delegated OCSP signer (RFC 6960 section 4.2.2.2); absent only before the first upkeep.
    pub(super) ocsp: ArcSwapOption<OcspSigner>,
    pub(super) lists: ArcSwap<BTreeMap<u32, ShardLists>>,
    /// Builds of lists wait for each other here.
    pub(super) publishing: tokio::sync::Mutex<()>,
    /// Shards whose change somebody waits to see listed: the next build takes them along.
    pub(super) wanted: Mutex<BTreeSet<u32>>,
    hashes: Vec<(HashAlg, Vec<u8>, Vec<u8>)>,
    status_url: String,
    /// Where lists were when this CA was made: the certificates of CAs below it, and early ones of others, name that.
    first_status_url: Option<String>,
    issuer_url: String,
    ocsp_url: String,
}

/// Where the private keys of the CAs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CaKeys {
    /// In the data folder.
    Here,
    /// Nothing is signed with them here.
    Elsewhere,
}

/// The delegated key that signs OCSP answers of one CA.
pub(super) struct OcspSigner {
    pub(super) serial: Serial,
    pub(super) certificate: Vec<u8>,
    pub(super) key_hash: [u8; 20],
    pub(super) not_after: Timestamp,
    pub(super) signer: Arc<dyn Signer>,
    /// Over when the signer's own certificate is revoked: what it has signed is worth nothing then.
    pub(super) standing: Watched,
}

impl IssuingCa {
    pub fn name(&self) -> &CaName {
        self.settings.name()
    }

    pub fn settings(&self) -> &Ca {
        &self.settings
    }

    /// DER of the CA's certificate, as it was made.
    pub fn certificate(&self) -> &[u8] {
        self.certificate.der()
    }

    pub(super) fn serial(&self) -> Option<Serial> {
        self.certificate.serial()
    }

    pub fn subject(&self) -> &Name {
        self.certificate.subject()
    }

    pub fn not_before(&self) -> Timestamp {
        self.certificate.not_before()
    }

    pub fn not_after(&self) -> Timestamp {
        self.certificate.not_after()
    }

    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What is published now, by shard.
    pub fn lists(&self) -> Arc<BTreeMap<u32, ShardLists>> {
        self.lists.load_full()
    }

    /// The complete list of a shard.
    pub fn list(&self, shard: u32) -> Option<Arc<PublishedCrl>> {
        self.lists.load().get(&shard).map(|lists| Arc::clone(&lists.complete))
    }

    /// The delta list of a shard.
    pub fn delta(&self, shard: u32) -> Option<Arc<PublishedCrl>> {
        self.lists.load().get(&shard)?.delta.clone()
    }

    /// Whether there is a list for every certificate that may be issued.
    pub fn has_every_list(&self) -> bool {
        let lists = self.lists.load();
        (0..self.settings.crl_shards()).all(|shard| lists.contains_key(&shard))
    }

    pub(super) fn crl_url(&self, shard: u32) -> String {
        list_url(&self.status_url, self.name(), shard)
    }

    pub(super) fn delta_url(&self, shard: u32) -> String {
        format!("{}/crl/{}/{shard}-delta.crl", self.status_url, self.name())
    }

    /// All URLs under which certificates know a shard's list: the one of today, then those that the record has. A client
    /// accepts a list that names the URL of its certificate, octet by octet (RFC 5280 section 6.3.3 (b) (2) (i)).
    pub(super) fn scope_names(&self, shard: u32, recorded: &[String]) -> Vec<String> {
        let first = self.first_status_url.as_ref().filter(|_| shard == FIRST_SHARD);
        let first = first.map(|url| list_url(url, self.name(), shard));
        let mut names = vec![self.crl_url(shard)];
        for name in recorded.iter().cloned().chain(first) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// It can have no CA below it, and is not its own issuer: all that it has issued are end entities.
    pub(super) fn has_users_only(&self) -> bool {
        self.certificate.path_len() == Some(0) && self.settings.issuer().is_some()
    }

    pub(super) fn issuer_url(&self) -> &str {
        &self.issuer_url
    }

    pub(super) fn ocsp_url(&self) -> &str {
        &self.ocsp_url
    }

    /// Whether an OCSP CertID names this CA: by its name and its key, never by one alone (O11).
    pub(super) fn is_named_by(&self, hash: HashAlg, name_hash: &[u8], key_hash: &[u8]) -> bool {
        self.hashes.iter().any(|(known, name, key)| *known == hash && name == name_hash && key == key_hash)
    }
}

pub(super) struct Urls {
    pub(super) crl: String,
    pub(super) issuer: String,
    pub(super) ocsp: String,
}

/// Where the status door serves what belongs to a CA.
pub(super) fn urls(config: &Config, ca: &CaName) -> Urls {
    let base = config.server().status_url();
    Urls {
        crl: list_url(base, ca, FIRST_SHARD),
        issuer: format!("{base}/ca/{ca}.cer"),
        ocsp: format!("{base}/ocsp"),
    }
}

fn list_url(base: &str, ca: &CaName, shard: u32) -> String {
    format!("{base}/crl/{ca}/{shard}.crl")
}

/// The status address in the certificate of a CA.
fn status_url_in(certificate: &Certificate, issuer: &CaName) -> Option<String> {
    let path = list_url("", issuer, FIRST_SHARD);
    certificate.crl_urls().iter().find_map(|url| url.strip_suffix(&path).map(str::to_owned))
}

/// Loads every CA of the configuration and holds it against its record.
pub(super) fn load_all(
    dir: &Path,
    config: &Config,
    view: &dyn View,
    keys: CaKeys,
) -> Result<BTreeMap<CaName, IssuingCa>, OpenError> {
    let cas = config.hierarchy().cas().iter();
    cas.map(|ca| Ok((ca.name().clone(), load(dir, config, view, ca, keys)?))).collect()
}

fn load(
    dir: &Path,
    config: &Config,
    view: &dyn View,
    settings: &Ca,
    keys: CaKeys,
) -> Result<IssuingCa, OpenError> {
    let name = settings.name();
    let bad = |reason: String| OpenError::BadCa { ca: name.to_string(), reason };
    let row: CaRow = rows::get(view, CA, name.as_str().as_bytes())?
        .ok_or_else(|| OpenError::MissingCa(name.to_string()))?;
    let record = rows::certificate(view, &row.serial)?
        .ok_or_else(|| bad("its certificate is not in the record".to_owned()))?;
    let path = files::ca_certificate(dir, name);
    let text = fs::read_to_string(&path).map_err(|error| file_error(&path, &error))?;
    let der = pem::certificates(&text)
        .ok()
        .and_then(|found| found.into_iter().next())
        .ok_or_else(|| bad(format!("{} holds no certificate", path.display())))?;
    if Digest::of(&der) != record.fingerprint {
        return Err(bad(format!("{} is not the certificate that was recorded", path.display())));
    }
    let certificate = Certificate::from_der(&der).map_err(|error| bad(error.to_string()))?;
    let public_key = certificate.public_key().map_err(|error| bad(error.to_string()))?;
    let signer: Arc<dyn Signer> = match keys {
        CaKeys::Elsewhere => {
            Arc::new(AbsentKey::new(key_kind(settings.key()), public_key.spki_der().to_vec()))
        }
        CaKeys::Here => {
            let path = files::ca_key(dir, name);
            let key = SoftwareKey::load(&path)?;
            if key.public_key() != public_key.spki_der() {
                return Err(bad(format!("{} is not the key of its certificate", path.display())));
            }
            Arc::new(key)
        }
    };
    let subject = certificate.subject_der().to_vec();
    let hashes = HashAlg::KNOWN
        .into_iter()
        .map(|hash| {
            let (name, key) = issuer_hashes(&subject, &public_key, hash);
            (hash, name, key)
        })
        .collect();
    let urls = urls(config, name);
    Ok(IssuingCa {
        settings: settings.clone(),
        judge: lint::Issuer::read(certificate.der()),
        first_status_url: status_url_in(&certificate, settings.issuer().unwrap_or(name)),
        certificate,
        public_key,
        signer,
        ocsp: ArcSwapOption::empty(),
        lists: ArcSwap::default(),
        publishing: tokio::sync::Mutex::new(()),
        wanted: Mutex::default(),
        hashes,
        status_url: config.server().status_url().to_owned(),
        issuer_url: urls.issuer,
        ocsp_url: urls.ocsp,
    })
}

pub(super) fn file_error(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::File { path: path.display().to_string(), reason: error.to_string() }
}

impl Authority {
    /// Our CAs whose certificates a device may show at the EST door.
    pub fn device_anchors(&self) -> Vec<Vec<u8>> {
        self.cas().filter(|ca| ca.settings().is_client_anchor()).map(|ca| ca.certificate().to_vec()).collect()
    }

    /// The makers' CAs whose birth certificates a device may show there.
    pub fn maker_anchors(&self) -> Vec<Vec<u8>> {
        self.config.manufacturers().iter().flat_map(|maker| maker.anchors().iter().cloned()).collect()
    }

    /// Whose certificates an operator may show at the admin door: the CA of the admin profile.
    pub fn operator_anchors(&self) -> Vec<Vec<u8>> {
        let admin = self.config.profiles().iter().find(|profile| profile.name().as_str() == ADMIN);
        match admin.map(Profile::ca) {
            Some(Issuer::One(name)) => {
                self.ca(name).map(|ca| ca.certificate().to_vec()).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}
