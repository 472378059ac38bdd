//! Work that can wait, as this process takes part in it.

use anyhow::Context as _;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_jobs::{Context, Jobs};
use mainstay_store::Store;
use mainstay_telemetry::metrics::Registry;

use crate::settings::Settings;

/// Takes jobs from now on. What writes ends after everybody who adds jobs, and after those who work on them.
pub(crate) fn open(settings: &Settings, store: &Store, writers: &Group) -> Jobs {
    let context = Context { store: store.clone(), clock: Clock::System, entropy: Entropy::System };
    Jobs::open(context, settings.jobs.clone(), Vec::new(), writers)
}

/// Works on them.
pub(crate) fn start(jobs: &Jobs, registry: &Registry, workers: &Group) -> anyhow::Result<()> {
    jobs.register(registry);
    jobs.start(workers).context("no threads for jobs")
}
