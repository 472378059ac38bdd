//! Leases of what this process has claimed: renewed well before they end, by a task that no handler can keep waiting.
//!
//! # Invariants
//! - A handler whose job is somebody else's, was cancelled or has had its time is told so, whatever thread it blocks.
//! - Of two leases of one job the newer counts: whoever held the older one is told, and nothing said of it meets the newer.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_base::task::Stop;
use mainstay_store::job::{Renewed, ask_after};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::jobs::Jobs;

/// What this process holds, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<HashMap<i64, Lease>>,
    /// Grows when something that has not begun shall not begin any more.
    changes: AtomicU64,
}

#[derive(Clone, Debug)]
struct Lease {
    token: i64,
    queue: i32,
    cancel: CancellationToken,
    begun: bool,
    /// The store knows that it has.
    is_noted: bool,
    /// Nothing of its queue shall begin.
    paused: bool,
    time: Option<Time>,
}

/// Until when a handler has.
#[derive(Clone, Copy, Debug)]
struct Time {
    /// Then it is told.
    over: Instant,
    /// Then its lease is not renewed any more: it does not give way.
    lost: Instant,
}

impl Leases {
    pub(crate) fn hold(&self, queue: i32, (seq, token): (i64, i64)) {
        let cancel = CancellationToken::new();
        let (begun, is_noted, paused, time) = (false, false, false, None);
        let lease = Lease { token, queue, cancel, begun, is_noted, paused, time };
        let older = self.lock().insert(seq, lease);
        if let Some(older) = older {
            older.cancel.cancel();
        }
    }

    /// What ends the handler of a job that is held; None where it shall not begin.
    pub(crate) fn may_begin(&self, (seq, token): (i64, i64)) -> Option<CancellationToken> {
        let held = self.lock();
        let lease = held.get(&seq).filter(|lease| lease.token == token && !lease.paused)?;
        Some(lease.cancel.clone()).filter(|cancel| !cancel.is_cancelled())
    }

    /// Its handler begins, and has so long; a lease later it is lost where it does not give way. False where it shall not.
    pub(crate) fn begin(
        &self,
        (seq, token): (i64, i64),
        over: Option<Instant>,
        lease: Duration,
    ) -> bool {
        let mut held = self.lock();
        let lease_of = held.get_mut(&seq).filter(|lease| lease.token == token && !lease.paused);
        let Some(of) = lease_of.filter(|of| !of.cancel.is_cancelled()) else { return false };
        of.begun = true;
        of.time = over.map(|over| Time { over, lost: over + lease });
        true
    }

    /// Of those that were claimed anew meanwhile, the newer lease stays.
    pub(crate) fn release(&self, jobs: impl Iterator<Item = (i64, i64)>) {
        let mut held = self.lock();
        for (seq, token) in jobs {
            if held.get(&seq).is_some_and(|lease| lease.token == token) {
                held.remove(&seq);
            }
        }
    }

    /// Tells all handlers that nobody waits for them any more.
    pub(crate) fn stop_all(&self) {
        self.lock().values().for_each(|lease| lease.cancel.cancel());
    }

    /// Tells the handler of that lease that nobody waits for it any more; nobody where the lease is another by now.
    pub(crate) fn cancel(&self, (seq, token): (i64, i64)) {
        self.end(seq, |lease| lease.token == token);
    }

    /// The same, whichever lease it is.
    pub(crate) fn cancel_job(&self, seq: i64) {
        self.end(seq, |_| true);
    }

    /// Lets nothing of the queue begin that was claimed ahead.
    pub(crate) fn pause(&self, queue: i32) {
        let mut held = self.lock();
        let ahead = held.values_mut().filter(|lease| lease.queue == queue && !lease.begun);
        ahead.for_each(|lease| lease.paused = true);
        drop(held);
        self.note_change();
    }

    /// How often something that has not begun was told not to.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    fn note_change(&self) {
        self.0.changes.fetch_add(1, Ordering::Release);
    }

    fn end(&self, seq: i64, is_it: impl Fn(&Lease) -> bool) {
        let lease = self.lock().get(&seq).filter(|lease| is_it(lease)).cloned();
        if let Some(lease) = lease {
            lease.cancel.cancel();
            if !lease.begun {
                self.note_change();
            }
        }
    }

    fn note_paused(&self, (seq, token): (i64, i64)) {
        let mut held = self.lock();
        let ahead = held.get_mut(&seq).filter(|lease| lease.token == token && !lease.begun);
        if let Some(lease) = ahead {
            lease.paused = true;
            drop(held);
            self.note_change();
        }
    }

    /// What is to be renewed; tells those whose time is over.
    fn list(&self, now: Instant) -> Vec<(i64, i64, bool)> {
        let held = self.lock();
        let over = |lease: &&Lease| lease.time.is_some_and(|time| time.over <= now);
        held.values().filter(over).for_each(|lease| lease.cancel.cancel());
        let held = held.iter().filter(|(_, lease)| lease.time.is_none_or(|time| now < time.lost));
        held.map(|(seq, lease)| (*seq, lease.token, lease.begun)).collect()
    }

    /// Whether the store is to be told that something has begun: whoever is lost from now on has stalled.
    fn has_unnoted(&self) -> bool {
        self.lock().values().any(|lease| lease.begun && !lease.is_noted)
    }

    fn note_begun(&self, held: &[(i64, i64, bool)]) {
        let mut leases = self.lock();
        for (seq, token, _) in held.iter().filter(|(.., begun)| *begun) {
            if let Some(lease) = leases.get_mut(seq).filter(|lease| lease.token == *token) {
                lease.is_noted = true;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Lease>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renews until the hard stop: those who finish keep what they have until they are done. Twice within a lease it writes; in
/// between it only asks whether somebody was told to end.
pub(crate) async fn run(jobs: Jobs, stop: Stop) -> Result<(), Infallible> {
    let (leases, queue) = (&jobs.0.leases, &jobs.0.queue);
    let (lease, every) = (jobs.0.settings.lease.0, jobs.0.settings.renew_every());
    let mut renewed_at = Instant::now();
    // What came since then has a lease that is younger.
    let margin = every.mul_f32(1.5);
    loop {
        tokio::select! {
            () = stop.hard() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        let held = leases.list(Instant::now());
        if stop.is_soft() && held.is_empty() {
            return Ok(());
        }
        if held.is_empty() {
            renewed_at = Instant::now();
            continue;
        }
        let is_time = renewed_at.elapsed() + margin >= lease / 2;
        let writes = is_time || leases.has_unnoted();
        let asked = async {
            if writes {
                queue.renew(&held, lease).await.ok()
            } else {
                let held: Vec<_> = held.iter().map(|(seq, token, _)| (*seq, *token)).collect();
                ask_after(jobs.db(), &held).await.ok()
            }
        };
        // Told by whoever writes; what is not renewed now is renewed by the next round, or lost.
        let told = tokio::select! {
            () = stop.hard() => return Ok(()),
            told = asked => told,
        };
        let Some(told) = told else { continue };
        if writes {
            renewed_at = Instant::now();
            leases.note_begun(&held);
        }
        let before = leases.changes();
        for ((seq, token, _), renewed) in held.into_iter().zip(told) {
            match renewed {
                Renewed::Held => {}
                Renewed::Paused => leases.note_paused((seq, token)),
                Renewed::Cancelled | Renewed::Lost => leases.cancel((seq, token)),
            }
        }
        if leases.changes() != before {
            queue.wake_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    #[test]
    fn what_is_said_of_an_older_lease_does_not_meet_the_newer() {
        let leases = Leases::default();
        leases.hold(1, (7, 1));
        let first = leases.may_begin((7, 1)).expect("held");
        leases.hold(1, (7, 2));
        assert!(first.is_cancelled(), "the older one goes on");
        let second = leases.may_begin((7, 2)).expect("held");
        leases.cancel((7, 1));
        leases.release(std::iter::once((7, 1)));
        assert!(!second.is_cancelled() && leases.begin((7, 2), None, LEASE));
        assert!(!leases.begin((7, 1), None, LEASE) && leases.may_begin((7, 1)).is_none());
        leases.cancel((7, 2));
        assert!(second.is_cancelled() && !leases.begin((7, 2), None, LEASE));
    }

    #[test]
    fn whose_time_is_over_is_told_and_a_lease_later_lost() {
        let (leases, now) = (Leases::default(), Instant::now());
        leases.hold(1, (7, 1));
        assert_eq!(leases.list(now), [(7, 1, false)]);
        let cancel = leases.may_begin((7, 1)).expect("held");
        let over = now + Duration::from_secs(5);
        assert!(leases.begin((7, 1), Some(over), LEASE));
        assert_eq!((leases.list(now), cancel.is_cancelled()), (vec![(7, 1, true)], false));
        assert_eq!((leases.list(over), cancel.is_cancelled()), (vec![(7, 1, true)], true));
        assert_eq!(leases.list(over + LEASE), []);
    }

    #[test]
    fn a_pause_is_for_what_has_not_begun() {
        let leases = Leases::default();
        for (queue, seq) in [(1, 1), (1, 2), (2, 3)] {
            leases.hold(queue, (seq, 1));
        }
        assert!(leases.begin((1, 1), None, LEASE));
        let before = leases.changes();
        leases.pause(1);
        assert!(leases.changes() > before);
        let may = [1, 2, 3].map(|seq| leases.may_begin((seq, 1)).is_some());
        assert_eq!(may, [true, false, true]);
        assert!(!leases.begin((2, 1), None, LEASE));
    }
}
