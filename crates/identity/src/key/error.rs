//! Why a key was not made, not found, or does not count, and what is told of it: never a key's text.

use mainstay_base::entropy::Exhausted;
use mainstay_base::{Coded, ErrorCode};

use super::NAME_CHARS_MAX;
use crate::scope;

/// Why a key was not made, not found, or does not count.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no key, or not the whole of one.
    #[error("this is no whole API key: it was mistyped or cut off")]
    Malformed,
    /// No key has this text: one answer whether the id is unknown or the rest is wrong.
    #[error("no API key is like this")]
    Unknown,
    /// It was the right one until its day.
    #[error("this API key has expired")]
    Expired,
    /// It was the right one until somebody ended it.
    #[error("this API key was revoked")]
    Revoked,
    /// Too many unknown keys wait for the store.
    #[error("too many unknown API keys wait for the store")]
    Crowded,
    /// The store has not said which keys there are.
    #[error("the store does not say which API keys there are")]
    Away,
    /// A name that is none.
    #[error(
        "the name of a key is 1 to {NAME_CHARS_MAX} characters, none of them a control character"
    )]
    Name,
    /// A word that is no scope.
    #[error(transparent)]
    Scope(#[from] scope::Unknown),
    /// It would end too late.
    #[error("a key lasts at most 36525 days (100 years), or for ever")]
    Lifetime,
    /// There are as many as may be.
    #[error("there are {0} API keys already, as many as identity.keys_max allows: revoke one")]
    Full(u32),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] mainstay_store::Error),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] Exhausted),
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed | Self::Unknown | Self::Expired | Self::Revoked => {
                ErrorCode::Unauthenticated
            }
            Self::Crowded | Self::Away => ErrorCode::Unavailable,
            Self::Name | Self::Scope(_) | Self::Lifetime => ErrorCode::Invalid,
            Self::Full(_) => ErrorCode::Conflict,
            Self::Store(error) => error.code(),
            Self::Entropy(_) => ErrorCode::Internal,
        }
    }

    fn public(&self) -> String {
        match self {
            Self::Malformed => "This is no whole API key: it was mistyped or cut off.".into(),
            Self::Unknown => "No API key is like this.".into(),
            Self::Expired => "This API key has expired.".into(),
            Self::Revoked => "This API key was revoked.".into(),
            Self::Name | Self::Scope(_) | Self::Lifetime | Self::Full(_) => self.to_string(),
            Self::Crowded | Self::Away | Self::Store(_) | Self::Entropy(_) => {
                "API keys cannot be looked up right now.".into()
            }
        }
    }
}
