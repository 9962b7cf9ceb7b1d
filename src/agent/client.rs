//! Speaks EST (RFC 7030) over one TLS connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::request::RequestError;
use crate::http::{Client, HttpError, Identity, Trust, TrustError};
use crate::pki::binding::{EXPORTER_LABEL, EXPORTER_LENGTH, challenge};
use crate::pki::csr_attributes::CsrAttributes;
use crate::pki::{body, cms};

/// Why the device has no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("cannot reach {0}: {1}")]
    Unreachable(SocketAddr, std::io::Error),
    #[error("'{0}' is no name of a TLS server")]
    BadServerName(String),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server's own words.
    #[error("the server answered {status}: {text}")]
    Refused { status: u16, text: String },
    /// The request is taken, and the same one is to be made again after this time (RFC 7030 section 4.2.3).
    #[error("the server has no certificate yet: {text}")]
    Waits { text: String, retry_after: Duration },
    #[error("the server's answer cannot be read: {0}")]
    BadAnswer(String),
}

impl AgentError {
    /// Whether the same request may be answered otherwise later, without anybody's doing.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(..) | Self::Http(_) | Self::Waits { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::BadServerName(_) | Self::Trust(_) | Self::Request(_) | Self::BadAnswer(_) => false,
        }
    }
}

/// For servers that say how long to wait in a form that is not ours, such as a date.
const UNSAID: Duration = Duration::from_secs(60);

/// One EST server, as one device sees it.
#[derive(Clone)]
pub struct EstClient {
    address: SocketAddr,
    name: String,
    tls: Arc<ClientConfig>,
}

impl EstClient {
    /// `name` is what the server's certificate must say.
    pub fn new(
        address: SocketAddr,
        name: &str,
        trust: &Trust,
        identity: Option<&Identity>,
    ) -> Result<Self, AgentError> {
        Ok(Self { address, name: name.to_owned(), tls: trust.tls(identity)? })
    }

    pub async fn connect(&self) -> Result<Connection, AgentError> {
        let unreachable = |error| AgentError::Unreachable(self.address, error);
        let name = ServerName::try_from(self.name.clone())
            .map_err(|_| AgentError::BadServerName(self.name.clone()))?;
        let stream = TcpStream::connect(self.address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let stream =
            TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(unreachable)?;
        let host = format!("{}:{}", self.name, self.address.port());
        let binding = binding(stream.get_ref().1);
        Ok(Connection { http: Client::new(stream).await?, host, binding })
    }
}

/// A kept-alive connection.
pub struct Connection {
    pub(super) http: Client,
    pub(super) host: String,
    binding: Option<String>,
}

/// The tls-exporter value (RFC 9266). Before TLS 1.3 it needs the extended master secret, and rustls does not say whether
/// that was agreed on.
fn binding(connection: &ClientConnection) -> Option<String> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let value = connection.export_keying_material([0; EXPORTER_LENGTH], EXPORTER_LABEL, Some(b"")).ok()?;
    Some(challenge(&value))
}

impl Connection {
    /// What ties a request to this connection, as its challengePassword; `None` when nothing does.
    pub(super) fn binding(&self) -> Option<&str> {
        self.binding.as_deref()
    }

    /// A request that must be linked to its connection cannot be made on one that has nothing to link to.
    pub fn can_obey(&self, wishes: &CsrAttributes) -> Result<(), RequestError> {
        match (wishes.challenge_password, &self.binding) {
            (true, None) => Err(RequestError::NothingToLinkTo),
            _ => Ok(()),
        }
    }

    /// DER of the CA certificates.
    pub async fn cacerts(&mut self, label: Option<&str>) -> Result<Vec<Vec<u8>>, AgentError> {
        self.exchange(Method::GET, label, "cacerts", None, None).await
    }

    /// What the server wants in a request for this label. A server that has nothing to say answers 204 or 404 (RFC 7030
    /// section 4.5.2).
    pub async fn csr_attributes(&mut self, label: Option<&str>) -> Result<CsrAttributes, AgentError> {
        match self.answer(Method::GET, label, "csrattrs", None, None).await {
            Ok(der) => {
                CsrAttributes::from_der(&der).map_err(|error| AgentError::BadAnswer(error.to_string()))
            }
            Err(AgentError::Refused { status: 204 | 404, .. }) => Ok(CsrAttributes::default()),
            Err(error) => Err(error),
        }
    }

    /// A first certificate; `token` is device id and one-time token.
    pub async fn enroll(
        &mut self,
        label: Option<&str>,
        request: &[u8],
        token: Option<(&str, &str)>,
    ) -> Result<Vec<u8>, AgentError> {
        let certificates = self.exchange(Method::POST, label, "simpleenroll", Some(request), token).await?;
        only(certificates)
    }

    /// The next certificate, on a connection that shows the current one.
    pub async fn reenroll(&mut self, label: Option<&str>, request: &[u8]) -> Result<Vec<u8>, AgentError> {
        let certificates = self.exchange(Method::POST, label, "simplereenroll", Some(request), None).await?;
        only(certificates)
    }

    async fn exchange(
        &mut self,
        method: Method,
        label: Option<&str>,
        operation: &str,
        der: Option<&[u8]>,
        token: Option<(&str, &str)>,
    ) -> Result<Vec<Vec<u8>>, AgentError> {
        let der = self.answer(method, label, operation, der, token).await?;
        cms::certificates_in(&der).map_err(|error| AgentError::BadAnswer(error.to_string()))
    }

    /// The DER in the answer.
    async fn answer(
        &mut self,
        method: Method,
        label: Option<&str>,
        operation: &str,
        der: Option<&[u8]>,
        token: Option<(&str, &str)>,
    ) -> Result<Vec<u8>, AgentError> {
        let path = match label {
            Some(label) => format!("/.well-known/est/{label}/{operation}"),
            None => format!("/.well-known/est/{operation}"),
        };
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.host);
        if der.is_some() {
            request = request.header(CONTENT_TYPE, "application/pkcs10");
        }
        if let Some((user, password)) = token {
            let basic = Zeroizing::new(format!("{user}:{password}"));
            request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(basic.as_bytes())));
        }
        let body = der.map(body::encode_base64).unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| AgentError::BadAnswer(format!("no request can be made: {error}")))?;
        let response = self.http.send(request).await?;
        if response.status() != StatusCode::OK {
            let text = String::from_utf8_lossy(response.body()).trim().to_owned();
            if response.status() == StatusCode::ACCEPTED {
                let seconds =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                // A pause there has to be, whatever a server says.
                let retry_after = seconds.map_or(UNSAID, |seconds: u64| Duration::from_secs(seconds.max(1)));
                return Err(AgentError::Waits { text, retry_after });
            }
            return Err(AgentError::Refused { status: response.status().as_u16(), text });
        }
        body::decode_base64(response.body()).map_err(|error| AgentError::BadAnswer(error.to_string()))
    }
}

fn only(certificates: Vec<Vec<u8>>) -> Result<Vec<u8>, AgentError> {
    match <[Vec<u8>; 1]>::try_from(certificates) {
        Ok([certificate]) => Ok(certificate),
        Err(other) => Err(AgentError::BadAnswer(format!("{} certificates instead of one", other.len()))),
    }
}
