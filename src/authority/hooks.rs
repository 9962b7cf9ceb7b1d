//! What the authority keeps for each webhook: its secret, how far it has been told, and how it goes.
//!
//! The position is no event, because each delivery would be one, to be delivered again. It is a file that is replaced
//! atomically, a little behind: what it has not heard of is told twice.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::caller::{Operator, OperatorRefused, permit};
use super::error::Failed;
use super::feed::{Feed, FeedFilter};
use super::{Authority, files};
use crate::clock::{Random, Timestamp};
use crate::config::Webhook;
use crate::ids::{EventNumber, HookName};
use crate::keys::shared::{self, BadSecretName, SecretName};
use crate::keys::{KeyError, hmac};
use crate::store::StoreError;

/// Why a webhook cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("{dir} holds no authority: run 'vitae init --dir {dir}' first")]
    NotInitialised { dir: String },
    #[error(transparent)]
    BadName(#[from] BadSecretName),
    #[error("its secret: {0}")]
    Key(#[from] KeyError),
    #[error("its position cannot be kept in {path}: {reason}")]
    Position { path: String, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far a webhook has been told, as its file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// The `source` of the record: a number means nothing in another one.
    log: String,
    /// The first event that it has not been told.
    next: EventNumber,
}

/// A webhook, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookView {
    pub name: HookName,
    /// Without its query, which may hold a secret of the receiver.
    pub url: String,
    /// Empty: all.
    pub types: Vec<String>,
    /// The first event that it has not been told; `None`: it is not served yet.
    pub next: Option<EventNumber>,
    /// How many events are recorded from there on, asked for or not.
    pub behind: Option<u64>,
    /// Since the server was started.
    pub delivered: u64,
    pub failed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// Present while the last attempt is one that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<HookFailure>,
}

/// The last attempt, which failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFailure {
    pub reason: String,
    pub at: Timestamp,
    /// How many have failed since the last that did not.
    pub in_a_row: u64,
    pub retry_at: Timestamp,
}

#[derive(Debug, Default)]
struct State {
    next: Option<EventNumber>,
    delivered: u64,
    failed: u64,
    delivered_at: Option<Timestamp>,
    failing: Option<HookFailure>,
}

/// How each webhook goes.
#[derive(Debug)]
pub(super) struct Progress(BTreeMap<HookName, Mutex<State>>);

impl Progress {
    pub(super) fn of(hooks: &[Webhook]) -> Self {
        Self(hooks.iter().map(|hook| (hook.name().clone(), Mutex::default())).collect())
    }

    fn state(&self, hook: &HookName) -> Option<MutexGuard<'_, State>> {
        Some(self.0.get(hook)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A webhook that is served: by one task, or it would be told everything twice.
pub struct Hook {
    authority: Arc<Authority>,
    name: HookName,
    secret: Zeroizing<Vec<u8>>,
    log: String,
    next: EventNumber,
    saved: EventNumber,
}

impl Authority {
    /// Makes the secret if there is none, and finds the place in the record: that of its last run, or the end of the
    /// record for a webhook that is new. Waits for the disk.
    pub fn open_hook(self: &Arc<Self>, settings: &Webhook) -> Result<(Hook, Feed), HookError> {
        let name = settings.name().clone();
        let secret = secret_of(&self.dir, &name.as_str().parse()?, &*self.random)?;
        let log = self.log_source()?;
        let head = *self.store.head().borrow();
        let path = files::hook_position(&self.dir, &name);
        let known = read_position(&path)?;
        let next = match &known {
            Some(position) if position.log == log && position.next <= head => position.next,
            Some(position) => {
                tracing::error!(
                    webhook = %name, position = position.next.0, log = position.log, has = head.0,
                    "its position is not in this record, which was restored or made anew: it is told what comes from now on"
                );
                head
            }
            None => head,
        };
        write_position(&path, &Position { log: log.clone(), next })?;
        let hook = Hook { authority: Arc::clone(self), name, secret, log, next, saved: next };
        hook.state(|state| state.next = Some(next));
        let filter = FeedFilter { kinds: settings.kinds().to_vec(), ..FeedFilter::default() };
        let feed = self.feed_from(filter, next, None)?;
        Ok((hook, feed))
    }

    /// A webhook was not told, and when it is tried again.
    pub fn hook_failed(&self, name: &HookName, reason: String, retry_at: Timestamp) {
        let Some(mut state) = self.hooks.state(name) else { return };
        state.failed += 1;
        let in_a_row = state.failing.as_ref().map_or(0, |failing| failing.in_a_row) + 1;
        state.failing = Some(HookFailure { reason, at: self.clock.now(), in_a_row, retry_at });
    }

    /// How every webhook goes, in the order of webhooks.toml.
    pub fn hooks(&self, operator: &Operator) -> Result<Vec<HookView>, Failed<OperatorRefused>> {
        permit(operator, "events.read")?;
        let head = *self.store.head().borrow();
        let view = |hook: &Webhook| {
            let state = self.hooks.state(hook.name())?;
            let url = hook.url();
            Some(HookView {
                name: hook.name().clone(),
                url: url.to_string().split('?').next().unwrap_or_default().to_owned(),
                types: hook.kinds().to_vec(),
                next: state.next,
                behind: state.next.map(|next| head.0.saturating_sub(next.0)),
                delivered: state.delivered,
                failed: state.failed,
                delivered_at: state.delivered_at,
                failing: state.failing.clone(),
            })
        };
        Ok(self.config.webhooks().iter().filter_map(view).collect())
    }
}

impl Hook {
    pub fn name(&self) -> &HookName {
        &self.name
    }

    /// Names the event to receivers, the same in every attempt: the record and the number in it.
    pub fn message_id(&self, number: EventNumber) -> String {
        format!("{}-{}", self.log.rsplit(':').next().unwrap_or_default(), number.0)
    }

    /// The value of webhook-signature (Standard Webhooks 1.0, symmetric): HMAC-SHA256 over id, time in seconds since 1970
    /// and body, joined by dots.
    pub fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let message = [format!("{id}.{seconds}.").as_bytes(), body].concat();
        format!("v1,{}", STANDARD.encode(hmac::sha256(&self.secret, &message)))
    }

    /// It has taken an event.
    pub fn told(&mut self, number: EventNumber) {
        let now = self.authority.clock.now();
        self.next = EventNumber(number.0 + 1);
        let next = self.next;
        self.state(|state| {
            state.next = Some(next);
            state.delivered += 1;
            state.delivered_at = Some(now);
            state.failing = None;
        });
    }

    /// Everything before `next` was told or is not for it.
    pub fn passed(&mut self, next: EventNumber) {
        self.next = next;
        self.state(|state| state.next = Some(next));
    }

    /// How many events its file is behind.
    pub fn unsaved(&self) -> u64 {
        self.next.0.saturating_sub(self.saved.0)
    }

    /// Keeps the position over a restart.
    pub async fn save(&mut self) -> Result<(), HookError> {
        if self.next == self.saved {
            return Ok(());
        }
        let path = files::hook_position(&self.authority.dir, &self.name);
        let position = Position { log: self.log.clone(), next: self.next };
        // That waits for the disk.
        let written = tokio::task::spawn_blocking(move || write_position(&path, &position)).await;
        written.map_err(|error| HookError::Position {
            path: format!("the file of {}", self.name),
            reason: error.to_string(),
        })??;
        self.saved = self.next;
        Ok(())
    }

    fn state(&self, change: impl FnOnce(&mut State)) {
        if let Some(mut state) = self.authority.hooks.state(&self.name) {
            change(&mut state);
        }
    }
}

fn write_position(path: &Path, position: &Position) -> Result<(), HookError> {
    let trouble = |error: std::io::Error| HookError::Position {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let bytes = serde_json::to_vec(position).map_err(|error| trouble(error.into()))?;
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(trouble)?;
    }
    files::replace(path, &bytes).map_err(trouble)
}

fn read_position(path: &Path) -> Result<Option<Position>, HookError> {
    // A position that cannot be read is no position at the end: what has not been told would never be.
    let trouble = |reason: String| HookError::Position { path: path.display().to_string(), reason };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            trouble(format!("{error}; without the file, it is told what comes from now on"))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(trouble(error.to_string())),
    }
}

/// The secret that the requests to a webhook are signed with, in the form `whsec_BASE64`; made if there is none yet.
pub fn hook_secret(dir: &Path, name: &HookName, random: &dyn Random) -> Result<Zeroizing<String>, HookError> {
    if !files::store(dir).exists() {
        return Err(HookError::NotInitialised { dir: dir.display().to_string() });
    }
    let secret = secret_of(dir, &name.as_str().parse()?, random)?;
    Ok(Zeroizing::new(format!("whsec_{}", STANDARD.encode(&*secret))))
}

fn secret_of(dir: &Path, name: &SecretName, random: &dyn Random) -> Result<Zeroizing<Vec<u8>>, HookError> {
    let folder = files::hook_secrets(dir);
    if let Some(secret) = shared::load(&folder, name)? {
        return Ok(secret);
    }
    let mut secret = Zeroizing::new([0; 32]);
    random.fill(&mut *secret);
    match shared::add(&folder, name, &secret) {
        Ok(_) => Ok(Zeroizing::new(secret.to_vec())),
        // The command and the server may both find none, and one of them is first.
        Err(error) => shared::load(&folder, name)?.ok_or(HookError::Key(error)),
    }
}
