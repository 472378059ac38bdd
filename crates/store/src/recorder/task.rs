//! The recorder's loop: take what waits, make it durable as one, answer everybody; notice a store that fails and one that is well again.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mainstay_base::task::Stop;
use mainstay_base::{Clock, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::sink::{Committed, Sink, SinkContext};
use super::{Batch, Entry, Health, Shared, answers};
use crate::error::Kind;
use crate::{Error, Settings, record};

/// A group of at least this many batches shows that more are on their way: the next one gathers before it commits.
const BUSY_FROM: usize = 8;

/// The one who writes events.
#[derive(Debug)]
pub(super) struct Task {
    sink: Sink,
    clock: Clock,
    entries: mpsc::Receiver<Entry>,
    news: watch::Sender<u64>,
    shared: Arc<Shared>,
    batches_max: usize,
    gather: Duration,
    /// Batches of the last group.
    last_group: usize,
    degraded: bool,
}

impl Task {
    pub(super) fn new(
        context: SinkContext,
        settings: &Settings,
        entries: mpsc::Receiver<Entry>,
        news: watch::Sender<u64>,
        shared: Arc<Shared>,
    ) -> Self {
        let clock = context.clock.clone();
        let sink = Sink::new(context, settings);
        // Nothing is committed while the store is away: probes find out when it is open.
        let reason = sink.why_away();
        let degraded = reason.is_some();
        if let Some(reason) = reason {
            degrade(&shared, clock.now(), reason.into_owned());
        }
        Self {
            degraded,
            sink,
            clock,
            entries,
            news,
            shared,
            batches_max: settings.commit_batches_max.max(1) as usize,
            gather: settings.commit_gather.0,
            last_group: 0,
        }
    }

    /// [`Task::run`] on a thread of its own.
    pub(super) fn run_blocking(self, stop: Stop) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let Ok(()) = runtime.block_on(self.run(stop));
        Ok(())
    }

    /// Works until the soft stop, then finishes what is queued, unless the hard stop comes first.
    pub(super) async fn run(mut self, stop: Stop) -> Result<(), Infallible> {
        let mut group = Vec::with_capacity(self.batches_max);
        match self.sink.prepare().await {
            // What a process before this one left is told from the beginning.
            Ok(()) => self.note_health(),
            Err(reason) => self.degrade(reason),
        }
        // When the sink is to be tended: those who send all the time must not put that off for ever.
        let mut tend_at: Option<Instant> = None;
        loop {
            let due = self.sink.rest(self.degraded).map(|rest| Instant::now() + rest);
            tend_at = due.map(|due| tend_at.map_or(due, |at| at.min(due)));
            if tend_at.is_some_and(|at| at <= Instant::now()) && !stop.is_soft() {
                tend_at = None;
                self.tend(&stop).await;
                self.take_what_came(&mut group).await;
                continue;
            }
            tokio::select! {
                biased;
                () = stop.soft() => break,
                taken = self.entries.recv_many(&mut group, self.batches_max) => {
                    if taken == 0 {
                        stop.soft().await;
                        break;
                    }
                    self.gather(&mut group).await;
                    self.settle(&mut group).await;
                }
                () = tokio::time::sleep_until(tend_at.unwrap_or_else(Instant::now)), if tend_at.is_some() => {}
            }
        }
        tokio::select! {
            () = stop.hard() => {}
            () = self.finish(&mut group) => {}
        }
        Ok(())
    }

    /// A group of what came meanwhile, without waiting for any.
    async fn take_what_came(&mut self, group: &mut Vec<Entry>) {
        while group.len() < self.batches_max
            && let Ok(entry) = self.entries.try_recv()
        {
            group.push(entry);
        }
        if !group.is_empty() {
            self.settle(group).await;
        }
    }

    /// Under load every commit shares its fsync and its statements with what arrives in the next moment, until the group
    /// is as large as the last one: those who are answered together come again together. A quiet recorder keeps nobody
    /// waiting.
    async fn gather(&mut self, group: &mut Vec<Entry>) {
        let missing = self.last_group.saturating_sub(group.len());
        // No more than the queue can hold come before somebody takes them out.
        let missing = missing.min(self.entries.max_capacity());
        if self.last_group >= BUSY_FROM && missing > 0 && !self.gather.is_zero() {
            self.shared.gathering.wait(missing, &self.entries, self.gather).await;
        }
        while group.len() < self.batches_max
            && let Ok(entry) = self.entries.try_recv()
        {
            group.push(entry);
        }
        self.last_group = group.len();
    }

    async fn finish(&mut self, group: &mut Vec<Entry>) {
        self.entries.close();
        while self.entries.recv_many(group, self.batches_max).await > 0 {
            self.settle(group).await;
        }
        self.sink.finish().await;
    }

    /// Makes a group durable and answers everyone in it. A batch that breaks a constraint is found by halving the group,
    /// so that it fails alone and cannot make its neighbours pay one fsync each.
    async fn settle(&mut self, group: &mut Vec<Entry>) {
        let mut parts = vec![std::mem::take(group)];
        while let Some(mut part) = parts.pop() {
            match self.commit(&part).await {
                Ok(Committed::Alike(written)) => answer(part, Ok(written)),
                Ok(Committed::Each(each)) => {
                    answers::answer_each(part.into_iter().map(|entry| entry.asker), each);
                }
                Err(error) if error.retryable => {
                    self.degrade(error.reason());
                    answer(part, Err(record::Error::Unavailable));
                }
                Err(error) if part.len() == 1 && error.kind == Kind::Conflict => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "a batch of events breaks a rule of the store");
                    answer(part, Err(record::Error::Refused));
                }
                Err(error) if part.len() == 1 => {
                    self.degrade(error.reason());
                    answer(part, Err(record::Error::Unavailable));
                }
                Err(_) => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
            }
            // A file's commit does not wait for anything: a hard stop is heard in between.
            tokio::task::yield_now().await;
        }
    }

    async fn commit(&mut self, part: &[Entry]) -> Result<Committed, Error> {
        let batches: Vec<&Batch> = part.iter().map(|entry| &entry.batch).collect();
        let began = std::time::Instant::now();
        let nearly_full = (self.entries.max_capacity() * 3 / 4).max(1);
        let crowded = self.shared.gathering.queued(nearly_full, &self.entries);
        let written = self.sink.commit(&batches, self.clock.now(), crowded).await?;
        self.shared.note_commit(part.len(), began.elapsed());
        self.note_news();
        Ok(written)
    }

    fn note_news(&mut self) {
        self.news.send_modify(|commits| *commits += 1);
        self.note_health();
    }

    /// What is to be done while nobody sends anything.
    async fn tend(&mut self, stop: &Stop) {
        let came = async {
            tokio::select! {
                () = stop.soft() => {}
                () = self.shared.gathering.queued(1, &self.entries) => {}
            }
        };
        match self.sink.tend(self.clock.now(), came).await {
            Ok(true) => self.note_news(),
            Ok(false) => self.note_health(),
            Err(reason) => self.degrade(reason),
        }
    }

    fn note_health(&mut self) {
        match self.sink.why_away() {
            Some(reason) => self.degrade(reason.into_owned()),
            None => self.recover(),
        }
        self.shared.note_spool(self.sink.spooled(), self.sink.faults(), self.sink.copies());
    }

    fn degrade(&mut self, reason: String) {
        if !self.degraded {
            tracing::warn!(%reason, "{}", self.sink.trouble());
        }
        degrade(&self.shared, self.clock.now(), reason);
        self.shared.note_spool(self.sink.spooled(), self.sink.faults(), self.sink.copies());
        self.degraded = true;
    }

    fn recover(&mut self) {
        if self.degraded {
            self.degraded = false;
            *self.shared.health.lock().unwrap_or_else(PoisonError::into_inner) = Health::Ok;
            tracing::info!("events are durable again");
        }
    }
}

/// Notes that events do not reach the store, since when it began.
fn degrade(shared: &Shared, now: Timestamp, reason: String) {
    let mut health = shared.health.lock().unwrap_or_else(PoisonError::into_inner);
    let since = match &*health {
        Health::Degraded { since, .. } => *since,
        Health::Ok => now,
    };
    *health = Health::Degraded { since, reason };
}

fn answer(part: Vec<Entry>, outcome: answers::Outcome) {
    answers::answer(part.into_iter().map(|entry| entry.asker), outcome);
}
