//! Talks to the admin door of a running server, over its socket or over https.

use std::fs;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode, Uri};
use rustls::pki_types::ServerName;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::Failure;
use super::arguments::Global;
use crate::admin::Problem;
use crate::authority::{MAX_PAGE, Page};
use crate::http::{Client, Identity, Trust};
use crate::ids::EventNumber;
use crate::pki::pem;

/// A connection to the admin door.
pub(super) struct Admin {
    http: Client,
    host: String,
}

impl Admin {
    pub(super) async fn connect(global: &Global) -> Result<Self, Failure> {
        match &global.server {
            None => Self::local(global.dir()).await,
            Some(url) => Self::remote(global, url).await,
        }
    }

    async fn local(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join("admin.sock");
        let stream = UnixStream::connect(&path).await.map_err(|error| {
            Failure::Refused(format!(
                "no server answers at {} ({error}): start one with 'vitae serve --dir {}', or name another with --dir or --server",
                path.display(),
                dir.display(),
            ))
        })?;
        Ok(Self { http: Client::new(stream).await?, host: "localhost".to_owned() })
    }

    async fn remote(global: &Global, url: &str) -> Result<Self, Failure> {
        let usage = || Failure::Usage(format!("'{url}' is no https URL: write https://HOST:PORT"));
        let uri: Uri = url.parse().map_err(|_| usage())?;
        if uri.scheme_str() != Some("https") {
            return Err(usage());
        }
        let host = uri.host().ok_or_else(usage)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(9443);
        let at = |given: &Option<PathBuf>, default: &str| {
            given.clone().unwrap_or_else(|| global.dir().join(default))
        };
        let chain = pem::certificates(&read(&at(&global.cert, "admin/admin.pem"))?)?;
        let key = Zeroizing::new(read(&at(&global.key, "admin/admin.key"))?);
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(key.as_bytes())? else {
            return Err(Failure::Refused("the admin key is not in PKCS#8 form".to_owned()));
        };
        let identity = Identity { chain, key: Zeroizing::new(key.secret_pkcs8_der().to_vec()) };
        let trust = Trust::from_pem(&read(&at(&global.cacert, "ca/chain.pem"))?)?;
        let name = ServerName::try_from(host.clone()).map_err(|_| usage())?;
        let stream = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(|error| Failure::Refused(format!("cannot reach {url}: {error}")))?;
        let stream = TlsConnector::from(trust.tls(Some(&identity))?).connect(name, stream).await?;
        Ok(Self { http: Client::new(stream).await?, host: format!("{host}:{port}") })
    }

    pub(super) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        let response = self.exchange(Method::GET, path, Bytes::new()).await?;
        Ok(serde_json::from_slice(response.body())?)
    }

    pub(super) async fn get_text(&mut self, path: &str) -> Result<String, Failure> {
        let response = self.exchange(Method::GET, path, Bytes::new()).await?;
        Ok(String::from_utf8_lossy(response.body()).into_owned())
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let response = self.exchange(Method::POST, path, serde_json::to_vec(body)?.into()).await?;
        Ok(serde_json::from_slice(response.body())?)
    }

    /// Every row of a list up to `limit`, page by page.
    pub(super) async fn list<T: DeserializeOwned>(
        &mut self,
        path: &str,
        filter: &[(&str, Option<String>)],
        limit: Option<usize>,
    ) -> Result<Vec<T>, Failure> {
        let mut rows: Vec<T> = Vec::new();
        let mut filter: Vec<(&str, String)> =
            filter.iter().filter_map(|(name, value)| Some((*name, value.clone()?))).collect();
        loop {
            let want = limit.map_or(MAX_PAGE, |limit| limit.saturating_sub(rows.len())).min(MAX_PAGE);
            if want == 0 {
                return Ok(rows);
            }
            let mut query = format!("limit={want}");
            for (name, value) in &filter {
                query.push_str(&format!("&{name}={}", escape(value)));
            }
            let page: Page<T> = self.get(&format!("{path}?{query}")).await?;
            rows.extend(page.items);
            let Some(next) = page.next else { return Ok(rows) };
            filter.retain(|(name, _)| *name != "after");
            filter.push(("after", next));
        }
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Bytes>, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let response = self.http.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response.status(), response.body()))
    }

    /// A stream of events, from the one behind `last` on. The connection serves nothing else afterwards.
    pub(super) async fn open(&mut self, path: &str, last: Option<EventNumber>) -> Result<Opened, Failure> {
        let mut request = Request::builder().uri(path).header(HOST, &self.host);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last.0);
        }
        let response = self.http.open(request.body(Full::new(Bytes::new()))?).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(Opened::Stream(response.into_body()));
        }
        let text = Limited::new(response.into_body(), LONGEST_REFUSAL).collect().await;
        let text = text.map(|text| text.to_bytes()).unwrap_or_default();
        Ok(Opened::Refused(status, refusal(status, &text)))
    }
}

/// What came of asking for a stream.
pub(super) enum Opened {
    Stream(Incoming),
    Refused(StatusCode, Failure),
}

const LONGEST_REFUSAL: usize = 64 * 1024;

/// In the server's own words.
fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    Failure::Refused(match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.detail,
        Err(_) => format!("the server answered {status}"),
    })
}

/// Makes any text safe in a query or a path segment.
pub(super) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// An empty JSON object, for what needs no body.
pub(super) fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::Refused(format!("cannot read {}: {error}", path.display())))
}
