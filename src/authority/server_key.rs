//! Makes a key for a device that cannot make its own, and certifies it (RFC 7030 section 4.4). Nobody here keeps it: it is
//! packed for its holder before the certificate is committed, and forgotten when it is sent.
//!
//! So an answer that was lost stays lost: who asks again gets another key and another certificate.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use super::caller::Peer;
use super::enrol::{EnrolRequest, Issued, check_wishes};
use super::error::Failed;
use super::{Authority, files, identity};
use crate::clock::Timestamp;
use crate::config::{Profile, SubjectKey};
use crate::fleet::enrol::{self, Ask, Class, ClientCertificate, Credentials, Decision, EnrolError, Refusal};
use crate::fleet::rows::{self, Status};
use crate::ids::{Digest, HolderId};
use crate::keys::made::{MadeKey, MadeKind};
use crate::keys::shared::{self, SecretName};
use crate::keys::transport;
use crate::pki::certificate::Certificate;
use crate::pki::csr::Requested;
use crate::pki::envelope::{Asked, DecryptKey, Envelope, KeyPackage, Recipient, permits_receiving};
use crate::pki::key::PublicKey;
use crate::store::{StoreError, View};

/// RSA keys that are made at the same time. One takes a processor for up to some seconds.
const AT_ONCE: usize = 1;

/// RSA keys that are made or waited for. Whoever came behind them would wait in vain, and keep a place among the
/// enrolments in progress all the while.
const QUEUE: usize = 8;

/// Where RSA keys are made, one after the other.
pub(super) struct Making {
    queue: Arc<Semaphore>,
    now: Arc<Semaphore>,
}

impl Making {
    pub(super) fn new() -> Self {
        Self { queue: Arc::new(Semaphore::new(QUEUE)), now: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A place in the queue, given back when it is dropped.
    fn line_up(&self) -> Result<OwnedSemaphorePermit, Failed<Refusal>> {
        let place = Arc::clone(&self.queue).try_acquire_owned();
        place.map_err(|_| Failed::Refused(Refusal::TooManyEnrolments))
    }
}

/// A request for a key and its certificate.
#[derive(Clone, Copy, Debug)]
pub struct ServerKeyRequest<'a> {
    pub profile: &'a Profile,
    /// Names, usages and the tie to the connection count; key and signature of the request were not looked at.
    pub requested: &'a Requested,
    /// How the key is to be encrypted; `None`: TLS alone protects it.
    pub protection: Option<&'a Asked>,
    pub peer: &'a Peer,
    pub credentials: &'a Credentials,
}

/// A private key as its holder gets it. Without Debug.
pub enum SentKey {
    /// DER of a PrivateKeyInfo, wiped when dropped.
    Plain(Zeroizing<Vec<u8>>),
    /// DER of a ContentInfo with EnvelopedData.
    Enveloped(Vec<u8>),
}

/// A certificate that is in the record, and its private key, which is nowhere else.
pub struct ServerKey {
    pub issued: Issued,
    pub key: SentKey,
}

impl Authority {
    /// Makes a key of the profile's kind and certifies it as [`Self::enrol`] does any other. A client that presents its
    /// current certificate of this profile renews it by that.
    ///
    /// Nothing is made before the client has proven who it is, nothing but the key is missing for the certificate, and
    /// the key can reach it.
    pub async fn enrol_with_server_key(
        &self,
        request: ServerKeyRequest<'_>,
    ) -> Result<ServerKey, Failed<Refusal>> {
        let profile = request.profile;
        let renewal = self.renews(request)?;
        let (public, key) = match self.prepare(request, renewal).await {
            Ok(prepared) => prepared,
            Err(Failed::Refused(refusal)) => {
                let holder = refusal.proven_holder().map(tracing::field::display);
                match refusal.class() {
                    Class::Later => {
                        tracing::debug!(code = refusal.code(), profile = %profile.name(), holder, "no key made");
                    }
                    _ => {
                        tracing::info!(code = refusal.code(), profile = %profile.name(), holder, "no key made")
                    }
                }
                self.record_refusal(profile, request.peer.address, request.credentials, &refusal).await;
                return Err(Failed::Refused(refusal));
            }
            Err(unavailable) => return Err(unavailable),
        };
        let asked = EnrolRequest {
            profile,
            renewal,
            requested: request.requested,
            key: &public,
            credentials: request.credentials,
            bindings: &request.peer.bindings,
            server_key: true,
            source: request.peer.address,
        };
        // A request that has to wait is refused above: here the device has moved in between.
        let issued = self.enrol(asked).await?.issued();
        let issued = issued.ok_or_else(|| own_fault("a request for a made key came to wait for approval"))?;
        Ok(ServerKey { issued, key })
    }

    /// Does the client show a certificate of this very profile, and nothing else?
    fn renews(&self, request: ServerKeyRequest<'_>) -> Result<bool, StoreError> {
        let (Some(ClientCertificate::Own { serial: Some(serial), .. }), None) =
            (&request.credentials.certificate, &request.credentials.token)
        else {
            return Ok(false);
        };
        let row = rows::certificate(&*self.snapshot()?, serial)?;
        Ok(row.is_some_and(|row| row.profile.as_ref() == Some(request.profile.name())))
    }

    /// The new key's public half, and the private one as it will be sent.
    async fn prepare(
        &self,
        request: ServerKeyRequest<'_>,
        renewal: bool,
    ) -> Result<(PublicKey, SentKey), Failed<Refusal>> {
        let kind = made_kind(request.profile)?;
        let now = self.clock.now();
        let holder = self.granted(request, renewal, now)?;
        let unfit =
            |reason: String| Failed::Refused(Refusal::KeyProtection { holder: holder.clone(), reason });
        let opener = match request.protection {
            None => None,
            Some(asked) => Some((asked, self.opener(request, asked, &holder, now)?)),
        };
        let envelope = match &opener {
            None => None,
            Some((asked, opener)) => {
                let address = Envelope::address(opener.recipient(asked), &asked.capabilities);
                Some(address.map_err(|error| unfit(error.to_string()))?)
            }
        };
        let place = match kind {
            MadeKind::P256 | MadeKind::P384 => None,
            _ => Some(self.making_keys.line_up()?),
        };
        // The key is what costs: it counts as soon as it is made, whatever becomes of its certificate.
        self.admission.count(&holder, now).map_err(Failed::Refused)?;
        let key = self.make(kind, place).await?;
        let public = PublicKey::from_spki_der(key.public_key()).map_err(own_fault)?;
        let sent = match envelope {
            None => SentKey::Plain(key.into_pkcs8()),
            Some(envelope) => {
                let signed = self.package(&key).await?;
                let rsa = |key: &PublicKey, secret: &[u8]| {
                    transport::rsa_oaep_sha256(key.spki_der(), secret).map_err(|error| error.to_string())
                };
                SentKey::Enveloped(envelope.seal(&signed, &*self.random, &rsa).map_err(own_fault)?)
            }
        };
        Ok((public, sent))
    }

    /// Whether a key of the client's own would be certified now, and whose it would be.
    fn granted(
        &self,
        request: ServerKeyRequest<'_>,
        renewal: bool,
        now: Timestamp,
    ) -> Result<HolderId, Failed<Refusal>> {
        let subject = identity::named(request.requested);
        let ask = Ask {
            profile: request.profile,
            renewal,
            subject: &subject,
            // There is no key yet. These are the octets of none, so no rule about known keys can apply.
            key: Digest::of(b"a key that is not made yet"),
            server_key: true,
            credentials: request.credentials,
            challenge: request.requested.challenge_password(),
            bindings: &request.peer.bindings,
        };
        let snapshot = self.snapshot()?;
        let grant = match enrol::decide(&*snapshot, &self.config, &ask, now) {
            Ok(Decision::Issue(grant)) => grant,
            // Everything else depends on a key that the client has.
            Ok(_) => {
                return Err(Failed::Refused(Refusal::OwnKeyNeeded {
                    profile: request.profile.name().clone(),
                }));
            }
            Err(EnrolError::Refused(refusal)) => return Err(Failed::Refused(refusal)),
            Err(EnrolError::Store(error)) => return Err(error.into()),
        };
        self.check_issuer(&*snapshot, request.profile)?;
        self.check_renewed_names(&*snapshot, request.requested, &grant)?;
        check_wishes(request.profile, renewal, request.requested, &grant)?;
        // The place is for the certificate, which takes one of its own.
        self.within_quota(&grant, now)?;
        Ok(grant.holder().clone())
    }

    /// Finds what the request names, among the secrets here and the keys that this holder is known to have (E52).
    fn opener(
        &self,
        request: ServerKeyRequest<'_>,
        asked: &Asked,
        holder: &HolderId,
        now: Timestamp,
    ) -> Result<Opener, Failed<Refusal>> {
        let refuse =
            |reason: String| Failed::Refused(Refusal::KeyProtection { holder: holder.clone(), reason });
        match &asked.key {
            DecryptKey::Secret(id) => {
                let name = std::str::from_utf8(id).ok().and_then(|text| text.parse::<SecretName>().ok());
                let secret = match name {
                    Some(name) => shared::load(&files::shared_secrets(&self.dir), &name)?,
                    None => None,
                };
                let unknown = "the request names a shared secret that is not known here: name another, or leave \
                               DecryptKeyIdentifier out";
                secret.map(Opener::Secret).ok_or_else(|| refuse(unknown.to_owned()))
            }
            DecryptKey::Public(id) => {
                let mut unfit =
                    "the request names a key that this holder is not known to have: name the subject key \
                                 identifier of a good certificate of its own, or leave \
                                 AsymmetricDecryptKeyIdentifier out"
                        .to_owned();
                for certificate in self.keys_of(request, holder, now)? {
                    let Ok(key) = certificate.public_key() else { continue };
                    if !is_named(&certificate, &key, id) {
                        continue;
                    }
                    match permits_receiving(&certificate, &key) {
                        Ok(()) => return Ok(Opener::Key(key)),
                        Err(error) => unfit = error.to_string(),
                    }
                }
                Err(refuse(unfit))
            }
        }
    }

    /// The certificates of keys that this holder is proven to have: those in its record that are good, and the birth
    /// certificate of its maker that it has presented.
    fn keys_of(
        &self,
        request: ServerKeyRequest<'_>,
        holder: &HolderId,
        now: Timestamp,
    ) -> Result<Vec<Certificate>, StoreError> {
        let snapshot = self.snapshot()?;
        let view: &dyn View = &*snapshot;
        let mut found = Vec::new();
        if let Some(ClientCertificate::Maker { not_before, not_after, .. }) = &request.credentials.certificate
            && (*not_before..=*not_after).contains(&now)
            && let Some(leaf) = request.peer.chain.as_ref().and_then(|chain| chain.leaf())
        {
            found.extend(Certificate::from_der(leaf));
        }
        for row in rows::certificates_of(view, holder)? {
            if row.status == Status::Good && (row.not_before..=row.not_after).contains(&now) {
                found.extend(Certificate::from_der(&self.certificate_der(view, &row)?));
            }
        }
        Ok(found)
    }

    /// `place`: in the queue of those that take long.
    async fn make(
        &self,
        kind: MadeKind,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<MadeKey, Failed<Refusal>> {
        let Some(place) = place else { return Ok(MadeKey::generate(kind)?) };
        let turn = Arc::clone(&self.making_keys.now).acquire_owned().await.map_err(own_fault)?;
        let made = tokio::task::spawn_blocking(move || {
            // Given back when the key is there, even if nobody waits for it any more.
            let _both = (place, turn);
            MadeKey::generate(kind)
        });
        Ok(made.await.map_err(own_fault)??)
    }

    /// The key, signed as the server that sends it (RFC 7030 section 4.4.2).
    async fn package(&self, key: &MadeKey) -> Result<Zeroizing<Vec<u8>>, Failed<Refusal>> {
        let listener =
            self.listener_identity().ok_or_else(|| own_fault("the listeners have no identity yet"))?;
        let (leaf, above) =
            listener.chain.split_first().ok_or_else(|| own_fault("the listeners' chain is empty"))?;
        let certificate = Certificate::from_der(leaf).map_err(own_fault)?;
        let above: Vec<&[u8]> = above.iter().map(Vec::as_slice).collect();
        let package = KeyPackage::new(key.pkcs8(), &certificate, &above, listener.signer.kind());
        let package = package.map_err(own_fault)?;
        let signature = listener.signer.sign(package.bytes()).await?;
        package.assemble(&signature).map_err(own_fault)
    }
}

/// What can open the envelope.
enum Opener {
    Secret(Zeroizing<Vec<u8>>),
    Key(PublicKey),
}

impl Opener {
    fn recipient<'a>(&'a self, asked: &'a Asked) -> Recipient<'a> {
        let id = asked.key.id();
        match self {
            Self::Secret(secret) => Recipient::Secret { id, secret },
            Self::Key(key) => Recipient::Key { id, key },
        }
    }
}

/// The RFC leaves open what the identifier is: the certificate's own word for the key, or one of the two hashes that a
/// client can make of a key without a certificate (RFC 5280 section 4.2.1.2, RFC 7093 section 2).
fn is_named(certificate: &Certificate, key: &PublicKey, id: &[u8]) -> bool {
    certificate.subject_key_id().as_deref() == Some(id) || key.key_id() == id || key.sha1_key_hash() == id
}

/// The configuration lets no other kinds through.
fn made_kind(profile: &Profile) -> Result<MadeKind, Failed<Refusal>> {
    match profile.server_key() {
        Some(SubjectKey::P256) => Ok(MadeKind::P256),
        Some(SubjectKey::P384) => Ok(MadeKind::P384),
        Some(SubjectKey::Rsa { min_bits: 2048 }) => Ok(MadeKind::Rsa2048),
        Some(SubjectKey::Rsa { min_bits: 3072 }) => Ok(MadeKind::Rsa3072),
        Some(SubjectKey::Rsa { min_bits: 4096 }) => Ok(MadeKind::Rsa4096),
        _ => Err(own_fault(format!("no key can be made for profile {}", profile.name()))),
    }
}

fn own_fault(error: impl std::fmt::Display) -> Failed<Refusal> {
    Failed::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// E48: so many wait, the next is told at once, and each gives its place back.
    #[test]
    fn the_queue_for_rsa_keys_has_an_end() {
        let making = Making::new();
        let mut waiting: Vec<_> = (0..QUEUE).map(|_| making.line_up().unwrap()).collect();
        assert!(matches!(making.line_up(), Err(Failed::Refused(Refusal::TooManyEnrolments))));
        waiting.pop();
        waiting.push(making.line_up().unwrap());
        assert!(making.line_up().is_err());
    }
}
