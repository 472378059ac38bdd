//! The kinds of work that this version does by itself: a queue each, whatever its jobs are called. Here rooms meet that do not
//! know each other; what is done is theirs.
//!
//! # Invariants
//! - Whatever is done twice is done under the same id: a letter's, an event's, a request's.
//! - What no further attempt would mend is dead with words that say what to do; everything else is tried again.
//! - No reason repeats what a job was given.

mod analytics;
mod email;
mod payload;
mod scan;
pub mod webhook;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mainstay_base::{Clock, Entropy};
use mainstay_insight::Insight;
use mainstay_jobs::{Job, Work};
use mainstay_mail::Mail;
use mainstay_telemetry::outbound::Client;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::settings::Settings;

/// Their queues.
pub const QUEUES: [&str; 4] = ["email", "analytics", "webhook", "security-scan"];

/// What the kinds need of the house.
#[derive(Clone, Debug)]
pub struct Context {
    /// Sends letters.
    pub mail: Mail,
    /// Keeps events.
    pub insight: Insight,
    /// Asks others.
    pub client: Client,
    /// The settings in force, as they are when a job begins.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub entropy: Entropy,
}

/// All of them. None answers more than `result_max` bytes.
#[must_use]
pub fn kinds(context: &Context, result_max: usize) -> Vec<Arc<dyn Job>> {
    let context = context.clone();
    vec![
        Arc::new(email::Email::new(context.mail.clone())),
        Arc::new(analytics::Analytics::new(context.insight.clone(), context.clock.clone())),
        Arc::new(webhook::Webhook::new(context.clone(), result_max)),
        Arc::new(scan::SecurityScan::new(context, result_max)),
    ]
}

/// What is the same at each attempt at a job, and of no other: 32 characters. Its name alone may be another's later.
fn id_of(queue: &str, work: &Work) -> String {
    let mut hash = Sha256::new_with_prefix(b"job");
    let seq = work.job.seq.to_string();
    for part in [queue, &seq, work.job.custom_id.as_deref().unwrap_or_default(), &work.job.payload]
    {
        hash.update([0]);
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
