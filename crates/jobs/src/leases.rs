//! Leases of what this process has claimed: renewed well before they end, by a task that no handler can keep waiting.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_base::task::Stop;
use mainstay_store::job::Renewed;
use mainstay_store::queue::Queue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What this process holds, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases(Arc<Mutex<HashMap<i64, Lease>>>);

#[derive(Clone, Debug)]
struct Lease {
    token: i64,
    cancel: CancellationToken,
    begun: bool,
    /// From then on it is not renewed: its handler does not give way though its time is long over.
    until: Option<Instant>,
}

impl Leases {
    pub(crate) fn hold(&self, seq: i64, token: i64) {
        self.lock().insert(
            seq,
            Lease { token, cancel: CancellationToken::new(), begun: false, until: None },
        );
    }

    /// What ends the handler of a job that is held.
    pub(crate) fn token_of(&self, seq: i64, token: i64) -> Option<CancellationToken> {
        let held = self.lock();
        held.get(&seq).filter(|lease| lease.token == token).map(|lease| lease.cancel.clone())
    }

    /// Its handler begins, and has so long.
    pub(crate) fn note_begun(&self, seq: i64, until: Option<Instant>) {
        if let Some(lease) = self.lock().get_mut(&seq) {
            (lease.begun, lease.until) = (true, until);
        }
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

    /// Tells its handler that nobody waits for it any more.
    pub(crate) fn cancel(&self, seq: i64) {
        let lease = self.lock().get(&seq).map(|lease| lease.cancel.clone());
        if let Some(cancel) = lease {
            cancel.cancel();
        }
    }

    fn list(&self, now: Instant) -> Vec<(i64, i64, bool)> {
        let held = self.lock();
        let held = held.iter().filter(|(_, lease)| lease.until.is_none_or(|until| now < until));
        held.map(|(seq, lease)| (*seq, lease.token, lease.begun)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renews until the hard stop: those who finish keep what they have until they are done.
pub(crate) async fn run(
    leases: Leases,
    queue: Queue,
    (lease, every): (Duration, Duration),
    stop: Stop,
) -> Result<(), Infallible> {
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
            continue;
        }
        // Told by whoever writes; what is not renewed now is renewed by the next round, or lost.
        let Ok(renewed) = queue.renew(&held, lease).await else { continue };
        for ((seq, ..), renewed) in held.into_iter().zip(renewed) {
            if renewed != Renewed::Held {
                leases.cancel(seq);
            }
        }
    }
}
