//! The line's end at a file: what waits becomes one transaction on the queue's own connection.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Clock;
use mainstay_base::task::Stop;
use rusqlite::Connection;

use super::command::{Answer, Command, run_direct};
use super::entries::{Entries, Entry, answer};
use super::{Bounds, Durability, Wakes, told};
use crate::Error;
use crate::error::{Kind, Source};
use crate::sqlite::Db;
use crate::tables::job::tend::forget_many_direct;

const OP: &str = "job.change";
/// A group of at least so many shows that more are on their way: the next one gathers before it commits.
const BUSY_FROM: usize = 8;
/// How long it gathers at most.
const GATHER: Duration = Duration::from_millis(1);
/// So many more finished jobs than are kept may lie in a queue until the next look.
const SLACK: u32 = 64;

/// Whoever writes jobs into a file.
#[derive(Debug)]
pub(super) struct Task {
    db: Db,
    clock: Clock,
    bounds: Bounds,
    entries: Entries,
    wakes: Arc<Wakes>,
    /// Jobs that were finished since the queue was last looked through.
    finished: HashMap<i32, u32>,
    failing: bool,
    /// Commands of the last group.
    last_group: usize,
}

impl Task {
    pub(super) fn new(
        db: Db,
        clock: Clock,
        bounds: Bounds,
        entries: Entries,
        wakes: Arc<Wakes>,
    ) -> Self {
        Self {
            db,
            clock,
            bounds,
            entries,
            wakes,
            finished: HashMap::new(),
            failing: false,
            last_group: 0,
        }
    }

    /// [`Task::run`] on a thread of its own.
    pub(super) fn run_blocking(self, stop: Stop) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let Ok(()) = runtime.block_on(self.run(stop));
        Ok(())
    }

    /// Works until the soft stop, then finishes what waits, unless the hard stop comes first.
    async fn run(mut self, stop: Stop) -> Result<(), Infallible> {
        let together = self.bounds.together.max(1);
        let mut group = Vec::with_capacity(together);
        loop {
            tokio::select! {
                biased;
                () = stop.soft() => break,
                taken = self.entries.take(&mut group, together) => {
                    if taken == 0 {
                        stop.soft().await;
                        break;
                    }
                    self.gather(&mut group).await;
                    self.settle(&mut group).await;
                }
            }
        }
        self.entries.close();
        let rest = async {
            while self.entries.take(&mut group, together).await > 0 {
                self.settle(&mut group).await;
            }
        };
        tokio::select! {
            () = stop.hard() => {}
            () = rest => {}
        }
        Ok(())
    }

    /// Where a commit waits for the disk, those who were answered together come again together: the next one waits a moment
    /// until as many are there. A quiet line keeps nobody waiting.
    async fn gather(&mut self, group: &mut Vec<Entry>) {
        let wanted = self.last_group;
        if self.bounds.durability == Durability::Full && wanted >= BUSY_FROM {
            let until = tokio::time::Instant::now() + GATHER;
            while group.len() < wanted {
                let more = self.entries.take(group, wanted - group.len());
                match tokio::time::timeout_at(until, more).await {
                    Ok(more) if more > 0 => {}
                    _ => break,
                }
            }
        }
        self.last_group = group.len();
    }

    /// Carries a group out and answers everybody in it; where one breaks a rule, each for itself.
    async fn settle(&mut self, group: &mut Vec<Entry>) {
        let commands: Vec<&Command> = group.iter().map(|entry| &entry.command).collect();
        match self.commit(&commands).await {
            Ok(answers) => self.tell(group, answers).await,
            Err(error) if error.kind == Kind::Conflict && group.len() > 1 => {
                for entry in group.drain(..) {
                    let outcome = self.commit(&[&entry.command]).await;
                    match outcome {
                        Ok(answers) => self.tell(&mut vec![entry], answers).await,
                        Err(error) => {
                            answer(std::iter::once((entry, Err(told(&error)))));
                        }
                    }
                }
            }
            Err(error) => {
                let told = told(&error);
                answer(group.drain(..).map(|entry| (entry, Err(told))));
            }
        }
    }

    async fn tell(&mut self, group: &mut Vec<Entry>, answers: Vec<Answer>) {
        self.wakes.wake_for(group.iter().map(|entry| &entry.command).zip(&answers));
        let orphans = answer(group.drain(..).zip(answers.into_iter().map(Ok)));
        if !orphans.is_empty() {
            // Told by `commit`; else their leases end.
            drop(self.commit(&[&Command::Finish(orphans)]).await);
        }
    }

    async fn commit(&mut self, commands: &[&Command]) -> Result<Vec<Answer>, Error> {
        let mut writer = self.db.writer().await;
        let (now, keep) = (self.clock.now(), &self.bounds.keep);
        let finished = &mut self.finished;
        let outcome = writer.directly(&self.db, |conn| {
            let done = execute(conn, "BEGIN IMMEDIATE")
                .and_then(|()| run_direct(conn, commands, now, (keep, finished)))
                .and_then(|answers| {
                    for (queue, count) in finished.iter_mut().filter(|(_, count)| **count >= SLACK)
                    {
                        forget_many_direct(conn, *queue, keep)?;
                        *count = 0;
                    }
                    execute(conn, "COMMIT").map(|()| answers)
                });
            if done.is_err() {
                // SQLite rolls some failures (a full disk) back by itself; then there is nothing left to roll back.
                drop(execute(conn, "ROLLBACK"));
            }
            done.map_err(Source::from)
        });
        let outcome = outcome.map_err(|error| Error::new(OP, error));
        match &outcome {
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Internal) => {
                writer.suspect();
            }
            _ => {}
        }
        drop(writer);
        self.note(outcome.as_ref().err());
        outcome
    }

    /// Tells the log of the first of several failures, and of their end.
    fn note(&mut self, error: Option<&Error>) {
        match error {
            Some(error) if error.kind == Kind::Conflict => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "a change of jobs breaks a rule of the store"
                );
            }
            Some(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "jobs cannot be changed; it is refused until they can"
                );
            }
            None if std::mem::take(&mut self.failing) => {
                tracing::info!("jobs can be changed again");
            }
            _ => {}
        }
    }
}

fn execute(conn: &Connection, text: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(text)?.execute([]).map(drop)
}
