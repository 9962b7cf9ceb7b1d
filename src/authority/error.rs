//! How a verb can fail: refused by the rules, which the caller may read, or by trouble of our own, which it may not.

use crate::keys::KeyError;
use crate::store::{CommitError, StoreError};

/// `R` is the refusal of one verb.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed<R> {
    /// The caller is to blame, and its text tells the way out.
    #[error("{0}")]
    Refused(R),
    /// The authority is to blame; nothing was changed. The text is for the log.
    #[error("{0}")]
    Unavailable(String),
}

impl<R> From<StoreError> for Failed<R> {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl<R> From<KeyError> for Failed<R> {
    fn from(error: KeyError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl<R> From<CommitError> for Failed<R> {
    fn from(error: CommitError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl<R> Failed<R> {
    pub fn map<S>(self, refused: impl FnOnce(R) -> S) -> Failed<S> {
        match self {
            Self::Refused(why) => Failed::Refused(refused(why)),
            Self::Unavailable(why) => Failed::Unavailable(why),
        }
    }
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{dir} holds no authority: run 'vitae init --dir {dir}' first")]
    NotInitialised { dir: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot use {path}: {reason}")]
    File { path: String, reason: String },
    #[error(
        "the configuration names the CA {0}, which this authority does not have: it was not there at 'vitae init'"
    )]
    MissingCa(String),
    #[error("the CA {ca} does not match its record: {reason}")]
    BadCa { ca: String, reason: String },
    #[error("cannot bring the authority up to date: {0}")]
    Upkeep(String),
}
