//! The numbers of this room, their handles resolved once.

use std::time::Duration;

use mainstay_telemetry::metrics::{Counter, CounterFamily, Gauge, Histogram, Registry};
use mainstay_telemetry::names;

/// What a call was for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Get,
    Set,
    Delete,
    Count,
    Lease,
    Publish,
    Invalidate,
}

/// Who answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Store,
    Memory,
    Nobody,
}

const OPERATIONS: [&str; 7] = ["get", "set", "delete", "count", "lease", "publish", "invalidate"];
const GAPS: [&str; 3] = ["sequence", "recovery", "generation"];
const ANSWERS: [&str; 3] = ["store", "memory", "nobody"];

/// Handles of every metric.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    operations: [[Counter; 3]; 7],
    gaps: CounterFamily,
    pub(crate) call: Histogram,
    pub(crate) away: Gauge,
    pub(crate) recoveries: Counter,
    pub(crate) generations: Counter,
    pub(crate) repairs: Counter,
    pub(crate) repeats: Counter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let operations = registry.counter_family(&names::KV_OPERATIONS);
        let gaps = registry.counter_family(&names::KV_GAPS);
        // A gap that never happened is 0, not absent.
        for reason in GAPS {
            drop(gaps.with(&[reason]));
        }
        Self {
            operations: OPERATIONS.map(|name| ANSWERS.map(|by| operations.with(&[name, by]))),
            gaps,
            call: registry.histogram(&names::KV_CALL),
            away: registry.gauge(&names::KV_AWAY),
            recoveries: registry.counter(&names::KV_RECOVERIES),
            generations: registry.counter(&names::KV_GENERATIONS),
            repairs: registry.counter(&names::KV_REPAIRS),
            repeats: registry.counter(&names::KV_REPEATS),
        }
    }

    pub(crate) fn count(&self, operation: Operation, by: Answer) {
        self.operations[operation as usize][by as usize].inc();
    }

    pub(crate) fn gap(&self, reason: &'static str) {
        self.gaps.with(&[reason]).inc();
    }

    pub(crate) fn note_call(&self, took: Duration) {
        self.call.observe_duration(took);
    }
}
