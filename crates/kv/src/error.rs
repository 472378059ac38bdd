//! How a question to shared state can fail. That Redis is away is none for values and counters: they have an answer in memory.

use mainstay_base::{Coded, ErrorCode};

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A key, name or pattern that is empty, too long, or made of what it must not be made of.
    #[error("no usable key")]
    Key,
    /// A value or message above `redis.value_bytes_max`.
    #[error("the value is too large")]
    TooLarge,
    /// A bound of memory is reached.
    #[error("there is no room for another name")]
    Full,
    /// Only the store can decide this, and it is away.
    #[error("the store is away")]
    Away,
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Key => ErrorCode::Invalid,
            Self::TooLarge => ErrorCode::TooLarge,
            Self::Full | Self::Away => ErrorCode::Unavailable,
        }
    }

    fn public(&self) -> String {
        match self {
            Self::Key => "The key cannot be used.".into(),
            Self::TooLarge => "The value is too large.".into(),
            Self::Full | Self::Away => "Shared state cannot answer.".into(),
        }
    }
}
