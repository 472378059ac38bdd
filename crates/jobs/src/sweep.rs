//! Leases that ran out are looked for, and finished jobs forgotten, now and then.

use std::convert::Infallible;
use std::time::Duration;

use mainstay_base::task::Stop;
use mainstay_base::{Clock, Timestamp};
use tokio::time::Instant;

use crate::jobs::Jobs;

/// Looks for leases that ran out and for what is to be forgotten, now and then. After a time in which nobody could renew
/// (the store was away, the clock was set, the machine slept) it waits for a lease: who is there says so first.
pub(crate) async fn sweep(jobs: Jobs, stop: Stop) -> Result<(), Infallible> {
    let (every, lease) = (jobs.0.settings.sweep_every.0, jobs.0.settings.lease.0);
    let mut quiet = Quiet::new(jobs.0.context.clock.clone(), lease);
    while stop.rested(every.max(Duration::from_millis(10))).await {
        if !quiet.may_sweep() {
            continue;
        }
        loop {
            // Told by whoever writes; the next round tries again.
            let Ok(tended) = jobs.0.queue.tend().await else {
                quiet.wait();
                break;
            };
            if tended.stalled + tended.buried > 0 {
                let (again, buried) = (tended.stalled, tended.buried);
                tracing::warn!(again, buried, "jobs whose worker was not heard of again");
            }
            if stop.is_soft() || !tended.is_unfinished() {
                break;
            }
        }
    }
    Ok(())
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
