//! Requests, errors and latency over time, from the samples: sketches merged, percentiles never averaged.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::{Error, Span, traffic};
use mainstay_telemetry::http::Split;
use mainstay_telemetry::sketch::Snapshot;

use super::{Insight, fill, fitting};
use crate::sample::fine_step_s;

/// One step of the series of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficPoint {
    /// Start of the step.
    pub t: Timestamp,
    /// Requests answered.
    pub requests: i64,
    /// Answers with a status of 500 or more.
    pub errors: i64,
    /// Requests the server refused before they reached any site, whichever site is asked for.
    pub refused: i64,
    /// Bytes of response bodies.
    pub bytes: i64,
    /// Median latency; none when no request was answered.
    pub p50: Option<Duration>,
    /// 95th percentile.
    pub p95: Option<Duration>,
    /// 99th percentile.
    pub p99: Option<Duration>,
    /// Where the time of an app's answers went; none when no app answered.
    pub split: Option<SplitPoint>,
}

/// The time to the head of an app's answers, in its two parts. The parts' percentiles are those of different answers:
/// they do not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitPoint {
    /// Median of the wait for the app.
    pub upstream_p50: Duration,
    /// 95th percentile of the wait for the app.
    pub upstream_p95: Duration,
    /// Median of our own part.
    pub ours_p50: Duration,
    /// 95th percentile of our own part.
    pub ours_p95: Duration,
}

pub(super) async fn list(
    insight: &Insight,
    span: &Span<'_>,
    step: Duration,
) -> Result<Vec<TrafficPoint>, Error> {
    let insight = &insight.pinned();
    let db = insight.db();
    let (mut rows, mut whole_s) = (Vec::new(), fine_step_s(&insight.0.settings));
    for step_s in traffic::list_steps(db, span.site).await? {
        let kept = traffic::list(db, span, step_s).await?;
        whole_s = if kept.is_empty() { whole_s } else { common_multiple(whole_s, step_s) };
        rows.extend(kept);
    }
    if span.site != traffic::WHOLE {
        for step_s in traffic::list_steps(db, traffic::WHOLE).await? {
            let refused = traffic::list_refused(db, (span.from, span.to), step_s).await?;
            whole_s = if refused.is_empty() { whole_s } else { common_multiple(whole_s, step_s) };
            let row = |(t, refused)| traffic::Row { refused, ..traffic::Row::empty(t) };
            rows.extend(refused.into_iter().map(row));
        }
    }
    let step = fitting(span, whole_steps(step, whole_s));
    let points =
        merge_rows(rows, step).into_iter().map(|(row, times)| (row.t, point(&row, &times)));
    Ok(fill(span, step, points.collect(), empty))
}

/// The step asked for, or the next longer one that samples as wide as these fill evenly: old ones are coarse, and the
/// setting may have changed since.
fn whole_steps(asked: Duration, whole_s: u32) -> Duration {
    let count = asked.as_secs().div_ceil(u64::from(whole_s)).max(1);
    Duration::from_secs(count.saturating_mul(u64::from(whole_s)))
}

/// The least width that both divide. All divide five minutes, so this does.
fn common_multiple(a: u32, b: u32) -> u32 {
    let (mut gcd, mut rest) = (a, b);
    while rest != 0 {
        (gcd, rest) = (rest, gcd % rest);
    }
    a / gcd.max(1) * b
}

fn point(row: &traffic::Row, times: &Times) -> TrafficPoint {
    TrafficPoint {
        t: row.t,
        requests: row.requests,
        errors: row.errors,
        refused: row.refused,
        bytes: row.bytes,
        p50: times.latency.quantile(0.5),
        p95: times.latency.quantile(0.95),
        p99: times.latency.quantile(0.99),
        split: times.split.as_ref().and_then(SplitPoint::of),
    }
}

impl SplitPoint {
    fn of(split: &Split) -> Option<Self> {
        Some(Self {
            upstream_p50: split.upstream.quantile(0.5)?,
            upstream_p95: split.upstream.quantile(0.95)?,
            ours_p50: split.ours.quantile(0.5)?,
            ours_p95: split.ours.quantile(0.95)?,
        })
    }
}

fn empty(t: Timestamp) -> TrafficPoint {
    point(&traffic::Row::empty(t), &Times::default())
}

/// What the sketches of a step say together.
#[derive(Default)]
pub(crate) struct Times {
    pub(crate) latency: Snapshot,
    pub(crate) split: Option<Split>,
}

impl Times {
    /// A sketch of an unknown version counts its requests but tells no time.
    fn add(&mut self, row: &traffic::Row) {
        if let Ok(sketch) = Snapshot::decode(&row.latency_sketch) {
            self.latency.merge(&sketch);
        }
        let read = |sketch: &Option<Vec<u8>>| Snapshot::decode(sketch.as_ref()?).ok();
        if let Some((upstream, ours)) = read(&row.upstream_sketch).zip(read(&row.ours_sketch)) {
            let split = self.split.get_or_insert_with(Split::default);
            split.upstream.merge(&upstream);
            split.ours.merge(&ours);
        }
    }
}

/// Samples added up into steps, oldest first, each with what its sketches say. The sketches of the rows are left empty.
pub(crate) fn merge_rows(rows: Vec<traffic::Row>, step: Duration) -> Vec<(traffic::Row, Times)> {
    let mut merged: HashMap<Timestamp, (traffic::Row, Times)> = HashMap::new();
    for row in rows {
        let t = row.t.floor_to(step);
        let (sum, times) =
            merged.entry(t).or_insert_with(|| (traffic::Row::empty(t), Times::default()));
        sum.requests += row.requests;
        sum.errors += row.errors;
        sum.refused += row.refused;
        sum.bytes += row.bytes;
        times.add(&row);
    }
    let mut merged: Vec<_> = merged.into_values().collect();
    merged.sort_by_key(|(row, _)| row.t);
    merged
}
