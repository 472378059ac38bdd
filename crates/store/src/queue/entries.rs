//! What waits for the store: what those say who work on jobs, and what others want, each in a bounded line of its own.
//!
//! # Invariants
//! - Whoever works on jobs is heard first and never refused for those who add: an acknowledgement or a renewal that comes
//!   too late costs another attempt.
//! - A group has a bound in commands and in bytes.

use tokio::sync::{mpsc, oneshot};

use super::Error;
use super::command::{Answer, Command};
use crate::tables::job::{Ack, Outcome};

/// Commands of those who work on jobs that may wait; more of them wait before the line.
const WORKERS: usize = 1_024;
/// No group takes more in once it weighs so much.
const WEIGHT_MAX: usize = 8 << 20;

/// A command and the one who waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) command: Command,
    pub(super) to: oneshot::Sender<Result<Answer, Error>>,
}

/// The beginning of both lines.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    workers: mpsc::Sender<Entry>,
    others: mpsc::Sender<Entry>,
}

/// Their ends.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) workers: mpsc::Receiver<Entry>,
    pub(super) others: mpsc::Receiver<Entry>,
}

pub(super) fn lines(waiting: usize) -> (Ways, Entries) {
    let (to_workers, workers) = mpsc::channel(WORKERS);
    let (to_others, others) = mpsc::channel(waiting.max(1));
    (Ways { workers: to_workers, others: to_others }, Entries { workers, others })
}

impl Ways {
    pub(super) async fn ask(&self, command: Command) -> Result<Answer, Error> {
        let (to, answer) = oneshot::channel();
        let is_of_worker = command.is_of_worker();
        let entry = Entry { command, to };
        if is_of_worker {
            // They are few, each has one or two of them on its way.
            self.workers.send(entry).await.map_err(|_| Error::Unavailable)?;
        } else {
            self.others.try_send(entry).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::Full,
                mpsc::error::TrySendError::Closed(_) => Error::Unavailable,
            })?;
        }
        answer.await.unwrap_or(Err(Error::Unavailable))
    }
}

impl Entries {
    /// What waits, at most so many more, those who work on jobs first. Zero once nobody can say anything any more.
    pub(super) async fn take(&mut self, group: &mut Vec<Entry>, most: usize) -> usize {
        let before = group.len();
        let first = tokio::select! {
            biased;
            Some(entry) = self.workers.recv() => entry,
            Some(entry) = self.others.recv() => entry,
            else => return 0,
        };
        group.push(first);
        let most = before + most;
        top_up(&mut self.workers, group, most);
        top_up(&mut self.others, group, most);
        group.len() - before
    }

    pub(super) fn close(&mut self) {
        self.workers.close();
        self.others.close();
    }
}

/// Adds what waits, until there are so many or they weigh enough.
pub(super) fn top_up(line: &mut mpsc::Receiver<Entry>, group: &mut Vec<Entry>, most: usize) {
    let mut weight: usize = group.iter().map(|entry| entry.command.weight()).sum();
    while group.len() < most
        && weight < WEIGHT_MAX
        && let Ok(entry) = line.try_recv()
    {
        weight += entry.command.weight();
        group.push(entry);
    }
}

/// Answers whoever still waits. What somebody claimed who waits no more is to be given back.
pub(super) fn answer(group: impl Iterator<Item = (Entry, Result<Answer, Error>)>) -> Vec<Ack> {
    let mut orphans = Vec::new();
    for (entry, outcome) in group {
        if let Err(Ok(Answer::Claimed(hand))) = entry.to.send(outcome) {
            let back = |seq, token| Ack { seq, token, outcome: Outcome::GivenBack };
            orphans.extend(hand.jobs.iter().map(|job| back(job.seq, job.token)));
        }
    }
    orphans
}
