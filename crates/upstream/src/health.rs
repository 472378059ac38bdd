//! Whether one upstream is asked: healthy, failing, draining; counted in atomics all workers share. Sends nothing.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mainstay_base::{Clock, Timestamp};
use tokio::time::Instant;

use crate::Settings;

/// The share a recovered upstream begins with, in thousandths of the full one.
const FIRST_SHARE: u64 = 100;
const FULL_SHARE: u64 = 1_000;

/// How an upstream stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked.
    Healthy,
    /// Asked with a growing share.
    Starting,
    /// Not asked while another is healthy. When none is, it gets single trials; or all requests, where it takes connections.
    Failing,
    /// Finishes what it has in hand, gets nothing new.
    Draining,
}

/// What a bad check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No answer.
    Silent,
    /// An error: the app itself says no.
    Refusing,
}

/// How a request was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// No connection.
    Unreachable,
    /// A connection, and no answer on it: of this request, which may be one that no app could answer.
    Unanswered,
}

#[derive(Debug)]
pub(crate) struct Health {
    began: Instant,
    clock: Clock,
    failing: AtomicBool,
    draining: AtomicBool,
    refusing: AtomicBool,
    /// It fell by requests that it took and did not answer.
    takes_requests: AtomicBool,
    /// Requests lost in a row.
    lost: AtomicU32,
    /// Bad checks in a row. Counted apart: an app may answer requests and say by its check that it is about to leave.
    bad_checks: AtomicU32,
    /// Good checks in a row while failing.
    good_checks: AtomicU32,
    /// Milliseconds after `began` at which slow start began; 0: it is over, or never was.
    started_ms: AtomicU64,
    since: Mutex<Timestamp>,
}

impl Health {
    pub(crate) fn new(clock: Clock) -> Self {
        let since = Mutex::new(clock.now());
        Self {
            began: Instant::now(),
            clock,
            failing: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            takes_requests: AtomicBool::new(false),
            lost: AtomicU32::new(0),
            bad_checks: AtomicU32::new(0),
            good_checks: AtomicU32::new(0),
            started_ms: AtomicU64::new(0),
            since,
        }
    }

    /// Whether it is asked like any other.
    pub(crate) fn is_asked(&self) -> bool {
        !self.failing.load(Relaxed)
    }

    /// Whether a single request may find out if it is back. Not when the app itself said that it is not.
    pub(crate) fn may_be_tried(&self) -> bool {
        self.failing.load(Relaxed) && !self.refusing.load(Relaxed)
    }

    /// Whether it is asked like any other where all fail. Somebody who asks for a path that hangs or breaks must not take
    /// the site away from everybody else (nginx ignores `max_fails` in a group of one for this reason).
    pub(crate) fn is_asked_last(&self) -> bool {
        self.may_be_tried() && self.takes_requests.load(Relaxed)
    }

    /// Whether it is in no list any more that a new request chooses from. Requests that chose from an older list may still
    /// come: this says nothing about them.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Its share of requests in thousandths: full, but while it starts slowly.
    pub(crate) fn share(&self, slow_start: Duration) -> u64 {
        let started = self.started_ms.load(Relaxed);
        if started == 0 {
            return FULL_SHARE;
        }
        let passed = self.now_ms().saturating_sub(started);
        let whole = u64::try_from(slow_start.as_millis()).unwrap_or(u64::MAX).max(1);
        if passed >= whole {
            self.started_ms.store(0, Relaxed);
            return FULL_SHARE;
        }
        (FULL_SHARE.saturating_mul(passed) / whole).max(FIRST_SHARE)
    }

    /// A request was answered: it is there, unless its checks say otherwise.
    pub(crate) fn answered(&self, settings: &Settings) {
        if self.lost.load(Relaxed) != 0 {
            self.lost.store(0, Relaxed);
        }
        if self.failing.load(Relaxed) && !self.refusing.load(Relaxed) {
            self.recover(settings);
        }
    }

    /// A request got no answer. Returns whether this brought it down.
    pub(crate) fn lost(&self, loss: Loss, settings: &Settings) -> bool {
        self.good_checks.store(0, Relaxed);
        let fell = self.lost.fetch_add(1, Relaxed) + 1 >= settings.fail_after.max(1) && self.fall();
        if fell || loss == Loss::Unreachable {
            self.takes_requests.store(loss == Loss::Unanswered, Relaxed);
        }
        fell
    }

    /// A check was good.
    pub(crate) fn checked_good(&self, settings: &Settings) {
        self.bad_checks.store(0, Relaxed);
        if !self.failing.load(Relaxed) {
            return;
        }
        if self.good_checks.fetch_add(1, Relaxed) + 1 >= settings.recover_after {
            self.recover(settings);
        }
    }

    /// A check was bad. Returns whether this brought it down.
    pub(crate) fn checked_bad(&self, failure: Failure, settings: &Settings) -> bool {
        self.good_checks.store(0, Relaxed);
        if self.bad_checks.fetch_add(1, Relaxed) + 1 < settings.fail_after.max(1) {
            return false;
        }
        self.refusing.store(failure == Failure::Refusing, Relaxed);
        self.takes_requests.store(false, Relaxed);
        self.fall()
    }

    /// No list in force names it.
    pub(crate) fn drain(&self) {
        if !self.draining.swap(true, Relaxed) {
            self.note_change();
        }
    }

    /// Begins with a small share.
    pub(crate) fn start_slowly(&self, settings: &Settings) {
        if !settings.slow_start.0.is_zero() {
            self.started_ms.store(self.now_ms().max(1), Relaxed);
        }
    }

    /// How it stands.
    pub(crate) fn state(&self, slow_start: Duration) -> State {
        if self.draining.load(Relaxed) {
            State::Draining
        } else if self.failing.load(Relaxed) {
            State::Failing
        } else if self.share(slow_start) < FULL_SHARE {
            State::Starting
        } else {
            State::Healthy
        }
    }

    /// Since when it stands so.
    pub(crate) fn since(&self) -> Timestamp {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recover(&self, settings: &Settings) {
        self.lost.store(0, Relaxed);
        self.good_checks.store(0, Relaxed);
        self.refusing.store(false, Relaxed);
        self.start_slowly(settings);
        if self.failing.swap(false, Relaxed) {
            self.note_change();
        }
    }

    fn fall(&self) -> bool {
        let fell = !self.failing.swap(true, Relaxed);
        if fell {
            self.note_change();
        }
        fell
    }

    fn note_change(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
