//! Work that can wait, as this process takes part in it.

use std::sync::Arc;

use anyhow::Context as _;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_insight::Insight;
use mainstay_jobs::settings::Queue;
use mainstay_jobs::{Context, Jobs};
use mainstay_mail::Mail;
use mainstay_store::Store;
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::outbound::{Client, Resolver, Trust};
use tokio::sync::watch;

use crate::kinds::{self, kinds};
use crate::settings::Settings;

/// Whom the kinds of work meet.
pub(crate) struct Rooms {
    pub(crate) store: Store,
    pub(crate) insight: Insight,
    /// The settings in force.
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    pub(crate) registry: Registry,
}

/// Takes jobs from now on. What writes ends after everybody who adds jobs, and after those who work on them.
pub(crate) fn open(settings: &Settings, rooms: Rooms, writers: &Group) -> anyhow::Result<Jobs> {
    let Rooms { store, insight, settings: in_force, registry } = rooms;
    let (clock, entropy) = (Clock::System, Entropy::System);
    let mail = Mail::open(&settings.mail, clock.clone()).context("no letters can be sent")?;
    let client = Client::new(&registry, Resolver::System, &Trust::System)
        .context("others cannot be asked")?;
    let of_kinds = kinds::Context {
        mail,
        insight,
        client,
        settings: in_force,
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let kinds = kinds(&of_kinds, settings.jobs.result_max.bytes());
    let context = Context { store, clock, entropy };
    let jobs = Jobs::open(context, settings.jobs.clone(), kinds, writers);
    jobs.register(&registry);
    Ok(jobs)
}

/// Takes jobs for others to work on: the queues are the same.
pub(crate) fn open_for_others(settings: &Settings, store: &Store, writers: &Group) -> Jobs {
    let context = Context { store: store.clone(), clock: Clock::System, entropy: Entropy::System };
    let mut jobs = settings.jobs.clone();
    for name in kinds::QUEUES {
        if jobs.queue.iter().all(|queue| queue.name != name) {
            jobs.queue.push(Queue { name: name.into(), ..Queue::default() });
        }
    }
    Jobs::open(context, jobs, Vec::new(), writers)
}

/// Works on them.
pub(crate) fn start(jobs: &Jobs, workers: &Group) -> anyhow::Result<()> {
    jobs.start(workers).context("no threads for jobs")
}
