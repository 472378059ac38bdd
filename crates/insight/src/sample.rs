//! Samples of our own numbers, kept so that yesterday can be drawn: traffic with its latency, and named metrics; decides nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_base::task::Stop;
use mainstay_store::metric_series::{self, Range, Sample};
use mainstay_store::traffic::{self, Compaction};
use mainstay_store::{Bots, Engine, Error, Span, Ts};
use mainstay_telemetry::http::{Tallies, Tally};
use mainstay_telemetry::names::{self, Kind};

use crate::query::{Times, merge_rows};
pub(crate) use crate::settings::COARSE_STEP_S;
use crate::{Insight, Settings};

/// Most series sampled: more would be millions of rows a day.
const SERIES_MAX: usize = 40;
/// Steps held back at most; then the database is woken for them.
const HELD_MAX: usize = 2_000;
/// Most samples merged in one transaction.
const COMPACT_MAX: u32 = 20_000;

/// Width of the steps samples are taken in, in seconds.
pub(crate) fn fine_step_s(settings: &Settings) -> u32 {
    u32::try_from(settings.sample_every.0.as_secs()).unwrap_or(u32::MAX).max(1)
}

/// What was counted when the last sample was taken, and the step that it was kept as.
#[derive(Default)]
pub(crate) struct Sampler {
    counted: Tallies,
    last: Option<Timestamp>,
    /// Steps held back while the database sleeps, oldest first.
    held: Vec<(Arc<str>, traffic::Row)>,
}

/// Takes samples at whole steps until told to stop, and one at the end.
pub(crate) async fn run(insight: Insight, stop: Stop) -> Result<(), Infallible> {
    let step = Duration::from_secs(u64::from(fine_step_s(&insight.0.settings)));
    let mut sampler = Sampler::default();
    if !insight.0.context.store.wait_insight(&stop).await {
        return Ok(());
    }
    loop {
        let begun = insight.0.context.clock.now().floor_to(step);
        let rest = begun.plus(step).since(insight.0.context.clock.now());
        let goes_on = stop.rested(rest).await;
        if let Err(error) = sampler.take(&insight, begun).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "samples could not be kept");
        }
        if !goes_on {
            return Ok(());
        }
    }
}

impl Sampler {
    /// Keeps what was counted since the last call as the step that began at `begun`: the whole, and each site that was
    /// asked for something. A step that a process before this one began, or that a clock set back comes to again, is
    /// added to.
    pub(crate) async fn take(&mut self, insight: &Insight, begun: Timestamp) -> Result<(), Error> {
        let (db, step_s) = (&insight.latest(), fine_step_s(&insight.0.settings));
        let now = insight.0.context.http.tally();
        let since = now.minus(&self.counted);
        let sites = since.sites.iter().filter(|(_, tally)| !tally.is_empty());
        let mut rows: Vec<_> = std::iter::once((traffic::WHOLE, &since.whole))
            .chain(sites.map(|(name, tally)| (&**name, tally)))
            .map(|(name, tally)| (name, row_of(begun, tally)))
            .collect();
        if !insight.0.context.store.is_awake() && self.held.len() < HELD_MAX {
            // A step in which nothing happened need not be kept: it is drawn as nothing anyway.
            let busy = rows.into_iter().filter(|(_, row)| row.requests + row.refused > 0);
            self.held.extend(busy.map(|(site, row)| (site.into(), row)));
            (self.counted, self.last) = (now, Some(begun));
            return Ok(());
        }
        if self.last.is_none_or(|last| begun <= last) {
            for (site, row) in &mut rows {
                add_kept(db, site, step_s, row).await?;
            }
        }
        rows.extend(self.held.iter().map(|(site, row)| (&**site, row.clone())));
        traffic::insert(db, step_s, &rows).await?;
        self.held.clear();
        (self.counted, self.last) = (now, Some(begun));
        let mut now = 0;
        for site in insight.list_sites().iter() {
            now += insight.count_visitors_now(site).await?;
        }
        insight.0.meters.active_users.set(now as f64);
        metric_series::insert_samples(db, step_s, &read_metrics(insight, begun)).await
    }
}

/// Adds to a row what is kept of its step already.
async fn add_kept(
    db: &Engine,
    site: &str,
    step_s: u32,
    row: &mut traffic::Row,
) -> Result<(), Error> {
    let Some(kept) = traffic::find_own(db, site, step_s, row.t).await? else { return Ok(()) };
    let t = row.t;
    let both = vec![kept, row.clone()];
    let step = Duration::from_secs(u64::from(step_s));
    if let Some(sum) = merge_rows(both, step).into_iter().next() {
        *row = traffic::Row { t, ..packed(sum) };
    }
    Ok(())
}

/// A merged row with its sketches.
fn packed((row, times): (traffic::Row, Times)) -> traffic::Row {
    traffic::Row {
        latency_sketch: times.latency.encode(),
        upstream_sketch: times.split.as_ref().map(|split| split.upstream.encode()),
        ours_sketch: times.split.as_ref().map(|split| split.ours.encode()),
        ..row
    }
}

fn row_of(t: Timestamp, tally: &Tally) -> traffic::Row {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    traffic::Row {
        t,
        requests: signed(tally.totals.requests),
        errors: signed(tally.totals.errors),
        refused: signed(tally.totals.refused),
        bytes: signed(tally.totals.bytes),
        latency_sketch: tally.latency.encode(),
        upstream_sketch: tally.split.as_ref().map(|split| split.upstream.encode()),
        ours_sketch: tally.split.as_ref().map(|split| split.ours.encode()),
    }
}

fn read_metrics(insight: &Insight, begun: Timestamp) -> Vec<Sample> {
    let totals = insight.0.context.registry.list_totals().into_iter();
    let sample = |(name, value): (&str, f64)| Sample {
        metric_name: name.to_owned(),
        metric_value: value,
        tags: None,
        recorded_at: Ts(begun),
    };
    totals.filter(|(_, value)| value.is_finite()).take(SERIES_MAX).map(sample).collect()
}

/// Merges samples older than `before` into coarse steps, whatever the width was that they were taken in.
pub(crate) async fn compact(insight: &Insight, before: Timestamp) -> Result<(), Error> {
    let db = &insight.latest();
    let coarse = Duration::from_secs(u64::from(COARSE_STEP_S));
    let before = before.floor_to(coarse);
    for site in &traffic::list_sites(db).await? {
        let span = Span { site, from: Timestamp::EPOCH, to: before, bots: Bots::Include };
        let mut rows = Vec::new();
        for step_s in traffic::list_steps(db, site).await? {
            if step_s < COARSE_STEP_S {
                rows.extend(traffic::list(db, &span, step_s).await?);
            }
        }
        let Some(from) = rows.iter().map(|row| row.t).min() else { continue };
        let merged: Vec<_> = merge_rows(rows, coarse).into_iter().map(packed).collect();
        let what = Compaction { site, to_step_s: COARSE_STEP_S, from, to: before };
        traffic::compact(db, what, &merged).await?;
    }
    compact_series(insight, before).await
}

async fn compact_series(insight: &Insight, before: Timestamp) -> Result<(), Error> {
    let db = &insight.latest();
    let coarse = Duration::from_secs(u64::from(COARSE_STEP_S));
    let range = Range { step_s: COARSE_STEP_S, from: Timestamp::EPOCH, to: before };
    let samples = metric_series::list_all(db, range, COMPACT_MAX).await?;
    let Some(last) = samples.last().map(|sample| sample.recorded_at.0) else { return Ok(()) };
    // Cut short, the last step may be incomplete: it waits for the next time.
    let is_all = samples.len() < COMPACT_MAX as usize;
    let to = if is_all { before } else { last.floor_to(coarse) };
    let mut steps: BTreeMap<(Timestamp, String), (f64, u32)> = BTreeMap::new();
    for sample in samples.into_iter().filter(|sample| sample.recorded_at.0 < to) {
        let key = (sample.recorded_at.0.floor_to(coarse), sample.metric_name);
        let only_grows = !is_gauge(&key.1);
        let (value, count) = steps.entry(key).or_insert((0.0, 0));
        if only_grows {
            (*value, *count) = (sample.metric_value, 1);
        } else {
            (*value, *count) = (*value + sample.metric_value, *count + 1);
        }
    }
    let merged: Vec<Sample> = steps
        .into_iter()
        .map(|((t, metric_name), (sum, count))| Sample {
            metric_name,
            metric_value: sum / f64::from(count.max(1)),
            tags: None,
            recorded_at: Ts(t),
        })
        .collect();
    metric_series::compact(db, Range { to, ..range }, &merged).await?;
    Ok(())
}

/// A gauge's step is its mean; what only grows is its last value.
fn is_gauge(name: &str) -> bool {
    names::ALL.iter().any(|metric| metric.name == name && metric.kind == Kind::Gauge)
}

#[cfg(test)]
mod tests;
