//! The recorder's loop: take what waits, commit it as one, answer everybody; notice a disk that fails and one that is well again.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use mainstay_base::task::Stop;
use mainstay_base::{Clock, Timestamp};
use tokio::sync::{mpsc, watch};

use super::commit::Committer;
use super::{Batch, Entry, Health, Shared};
use crate::error::Kind;
use crate::{Engine, Error, Settings, Store, Ts, record};

const OP: &str = "recorder.commit";
const AWAY: &str = "insight.db is away";
/// A group of at least this many batches shows that more are on their way: the next one gathers before it commits.
const BUSY_FROM: usize = 8;

/// The one who writes events.
#[derive(Debug)]
pub(super) struct Task {
    engine: Engine,
    clock: Clock,
    entries: mpsc::Receiver<Entry>,
    news: watch::Sender<u64>,
    shared: Arc<Shared>,
    committer: Committer,
    batches_max: usize,
    gather: Duration,
    busy: bool,
    probe_every: Duration,
    degraded: bool,
}

impl Task {
    pub(super) fn new(
        store: &Store,
        settings: &Settings,
        entries: mpsc::Receiver<Entry>,
        news: watch::Sender<u64>,
        shared: Arc<Shared>,
    ) -> Self {
        let Engine::Sqlite(db) = store.insight();
        // Nothing is committed while the file is away: probes find out when it is open.
        let degraded = !db.is_open();
        if degraded {
            degrade(&shared, store.clock.now(), AWAY.into());
        }
        Self {
            degraded,
            engine: store.insight().clone(),
            clock: store.clock.clone(),
            entries,
            news,
            shared,
            committer: Committer::new(),
            batches_max: settings.commit_batches_max.max(1) as usize,
            gather: settings.commit_gather.0,
            busy: false,
            probe_every: settings.recorder_probe_every.0.max(Duration::from_millis(10)),
        }
    }

    /// Works until the soft stop, then finishes what is queued, unless the hard stop comes first.
    pub(super) async fn run(mut self, stop: Stop) -> Result<(), Infallible> {
        let mut group = Vec::with_capacity(self.batches_max);
        loop {
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
                () = tokio::time::sleep(self.probe_every), if self.degraded => self.probe().await,
            }
        }
        tokio::select! {
            () = stop.hard() => {}
            () = self.finish(&mut group) => {}
        }
        Ok(())
    }

    /// Under load every commit shares its fsync and its statements with what arrives in the next moment; a quiet
    /// recorder keeps nobody waiting.
    async fn gather(&mut self, group: &mut Vec<Entry>) {
        if self.busy && !self.gather.is_zero() {
            tokio::time::sleep(self.gather).await;
            while group.len() < self.batches_max
                && let Ok(entry) = self.entries.try_recv()
            {
                group.push(entry);
            }
        }
        self.busy = group.len() >= BUSY_FROM;
    }

    async fn finish(&mut self, group: &mut Vec<Entry>) {
        self.entries.close();
        while self.entries.recv_many(group, self.batches_max).await > 0 {
            self.settle(group).await;
        }
        let Engine::Sqlite(db) = &self.engine;
        if let Err(error) = db.checkpoint().await {
            tracing::warn!(%error, "the last checkpoint of insight.db failed; its log is kept");
        }
    }

    /// Commits a group and answers everyone in it. A batch that breaks a constraint is found by halving the group,
    /// so that it fails alone and cannot make its neighbours pay one fsync each.
    async fn settle(&mut self, group: &mut Vec<Entry>) {
        let mut parts = vec![std::mem::take(group)];
        while let Some(mut part) = parts.pop() {
            match self.commit(&part).await {
                Ok(()) => answer(part, Ok(())),
                Err(error) if error.retryable => {
                    self.degrade(&error);
                    answer(part, Err(record::Error::Unavailable));
                }
                Err(error) if part.len() == 1 && error.kind == Kind::Conflict => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "a batch of events breaks a rule of the store");
                    answer(part, Err(record::Error::Refused));
                }
                Err(error) if part.len() == 1 => {
                    self.degrade(&error);
                    answer(part, Err(record::Error::Unavailable));
                }
                Err(_) => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
            }
        }
    }

    async fn commit(&mut self, part: &[Entry]) -> Result<(), Error> {
        let Engine::Sqlite(db) = &self.engine;
        let batches: Vec<&Batch> = part.iter().map(|entry| &entry.batch).collect();
        let began = Instant::now();
        let mut writer = db.writer().await;
        let conn = writer.conn().await.map_err(|e| Error::new(OP, e))?;
        let outcome = self.committer.commit(conn, &batches, self.clock.now()).await;
        if let Err(error) = outcome {
            let error = Error::new(OP, error);
            if matches!(error.kind, Kind::Unavailable | Kind::Internal) {
                writer.suspect();
            }
            return Err(error);
        }
        drop(writer);
        self.shared.note_commit(part.len(), began.elapsed());
        self.news.send_modify(|commits| *commits += 1);
        self.recover();
        Ok(())
    }

    /// Writes one small row, so that a recorder nobody sends to notices space that came back.
    async fn probe(&mut self) {
        let Engine::Sqlite(db) = &self.engine;
        let mut writer = db.writer().await;
        let outcome = match writer.conn().await {
            Ok(conn) => sqlx::query(
                "INSERT INTO recorder_probe (id, at) VALUES (1, $1)
                 ON CONFLICT (id) DO UPDATE SET at = excluded.at",
            )
            .bind(Ts(self.clock.now()))
            .execute(conn)
            .await
            .map(drop),
            Err(e) => Err(e),
        };
        if outcome.is_err() {
            writer.suspect();
        }
        drop(writer);
        if outcome.is_ok() {
            self.recover();
        }
    }

    fn degrade(&mut self, error: &Error) {
        let reason =
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        if !self.degraded {
            tracing::warn!(%reason, "events cannot be made durable; they are refused until they can");
        }
        degrade(&self.shared, self.clock.now(), reason);
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

/// Notes that events do not reach the disk, since when it began.
fn degrade(shared: &Shared, now: Timestamp, reason: String) {
    let mut health = shared.health.lock().unwrap_or_else(PoisonError::into_inner);
    let since = match &*health {
        Health::Degraded { since, .. } => *since,
        Health::Ok => now,
    };
    *health = Health::Degraded { since, reason };
}

/// Somebody who no longer waits is no error: the batch is durable all the same.
fn answer(part: Vec<Entry>, outcome: Result<(), record::Error>) {
    for entry in part {
        let _unheard = entry.done.send(outcome);
    }
}
