//! One upstream as all workers share it, over reloads too: how it stands, what it has in hand. Holds no connection and no address.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::health::Health;
use crate::meters::Meters;
use crate::{Error, Fault, Settings};

/// One upstream.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) authority: Arc<str>,
    pub(crate) health: Health,
    pub(crate) meters: Meters,
    in_flight: AtomicU32,
    tried: AtomicBool,
    requests: AtomicU64,
    errors: AtomicU64,
    latency_us: AtomicU64,
}

/// A place among the exchanges of an upstream, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) member: Arc<Member>,
    is_trial: bool,
}

impl Member {
    pub(crate) fn new(authority: &str, health: Health, meters: Meters) -> Self {
        Self {
            authority: authority.into(),
            health,
            meters,
            in_flight: AtomicU32::new(0),
            tried: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency_us: AtomicU64::new(0),
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// A running mean of the time to the head of an answer.
    pub(crate) fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_us.load(Relaxed))
    }

    /// A place, if there is one.
    pub(crate) fn occupy(self: &Arc<Self>, max: u32) -> Option<Slot> {
        if self.in_flight.fetch_add(1, Relaxed) >= max {
            self.in_flight.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Slot { member: Arc::clone(self), is_trial: false })
    }

    /// The one place of a trial: whether a failing upstream is back.
    pub(crate) fn try_out(self: &Arc<Self>) -> Option<Slot> {
        if self.tried.swap(true, Relaxed) {
            return None;
        }
        self.in_flight.fetch_add(1, Relaxed);
        Some(Slot { member: Arc::clone(self), is_trial: true })
    }

    pub(crate) fn answered(&self, first_byte: Duration, settings: &Settings) {
        self.requests.fetch_add(1, Relaxed);
        self.meters.answered(first_byte);
        self.health.answered(settings);
        let took = u64::try_from(first_byte.as_micros()).unwrap_or(u64::MAX);
        let mean = self.latency_us.load(Relaxed);
        // An eighth of each new one; exactness under contention is not needed.
        let next = if mean == 0 { took } else { mean - mean / 8 + took / 8 };
        self.latency_us.store(next, Relaxed);
    }

    /// Notes a request without an answer.
    pub(crate) fn failed(&self, error: &Error, settings: &Settings) {
        self.requests.fetch_add(1, Relaxed);
        self.meters.failed(error);
        if error.fault() != Fault::Upstream {
            return;
        }
        self.errors.fetch_add(1, Relaxed);
        if self.health.lost(settings) {
            let reason = error.outcome();
            tracing::warn!(upstream = %self.authority, reason, "an upstream fails; requests go elsewhere");
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.member.in_flight.fetch_sub(1, Relaxed);
        if self.is_trial {
            self.member.tried.store(false, Relaxed);
        }
    }
}
