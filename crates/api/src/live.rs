//! One shared snapshot per second for every open console: made once, sent to all, kept for five minutes of history.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_base::Clock;
use mainstay_base::task::{Group, Stop};
use mainstay_insight::Insight;
use mainstay_store::recorder::Recorder;
use mainstay_telemetry::http::{HttpMetrics, Totals};
use mainstay_telemetry::process;
use mainstay_telemetry::sketch::Snapshot as Latencies;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::wire::{CheckLine, History, Percentiles, Rate, Saturation, Snapshot, millis};
use crate::admin::Node;
use crate::health::Health;
use crate::v1::breakdown::Row as Breakdown;
use crate::v1::errors::Row as JsError;
use crate::v1::vitals::Overall as Vital;

mod wire;

const STEP: Duration = Duration::from_secs(1);
/// Points of history, one a step.
const HISTORY_POINTS: u64 = 300;
/// Seconds behind the "last minute" percentiles.
const MINUTE_POINTS: usize = 60;

/// What happened in one step.
struct Point {
    /// Which step since the start; a late process skips some.
    step: u64,
    /// End of the step, in unix seconds.
    at: i64,
    /// Steps it covers: more than one after a late one.
    steps: u64,
    delta: Totals,
    latency: Latencies,
}

/// The stream's source; cheap to clone.
#[derive(Clone)]
pub struct Live {
    frames: watch::Sender<Frame>,
    points: Arc<Mutex<VecDeque<Point>>>,
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
            frames: watch::Sender::new(Frame { sequence: 0, json: Arc::from("") }),
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

    /// Opens a stream; `None` when too many are open.
    pub(crate) fn open(&self) -> Option<Stream> {
        if self.streams.fetch_add(1, Ordering::Relaxed) >= self.streams_max {
            self.streams.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Stream { frames: self.frames.subscribe(), streams: Arc::clone(&self.streams) })
    }

    /// The last five minutes, as JSON.
    pub(crate) fn history(&self) -> String {
        let points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = match (points.front(), points.back()) {
            (Some(first), Some(last)) => (first.step, last.step),
            _ => return History::default().to_json(),
        };
        // One place per step, whether or not somebody reported: places tell the time.
        let place = |point: &Point| (point.step - first) as usize;
        let places = (last - first + 1) as usize;
        let series = |of: &dyn Fn(&Point) -> u64| {
            let mut row = vec![None; places];
            points.iter().for_each(|point| row[place(point)] = Some(of(point)));
            row
        };
        let quantiles = |q: f64| {
            let mut row = vec![None; places];
            points.iter().for_each(|point| row[place(point)] = millis(&point.latency, q));
            row
        };
        let history = History {
            t0: points.back().map_or(0, |p| p.at) - (last - first) as i64,
            step_s: STEP.as_secs(),
            requests: series(&|p| p.delta.requests),
            errors: series(&|p| p.delta.errors),
            refused: series(&|p| p.delta.refused),
            p50_ms: quantiles(0.5),
            p95_ms: quantiles(0.95),
            p99_ms: quantiles(0.99),
        };
        history.to_json()
    }

    async fn run(&self, sources: &Sources, stop: &Stop) -> Result<(), Infallible> {
        let mut totals = sources.http.totals();
        let mut latency = sources.http.latency().snapshot();
        let mut cpu = process::cpu_seconds();
        let begin = Instant::now();
        let mut step = 0;
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
            let (now_totals, now_latency) =
                (sources.http.totals(), sources.http.latency().snapshot());
            let point = Point {
                step: now_step,
                at: sources.clock.now().as_seconds(),
                steps,
                delta: difference(now_totals, totals),
                latency: now_latency.minus(&latency),
            };
            let now_cpu = process::cpu_seconds();
            let cpu_share = now_cpu.zip(cpu).map(|(now, before)| (now - before) / steps as f64);
            (totals, latency, cpu, step) = (now_totals, now_latency, now_cpu, now_step);
            self.remember(point);
            if self.frames.receiver_count() > 0 {
                match self.snapshot(sources, cpu_share).await {
                    Ok(json) => {
                        let sequence = self.frames.borrow().sequence + 1;
                        self.frames.send_replace(Frame { sequence, json: Arc::from(json) });
                    }
                    // The consoles see that the view is stale; requests and the next second go on.
                    Err(error) => tracing::warn!(error = %error, "no live snapshot"),
                }
            }
        }
    }

    fn remember(&self, point: Point) {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        while points.front().is_some_and(|first| first.step + HISTORY_POINTS <= point.step) {
            points.pop_front();
        }
        points.push_back(point);
    }

    async fn snapshot(
        &self,
        sources: &Sources,
        cpu: Option<f64>,
    ) -> Result<String, mainstay_store::Error> {
        let site = sources.node.sites.first().map_or("default", String::as_str);
        let overview = sources.insight.find_overview(site).await?;
        let (status, checks) = sources.health.report();
        let (rate, latency_ms, latency_1m_ms) = self.recent();
        let snapshot = Snapshot {
            t: sources.clock.now(),
            version: sources.node.version,
            environment: sources.node.environment_name(),
            site,
            uptime_s: sources.clock.now().since(sources.node.started).as_secs(),
            rate,
            latency_ms,
            latency_1m_ms,
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
            saturation: Saturation {
                cpu,
                memory_bytes: process::resident_bytes(),
                connections: sources.http.connections.get(),
                recorder_queue: sources.recorder.queued(),
                recorder_shed: sources.recorder.shed_total(),
            },
            health: status.as_str(),
            checks: checks
                .iter()
                .map(|check| CheckLine {
                    name: check.name,
                    status: check.status.as_str(),
                    output: &check.output,
                })
                .collect(),
        };
        Ok(serde_json::to_string(&snapshot).unwrap_or_default())
    }

    fn recent(&self) -> (Rate, Percentiles, Percentiles) {
        let points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        let mut minute = Latencies::empty();
        for point in points.iter().rev().take(MINUTE_POINTS) {
            minute.merge(&point.latency);
        }
        let last = points.back();
        let rate = last.map_or_else(Rate::default, Rate::of);
        let second = last.map_or_else(Percentiles::default, |p| Percentiles::of(&p.latency));
        (rate, second, Percentiles::of(&minute))
    }
}

fn difference(now: Totals, before: Totals) -> Totals {
    Totals {
        requests: now.requests.saturating_sub(before.requests),
        errors: now.errors.saturating_sub(before.errors),
        refused: now.refused.saturating_sub(before.refused),
        bytes: now.bytes.saturating_sub(before.bytes),
    }
}

#[cfg(test)]
mod tests;
