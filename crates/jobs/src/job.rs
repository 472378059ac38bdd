//! A kind of work, and what its handler is given.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use mainstay_store::job::Claimed;
use mainstay_store::queue::Queue;
use tokio_util::sync::CancellationToken;

use crate::attempt::json;
use crate::{Error, Settings};

/// The name of a kind that does every job of its queue that no other kind of it is named for.
pub const ANY: &str = "*";

/// A kind of work. The set is open: whoever wires the house adds his.
pub trait Job: fmt::Debug + Send + Sync {
    /// Its name, as jobs name it, or [`ANY`].
    fn kind(&self) -> &str;

    /// The queue its jobs wait in.
    fn queue(&self) -> &str;

    /// Does it once. It may have been done before, in part or as a whole. Dropped where its time is over, where it is
    /// cancelled and at a hard stop.
    fn run(&self, work: Work) -> Running<'_>;
}

/// A handler at work. Answers JSON, or nothing.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, Failure>> + Send + 'a>>;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may be tried again, while attempts are left.
    Again(String),
    /// There is no point in trying again.
    Dead(String),
}

/// What a handler is given.
#[derive(Clone, Debug)]
pub struct Work {
    /// The job.
    pub job: Claimed,
    /// Ends when nobody waits for the handler any more: its job was cancelled, is somebody else's, or the process stops.
    /// Whoever blocks his thread looks at it.
    pub cancel: CancellationToken,
    pub(crate) queue: Queue,
    pub(crate) settings: Arc<Settings>,
}

impl Work {
    /// The job's id: its own name, or its number.
    #[must_use]
    pub fn id(&self) -> String {
        self.job.custom_id.clone().unwrap_or_else(|| self.job.seq.to_string())
    }

    /// Grows with every claim of the job: whatever the handler changes elsewhere may refuse one that is smaller than what it
    /// has seen.
    #[must_use]
    pub fn fencing_token(&self) -> i64 {
        self.job.token
    }

    /// Notes how far it is, JSON. False when the job is somebody else's by now.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn progress(&self, progress: String) -> Result<bool, Error> {
        json("it", &progress, &self.settings).map_err(Error::Progress)?;
        Ok(self.queue.note_progress((self.job.seq, self.job.token), progress).await?)
    }
}
