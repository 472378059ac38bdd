//! How adding or changing a job can fail.

use mainstay_base::{Coded, ErrorCode};

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such queue is configured.
    #[error("Queue {0} not found")]
    NoQueue(String),
    /// The queue has no such job, or none of which that can be asked.
    #[error("job {0} not found, or not in a state for that")]
    NoJob(String),
    /// What was to be added breaks a rule.
    #[error("the job cannot be added: {0}")]
    Invalid(String),
    /// What was to be noted breaks a rule.
    #[error("how far a job is cannot be noted: {0}")]
    Progress(String),
    /// The way to the store is full, or the store is away.
    #[error(transparent)]
    Queue(#[from] mainstay_store::queue::Error),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] mainstay_store::Error),
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoQueue(_) | Self::NoJob(_) => ErrorCode::NotFound,
            Self::Invalid(_) | Self::Progress(_) => ErrorCode::Invalid,
            Self::Queue(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn public(&self) -> String {
        match self {
            Self::NoQueue(_) | Self::NoJob(_) | Self::Invalid(_) | Self::Progress(_) => {
                self.to_string()
            }
            Self::Queue(error) => error.public(),
            Self::Store(error) => error.public(),
        }
    }
}
