//! The service that acts: it decides by `fleet`, encodes by `pki`, signs by `keys` and commits to `store`.
//! One file a verb; no other module touches a key or writes to the store.

mod admission;
mod approve;
mod ca;
mod caller;
mod clones;
mod csr_attributes;
mod door;
mod enrol;
mod error;
mod feed;
mod files;
mod filter;
mod follow;
mod hooks;
mod identity;
mod init;
mod issue;
mod ledger;
mod list_file;
mod list_schedule;
mod movement;
mod ocsp;
mod own;
mod press;
mod projection;
mod publish;
mod query;
mod quota;
mod register;
mod release;
mod renewal_info;
mod revoke;
mod revoke_job;
mod revoke_proof;
mod revoke_radius;
mod revoke_where;
mod server_key;
mod status_copy;
mod succession;
mod token;
mod trace;
mod transact;
mod transport_key;
mod upkeep;
mod view;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Semaphore;

pub use admission::InProgress;
pub use approve::{ApprovalFilter, ApprovalView, ApproveRefused, PendingApproval};
pub use ca::{IssuingCa, ShardLists};
pub use caller::{Operator, OperatorRefused, Peer, PresentedChain};
pub use door::{Fetched, PublicDoor};
pub use enrol::{EnrolRequest, Issued, Outcome};
pub use error::{Failed, OpenError};
pub use feed::{CloudEvent, Feed, FeedFilter, FeedRefused};
pub use filter::{FilterState, PublishedFilter};
pub use hooks::{Hook, HookError, HookView, hook_secret};
pub use init::{InitError, init};
pub use ledger::{LogReport, TreeHead, check};
pub use list_file::Content;
pub use movement::{MoveRefused, Moved};
pub use ocsp::{OcspAnswer, OcspValidity};
pub use own::ListenerIdentity;
pub use projection::Fold;
pub use publish::{PublishRefused, PublishedCrl};
pub use query::{MAX_PAGE, QueryRefused};
pub use register::RegisterRefused;
pub use release::{ReleaseRefused, Released};
pub use renewal_info::RenewalAdvice;
pub use revoke::{Revocation, RevocationAsked, RevocationList, RevokeRefused};
pub use revoke_job::{JobStatus, JobView};
pub use revoke_proof::ProofView;
pub use revoke_radius::{BlastRadius, Hit, MachineHit, OwnHit};
pub use revoke_where::{JobAsked, JobRefused};
pub use server_key::{SentKey, ServerKey, ServerKeyRequest};
pub use status_copy::{StatusCopy, StatusCopyRefused};
pub use token::{IssuedToken, TokenRefused};
pub use trace::{Approval, HistoryLine, Link, Trace, TracedDevice};
pub use transport_key::{TransportKeyRefused, add_transport_key};
pub use view::{
    CaView, CertificateFilter, CertificateView, CrlView, DeviceFilter, EnrolledView, IdentityView, Page,
    TokenView,
};
pub use watch::Grounds;

use admission::Admission;
use ca::CaKeys;

use crate::clock::{Clock, Random};
use crate::config::{Config, Profile};
use crate::fleet::Event;
use crate::ids::{CaName, ProfileName};
use crate::store::redb::RedbStore;
use crate::store::{Store, StoreError, View};

/// The running authority: its policy, its keys and its record.
pub struct Authority {
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    store: Arc<dyn Store<Event>>,
    dir: PathBuf,
    cas: BTreeMap<CaName, IssuingCa>,
    listener: ArcSwapOption<ListenerIdentity>,
    making_keys: server_key::Making,
    /// What is kept of answers about certificates, ended by the commits that change their status.
    watches: Arc<watch::Watches>,
    /// What registration authorities have asked for and is not in the record yet.
    under_way: quota::UnderWay,
    /// Places for those who follow the record.
    streams: Arc<Semaphore>,
    hooks: hooks::Progress,
    jobs: revoke_job::Jobs,
    admission: Admission,
    filters: filter::Filters,
    /// The record is another process's.
    following: Option<follow::Following>,
}

impl Authority {
    /// Opens the data folder that [`init()`] made, and brings what is near its end up to date.
    pub async fn open(
        dir: &Path,
        config: Arc<Config>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, OpenError> {
        let authority = Self::open_quietly(dir, config, clock, random)?;
        authority.upkeep().await.map_err(|failed| OpenError::Upkeep(failed.to_string()))?;
        Ok(authority)
    }

    /// Opens without writing anything.
    fn open_quietly(
        dir: &Path,
        config: Arc<Config>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, OpenError> {
        let path = files::store(dir);
        if !path.exists() {
            return Err(OpenError::NotInitialised { dir: dir.display().to_string() });
        }
        let store = RedbStore::open(&path, config.server().cache_bytes(), Arc::new(Fold))?;
        Self::with_store(dir, config, clock, random, Arc::new(store))
    }

    /// The same authority on another store: how tests make a store fail.
    pub fn with_store(
        dir: &Path,
        config: Arc<Config>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        store: Arc<dyn Store<Event>>,
    ) -> Result<Self, OpenError> {
        let authority = Self::assemble(dir, config, clock, random, store, CaKeys::Here)?;
        authority.load_own()?;
        authority.load_crls()?;
        authority.load_filters()?;
        Ok(authority)
    }

    fn assemble(
        dir: &Path,
        config: Arc<Config>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        store: Arc<dyn Store<Event>>,
        keys: CaKeys,
    ) -> Result<Self, OpenError> {
        let cas = ca::load_all(dir, &config, &*store.snapshot()?, keys)?;
        let admission = Admission::new(config.server().limits());
        let streams = Arc::new(Semaphore::new(config.server().limits().max_event_streams));
        let hooks = hooks::Progress::of(config.webhooks());
        let filters = filter::Filters::of(&config);
        Ok(Self {
            config,
            clock,
            random,
            store,
            dir: dir.to_owned(),
            cas,
            listener: ArcSwapOption::empty(),
            making_keys: server_key::Making::new(),
            watches: Arc::default(),
            under_way: quota::UnderWay::default(),
            streams,
            hooks,
            jobs: revoke_job::Jobs::default(),
            admission,
            filters,
            following: None,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub fn random(&self) -> &Arc<dyn Random> {
        &self.random
    }

    pub fn ca(&self, name: &CaName) -> Option<&IssuingCa> {
        self.cas.get(name)
    }

    /// DER of the CAs that share a root with the listeners' certificate: what this authority's own clients trust.
    pub fn anchors(&self) -> Vec<Vec<u8>> {
        let names = query::trusted_by_clients(&self.config);
        names.iter().filter_map(|name| self.ca(name)).map(|ca| ca.certificate().to_vec()).collect()
    }

    /// Every CA, in the order of their names.
    pub fn cas(&self) -> impl Iterator<Item = &IssuingCa> {
        self.cas.values()
    }

    /// The profile behind an EST label; without a label, the default one.
    pub fn profile_of_label(&self, label: Option<&str>) -> Option<&Profile> {
        let name = match label {
            None => self.config.profiles().default_label().clone(),
            Some(label) => label.parse::<ProfileName>().ok()?,
        };
        self.config.profiles().get(&name).filter(|profile| profile.is_label())
    }

    /// Lets the store finish what it took; nothing is issued afterwards. Waits for the disk.
    pub fn shutdown(&self) {
        self.store.shutdown();
    }

    fn snapshot(&self) -> Result<Box<dyn View + Send>, StoreError> {
        self.store.snapshot()
    }
}
