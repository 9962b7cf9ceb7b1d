//! Rows 3 and 7: OCSP answers that are kept, beside a hyper server that knows nothing but those very bytes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use vitae::authority::Authority;
use vitae::ids::CaName;
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, HashAlg};
use vitae::pki::{body, cms};

use crate::load::{Client, Crowd};
use crate::measure::{Plan, Row};
use crate::scene::{Device, Scene};
use crate::{Outcome, wire};

const CERTIFICATES: usize = 1000;

/// What is sent for each path: exactly what the status door sends.
type Known = HashMap<String, (Vec<(HeaderName, HeaderValue)>, Bytes)>;

/// A relying party that asks about one certificate after the other.
pub(crate) struct Party {
    stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: usize,
    buffer: Vec<u8>,
}

impl Client for Party {
    async fn act(&mut self) -> Outcome<bool> {
        self.next = (self.next + 1) % self.requests.len();
        let answer = wire::exchange(&mut self.stream, &self.requests[self.next], &mut self.buffer).await?;
        match answer.status() {
            "200" => Ok(true),
            _ => Err(answer.head.into()),
        }
    }
}

/// Who is asked, and by how many.
pub(crate) struct Door<'a> {
    pub(crate) status: SocketAddr,
    pub(crate) authority: &'a Authority,
    pub(crate) server: &'a Runtime,
    pub(crate) clients: usize,
}

/// Row 3: certificates that were enrolled.
pub(crate) fn measure(scene: &Scene, client: &Runtime, plan: &Plan) -> Outcome<Row> {
    let paths = client.block_on(paths(scene))?;
    let door = Door {
        status: scene.addresses.status,
        authority: &scene.authority,
        server: &scene.server,
        clients: scene.devices.len(),
    };
    beside_hyper("3 OCSP by GET, 1000 certificates, answers kept", 0.85, &door, &paths, client, plan)
}

pub(crate) fn beside_hyper(
    what: &'static str,
    aim: f64,
    door: &Door<'_>,
    paths: &[String],
    client: &Runtime,
    plan: &Plan,
) -> Outcome<Row> {
    let host = door.status.to_string();
    let requests: Arc<Vec<_>> = Arc::new(paths.iter().map(|path| wire::get(path, &host)).collect());
    let known = client.block_on(learn(door.status, paths, &requests))?;
    let bare = door.server.block_on(bare(door, known))?;

    let mut asking = Crowd::new(parties(door.clients, &requests, door.status, client)?, 0.0);
    let mut beside = Crowd::new(parties(door.clients, &requests, bare, client)?, 0.0);
    let before = client.block_on(unkept(door.status))?;
    let row = Row::measure(
        what,
        "the same bytes from a bare hyper server",
        aim,
        plan,
        |length| asking.round(client, length),
        |length| beside.round(client, length),
    )?;
    if client.block_on(unkept(door.status))? != before {
        return Err("answers were signed during the rounds: what was measured is not the cache".into());
    }
    Ok(row)
}

/// Each with its connection open, and each at another place of the requests.
pub(crate) fn parties(
    clients: usize,
    requests: &Arc<Vec<Vec<u8>>>,
    address: SocketAddr,
    client: &Runtime,
) -> Outcome<Vec<Party>> {
    let step = requests.len() / clients;
    let party = |number| {
        let stream = client.block_on(connect(address))?;
        let (requests, next) = (Arc::clone(requests), number * step);
        Ok(Party { stream, requests, next, buffer: Vec::with_capacity(8192) })
    };
    (0..clients).map(party).collect()
}

pub(crate) async fn connect(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Has certificates issued, and makes the path of a question about each, with the base64 percent-encoded.
async fn paths(scene: &Scene) -> Outcome<Vec<String>> {
    let name: CaName = "operational".parse()?;
    let ca = scene.authority.ca(&name).ok_or("there is no CA operational")?;
    let issuer = Certificate::from_der(ca.certificate())?;
    let key = issuer.public_key()?;
    let share = CERTIFICATES.div_ceil(scene.devices.len());
    let holders: Vec<_> =
        scene.devices.iter().map(|device| tokio::spawn(enrolled(device.clone(), share))).collect();
    let mut paths = Vec::new();
    for holder in holders {
        for certificate in holder.await?? {
            let serial = certificate.serial_bytes();
            let request = ocsp::request(issuer.subject_der(), &key, serial, HashAlg::Sha1, None)?;
            let encoded = STANDARD.encode(request);
            let encoded = encoded.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            paths.push(format!("/ocsp/{encoded}"));
        }
    }
    paths.truncate(CERTIFICATES);
    Ok(paths)
}

async fn enrolled(device: Device, count: usize) -> Outcome<Vec<Certificate>> {
    let mut stream = device.connect().await?;
    let mut buffer = Vec::new();
    let mut certificates = Vec::new();
    for request in device.requests(count)? {
        let answer = wire::exchange(&mut stream, &request, &mut buffer).await?;
        for der in cms::certificates_in(&body::decode_base64(answer.body)?)? {
            certificates.push(Certificate::from_der(&der)?);
        }
    }
    Ok(certificates)
}

/// Asks for each answer twice, so that it is kept, and notes what was sent the second time.
async fn learn(address: SocketAddr, paths: &[String], requests: &[Vec<u8>]) -> Outcome<Known> {
    let mut stream = connect(address).await?;
    let mut buffer = Vec::new();
    let mut known = Known::new();
    for (path, request) in paths.iter().zip(requests) {
        wire::exchange(&mut stream, request, &mut buffer).await?;
        let answer = wire::exchange(&mut stream, request, &mut buffer).await?;
        if answer.status() != "200" || answer.body.len() < 100 {
            return Err(answer.head.into());
        }
        // Length and date are hyper's own on both sides.
        let own = |name: &str| ["content-length", "date"].contains(&name.to_ascii_lowercase().as_str());
        let headers = answer.headers().filter(|(name, _)| !own(name));
        let headers: Outcome<Vec<_>> =
            headers.map(|(name, value)| Ok((name.parse()?, value.parse()?))).collect();
        known.insert(path.clone(), (headers?, Bytes::copy_from_slice(answer.body)));
    }
    Ok(known)
}

/// The bare server, on the runtime of the other and with the same settings of hyper.
async fn bare(door: &Door<'_>, known: Known) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let known = Arc::new(known);
    let header_timeout = door.authority.config().server().limits().header_timeout;
    door.server.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Small answers must not wait for a full packet.
            let _ = stream.set_nodelay(true);
            tokio::spawn(answer_all(stream, Arc::clone(&known), header_timeout));
        }
    });
    Ok(address)
}

async fn answer_all(stream: TcpStream, known: Arc<Known>, header_timeout: Duration) {
    let known = &*known;
    let service = service_fn(|request: Request<Incoming>| async move {
        let mut response = Response::new(Full::default());
        if let Some((headers, bytes)) = known.get(request.uri().path()) {
            *response.body_mut() = Full::new(bytes.clone());
            for (name, value) in headers {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok::<_, Infallible>(response)
    });
    // A client that breaks off is no matter of the server's.
    let _ = http1::Builder::new()
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// How many answers had to be signed so far.
pub(crate) async fn unkept(status: SocketAddr) -> Outcome<u64> {
    let mut stream = connect(status).await?;
    let mut buffer = Vec::new();
    let answer = wire::exchange(&mut stream, &wire::get("/metrics", "localhost"), &mut buffer).await?;
    let text = std::str::from_utf8(answer.body)?;
    let count = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok::<u64, Box<dyn std::error::Error + Send + Sync>>(line.ok_or("a metric is missing")?.parse()?)
    };
    Ok(count("vitae_ocsp_answers_total")? - count("vitae_ocsp_answers_from_cache_total")?)
}
