//! What the stream says, as JSON: history once, then snapshots. Counts nothing.

use std::collections::BTreeMap;

use mainstay_base::Timestamp;
use mainstay_telemetry::sketch::Snapshot as Latencies;
use serde::Serialize;

use super::Point;
use crate::v1::breakdown::Row as Breakdown;
use crate::v1::errors::Row as JsError;
use crate::v1::vitals::Overall as Vital;

/// A quantile in milliseconds; `None` when nothing was measured.
pub(super) fn millis(latency: &Latencies, q: f64) -> Option<f64> {
    latency.quantile(q).map(|d| (d.as_secs_f64() * 1e6).round() / 1e3)
}

/// Columns of equal length, one entry a step; none where no point was made.
#[derive(Serialize, Default)]
pub(super) struct History {
    pub(super) t0: i64,
    pub(super) step_s: u64,
    pub(super) requests: Vec<Option<u64>>,
    pub(super) errors: Vec<Option<u64>>,
    pub(super) refused: Vec<Option<u64>>,
    pub(super) p50_ms: Vec<Option<f64>>,
    pub(super) p95_ms: Vec<Option<f64>>,
    pub(super) p99_ms: Vec<Option<f64>>,
}

impl History {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Per second.
#[derive(Serialize, Default)]
pub(super) struct Rate {
    pub(super) requests: f64,
    pub(super) errors: f64,
    pub(super) refused: f64,
    pub(super) bytes: f64,
}

impl Rate {
    pub(super) fn of(point: &Point) -> Self {
        let a_second = |count: u64| count as f64 / point.steps as f64;
        Self {
            requests: a_second(point.delta.requests),
            errors: a_second(point.delta.errors),
            refused: a_second(point.delta.refused),
            bytes: a_second(point.delta.bytes),
        }
    }
}

#[derive(Serialize, Default)]
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

#[derive(Serialize)]
pub(super) struct Saturation {
    pub(super) cpu: Option<f64>,
    pub(super) memory_bytes: Option<f64>,
    pub(super) connections: f64,
    pub(super) recorder_queue: usize,
    pub(super) recorder_shed: u64,
}

#[derive(Serialize)]
pub(super) struct CheckLine<'a> {
    pub(super) name: &'a str,
    pub(super) status: &'a str,
    pub(super) output: &'a str,
}

#[derive(Serialize)]
pub(super) struct Snapshot<'a> {
    pub(super) t: Timestamp,
    pub(super) version: &'a str,
    pub(super) environment: &'a str,
    pub(super) site: &'a str,
    pub(super) uptime_s: u64,
    pub(super) rate: Rate,
    pub(super) latency_ms: Percentiles,
    pub(super) latency_1m_ms: Percentiles,
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
