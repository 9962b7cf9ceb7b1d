//! One HTTP/1.1 connection as a client, over whatever stream it was given.

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// More than any answer of this server but a large CRL.
const LARGEST: usize = 64 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the connection broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("the answer broke off: {0}")]
    Body(String),
}

/// Keeps the connection; one request after the other.
pub struct Client(SendRequest<Full<Bytes>>);

impl Client {
    pub async fn new<S>(stream: S) -> Result<Self, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what goes wrong there is what the request is answered.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self(sender))
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpError> {
        self.0.ready().await?;
        let (parts, body) = self.0.send_request(request).await?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLarge
            } else {
                HttpError::Body(error.to_string())
            }
        })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}
