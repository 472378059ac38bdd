//! The way in for events: bounded, checked, classified, made anonymous, handed to the recorder; knows no HTTP and no SQL.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Coded, ErrorCode, Timestamp};
use mainstay_store::record;

mod accept;
mod check;
pub(crate) mod rows;

pub(crate) use check::{Checked, Known, Limits, PROPS_BYTES_MAX};

/// Who sent a request with events. All of it is ours to tell; nothing is taken from the body.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// The whole client address. Never kept.
    pub client: IpAddr,
    /// The `User-Agent` header, empty when there was none.
    pub user_agent: &'a str,
    /// `Sec-GPC: 1` or `DNT: 1`: the page is counted, the visitor is not.
    pub opted_out: bool,
    /// `Sec-Purpose: prefetch`, or an older header of that meaning.
    pub prefetch: bool,
    /// When the request arrived.
    pub received: Timestamp,
    /// Which site it was sent to.
    pub site: Arc<str>,
}

impl crate::Insight {
    /// Longest body that is read, in bytes: what a caller need not read beyond.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        self.0.settings.body_max.bytes()
    }

    /// Time a whole body may take.
    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        self.0.settings.body_timeout.0
    }
}

/// Why no event of a request was kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field breaks a rule.
    #[error("{field} {reason}")]
    Invalid {
        /// Where: `body`, `url`, `events[3].value`.
        field: String,
        /// What is wrong there, to follow the field's name in a sentence. Never repeats what was sent.
        reason: String,
    },
    /// More bytes or events than allowed.
    #[error("{field} {reason}")]
    TooLarge {
        /// `body` or `events`.
        field: &'static str,
        /// The limit, to follow the field's name in a sentence.
        reason: String,
    },
    /// The events cannot be made durable for now; nothing of them is kept.
    #[error("events cannot be kept now")]
    Unavailable {
        /// Seconds to wait before sending them again.
        retry_after: u64,
        /// What is away.
        source: Cause,
    },
    /// Our own fault.
    #[error("events cannot be kept")]
    Internal(#[source] Cause),
}

/// What stood in the way of valid events.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The recorder did not take them.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// The visitor ids of the day cannot be made.
    #[error(transparent)]
    Visitor(#[from] crate::visitor::Error),
    /// No random bytes for a visit's id.
    #[error(transparent)]
    Entropy(#[from] mainstay_base::entropy::Exhausted),
}

impl Error {
    /// The field that breaks a rule, and how.
    #[must_use]
    pub fn field(&self) -> Option<(&str, &str)> {
        match self {
            Self::Invalid { field, reason } => Some((field, reason)),
            Self::TooLarge { field, reason } => Some((field, reason)),
            Self::Unavailable { .. } | Self::Internal(_) => None,
        }
    }

    /// Seconds to wait before sending again, where that helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The reason in `mainstay_events_dropped_total`.
    pub(crate) fn dropped_reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::TooLarge { .. } => "too_large",
            Self::Unavailable { .. } => "unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid { .. } => ErrorCode::Invalid,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::Unavailable { .. } => ErrorCode::Unavailable,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn public(&self) -> String {
        match self.field() {
            Some((field, reason)) => format!("{field} {reason}"),
            None => "Events cannot be kept now; send them again later.".into(),
        }
    }
}

#[cfg(test)]
mod tests;
