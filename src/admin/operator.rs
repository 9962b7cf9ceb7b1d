//! Who is at the door. Every handler that does anything takes an [`Operator`], so none can forget to ask.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::problem::Problem;
use crate::authority::{Authority, Operator, OperatorRefused, PresentedChain};

/// Where the connection came from.
#[derive(Clone, Debug)]
pub enum AdminPeer {
    /// The Unix socket, which only the server's own user can open.
    Local,
    /// https, with the client certificates that the handshake has proven.
    Tls(Option<PresentedChain>),
}

impl AdminPeer {
    /// Who that is now: a certificate may have been revoked since the last time.
    pub(super) fn operator(&self, authority: &Authority) -> Result<Operator, Problem> {
        match self {
            Self::Local => Ok(authority.local_operator()?),
            Self::Tls(chain) => Ok(authority.operator(chain.as_ref())?),
        }
    }
}

/// The operator of a request.
pub(super) struct By(pub(super) Operator);

impl FromRequestParts<Arc<Authority>> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, authority: &Arc<Authority>) -> Result<Self, Problem> {
        match parts.extensions.get::<AdminPeer>() {
            Some(peer) => peer.operator(authority).map(Self),
            None => Err(OperatorRefused::NoCertificate.into()),
        }
    }
}
