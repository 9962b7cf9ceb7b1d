//! The real program in a house of its own: policy, data folder, free ports. Nothing it starts outlives the test.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;
use vitae::agent::{DeviceKey, EstClient, Identity, Trust};
use vitae::http::Client;
use vitae::ids::Serial;
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, HashAlg, ParsedResponse, ParsedStatus};
use vitae::pki::pem;

/// More than anything here takes on a slow machine; only what hangs gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(5);

/// What `works` gives, as soon as it gives something; `None` when it never did.
pub(crate) fn poll<T>(limit: Duration, mut works: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = works() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(GLANCE);
    }
}

/// One installation: a copy of the shipped policy on ports of its own, and a folder for its data.
pub(crate) struct House {
    root: TempDir,
    data: PathBuf,
    pub(crate) est: u16,
    pub(crate) status: u16,
    pub(crate) admin: u16,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("vitae-it-").tempdir().unwrap();
        let data = root.path().join("data");
        let house = Self { root, data, est: free_port(), status: free_port(), admin: free_port() };
        copy(Path::new("ca-config"), &house.config());
        for (from, to) in [(8443, house.est), (8080, house.status), (9443, house.admin)] {
            house.edit("vitae.toml", &format!("127.0.0.1:{from}"), &format!("127.0.0.1:{to}"));
        }
        house
    }

    /// A house that is furnished: `vitae init` has run.
    pub(crate) fn ready() -> Self {
        let house = Self::new();
        house.ok(&["init"]);
        house
    }

    /// The same policy and ports with its data elsewhere.
    pub(crate) fn with_data(mut self, data: PathBuf) -> Self {
        self.data = data;
        self
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root.path().join("config")
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Changes a line of the policy; the text to be replaced must be there once.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.config().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{file} holds '{from}' once");
        fs::write(&path, text.replace(from, to)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vitae"));
        command.args(arguments).stdin(Stdio::null());
        command.env("VITAE_DIR", self.data()).env("VITAE_CONFIG", self.config());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.begin(arguments).end()
    }

    /// Begins a command that takes its time.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Running {
        let (out, out_path) = self.scratch();
        let (err, err_path) = self.scratch();
        let child = Reaped(self.command(arguments).stdout(out).stderr(err).spawn().unwrap());
        Running { child, what: format!("{arguments:?}"), out: out_path, err: err_path }
    }

    /// The output of a command that must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "vitae {arguments:?}: {}{}", ended.out, ended.err);
        ended.out
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// What a command says that must be refused with exit code 1.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(1), "vitae {arguments:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.starts_with("vitae: "), "{}", ended.err);
        ended.err
    }

    /// The server, when it is ready.
    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, arguments: &[&str]) -> Server {
        let mut server = self.start_with(arguments);
        let ready = poll(PATIENCE, || {
            if let Some(status) = server.child.0.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", server.log());
            }
            self.get("/ready").filter(|(status, _)| *status == 200)
        });
        assert!(ready.is_some(), "the server is not ready: {}", server.log());
        server
    }

    /// The server, whether it comes up or not.
    fn start_with(&self, arguments: &[&str]) -> Server {
        self.background(&[&["serve"], arguments].concat())
    }

    /// A command that goes on until it is told to stop.
    pub(crate) fn background(&self, arguments: &[&str]) -> Server {
        let (log, path) = self.scratch();
        let child = self.command(arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Server { child: Reaped(child), log: path }
    }

    pub(crate) fn check_is_sound(&self) {
        let report = self.json(&["check"]);
        assert_eq!(report["stored"], report["computed"]);
        assert_eq!(report["table_differences"], json!([]));
        assert_eq!(report["bad_entries"], json!([]));
    }

    /// Asks the status door; `None` when nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, Vec<u8>)> {
        self.ask("GET", path, &[])
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.status));
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let status = std::str::from_utf8(&answer[..end]).ok()?.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer[end + 4..].to_vec()))
    }

    /// What OCSP says of a certificate; the answer's signature is followed up to the CA.
    pub(crate) fn ocsp(&self, ca: &Certificate, serial: Serial) -> ParsedStatus {
        let key = ca.public_key().unwrap();
        let request =
            ocsp::request(ca.subject_der(), &key, serial.as_bytes(), HashAlg::Sha256, None).unwrap();
        let (status, body) = self.ask("POST", "/ocsp", &request).expect("the status door answers");
        assert_eq!(status, 200);
        let ParsedResponse::Basic(response) = ocsp::parse_response(&body).unwrap() else {
            panic!("OCSP answers with an error");
        };
        let signer = Certificate::from_der(&response.certs[0]).unwrap();
        signer.verify_signed_by(&key).unwrap();
        response.verify_signed_by(&signer.public_key().unwrap()).unwrap();
        let [single] = &response.singles[..] else { panic!("one certificate was asked about") };
        assert_eq!(single.cert_id.own_serial(), Some(serial));
        single.status
    }

    pub(crate) fn ca(&self, name: &str) -> Certificate {
        let text = fs::read_to_string(self.data().join(format!("ca/{name}.pem"))).unwrap();
        Certificate::from_der(&pem::certificates(&text).unwrap()[0]).unwrap()
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::from_pem(&fs::read_to_string(self.data().join("ca/chain.pem")).unwrap()).unwrap()
    }

    pub(crate) fn est(&self, identity: Option<&Identity>) -> EstClient {
        let address = SocketAddr::from(([127, 0, 0, 1], self.est));
        EstClient::new(address, "localhost", &self.trust(), identity).unwrap()
    }

    fn scratch(&self) -> (fs::File, PathBuf) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = self.root().join(format!("out-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        (fs::File::create(&path).unwrap(), path)
    }
}

/// A child that is killed and reaped when the test lets go of it, whatever becomes of the test.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Reaped,
    what: String,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// What it has printed by now.
    pub(crate) fn out_so_far(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let status = poll(PATIENCE, || self.child.0.try_wait().unwrap());
        let text = |path| String::from_utf8(fs::read(path).unwrap()).unwrap();
        let (out, err) = (text(&self.out), text(&self.err));
        let status = status.unwrap_or_else(|| panic!("vitae {} does not end: {out}{err}", self.what));
        Ended { code: status.code(), out, err }
    }
}

/// A running `vitae serve`, or another command that does not end by itself.
pub(crate) struct Server {
    child: Reaped,
    log: PathBuf,
}

impl Server {
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// As a power cut would: SIGKILL.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// SIGTERM, without waiting.
    pub(crate) fn terminate(&self) {
        let pid = self.child.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        poll(limit, || self.child.0.try_wait().unwrap())
    }

    /// Ends it as an administrator would.
    pub(crate) fn stop(mut self) {
        self.terminate();
        let status = self.wait(PATIENCE).expect("the server ends");
        assert!(status.success(), "{status}: {}", self.log());
    }
}

/// The admin door over its socket, for what is too much for one process a command.
pub(crate) struct Admin(Client);

impl Admin {
    pub(crate) async fn connect(data: &Path) -> Result<Self, String> {
        let stream = UnixStream::connect(data.join("admin.sock")).await.map_err(|error| error.to_string())?;
        Client::new(stream).await.map(Self).map_err(|error| error.to_string())
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Value, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let answer = self.0.send(request).await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        // The word tells a refusal from a connection that broke off.
        assert!(answer.status().is_success(), "{path} was refused: {} {text}", answer.status());
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    pub(crate) async fn register(&mut self, serial: &str, stage: &str) -> Result<String, String> {
        let body = json!({ "model": "M5", "maker": "meridel", "serial": serial, "stage": stage });
        let device = self.post("/api/v1/devices", &body).await?;
        Ok(device["id"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn token(&mut self, device: &str, profile: &str) -> Result<String, String> {
        let body = json!({ "device": device, "profile": profile });
        let token = self.post("/api/v1/tokens", &body).await?;
        Ok(token["token"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn move_to(
        &mut self,
        device: &str,
        stage: &str,
        owner: Option<&str>,
    ) -> Result<Value, String> {
        let body = json!({ "stage": stage, "owner": owner, "evidence": "a test" });
        self.post(&format!("/api/v1/devices/{device}/move"), &body).await
    }
}

/// A key and its certificate.
pub(crate) struct Credential {
    pub(crate) key: DeviceKey,
    pub(crate) certificate: Certificate,
}

impl Credential {
    pub(crate) fn new(key: DeviceKey, der: &[u8]) -> Self {
        Self { key, certificate: Certificate::from_der(der).unwrap() }
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity { chain: vec![self.certificate.der().to_vec()], key: self.key.to_der() }
    }

    pub(crate) fn serial(&self) -> Serial {
        self.certificate.serial().unwrap()
    }
}

/// A device that is in its owner's hands and has enrolled with a token.
pub(crate) async fn enrolled(house: &House, serial: &str) -> (String, Credential) {
    let mut admin = Admin::connect(house.data()).await.unwrap();
    let device = admin.register(serial, "deployment").await.unwrap();
    let token = admin.token(&device, "ldev").await.unwrap();
    let key = DeviceKey::generate().unwrap();
    let request = key.request(Some(serial)).unwrap();
    let mut connection = house.est(None).connect().await.unwrap();
    let der = connection.enroll(None, &request, Some((&device, &token))).await.unwrap();
    (device, Credential::new(key, &der))
}

/// A port that nobody uses: below those the system hands out by itself, so it stays free until it is bound.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + u16::try_from(std::process::id() % 1000).unwrap() * 10;
    (0..2000)
        .map(|_| base + NEXT.fetch_add(1, Ordering::Relaxed) % 2000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
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
