//! The numbers themselves: counter, gauge and histogram handles over shared atomics. Names and labels live elsewhere.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_base::{Clock, Timestamp};

/// Sums are kept in billionths, so that adding is one atomic instruction; 584 years of seconds fit.
const BILLIONTHS: f64 = 1e9;

/// A number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Adds `by`.
    pub fn add(&self, by: f64) {
        let _previous = self
            .0
            .fetch_update(Relaxed, Relaxed, |bits| Some((f64::from_bits(bits) + by).to_bits()));
    }

    /// Takes `by` away.
    pub fn sub(&self, by: f64) {
        self.add(-by);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// Counts of observations by size.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: Box<[u64]>,
    slots: Box<[Slot]>,
    sum: AtomicU64,
    clock: Clock,
}

/// One bucket: observations up to its bound and above the one before, and one of them as an example.
#[derive(Debug)]
struct Slot {
    count: AtomicU64,
    wants_exemplar: AtomicBool,
    exemplar: Mutex<Option<Exemplar>>,
}

/// One observation that can be looked up by its trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace_id: u128,
    pub(super) value: f64,
    pub(super) at: Timestamp,
}

/// What one bucket held when it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) count: u64,
    pub(super) exemplar: Option<Exemplar>,
}

impl Histogram {
    pub(super) fn new(bounds: &[f64], clock: Clock) -> Self {
        let slot = || Slot {
            count: AtomicU64::new(0),
            wants_exemplar: AtomicBool::new(true),
            exemplar: Mutex::new(None),
        };
        Self(Arc::new(Buckets {
            bounds: bounds.iter().map(|b| billionths(*b)).collect(),
            slots: (0..=bounds.len()).map(|_| slot()).collect(),
            sum: AtomicU64::new(0),
            clock,
        }))
    }

    /// Counts one observation in the metric's unit. Values below zero or not a number are left out.
    pub fn observe(&self, value: f64) {
        if value >= 0.0 {
            self.count(billionths(value));
        }
    }

    /// Counts one observed duration.
    pub fn observe_duration(&self, elapsed: Duration) {
        self.count(nanos(elapsed));
    }

    /// Counts one observation and keeps its trace as the bucket's example.
    ///
    /// A bucket keeps one example between two scrapes, the first; for all others this costs one more load.
    pub fn observe_with_exemplar(&self, value: f64, trace_id: u128) {
        if value >= 0.0 {
            let value = billionths(value);
            self.keep_exemplar(self.count(value), value, trace_id);
        }
    }

    /// Like [`Histogram::observe_with_exemplar`], for a duration.
    pub fn observe_duration_with_exemplar(&self, elapsed: Duration, trace_id: u128) {
        let value = nanos(elapsed);
        self.keep_exemplar(self.count(value), value, trace_id);
    }

    /// Observations so far.
    #[must_use]
    pub fn count_total(&self) -> u64 {
        self.0.slots.iter().map(|slot| slot.count.load(Relaxed)).sum()
    }

    /// The sum of all observations so far.
    #[must_use]
    pub fn sum_total(&self) -> f64 {
        self.0.sum.load(Relaxed) as f64 / BILLIONTHS
    }

    /// Every bucket, `+Inf` last, not cumulated. Afterwards each bucket takes a new example.
    pub(super) fn read_and_rearm(&self) -> impl Iterator<Item = Reading> {
        self.0.slots.iter().map(|slot| {
            let exemplar = slot.exemplar.lock().ok().and_then(|kept| *kept);
            slot.wants_exemplar.store(true, Relaxed);
            Reading { count: slot.count.load(Relaxed), exemplar }
        })
    }

    /// Every bucket, `+Inf` last, not cumulated, without examples.
    pub(super) fn read(&self) -> impl Iterator<Item = Reading> {
        let count = |slot: &Slot| slot.count.load(Relaxed);
        self.0.slots.iter().map(move |slot| Reading { count: count(slot), exemplar: None })
    }

    fn count(&self, value: u64) -> &Slot {
        let buckets = &*self.0;
        let at = buckets.bounds.iter().take_while(|bound| **bound < value).count();
        let slot = &buckets.slots[at];
        slot.count.fetch_add(1, Relaxed);
        buckets.sum.fetch_add(value, Relaxed);
        slot
    }

    fn keep_exemplar(&self, slot: &Slot, value: u64, trace_id: u128) {
        if !slot.wants_exemplar.load(Relaxed) || !slot.wants_exemplar.swap(false, Relaxed) {
            return;
        }
        // Never waits: whoever holds the lock is a scrape or another first observation.
        if let Ok(mut kept) = slot.exemplar.try_lock() {
            let value = value as f64 / BILLIONTHS;
            *kept = Some(Exemplar { trace_id, value, at: self.0.clock.now() });
        }
    }
}

/// Saturating, rounded: 0.1 becomes exactly 100 000 000, so that a value on a bound falls below it.
fn billionths(value: f64) -> u64 {
    (value * BILLIONTHS).round() as u64
}

fn nanos(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}
