//! Raw bytes over TLS or TCP, so that odd HTTP can be sent and the head of an answer be seen as it came.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vitae::clock::{Clock, ManualClock};
use vitae::ids::Serial;
use vitae::pki::certificate::Certificate;
use vitae::pki::{body, cms};

use super::csr::Key;

/// A key and its certificate, end entity first.
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) key: Key,
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Card {
    pub(crate) fn new(key: &Key, certificate: &Certificate) -> Self {
        Self { key: Arc::clone(key), chain: vec![certificate.der().to_vec()] }
    }

    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_der(&self.chain[0]).unwrap()
    }

    pub(crate) fn serial(&self) -> Serial {
        self.certificate().serial().unwrap()
    }
}

#[derive(Debug)]
struct TestTime(ManualClock);

impl TimeProvider for TestTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0.now().secs())))
    }
}

/// TLS as a client of the test's own time speaks it.
pub(crate) fn tls(
    roots: &[Vec<u8>],
    clock: &ManualClock,
    card: Option<&Card>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.clone())).unwrap();
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(TestTime(clock.clone())))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store);
    Arc::new(match card {
        None => builder.with_no_client_auth(),
        Some(card) => {
            let chain = card.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
            let key = PrivateKeyDer::Pkcs8(card.key.serialize_der().into());
            let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
            // An attacker's client does not look whether key and certificate match.
            let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
            builder.with_client_cert_resolver(Arc::new(shown))
        }
    })
}

/// A connection that keeps what it has read too much.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

pub(crate) async fn connect_tls(
    to: SocketAddr,
    tls: Arc<ClientConfig>,
) -> io::Result<Wire<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(Wire { stream, read: Vec::new() })
}

pub(crate) async fn connect(to: SocketAddr) -> io::Result<Wire<TcpStream>> {
    Ok(Wire { stream: TcpStream::connect(to).await?, read: Vec::new() })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub(crate) async fn ask(&mut self, ask: &Ask) -> io::Result<Reply> {
        self.send(&ask.bytes()).await?;
        if ask.line.starts_with("HEAD ") { self.head().await } else { self.reply().await }
    }

    /// The next answer, body and all.
    pub(crate) async fn reply(&mut self) -> io::Result<Reply> {
        let mut reply = self.head().await?;
        let empty = matches!(reply.status, 100..=199 | 204 | 304);
        let length = reply.header("content-length").map(|length| length.parse::<usize>().unwrap());
        match length {
            _ if empty => {}
            Some(length) => {
                while self.read.len() < length {
                    self.more().await?;
                }
                reply.body = self.read.drain(..length).collect();
            }
            None => while self.more().await.is_ok() {},
        }
        Ok(reply)
    }

    /// The head of the next answer alone.
    pub(crate) async fn head(&mut self) -> io::Result<Reply> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Reply { status, head, body: Vec::new() })
    }

    /// Whether the other side has closed, with nothing more to say.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.read.is_empty() && self.more().await.is_err()
    }

    /// All that comes until the other side ends it. An error: it was broken off, without the farewell of TLS.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.read);
        self.stream.read_to_end(&mut rest).await?;
        Ok(rest)
    }

    async fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let got = self.stream.read(&mut buffer).await?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&buffer[..got]);
        Ok(())
    }
}

/// A request, to be spoilt at will.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { line: format!("{method} {path} HTTP/1.1"), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// EST's POST: a request in base64. `path` begins after `/.well-known/est/`.
    pub(crate) fn est(path: &str, csr: &[u8]) -> Self {
        let ask = Self::new("POST", &format!("/.well-known/est/{path}"));
        ask.header("Content-Type", "application/pkcs10").body(body::encode_base64(csr))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn basic(self, user: &str, password: &str) -> Self {
        self.header("Authorization", &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\r\nHost: localhost\r\n", self.line);
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        let framed = ["Transfer-Encoding", "Content-Length"];
        let is_framed = self.headers.iter().any(|(name, _)| framed.contains(&name.as_str()));
        if !is_framed && (!self.body.is_empty() || self.line.starts_with("POST")) {
            out.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        out.push_str("\r\n");
        [out.as_bytes(), &self.body].concat()
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The certificates of a certs-only answer.
    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        assert_eq!(self.status, 200, "{}", self.text());
        cms::certificates_in(&body::decode_base64(&self.body).unwrap()).unwrap()
    }

    /// The one certificate that was issued.
    pub(crate) fn certificate(&self) -> Certificate {
        let [der] = <[Vec<u8>; 1]>::try_from(self.certificates()).unwrap();
        Certificate::from_der(&der).unwrap()
    }
}
