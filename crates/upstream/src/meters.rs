//! What is counted of one upstream, resolved ahead. Invents no metric; names live in telemetry.

use std::time::Duration;

use mainstay_telemetry::metrics::{Counter, Histogram, Registry};
use mainstay_telemetry::names;

use crate::Error;

/// How a request to an upstream ended, as a label.
const OUTCOMES: [&str; 8] = [
    "answered",
    "connect_failed",
    "connect_timeout",
    "answer_timeout",
    "closed",
    "bad_answer",
    "request_broken",
    "given_up",
];

/// Handles of one upstream's metrics.
#[derive(Debug)]
pub(crate) struct Meters {
    outcomes: [Counter; OUTCOMES.len()],
    answer: Histogram,
    pub(crate) connections: Counter,
    pub(crate) retries: Counter,
    pub(crate) broken: Counter,
}

/// Requests that reached no upstream at all.
#[derive(Debug)]
pub(crate) struct Refusals {
    none_healthy: Counter,
    busy: Counter,
}

impl Meters {
    pub(crate) fn new(registry: &Registry, site: &str, upstream: &str) -> Self {
        let requests = registry.counter_family(&names::UPSTREAM_REQUESTS);
        let labels = [site, upstream];
        let counter = |metric| registry.counter_family(metric).with(&labels);
        Self {
            outcomes: OUTCOMES.map(|outcome| requests.with(&[site, upstream, outcome])),
            answer: registry.histogram_family(&names::UPSTREAM_ANSWER).with(&labels),
            connections: counter(&names::UPSTREAM_CONNECTIONS),
            retries: counter(&names::UPSTREAM_RETRIES),
            broken: counter(&names::UPSTREAM_BROKEN),
        }
    }

    pub(crate) fn answered(&self, first_byte: Duration) {
        self.count("answered");
        self.answer.observe_duration(first_byte);
    }

    pub(crate) fn failed(&self, error: &Error) {
        self.count(error.outcome());
    }

    /// The client left before the answer.
    pub(crate) fn given_up(&self) {
        self.count("given_up");
    }

    fn count(&self, outcome: &str) {
        let at = OUTCOMES.iter().position(|known| *known == outcome);
        if let Some(counter) = at.and_then(|at| self.outcomes.get(at)) {
            counter.inc();
        }
    }
}

impl Refusals {
    pub(crate) fn new(registry: &Registry, site: &str) -> Self {
        let requests = registry.counter_family(&names::UPSTREAM_REQUESTS);
        Self {
            none_healthy: requests.with(&[site, "none", "none_healthy"]),
            busy: requests.with(&[site, "none", "busy"]),
        }
    }

    pub(crate) fn count(&self, error: &Error) {
        match error {
            Error::NoneHealthy { .. } => self.none_healthy.inc(),
            Error::Busy => self.busy.inc(),
            _ => {}
        }
    }
}
