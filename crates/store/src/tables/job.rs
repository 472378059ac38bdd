//! `job`: work that can wait. Its words, and what is asked of it; what changes it takes many at a time, one file each.
//!
//! # Invariants
//! - Whoever works on a job has its number and its *token*, which grows with every claim. What he says of it counts only
//!   while both are the job's: who lost his lease is refused, whatever he says.
//! - `finished_at` is there exactly where the status is completed, failed or dead.
//! - Leases and delays follow the database's clock on PostgreSQL, this process's on a file.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;

pub mod add;
pub(crate) mod claim;
pub(crate) mod finish;
pub(crate) mod look;
pub(crate) mod order;
pub(crate) mod read;
pub(crate) mod renew;
pub(crate) mod tend;

pub use claim::Hand;
pub use look::{Look, look};
pub use read::{Counts, Cursor, Filter, Row, count, find, list, oldest_waiting};
pub use renew::ask_after;
pub use tend::{Keep, Tended};

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// May be claimed.
    Waiting,
    /// May be claimed later.
    Delayed,
    /// Somebody works on it.
    Active,
    /// Done.
    Completed,
    /// Its attempts are used up.
    Failed,
    /// Buried for another reason: stalled too often, not to be tried again, nobody knows its kind, cancelled.
    Dead,
}

impl Status {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Delayed, Self::Active, Self::Completed, Self::Failed, Self::Dead];

    /// The field's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delayed => "delayed",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }

    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Dead)
    }

    pub(crate) fn of(number: i64) -> Self {
        usize::try_from(number).ok().and_then(|at| Self::ALL.get(at).copied()).unwrap_or(Self::Dead)
    }

    pub(crate) fn number(self) -> i16 {
        self as i16
    }
}

/// How long a failed job waits for its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Always the same.
    Fixed(Duration),
    /// Twice as long after every attempt.
    Exponential(Duration),
}

/// No attempt is put off for longer.
pub const BACKOFF_MAX: Duration = Duration::from_secs(86_400);

impl Backoff {
    pub(crate) fn parts(self) -> (i16, i64) {
        match self {
            Self::Fixed(delay) => (0, millis(delay)),
            Self::Exponential(delay) => (1, millis(delay)),
        }
    }
}

/// What a second job with the same key becomes while the first is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// None: the first stays as it is.
    Keep(String),
    /// The first, where it is still delayed, gets the new one's payload and begins its delay anew.
    Debounce(String),
}

impl Unique {
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Keep(key) | Self::Debounce(key) => key,
        }
    }
}

/// A job to be added.
#[derive(Clone, Debug)]
pub struct New {
    /// Its queue's number.
    pub queue: i32,
    /// What kind of work.
    pub kind: Arc<str>,
    /// JSON.
    pub payload: Arc<str>,
    /// 0 comes first, then 1, 2 and so on.
    pub priority: i32,
    /// From now on.
    pub delay: Duration,
    /// How often it may fail.
    pub attempts_max: i32,
    /// How long it waits after an attempt that failed.
    pub backoff: Backoff,
    /// How long an attempt may take; zero: as long as it likes.
    pub timeout: Duration,
    /// A name of its own in its queue, which is no number.
    pub custom_id: Option<String>,
    /// Only one such at a time.
    pub unique: Option<Unique>,
    /// Whoever adds with this key again gets this job, and how long that is so.
    pub idempotency: Option<(String, Duration)>,
    /// W3C trace context of who added it.
    pub trace: Option<Arc<str>>,
    /// A token for reading what was written before it was added.
    pub written: Option<Arc<str>>,
}

impl New {
    /// A job of a kind, to be done as soon as possible, three times at most.
    #[must_use]
    pub fn of(queue: i32, kind: impl Into<Arc<str>>, payload: impl Into<Arc<str>>) -> Self {
        Self {
            queue,
            kind: kind.into(),
            payload: payload.into(),
            priority: 0,
            delay: Duration::ZERO,
            attempts_max: 3,
            backoff: Backoff::Exponential(Duration::from_secs(2)),
            timeout: Duration::ZERO,
            custom_id: None,
            unique: None,
            idempotency: None,
            trace: None,
            written: None,
        }
    }

    fn status(&self) -> Status {
        if self.delay.is_zero() { Status::Waiting } else { Status::Delayed }
    }

    /// Whether it can meet another one.
    pub(crate) fn is_named(&self) -> bool {
        self.custom_id.is_some() || self.unique.is_some() || self.idempotency.is_some()
    }
}

/// What became of a job to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The job's number.
    pub seq: i64,
    /// That it was not there before.
    pub is_new: bool,
    /// The result that is kept with the idempotency key.
    pub result: Option<String>,
}

/// A job in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its number.
    pub seq: i64,
    /// What he who has it shows with everything he says of it.
    pub token: i64,
    /// Its own name, where it has one.
    pub custom_id: Option<String>,
    /// What kind of work.
    pub kind: String,
    /// JSON.
    pub payload: String,
    /// Attempts before this one.
    pub attempts_made: i32,
    /// How many there may be.
    pub attempts_max: i32,
    /// How long this one may take; zero: as long as it likes.
    pub timeout: Duration,
    /// When it could have begun.
    pub run_at: Timestamp,
    /// How often whoever had it was not heard of again.
    pub stalled: i32,
    /// Its place before others.
    pub priority: i32,
    /// W3C trace context of who added it.
    pub trace: Option<String>,
    /// A token for reading what was written before it was added.
    pub written: Option<String>,
}

/// What somebody says of a job that he has.
#[derive(Clone, Debug, PartialEq)]
pub struct Ack {
    /// Its number.
    pub seq: i64,
    /// His token.
    pub token: i64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Well.
    Completed {
        /// JSON.
        result: Option<String>,
    },
    /// Not well: another attempt follows after the job's backoff times `spread`, where one is left.
    Failed {
        /// Why.
        error: String,
        /// Between 0 and 1.
        spread: f64,
    },
    /// Not well, and there is no point in trying again.
    Dead {
        /// Why.
        reason: String,
    },
    /// It did not begin, or may begin anew: no attempt is counted.
    GivenBack,
}

impl Outcome {
    /// About how many bytes it is.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Completed { result } => result.as_ref().map_or(0, String::len),
            Self::Failed { error: text, .. } | Self::Dead { reason: text } => text.len(),
            Self::GivenBack => 0,
        }
    }
}

/// What became of an acknowledgement: how the job stands now. None: somebody else has it, or it is gone.
pub type Settled = Option<Status>;

/// What became of a lease that was to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// Still his.
    Held,
    /// Still his; where it has not begun it shall not.
    Paused,
    /// Still his, and he shall end it.
    Cancelled,
    /// Somebody else has it, or it is gone.
    Lost,
}

pub(crate) fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn micros(of: Duration) -> i64 {
    i64::try_from(of.as_micros()).unwrap_or(i64::MAX)
}

/// A time from a column of milliseconds.
pub(crate) fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
