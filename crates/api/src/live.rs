//! One snapshot per second for every site that somebody looks at: made once, sent to all who do. Decides nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_base::Clock;
use mainstay_base::task::{Group, Stop};
use mainstay_insight::Insight;
use mainstay_store::recorder::Recorder;
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::process;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::points::{Point, Points};
pub(crate) use self::wire::describe_events;
use self::wire::{CheckLine, Saturation, Snapshot};
use crate::admin::Node;
use crate::health::Health;
use crate::sites::ListSites;
use crate::v1::breakdown::Row as Breakdown;
use crate::v1::errors::Row as JsError;
use crate::v1::scope::Scope;
use crate::v1::upstreams::rows_of;
use crate::v1::vitals::Overall as Vital;

mod points;
mod wire;

const STEP: Duration = Duration::from_secs(1);

/// The stream's source; cheap to clone.
#[derive(Clone)]
pub struct Live {
    /// One channel for each scope that somebody looks at: never more than streams.
    channels: Arc<Mutex<HashMap<Scope, watch::Sender<Frame>>>>,
    points: Arc<Mutex<Points>>,
    streams: Arc<AtomicUsize>,
    streams_max: usize,
}

/// What the snapshots are made of.
pub struct Sources {
    /// Visits, pages, vitals.
    pub insight: Insight,
    /// Requests.
    pub http: HttpMetrics,
    /// The queue in front of the store.
    pub recorder: Recorder,
    /// The verdict.
    pub health: Health,
    /// The sites as they are served.
    pub sites: ListSites,
    /// About this process.
    pub node: Node,
    /// The time.
    pub clock: Clock,
}

/// One snapshot, serialised once for all.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    pub(crate) json: Arc<str>,
}

/// One open stream; counted while it lives.
pub(crate) struct Stream {
    pub(crate) frames: watch::Receiver<Frame>,
    streams: Arc<AtomicUsize>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Live {
    /// No snapshot yet; at most `streams_max` streams at once.
    #[must_use]
    pub fn new(streams_max: usize) -> Self {
        Self {
            channels: Arc::default(),
            points: Arc::default(),
            streams: Arc::default(),
            streams_max,
        }
    }

    /// Makes the snapshots in `group`.
    pub fn start(&self, sources: Sources, group: &Group) {
        let live = self.clone();
        group.spawn("live snapshots", |stop| async move { live.run(&sources, &stop).await });
    }

    /// Opens a stream of one site or of all; `None` when too many are open.
    pub(crate) fn open(&self, scope: &Scope) -> Option<Stream> {
        if self.streams.fetch_add(1, Ordering::Relaxed) >= self.streams_max {
            self.streams.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let nothing = || watch::Sender::new(Frame { sequence: 0, json: Arc::from("") });
        let mut channels = own(&self.channels);
        let channel = channels.entry(scope.clone()).or_insert_with(nothing);
        Some(Stream { frames: channel.subscribe(), streams: Arc::clone(&self.streams) })
    }

    /// The last five minutes, as JSON.
    pub(crate) fn history(&self, scope: &Scope) -> String {
        own(&self.points).history(scope).to_json()
    }

    async fn run(&self, sources: &Sources, stop: &Stop) -> Result<(), Infallible> {
        let mut tallies = sources.http.tally();
        let mut cpu = process::cpu_seconds();
        let begin = Instant::now();
        let (mut step, mut sequence) = (0, 0);
        // By the clock, not a pause after each: the work of a step would add up to seconds over five minutes.
        let mut ticks = interval_at(begin + STEP, STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let due = tokio::select! {
                () = stop.soft() => return Ok(()),
                due = ticks.tick() => due,
            };
            let now_step = (due - begin).as_secs();
            let steps = now_step.saturating_sub(step).max(1);
            let now = sources.http.tally();
            let at = sources.clock.now().as_seconds();
            own(&self.points).remember(Point::new(now_step, at, steps, &now.minus(&tallies)));
            let now_cpu = process::cpu_seconds();
            let cpu_share = now_cpu.zip(cpu).map(|(now, before)| (now - before) / steps as f64);
            (tallies, cpu, step, sequence) = (now, now_cpu, now_step, sequence + 1);
            for scope in self.list_watched(sources) {
                match self.snapshot(sources, &scope, cpu_share).await {
                    Ok(json) => self.send(&scope, Frame { sequence, json: Arc::from(json) }),
                    // The consoles see that the view is stale; requests and the next second go on.
                    Err(error) => tracing::warn!(error = %error, "no live snapshot"),
                }
            }
        }
    }

    /// What somebody looks at. Channels without a stream go, and so do those of sites that are gone: that ends their
    /// streams.
    fn list_watched(&self, sources: &Sources) -> Vec<Scope> {
        let sites = sources.insight.list_sites();
        let mut channels = own(&self.channels);
        channels.retain(|scope, channel| {
            let is_there = scope.0.as_ref().is_none_or(|name| sites.contains(name));
            is_there && channel.receiver_count() > 0
        });
        channels.keys().cloned().collect()
    }

    fn send(&self, scope: &Scope, frame: Frame) {
        if let Some(channel) = own(&self.channels).get(scope) {
            channel.send_replace(frame);
        }
    }

    async fn snapshot(
        &self,
        sources: &Sources,
        scope: &Scope,
        cpu: Option<f64>,
    ) -> Result<String, mainstay_store::Error> {
        let names = sources.insight.list_sites();
        let site = scope.0.as_ref().or(names.first()).map_or("default", |name| name);
        let overview = sources.insight.find_overview(site).await?;
        let (status, checks) = sources.health.report();
        let recent = own(&self.points).recent(scope);
        let served = (sources.sites)();
        let snapshot = Snapshot {
            t: sources.clock.now(),
            version: sources.node.version,
            environment: sources.node.environment_name(),
            site,
            sites: &names,
            uptime_s: sources.clock.now().since(sources.node.started).as_secs(),
            rate: recent.rate,
            latency_ms: recent.second,
            latency_1m_ms: recent.minute,
            split_ms: recent.split_second,
            split_1m_ms: recent.split_minute,
            upstreams: rows_of(&served, scope),
            apps: served.sites.iter().filter(|site| site.upstreams.is_some()).count(),
            visitors_now: overview.visitors_now,
            pageviews_30m: &overview.pageviews_30m,
            pages: overview.pages.iter().map(Breakdown::page).collect(),
            sources: overview.sources.iter().map(Breakdown::source).collect(),
            vitals: overview.vitals.iter().map(Vital::of).collect(),
            js_errors: overview.js_errors.iter().map(JsError::of).collect(),
            refused_total: sources
                .http
                .list_refused()
                .into_iter()
                .map(|(reason, n)| (reason.as_str(), n))
                .collect(),
            saturation: saturation(sources, cpu),
            health: status.as_str(),
            checks: checks
                .iter()
                .map(|check| CheckLine {
                    name: check.name,
                    component: check.component.as_deref(),
                    status: check.status.as_str(),
                    output: &check.output,
                })
                .collect(),
        };
        Ok(serde_json::to_string(&snapshot).unwrap_or_default())
    }
}

fn saturation(sources: &Sources, cpu: Option<f64>) -> Saturation {
    Saturation {
        cpu,
        memory_bytes: process::resident_bytes(),
        connections: sources.http.connections.get(),
        recorder_queue: sources.recorder.queued(),
        recorder_shed: sources.recorder.shed_total(),
    }
}

fn own<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
