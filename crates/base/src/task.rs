//! Owned work: every task and thread of the product is spawned here, named, told to stop, awaited, and missed when it crashes.
//!
//! A stop has two stages. *Soft*: take nothing new, finish what is in hand. *Hard*: end now. A task that panics,
//! fails, or returns before anybody asked it to stop is a crash: it is recorded, [`Group::crashed`] wakes, and the
//! process ends with a failing exit code instead of limping on half alive.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a task ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The task's name.
    pub task: &'static str,
    /// The error or panic message.
    pub reason: String,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} crashed: {}", self.task, self.reason)
    }
}

/// The two-stage wish to end, held by every loop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Stop {
    /// Completes when no new work shall be taken.
    pub async fn soft(&self) {
        self.soft.cancelled().await;
    }

    /// Completes when even work in hand shall be dropped.
    pub async fn hard(&self) {
        self.hard.cancelled().await;
    }

    /// Whether the soft stop was asked for.
    #[must_use]
    pub fn is_soft(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Waits `for_`; true when the time passed, false when a soft stop came first.
    pub async fn rested(&self, for_: Duration) -> bool {
        tokio::select! {
            () = self.soft() => false,
            () = tokio::time::sleep(for_) => true,
        }
    }
}

/// Owns a set of tasks and threads that start and stop together.
#[derive(Clone, Debug, Default)]
pub struct Group {
    stop: Stop,
    tracker: TaskTracker,
    crashed: CancellationToken,
    crashes: Arc<Mutex<Vec<Crash>>>,
    child_panics: Arc<AtomicU64>,
}

impl Group {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group with a stop and members of its own that counts its children's panics into this one.
    #[must_use]
    pub fn branch(&self) -> Self {
        Self { child_panics: Arc::clone(&self.child_panics), ..Self::default() }
    }

    /// The stop every member listens to.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Spawns a task that must live until the soft stop; ending earlier, failing or panicking is a crash.
    pub fn spawn<F, E>(&self, name: &'static str, work: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let (group, work) = (self.clone(), work(self.stop.clone()));
        self.spawn_on_runtime(async move {
            let outcome = CatchUnwind(Box::pin(work)).await;
            match outcome {
                Ok(Ok(())) if group.stop.is_soft() => {}
                Ok(Ok(())) => group.record(name, "returned before it was asked to stop".into()),
                Ok(Err(error)) => group.record(name, error.to_string()),
                Err(panic) => group.record(name, panic),
            }
        });
    }

    /// Spawns short-lived work (one connection, one stream) on the current runtime.
    ///
    /// A panic in it ends this piece of work only: what one stranger sends must not end everybody else's
    /// connections. It is logged and counted in [`Group::child_panics`], which turns health to `warn`.
    pub fn spawn_child(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn_caught(name, CatchUnwind(Box::pin(work)));
    }

    /// Begins short-lived work right here, and spawns what is left once it has to wait: a task costs more than much work
    /// that never does. Otherwise as [`Group::spawn_child`].
    pub fn start_child(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = CatchUnwind(Box::pin(work));
        // Nobody needs to be woken: what is left is polled again by its task.
        match Pin::new(&mut work).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => note_panic(&self.child_panics, name, outcome),
            Poll::Pending => self.spawn_caught(name, work),
        }
    }

    /// How many children panicked so far.
    #[must_use]
    pub fn child_panics(&self) -> u64 {
        self.child_panics.load(Ordering::Relaxed)
    }

    /// Spawns a thread that must live until the soft stop; same rules as [`Group::spawn`].
    ///
    /// # Errors
    /// The operating system's, when it gives no thread.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns threads")]
    pub fn spawn_thread<E: fmt::Display>(
        &self,
        name: &'static str,
        work: impl FnOnce(Stop) -> Result<(), E> + Send + 'static,
    ) -> std::io::Result<()> {
        let (group, stop, token) = (self.clone(), self.stop.clone(), self.tracker.token());
        std::thread::Builder::new().name(name.into()).spawn(move || {
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| work(stop)));
            match outcome {
                Ok(Ok(())) if group.stop.is_soft() => {}
                Ok(Ok(())) => group.record(name, "returned before it was asked to stop".into()),
                Ok(Err(error)) => group.record(name, error.to_string()),
                Err(panic) => group.record(name, panic_text(&*panic)),
            }
            drop(token);
        })?;
        Ok(())
    }

    /// Asks every member to take nothing new and finish.
    pub fn stop_softly(&self) {
        self.tracker.close();
        self.stop.soft.cancel();
    }

    /// Asks every member to end now.
    pub fn stop_now(&self) {
        self.stop_softly();
        self.stop.hard.cancel();
    }

    /// Completes when a member crashed.
    pub async fn crashed(&self) {
        self.crashed.cancelled().await;
    }

    /// The crashes so far.
    #[must_use]
    pub fn crashes(&self) -> Vec<Crash> {
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops softly, waits up to `grace` for the members to finish, then stops hard and waits up to `last` more.
    /// Returns how many members were still alive at the end.
    pub async fn finish(&self, grace: Duration, last: Duration) -> usize {
        self.stop_softly();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_err() {
            self.stop_now();
            drop(tokio::time::timeout(last, self.tracker.wait()).await);
        }
        self.tracker.len()
    }

    fn spawn_caught<F>(&self, name: &'static str, work: CatchUnwind<F>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let panics = Arc::clone(&self.child_panics);
        self.spawn_on_runtime(async move { note_panic(&panics, name, work.await) });
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that spawns tasks")]
    fn spawn_on_runtime(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(self.tracker.track_future(work)));
    }

    fn record(&self, task: &'static str, reason: String) {
        let crash = Crash { task, reason };
        tracing::error!(task, reason = %crash.reason, "task crashed");
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner).push(crash);
        self.crashed.cancel();
    }
}

/// A future whose panics become a message.
struct CatchUnwind<F>(Pin<Box<F>>);

impl<F: Future> Future for CatchUnwind<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
        }
    }
}

fn note_panic(panics: &AtomicU64, name: &'static str, outcome: Result<(), String>) {
    if let Err(reason) = outcome {
        panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!(task = name, reason, "panic in one piece of work; it was dropped");
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".into())
}

#[cfg(test)]
mod tests;
