//! Requests, errors and latency over time, from the samples: sketches merged, percentiles never averaged.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::{Error, Span, traffic};
use mainstay_telemetry::sketch::Snapshot;

use super::{Insight, fill, fitting};
use crate::sample::{COARSE_STEP_S, fine_step_s};

/// One step of the series of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficPoint {
    /// Start of the step.
    pub t: Timestamp,
    /// Requests answered.
    pub requests: i64,
    /// Answers with a status of 500 or more.
    pub errors: i64,
    /// Requests refused before they reached the site.
    pub refused: i64,
    /// Bytes of response bodies.
    pub bytes: i64,
    /// Median latency; none when no request was answered.
    pub p50: Option<Duration>,
    /// 95th percentile.
    pub p95: Option<Duration>,
    /// 99th percentile.
    pub p99: Option<Duration>,
}

pub(super) async fn list(
    insight: &Insight,
    span: &Span<'_>,
    step: Duration,
) -> Result<Vec<TrafficPoint>, Error> {
    let db = insight.0.context.store.insight();
    let fine = fine_step_s(&insight.0.settings);
    let step = fitting(span, step.max(Duration::from_secs(u64::from(fine))));
    let mut rows = traffic::list(db, span, COARSE_STEP_S).await?;
    rows.extend(traffic::list(db, span, fine).await?);
    let points =
        merge_rows(rows, step).into_iter().map(|(row, latency)| (row.t, point(&row, &latency)));
    Ok(fill(span, step, points.collect(), empty))
}

fn point(row: &traffic::Row, latency: &Snapshot) -> TrafficPoint {
    TrafficPoint {
        t: row.t,
        requests: row.requests,
        errors: row.errors,
        refused: row.refused,
        bytes: row.bytes,
        p50: latency.quantile(0.5),
        p95: latency.quantile(0.95),
        p99: latency.quantile(0.99),
    }
}

fn empty(t: Timestamp) -> TrafficPoint {
    point(&empty_row(t), &Snapshot::empty())
}

fn empty_row(t: Timestamp) -> traffic::Row {
    traffic::Row { t, requests: 0, errors: 0, refused: 0, bytes: 0, latency_sketch: Vec::new() }
}

/// Samples added up into steps, oldest first, each with its merged latency. A sketch of an unknown version counts
/// its requests but tells no latency.
pub(crate) fn merge_rows(rows: Vec<traffic::Row>, step: Duration) -> Vec<(traffic::Row, Snapshot)> {
    let mut merged: HashMap<Timestamp, (traffic::Row, Snapshot)> = HashMap::new();
    for row in rows {
        let t = row.t.floor_to(step);
        let (sum, latency) = merged.entry(t).or_insert_with(|| (empty_row(t), Snapshot::empty()));
        sum.requests += row.requests;
        sum.errors += row.errors;
        sum.refused += row.refused;
        sum.bytes += row.bytes;
        if let Ok(sketch) = Snapshot::decode(&row.latency_sketch) {
            latency.merge(&sketch);
        }
    }
    let mut merged: Vec<_> = merged.into_values().collect();
    merged.sort_by_key(|(row, _)| row.t);
    merged
}
