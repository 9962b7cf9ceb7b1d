//! A copy of what a responder needs, for another machine: the standing of every certificate, the published lists, the
//! certificates of the CAs, and the keys of the OCSP signers. Nothing else of the record goes with it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tempfile::NamedTempFile;

use super::Authority;
use super::error::OpenError;
use super::files;
use super::filter::FilterState;
use super::list_file::sync_folder;
use super::own::{OCSP, Own};
use super::publish::PublishedCrl;
use crate::clock::Timestamp;
use crate::fleet::Event;
use crate::fleet::rows::{self, CA, CERTIFICATE, CERTIFICATE_BY_HOLDER, CRL, FILTER, SHARD};
use crate::fleet::standing::Standing;
use crate::ids::HolderId;
use crate::store::copy::{whole_until, write_copy};
use crate::store::follower::RedbFollower;
use crate::store::{EVENTS, LOG, Range, Rows, Store, StoreError, Table, View, event_key};

/// Octets of a list that are in memory at a time.
const PIECE: usize = 256 * 1024;

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StatusCopy {
    pub certificates: u64,
    /// A responder on the copy answers OCSP until this and the 'ocsp-lifetime' of a CA are past.
    pub known_until: Timestamp,
}

/// Why no copy was made.
#[derive(Debug, thiserror::Error)]
pub enum StatusCopyRefused {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0} holds a store that is no status copy, and is left as it is: name another folder")]
    NoCopy(PathBuf),
    #[error(
        "some lists are not yet, or not any more, those on record: try again when the server has published them"
    )]
    Publishing,
    #[error("cannot write the copy to {to}: {source}")]
    Write { to: PathBuf, source: io::Error },
}

impl From<StoreError> for StatusCopyRefused {
    fn from(error: StoreError) -> Self {
        Self::Open(error.into())
    }
}

impl Authority {
    /// Makes a copy in the folder `to`, or renews the one that is there, under the eyes of a responder that serves from it:
    /// the store comes last and whole. To be called on an authority that follows. Waits for the disk.
    pub fn copy_status(&self, to: &Path) -> Result<StatusCopy, StatusCopyRefused> {
        let (view, all_lists) = self.take_in()?;
        if !all_lists {
            return Err(StatusCopyRefused::Publishing);
        }
        let store = files::store(to);
        if store.exists() {
            let there: Arc<dyn Store<Event>> = Arc::new(RedbFollower::open(&store, PIECE)?);
            if whole_until(&*there.snapshot()?)?.is_none() {
                return Err(StatusCopyRefused::NoCopy(to.to_owned()));
            }
        }
        let known_until = self.known_until(self.clock.now());
        let failed = |source| StatusCopyRefused::Write { to: to.to_owned(), source };
        for folder in [to.to_owned(), to.join("ca"), to.join("crl"), to.join("keys")] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let signers = self.copy_signers(&*view, to)?;
        self.copy_files(to).map_err(failed)?;
        let new = beside(&store).map_err(failed)?;
        let mut certificates = 0;
        write_copy(new.path(), known_until, |rows| {
            certificates = self.copy_rows(&*view, &signers, rows)?;
            Ok(())
        })?;
        put(new, &store, 0o600).map_err(failed)?;
        for own in &signers {
            if let Some(profile) = &own.row.profile {
                files::remove_older_keys(to, profile, &own.row.ca, &own.row.serial);
            }
        }
        Ok(StatusCopy { certificates, known_until })
    }

    fn copy_signers(&self, view: &dyn View, to: &Path) -> Result<Vec<Own>, OpenError> {
        let mut signers = Vec::new();
        for ca in self.cas() {
            let Some(own) = self.newest_own(view, OCSP, Some(ca))? else { continue };
            if let Some(profile) = &own.row.profile {
                let path = files::own_key(to, profile, &own.row.ca, &own.row.serial);
                if !path.exists() {
                    own.key.save(&path)?;
                }
            }
            signers.push(own);
        }
        Ok(signers)
    }

    fn copy_files(&self, to: &Path) -> io::Result<()> {
        let mut kept = BTreeSet::new();
        for ca in self.cas() {
            let from = files::ca_certificate(&self.dir, ca.name());
            files::replace(&files::ca_certificate(to, ca.name()), &fs::read(from)?)?;
            if let FilterState::Published(filter) = self.filter(ca.name()) {
                files::replace(&files::filter(to, ca.name()), &filter.der)?;
            }
            for lists in ca.lists().values() {
                let shard = lists.complete.shard.shard;
                let delta = lists.delta.as_ref().map(|delta| (files::delta_crl(to, ca.name(), shard), delta));
                for (path, list) in
                    [(files::crl(to, ca.name(), shard), &lists.complete)].into_iter().chain(delta)
                {
                    copy_list(list, &path)?;
                    kept.insert(path);
                }
            }
        }
        files::replace(&files::chain(to), &fs::read(files::chain(&self.dir))?)?;
        for entry in fs::read_dir(files::crls(to))? {
            let path = entry?.path();
            // Lists that are published no more.
            if path.extension().is_some_and(|extension| extension == "crl") && !kept.contains(&path) {
                fs::remove_file(path)?;
            }
        }
        sync_folder(&files::crls(to))
    }

    /// How many certificates were copied.
    fn copy_rows(&self, view: &dyn View, signers: &[Own], rows: &mut dyn Rows) -> Result<u64, StoreError> {
        for table in [LOG, CA, CRL, SHARD, FILTER] {
            each(view, table, |key, value| rows.put(table, key, value))?;
        }
        let mut certificates = 0;
        each(view, CERTIFICATE, |key, value| {
            certificates += 1;
            let standing: Standing = rows::parse(CERTIFICATE, value)?;
            rows::put(rows, CERTIFICATE, key, &standing)
        })?;
        // Of the CAs and the signers, all of it: a responder holds their files against that.
        for ca in self.cas() {
            if let Some(serial) = ca.serial() {
                copy_row(view, rows, CERTIFICATE, serial.as_bytes())?;
            }
        }
        let ours = HolderId::authority();
        for own in signers {
            let serial = own.row.serial;
            copy_row(view, rows, CERTIFICATE, serial.as_bytes())?;
            copy_row(view, rows, EVENTS, &event_key(own.row.issued.event))?;
            let key = rows::key(&[ours.as_str().as_bytes(), serial.as_bytes()]);
            copy_row(view, rows, CERTIFICATE_BY_HOLDER, &key)?;
        }
        Ok(certificates)
    }
}

fn copy_row(view: &dyn View, rows: &mut dyn Rows, table: Table, key: &[u8]) -> Result<(), StoreError> {
    view.get(table, key)?.map_or(Ok(()), |value| rows.put(table, key, &value))
}

fn each(
    view: &dyn View,
    table: Table,
    mut row: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    view.scan(table, Range::ALL, &mut |key, value| {
        outcome = row(key, value);
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome
}

fn copy_list(list: &PublishedCrl, to: &Path) -> io::Result<()> {
    let mut new = beside(to)?;
    let (mut at, mut piece) = (0, vec![0; PIECE]);
    while at < list.bytes {
        let length = usize::try_from(list.bytes - at).unwrap_or(PIECE).min(PIECE);
        list.content.read_at(at, &mut piece[..length])?;
        new.write_all(&piece[..length])?;
        at += length as u64;
    }
    put(new, to, 0o644)
}

/// A file that is gone if it does not take the place of `path`.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().suffix(".new").tempfile_in(path.parent().unwrap_or(Path::new(".")))
}

fn put(new: NamedTempFile, path: &Path, mode: u32) -> io::Result<()> {
    new.as_file().set_permissions(Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
