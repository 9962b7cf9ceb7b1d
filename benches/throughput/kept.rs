//! Row 2: enrolments on connections that stay open, beside the cryptography that no authority can do without.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::client::TlsStream;
use vitae::agent::DeviceKey;
use vitae::pki::csr::VerifiedCsr;

use crate::load::{Client, Crowd};
use crate::measure::{Plan, Row};
use crate::scene::{Device, Scene};
use crate::{Outcome, wire};

/// As long as the to-be-signed part of a certificate.
const MESSAGE: [u8; 700] = [0x5a; 700];

/// One device on its one connection, with a new key for each request.
pub(crate) struct Stayer {
    device: Device,
    stream: TlsStream<TcpStream>,
    requests: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Stayer {
    /// Each with its connection open.
    pub(crate) fn all(devices: &[Device], client: &Runtime) -> Outcome<Vec<Self>> {
        let one = |device: &Device| {
            let stream = client.block_on(device.connect())?;
            let buffer = Vec::with_capacity(8192);
            Ok(Self { device: device.clone(), stream, requests: Vec::new(), buffer })
        };
        devices.iter().map(one).collect()
    }
}

impl Client for Stayer {
    fn prepare(&mut self, asks: usize) -> Outcome<()> {
        self.requests.extend(self.device.requests(asks.saturating_sub(self.requests.len()))?);
        Ok(())
    }

    async fn act(&mut self) -> Outcome<bool> {
        let Some(request) = self.requests.pop() else { return Ok(false) };
        let answer = wire::exchange(&mut self.stream, &request, &mut self.buffer).await?;
        match answer.status() {
            "200" => Ok(true),
            _ => Err(answer.head.into()),
        }
    }
}

/// Checks one request and signs once, without a break.
struct Bare {
    csr: Vec<u8>,
    key: Arc<EcdsaKeyPair>,
}

impl Client for Bare {
    async fn act(&mut self) -> Outcome<bool> {
        VerifiedCsr::from_der(&self.csr)?;
        self.key.sign(&SystemRandom::new(), &MESSAGE).map_err(|_| "the key cannot sign")?;
        Ok(true)
    }
}

pub(crate) fn measure(scene: &Scene, client: &Runtime, plan: &Plan, workers: usize) -> Outcome<Row> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| "no key could be made")?;
    let key = Arc::new(key);
    let bare = || {
        let csr = DeviceKey::generate()?.request(Some("BENCH000000"))?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Bare { csr, key: Arc::clone(&key) })
    };
    let bare = (0..workers).map(|_| bare()).collect::<Outcome<_>>()?;
    let mut stayers = Crowd::new(Stayer::all(&scene.devices, client)?, 200.0);
    let mut bare = Crowd::new(bare, 0.0);
    Row::measure(
        "2 enrolments on kept-alive mTLS connections",
        "request check + P-256 signature, all cores",
        0.5,
        plan,
        |length| stayers.round(client, length),
        |length| bare.round(client, length),
    )
}
