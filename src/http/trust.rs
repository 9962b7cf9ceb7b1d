//! TLS as a client: whom it trusts, such as the CAs in `chain.pem`, and what it shows of itself.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::pki::pem::{self, PemError};

/// A certificate the device holds, with its private key (PKCS#8 DER).
#[derive(Clone)]
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub key: Zeroizing<Vec<u8>>,
}

/// The trust anchors of a client.
#[derive(Clone, Debug)]
pub struct Trust(Arc<RootCertStore>);

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("the trust anchors cannot be read: {0}")]
    Pem(#[from] PemError),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    pub fn from_pem(text: &str) -> Result<Self, TrustError> {
        Self::from_der(pem::certificates(text)?)
    }

    pub fn from_der(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for der in certificates {
            roots.add(CertificateDer::from(der))?;
        }
        Ok(Self(Arc::new(roots)))
    }

    /// With a certificate of its own, if it has one.
    pub fn tls(&self, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TrustError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.0));
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
                builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(identity.key.to_vec().into()))?
            }
        };
        Ok(Arc::new(config))
    }
}
