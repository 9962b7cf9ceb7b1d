//! Builds the lists of a CA's shards from one picture of the record. Waits for the disk: runs on a thread of its own.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files;
use super::list_file::{Draft, Entries, Written, encode_beside};
use crate::clock::Timestamp;
use crate::fleet::Fact;
use crate::fleet::listing::{self, Base, CrlRow};
use crate::ids::{CaName, EventNumber, ShardId, Standing};
use crate::keys::KeyKind;
use crate::pki::crl::{CrlEntry, CrlTemplate, Scope};
use crate::pki::key::PublicKey;
use crate::pki::lint::{Issuer, lint_crl};
use crate::pki::name::Name;
use crate::store::{Head, StoreError, View};

/// Everything about a CA that its lists say.
pub(super) struct Press {
    pub(super) dir: PathBuf,
    pub(super) ca: CaName,
    pub(super) subject: Name,
    pub(super) public_key: PublicKey,
    pub(super) judge: Issuer,
    pub(super) kind: KeyKind,
    /// It has no CA below it and cannot have one.
    pub(super) users_only: bool,
    pub(super) lifetime: std::time::Duration,
    pub(super) delta_lifetime: Option<std::time::Duration>,
    pub(super) now: Timestamp,
}

/// What is to be made of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) shard: u32,
    /// A complete list, not a delta alone.
    pub(super) complete: bool,
    pub(super) scheduled: bool,
    /// The list that the record speaks of is not the one that is served.
    pub(super) unseen: bool,
    /// URLs of its scope, the one of today first.
    pub(super) names: Vec<String>,
    /// The CA has no other list, so this one names no scope: old clients know no issuingDistributionPoint.
    pub(super) whole: bool,
    pub(super) delta_url: String,
}

/// A list that is about to be published.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) shard: u32,
    pub(super) number: u64,
    /// `Some`: it is a delta.
    pub(super) base: Option<u64>,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Timestamp,
    pub(super) entries: u64,
    pub(super) covers: EventNumber,
    complete: Option<CompleteFacts>,
}

#[derive(Clone, Debug)]
struct CompleteFacts {
    covers_until: Timestamp,
    scheduled: bool,
    without: Timestamp,
    names: Option<Vec<String>>,
    whole: bool,
    unseen: bool,
}

impl Facts {
    pub(super) fn fact(&self, ca: &CaName, digest: crate::ids::Digest) -> Fact {
        let (ca, shard, number, entries, covers) =
            (ca.clone(), self.shard, self.number, self.entries, self.covers);
        let (this_update, next_update) = (self.this_update, self.next_update);
        match &self.complete {
            Some(complete) => Fact::CrlPublished {
                ca,
                shard,
                number,
                this_update,
                next_update,
                entries,
                covers,
                digest,
                covers_until: Some(complete.covers_until),
                scheduled: complete.scheduled,
                without: Some(complete.without).filter(|without| *without > Timestamp::EPOCH),
                names: complete.names.clone(),
                whole: complete.whole,
                unseen: complete.unseen,
            },
            None => Fact::DeltaCrlPublished {
                ca,
                shard,
                number,
                base: self.base.unwrap_or(0),
                this_update,
                next_update,
                entries,
                covers,
                digest,
            },
        }
    }
}

/// A list that waits for its signature.
pub(super) struct Proof {
    pub(super) facts: Facts,
    pub(super) draft: Draft,
}

/// Why a list was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum PressError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write {path}: {error}")]
    File { path: String, error: std::io::Error },
    #[error("cannot build the CRL: {0}")]
    Build(#[from] crate::pki::crl::BuildError),
    #[error("the CRL must not be published: {0}")]
    Wrong(String),
}

/// What one reading of the record gives.
struct Contents {
    complete: Entries,
    delta: Entries,
    /// The time of the newest entry: no list begins before what it lists (RFC 5280 section 5.3.2).
    newest: Timestamp,
}

impl Press {
    /// The lists of one shard as they are to be signed: one, or a complete list and its delta of the same number.
    pub(super) fn set(&self, view: &dyn View, order: &Order) -> Result<Vec<Proof>, PressError> {
        let shard = ShardId { ca: self.ca.clone(), shard: order.shard };
        let last = listing::published(view, &shard)?;
        let head = Head::read(view)?;
        let without = last
            .as_ref()
            .map_or(Timestamp::EPOCH, |last| if order.unseen { last.without } else { last.next_without });
        let scope_changed =
            last.as_ref().is_none_or(|last| (&last.names, last.whole) != (&order.names, order.whole));
        let base = last.as_ref().filter(|_| !scope_changed).and_then(|last| self.base(order, last));
        let contents = self.contents(view, &shard, order.complete, without, base.as_ref())?;

        let after = last.as_ref().map_or(Timestamp::EPOCH, CrlRow::last_update);
        let this_update = self.now.max(contents.newest).max(after).whole_second();
        // By the clock, and always higher than the last: an authority that was restored from a copy does not know the last
        // numbers that it gave, and must not give them again with other content (RFC 5280 section 5.2.3).
        let number = u64::try_from(self.now.millis())
            .unwrap_or(0)
            .max(last.as_ref().map_or(0, CrlRow::last_number) + 1);
        let mut proofs = Vec::new();
        if order.complete {
            let next_update =
                (this_update + self.lifetime).max(last.as_ref().map_or(this_update, |last| last.next_update));
            let facts = Facts {
                shard: order.shard,
                number,
                base: None,
                this_update,
                next_update,
                entries: contents.complete.count,
                covers: head.next,
                complete: Some(CompleteFacts {
                    covers_until: head.at,
                    scheduled: order.scheduled,
                    without,
                    names: scope_changed.then(|| order.names.clone()),
                    whole: order.whole,
                    unseen: order.unseen,
                }),
            };
            proofs.push(self.proof(order, facts, contents.complete)?);
        }
        // The first list is its own base: with it, an empty delta says the same.
        let base = base.map(|base| base.number).or_else(|| order.complete.then_some(number));
        if let (Some(lifetime), Some(base)) = (self.delta_lifetime, base) {
            let last = last.as_ref().and_then(|last| last.delta);
            let next_update = (this_update + lifetime).max(last.map_or(this_update, |last| last.next_update));
            let facts = Facts {
                shard: order.shard,
                number,
                base: Some(base),
                this_update,
                next_update,
                entries: contents.delta.count,
                covers: head.next,
                complete: None,
            };
            proofs.push(self.proof(order, facts, contents.delta)?);
        }
        Ok(proofs)
    }

    /// The oldest list that a client may still hold: whoever has that one or a later one can use the delta.
    fn base(&self, order: &Order, last: &CrlRow) -> Option<Base> {
        let mut seen = last.bases.iter().filter(|base| !(order.unseen && base.number == last.number));
        seen.find(|base| base.needed_until > self.now).copied()
    }

    fn contents(
        &self,
        view: &dyn View,
        shard: &ShardId,
        complete: bool,
        without: Timestamp,
        base: Option<&Base>,
    ) -> Result<Contents, PressError> {
        let folder = files::crls(&self.dir);
        let mut contents = Contents {
            complete: Entries::new(&folder),
            delta: Entries::new(&folder),
            newest: Timestamp::EPOCH,
        };
        let changed_since = base.filter(|_| self.delta_lifetime.is_some());
        // No change since the base was recorded earlier than it, so none may leave earlier.
        let from = changed_since.map_or(without, |base| without.min(base.covers_until));
        let Contents { complete: all, delta, newest } = &mut contents;
        let encode = |entry: &CrlEntry, lists: bool, changes: bool| {
            if lists {
                all.add(entry)?;
            }
            if changes { delta.add(entry) } else { Ok(()) }
        };
        let (found, encoded) = encode_beside(encode, |give| {
            listing::each_listed(view, shard, from, &mut |row| {
                let lists = complete && row.may_leave() >= without && row.standing != Standing::Released;
                let changes = changed_since.is_some_and(|base| row.event >= base.covers);
                if !lists && !changes {
                    return ControlFlow::Continue(());
                }
                *newest = (*newest).max(row.since);
                give(
                    CrlEntry { serial: row.serial, since: row.since, standing: row.standing },
                    lists,
                    changes,
                )
            })
        });
        found?;
        encoded.map_err(|error| file_error(&folder, error))?;
        Ok(contents)
    }

    fn proof(&self, order: &Order, facts: Facts, mut entries: Entries) -> Result<Proof, PressError> {
        let template = CrlTemplate {
            issuer: self.subject.clone(),
            this_update: facts.this_update,
            next_update: facts.next_update,
            number: facts.number,
            authority_key_id: self.public_key.key_id(),
            signer: self.kind,
            scope: (!order.whole).then(|| Scope { names: order.names.clone(), users_only: self.users_only }),
            base: facts.base,
            freshest: (facts.base.is_none() && self.delta_lifetime.is_some())
                .then(|| order.delta_url.clone()),
        };
        let spooled = |error| file_error(&files::crls(&self.dir), error);
        let length = entries.finish().map_err(spooled)?;
        let draft = Draft::new(template.frame(length)?, entries, self.kind).map_err(spooled)?;
        Ok(Proof { facts, draft })
    }

    /// Writes a signed list beside its place, after its signature was verified, and judges what was written.
    pub(super) fn write(&self, proof: Proof, signature: &[u8]) -> Result<(Facts, Written), PressError> {
        let Proof { facts, draft } = proof;
        let wrong = |error: &dyn std::fmt::Display| PressError::Wrong(error.to_string());
        self.public_key.verify_hashed(draft.hashed.digest(), signature).map_err(|error| wrong(&error))?;
        let path = match facts.base {
            None => files::crl(&self.dir, &self.ca, facts.shard),
            Some(_) => files::delta_crl(&self.dir, &self.ca, facts.shard),
        };
        let written = draft.write(path.clone(), signature).map_err(|error| file_error(&path, error))?;
        let mut read = |offset, length| written.read_at(offset, length);
        match lint_crl(written.bytes, &mut read, &self.judge).first() {
            Some(finding) => Err(wrong(finding)),
            None => Ok((facts, written)),
        }
    }
}

pub(super) fn file_error(path: &Path, error: std::io::Error) -> PressError {
    PressError::File { path: path.display().to_string(), error }
}

/// Work that waits for the disk, off the threads that answer requests.
pub(super) async fn aside<T: Send + 'static>(
    press: &Arc<Press>,
    work: impl FnOnce(&Press) -> Result<T, PressError> + Send + 'static,
) -> Result<T, PressError> {
    let press = Arc::clone(press);
    let done = tokio::task::spawn_blocking(move || work(&press)).await;
    done.unwrap_or_else(|error| {
        Err(PressError::Wrong(format!("building it was not followed to its end: {error}")))
    })
}
