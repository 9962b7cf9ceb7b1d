//! The status listener from outside: this machine asks itself over HTTP, as any client does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use tokio::net::TcpStream;

use crate::authority::{Fetched, PublicDoor};
use crate::http::Client;
use crate::ids::CaName;

/// A large list takes its time; what takes longer is told as trouble.
const PATIENCE: Duration = Duration::from_secs(60);
const TRIES: u32 = 3;

pub(super) struct Loopback(SocketAddr);

impl Loopback {
    /// A listener on every address is asked on loopback.
    pub(super) fn to(listener: &TcpListener) -> std::io::Result<Self> {
        let mut address = listener.local_addr()?;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(Self(address))
    }

    async fn fetch(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
        let body = Bytes::from(body);
        let mut trouble = String::new();
        for _ in 0..TRIES {
            let once = self.once(method.clone(), path, kind, body.clone());
            match tokio::time::timeout(PATIENCE, once).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => trouble = error,
                Err(_) => trouble = format!("no answer within {PATIENCE:?}"),
            }
        }
        Err(format!("http://{}{path}: {trouble}", self.0))
    }

    async fn once(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<Vec<u8>, String> {
        let stream = TcpStream::connect(self.0).await.map_err(|error| error.to_string())?;
        let mut client = Client::new(stream).await.map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.0.to_string())
            .header(CONTENT_TYPE, kind)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let answer = client.send(request).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(answer.into_body().to_vec());
        }
        Err(format!("answered {}", answer.status()))
    }
}

impl PublicDoor for Loopback {
    fn address(&self) -> String {
        format!("http://{}", self.0)
    }

    fn ocsp(&self, request: Vec<u8>) -> Fetched<'_> {
        Box::pin(self.fetch(Method::POST, "/ocsp", "application/ocsp-request", request))
    }

    fn crl(&self, ca: &CaName, shard: u32) -> Fetched<'_> {
        let path = format!("/crl/{ca}/{shard}.crl");
        Box::pin(async move { self.fetch(Method::GET, &path, "application/pkix-crl", Vec::new()).await })
    }
}
