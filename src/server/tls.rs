//! TLS 1.3 and 1.2 by rustls. The handshake proves who holds which key; the record says later whether that is enough.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

use crate::authority::{Authority, ListenerIdentity};
use crate::clock::Timestamp;
use crate::pki::certificate::Certificate;
use crate::pki::path::{PathError, verify_client_chain, verify_own_chain};

/// Sessions kept for resumption, for each listener by itself (E08, B33).
const SESSIONS: usize = 16_384;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] Error),
    #[error("the listeners have no usable certificate: {0}")]
    Identity(String),
}

/// For the EST listener: devices may show a certificate of ours or of a maker, and need not.
pub(super) fn est(authority: &Arc<Authority>) -> Result<Arc<ServerConfig>, TlsError> {
    let anchors = Anchors { ours: authority.device_anchors(), others: authority.maker_anchors() };
    config(authority, anchors)
}

/// For the admin listener: operators show an admin certificate; without one, the door itself says so.
pub(super) fn admin(authority: &Arc<Authority>) -> Result<Arc<ServerConfig>, TlsError> {
    config(authority, Anchors { ours: Vec::new(), others: authority.operator_anchors() })
}

/// Whose certificates are looked at. Ours may have any purpose, because the record says what they are for; all
/// others must be for TLS clients.
struct Anchors {
    ours: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
}

fn config(authority: &Arc<Authority>, anchors: Anchors) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = PeerVerifier::new(Arc::clone(authority), anchors, Arc::clone(&provider));
    let resolver = Resolver::new(Arc::clone(authority), Arc::clone(&provider))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(resolver));
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    Ok(Arc::new(config))
}

/// Checks chains against our anchors. Expired and future certificates pass the handshake: the record answers them
/// with a text that helps, on this request and every later one.
struct PeerVerifier {
    authority: Arc<Authority>,
    anchors: Anchors,
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    fn new(authority: Arc<Authority>, anchors: Anchors, provider: Arc<CryptoProvider>) -> Self {
        let hints = anchors
            .ours
            .iter()
            .chain(&anchors.others)
            .filter_map(|anchor| Certificate::from_der(anchor).ok())
            .map(|anchor| DistinguishedName::from(anchor.subject_der().to_vec()))
            .collect();
        Self { authority, anchors, hints, provider }
    }

    fn check(&self, leaf: &[u8], between: &[&[u8]], at: Timestamp) -> Result<(), PathError> {
        let ours: Vec<&[u8]> = self.anchors.ours.iter().map(Vec::as_slice).collect();
        match verify_own_chain(leaf, between, &ours, at) {
            Err(PathError::UnknownIssuer) => {
                let others: Vec<&[u8]> = self.anchors.others.iter().map(Vec::as_slice).collect();
                verify_client_chain(leaf, between, &others, at)
            }
            verdict => verdict,
        }
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerVerifier").field("hints", &self.hints.len()).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for PeerVerifier {
    /// cacerts and tokens work without a certificate (E10).
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let between: Vec<&[u8]> = intermediates.iter().map(AsRef::as_ref).collect();
        let now = self.authority.clock().now();
        let verdict = match self.check(end_entity, &between, now) {
            Err(PathError::Expired | PathError::NotYetValid) => {
                // Good at some moment of its own life?
                let leaf =
                    Certificate::from_der(end_entity).map_err(|_| bad(CertificateError::BadEncoding))?;
                self.check(end_entity, &between, now.clamp(leaf.not_before(), leaf.not_after()))
            }
            verdict => verdict,
        };
        match verdict {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(PathError::Expired) => Err(bad(CertificateError::Expired)),
            Err(PathError::NotYetValid) => Err(bad(CertificateError::NotValidYet)),
            Err(PathError::NoClientAuth) => Err(bad(CertificateError::InvalidPurpose)),
            Err(PathError::UnknownIssuer) => Err(bad(CertificateError::UnknownIssuer)),
            Err(PathError::Other(_)) => Err(bad(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn bad(error: CertificateError) -> Error {
    Error::InvalidCertificate(error)
}

/// Shows the newest certificate of the listeners, so that a renewal needs no restart.
struct Resolver {
    authority: Arc<Authority>,
    provider: Arc<CryptoProvider>,
    current: arc_swap::ArcSwap<(crate::ids::Serial, Arc<CertifiedKey>)>,
}

impl Resolver {
    fn new(authority: Arc<Authority>, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let identity =
            authority.listener_identity().ok_or_else(|| TlsError::Identity("none was issued".to_owned()))?;
        let key = certified(&identity, &provider)?;
        let current = arc_swap::ArcSwap::from_pointee((identity.serial(), Arc::new(key)));
        Ok(Self { authority, provider, current })
    }
}

fn certified(identity: &ListenerIdentity, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
        .map_err(|error| TlsError::Identity(error.to_string()))?;
    let chain = identity.chain.iter().map(|certificate| CertificateDer::from(certificate.clone())).collect();
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.load();
        match self.authority.listener_identity() {
            Some(identity) if identity.serial() != current.0 => {
                match certified(&identity, &self.provider) {
                    Ok(key) => self.current.store(Arc::new((identity.serial(), Arc::new(key)))),
                    Err(error) => tracing::error!(%error, "the renewed certificate cannot be used"),
                }
                Some(Arc::clone(&self.current.load().1))
            }
            _ => Some(Arc::clone(&current.1)),
        }
    }
}
