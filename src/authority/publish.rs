//! Builds, signs and publishes the certificate revocation list of a CA (RFC 5280 section 5).

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Authority;
use super::ca::{IssuingCa, SHARD, file_error};
use super::caller::{Operator, OperatorRefused, permit};
use super::error::{Failed, OpenError};
use super::files;
use crate::clock::Timestamp;
use crate::fleet::apply::RevokedRow;
use crate::fleet::rows::{self, CRL, CrlRow, REVOKED_BY_CA};
use crate::fleet::{Actor, Fact};
use crate::ids::{CaName, Digest, EventNumber};
use crate::pki::crl::{CrlEntry, CrlTemplate};
use crate::store::{Expected, StoreError, View};

/// A list as it is served.
#[derive(Debug)]
pub struct PublishedCrl {
    pub number: u64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub entries: u64,
    /// Every event below this number is in it.
    pub covers: EventNumber,
    pub digest: Digest,
    pub der: Arc<[u8]>,
}

/// Why a list cannot be published on command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishRefused {
    #[error(transparent)]
    Operator(#[from] OperatorRefused),
    #[error("there is no CA {0}")]
    UnknownCa(CaName),
}

/// Everything a list is made of, read from one snapshot.
struct Contents {
    entries: Vec<CrlEntry>,
    covers: EventNumber,
    last: Option<CrlRow>,
    last_bytes: Option<Vec<u8>>,
    newest: Timestamp,
}

impl Authority {
    /// Publishes a fresh list of one CA on command.
    pub async fn publish_crl(
        &self,
        operator: &Operator,
        ca: &CaName,
    ) -> Result<Arc<PublishedCrl>, Failed<PublishRefused>> {
        permit(operator, "crl.publish")?;
        let ca = self.ca(ca).ok_or_else(|| Failed::Refused(PublishRefused::UnknownCa(ca.clone())))?;
        let _turn = ca.publishing.lock().await;
        self.build_and_publish(ca, operator.actor()).await
    }

    /// Makes sure that the published list has event `event` in it. Callers who wait at the same time share a build.
    pub(super) async fn publish_covering(
        &self,
        ca: &IssuingCa,
        event: EventNumber,
    ) -> Result<Arc<PublishedCrl>, Failed<PublishRefused>> {
        let _turn = ca.publishing.lock().await;
        match ca.crl() {
            Some(list) if list.covers > event => Ok(list),
            _ => self.build_and_publish(ca, Actor::System).await,
        }
    }

    /// Publishes when there is no list yet, the file is not the recorded one, or the list ends soon.
    pub(super) async fn publish_if_due(&self, ca: &IssuingCa) -> Result<(), Failed<PublishRefused>> {
        let _turn = ca.publishing.lock().await;
        let now = self.clock.now();
        let due = ca.crl().is_none_or(|list| now + ca.settings().crl_renew_before() >= list.next_update);
        if due || self.has_unlisted_change(ca)? {
            self.build_and_publish(ca, Actor::System).await?;
        }
        Ok(())
    }

    /// A change was committed but its list was not: the process ended in between.
    fn has_unlisted_change(&self, ca: &IssuingCa) -> Result<bool, StoreError> {
        let Some(list) = ca.crl() else { return Ok(true) };
        let change = rows::last_status_change(&*self.snapshot()?, ca.name())?;
        Ok(change.is_some_and(|event| event >= list.covers))
    }

    /// The caller holds `ca.publishing`.
    async fn build_and_publish(
        &self,
        ca: &IssuingCa,
        actor: Actor,
    ) -> Result<Arc<PublishedCrl>, Failed<PublishRefused>> {
        let contents = self.contents(ca)?;
        let after = contents.last.as_ref().map_or(Timestamp::EPOCH, |last| last.this_update);
        // Never before an entry it lists, nor before the list it replaces, whatever the clock does (C18).
        let this_update = self.clock.now().max(contents.newest).max(after).whole_second();
        let next_update = this_update + ca.settings().crl_lifetime();
        let number = contents.last.as_ref().map_or(0, |last| last.number) + 1;
        let listed: Vec<CrlEntry> = contents.entries;
        let entries = listed.len() as u64;
        let template = CrlTemplate {
            issuer: ca.subject().clone(),
            this_update,
            next_update,
            number,
            authority_key_id: ca.public_key().key_id(),
            signer: ca.signer.kind(),
            entries: listed,
        };
        let unsigned = template.to_be_signed().map_err(own_fault)?;
        let signature = ca.signer.sign(unsigned.bytes()).await?;
        let der = unsigned.assemble(&signature).map_err(own_fault)?;
        let digest = Digest::of(&der);
        let fact = Fact::CrlPublished {
            ca: ca.name().clone(),
            shard: SHARD,
            number,
            this_update,
            next_update,
            entries,
            covers: contents.covers,
            digest,
        };
        // The number is taken before the list is seen: a crash in between skips it and never uses it twice (C05).
        let expected = vec![Expected { table: CRL, key: crl_key(ca.name()), value: contents.last_bytes }];
        self.commit(&actor, vec![fact], expected, self.clock.now()).await?;
        let path = files::crl(&self.dir, ca.name(), SHARD);
        files::replace(&path, &der)
            .map_err(|error| Failed::Unavailable(format!("cannot write {}: {error}", path.display())))?;
        let list = Arc::new(PublishedCrl {
            number,
            this_update,
            next_update,
            entries,
            covers: contents.covers,
            digest,
            der: der.into(),
        });
        ca.crl.store(Some(Arc::clone(&list)));
        tracing::info!(ca = %ca.name(), number, entries, "published a CRL");
        Ok(list)
    }

    fn contents(&self, ca: &IssuingCa) -> Result<Contents, StoreError> {
        let snapshot = self.snapshot()?;
        let last_bytes = snapshot.get(CRL, &crl_key(ca.name()))?;
        let last: Option<CrlRow> = last_bytes.as_ref().map(|bytes| rows::parse(CRL, bytes)).transpose()?;
        let now = self.clock.now();
        let mut entries = Vec::new();
        let mut newest = Timestamp::EPOCH;
        for_each_revoked(&*snapshot, ca, &mut |row| {
            if is_listed(ca, &row, now) {
                newest = newest.max(row.since);
                entries.push(CrlEntry {
                    serial: row.serial,
                    revoked_at: row.since,
                    reason: row.reason,
                    invalid_since: row.invalid_since,
                });
            }
        })?;
        Ok(Contents { entries, covers: self.event_count(&*snapshot)?, last, last_bytes, newest })
    }

    /// Serves the files of the last run again, when they are what the record says.
    pub(super) fn load_crls(&self) -> Result<(), OpenError> {
        let snapshot = self.snapshot()?;
        for ca in self.cas() {
            let Some(row) = rows::get::<CrlRow>(&*snapshot, CRL, &crl_key(ca.name()))? else { continue };
            let path = files::crl(&self.dir, ca.name(), SHARD);
            let der = match fs::read(&path) {
                Ok(der) => der,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(file_error(&path, &error)),
            };
            if Digest::of(&der) == row.digest {
                ca.crl.store(Some(Arc::new(PublishedCrl {
                    number: row.number,
                    this_update: row.this_update,
                    next_update: row.next_update,
                    entries: row.entries,
                    covers: row.covers,
                    digest: row.digest,
                    der: der.into(),
                })));
            }
        }
        Ok(())
    }
}

/// An entry stays until it was on a scheduled list issued after the certificate's end (C19): at least one such list
/// comes within one CRL lifetime.
fn is_listed(ca: &IssuingCa, row: &RevokedRow, at: Timestamp) -> bool {
    at <= row.not_after + ca.settings().crl_lifetime()
}

fn for_each_revoked(
    view: &dyn View,
    ca: &IssuingCa,
    each: &mut dyn FnMut(RevokedRow),
) -> Result<(), StoreError> {
    let prefix = rows::key(&[ca.name().as_str().as_bytes(), &SHARD.to_be_bytes(), b""]);
    let mut bad = None;
    rows::scan_prefix(view, REVOKED_BY_CA, &prefix, false, &mut |_, value| match rows::parse(
        REVOKED_BY_CA,
        value,
    ) {
        Ok(row) => {
            each(row);
            ControlFlow::Continue(())
        }
        Err(error) => {
            bad = Some(error);
            ControlFlow::Break(())
        }
    })?;
    bad.map_or(Ok(()), Err)
}

fn crl_key(ca: &CaName) -> Vec<u8> {
    rows::key(&[ca.as_str().as_bytes(), &SHARD.to_be_bytes()])
}

fn own_fault<R>(error: impl std::fmt::Display) -> Failed<R> {
    Failed::Unavailable(error.to_string())
}
