//! Requests that other projects collected because they broke something (B16, B32, B34, B35, B36), at the real doors.
//!
//! They are those of pyca/cryptography, too many to keep here: `scripts/vectors` fetches them. `scripts/test` does so
//! and names the folder in VITAE_VECTORS; then they must be there.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vitae::pki::body::{decode_base64, encode_base64};
use vitae::pki::csr::VerifiedCsr;
use vitae::pki::ocsp::{OcspRequest, ParsedResponse, parse_response};

use crate::support::House;
use crate::support::processor::spent;
use crate::support::wire::{Ask, Reply, Wire};

/// No honest request comes near, in an unoptimised build either.
const LONGEST: Duration = Duration::from_millis(50);

/// Those that are in order: form, key of at least 2048 bits, signature by SHA-256 or better. Their names are foreign.
const BELIEVED: [&str; 8] = [
    "challenge-unstructured.pem",
    "challenge.pem",
    "ec_sha256.der",
    "ec_sha256.pem",
    "ec_sha256_old_header.pem",
    "freeipa-bad-critical.pem",
    "rsa_sha256.der",
    "rsa_sha256.pem",
];

/// `None`: they were not fetched, which is no fault unless somebody promised them.
fn vectors() -> Option<PathBuf> {
    let promised = env::var_os("VITAE_VECTORS").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vectors/x509");
    let folder = promised.clone().unwrap_or(usual);
    if folder.join("requests").is_dir() {
        return Some(folder);
    }
    assert!(promised.is_none(), "VITAE_VECTORS says {}, where no requests are", folder.display());
    println!("NOT TESTED: the corpus is not in {}; 'scripts/vectors' fetches it", folder.display());
    None
}

struct Sample {
    name: String,
    /// As it is in the file.
    raw: Vec<u8>,
    /// The first PEM object of the file, or the file itself.
    der: Vec<u8>,
}

fn samples(folder: &Path) -> Vec<Sample> {
    let mut samples = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let raw = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let der = unarmoured(&raw).unwrap_or_else(|| raw.clone());
        samples.push(Sample { name, raw, der });
    }
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    samples
}

fn unarmoured(raw: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(raw).ok()?;
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (_, after) = after.split_once("-----\n")?;
    let (base64, _) = after.split_once("-----END")?;
    decode_base64(base64.as_bytes()).ok()
}

/// How often each is read to measure it: the kernel counts in steps of some milliseconds.
const ROUNDS: u32 = 32;

/// What one call costs on a processor.
fn cost(mut work: impl FnMut()) -> Duration {
    let before = spent();
    (0..ROUNDS).for_each(|_| work());
    (spent() - before) / ROUNDS
}

/// What was sent, by how long it took.
#[derive(Default)]
struct Slowest(Vec<(Duration, String)>);

impl Slowest {
    fn add(&mut self, name: &str, took: Duration) {
        self.0.push((took, name.to_owned()));
    }

    fn print(mut self, what: &str) {
        self.0.sort();
        println!("{what}: {}, the slowest", self.0.len());
        for (took, name) in self.0.iter().rev().take(3) {
            println!("  {took:>12.3?}  {name}");
        }
    }
}

async fn timed<S>(wire: &mut Wire<S>, ask: &Ask, slowest: &mut Slowest, name: &str) -> Reply
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let begun = Instant::now();
    let reply = wire.ask(ask).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    slowest.add(name, begun.elapsed());
    reply
}

/// B34, B35, B36: which of them are believed, and that none costs more than an honest one could.
#[test]
fn requests_of_the_corpus_are_believed_for_what_they_are() {
    let Some(folder) = vectors() else { return };
    let samples = samples(&folder.join("requests"));
    assert!(samples.len() >= 26, "{} requests", samples.len());
    let mut believed = Vec::new();
    let mut slowest = Slowest::default();
    for sample in &samples {
        let took = cost(|| drop(VerifiedCsr::from_der(&sample.der)));
        slowest.add(&sample.name, took);
        assert!(took < LONGEST, "{} took {took:?}", sample.name);
        match VerifiedCsr::from_der(&sample.der) {
            Ok(_) => believed.push(sample.name.as_str()),
            Err(error) => println!("{}: {error}", sample.name),
        }
    }
    slowest.print("requests, read and verified");
    assert_eq!(believed, BELIEVED);
}

/// Every request, as DER in base64, in its armour and bare, with a good token and with a birth certificate: 400 for its
/// form, 403 for its names; nothing is issued, and no token is spent.
#[tokio::test]
async fn no_request_of_the_corpus_is_granted() {
    let Some(folder) = vectors() else { return };
    let house = House::open().await;
    let (id, birth) = house.born("BR000001").await;
    let token = house.token(&id, "ldev").await;
    let (mut by_token, mut by_birth) = (house.est(None).await, house.est(Some(&birth)).await);
    let mut slowest = Slowest::default();
    for Sample { name, raw, der } in samples(&folder.join("requests")) {
        let whole = Ask::est("simpleenroll", &der);
        let token = |ask: Ask| ask.basic(id.as_str(), &token);
        for reply in [
            timed(&mut by_token, &token(whole.clone()), &mut slowest, &name).await,
            timed(&mut by_birth, &whole, &mut slowest, &name).await,
            timed(&mut by_birth, &Ask::est("simplereenroll", &der), &mut slowest, &name).await,
        ] {
            // A challenge password may say more than a name does.
            let expected: &[u16] = match BELIEVED.contains(&name.as_str()) {
                true if name.starts_with("challenge") => &[400, 403],
                true => &[403],
                false => &[400],
            };
            assert!(expected.contains(&reply.status), "{name}: {} {}", reply.status, reply.text());
        }
        // As it is in the file: PEM with its armour, or DER without base64.
        let bare = token(whole.body(raw));
        let reply = timed(&mut by_token, &bare, &mut slowest, &name).await;
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
    }
    slowest.print("requests at the EST door");
    assert_eq!(house.certificates_of(&id).len(), 1, "the birth certificate");
    let good = Ask::est("simpleenroll", &crate::support::csr::request(&crate::support::csr::key()));
    assert_eq!(by_token.ask(&good.basic(id.as_str(), &token)).await.unwrap().status, 200);
}

/// Certificates, good and broken ones, are no requests.
#[tokio::test]
async fn no_certificate_of_the_corpus_is_a_request() {
    let Some(folder) = vectors() else { return };
    let house = House::open().await;
    let id = house.register("BR000001", "deployment").await;
    let token = house.token(&id, "ldev").await;
    let before = house.events();
    let mut wire = house.est(None).await;
    let mut slowest = Slowest::default();
    let folders = ["", "custom", "ed25519", "ed448", "ocsp", "PKITS_data/certs", "PKITS_data/crls"];
    let mut sent = 0;
    for Sample { name, der, .. } in folders.iter().flat_map(|name| samples(&folder.join(name))) {
        // Keys and text lie there too.
        if der.first() != Some(&0x30) || encode_base64(&der).len() > 65_536 {
            continue;
        }
        let ask = Ask::est("simpleenroll", &der).basic(id.as_str(), &token);
        let reply = timed(&mut wire, &ask, &mut slowest, &name).await;
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        let _ = vitae::pki::lint::lint_certificate(&der, Some(&der));
        sent += 1;
    }
    assert!(sent > 500, "{sent}");
    slowest.print("other objects at the EST door");
    assert_eq!(house.events(), before);
}

/// O05, O11, O18, O20: requests about others' certificates are unauthorized, all else is malformed; by POST and GET.
#[tokio::test]
async fn ocsp_requests_of_the_corpus_get_no_signed_answer() {
    let Some(folder) = vectors() else { return };
    const MALFORMED: u8 = 1;
    const UNAUTHORIZED: u8 = 6;
    let house = House::open().await;
    let before = house.events();
    let mut wire = crate::support::wire::connect(house.addresses.status).await.unwrap();
    let mut slowest = Slowest::default();
    let mut told = BTreeMap::<u8, usize>::new();
    for Sample { name, der, .. } in samples(&folder.join("ocsp")) {
        let took = cost(|| drop(OcspRequest::from_der(&der, 32)));
        assert!(took < LONGEST, "{name} took {took:?}");
        let path = encode_base64(&der).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        for ask in [
            Ask::new("POST", "/ocsp").header("Content-Type", "application/ocsp-request").body(der.clone()),
            Ask::get(&format!("/ocsp/{path}")),
        ] {
            let reply = timed(&mut wire, &ask, &mut slowest, &name).await;
            assert_eq!(reply.status, 200, "{name}");
            let is_request = name.contains("-req") || name.starts_with("req-");
            let is_broken = ["req-duplicate-ext.der", "req-invalid-version.der"].contains(&name.as_str());
            let expected = if is_request && !is_broken { UNAUTHORIZED } else { MALFORMED };
            assert_eq!(parse_response(&reply.body).unwrap(), ParsedResponse::Error(expected), "{name}");
            *told.entry(expected).or_default() += 1;
        }
    }
    slowest.print("objects at the OCSP door");
    assert!(told.values().all(|count| *count > 4), "{told:?}");
    assert_eq!(house.events(), before, "B54");
}
