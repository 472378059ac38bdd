//! What is counted of jobs: how many stand how, how long they waited and ran.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use mainstay_base::task::Stop;
use mainstay_store::job::{Outcome, Status};
use mainstay_telemetry::metrics::{Gauge, GaugeFamily, Histogram, HistogramFamily, Registry};
use mainstay_telemetry::names;

use crate::Queue;
use crate::jobs::Jobs;

/// How often jobs are counted.
const EVERY: Duration = Duration::from_secs(10);

/// What is counted of all queues.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    sizes: GaugeFamily,
    oldest: GaugeFamily,
    waits: HistogramFamily,
    durations: HistogramFamily,
}

/// What is counted of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    wait: Histogram,
    /// By how it ended.
    durations: HashMap<&'static str, Histogram>,
}

const OUTCOMES: [&str; 4] = ["completed", "failed", "dead", "given_back"];

impl Meters {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            sizes: registry.gauge_family(&names::JOB_QUEUE_SIZE),
            oldest: registry.gauge_family(&names::JOB_QUEUE_OLDEST),
            waits: registry.histogram_family(&names::JOB_WAIT),
            durations: registry.histogram_family(&names::JOB_DURATION),
        }
    }

    pub(crate) fn of(&self, queue: &str) -> Meter {
        let duration = |outcome: &'static str| (outcome, self.durations.with(&[queue, outcome]));
        let durations = OUTCOMES.into_iter().map(duration).collect();
        Meter { wait: self.waits.with(&[queue]), durations }
    }

    fn note(&self, queue: &Queue, now: mainstay_base::Timestamp) {
        for status in Status::ALL {
            let size: Gauge = self.sizes.with(&[&queue.name, status.as_str()]);
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            size.set(queue.counts.of(status) as f64);
        }
        let age = queue.oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
        self.oldest.with(&[&queue.name]).set(age);
    }
}

impl Meter {
    /// It begins after it could have for so long.
    pub(crate) fn begin(&self, waited: Duration) {
        self.wait.observe(waited.as_secs_f64());
    }

    /// An attempt ended after so long.
    pub(crate) fn end(&self, outcome: &Outcome, took: Duration) {
        let word = match outcome {
            Outcome::Completed { .. } => "completed",
            Outcome::Failed { .. } => "failed",
            Outcome::Dead { .. } => "dead",
            Outcome::GivenBack => "given_back",
        };
        if let Some(duration) = self.durations.get(word) {
            duration.observe(took.as_secs_f64());
        }
    }
}

/// Counts now and then, while the store is awake.
pub(crate) async fn count(jobs: Jobs, meters: Meters, stop: Stop) -> Result<(), Infallible> {
    loop {
        // Told by whoever needs the store; the next round counts again.
        if jobs.0.context.store.is_awake()
            && let Ok(queues) = jobs.list_queues().await
        {
            let now = jobs.0.context.clock.now();
            queues.iter().for_each(|queue| meters.note(queue, now));
        }
        if !stop.rested(EVERY).await {
            return Ok(());
        }
    }
}
