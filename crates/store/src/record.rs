//! How recording a batch of events can fail.

use mainstay_base::{Coded, ErrorCode};

/// Why a batch is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The queue in front of the disk is full; nothing was written.
    #[error("the queue of events waiting for the disk is full")]
    Full,
    /// The disk does not take writes, or the recorder is stopping; the batch may be sent again.
    #[error("events cannot be made durable now")]
    Unavailable,
    /// The batch itself breaks a constraint; sending it again is useless.
    #[error("the batch breaks a constraint of the store")]
    Refused,
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Full | Self::Unavailable => ErrorCode::Unavailable,
            Self::Refused => ErrorCode::Internal,
        }
    }

    fn public(&self) -> String {
        match self {
            Self::Full | Self::Unavailable => {
                "Events cannot be stored now; send them again later.".into()
            }
            Self::Refused => "The events break a rule of the store.".into(),
        }
    }
}
