//! What an operator may set about jobs.

use std::time::Duration;

use mainstay_base::units::{Size, Span};
use mainstay_store::job::Keep;
use mainstay_store::queue::{Bounds, Durability as Durable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod problems;

pub use problems::Problem;

/// Work that can wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where jobs are kept. `"store"` (default): in the database.
    pub engine: Engine,
    /// When a job counts as added, on files. `"full"` (default): it is on disk. `"normal"`: a crash of the process cannot undo it, a power cut can undo the last moments. PostgreSQL has `synchronous_commit` for that.
    pub durability: Durability,
    /// How long a job is a worker's without a word of him; he renews it at least twice as often. Default `"30s"`.
    pub lease: Span,
    /// How often jobs whose lease ran out, and finished ones that are to be forgotten, are looked for. Default `"5s"`.
    pub sweep: Span,
    /// How often a process looks for jobs that nobody told it of, in all queues at once: those of other processes. Default `"1s"`.
    pub poll_every: Span,
    /// Jobs of a queue that run at a time in this process. 0: it takes jobs and leaves the work to others. Default 5.
    pub concurrency: u32,
    /// Jobs of a queue that are claimed ahead at most; only where they are short are so many. Default 256.
    pub prefetch_max: u32,
    /// Threads on which handlers run, of all queues together. Handlers that block theirs keep others waiting: then there should be as many as run at a time. Default 2.
    pub threads: u32,
    /// Attempts of a job that says nothing else. Default 3.
    pub attempts: u32,
    /// Time before its second attempt; it doubles with every further one. Default `"2s"`.
    pub backoff: Span,
    /// The part of that time which is left to chance, so that jobs that failed together do not come again together: 0 to 1. Default 0.5.
    pub backoff_jitter: f64,
    /// How often a job may lose its worker and be tried again; then it is dead. Default 1.
    pub max_stalled: u32,
    /// How long an attempt may take. `"0s"`: as long as it likes. Default `"15m"`.
    pub timeout: Span,
    /// Completed jobs that are kept per queue. Default 100.
    pub keep_completed: u32,
    /// Failed and dead jobs that are kept per queue, of each. Default 50.
    pub keep_failed: u32,
    /// How long finished jobs are kept at most. Default `"30d"`.
    pub keep_for: Span,
    /// How long an idempotency key gives the same job and its result. Default `"1d"`.
    pub idempotency_for: Span,
    /// Size of a job's data. Default `"256KiB"`.
    pub payload_max: Size,
    /// Size of what a job answers, and of what it says of how far it is. Default `"256KiB"`.
    pub result_max: Size,
    /// Size of a request that adds jobs, one or several. Default `"4MiB"`.
    pub request_max: Size,
    /// Jobs that are added at once at most. Default 10000.
    pub batch_max: u32,
    /// Changes of jobs that may wait for the store; further ones are refused with 503. Default 4096.
    pub waiting_max: u32,
    /// Changes that share a transaction at most. Default 256.
    pub together_max: u32,
    /// Transactions at a time on PostgreSQL. Default 4.
    pub transactions: u32,
    /// The queues there are beside those of the kinds of work that this version knows.
    pub queue: Vec<Queue>,
}

/// A queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Its name.
    #[schemars(extend("examples" = ["reports"]))]
    pub name: String,
    /// Jobs of it that run at a time in this process; 0: only others work on it. Default: `jobs.concurrency`.
    #[schemars(extend("examples" = [1]))]
    pub concurrency: Option<u32>,
}

/// Where jobs are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// In the database.
    #[default]
    Store,
}

/// When a job counts as added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On disk.
    #[default]
    Full,
    /// Beyond a crash of the process.
    Normal,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: Engine::Store,
            durability: Durability::Full,
            lease: Span::seconds(30),
            sweep: Span::seconds(5),
            poll_every: Span::seconds(1),
            concurrency: 5,
            prefetch_max: 256,
            threads: 2,
            attempts: 3,
            backoff: Span::seconds(2),
            backoff_jitter: 0.5,
            max_stalled: 1,
            timeout: Span::seconds(900),
            keep_completed: 100,
            keep_failed: 50,
            keep_for: Span::days(30),
            idempotency_for: Span::days(1),
            payload_max: Size::kib(256),
            result_max: Size::kib(256),
            request_max: Size::mib(4),
            batch_max: 10_000,
            waiting_max: 4_096,
            together_max: 256,
            transactions: 4,
            queue: Vec::new(),
        }
    }
}

impl Settings {
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            waiting: self.waiting_max.max(1) as usize,
            together: self.together_max.max(1) as usize,
            transactions: self.transactions.max(1) as usize,
            durability: match self.durability {
                Durability::Full => Durable::Full,
                Durability::Normal => Durable::Normal,
            },
            keep: self.keep(),
        }
    }

    pub(crate) fn keep(&self) -> Keep {
        Keep {
            completed: self.keep_completed,
            completed_for: self.keep_for.0,
            failed: self.keep_failed,
            failed_for: self.keep_for.0,
            max_stalled: self.max_stalled,
        }
    }

    /// Everything that the schema lets pass and that means nothing.
    #[must_use]
    pub fn list_problems(&self) -> Vec<Problem> {
        problems::list(self)
    }

    /// Between two renewals: twice within a lease, and often enough that one that is cancelled hears of it in a second.
    pub(crate) fn renew_every(&self) -> Duration {
        const HEARD_WITHIN: Duration = Duration::from_millis(800);
        (self.lease.0 / 2).min(HEARD_WITHIN).max(Duration::from_millis(10))
    }

    pub(crate) fn concurrency_of(&self, queue: &str) -> usize {
        let named = self.queue.iter().find(|of| of.name == queue);
        named.and_then(|of| of.concurrency).unwrap_or(self.concurrency) as usize
    }
}
