//! The certificates that the authority issues to itself: OCSP signers, the listeners' TLS, the first admin.

use std::sync::Arc;

use x509_cert::ext::pkix::name::GeneralName;
use zeroize::Zeroizing;

use super::Authority;
use super::ca::{IssuingCa, OcspSigner};
use super::error::{Failed, OpenError};
use super::files;
use super::identity;
use super::issue::Content;
use crate::clock::Timestamp;
use crate::config::{CaKey, Issuer, NameAttribute, Profile};
use crate::fleet::rows::{self, CERTIFICATE, CertificateRow, Status};
use crate::fleet::{Actor, Der, Fact, Issuance, Proof};
use crate::ids::{HolderId, ProfileName, Serial};
use crate::keys::software::SoftwareKey;
use crate::keys::{KeyError, KeyKind, Signer};
use crate::pki::certificate::Certificate;
use crate::pki::key::PublicKey;
use crate::pki::name;
use crate::store::{Expected, View};

pub(super) const OCSP: &str = "ocsp";
pub(super) const SERVER: &str = "server";
pub(super) const ADMIN: &str = "admin";
pub(super) const EVIDENCE: &str = "evidence";

/// What the TLS listeners show: chain in DER, end entity first, and its private key.
pub struct ListenerIdentity {
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8 in PEM.
    pub key: Zeroizing<String>,
    pub(super) serial: Serial,
    /// The same key, to sign with: the keys that are made for devices are signed as the server that sends them.
    pub(super) signer: Arc<dyn Signer>,
}

impl ListenerIdentity {
    /// Tells a renewed identity from the one before.
    pub fn serial(&self) -> Serial {
        self.serial
    }
}

/// A certificate of our own whose key we hold.
pub(super) struct Own {
    pub(super) row: CertificateRow,
    pub(super) certificate: Vec<u8>,
    pub(super) key: SoftwareKey,
}

impl Authority {
    /// The TLS identity of the listeners; `None` before the first upkeep.
    pub fn listener_identity(&self) -> Option<Arc<ListenerIdentity>> {
        self.listener.load_full()
    }

    /// Takes up what the record says is in use.
    pub(super) fn load_own(&self) -> Result<(), OpenError> {
        let snapshot = self.snapshot()?;
        for ca in self.cas() {
            if let Some(own) = self.newest_own(&*snapshot, OCSP, Some(ca))? {
                self.use_as_ocsp_signer(ca, own)?;
            }
        }
        if let Some(own) = self.newest_own(&*snapshot, SERVER, None)? {
            self.use_as_listener(own)?;
        }
        Ok(())
    }

    /// The newest good certificate of a profile that is ours and whose key is here.
    pub(super) fn newest_own(
        &self,
        view: &dyn View,
        profile: &str,
        ca: Option<&IssuingCa>,
    ) -> Result<Option<Own>, OpenError> {
        let now = self.clock.now();
        for serial in rows::serials_of(view, &HolderId::authority())? {
            let Some(row) = rows::certificate(view, &serial)? else { continue };
            let fits = row.profile.as_ref().is_some_and(|name| name.as_str() == profile)
                && ca.is_none_or(|ca| row.ca == *ca.name())
                && row.status == Status::Good
                // A clock that was ahead for a while leaves certificates that nobody else accepts yet.
                && (row.not_before..=row.not_after).contains(&now);
            let Some(name) = row.profile.as_ref().filter(|_| fits) else { continue };
            let path = files::own_key(&self.dir, name, &row.ca, &serial);
            if path.exists() {
                let certificate = self.certificate_der(view, &row)?;
                return Ok(Some(Own { row, certificate, key: SoftwareKey::load(&path)? }));
            }
        }
        Ok(None)
    }

    pub(super) async fn renew_ocsp_signer(&self, ca: &IssuingCa) -> Result<(), Failed<OpenError>> {
        let subject = vec![(NameAttribute::CommonName, format!("{} OCSP", ca.settings().common_name()))];
        let own = self.issue_own(OCSP, Some(ca), subject, Vec::new()).await?;
        self.use_as_ocsp_signer(ca, own).map_err(|error| Failed::Unavailable(error.to_string()))
    }

    pub(super) async fn renew_listener(&self) -> Result<(), Failed<OpenError>> {
        let names = self.config.server().names();
        let alt_names = names.iter().map(|name| server_name(name)).collect::<Result<_, _>>();
        let alt_names = alt_names.map_err(|error| Failed::Unavailable(format!("server names: {error}")))?;
        let first = names.first().cloned().unwrap_or_else(|| "vitae".to_owned());
        let subject = vec![(NameAttribute::CommonName, first)];
        let own = self.issue_own(SERVER, None, subject, alt_names).await?;
        self.use_as_listener(own)?;
        Ok(())
    }

    /// Makes a key, saves it, and issues a certificate for it. A crash in between leaves an unused key file.
    pub(super) async fn issue_own(
        &self,
        profile: &str,
        ca: Option<&IssuingCa>,
        subject: Vec<(NameAttribute, String)>,
        alt_names: Vec<GeneralName>,
    ) -> Result<Own, Failed<OpenError>> {
        self.certify_own(profile, ca, subject, alt_names, true).await
    }

    /// Makes a key and issues a certificate for it. The key is kept nowhere: it signs once and is gone.
    pub(super) async fn issue_for_one_signature(
        &self,
        profile: &str,
        subject: Vec<(NameAttribute, String)>,
    ) -> Result<Own, Failed<OpenError>> {
        self.certify_own(profile, None, subject, Vec::new(), false).await
    }

    async fn certify_own(
        &self,
        profile: &str,
        ca: Option<&IssuingCa>,
        subject: Vec<(NameAttribute, String)>,
        alt_names: Vec<GeneralName>,
        keep: bool,
    ) -> Result<Own, Failed<OpenError>> {
        let profile = self.own_profile(profile)?;
        let ca = match (ca, profile.ca()) {
            (Some(ca), _) => ca,
            (None, Issuer::One(name)) => self.ca(name).ok_or_else(|| lacking(profile.name().as_str()))?,
            (None, Issuer::Every) => return Err(lacking(profile.name().as_str())),
        };
        let now = self.clock.now();
        let key = SoftwareKey::generate(KeyKind::P256)?;
        let public = PublicKey::from_spki_der(key.public_key()).map_err(own_fault)?;
        let subject = identity::subject(&subject).map_err(own_fault)?;
        let content = Content { profile, model: None, subject, alt_names, key: &public };
        let signed = self.sign(ca, content, now).await?;
        if keep {
            key.save(&files::own_key(&self.dir, profile.name(), ca.name(), &signed.serial))?;
        }
        let issuance = Issuance {
            serial: signed.serial,
            ca: ca.name().clone(),
            profile: profile.name().clone(),
            profile_version: profile.digest(),
            holder: HolderId::authority(),
            stage: None,
            stage_event: None,
            owner: None,
            proof: Proof::Authority,
            approval: None,
            replaces: None,
            overlap_ends: None,
            after_expiry: None,
            not_before: signed.not_before,
            not_after: signed.not_after,
            renew: None,
            key: public.digest(),
            shard: signed.shard,
            source: None,
            server_key: false,
            certificate: Der(signed.der.clone()),
        };
        let expected =
            vec![Expected { table: CERTIFICATE, key: signed.serial.as_bytes().to_vec(), value: None }];
        let fact = Fact::CertificateIssued(Box::new(issuance));
        self.commit(&Actor::System, vec![fact], expected, now).await?;
        let snapshot = self.snapshot()?;
        let row = rows::certificate(&*snapshot, &signed.serial)?.ok_or_else(|| lacking("the record"))?;
        if keep {
            files::remove_older_keys(&self.dir, profile.name(), ca.name(), &signed.serial);
        }
        Ok(Own { row, certificate: signed.der, key })
    }

    pub(super) fn own_profile<R>(&self, name: &str) -> Result<&Profile, Failed<R>> {
        let name: ProfileName = name.parse().map_err(own_fault)?;
        self.config.profiles().get(&name).ok_or_else(|| lacking(name.as_str()))
    }

    pub(super) fn use_as_ocsp_signer(&self, ca: &IssuingCa, own: Own) -> Result<(), OpenError> {
        let bad = |error: String| OpenError::BadCa { ca: ca.name().to_string(), reason: error };
        let public =
            PublicKey::from_spki_der(own.key.public_key()).map_err(|error| bad(error.to_string()))?;
        ca.ocsp.store(Some(Arc::new(OcspSigner {
            key_hash: public.sha1_key_hash(),
            serial: own.row.serial,
            not_after: own.row.not_after,
            certificate: own.certificate,
            signer: Arc::new(own.key),
            standing: self.watches.watch(own.row.serial),
        })));
        Ok(())
    }

    fn use_as_listener(&self, own: Own) -> Result<(), KeyError> {
        let mut chain = vec![own.certificate];
        // The root is what the client trusts already: only what stands between is sent.
        let mut at = self.ca(&own.row.ca);
        while let Some(ca) = at {
            let Some(issuer) = ca.settings().issuer() else { break };
            chain.push(ca.certificate().to_vec());
            at = self.ca(issuer);
        }
        let key = own.key.to_pkcs8_pem()?;
        let (serial, signer) = (own.row.serial, Arc::new(own.key));
        self.listener.store(Some(Arc::new(ListenerIdentity { chain, key, serial, signer })));
        Ok(())
    }

    /// Whether the listeners' certificate says what the configuration says now.
    pub(super) fn listener_names_are_current(&self, certificate: &[u8]) -> bool {
        let wanted: Result<Vec<_>, _> =
            self.config.server().names().iter().map(|name| server_name(name)).collect();
        let (Ok(wanted), Ok(certificate)) = (wanted, Certificate::from_der(certificate)) else {
            return false;
        };
        name::same_alt_names(Some(&wanted), certificate.subject_alt_names())
    }
}

fn server_name(text: &str) -> Result<GeneralName, name::NameError> {
    if text.parse::<std::net::IpAddr>().is_ok() { name::ip(text) } else { name::dns(text) }
}

/// The settings' word for a key and the key maker's word for it.
pub(super) fn key_kind(key: CaKey) -> KeyKind {
    match key {
        CaKey::P256 => KeyKind::P256,
        CaKey::P384 => KeyKind::P384,
    }
}

/// More than half of its life is over.
pub(super) fn past_half(row: &CertificateRow, now: Timestamp) -> bool {
    now.since(row.not_before) * 2 > row.not_after.since(row.not_before)
}

fn lacking<R>(what: &str) -> Failed<R> {
    Failed::Unavailable(format!("{what} is missing or names no CA of this authority"))
}

fn own_fault<R>(error: impl std::fmt::Display) -> Failed<R> {
    Failed::Unavailable(error.to_string())
}
