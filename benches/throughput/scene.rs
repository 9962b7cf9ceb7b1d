//! A whole authority on loopback, and the devices that will ask it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vitae::agent::{DeviceKey, Identity, Trust};
use vitae::authority::{self, Authority, EnrolRequest};
use vitae::clock::{SystemClock, SystemRandom};
use vitae::config::Config;
use vitae::fleet::enrol::Bindings;
use vitae::fleet::movement::Details;
use vitae::fleet::register::{NewDevice, NewIdentity, device_id};
use vitae::ids::{HolderId, ProfileName};
use vitae::pki::body::encode_base64;
use vitae::pki::csr::VerifiedCsr;
use vitae::server::{self, Addresses, Listeners};

use crate::{Outcome, wire};

const ENROL: &str = "/.well-known/est/simpleenroll";
const BIRTH: &str = "/.well-known/est/idev/simpleenroll";

/// What the shipped roles leave to who needs it.
const LINE: &str = r#"
[[registration-authority]]
name = "ra.line"
profiles = ["idev"]
makers = ["brannoc"]
models = ["P3"]
serials = ["UNIT000000..UNIT999999"]
quota = 1000000000
per-day = 1000000000
"#;

/// The stage, with the server on it.
pub(crate) struct Scene {
    pub(crate) authority: Arc<Authority>,
    pub(crate) addresses: Addresses,
    pub(crate) devices: Vec<Device>,
    /// Units in production, each with a connection of the line that asks for them.
    pub(crate) units: Vec<Device>,
    pub(crate) server: Runtime,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), server::ServeError>>,
    _folder: TempDir,
}

/// One device that may enrol: it has its birth certificate, was shipped and claimed.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) serial: String,
    tls: Arc<ClientConfig>,
    address: SocketAddr,
    path: &'static str,
}

impl Scene {
    pub(crate) fn set(workers: usize, devices: usize) -> Outcome<Self> {
        // As `vitae serve` has it: one worker for each core.
        let server =
            Builder::new_multi_thread().worker_threads(workers).thread_name("server").enable_all().build()?;
        let folder = folder()?;
        let dir = folder.path().join("data");
        let config = policy(&folder.path().join("config"))?;
        let listeners = {
            let _inside = server.enter();
            Listeners::bind_anywhere()?
        };
        let addresses = listeners.addresses()?;
        let config = Arc::new(config.with_listeners(addresses.est, addresses.status, addresses.admin));
        let (authority, devices, units) = server.block_on(async {
            let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
            authority::init(&dir, Arc::clone(&config), clock.clone(), random.clone()).await?;
            let authority = Arc::new(Authority::open(&dir, config, clock, random).await?);
            let trust = Trust::from_pem(&fs::read_to_string(dir.join("ca/chain.pem"))?)?;
            let units = belt(&authority, &trust, addresses.est, devices).await?;
            let devices = fleet(&authority, &trust, addresses.est, 0..devices).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((authority, devices, units))
        })?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = server.spawn({
            let (authority, dir) = (Arc::clone(&authority), dir);
            async move {
                // A sender that is gone is as good as a word.
                server::serve(authority, listeners, &dir, async { stopped.await.unwrap_or(()) }).await
            }
        });
        Ok(Self { authority, addresses, devices, units, server, stop, served, _folder: folder })
    }

    pub(crate) fn strike(self) {
        // A server that has ended needs no word.
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.server.block_on(self.served) {
            eprintln!("bench: the server ended badly: {error}");
        }
        self.authority.shutdown();
    }
}

/// On the disk that holds the build, not in a file system made of memory: fsync must cost what it costs.
pub(crate) fn folder() -> Outcome<TempDir> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(target)?)
}

/// The shipped policy with a line, in which a device may have as many certificates as it likes, and this machine is one
/// address among others: what the rates cost is measured too.
pub(crate) fn policy(dir: &Path) -> Outcome<Config> {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ca-config"), dir)?;
    let roles = dir.join("roles.toml");
    let shipped = fs::read_to_string(&roles)?;
    fs::write(&roles, shipped + LINE)?;
    let file = dir.join("vitae.toml");
    let mut text = fs::read_to_string(&file)?;
    for (name, value) in [
        ("certificates-per-holder", "\"unlimited\""),
        ("connections-per-address", "\"100000 per second, burst 100000\""),
        ("no-rate-for", "[]"),
    ] {
        let begin = text.find(&format!("\n{name} = ")).ok_or(format!("vitae.toml does not set {name}"))? + 1;
        let end = begin + text[begin..].find('\n').unwrap_or(text.len() - begin);
        text.replace_range(begin..end, &format!("{name} = {value}"));
    }
    fs::write(&file, text)?;
    Config::load(dir).map_err(|error| error.to_string().into())
}

pub(crate) fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The line, and units that it may ask for: one on each of its connections.
async fn belt(
    authority: &Authority,
    trust: &Trust,
    address: SocketAddr,
    count: usize,
) -> Outcome<Vec<Device>> {
    let operator = authority.local_operator()?;
    let new = NewIdentity {
        kind: "ra".to_owned(),
        name: "line".to_owned(),
        maker: None,
        owner: "line manager".to_owned(),
        purpose: "births of pumps".to_owned(),
    };
    let id = authority.register_identity(&operator, new).await?.id;
    let tls = enrolled(authority, trust, &id, "ra", None).await?;
    let mut units = Vec::new();
    for number in 0..count {
        let new = pump(format!("UNIT{number:06}"))?;
        let serial = new.serial.clone();
        authority.register_device(&operator, new).await?;
        units.push(Device { serial, tls: Arc::clone(&tls), address, path: BIRTH });
    }
    Ok(units)
}

fn pump(serial: String) -> Outcome<NewDevice> {
    Ok(NewDevice {
        maker: "brannoc".parse()?,
        model: "P3".to_owned(),
        serial,
        udi_di: None,
        site: None,
        lot: None,
        owner: None,
        stage: None,
    })
}

/// Enrols with a token and gives TLS with what was issued, of which every handshake is a full one.
async fn enrolled(
    authority: &Authority,
    trust: &Trust,
    id: &HolderId,
    label: &str,
    serial: Option<&str>,
) -> Outcome<Arc<ClientConfig>> {
    let operator = authority.local_operator()?;
    let name: ProfileName = label.parse()?;
    let lifetime = std::time::Duration::from_secs(600);
    let token = authority.issue_token(&operator, id, Some(&name), lifetime).await?;
    let key = DeviceKey::generate()?;
    let csr = VerifiedCsr::from_der(&key.request(serial)?)?;
    let credentials = authority.credentials(None, Some((id.as_str(), token.secret.as_str())));
    let profile = authority.profile_of_label(Some(label)).ok_or("a profile is missing")?;
    let asked = EnrolRequest {
        profile,
        renewal: false,
        requested: csr.requested(),
        key: csr.public_key(),
        credentials: &credentials,
        bindings: &Bindings::default(),
        server_key: false,
        source: None,
    };
    let issued = authority.enrol(asked).await?.issued().ok_or("nobody waits for an approval here")?;
    let identity = Identity { chain: vec![issued.certificate().to_vec()], key: key.to_der() };
    let mut tls = (*trust.tls(Some(&identity))?).clone();
    tls.resumption = Resumption::disabled();
    Ok(Arc::new(tls))
}

/// Devices of these numbers.
pub(crate) async fn fleet(
    authority: &Arc<Authority>,
    trust: &Trust,
    address: SocketAddr,
    numbers: std::ops::Range<usize>,
) -> Outcome<Vec<Device>> {
    let mut lives = JoinSet::new();
    for number in numbers {
        let (authority, trust) = (Arc::clone(authority), trust.clone());
        lives.spawn(async move { live(&authority, &trust, address, number).await });
    }
    let mut devices = Vec::new();
    while let Some(device) = lives.join_next().await {
        devices.push(device??);
    }
    Ok(devices)
}

/// From registration to the day on which it may enrol.
async fn live(authority: &Authority, trust: &Trust, address: SocketAddr, number: usize) -> Outcome<Device> {
    let operator = authority.local_operator()?;
    let new = pump(format!("BENCH{number:06}"))?;
    let (id, serial) = (device_id(&new), new.serial.clone());
    authority.register_device(&operator, new).await?;
    let tls = enrolled(authority, trust, &id, "idev", Some(&serial)).await?;

    let stage = "deployment".parse()?;
    authority.move_device(&operator, &id, &stage, &Details::default()).await?;
    let claimed = Details { owner: Some("General Hospital".to_owned()), ..Details::default() };
    authority.move_device(&operator, &id, &stage, &claimed).await?;
    Ok(Device { serial, tls, address, path: ENROL })
}

impl Device {
    pub(crate) async fn connect(&self) -> Outcome<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        Ok(TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?)
    }

    /// Requests to enrol, each for a new key, as they go over the wire.
    pub(crate) fn requests(&self, count: usize) -> Outcome<Vec<Vec<u8>>> {
        let one = || {
            let csr = DeviceKey::generate()?.request(Some(&self.serial))?;
            Ok(wire::post(self.path, "localhost", &encode_base64(&csr)))
        };
        (0..count).map(|_| one()).collect()
    }
}
