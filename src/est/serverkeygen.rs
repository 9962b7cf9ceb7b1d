//! The operation serverkeygen (RFC 7030 section 4.4): a key and its certificate, for devices that cannot make a key.

use std::error::Error;
use std::fmt;

use hyper::Request;
use hyper::body::{Body, Bytes};
use hyper::header::HeaderValue;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::answer::Answer;
use super::body;
use super::credentials::Basic;
use crate::authority::{Authority, Peer, SentKey, ServerKey, ServerKeyRequest};
use crate::config::Profile;
use crate::pki::body::decode_base64;
use crate::pki::cms;
use crate::pki::csr::Requested;
use crate::pki::envelope::{Asked, AskedError};
use crate::pki::multipart::{Boundary, KeyPart, key_and_certificate};

/// No part can contain it: it has a dash, which base64 has not.
const BOUNDARY: &str = "vitae-key-and-certificate";

pub(super) async fn serverkeygen<B>(
    authority: &Authority,
    profile: &Profile,
    peer: &Peer,
    request: Request<B>,
) -> Result<Answer, Answer>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let basic = Basic::from_headers(request.headers());
    if peer.chain.is_none() && basic.is_none() {
        // A stranger's body is not even read.
        return Err(Answer::challenge(request.headers()));
    }
    if !body::is_pkcs10(&request) {
        return Err(Answer::wrong_type());
    }
    let credentials = authority.credentials(peer.chain.as_ref(), basic.as_ref().map(Basic::pair));
    authority.admit(profile, false, &credentials, peer.address).await?;
    let limits = authority.config().server().limits();
    let bytes = timeout(limits.request_timeout, body::read(request, limits.max_body))
        .await
        .map_err(|_| Answer::too_slow())??;
    let _in_progress = authority.begin()?;
    // Its key and its signature are not looked at: the RFC lets a client sign with whatever it has (E50).
    let requested = Requested::from_csr_der(&decode_base64(&bytes)?)?;
    let protection = Asked::from_attributes(requested.attributes())?;
    let asked = ServerKeyRequest {
        profile,
        requested: &requested,
        protection: protection.as_ref(),
        peer,
        credentials: &credentials,
    };
    let made = timeout(limits.request_timeout, authority.enrol_with_server_key(asked)).await;
    let ServerKey { issued, key } = made.map_err(|_| Answer::too_late())??;
    match cms::certs_only(&[issued.certificate()]) {
        Ok(certificate) => Ok(Answer::KeyAndCertificate(KeyAndCertificate { key, certificate })),
        Err(error) => Err(Answer::trouble(&error.to_string())),
    }
}

/// A private key and its certificate, before they are put into the client's form.
pub(super) struct KeyAndCertificate {
    key: SentKey,
    /// DER of a certs-only message.
    certificate: Vec<u8>,
}

impl KeyAndCertificate {
    /// The content type and the body, which is wiped when it has been sent.
    pub(super) fn into_body(self, lines: bool) -> Result<(HeaderValue, Bytes), Answer> {
        // Neither can fail: the boundary is one, and made of letters and dashes.
        let boundary = Boundary::new(BOUNDARY).map_err(|error| Answer::trouble(&error.to_string()))?;
        let content_type = HeaderValue::try_from(boundary.content_type());
        let content_type = content_type.map_err(|error| Answer::trouble(&error.to_string()))?;
        let key = match &self.key {
            SentKey::Plain(der) => KeyPart::Plain(der),
            SentKey::Enveloped(der) => KeyPart::Enveloped(der),
        };
        let text = Zeroizing::new(key_and_certificate(key, &self.certificate, &boundary, lines));
        Ok((content_type, Bytes::from_owner(text)))
    }
}

/// Without the key.
impl fmt::Debug for KeyAndCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAndCertificate").finish_non_exhaustive()
    }
}

impl From<AskedError> for Answer {
    fn from(error: AskedError) -> Self {
        Self::bad_request(&error)
    }
}
