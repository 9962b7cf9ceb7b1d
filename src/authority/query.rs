//! Reads the record: lists and single rows, as people and programs see them.

use std::ops::ControlFlow;

use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use super::view::{
    CaView, CertificateFilter, CertificateView, CrlView, DeviceFilter, EnrolledView, IdentityView, Page,
    TokenView,
};
use super::{Authority, IssuingCa};
use crate::clock::Timestamp;
use crate::config::{Ca, Config, Issuer, Profile, RegistrationAuthority};
use crate::fleet::approval::ApprovalStatus;
use crate::fleet::rows::{
    self, CERTIFICATE, CERTIFICATE_BY_HOLDER, CERTIFICATE_BY_RA, CertificateRow, DEVICE_BY_MODEL,
    DEVICE_BY_STAGE, DEVICE_BY_TIME, Device, IDENTITY, Identity, TOKEN_BY_HOLDER, TokenRow,
};
use crate::fleet::{Event, Fact};
use crate::ids::{CaName, Digest, EventNumber, HolderId, ProfileName, Serial, StageName};
use crate::ledger::entry::{self, Entry};
use crate::store::{EVENTS, Range, StoreError, View};

/// The most rows one answer holds.
pub const MAX_PAGE: usize = 1000;

/// Why a list or a row is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error("{0} is not registered")]
    UnknownHolder(HolderId),
    #[error("no certificate has the serial number {0}")]
    UnknownCertificate(Serial),
    #[error("the lifecycle has no stage {0}")]
    UnknownStage(StageName),
    #[error("there is no profile {0}")]
    UnknownProfile(ProfileName),
    #[error("'{0}' is no status: use good, held, revoked or expired")]
    BadStatus(String),
    #[error("'{0}' is not a cursor: pass back what 'next' said")]
    BadCursor(String),
    #[error("{what} did not exist yet at {at}")]
    NotYet { what: String, at: Timestamp },
}

impl Authority {
    pub fn device(&self, operator: &Operator, id: &HolderId) -> Result<Device, Failed<QueryRefused>> {
        permit(operator, "device.read")?;
        rows::device(&*self.snapshot()?, id)?
            .ok_or_else(|| Failed::Refused(QueryRefused::UnknownHolder(id.clone())))
    }

    pub fn devices(
        &self,
        operator: &Operator,
        filter: &DeviceFilter,
    ) -> Result<Page<Device>, Failed<QueryRefused>> {
        permit(operator, "device.read")?;
        if let Some(stage) =
            filter.stage.as_ref().filter(|stage| self.config.lifecycle().stage(stage).is_none())
        {
            return Err(Failed::Refused(QueryRefused::UnknownStage(stage.clone())));
        }
        let limit = filter.limit.unwrap_or(100).clamp(1, MAX_PAGE);
        let snapshot = self.snapshot()?;
        let ids = device_ids(&*snapshot, filter)?;
        let mut devices = Vec::new();
        for id in ids {
            let Some(device) = rows::device(&*snapshot, &id)? else { continue };
            let fits = filter.stage.as_ref().is_none_or(|stage| device.stage == *stage)
                && filter.model.as_ref().is_none_or(|model| device.model == *model);
            if fits {
                devices.push(device);
            }
            if devices.len() > limit {
                break;
            }
        }
        Ok(page(devices, limit, |device| device.id.to_string()))
    }

    pub fn identities(&self, operator: &Operator) -> Result<Vec<IdentityView>, Failed<QueryRefused>> {
        permit(operator, "identity.read")?;
        let now = self.clock.now();
        let snapshot = self.snapshot()?;
        let mut found = Vec::new();
        collect(&*snapshot, IDENTITY, &[], &mut |_, value| {
            let identity = rows::parse::<Identity>(IDENTITY, value)?;
            let so_far = rows::delegated(&*snapshot, &identity.id)?;
            let entry = self.config.registration_authorities().of(&identity.id);
            let enrolled = (entry.is_some() || so_far.ever > 0).then(|| EnrolledView {
                ever: so_far.ever,
                today: so_far.on_day_of(now),
                quota: entry.map(RegistrationAuthority::quota),
                per_day: entry.and_then(RegistrationAuthority::per_day),
            });
            found.push(IdentityView { identity, enrolled });
            Ok(ControlFlow::Continue(()))
        })?;
        found.sort_by_key(|view| std::cmp::Reverse(view.identity.registered.event));
        Ok(found)
    }

    pub fn certificates(
        &self,
        operator: &Operator,
        filter: &CertificateFilter,
    ) -> Result<Page<CertificateView>, Failed<QueryRefused>> {
        permit(operator, "certificate.read")?;
        if let Some(status) = &filter.status
            && !["good", "held", "revoked", "expired"].contains(&status.as_str())
        {
            return Err(Failed::Refused(QueryRefused::BadStatus(status.clone())));
        }
        if let Some(profile) =
            filter.profile.as_ref().filter(|name| self.config.profiles().get(name).is_none())
        {
            return Err(Failed::Refused(QueryRefused::UnknownProfile(profile.clone())));
        }
        let after = filter
            .after
            .as_ref()
            .map(|text| text.parse::<Serial>().map_err(|_| bad_cursor(text)))
            .transpose()?;
        let limit = filter.limit.unwrap_or(100).clamp(1, MAX_PAGE);
        let now = self.clock.now();
        let snapshot = self.snapshot()?;
        let mut found = Vec::new();
        let mut take = |row: CertificateRow| {
            let fits = filter.status.as_ref().is_none_or(|status| row.status_at(now) == status)
                && filter.profile.as_ref().is_none_or(|profile| row.profile.as_ref() == Some(profile))
                && filter.enrolled_by.as_ref().is_none_or(|ra| row.enrolled_by() == Some(ra));
            if fits {
                found.push(CertificateView::of(row, now));
            }
            if found.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let (table, whose) = match (&filter.device, &filter.enrolled_by) {
            (Some(device), _) => (CERTIFICATE_BY_HOLDER, Some(device)),
            (None, Some(ra)) => (CERTIFICATE_BY_RA, Some(ra)),
            (None, None) => (CERTIFICATE, None),
        };
        let prefix = whose.map(|id| rows::key(&[id.as_str().as_bytes(), b""])).unwrap_or_default();
        // Backwards from the last key in front of the cursor.
        let end = after.map(|serial| [prefix.as_slice(), serial.as_bytes()].concat());
        let mut trouble = None;
        let mut each = |key: &[u8], value: &[u8]| {
            let row = if prefix.is_empty() {
                rows::parse(CERTIFICATE, value).map(Some)
            } else {
                indexed_certificate(&*snapshot, &key[prefix.len()..])
            };
            match row {
                Ok(Some(row)) => take(row),
                Ok(None) => ControlFlow::Continue(()),
                Err(error) => {
                    trouble = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        match &end {
            Some(end) => {
                let range = Range { from: &prefix, to: Some(end), backwards: true };
                snapshot.scan(table, range, &mut each)?;
            }
            None => rows::scan_prefix(&*snapshot, table, &prefix, true, &mut each)?,
        }
        if let Some(error) = trouble {
            return Err(error.into());
        }
        Ok(page(found, limit, |view| view.serial.to_string()))
    }

    pub fn certificate(
        &self,
        operator: &Operator,
        serial: &Serial,
    ) -> Result<CertificateView, Failed<QueryRefused>> {
        permit(operator, "certificate.read")?;
        let row = rows::certificate(&*self.snapshot()?, serial)?;
        let row = row.ok_or(Failed::Refused(QueryRefused::UnknownCertificate(*serial)))?;
        Ok(CertificateView::of(row, self.clock.now()))
    }

    /// DER of an issued certificate.
    pub fn certificate_bytes(
        &self,
        operator: &Operator,
        serial: &Serial,
    ) -> Result<Vec<u8>, Failed<QueryRefused>> {
        permit(operator, "certificate.read")?;
        let snapshot = self.snapshot()?;
        let row = rows::certificate(&*snapshot, serial)?;
        let row = row.ok_or(Failed::Refused(QueryRefused::UnknownCertificate(*serial)))?;
        Ok(self.certificate_der(&*snapshot, &row)?)
    }

    pub fn tokens(
        &self,
        operator: &Operator,
        device: Option<&HolderId>,
    ) -> Result<Vec<TokenView>, Failed<QueryRefused>> {
        permit(operator, "token.read")?;
        let snapshot = self.snapshot()?;
        let now = self.clock.now();
        let prefix = device.map(|device| rows::key(&[device.as_str().as_bytes(), b""])).unwrap_or_default();
        let mut found = Vec::new();
        collect(&*snapshot, TOKEN_BY_HOLDER, &prefix, &mut |_, digest| {
            let digest = <[u8; 32]>::try_from(digest)
                .map(Digest::from_bytes)
                .map_err(|_| corrupt(TOKEN_BY_HOLDER.0))?;
            if let Some(row) = rows::token(&*snapshot, &digest)? {
                let status = match (row.spent, row.cancelled) {
                    (Some(_), _) => "spent",
                    (None, Some(_)) => "cancelled",
                    (None, None) if waits(&*snapshot, &row, now)? => "waiting",
                    (None, None) if now > row.expires => "expired",
                    (None, None) => "open",
                };
                found.push((
                    row.issued.event,
                    TokenView {
                        token: digest,
                        device: row.holder,
                        profile: row.profile,
                        issued: row.issued.time,
                        expires: row.expires,
                        status: status.to_owned(),
                        serial: row.serial,
                    },
                ));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        found.sort_by_key(|(event, _)| std::cmp::Reverse(*event));
        Ok(found.into_iter().map(|(_, view)| view).collect())
    }

    pub fn crls(&self, operator: &Operator) -> Result<Vec<CrlView>, Failed<QueryRefused>> {
        permit(operator, "crl.read")?;
        let mut views = Vec::new();
        for ca in self.cas() {
            for lists in ca.lists().values() {
                views.push(CrlView::of(&lists.complete));
                views.extend(lists.delta.as_deref().map(CrlView::of));
            }
        }
        Ok(views)
    }

    pub fn ca_views(&self, operator: &Operator) -> Result<Vec<CaView>, Failed<OperatorRefused>> {
        permit(operator, "ca.read")?;
        let profiles_of = |ca: &CaName| {
            let issues = |profile: &&Profile| *profile.ca() == Issuer::One(ca.clone());
            self.config.profiles().iter().filter(issues).map(|profile| profile.name().clone()).collect()
        };
        let view = |ca: &IssuingCa| CaView {
            ca: ca.name().clone(),
            issuer: ca.settings().issuer().cloned(),
            common_name: ca.settings().common_name().to_owned(),
            not_before: ca.not_before(),
            not_after: ca.not_after(),
            fingerprint: Digest::of(ca.certificate()),
            profiles: profiles_of(ca.name()),
        };
        Ok(self.cas().map(view).collect())
    }

    /// The bytes of a certificate are in the event that issued it.
    pub(super) fn certificate_der(
        &self,
        view: &dyn View,
        row: &CertificateRow,
    ) -> Result<Vec<u8>, StoreError> {
        issued_der(view, row)
    }
}

pub(super) fn issued_der(view: &dyn View, row: &CertificateRow) -> Result<Vec<u8>, StoreError> {
    match entry_at(view, row.issued.event)?.event.fact {
        Fact::CertificateIssued(issuance) => Ok(issuance.certificate.0),
        Fact::CaCreated { certificate, .. } => Ok(certificate.0),
        _ => Err(corrupt(EVENTS.0)),
    }
}

/// The CAs whose certificates an EST client is given: those that share a root with the listeners' certificate.
pub(super) fn trusted_by_clients(config: &Config) -> Vec<CaName> {
    let server = config.profiles().iter().find(|profile| profile.name().as_str() == super::own::SERVER);
    match server.map(Profile::ca) {
        Some(Issuer::One(ca)) => family(config, ca),
        _ => Vec::new(),
    }
}

/// A CA, its root, and everything else below that root, issuers first.
pub(super) fn family(config: &Config, ca: &CaName) -> Vec<CaName> {
    let root_of = |name: &CaName| {
        let mut at = name.clone();
        // The configuration was checked: issuers exist and form no circle.
        while let Some(issuer) = config.hierarchy().ca(&at).and_then(Ca::issuer) {
            at = issuer.clone();
        }
        at
    };
    let root = root_of(ca);
    config.hierarchy().cas().iter().map(|ca| ca.name().clone()).filter(|name| root_of(name) == root).collect()
}

impl Authority {
    /// DER of what `/cacerts` of a profile's label answers: the family of the listeners and that of the profile's CA.
    pub fn cacerts(&self, profile: &Profile) -> Vec<&[u8]> {
        let mut names = trusted_by_clients(&self.config);
        if let Issuer::One(ca) = profile.ca() {
            for name in family(&self.config, ca) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.iter().filter_map(|name| self.ca(name)).map(IssuingCa::certificate).collect()
    }
}

pub(super) fn entry_at(view: &dyn View, number: EventNumber) -> Result<Entry<Event>, StoreError> {
    let bytes = view.get(EVENTS, &number.0.to_be_bytes())?.ok_or_else(|| corrupt(EVENTS.0))?;
    entry::decode(&bytes).map_err(|error| StoreError::Corrupt { table: EVENTS.0, reason: error.to_string() })
}

/// Whether the request that a token was used for waits for an operator, or for its client to come back.
fn waits(view: &dyn View, token: &TokenRow, now: Timestamp) -> Result<bool, StoreError> {
    let row = token.approval.map(|id| rows::approval(view, &id)).transpose()?.flatten();
    let waiting = |status| matches!(status, ApprovalStatus::Pending | ApprovalStatus::Granted);
    Ok(row.is_some_and(|row| waiting(row.status_at(now))))
}

fn device_ids(view: &dyn View, filter: &DeviceFilter) -> Result<Vec<HolderId>, Failed<QueryRefused>> {
    let parse = |bytes: &[u8]| {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse::<HolderId>().ok())
            .ok_or_else(|| corrupt("device index"))
    };
    let mut ids = Vec::new();
    let (table, prefix) = match (&filter.stage, &filter.model) {
        (Some(stage), _) => (DEVICE_BY_STAGE, rows::key(&[stage.as_str().as_bytes(), b""])),
        (None, Some(model)) => (DEVICE_BY_MODEL, rows::key(&[model.as_bytes(), b""])),
        (None, None) => (DEVICE_BY_TIME, Vec::new()),
    };
    if prefix.is_empty() {
        let end = filter.after.as_ref().map(|text| cursor_event(view, text)).transpose()?;
        let range = Range { from: &[], to: end.as_ref().map(<[u8; 8]>::as_slice), backwards: true };
        let want = filter.limit.unwrap_or(100).clamp(1, MAX_PAGE) + 1;
        let mut bad = None;
        view.scan(table, range, &mut |_, value| {
            match parse(value) {
                Ok(id) => ids.push(id),
                Err(error) => bad = Some(error),
            }
            if bad.is_some() || ids.len() >= want {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        return bad.map_or(Ok(ids), |error| Err(error.into()));
    }
    // The indexes are in the order of ids; newest first needs the time of registration.
    let mut found = Vec::new();
    collect(view, table, &prefix, &mut |key, _| {
        let id = parse(&key[prefix.len()..])?;
        if let Some(device) = rows::device(view, &id)? {
            found.push((device.registered.event, id));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    found.sort_by_key(|(event, _)| std::cmp::Reverse(*event));
    if let Some(text) = &filter.after {
        let end = EventNumber(u64::from_be_bytes(cursor_event(view, text)?));
        found.retain(|(event, _)| *event < end);
    }
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// The cursor of a list of devices is the last device of the page before.
fn cursor_event(view: &dyn View, text: &str) -> Result<[u8; 8], Failed<QueryRefused>> {
    let id: HolderId = text.parse().map_err(|_| bad_cursor(text))?;
    let device = rows::device(view, &id)?.ok_or_else(|| bad_cursor(text))?;
    Ok(device.registered.event.0.to_be_bytes())
}

fn indexed_certificate(view: &dyn View, serial: &[u8]) -> Result<Option<CertificateRow>, StoreError> {
    let serial = <[u8; 16]>::try_from(serial).map_err(|_| corrupt(CERTIFICATE_BY_HOLDER.0))?;
    rows::certificate(view, &Serial::from_bytes(serial))
}

/// What is done with each row of a scan, when it may fail.
type FallibleEach<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>;

/// A prefix scan whose body may fail.
fn collect(
    view: &dyn View,
    table: crate::store::Table,
    prefix: &[u8],
    each: FallibleEach<'_>,
) -> Result<(), StoreError> {
    let mut trouble = None;
    rows::scan_prefix(view, table, prefix, false, &mut |key, value| match each(key, value) {
        Ok(flow) => flow,
        Err(error) => {
            trouble = Some(error);
            ControlFlow::Break(())
        }
    })?;
    trouble.map_or(Ok(()), Err)
}

/// One row more than the page holds was looked for: it tells whether there is a next page.
pub(super) fn page<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(cursor) } else { None };
    Page { items, next }
}

pub(super) fn bad_cursor(text: &str) -> Failed<QueryRefused> {
    Failed::Refused(QueryRefused::BadCursor(text.to_owned()))
}

fn corrupt(table: &'static str) -> StoreError {
    StoreError::Corrupt { table, reason: "a row has the wrong form".to_owned() }
}
