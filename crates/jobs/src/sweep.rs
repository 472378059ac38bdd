//! Looking, for all queues together: for what others added, for leases that ran out, for finished jobs to be forgotten.
//!
//! # Invariants
//! - Whoever is idle asks one question per look, whatever the number of queues.
//! - A database that is let sleep is not looked at; what this process knows to be due begins all the same.

use std::convert::Infallible;
use std::time::Duration;

use mainstay_base::task::Stop;
use mainstay_base::{Clock, Timestamp};
use mainstay_store::job::look;
use tokio::time::Instant;

use crate::jobs::Jobs;

/// No two looks are closer than this.
const LEAST: Duration = Duration::from_millis(10);

/// Looks now and then. After a time in which nobody could renew (the store was away, the clock was set, the machine slept)
/// nobody is judged for a lease: who is there says so first.
pub(crate) async fn look_now_and_then(jobs: Jobs, stop: Stop) -> Result<(), Infallible> {
    let settings = &jobs.0.settings;
    let poll = settings.poll_every.0.max(LEAST);
    let sweep = settings.sweep.0.max(LEAST);
    let mut quiet = Quiet::new(jobs.0.context.clock.clone(), settings.lease.0);
    let begun = Instant::now();
    let (mut look_at, mut sweep_at) = (begun + poll, begun + sweep);
    loop {
        let rest = look_at.min(sweep_at).saturating_duration_since(Instant::now());
        if !stop.rested(rest.max(LEAST)).await {
            return Ok(());
        }
        let now = Instant::now();
        let tends = now >= sweep_at;
        if tends {
            sweep_at = now + sweep;
        }
        look_at = now + poll;
        let (store, keep) = (&jobs.0.context.store, &jobs.0.settings.keep());
        if !store.is_awake() {
            continue;
        }
        // Looked at also where it is not used: it must not see a jump in what it slept through.
        let may_sweep = quiet.may_sweep();
        let Ok(seen) = look(jobs.db(), jobs.0.context.clock.now(), (tends, keep)).await else {
            // Told by whoever needs the store.
            quiet.wait();
            continue;
        };
        for (queue, due) in seen.due {
            if due.is_zero() {
                jobs.0.queue.wake(queue);
            } else {
                look_at = look_at.min(now + due);
            }
        }
        if seen.is_to_be_tended && may_sweep {
            tend(&jobs, &mut quiet, &stop).await;
        }
    }
}

async fn tend(jobs: &Jobs, quiet: &mut Quiet, stop: &Stop) {
    loop {
        // Told by whoever writes; the next round tries again.
        let Ok(tended) = jobs.0.queue.tend().await else { return quiet.wait() };
        if tended.stalled + tended.buried > 0 {
            let (again, buried) = (tended.stalled, tended.buried);
            tracing::warn!(again, buried, "jobs whose worker was not heard of again");
        }
        if stop.is_soft() || !tended.is_unfinished() {
            return;
        }
    }
}

/// When leases may be judged.
pub(crate) struct Quiet {
    clock: Clock,
    lease: Duration,
    seen: (Instant, Timestamp),
    not_before: Instant,
}

impl Quiet {
    pub(crate) fn new(clock: Clock, lease: Duration) -> Self {
        let (now, time) = (Instant::now(), clock.now());
        Self { clock, lease, seen: (now, time), not_before: now }
    }

    /// For a lease nobody is judged.
    pub(crate) fn wait(&mut self) {
        self.not_before = Instant::now() + self.lease;
    }

    /// Looks at the clock, too: leases of a file are as long as it says.
    pub(crate) fn may_sweep(&mut self) -> bool {
        let (now, time) = (Instant::now(), self.clock.now());
        let (then, before) = std::mem::replace(&mut self.seen, (now, time));
        let passed = i64::try_from((now - then).as_micros()).unwrap_or(i64::MAX);
        let jumped = time.as_micros().saturating_sub(before.as_micros()).saturating_sub(passed);
        let part = i64::try_from(self.lease.as_micros() / 4).unwrap_or(i64::MAX);
        if jumped > part {
            tracing::warn!("the clock was set forward; jobs keep their workers for another lease");
            self.wait();
        }
        now >= self.not_before
    }
}
