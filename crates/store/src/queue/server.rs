//! The line's end at PostgreSQL: what waits becomes one transaction, a few of them at a time.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mainstay_base::Clock;
use mainstay_base::task::Stop;
use tokio::sync::mpsc;

use super::command::{Answer, Command, run_shared};
use super::{Bounds, Entry, Wakes, answer, told};
use crate::error::Kind;
use crate::tx::Tx;
use crate::{Engine, Error};

const OP: &str = "job.change";
/// A group that lost a deadlock is tried again at once.
const TRIES: usize = 3;

/// Whoever writes jobs into PostgreSQL.
#[derive(Debug)]
pub(super) struct Task {
    entries: mpsc::Receiver<Entry>,
    writer: Writer,
}

#[derive(Clone, Debug)]
struct Writer {
    engine: Engine,
    clock: Clock,
    bounds: Bounds,
    wakes: Arc<Wakes>,
}

impl Task {
    pub(super) fn new(
        engine: Engine,
        clock: Clock,
        bounds: Bounds,
        entries: mpsc::Receiver<Entry>,
        wakes: Arc<Wakes>,
    ) -> Self {
        Self { entries, writer: Writer { engine, clock, bounds, wakes } }
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

    async fn work(mut self, stop: Stop) {
        let Bounds { together, transactions, .. } = self.writer.bounds;
        let mut running = FuturesUnordered::new();
        let mut is_open = true;
        loop {
            let mut group = Vec::new();
            let may_begin = running.len() < transactions.max(1);
            tokio::select! {
                biased;
                Some(()) = running.next(), if !running.is_empty() => {}
                () = stop.soft(), if is_open => {
                    is_open = false;
                    self.entries.close();
                }
                taken = self.entries.recv_many(&mut group, together.max(1)), if may_begin => {
                    match taken {
                        0 if running.is_empty() => break,
                        0 => { running.next().await; }
                        _ => running.push(self.writer.settle(group)),
                    }
                }
            }
        }
        stop.soft().await;
    }
}

impl Writer {
    /// Carries a group out and answers everybody in it; where one breaks a rule, each for itself.
    fn settle(&self, group: Vec<Entry>) -> impl Future<Output = ()> + Send + 'static {
        let writer = self.clone();
        async move {
            let commands: Vec<&Command> = group.iter().map(|entry| &entry.command).collect();
            match writer.commit(&commands).await {
                Ok(answers) => writer.tell(group, answers),
                Err(error) if error.kind == Kind::Conflict && group.len() > 1 => {
                    for entry in group {
                        match writer.commit(&[&entry.command]).await {
                            Ok(answers) => writer.tell(vec![entry], answers),
                            Err(error) => answer(std::iter::once((entry, Err(told(&error))))),
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "jobs cannot be changed"
                    );
                    let told = told(&error);
                    answer(group.into_iter().map(|entry| (entry, Err(told))));
                }
            }
        }
    }

    fn tell(&self, group: Vec<Entry>, answers: Vec<Answer>) {
        self.wakes.wake_for(group.iter().map(|entry| &entry.command).zip(&answers));
        answer(group.into_iter().zip(answers.into_iter().map(Ok)));
    }

    async fn commit(&self, commands: &[&Command]) -> Result<Vec<Answer>, Error> {
        let mut tries = TRIES;
        loop {
            let outcome = async {
                let mut tx: Tx<'_> = self.engine.begin(OP).await?;
                let answers = run_shared(&mut tx, &self.clock, commands, &self.bounds.keep).await?;
                tx.commit().await.map(|()| answers)
            };
            match outcome.await {
                Err(error) if (error.is_contended() || error.is_repeat()) && tries > 1 => {
                    tries -= 1;
                }
                outcome => return outcome,
            }
        }
    }
}
