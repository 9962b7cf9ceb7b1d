//! Row 1: a new mTLS connection for each enrolment, beside one for each tiny GET.

use rustls::{NamedGroup, ProtocolVersion};
use tokio::runtime::Runtime;

use crate::load::{Client, Crowd};
use crate::measure::{Plan, Row};
use crate::scene::{Device, Scene};
use crate::{Outcome, wire};

/// Comes, asks, goes.
struct Visitor {
    device: Device,
    requests: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Client for Visitor {
    fn prepare(&mut self, asks: usize) -> Outcome<()> {
        self.requests.extend(self.device.requests(asks.saturating_sub(self.requests.len()))?);
        Ok(())
    }

    async fn act(&mut self) -> Outcome<bool> {
        let Some(request) = self.requests.pop() else { return Ok(false) };
        let mut stream = self.device.connect().await?;
        let answer = wire::exchange(&mut stream, &request, &mut self.buffer).await?;
        match answer.status() {
            "200" => Ok(true),
            _ => Err(answer.head.into()),
        }
    }
}

/// The same connection, with nothing to do at its end.
struct Passer {
    device: Device,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client for Passer {
    async fn act(&mut self) -> Outcome<bool> {
        let mut stream = self.device.connect().await?;
        let answer = wire::exchange(&mut stream, &self.request, &mut self.buffer).await?;
        match answer.status() {
            "404" => Ok(true),
            _ => Err(answer.head.into()),
        }
    }
}

pub(crate) fn measure(scene: &Scene, client: &Runtime, plan: &Plan) -> Outcome<Row> {
    client.block_on(check(&scene.devices[0]))?;
    let visitor = |device: &Device| Visitor {
        device: device.clone(),
        requests: Vec::new(),
        buffer: Vec::with_capacity(8192),
    };
    let passer = |device: &Device| Passer {
        device: device.clone(),
        request: wire::get("/nothing", "localhost"),
        buffer: Vec::with_capacity(8192),
    };
    let mut visitors = Crowd::new(scene.devices.iter().map(visitor).collect(), 100.0);
    let mut passers = Crowd::new(scene.devices.iter().map(passer).collect(), 0.0);
    Row::measure(
        "1 enrolments, a new mTLS connection each",
        "mTLS connections with a GET answered 404",
        0.75,
        plan,
        |length| visitors.round(client, length),
        |length| passers.round(client, length),
    )
}

/// The handshake is the one that the row's name promises.
async fn check(device: &Device) -> Outcome<()> {
    let mut stream = device.connect().await?;
    let mut buffer = Vec::new();
    wire::exchange(&mut stream, &wire::get("/nothing", "localhost"), &mut buffer).await?;
    let connection = stream.get_ref().1;
    let group = connection.negotiated_key_exchange_group().map(|group| group.name());
    if connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && group == Some(NamedGroup::X25519MLKEM768)
    {
        return Ok(());
    }
    Err(format!("not TLS 1.3 with X25519MLKEM768 but {:?}, {group:?}", connection.protocol_version()).into())
}
