//! Who is calling: the certificate of a TLS peer, judged by our own record, and the operators of the admin door.

use std::net::IpAddr;

use super::Authority;
use super::error::Failed;
use super::own::ADMIN;
use crate::config::{HolderKind, Role};
use crate::fleet::Actor;
use crate::fleet::enrol::{self, Bindings, ClientCertificate, Credentials, PresentedToken, Refusal};
use crate::fleet::rows::{self, Status};
use crate::ids::{Digest, HolderId, RoleName, Serial};
use crate::pki::certificate::Certificate;
use crate::pki::path::verify_client_chain;
use crate::store::View;

/// The role that the local socket and the credential of `init` have.
const LOCAL_ROLE: &str = "admin";
/// How an admin certificate names its role.
const ROLE_URN: &str = "urn:vitae:role:";

/// The certificates a TLS client presented, end entity first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedChain(Vec<Vec<u8>>);

impl PresentedChain {
    /// To be called only when the handshake has proven that the peer holds the end entity's private key.
    pub fn proven_by_handshake(chain: Vec<Vec<u8>>) -> Self {
        Self(chain)
    }

    pub(super) fn leaf(&self) -> Option<&[u8]> {
        self.0.first().map(Vec::as_slice)
    }
}

/// The other end of an EST connection, as the connection itself shows it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// What it has proven to be in the handshake.
    pub chain: Option<PresentedChain>,
    pub address: Option<IpAddr>,
    /// What a request must name to belong to this connection.
    pub bindings: Bindings,
}

/// A person or program that may use the admin door.
#[derive(Clone, Debug)]
pub struct Operator {
    role: Role,
    name: String,
    credential: Option<Serial>,
}

impl Operator {
    pub fn role(&self) -> &Role {
        &self.role
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn actor(&self) -> Actor {
        Actor::Operator {
            role: self.role.name().clone(),
            name: self.name.clone(),
            credential: self.credential,
        }
    }
}

/// Why somebody may not act at the admin door.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorRefused {
    #[error("the admin door needs an admin client certificate")]
    NoCertificate,
    #[error("this client certificate is not an admin certificate of this authority")]
    NotAnAdmin,
    #[error("this admin certificate is {0}")]
    NotGood(&'static str),
    #[error("the role {0} of this certificate is not in roles.toml")]
    UnknownRole(String),
    #[error("the role {role} lacks the permission {permission}")]
    NoPermission { role: RoleName, permission: &'static str },
}

impl Authority {
    /// What a client showed at the EST door. `basic` is the user name and password of HTTP Basic.
    pub fn credentials(&self, chain: Option<&PresentedChain>, basic: Option<(&str, &str)>) -> Credentials {
        let token = basic.map(|(user, password)| PresentedToken {
            user: user.to_owned(),
            token: Digest::of(password.as_bytes()),
        });
        Credentials { certificate: chain.and_then(|chain| self.identify(chain)), token }
    }

    /// Whether the client is a registration authority, and which: it has shown a good certificate of ours with id-kp-cmcRA.
    /// Its requests are those of devices, which may have made them on connections of their own (RFC 7030 section 3.7).
    pub fn registration_authority(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<HolderId>, Failed<Refusal>> {
        let snapshot = self.snapshot()?;
        Ok(enrol::registration_authority(&*snapshot, &self.config, credentials, self.clock.now())?)
    }

    /// Whose issuer signed it: ours by name (the record then compares every byte), a maker's by its signature.
    fn identify(&self, chain: &PresentedChain) -> Option<ClientCertificate> {
        let leaf = chain.leaf()?;
        let fingerprint = Digest::of(leaf);
        let unknown = ClientCertificate::Own { serial: None, fingerprint };
        let Ok(certificate) = Certificate::from_der(leaf) else { return Some(unknown) };
        if self.cas().any(|ca| ca.subject() == certificate.issuer()) {
            return Some(ClientCertificate::Own { serial: certificate.serial(), fingerprint });
        }
        // Within the validity: the record's rules, not the path check, say whether it has expired.
        let at = self.clock.now().clamp(certificate.not_before(), certificate.not_after());
        let between: Vec<&[u8]> = chain.0[1..].iter().map(Vec::as_slice).collect();
        let maker = self.config.manufacturers().iter().find(|maker| {
            let anchors: Vec<&[u8]> = maker.anchors().iter().map(Vec::as_slice).collect();
            verify_client_chain(leaf, &between, &anchors, at).is_ok()
        });
        Some(match maker {
            None => unknown,
            Some(maker) => ClientCertificate::Maker {
                maker: maker.name().clone(),
                subject_serial: certificate.subject_serial_number(),
                fingerprint,
                not_before: certificate.not_before(),
                not_after: certificate.not_after(),
                key: Digest::of(certificate.spki_der()),
            },
        })
    }

    /// The operator behind the local socket, which only the server's own user can open.
    pub fn local_operator(&self) -> Result<Operator, OperatorRefused> {
        self.operator_of_role(LOCAL_ROLE, "local socket".to_owned(), None)
    }

    /// The operator behind an admin certificate.
    pub fn operator(&self, chain: Option<&PresentedChain>) -> Result<Operator, Failed<OperatorRefused>> {
        let leaf =
            chain.and_then(PresentedChain::leaf).ok_or(Failed::Refused(OperatorRefused::NoCertificate))?;
        let snapshot = self.snapshot()?;
        let (row, certificate) =
            self.admin_certificate(&*snapshot, leaf)?.ok_or(Failed::Refused(OperatorRefused::NotAnAdmin))?;
        let now = self.clock.now();
        let state = match row.status {
            Status::Revoked { .. } => Some("revoked"),
            Status::Held => Some("on hold"),
            Status::Good if now > row.not_after => Some("expired"),
            Status::Good if now < row.not_before => Some("not valid yet"),
            Status::Good => None,
        };
        if let Some(state) = state {
            return Err(Failed::Refused(OperatorRefused::NotGood(state)));
        }
        let role = certificate
            .uris()
            .into_iter()
            .find_map(|uri| uri.strip_prefix(ROLE_URN).map(str::to_owned))
            .ok_or(Failed::Refused(OperatorRefused::NotAnAdmin))?;
        let name = certificate.common_name().unwrap_or_default();
        self.operator_of_role(&role, name, Some(row.serial)).map_err(Failed::Refused)
    }

    fn admin_certificate(
        &self,
        view: &dyn View,
        leaf: &[u8],
    ) -> Result<Option<(rows::CertificateRow, Certificate)>, crate::store::StoreError> {
        let Ok(certificate) = Certificate::from_der(leaf) else { return Ok(None) };
        let Some(serial) = certificate.serial() else { return Ok(None) };
        let Some(row) = rows::certificate(view, &serial)? else { return Ok(None) };
        let ours = row.fingerprint == Digest::of(leaf)
            && row.profile.as_ref().and_then(|name| self.config.profiles().get(name)).is_some_and(
                |profile| *profile.holder() == HolderKind::Authority && profile.name().as_str() == ADMIN,
            );
        Ok(ours.then_some((row, certificate)))
    }

    fn operator_of_role(
        &self,
        role: &str,
        name: String,
        credential: Option<Serial>,
    ) -> Result<Operator, OperatorRefused> {
        let known = role.parse::<RoleName>().ok().and_then(|name| self.config.roles().role(&name).cloned());
        let role = known.ok_or_else(|| OperatorRefused::UnknownRole(role.to_owned()))?;
        Ok(Operator { role, name, credential })
    }
}

/// Every admin verb asks here first, so that no door can forget it.
pub(super) fn permit<R: From<OperatorRefused>>(
    operator: &Operator,
    permission: &'static str,
) -> Result<(), Failed<R>> {
    if operator.role.permits(permission) {
        return Ok(());
    }
    let role = operator.role.name().clone();
    Err(Failed::Refused(OperatorRefused::NoPermission { role, permission }.into()))
}
