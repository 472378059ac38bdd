//! The line's end at PostgreSQL: what waits becomes one transaction, a few of them at a time.
//!
//! What can meet another's lock goes apart, one transaction at a time: a name is held until the transaction of whoever adds
//! by it ends, however long that takes him, and nobody else shall wait for that.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mainstay_base::Clock;
use mainstay_base::task::Stop;
use tokio::time::Instant;

use super::command::{Answer, Command, run_shared};
use super::entries::{Entries, Entry, answer, top_up};
use super::{Bounds, Error as Refusal, Wakes, told};
use crate::error::Kind;
use crate::tables::job::Ack;
use crate::tables::job::add::{names, try_names, wait_briefly};
use crate::tx::Tx;
use crate::{Engine, Error};

const OP: &str = "job.change";
/// A group that lost a deadlock is tried again at once.
const TRIES: usize = 3;
/// Between two tries of those whose name somebody has.
const AGAIN: Duration = Duration::from_millis(25);
/// How long they try.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whoever writes jobs into PostgreSQL.
#[derive(Debug)]
pub(super) struct Task {
    entries: Entries,
    writer: Writer,
}

#[derive(Clone, Debug)]
struct Writer {
    engine: Engine,
    clock: Clock,
    bounds: Bounds,
    wakes: Arc<Wakes>,
    /// The store did not take the last group.
    failing: Arc<AtomicBool>,
}

/// One that goes apart, and since when it waits.
type Apart = (Entry, Instant);
type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Task {
    pub(super) fn new(
        engine: Engine,
        clock: Clock,
        bounds: Bounds,
        entries: Entries,
        wakes: Arc<Wakes>,
    ) -> Self {
        let failing = Arc::default();
        Self { entries, writer: Writer { engine, clock, bounds, wakes, failing } }
    }

    /// Works until the soft stop, then finishes what waits, unless the hard stop comes first.
    pub(super) async fn run(self, stop: Stop) -> Result<(), Infallible> {
        let hard = stop.clone();
        tokio::select! {
            () = hard.hard() => {}
            () = self.work(stop) => {}
        }
        Ok(())
    }

    async fn work(self, stop: Stop) {
        let Self { mut entries, writer } = self;
        let together = writer.bounds.together.max(1);
        let transactions = writer.bounds.transactions.max(1);
        let mut running: FuturesUnordered<Running<()>> = FuturesUnordered::new();
        let mut apart: Vec<Apart> = Vec::new();
        let mut naming: Option<Running<Vec<Apart>>> = None;
        let mut again_at = Instant::now();
        let mut is_open = true;
        loop {
            if naming.is_none() && !apart.is_empty() && Instant::now() >= again_at {
                naming = Some(Box::pin(writer.settle_apart(std::mem::take(&mut apart))));
            }
            let mut group = Vec::new();
            // One is left for those who work on jobs.
            let may_add = running.len() < (transactions - 1).max(1) && apart.len() < together;
            tokio::select! {
                biased;
                Some(()) = running.next(), if !running.is_empty() => {}
                later = maybe(&mut naming), if naming.is_some() => {
                    if !later.is_empty() {
                        again_at = Instant::now() + AGAIN;
                    }
                    apart.extend(later);
                }
                () = stop.soft(), if is_open => {
                    is_open = false;
                    entries.close();
                }
                Some(entry) = entries.workers.recv(), if running.len() < transactions => {
                    group.push(entry);
                    top_up(&mut entries.workers, &mut group, together);
                    running.push(Box::pin(writer.settle(group)));
                }
                Some(entry) = entries.others.recv(), if may_add => {
                    group.push(entry);
                    top_up(&mut entries.others, &mut group, together);
                    let now = Instant::now();
                    let goes_apart = |entry: &mut Entry| entry.command.goes_apart();
                    apart.extend(group.extract_if(.., goes_apart).map(|entry| (entry, now)));
                    if !group.is_empty() {
                        running.push(Box::pin(writer.settle(group)));
                    }
                }
                () = tokio::time::sleep_until(again_at), if naming.is_none() && !apart.is_empty() => {}
                else => break,
            }
        }
        stop.soft().await;
    }
}

/// What is in hand, or for ever.
async fn maybe<T>(slot: &mut Option<Running<T>>) -> T {
    match slot {
        Some(future) => {
            let answer = future.await;
            *slot = None;
            answer
        }
        None => std::future::pending().await,
    }
}

impl Writer {
    /// Carries a group out and answers everybody in it; where one breaks a rule or waits for somebody too long, each for
    /// itself.
    fn settle(&self, group: Vec<Entry>) -> impl Future<Output = ()> + Send + 'static {
        let writer = self.clone();
        async move {
            let commands: Vec<&Command> = group.iter().map(|entry| &entry.command).collect();
            match writer.commit(&commands).await {
                Ok(answers) => writer.tell(group, answers).await,
                Err(error) if is_of_one(&error) && group.len() > 1 => {
                    for entry in group {
                        match writer.commit(&[&entry.command]).await {
                            Ok(answers) => writer.tell(vec![entry], answers).await,
                            Err(error) => writer.refuse(vec![entry], &error),
                        }
                    }
                }
                Err(error) => writer.refuse(group, &error),
            }
        }
    }

    /// The same of those that can meet another's lock; answers those whose name somebody has.
    fn settle_apart(&self, group: Vec<Apart>) -> impl Future<Output = Vec<Apart>> + Send + 'static {
        let writer = self.clone();
        async move {
            match writer.commit_apart(&group).await {
                Ok(answers) => writer.tell_apart(group, answers).await,
                Err(error) if is_of_one(&error) && group.len() > 1 => {
                    let mut later = Vec::new();
                    for one in group {
                        let one = [one];
                        match writer.commit_apart(&one).await {
                            Ok(answers) => {
                                later.extend(writer.tell_apart(one.into(), answers).await);
                            }
                            Err(error) => {
                                writer.refuse(
                                    one.into_iter().map(|(entry, _)| entry).collect(),
                                    &error,
                                );
                            }
                        }
                    }
                    later
                }
                Err(error) => {
                    writer.refuse(group.into_iter().map(|(entry, _)| entry).collect(), &error);
                    Vec::new()
                }
            }
        }
    }

    /// Tells the log of a broken rule, of the first of several failures, and of their end.
    fn refuse(&self, group: Vec<Entry>, error: &Error) {
        let said = error as &dyn std::error::Error;
        if error.kind == Kind::Conflict {
            tracing::warn!(error = said, "a change of jobs breaks a rule of the store");
        } else if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(error = said, "jobs cannot be changed; it is refused until they can");
        }
        let told = told(error);
        group.into_iter().for_each(|entry| answer_one(entry, told));
    }

    async fn tell(&self, group: Vec<Entry>, answers: Vec<Answer>) {
        if !group.is_empty() && self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("jobs can be changed again");
        }
        self.wakes.wake_for(group.iter().map(|entry| &entry.command).zip(&answers));
        let orphans = answer(group.into_iter().zip(answers.into_iter().map(Ok)));
        self.give_back(orphans).await;
    }

    async fn tell_apart(&self, group: Vec<Apart>, answers: Vec<Option<Answer>>) -> Vec<Apart> {
        let (mut done, mut said, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for ((entry, since), answer) in group.into_iter().zip(answers) {
            match answer {
                Some(answer) => {
                    done.push(entry);
                    said.push(answer);
                }
                None if since.elapsed() < PATIENCE => later.push((entry, since)),
                None => {
                    tracing::warn!("a name of a job is held by a transaction that does not end");
                    answer_one(entry, Refusal::Unavailable);
                }
            }
        }
        self.tell(done, said).await;
        later
    }

    /// What was claimed by somebody who waits no more.
    async fn give_back(&self, orphans: Vec<Ack>) {
        if !orphans.is_empty()
            && let Err(error) = self.commit(&[&Command::Finish(orphans)]).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "jobs wait for their lease to end"
            );
        }
    }

    async fn commit(&self, commands: &[&Command]) -> Result<Vec<Answer>, Error> {
        let mut tries = TRIES;
        loop {
            match self.try_commit(commands).await {
                Err(error) if is_repeated(&error) && tries > 1 => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_commit(&self, commands: &[&Command]) -> Result<Vec<Answer>, Error> {
        let mut tx: Tx<'_> = self.engine.begin(OP).await?;
        let answers = run_shared(&mut tx, &self.clock, commands, &self.bounds.keep).await?;
        tx.commit().await.map(|()| answers)
    }

    /// None for those whose name somebody has.
    async fn commit_apart(&self, group: &[Apart]) -> Result<Vec<Option<Answer>>, Error> {
        let mut tries = TRIES;
        loop {
            match self.try_apart(group).await {
                Err(error) if is_repeated(&error) && tries > 1 => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_apart(&self, group: &[Apart]) -> Result<Vec<Option<Answer>>, Error> {
        let mut tx: Tx<'_> = self.engine.begin(OP).await?;
        wait_briefly(&mut tx).await?;
        let commands: Vec<&Command> = group.iter().map(|(entry, _)| &entry.command).collect();
        let wanted = commands.iter().flat_map(|command| names_of(command)).collect();
        let had = try_names(&mut tx, wanted).await?;
        let is_free: Vec<bool> = commands
            .iter()
            .map(|command| names_of(command).iter().all(|name| had.contains(name)))
            .collect();
        let free: Vec<&Command> =
            commands.iter().zip(&is_free).filter(|(_, free)| **free).map(|(c, _)| *c).collect();
        let answers = run_shared(&mut tx, &self.clock, &free, &self.bounds.keep).await?;
        tx.commit().await?;
        let mut answers = answers.into_iter();
        let deal = |free: bool| if free { answers.next() } else { None };
        Ok(is_free.into_iter().map(deal).collect())
    }
}

fn names_of(command: &Command) -> Vec<String> {
    command.rows().iter().flat_map(names).collect()
}

fn is_repeated(error: &Error) -> bool {
    error.is_contended() || error.is_repeat()
}

/// Whether one of a group may be at fault for all.
fn is_of_one(error: &Error) -> bool {
    error.kind == Kind::Conflict || error.is_locked_out() || error.is_too_long()
}

fn answer_one(entry: Entry, error: Refusal) {
    // Nothing was claimed: there is nothing to give back.
    drop(answer(std::iter::once((entry, Err(error)))));
}
