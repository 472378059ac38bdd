//! The durable way in for visitor events: a bounded queue in front of one group commit; nothing is acknowledged before it is on disk.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_base::task::Group;
use mainstay_telemetry::metrics::{Counter, Histogram, Registry};
use mainstay_telemetry::names;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};

use crate::postgres::position::Position;
use crate::sqlite::checkpoint;
use crate::tables::{
    custom_event, engagement, error_event, page_view, performance_metric, report, user_session,
};
use crate::{Engine, Settings, Store, record};

mod add_up;
mod answers;
mod commit;
mod commit_postgres;
pub(crate) mod journal;
pub(crate) mod keys;
mod merge;
mod sink;
mod sink_postgres;
pub(crate) mod spool;
mod task;
mod texts;
mod visits;

/// One validated event, ready to be written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A page view.
    PageView(page_view::Row),
    /// Engagement so far.
    Engagement(engagement::Row),
    /// A web vital.
    Vital(performance_metric::Row),
    /// A JavaScript error.
    Error(error_event::Row),
    /// A named event.
    Custom(custom_event::Row),
    /// Alike reports of a browser.
    Report(report::Row),
}

/// The events of one request and the visit they belong to. All become durable together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The events, at most as many as the intake allows.
    pub records: Vec<Record>,
    /// The visit; none when the visitor opted out.
    pub visit: Option<user_session::Touch>,
}

/// What was made durable, and where it can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Where the primary's log ended; none where every reader sees it anyway, and while it waits for the database.
    pub(crate) position: Option<Position>,
    /// It waits on this machine's disk: nobody can see it yet.
    pub(crate) waits: bool,
}

/// Whether events reach the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// The last commit succeeded.
    #[default]
    Ok,
    /// Commits fail: every batch is refused until one succeeds again, or, where the store is on other machines, waits
    /// on this machine's disk.
    Degraded {
        /// Since when.
        since: Timestamp,
        /// The store's words.
        reason: String,
    },
}

/// The way in. Cheap to clone; works until the group it was started in is stopped.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Entry>,
    shared: Arc<Shared>,
    committed: watch::Receiver<u64>,
}

/// How this machine's disk treats the spool.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Places that could not be read.
    pub(crate) damaged: u64,
    /// The files that are kept because of them.
    pub(crate) kept: usize,
    /// What the disk refused.
    pub(crate) errors: u64,
}

/// What is kept until the standbys have what the primary has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copies {
    pub(crate) bytes: u64,
    /// Batches that were acknowledged and of which no copy is kept any more, though no standby was known to have them.
    pub(crate) unprotected: u64,
    /// Why there are such batches now.
    pub(crate) why_unprotected: Option<&'static str>,
}

/// A batch and the one who waits for it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) batch: Batch,
    pub(crate) asker: answers::Asker,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) health: Mutex<Health>,
    shed: AtomicU64,
    spooled: AtomicU64,
    /// Places of the spool that could not be read, and the files that are kept because of them.
    damaged: AtomicU64,
    kept: AtomicUsize,
    errors: AtomicU64,
    copies: Mutex<Copies>,
    gathering: Gathering,
    store: Store,
    metrics: Metrics,
}

/// A group that is being gathered: whoever completes it wakes the one who waits.
#[derive(Debug)]
struct Gathering {
    /// Batches that are awaited; [`NOBODY`] while nobody waits.
    awaited: AtomicUsize,
    complete: Notify,
}

const NOBODY: usize = usize::MAX;

/// Handles resolved once.
#[derive(Debug)]
pub(crate) struct Metrics {
    committed: Counter,
    shed: Counter,
    commit: Histogram,
}

impl Store {
    /// Starts the one who writes events, and the one who copies the log of what was written. Their group must be stopped after everybody who records has been.
    #[must_use]
    pub fn start_recorder(
        &self,
        settings: &Settings,
        group: &Group,
        registry: &Registry,
    ) -> Recorder {
        let bound = settings.recorder_queue_batches.max(1) as usize;
        let (queue, entries) = mpsc::channel(bound);
        let (news, committed) = watch::channel(0);
        let shared = Arc::new(Shared::new(self.clone(), registry));
        let waiting = queue.downgrade();
        registry.gauge_fn(&names::RECORDER_QUEUE, &[], move || {
            waiting.upgrade().map_or(0.0, |q| queued_in(&q) as f64)
        });
        let spooled = Arc::clone(&shared);
        registry.gauge_fn(&names::RECORDER_SPOOLED, &[], move || {
            spooled.spooled.load(Ordering::Relaxed) as f64
        });
        let damaged = Arc::clone(&shared);
        registry.counter_fn(&names::RECORDER_DAMAGED, &[], move || {
            damaged.damaged.load(Ordering::Relaxed) as f64
        });
        let errors = Arc::clone(&shared);
        registry.counter_fn(&names::RECORDER_SPOOL_ERRORS, &[], move || {
            errors.errors.load(Ordering::Relaxed) as f64
        });
        let copies = Arc::clone(&shared);
        registry.gauge_fn(&names::RECORDER_UNCONFIRMED, &[], move || copies.copies().bytes as f64);
        let copies = Arc::clone(&shared);
        registry.counter_fn(&names::RECORDER_UNPROTECTED, &[], move || {
            copies.copies().unprotected as f64
        });
        let context = sink::SinkContext {
            store: self.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            spool_dir: self.spool_dir.clone(),
        };
        let task = task::Task::new(context, settings, entries, news, Arc::clone(&shared));
        match self.insight().clone() {
            Engine::Sqlite(db) => {
                // A commit blocks its thread until it is on disk.
                let started = group.spawn_thread("recorder", |stop| task.run_blocking(stop));
                if let Err(error) = started {
                    group.spawn("recorder", |_| std::future::ready(Err(error)));
                }
                group.spawn("checkpoints", |stop| checkpoint::run(db, stop));
            }
            Engine::Postgres(_) => group.spawn("recorder", |stop| task.run(stop)),
        }
        Recorder { queue, shared, committed }
    }
}

impl Recorder {
    /// Records a batch; resolves when it is on disk. Dropping the future does not take the batch back. Poll it or drop it:
    /// others of this thread may wait for its answer.
    ///
    /// # Errors
    /// [`record::Error::Full`] at once when the queue is full, else what became of the commit.
    pub async fn record(&self, batch: Batch) -> Result<Written, record::Error> {
        self.shared.store.note_use();
        let (asker, answer) = answers::ask();
        let outcome = match self.queue.try_send(Entry { batch, asker }) {
            Ok(()) => {
                self.shared.gathering.note_queued(&self.queue);
                answer.outcome().await
            }
            Err(mpsc::error::TrySendError::Full(_)) => Err(record::Error::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(record::Error::Unavailable),
        };
        if outcome.is_err() {
            self.shared.shed.fetch_add(1, Ordering::Relaxed);
            self.shared.metrics.shed.inc();
        }
        outcome
    }

    /// Batches that wait for the disk.
    #[must_use]
    pub fn queued(&self) -> usize {
        queued_in(&self.queue)
    }

    /// Bytes of events that wait on this machine's disk for the database.
    #[must_use]
    pub fn spooled(&self) -> u64 {
        self.shared.spooled.load(Ordering::Relaxed)
    }

    /// Damaged files of events that waited on this machine's disk, kept aside: what could not be read of them is lost.
    #[must_use]
    pub fn damaged_files(&self) -> usize {
        self.shared.kept.load(Ordering::Relaxed)
    }

    /// Why events that were acknowledged just now would be lost with the primary; none while they would not.
    #[must_use]
    pub fn why_unprotected(&self) -> Option<&'static str> {
        self.shared.copies().why_unprotected
    }

    /// Batches that were not made durable, since start.
    #[must_use]
    pub fn shed_total(&self) -> u64 {
        self.shared.shed.load(Ordering::Relaxed)
    }

    /// Whether events reach the disk.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts commits; wakes whenever there is something new to see.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }
}

impl Shared {
    fn new(store: Store, registry: &Registry) -> Self {
        Self {
            store,
            health: Mutex::default(),
            shed: AtomicU64::new(0),
            spooled: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            kept: AtomicUsize::new(0),
            errors: AtomicU64::new(0),
            copies: Mutex::default(),
            gathering: Gathering::new(),
            metrics: Metrics {
                committed: registry.counter(&names::RECORDER_COMMITTED),
                shed: registry.counter(&names::RECORDER_SHED),
                commit: registry.histogram(&names::RECORDER_COMMIT),
            },
        }
    }

    fn copies(&self) -> Copies {
        *self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note_spool(&self, bytes: u64, faults: Faults, copies: Copies) {
        *self.copies.lock().unwrap_or_else(PoisonError::into_inner) = copies;
        self.spooled.store(bytes, Ordering::Relaxed);
        self.damaged.store(faults.damaged, Ordering::Relaxed);
        self.kept.store(faults.kept, Ordering::Relaxed);
        self.errors.store(faults.errors, Ordering::Relaxed);
    }

    pub(crate) fn note_commit(&self, batches: usize, took: Duration) {
        self.metrics.committed.add(batches as u64);
        self.metrics.commit.observe_duration(took);
    }
}

/// Somebody waits for batches, until this is dropped.
struct Awaiting<'a>(&'a AtomicUsize);

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.store(NOBODY, Ordering::SeqCst);
    }
}

impl Gathering {
    fn new() -> Self {
        Self { awaited: AtomicUsize::new(NOBODY), complete: Notify::new() }
    }

    /// Wakes who gathers, once, when there is enough.
    fn note_queued(&self, queue: &mpsc::Sender<Entry>) {
        let awaited = self.awaited.load(Ordering::SeqCst);
        if awaited != NOBODY
            && queued_in(queue) >= awaited
            && self.awaited.swap(NOBODY, Ordering::SeqCst) != NOBODY
        {
            self.complete.notify_one();
        }
    }

    /// Until so many batches are queued, or for so long.
    async fn wait(&self, batches: usize, entries: &mpsc::Receiver<Entry>, at_most: Duration) {
        // Too few came: they are not waited for.
        let _late = tokio::time::timeout(at_most, self.queued(batches, entries)).await;
    }

    /// Until so many batches are queued.
    async fn queued(&self, batches: usize, entries: &mpsc::Receiver<Entry>) {
        let _awaiting = Awaiting(&self.awaited);
        loop {
            self.awaited.store(batches, Ordering::SeqCst);
            if entries.len() >= batches {
                return;
            }
            self.complete.notified().await;
        }
    }
}

fn queued_in(queue: &mpsc::Sender<Entry>) -> usize {
    queue.max_capacity() - queue.capacity()
}

#[cfg(test)]
mod tests;
