//! One upstream as all workers share it, over reloads too: how it stands, what it has in hand. Holds no connection and no address.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::health::{Health, Loss};
use crate::meters::Meters;
use crate::{Error, Fault, Phase, Settings, Status};

/// One upstream.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) authority: Arc<str>,
    pub(crate) health: Health,
    pub(crate) meters: Meters,
    in_flight: AtomicU32,
    tunnels: AtomicU32,
    tried: AtomicBool,
    requests: AtomicU64,
    errors: AtomicU64,
    latency_us: AtomicU64,
}

/// A place among the exchanges of an upstream, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) member: Arc<Member>,
    kind: Kind,
}

/// What a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exchange,
    /// An exchange that finds out whether a failing upstream is back.
    Trial,
    /// A connection that speaks another protocol, for hours maybe. As many as there are clients' connections; they take
    /// no place away from requests.
    Tunnel,
}

impl Member {
    pub(crate) fn new(authority: &str, health: Health, meters: Meters) -> Self {
        Self {
            authority: authority.into(),
            health,
            meters,
            in_flight: AtomicU32::new(0),
            tunnels: AtomicU32::new(0),
            tried: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency_us: AtomicU64::new(0),
        }
    }

    /// Exchanges in hand.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Exchanges and tunnels.
    pub(crate) fn in_hand(&self) -> u32 {
        self.in_flight().saturating_add(self.tunnels.load(Relaxed))
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// How it stands, at this address.
    pub(crate) fn status(&self, url: String, slow_start: Duration) -> Status {
        Status {
            url,
            state: self.health.state(slow_start),
            in_flight: self.in_hand(),
            requests: self.requests(),
            errors: self.errors(),
            latency: self.latency(),
            since: self.health.since(),
        }
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
        Some(Slot { member: Arc::clone(self), kind: Kind::Exchange })
    }

    /// The one place of a trial: whether a failing upstream is back.
    pub(crate) fn try_out(self: &Arc<Self>) -> Option<Slot> {
        if self.tried.swap(true, Relaxed) {
            return None;
        }
        self.in_flight.fetch_add(1, Relaxed);
        Some(Slot { member: Arc::clone(self), kind: Kind::Trial })
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
        let Some(loss) = loss(error) else { return };
        self.errors.fetch_add(1, Relaxed);
        if self.health.lost(loss, settings) {
            let reason = error.outcome();
            tracing::warn!(upstream = %self.authority, reason, "an upstream fails; others are asked first");
        }
    }

    /// Notes a request that was lost with a connection which had served before: its upstream may be in best health.
    pub(crate) fn broke_off(&self, error: &Error) {
        self.requests.fetch_add(1, Relaxed);
        self.errors.fetch_add(1, Relaxed);
        self.meters.failed(error);
    }

    /// Notes a request whose client left before the answer.
    pub(crate) fn given_up(&self) {
        self.requests.fetch_add(1, Relaxed);
        self.meters.given_up();
    }
}

/// What an error says about the upstream, where it says something.
fn loss(error: &Error) -> Option<Loss> {
    match error {
        Error::Connect { .. } | Error::Timeout { phase: Phase::Connect, .. } => {
            Some(Loss::Unreachable)
        }
        _ => (error.fault() == Fault::Upstream).then_some(Loss::Unanswered),
    }
}

impl Slot {
    /// The same place for a connection that left HTTP.
    pub(crate) fn into_tunnel(mut self) -> Self {
        self.give_up();
        self.member.tunnels.fetch_add(1, Relaxed);
        self.kind = Kind::Tunnel;
        self
    }

    fn give_up(&self) {
        match self.kind {
            Kind::Tunnel => {
                self.member.tunnels.fetch_sub(1, Relaxed);
                return;
            }
            Kind::Trial => self.member.tried.store(false, Relaxed),
            Kind::Exchange => {}
        }
        self.member.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.give_up();
    }
}
