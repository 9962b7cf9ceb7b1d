//! A real authority in a folder of its own, served on loopback, with a clock that the test moves.

pub(crate) mod approval;
pub(crate) mod bulk;
pub(crate) mod crl;
pub(crate) mod csr;
pub(crate) mod der;
mod fleet;
pub(crate) mod maker;
pub(crate) mod ocsp;
pub(crate) mod processor;
pub(crate) mod pumps;
pub(crate) mod receiver;
pub(crate) mod store;
pub(crate) mod stream;
pub(crate) mod wire;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::client::ClientConfig;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use vitae::authority::{self, Authority, Fold};
use vitae::clock::{Clock, ManualClock, Random, SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::fleet::Event;
use vitae::pki::certificate::Certificate;
use vitae::pki::pem;
use vitae::server::{self, Addresses, Listeners};
use vitae::store::Store;
use vitae::store::redb::RedbStore;

use wire::{Ask, Card, Reply, Wire};

/// One day, for the clock.
pub(crate) const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
pub(crate) const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// An authority that serves.
pub(crate) struct House {
    pub(crate) authority: Arc<Authority>,
    pub(crate) clock: ManualClock,
    pub(crate) addresses: Addresses,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

type Wrap = Box<dyn FnOnce(Arc<dyn Store<Event>>) -> Arc<dyn Store<Event>> + Send>;

impl House {
    /// With the policy as shipped.
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// With a copy of the policy that was edited first.
    pub(crate) async fn with(edit: impl FnOnce(&Policy)) -> Self {
        Self::built(edit, None).await
    }

    /// On a store of the test's own.
    pub(crate) async fn on_store(
        wrap: impl FnOnce(Arc<dyn Store<Event>>) -> Arc<dyn Store<Event>> + Send + 'static,
    ) -> Self {
        Self::on_store_with(|_| {}, wrap).await
    }

    pub(crate) async fn on_store_with(
        edit: impl FnOnce(&Policy),
        wrap: impl FnOnce(Arc<dyn Store<Event>>) -> Arc<dyn Store<Event>> + Send + 'static,
    ) -> Self {
        Self::built(edit, Some(Box::new(wrap))).await
    }

    /// With a source of random bytes that is none, so that serial numbers can be foretold.
    pub(crate) async fn with_random(random: impl Random + 'static) -> Self {
        Self::made(|_| {}, None, Arc::new(random)).await
    }

    async fn built(edit: impl FnOnce(&Policy), wrap: Option<Wrap>) -> Self {
        Self::made(edit, wrap, Arc::new(SystemRandom)).await
    }

    async fn made(edit: impl FnOnce(&Policy), wrap: Option<Wrap>, random: Arc<dyn Random>) -> Self {
        let template = Template::get().await;
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy(folder.path().join("config"));
        copy(&shipped(), &policy.0);
        edit(&policy);
        template.unpack(&folder.path().join("data"));
        Self::serve(folder, ManualClock::at(SystemClock.now()), wrap, random).await
    }

    async fn serve(folder: TempDir, clock: ManualClock, wrap: Option<Wrap>, random: Arc<dyn Random>) -> Self {
        let dir = folder.path().join("data");
        let listeners = Listeners::bind_anywhere().unwrap();
        let addresses = listeners.addresses().unwrap();
        let config = Config::load(&folder.path().join("config")).unwrap();
        let config = Arc::new(config.with_listeners(addresses.est, addresses.status, addresses.admin));
        let time = Arc::new(clock.clone());
        let authority = match wrap {
            None => Authority::open(&dir, config, time, random).await.unwrap(),
            Some(wrap) => {
                let store = RedbStore::open(&dir.join("vitae.redb"), 1 << 24, Arc::new(Fold)).unwrap();
                Authority::with_store(&dir, config, time, random, wrap(Arc::new(store))).unwrap()
            }
        };
        let authority = Arc::new(authority);
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn({
            let authority = Arc::clone(&authority);
            async move {
                let stopped = async { stopped.await.unwrap_or(()) };
                server::serve(authority, listeners, &dir, stopped).await.unwrap();
            }
        });
        // The doors are bound already; the socket is when the server has begun.
        while !folder.path().join("data/admin.sock").exists() {
            assert!(!served.is_finished(), "the server did not start");
            tokio::task::yield_now().await;
        }
        Self { authority, clock, addresses, folder, stop, served }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Stops in good order and starts again on the same folder, with a policy that may have been edited.
    pub(crate) async fn reopened(self, edit: impl FnOnce(&Policy)) -> Self {
        let Self { authority, clock, folder, stop, served, .. } = self;
        let _ = stop.send(());
        served.await.unwrap();
        tokio::task::spawn_blocking(move || authority.shutdown()).await.unwrap();
        edit(&Policy(folder.path().join("config")));
        Self::serve(folder, clock, None, Arc::new(SystemRandom)).await
    }

    /// What clients trust.
    pub(crate) fn roots(&self) -> Vec<Vec<u8>> {
        pem::certificates(&fs::read_to_string(self.dir().join("ca/chain.pem")).unwrap()).unwrap()
    }

    pub(crate) fn ca_certificate(&self, name: &str) -> Certificate {
        let text = fs::read_to_string(self.dir().join(format!("ca/{name}.pem"))).unwrap();
        Certificate::from_der(&pem::certificates(&text).unwrap()[0]).unwrap()
    }

    pub(crate) fn tls(&self, card: Option<&Card>) -> Arc<ClientConfig> {
        self.tls_of(card, rustls::DEFAULT_VERSIONS)
    }

    pub(crate) fn tls_of(
        &self,
        card: Option<&Card>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        wire::tls(&self.roots(), &self.clock, card, versions)
    }

    /// A connection to the EST door.
    pub(crate) async fn est(&self, card: Option<&Card>) -> Wire<TlsStream<TcpStream>> {
        wire::connect_tls(self.addresses.est, self.tls(card)).await.unwrap()
    }

    /// One request to the EST door. An error: TLS did not let the client in.
    pub(crate) async fn try_ask(&self, card: Option<&Card>, ask: &Ask) -> io::Result<Reply> {
        wire::connect_tls(self.addresses.est, self.tls(card)).await?.ask(ask).await
    }

    pub(crate) async fn ask(&self, card: Option<&Card>, ask: &Ask) -> Reply {
        self.try_ask(card, ask).await.unwrap()
    }

    /// One request to the status door.
    pub(crate) async fn status_door(&self, ask: &Ask) -> Reply {
        wire::connect(self.addresses.status).await.unwrap().ask(ask).await.unwrap()
    }

    /// All counters, as Prometheus reads them.
    pub(crate) async fn metrics(&self) -> String {
        self.status_door(&Ask::get("/metrics")).await.text()
    }
}

/// The copy of `ca-config` that a house runs on.
pub(crate) struct Policy(PathBuf);

impl Policy {
    /// Replaces a text that must be there.
    pub(crate) fn replace(&self, file: &str, old: &str, new: &str) {
        let path = self.0.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file} does not say {old}");
        fs::write(path, text.replace(old, new)).unwrap();
    }

    /// The CRL of the CA `operational` in one piece.
    pub(crate) fn one_shard(&self) {
        self.replace("hierarchy.toml", "crl-shards = 8", "crl-shards = 1");
    }

    /// Adds to the end of a file.
    pub(crate) fn append(&self, file: &str, text: &str) {
        self.write(file, &format!("{}{text}", self.read(file)));
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }
}

/// The policy tree as shipped.
pub(crate) fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ca-config")
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A fresh authority, made once for all tests and unpacked for each.
struct Template(Vec<(PathBuf, u32, Option<Vec<u8>>)>);

impl Template {
    async fn get() -> &'static Self {
        static TEMPLATE: OnceCell<Template> = OnceCell::const_new();
        TEMPLATE
            .get_or_init(|| async {
                let folder = tempfile::tempdir().unwrap();
                let dir = folder.path().join("data");
                let config = Arc::new(Config::load(&shipped()).unwrap());
                let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
                authority::init(&dir, config, clock, random).await.unwrap();
                let mut files = Vec::new();
                pack(&dir, Path::new(""), &mut files);
                Self(files)
            })
            .await
    }

    fn unpack(&self, dir: &Path) {
        for (path, mode, content) in &self.0 {
            let path = dir.join(path);
            match content {
                None => fs::create_dir(&path).unwrap(),
                Some(bytes) => fs::write(&path, bytes).unwrap(),
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}

fn pack(root: &Path, at: &Path, files: &mut Vec<(PathBuf, u32, Option<Vec<u8>>)>) {
    let path = root.join(at);
    let meta = fs::metadata(&path).unwrap();
    let mode = meta.permissions().mode();
    if !meta.is_dir() {
        files.push((at.to_owned(), mode, Some(fs::read(&path).unwrap())));
        return;
    }
    files.push((at.to_owned(), mode, None));
    for entry in fs::read_dir(&path).unwrap() {
        pack(root, &at.join(entry.unwrap().file_name()), files);
    }
}
