//! Two other OCSP responders beside this one: `scripts/bench-peers`. The same question about the same certificate, from the
//! same clients, in turns.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use vitae::authority;
use vitae::clock::{SystemClock, SystemRandom};

use crate::fill::{Filling, fill};
use crate::load::{Client, Crowd};
use crate::measure::{Plan, Row};
use crate::ocsp::connect;
use crate::revoke::question;
use crate::stage::Stage;
use crate::{Outcome, scene, wire};

const CLIENTS: usize = 32;
const CERTIFICATES: usize = 1000;
/// Where the others listen. The script gives the run a network of its own.
const OPENSSL: &str = "127.0.0.1:18080";
const CFSSL: &str = "127.0.0.1:18081";

/// Comes, asks, goes. The answer ends with the connection: not every responder says how long it is.
struct Visitor {
    address: SocketAddr,
    request: Arc<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Client for Visitor {
    async fn act(&mut self) -> Outcome<bool> {
        let mut stream = connect(self.address).await?;
        stream.write_all(&self.request).await?;
        self.buffer.clear();
        stream.read_to_end(&mut self.buffer).await?;
        whole(&self.buffer).map(|()| true)
    }
}

/// Asks again on the same connection.
struct Stayer {
    stream: TcpStream,
    request: Arc<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Client for Stayer {
    async fn act(&mut self) -> Outcome<bool> {
        let answer = wire::exchange(&mut self.stream, &self.request, &mut self.buffer).await?;
        match answer.status() {
            "200" if answer.body.len() > 100 => Ok(true),
            _ => Err(answer.head.into()),
        }
    }
}

/// An error of OCSP has five bytes.
fn whole(answer: &[u8]) -> Outcome<()> {
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    match head {
        Some(head) if answer.get(9..12) == Some(b"200") && answer.len() > head + 100 => Ok(()),
        _ => Err(format!("no good answer: {}", String::from_utf8_lossy(answer)).into()),
    }
}

/// Ends with the run.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(client: &Runtime, plan: &Plan, cores: usize) -> Outcome<()> {
    let folder = scene::folder()?;
    let dir = folder.path().join("data");
    let config = scene::policy(&folder.path().join("config"))?;
    let serials = client.block_on(async {
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        authority::init(&dir, Arc::new(config.clone()), clock, random).await?;
        fill(&dir, &Filling { first: 0, count: CERTIFICATES, revoked: 0, shards: 8 }).await
    })?;
    let stage = Stage::open(&dir, config, cores)?;
    let asked = question(&stage.authority, serials[0])?;
    let ours = stage.addresses.status;
    Row::head();

    if installed("openssl") {
        // Subjects have to differ, or openssl refuses the index.
        let line = |serial| format!("V\t351231235959Z\t\t{0}\tunknown\t/CN={0}\n", hex(serial));
        let index: String = serials.iter().map(line).collect();
        let _peer = client.block_on(openssl(&dir, folder.path(), &index))?;
        let closing = Arc::new(with_close(&asked)?);
        let visitors = |address| {
            let one = |_| Visitor { address, request: Arc::clone(&closing), buffer: Vec::new() };
            Crowd::new((0..CLIENTS).map(one).collect(), 0.0)
        };
        let (mut here, mut there) = (visitors(ours), visitors(OPENSSL.parse()?));
        Row::measure(
            "OCSP by POST, a connection each",
            "openssl ocsp, one process",
            2.0,
            plan,
            |length| here.round(client, length),
            |length| there.round(client, length),
        )?
        .print();
    }
    if installed("cfssl") {
        let answer = client.block_on(async {
            let mut stream = connect(ours).await?;
            let mut buffer = Vec::new();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
                wire::exchange(&mut stream, &asked, &mut buffer).await?.body.to_vec(),
            )
        })?;
        let _peer = client.block_on(cfssl(folder.path(), &answer))?;
        // Of this version, cfssl answers at the root alone.
        let theirs = String::from_utf8_lossy(&asked[..HEAD]).replacen("/ocsp", "/", 1).into_bytes();
        let theirs = Arc::new([theirs, asked[HEAD..].to_vec()].concat());
        let asked = Arc::new(asked);
        let stayers = |address, request: &Arc<Vec<u8>>| {
            let one = |_| {
                let stream = client.block_on(connect(address))?;
                Ok(Stayer { stream, request: Arc::clone(request), buffer: Vec::new() })
            };
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Crowd::new(
                (0..CLIENTS).map(one).collect::<Outcome<Vec<_>>>()?,
                0.0,
            ))
        };
        let (mut here, mut there) = (stayers(ours, &asked)?, stayers(CFSSL.parse()?, &theirs)?);
        Row::measure(
            "OCSP by POST on kept-alive connections",
            "cfssl ocspserve, an answer made before",
            6.0,
            plan,
            |length| here.round(client, length),
            |length| there.round(client, length),
        )?
        .print();
    }
    stage.strike()
}

/// The path stands within so many octets; DER comes later.
const HEAD: usize = 10;

fn installed(name: &str) -> bool {
    let found =
        Command::new(name).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("SKIPPED: {name} is not installed");
    }
    found
}

fn hex(serial: &vitae::ids::Serial) -> String {
    serial.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect()
}

fn with_close(request: &[u8]) -> Outcome<Vec<u8>> {
    let at = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or("a request without a head")?;
    Ok([&request[..at], b"\r\nConnection: close".as_slice(), &request[at..]].concat())
}

/// The CA's own key signs: what another responder would be given.
async fn openssl(dir: &Path, folder: &Path, index: &str) -> Outcome<Peer> {
    let file = folder.join("index.txt");
    fs::write(&file, index)?;
    let (certificate, key) = (dir.join("ca/operational.pem"), dir.join("keys/ca-operational.key"));
    let mut command = Command::new("openssl");
    command.args(["ocsp", "-port", "18080", "-ndays", "1", "-index"]).arg(file);
    command.arg("-CA").arg(&certificate).arg("-rsigner").arg(&certificate).arg("-rkey").arg(key);
    started(command, OPENSSL).await
}

async fn cfssl(folder: &Path, answer: &[u8]) -> Outcome<Peer> {
    let file = folder.join("responses");
    fs::write(&file, STANDARD.encode(answer) + "\n")?;
    let mut command = Command::new("cfssl");
    command
        .args(["ocspserve", "-loglevel", "5", "-address", "127.0.0.1", "-port", "18081", "-responses"])
        .arg(file);
    started(command, CFSSL).await
}

async fn started(mut command: Command, address: &str) -> Outcome<Peer> {
    let peer = Peer(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(format!("nobody answers at {address}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(peer)
}
