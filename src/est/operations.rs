//! The operations: cacerts, simpleenroll, simplereenroll (RFC 7030 sections 4.1 and 4.2).

use std::error::Error;

use hyper::Request;
use hyper::body::{Body, Bytes};
use tokio::time::timeout;

use super::answer::Answer;
use super::body;
use super::credentials::Basic;
use crate::authority::{Authority, EnrolRequest, Peer};
use crate::config::Profile;
use crate::pki::body::decode_base64;
use crate::pki::csr::VerifiedCsr;

/// Everybody may know whom to trust (E40); the bytes are those of the CAs themselves (B52).
pub(super) fn cacerts(authority: &Authority, profile: &Profile) -> Result<Answer, Answer> {
    Ok(Answer::certificates(&authority.cacerts(profile)))
}

pub(super) async fn enroll<B>(
    authority: &Authority,
    profile: &Profile,
    renewal: bool,
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
    authority.admit(profile, renewal, &credentials, peer.address).await?;
    let limits = authority.config().server().limits();
    let bytes = timeout(limits.request_timeout, body::read(request, limits.max_body))
        .await
        .map_err(|_| Answer::too_slow())??;
    let _in_progress = authority.begin()?;
    let csr = VerifiedCsr::from_der(&decode_base64(&bytes)?)?;
    let asked = EnrolRequest {
        profile,
        renewal,
        requested: csr.requested(),
        key: csr.public_key(),
        credentials: &credentials,
        bindings: &peer.bindings,
        server_key: false,
        source: peer.address,
    };
    // A store that does not answer is our trouble, not the client's. Should the commit go through after all, the same
    // key gets the same certificate (B47).
    let outcome =
        timeout(limits.request_timeout, authority.enrol(asked)).await.map_err(|_| Answer::too_late())??;
    Ok(Answer::of(&outcome))
}
