//! What the stream says, as JSON: history once, then snapshots. Counts nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_base::Timestamp;
use mainstay_telemetry::sketch::Snapshot as Latencies;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use crate::v1::breakdown::Row as Breakdown;
use crate::v1::errors::Row as JsError;
use crate::v1::upstreams::Row as Upstream;
use crate::v1::vitals::Overall as Vital;

/// Schemas of the stream's events by name.
pub(crate) fn describe_events(schemas: &mut SchemaGenerator) -> Value {
    let history = schemas.subschema_for::<History>();
    let snapshot = schemas.subschema_for::<Snapshot<'_>>();
    json!({ "history": history, "snapshot": snapshot })
}

/// A quantile in milliseconds; `None` when nothing was measured.
fn millis(latency: &Latencies, q: f64) -> Option<f64> {
    latency.quantile(q).map(|d| (d.as_secs_f64() * 1e6).round() / 1e3)
}

/// Columns of equal length, one entry a step; none where no point was made.
#[derive(Serialize, Default, JsonSchema)]
pub(super) struct History {
    pub(super) t0: i64,
    pub(super) step_s: u64,
    pub(super) requests: Vec<Option<u64>>,
    pub(super) errors: Vec<Option<u64>>,
    pub(super) refused: Vec<Option<u64>>,
    pub(super) p50_ms: Vec<Option<f64>>,
    pub(super) p95_ms: Vec<Option<f64>>,
    pub(super) p99_ms: Vec<Option<f64>>,
    /// Wait for the app; `ours` is the rest of the time to the head of its answers.
    pub(super) upstream_p50_ms: Vec<Option<f64>>,
    pub(super) upstream_p95_ms: Vec<Option<f64>>,
    pub(super) ours_p50_ms: Vec<Option<f64>>,
    pub(super) ours_p95_ms: Vec<Option<f64>>,
}

impl History {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Per second.
#[derive(Serialize, Default, JsonSchema)]
pub(super) struct Rate {
    pub(super) requests: f64,
    pub(super) errors: f64,
    pub(super) refused: f64,
    pub(super) bytes: f64,
}

#[derive(Clone, Copy, Serialize, Default, JsonSchema)]
pub(super) struct Percentiles {
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
}

impl Percentiles {
    pub(super) fn of(latency: &Latencies) -> Self {
        Self { p50: millis(latency, 0.5), p95: millis(latency, 0.95), p99: millis(latency, 0.99) }
    }
}

/// The time to the head of an app's answers, in its two parts, in milliseconds. The parts' percentiles are those of
/// different answers: they do not add up.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct Split {
    /// Waiting for the app.
    pub(super) upstream_p50: f64,
    pub(super) upstream_p95: f64,
    /// Everything else.
    pub(super) ours_p50: f64,
    pub(super) ours_p95: f64,
}

impl Split {
    /// None when no app answered.
    pub(super) fn of(upstream: &Latencies, ours: &Latencies) -> Option<Self> {
        Some(Self {
            upstream_p50: millis(upstream, 0.5)?,
            upstream_p95: millis(upstream, 0.95)?,
            ours_p50: millis(ours, 0.5)?,
            ours_p95: millis(ours, 0.95)?,
        })
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Saturation {
    pub(super) cpu: Option<f64>,
    pub(super) memory_bytes: Option<f64>,
    pub(super) connections: f64,
    pub(super) recorder_queue: usize,
    pub(super) recorder_shed: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Check")]
pub(super) struct CheckLine<'a> {
    pub(super) name: &'a str,
    /// Which of several: a database server, for one.
    pub(super) component: Option<&'a str>,
    pub(super) status: &'a str,
    pub(super) output: &'a str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Snapshot<'a> {
    pub(super) t: Timestamp,
    pub(super) version: &'a str,
    pub(super) environment: &'a str,
    /// Whose visitors, pages and errors these are: the site asked for, else the first.
    pub(super) site: &'a str,
    /// Names of all sites.
    pub(super) sites: &'a [Arc<str>],
    pub(super) uptime_s: u64,
    /// Of the site asked for, else of all together; `refused` is always the whole server's.
    pub(super) rate: Rate,
    pub(super) latency_ms: Percentiles,
    pub(super) latency_1m_ms: Percentiles,
    /// Null when no app answered.
    pub(super) split_ms: Option<Split>,
    pub(super) split_1m_ms: Option<Split>,
    /// Copies of the app behind the site asked for, else of all apps.
    pub(super) upstreams: Vec<Upstream>,
    /// How many sites have an app.
    pub(super) apps: usize,
    pub(super) visitors_now: i64,
    pub(super) pageviews_30m: &'a [i64],
    pub(super) pages: Vec<Breakdown>,
    pub(super) sources: Vec<Breakdown>,
    pub(super) vitals: Vec<Vital>,
    pub(super) js_errors: Vec<JsError>,
    pub(super) refused_total: BTreeMap<&'static str, u64>,
    pub(super) saturation: Saturation,
    pub(super) health: &'a str,
    pub(super) checks: Vec<CheckLine<'a>>,
}
