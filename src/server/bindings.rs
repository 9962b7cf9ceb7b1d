//! What a connection to the EST listener can be known by at both ends (RFC 7030 section 3.5): tls-exporter (RFC 9266),
//! and under TLS 1.2 tls-unique (RFC 5929), each only where nobody in the middle could bring two connections to the same
//! value (RFC 7627 section 5.4).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{KeyLog, ServerConfig, ServerConnection, SupportedCipherSuite, Tls12CipherSuite};
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use super::accept::{Shared, handshake};
use super::overheard::{Overheard, Side, Transcript};
use super::visit::Visit;
use crate::authority::Peer;
use crate::fleet::enrol::Bindings;
use crate::pki::binding::{EXPORTER_LABEL, EXPORTER_LENGTH, UNIQUE_LENGTH, challenge};

/// The handshake, with what the connection can be known by.
pub(super) async fn accept<S>(
    shared: &Shared,
    visit: &Visit,
    tls: &ServerConfig,
    stream: S,
) -> Option<(TlsStream<Overheard<S>>, Peer)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret = Arc::new(MasterSecret::default());
    // All that costs is shared behind the copy, the cache of sessions too.
    let mut tls = tls.clone();
    tls.key_log = Arc::<MasterSecret>::clone(&secret);
    let (mut stream, mut peer) =
        handshake(shared, visit, &TlsAcceptor::from(Arc::new(tls)), Overheard::new(stream)).await?;
    let (overheard, connection) = stream.get_mut();
    peer.bindings = bindings(connection, &overheard.take(), &secret.take());
    Some((stream, peer))
}

fn bindings(connection: &ServerConnection, transcript: &Transcript, secret: &[u8]) -> Bindings {
    let mut values = Vec::new();
    match connection.negotiated_cipher_suite() {
        Some(SupportedCipherSuite::Tls13(_)) => values.extend(exporter(connection, Some(b""))),
        Some(SupportedCipherSuite::Tls12(suite)) => {
            let is_extended = transcript.has_extended_master_secret();
            if is_extended {
                // An empty context and none are two things in TLS 1.2 (RFC 5705 section 4). RFC 9266 has the empty one;
                // OpenSSL's s_client, GnuTLS and others export without.
                values.extend(exporter(connection, Some(b"")));
                values.extend(exporter(connection, None));
            }
            values.extend(unique(suite, transcript, secret, is_extended));
        }
        None => {}
    }
    Bindings::of_connection(values)
}

fn exporter(connection: &ServerConnection, context: Option<&[u8]>) -> Option<String> {
    // Fails only before the end of the handshake.
    let value = connection.export_keying_material([0; EXPORTER_LENGTH], EXPORTER_LABEL, context).ok()?;
    Some(challenge(&value))
}

/// RFC 5929 section 3, with the Finished of RFC 5246 section 7.4.9.
fn unique(
    suite: &Tls12CipherSuite,
    transcript: &Transcript,
    secret: &[u8],
    is_extended: bool,
) -> Option<String> {
    let (first, messages) = transcript.first_finished()?;
    let label: &[u8] = match first {
        Side::Client => b"client finished",
        // The server is first when it resumes a session, and what is resumed may have been agreed on with another.
        Side::Server if is_extended => b"server finished",
        Side::Server => return None,
    };
    if secret.is_empty() {
        return None;
    }
    let mut hash = suite.common.hash_provider.start();
    hash.update(messages);
    let mut value = [0; UNIQUE_LENGTH];
    suite.prf_provider.for_secret(&mut value, secret, label, hash.finish().as_ref());
    Some(challenge(&value))
}

/// Takes the master secret of one TLS 1.2 connection while its handshake goes on; it is used once and wiped.
#[derive(Default)]
struct MasterSecret(Mutex<Zeroizing<Vec<u8>>>);

impl MasterSecret {
    fn take(&self) -> Zeroizing<Vec<u8>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KeyLog for MasterSecret {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if !self.will_log(label) {
            return;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Zeroizing::new(secret.to_vec());
    }

    /// The label that stands for the master secret of TLS 1.2.
    fn will_log(&self, label: &str) -> bool {
        label == "CLIENT_RANDOM"
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterSecret").finish_non_exhaustive()
    }
}
