//! Row 6: OCSP questions that nobody asked before, each of which costs a look into the record and a signature, beside bare
//! signatures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use vitae::authority::Authority;
use vitae::ids::{CaName, Serial};
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, HashAlg};

use crate::load::{Client, Crowd};
use crate::measure::{Plan, Row};
use crate::ocsp::{connect, unkept};
use crate::stage::Stage;
use crate::{Outcome, wire};

/// As long as what is signed of an answer.
const MESSAGE: [u8; 200] = [0x5a; 200];
/// One question for each kind of hash that names the issuer: another request, and another answer.
const KINDS: [HashAlg; 2] = [HashAlg::Sha1, HashAlg::Sha256];

/// All questions that can be asked about a record, each given out once.
pub(crate) struct Questions {
    serials: Vec<Serial>,
    next: AtomicUsize,
    most: usize,
    /// A request of each kind, about the serial number [`PLACEHOLDER`].
    templates: [Vec<u8>; KINDS.len()],
    host: String,
}

/// A prime that divides no number of certificates here, so that each has its turn.
const STRIDE: usize = 1_000_003;

const PLACEHOLDER: [u8; 16] = *b"\x01serial of sixte";

impl Questions {
    /// At most so many of them.
    pub(crate) fn about(
        serials: Vec<Serial>,
        most: usize,
        authority: &Authority,
        host: String,
    ) -> Outcome<Self> {
        let name: CaName = "operational".parse()?;
        let ca = authority.ca(&name).ok_or("there is no CA operational")?;
        let issuer = Certificate::from_der(ca.certificate())?;
        let template = |hash| ocsp::request(issuer.subject_der(), ca.public_key(), &PLACEHOLDER, hash, None);
        let [sha1, sha256] = KINDS.map(template);
        Ok(Self { serials, next: AtomicUsize::new(0), most, templates: [sha1?, sha256?], host })
    }

    /// One that was not given before; none when all were.
    pub(crate) fn next(&self) -> Option<Vec<u8>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.most {
            return None;
        }
        let kind = self.templates.get(number / self.serials.len())?;
        Some(wire::get(&path(kind, &self.serial(number)), &self.host))
    }

    /// All over the record, not in the order in which it was made.
    fn serial(&self, number: usize) -> Serial {
        self.serials[number % self.serials.len() * STRIDE % self.serials.len()]
    }

    pub(crate) fn skip(&self, count: usize) {
        self.next.fetch_add(count, Ordering::Relaxed);
    }

    /// The paths of the first so many.
    pub(crate) fn paths(&self, count: usize) -> Vec<String> {
        (0..count).map(|number| path(&self.templates[0], &self.serial(number))).collect()
    }
}

/// With the base64 percent-encoded, as most clients send it.
fn path(template: &[u8], serial: &Serial) -> String {
    let mut der = template.to_vec();
    if let Some(at) = der.windows(PLACEHOLDER.len()).position(|bytes| bytes == PLACEHOLDER) {
        der[at..at + PLACEHOLDER.len()].copy_from_slice(serial.as_bytes());
    }
    let encoded = STANDARD.encode(der).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("/ocsp/{encoded}")
}

/// Asks about one certificate after the other, and about none twice.
pub(crate) struct Asker {
    stream: TcpStream,
    questions: Arc<Questions>,
    requests: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Asker {
    pub(crate) fn all(
        count: usize,
        questions: &Arc<Questions>,
        address: SocketAddr,
        client: &Runtime,
    ) -> Outcome<Vec<Self>> {
        let one = |_| {
            let stream = client.block_on(connect(address))?;
            let buffer = Vec::with_capacity(8192);
            Ok(Self { stream, questions: Arc::clone(questions), requests: Vec::new(), buffer })
        };
        (0..count).map(one).collect()
    }
}

impl Client for Asker {
    fn prepare(&mut self, asks: usize) -> Outcome<()> {
        let wanted = asks.saturating_sub(self.requests.len());
        self.requests.extend((0..wanted).map_while(|_| self.questions.next()));
        Ok(())
    }

    async fn act(&mut self) -> Outcome<bool> {
        // What was made ready may be too little; making one more is no great matter.
        let Some(request) = self.requests.pop().or_else(|| self.questions.next()) else { return Ok(false) };
        let answer = wire::exchange(&mut self.stream, &request, &mut self.buffer).await?;
        match answer.status() {
            // An error of OCSP has five bytes.
            "200" if answer.body.len() > 100 => Ok(true),
            _ => Err(answer.head.into()),
        }
    }
}

/// Signs without a break.
struct Bare(Arc<EcdsaKeyPair>);

impl Client for Bare {
    async fn act(&mut self) -> Outcome<bool> {
        self.0.sign(&SystemRandom::new(), &MESSAGE).map_err(|_| "the key cannot sign")?;
        Ok(true)
    }
}

pub(crate) fn measure(
    stage: &Stage,
    questions: &Arc<Questions>,
    client: &Runtime,
    plan: &Plan,
    clients: usize,
    cores: usize,
) -> Outcome<Row> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| "no key could be made")?;
    let key = Arc::new(key);
    let status = stage.addresses.status;
    let mut askers = Crowd::new(Asker::all(clients, questions, status, client)?, 200.0);
    let mut bare = Crowd::new((0..cores).map(|_| Bare(Arc::clone(&key))).collect(), 0.0);
    let before = client.block_on(unkept(status))?;
    let mut asked = 0;
    let row = Row::measure(
        "6 OCSP by GET, never asked before",
        "P-256 signatures, all cores",
        0.6,
        plan,
        |length| {
            let round = askers.round(client, length)?;
            asked += round.latencies.len() as u64;
            Ok(round)
        },
        |length| bare.round(client, length),
    )?;
    if client.block_on(unkept(status))? != before + asked {
        return Err("some answers were kept ones: what was measured is not the signing".into());
    }
    Ok(row)
}
