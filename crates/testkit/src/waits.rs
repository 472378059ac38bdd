//! How long calls wait, beside what the machine itself was late by. Nobody else's tasks may run on the caller's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A timer in the call's own task: what holds up its thread holds up the timer as well.
const TICK: Duration = Duration::from_millis(2);
/// The runtime's timers are whole milliseconds and end up to two later: that is nobody's delay.
const USUAL: Duration = Duration::from_millis(4);

/// The longest wait for an answer. What the machine was late by meanwhile is no part of it, what the call itself held up is.
#[derive(Clone, Debug, Default)]
pub struct Waits(Arc<AtomicU64>);

impl Waits {
    /// Makes a call.
    pub async fn time<T>(&self, call: impl Future<Output = T>) -> T {
        let (began, mut late) = (Instant::now(), Duration::ZERO);
        let mut call = std::pin::pin!(call);
        let answer = loop {
            let (tick, mut held) = (Instant::now(), Duration::ZERO);
            let polled = std::future::poll_fn(|context| {
                let began = Instant::now();
                let outcome = call.as_mut().poll(context);
                held += began.elapsed();
                outcome
            });
            let answer = tokio::select! {
                biased;
                // No wait for an event: how late it ends is what is measured.
                () = tokio::time::sleep(TICK) => None,
                answer = polled => Some(answer),
            };
            late += tick.elapsed().saturating_sub(USUAL).saturating_sub(held);
            if let Some(answer) = answer {
                break answer;
            }
        };
        let waited = began.elapsed().saturating_sub(late).as_micros();
        self.0.fetch_max(u64::try_from(waited).unwrap_or(u64::MAX), Ordering::Relaxed);
        answer
    }

    /// The longest so far.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// Holds a promise.
    ///
    /// # Panics
    /// When a call took longer.
    pub fn check(&self, what: &str, promise: Duration) {
        let longest = self.longest();
        assert!(
            longest <= promise,
            "{what}: waited {longest:?} beside what the machine was late by"
        );
    }
}
