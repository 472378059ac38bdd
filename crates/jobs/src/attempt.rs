//! One attempt at a job: its handler, on a thread for handlers, until it ends, its time is over or nobody waits for it.

use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_store::job::{Ack, Outcome};
use serde::de::IgnoredAny;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::job::{Failure, Job, Work};

/// Bytes of a handler's words that are kept.
const TEXT_MAX: usize = 4_096;

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

    /// What the store is told. An answer that it would not take would not be better the next time: that is the end of it.
    pub(crate) fn into_outcome(self, settings: &Settings, spread: impl FnOnce() -> f64) -> Outcome {
        match self {
            Self::Well(Some(result)) => match json("its answer", &result, settings) {
                Ok(()) => Outcome::Completed { result: Some(result) },
                Err(reason) => Outcome::Dead { reason },
            },
            Self::Well(None) => Outcome::Completed { result: None },
            Self::Not(Failure::Again(error)) => {
                Outcome::Failed { error: text(error), spread: spread() }
            }
            Self::Not(Failure::Dead(reason)) => Outcome::Dead { reason: text(reason) },
            // The store knows whether somebody asked for it.
            Self::LeftAlone => Outcome::GivenBack,
        }
    }
}

/// Whether the store takes it: JSON that is not too large.
pub(crate) fn json(what: &str, said: &str, settings: &Settings) -> Result<(), String> {
    let max = settings.result_max.bytes();
    if said.len() > max {
        return Err(format!("{what} is larger than jobs.result_max ({max} bytes)"));
    }
    match serde_json::from_str::<IgnoredAny>(said) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{what} is not JSON")),
    }
}

/// As much of a handler's words as is kept, without what no database takes.
pub(crate) fn text(said: String) -> String {
    if said.len() <= TEXT_MAX && !said.contains('\0') {
        return said;
    }
    let end = said.floor_char_boundary(TEXT_MAX);
    let mut kept = said.get(..end).unwrap_or_default().replace('\0', "\u{fffd}");
    if end < said.len() {
        kept.push('…');
    }
    kept
}

/// Until its time is over, and how long that is.
pub(crate) type Until = (Option<Duration>, Option<Instant>);

pub(crate) async fn attempt(
    kind: &dyn Job,
    work: Work,
    (time, over): Until,
    cancel: &CancellationToken,
) -> Ended {
    let running = kind.run(work);
    let is_over = || over.is_some_and(|over| over <= Instant::now());
    tokio::select! {
        biased;
        ended = running => return ended.map_or_else(Ended::Not, Ended::Well),
        () = out_of(over) => {}
        // Those whose time is over are told so, too.
        () = cancel.cancelled() => if !is_over() { return Ended::LeftAlone },
    }
    Ended::Not(Failure::Again(format!("it took longer than {:?}", time.unwrap_or_default())))
}

async fn out_of(over: Option<Instant>) {
    match over {
        Some(over) => tokio::time::sleep_until(over).await,
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
