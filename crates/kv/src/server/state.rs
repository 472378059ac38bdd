//! Whether the store is used or memory answers, and what memory knows better. Every switch is made under one lock, so that no change falls in between.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mainstay_base::{Clock, Timestamp};
use tokio::sync::{Notify, watch};

use super::failure::Failure;
use super::link::Link;
use crate::Settings;
use crate::local::Local;
use crate::metrics::Metrics;

mod repairs;

pub(super) use repairs::Before;
use repairs::Begun;

/// How long replicas are left alone after one did not answer.
const REPLICAS_REST: Duration = Duration::from_secs(1);

/// The state.
#[derive(Debug)]
pub(super) struct State {
    pub(super) memory: Arc<Local>,
    /// Wakes the keeper: the store went away, or keys wait to be repaired.
    pub(super) wake: Notify,
    inner: Mutex<Inner>,
    ready: watch::Sender<bool>,
    clock: Clock,
    metrics: Metrics,
    failures_max: u32,
    failure_window: Duration,
    repairs_max: usize,
    replica_reads: bool,
}

#[derive(Debug)]
struct Inner {
    /// None while the store is away.
    link: Option<Link>,
    /// Counts links, so that what an old one did says nothing of the new.
    epoch: u64,
    generation: u64,
    /// Changes were made that the store does not know: its values are of no use when it is back.
    is_dirty: bool,
    /// It returns with a new generation.
    is_renewing: bool,
    /// Keys whose write failed. They are read from memory until the store forgot them.
    repairs: HashMap<String, Broken>,
    writes: u64,
    begun: Begun,
    /// Channels of which others may have missed a message.
    unheard: HashSet<String>,
    failures: u32,
    first_failure: Instant,
    /// Counts the spans of time in which failures are added up.
    window: u64,
    replicas_from: Instant,
    since: Timestamp,
    reason: String,
    /// That the user may not do something was told, since the store was last away.
    is_refusal_told: bool,
}

/// The store as it was when a call began.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) link: Link,
    pub(super) generation: u64,
    epoch: u64,
}

/// Where a failure was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    epoch: u64,
    window: u64,
}

/// A key whose write failed.
#[derive(Clone, Copy, Debug)]
struct Broken {
    /// The number of that write, or of a repair that failed: of either it is not known when the store does it.
    write: u64,
    /// Its deletion is on the way: what is written now may be met by it.
    is_in_repair: bool,
}

/// A key to be deleted in the store.
#[derive(Clone, Debug)]
pub(super) struct Repair {
    pub(super) key: String,
    write: u64,
}

impl State {
    pub(super) fn new(
        settings: &Settings,
        clock: Clock,
        memory: Arc<Local>,
        metrics: Metrics,
    ) -> Self {
        let now = Instant::now();
        metrics.away.set(1.0);
        let inner = Inner {
            link: None,
            epoch: 0,
            generation: 0,
            is_refusal_told: false,
            is_dirty: false,
            is_renewing: false,
            repairs: HashMap::new(),
            writes: 0,
            begun: Begun::new(),
            unheard: HashSet::new(),
            failures: 0,
            first_failure: now,
            window: 0,
            replicas_from: now,
            since: clock.now(),
            reason: "not connected yet".to_owned(),
        };
        Self {
            memory,
            wake: Notify::new(),
            inner: Mutex::new(inner),
            ready: watch::Sender::new(false),
            clock,
            metrics,
            failures_max: settings.failures_max.max(1),
            failure_window: settings.failure_window.0,
            repairs_max: settings.repairs_max as usize,
            replica_reads: settings.replica_reads,
        }
    }

    /// Waits until the store is used.
    pub(super) async fn ready(&self) {
        // The sender lives as long as this.
        drop(self.ready.subscribe().wait_for(|ready| *ready).await);
    }

    /// The store, if it is used.
    pub(super) fn handle(&self) -> Option<Handle> {
        self.lock().handle()
    }

    /// The store, if a key shall be read from it.
    pub(super) fn for_read(&self, key: &str) -> Option<Handle> {
        let inner = self.lock();
        if inner.repairs.contains_key(key) { None } else { inner.handle() }
    }

    /// The store, if keys shall be read from it, and of each key whether memory knows it better.
    pub(super) fn for_reads(&self, keys: &[&str]) -> Option<(Handle, Vec<bool>)> {
        let inner = self.lock();
        let here = keys.iter().map(|key| inner.repairs.contains_key(*key));
        Some((inner.handle()?, here.collect()))
    }

    /// The store, if a key may be written there, with what is known of its failed writes by now; else makes the change here.
    pub(super) fn for_write_of(&self, key: &str, here: &impl Fn()) -> Option<(Handle, Before)> {
        let mut inner = self.lock();
        let Some(handle) = inner.handle() else {
            inner.is_dirty = true;
            here();
            return None;
        };
        let before = inner.repairs.get(key).copied();
        if before.is_some_and(|broken| broken.is_in_repair) {
            here();
            inner.note_broken(key);
            return None;
        }
        let begun = inner.begun.count(key);
        Some((handle, Before { write: before.map(|broken| broken.write), begun }))
    }

    /// The store, if it is used; else makes the change here.
    pub(super) fn for_write(&self, here: &impl Fn()) -> Option<Handle> {
        let mut inner = self.lock();
        let handle = inner.handle();
        if handle.is_none() {
            inner.is_dirty = true;
            here();
        }
        handle
    }

    /// All that was meant was deleted in the store: so it is in memory.
    pub(super) fn note_scanned(&self, here: &impl Fn()) {
        let _inner = self.lock();
        here();
    }

    /// Nobody knows what the store has: the key is read from memory until the store forgot it.
    pub(super) fn note_unwritten(&self, key: &str, here: &impl Fn()) {
        let mut inner = self.lock();
        here();
        if inner.link.is_none() {
            inner.is_dirty = true;
        } else if inner.repairs.len() < self.repairs_max || inner.repairs.contains_key(key) {
            inner.note_broken(key);
            self.wake.notify_one();
        } else {
            self.leave(&mut inner, "too many writes failed");
        }
    }

    /// Others may have missed a message: they are told of a gap as soon as the store answers.
    pub(super) fn note_unheard(&self, channel: &str, here: &impl Fn()) {
        let mut inner = self.lock();
        here();
        if inner.link.is_none() {
            inner.is_dirty = true;
        } else if inner.unheard.len() < self.repairs_max {
            inner.unheard.insert(channel.to_owned());
            self.wake.notify_one();
        } else {
            inner.is_dirty = true;
            self.leave(&mut inner, "too many messages failed");
        }
    }

    /// The channels of which others may have missed a message; they are forgotten here.
    pub(super) fn take_unheard(&self) -> Vec<String> {
        self.lock().unheard.drain().collect()
    }

    /// A change that others may have missed: only a new generation tells them.
    pub(super) fn note_missed(&self, here: &impl Fn(), reason: &str) {
        let mut inner = self.lock();
        here();
        inner.is_dirty = true;
        if inner.link.is_some() {
            self.leave(&mut inner, &format!("a change was made by half: {reason}"));
        }
    }

    /// Counts a failure that says that the store is away; where it was counted.
    pub(super) fn note_failure(&self, handle: &Handle, failure: &Failure) -> Option<Counted> {
        let mut inner = self.lock();
        if !failure.is_outage {
            // Nothing else would tell: calls are answered from memory, and Redis is there.
            if failure.is_forbidden && !std::mem::replace(&mut inner.is_refusal_told, true) {
                let reason = failure.reason.as_str();
                tracing::warn!(reason, "Redis refuses what its user may not do");
            } else {
                tracing::debug!(reason = failure.reason, "Redis refused a call");
            }
            return None;
        }
        if inner.epoch != handle.epoch || inner.link.is_none() {
            return None;
        }
        if inner.first_failure.elapsed() > self.failure_window {
            inner.failures = 0;
            inner.first_failure = Instant::now();
            inner.window += 1;
        }
        inner.failures += 1;
        let counted = Counted { epoch: inner.epoch, window: inner.window };
        if failure.is_final || inner.failures >= self.failures_max {
            self.leave(&mut inner, &failure.reason);
        }
        Some(counted)
    }

    /// A failure that was counted was none: there is an answer after all. Those that are counted now may be others.
    pub(super) fn forgive(&self, counted: Counted) {
        let mut inner = self.lock();
        if inner.epoch == counted.epoch && inner.window == counted.window {
            inner.failures = inner.failures.saturating_sub(1);
        }
    }

    /// From now on memory answers. Of values it has those alone that it knows better.
    fn leave(&self, inner: &mut Inner, reason: &str) {
        inner.is_dirty |= !inner.repairs.is_empty() || !inner.unheard.is_empty();
        inner.link = None;
        inner.failures = 0;
        inner.since = self.clock.now();
        reason.clone_into(&mut inner.reason);
        self.metrics.away.set(1.0);
        self.ready.send_replace(false);
        self.wake.notify_one();
        tracing::warn!(reason, "Redis is away; memory answers until it is back");
    }

    /// Notes why the store is still away.
    pub(super) fn note_trial(&self, reason: String) {
        let mut inner = self.lock();
        if inner.reason != reason {
            tracing::warn!(reason, "Redis is away");
            inner.reason = reason;
        }
    }

    /// The generation known here, and whether a new one is needed. What changes from now on needs another.
    pub(super) fn begin_return(&self) -> (u64, bool) {
        let mut inner = self.lock();
        inner.is_renewing = std::mem::take(&mut inner.is_dirty);
        (inner.generation, inner.is_renewing)
    }

    /// A return that failed: what it took on is still to be done.
    pub(super) fn end_return(&self, is_dirty: bool) {
        let mut inner = self.lock();
        inner.is_dirty |= is_dirty;
        inner.is_renewing = false;
    }

    /// Uses the store again; false when something was changed meanwhile, which needs a newer generation.
    pub(super) fn finish_return(&self, link: &Link, generation: u64) -> bool {
        let mut inner = self.lock();
        inner.generation = generation;
        inner.is_renewing = false;
        if inner.is_dirty {
            return false;
        }
        inner.repairs.clear();
        inner.unheard.clear();
        self.memory.forget();
        inner.link = Some(link.clone());
        inner.epoch += 1;
        inner.failures = 0;
        inner.is_refusal_told = false;
        self.metrics.away.set(0.0);
        self.metrics.recoveries.inc();
        self.ready.send_replace(true);
        tracing::info!(generation, "Redis is used");
        true
    }

    /// Takes a generation that another process began; false when it is known.
    pub(super) fn adopt(&self, generation: u64) -> bool {
        let mut inner = self.lock();
        let is_news = inner.link.is_some() && generation > inner.generation;
        if is_news {
            inner.generation = generation;
        }
        is_news
    }

    /// Since when and why the store is away; none while it is used.
    pub(super) fn away(&self) -> Option<(Timestamp, String)> {
        let inner = self.lock();
        inner.link.is_none().then(|| (inner.since, inner.reason.clone()))
    }

    pub(super) fn may_ask_replicas(&self) -> bool {
        self.replica_reads && self.lock().replicas_from <= Instant::now()
    }

    pub(super) fn rest_replicas(&self) {
        let now = Instant::now();
        self.lock().replicas_from = now.checked_add(REPLICAS_REST).unwrap_or(now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Of a write nobody knows what became: it gets a number, by which a later look knows it again.
    fn note_broken(&mut self, key: &str) {
        self.writes += 1;
        let write = self.writes;
        match self.repairs.get_mut(key) {
            Some(broken) => broken.write = write,
            None => {
                let broken = Broken { write, is_in_repair: false };
                self.repairs.insert(key.to_owned(), broken);
            }
        }
    }

    fn handle(&self) -> Option<Handle> {
        let link = self.link.clone()?;
        Some(Handle { link, generation: self.generation, epoch: self.epoch })
    }
}

#[cfg(test)]
mod tests;
