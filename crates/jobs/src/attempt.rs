//! One attempt at a job: its handler, on a thread for handlers, until it ends, its time is over or nobody waits for it.

use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_store::job::{Ack, Outcome};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::job::{Failure, Job, Work};

/// Threads on which handlers run, so that one that blocks keeps no lease from being renewed.
#[derive(Debug)]
pub(crate) struct Handlers(Option<Runtime>);

impl Handlers {
    pub(crate) fn start(threads: u32) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads.max(1) as usize).thread_name("job").enable_all();
        builder.build().map(|runtime| Self(Some(runtime)))
    }

    /// Lets a member of the group run there.
    pub(crate) fn spawn(&self, group: &Group, handler: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            let _on_their_threads = runtime.enter();
            group.spawn_child("job", handler);
        }
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A handler that blocks its thread is not waited for.
            runtime.shutdown_background();
        }
    }
}

/// How a handler ended.
pub(crate) enum Ended {
    Well(Option<String>),
    Not(Failure),
    /// Nobody waits for it any more.
    LeftAlone,
}

impl Ended {
    pub(crate) fn panicked(kind: &str) -> Self {
        tracing::error!(kind, "a job's handler panicked");
        Self::Not(Failure::Again("its handler panicked".into()))
    }

    pub(crate) fn into_outcome(self, spread: impl FnOnce() -> f64) -> Outcome {
        match self {
            Self::Well(result) => Outcome::Completed { result },
            Self::Not(Failure::Again(error)) => Outcome::Failed { error, spread: spread() },
            Self::Not(Failure::Dead(reason)) => Outcome::Dead { reason },
            // The store knows whether somebody asked for it.
            Self::LeftAlone => Outcome::GivenBack,
        }
    }
}

pub(crate) async fn attempt(
    kind: &dyn Job,
    work: Work,
    time: Option<Duration>,
    cancel: &CancellationToken,
) -> Ended {
    let running = kind.run(work);
    let ended = tokio::select! {
        biased;
        ended = running => ended,
        () = cancel.cancelled() => return Ended::LeftAlone,
        time = out_of(time) => Err(Failure::Again(format!("it took longer than {time:?}"))),
    };
    ended.map_or_else(Ended::Not, Ended::Well)
}

async fn out_of(time: Option<Duration>) -> Duration {
    match time {
        Some(time) => {
            tokio::time::sleep(time).await;
            time
        }
        None => std::future::pending().await,
    }
}

/// Tells how a job ended when it is dropped, whatever became of its handler.
pub(crate) struct Told {
    pub(crate) done: mpsc::UnboundedSender<Ack>,
    pub(crate) ack: Ack,
}

impl Told {
    pub(crate) fn note(&mut self, outcome: Outcome) {
        self.ack.outcome = outcome;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let Ack { seq, token, outcome } = &mut self.ack;
        let outcome = std::mem::replace(outcome, Outcome::GivenBack);
        let _nobody_waits = self.done.send(Ack { seq: *seq, token: *token, outcome });
    }
}
