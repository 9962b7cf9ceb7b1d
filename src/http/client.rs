//! One HTTP/1.1 connection as a client, over whatever stream it was given. Redirects are answers like others.

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
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
    #[error("the answer is larger than {largest} bytes")]
    TooLarge { largest: usize },
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

    /// The other side has ended the connection, as far as is known.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// The whole answer, of 64 MiB at most.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpError> {
        self.send_within(request, LARGEST).await
    }

    /// The whole answer, whose body has `largest` bytes at most. After an error the connection is of no more use.
    pub async fn send_within(
        &mut self,
        request: Request<Full<Bytes>>,
        largest: usize,
    ) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = self.open(request).await?.into_parts();
        let body = Limited::new(body, largest).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLarge { largest }
            } else {
                HttpError::Body(error.to_string())
            }
        })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    /// The head of the answer; its body comes piece by piece, and may have no end.
    pub async fn open(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, HttpError> {
        self.0.ready().await?;
        Ok(self.0.send_request(request).await?)
    }
}
