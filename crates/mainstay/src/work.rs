//! Work that can wait, as this process takes part in it.

use anyhow::Context as _;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_jobs::{Context, Jobs};
use mainstay_store::Store;
use mainstay_telemetry::metrics::Registry;

use crate::settings::Settings;

/// Takes jobs from now on, and works on them. What writes ends after everybody who adds jobs, and after those who work on
/// them.
pub(crate) fn start(
    settings: &Settings,
    store: &Store,
    registry: &Registry,
    (writers, workers): (&Group, &Group),
) -> anyhow::Result<Jobs> {
    let jobs = open(settings, store, writers);
    jobs.register(registry);
    jobs.start(workers).context("no threads for jobs")?;
    Ok(jobs)
}

/// Takes jobs, and leaves the work to others.
pub(crate) fn open(settings: &Settings, store: &Store, writers: &Group) -> Jobs {
    let context = Context { store: store.clone(), clock: Clock::System, entropy: Entropy::System };
    Jobs::open(context, settings.jobs.clone(), Vec::new(), writers)
}
