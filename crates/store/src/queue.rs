//! The way to the jobs: whatever anybody wants changed waits in a bounded line, and what waits at a moment becomes one
//! transaction. Whoever asked hears what became of his own after the commit, never before.
//!
//! On a file one thread does it, on a connection of its own behind the file's one-writer lock; on PostgreSQL a few
//! transactions run at a time. What breaks a rule fails alone.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_base::{Coded, ErrorCode};
use tokio::sync::Notify;

use crate::sqlite::checkpoint;
use crate::tables::job::claim::Claim;
use crate::tables::job::order::Order;
use crate::tables::job::renew::Held;
use crate::tables::job::{Ack, Added, Hand, Keep, New, Renewed, Settled, Status, Tended};
use crate::{Engine, Store};

mod command;
mod entries;
mod file;
mod server;

use command::{Answer, Command};
use entries::Ways;

/// When a change counts as made, on a file. PostgreSQL has settings of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is on disk: neither a crash nor a power cut undoes it (`synchronous = FULL`).
    #[default]
    Full,
    /// A crash of this process does not undo it; a power cut may undo the last moments (`synchronous = NORMAL`).
    Normal,
}

/// Bounds and durability of the line.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Changes by those who add jobs or give orders that may wait.
    pub waiting: usize,
    /// Commands in one transaction.
    pub together: usize,
    /// Transactions at a time on PostgreSQL.
    pub transactions: usize,
    /// On a file.
    pub durability: Durability,
    /// What is kept of finished jobs.
    pub keep: Keep,
}

/// Why a change of jobs was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too many wait already; nothing was changed.
    #[error("too many changes of jobs wait for the store")]
    Full,
    /// The store does not take it now, or is stopping. Where its answer was lost, it may have been made.
    #[error("the store takes no changes of jobs now")]
    Unavailable,
    /// It breaks a rule of the store; the same would again.
    #[error("the change breaks a rule of the store")]
    Refused,
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Full | Self::Unavailable => ErrorCode::Unavailable,
            Self::Refused => ErrorCode::Conflict,
        }
    }

    fn public(&self) -> String {
        match self {
            Self::Full | Self::Unavailable => "Jobs cannot be changed now; try again later.".into(),
            Self::Refused => "The change of jobs breaks a rule of the store.".into(),
        }
    }
}

/// The way to the jobs. Cheap to clone; works until the group it was started in is stopped.
#[derive(Clone, Debug)]
pub struct Queue {
    ways: Ways,
    wakes: Arc<Wakes>,
}

/// Who is to be woken when there may be something to claim, by queue.
#[derive(Debug, Default)]
struct Wakes(RwLock<HashMap<i32, Arc<Notify>>>);

impl Wakes {
    fn of(&self, queue: i32) -> Arc<Notify> {
        if let Some(wake) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&queue) {
            return Arc::clone(wake);
        }
        let mut wakes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wakes.entry(queue).or_default())
    }

    fn wake(&self, queue: i32) {
        if let Some(wake) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&queue) {
            wake.notify_one();
        }
    }

    fn wake_all(&self) {
        for wake in self.0.read().unwrap_or_else(PoisonError::into_inner).values() {
            wake.notify_one();
        }
    }

    /// After a commit: whoever may have something to claim now.
    fn wake_for<'a>(&self, done: impl Iterator<Item = (&'a Command, &'a Answer)>) {
        let mut last = None;
        let mut once = |queue| {
            if last.replace(queue) != Some(queue) {
                self.wake(queue);
            }
        };
        for (command, answer) in done {
            match (command, answer) {
                (Command::Add(rows), _) => rows.iter().for_each(|row| once(row.queue)),
                (Command::Order { order: Order::Retry, job: (queue, _) }, _) => once(*queue),
                (Command::Finish(_), Answer::Settled(settled)) => {
                    let may_run =
                        |s: &Settled| matches!(s, Some(Status::Waiting | Status::Delayed));
                    if settled.iter().any(may_run) {
                        self.wake_all();
                    }
                }
                (_, Answer::Tended(tended)) if tended.stalled > 0 => self.wake_all(),
                _ => {}
            }
        }
    }
}

impl Store {
    /// Starts whoever writes jobs. Its group must be stopped after everybody who works on jobs has been.
    #[must_use]
    pub fn start_queue(&self, bounds: Bounds, group: &Group) -> Queue {
        let (ways, entries) = entries::lines(bounds.waiting);
        let wakes = Arc::<Wakes>::default();
        match self.core() {
            Engine::Sqlite(db) => {
                db.relax(bounds.durability == Durability::Normal);
                let clock = self.clock.clone();
                let task = file::Task::new(db.clone(), clock, bounds, entries, Arc::clone(&wakes));
                // A commit blocks its thread until it is on disk.
                let started = group.spawn_thread("job queue", |stop| task.run_blocking(stop));
                if let Err(error) = started {
                    group.spawn("job queue", |_| std::future::ready(Err(error)));
                }
                let db = db.clone();
                group.spawn("job checkpoints", |stop| checkpoint::run(db, stop));
            }
            engine @ Engine::Postgres(_) => {
                let (engine, clock) = (engine.clone(), self.clock.clone());
                let task = server::Task::new(engine, clock, bounds, entries, Arc::clone(&wakes));
                group.spawn("job queue", |stop| task.run(stop));
            }
        }
        Queue { ways, wakes }
    }
}

macro_rules! ask {
    ($queue:expr, $command:expr, $answer:ident) => {
        match $queue.ways.ask($command).await? {
            Answer::$answer(answer) => Ok(answer),
            _ => Err(Error::Unavailable),
        }
    };
}

impl Queue {
    /// Adds jobs, all or none; one whose name is taken becomes the one that has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn add(&self, rows: Vec<New>) -> Result<Vec<Added>, Error> {
        ask!(self, Command::Add(rows), Added)
    }

    /// Takes the first jobs of a queue for a worker; nothing of one that is paused. Of `limit` the first `begins` begin at
    /// once; that the others have begun is said with their renewal.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn claim(
        &self,
        queue: i32,
        (limit, begins): (usize, usize),
        worker: &Arc<str>,
        lease: Duration,
    ) -> Result<Hand, Error> {
        let claim = Claim { queue, limit, begins, worker: Arc::clone(worker), lease };
        ask!(self, Command::Claim(claim), Claimed)
    }

    /// Says how attempts ended; answers for each how its job stands now, none where it was somebody else's.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn finish(&self, acks: Vec<Ack>) -> Result<Vec<Settled>, Error> {
        ask!(self, Command::Finish(acks), Settled)
    }

    /// Makes leases last so long from now on, by number, token and whether the work has begun.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn renew(
        &self,
        held: &[(i64, i64, bool)],
        lease: Duration,
    ) -> Result<Vec<Renewed>, Error> {
        let held = held.iter().map(|&(seq, token, begun)| Held { seq, token, lease, begun });
        ask!(self, Command::Renew(held.collect()), Renewed)
    }

    /// Notes how far a job is, JSON; false when it is somebody else's.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn note_progress(
        &self,
        (seq, token): (i64, i64),
        progress: String,
    ) -> Result<bool, Error> {
        ask!(self, Command::Progress { held: (seq, token), progress }, Noted)
    }

    /// Ends a job that is not finished: at once, or as soon as whoever works on it hears of it. None where there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel(&self, queue: i32, seq: i64) -> Result<Option<Status>, Error> {
        ask!(self, Command::Order { order: Order::Cancel, job: (queue, seq) }, Ordered)
    }

    /// Lets a failed or dead job wait again, with all its attempts. None where there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn retry(&self, queue: i32, seq: i64) -> Result<Option<Status>, Error> {
        ask!(self, Command::Order { order: Order::Retry, job: (queue, seq) }, Ordered)
    }

    /// Forgets a job that nobody works on, and answers how it stood. None where there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn remove(&self, queue: i32, seq: i64) -> Result<Option<Status>, Error> {
        ask!(self, Command::Order { order: Order::Remove, job: (queue, seq) }, Ordered)
    }

    /// Lets jobs whose lease ran out wait again or buries them, and forgets what is finished for long enough.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tend(&self) -> Result<Tended, Error> {
        ask!(self, Command::Tend, Tended)
    }

    /// Woken whenever there may be something to claim in that queue.
    #[must_use]
    pub fn wake_of(&self, queue: i32) -> Arc<Notify> {
        self.wakes.of(queue)
    }

    /// Everybody looks whether there is something to do.
    pub fn wake_all(&self) {
        self.wakes.wake_all();
    }

    /// There may be something to claim: somebody committed a transaction that added it.
    pub fn wake(&self, queue: i32) {
        self.wakes.wake(queue);
    }
}

fn told(error: &crate::Error) -> Error {
    match error.kind {
        crate::error::Kind::Conflict => Error::Refused,
        _ => Error::Unavailable,
    }
}
