//! Work that can wait: what is added is done at least once, by whoever claims it, again where that failed, and never lost.
//!
//! # Invariants
//! - A job that was added is there until it is finished, whatever is killed: what [`Jobs::add`] has answered is committed,
//!   and what was added in a transaction is there exactly when that is.
//! - At least once: whoever holds a job has a lease and a fencing token; the word of one who lost his lease counts nothing.
//!   A handler that must not happen twice looks at its token, or does what it does under the job's id.
//! - A handler cannot keep the leases of others from being renewed: handlers have threads of their own.
//! - What is claimed and did not begin is given back at a stop, and counts as no attempt.
//! - No queue, batch or wait without a bound in [`Settings`].

mod attempt;
mod error;
mod job;
mod jobs;
mod leases;
mod meter;
mod options;
mod runner;
pub mod settings;
mod sweep;
mod tell;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use job::{ANY, Failure, Job, Running, Work};
pub use jobs::{Context, Jobs, Queue};
pub use mainstay_store::job::{Added, Backoff, Counts, Cursor, Row, Status, Unique};
pub use options::Add;
pub use settings::Settings;
