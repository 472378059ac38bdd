//! Five minutes of points, one a second: of every site and of all together, as small as the charts allow. Touches no clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mainstay_telemetry::http::{Tallies, Tally, Totals};
use mainstay_telemetry::sketch::Snapshot as Latencies;

use super::STEP;
use super::wire::{History, Percentiles, Rate, Split};
use crate::v1::scope::Scope;

/// Points of history, one a step.
const HISTORY_POINTS: u64 = 300;
/// Seconds behind the "last minute" percentiles.
const MINUTE_POINTS: usize = 60;

/// What happened in one step.
pub(super) struct Point {
    /// Which step since the start; a late process skips some.
    pub(super) step: u64,
    /// End of the step, in unix seconds.
    pub(super) at: i64,
    /// Steps it covers: more than one after a late one.
    pub(super) steps: u64,
    whole: Counted,
    /// Sites that were asked for something.
    sites: BTreeMap<Arc<str>, Counted>,
}

/// One step of one site. A sketch as it is takes 7 KiB; encoded it is a fraction of that.
#[derive(Default)]
struct Counted {
    totals: Totals,
    latency: Percentiles,
    split: Option<Split>,
    sketches: Sketches,
}

/// Encoded; empty where nothing was measured.
#[derive(Default)]
struct Sketches {
    latency: Vec<u8>,
    upstream: Vec<u8>,
    ours: Vec<u8>,
}

/// What is shown of a scope at this moment.
pub(super) struct Recent {
    pub(super) rate: Rate,
    pub(super) second: Percentiles,
    pub(super) minute: Percentiles,
    pub(super) split_second: Option<Split>,
    pub(super) split_minute: Option<Split>,
}

/// The points of the last five minutes.
#[derive(Default)]
pub(super) struct Points(VecDeque<Point>);

impl Point {
    pub(super) fn new(step: u64, at: i64, steps: u64, since: &Tallies) -> Self {
        let sites = since.sites.iter().filter(|(_, tally)| !tally.is_empty());
        Self {
            step,
            at,
            steps,
            whole: Counted::of(&since.whole),
            sites: sites.map(|(name, tally)| (Arc::clone(name), Counted::of(tally))).collect(),
        }
    }

    /// None when the site was not asked for anything.
    fn of(&self, scope: &Scope) -> Option<&Counted> {
        match &scope.0 {
            Some(name) => self.sites.get(name),
            None => Some(&self.whole),
        }
    }

    fn totals(&self, scope: &Scope) -> Totals {
        let totals = self.of(scope).map(|counted| counted.totals).unwrap_or_default();
        // Refused before they reached a site: the same number, whichever is looked at.
        Totals { refused: self.whole.totals.refused, ..totals }
    }

    fn rate(&self, scope: &Scope) -> Rate {
        let totals = self.totals(scope);
        let a_second = |count: u64| count as f64 / self.steps as f64;
        Rate {
            requests: a_second(totals.requests),
            errors: a_second(totals.errors),
            refused: a_second(totals.refused),
            bytes: a_second(totals.bytes),
        }
    }
}

impl Counted {
    fn of(tally: &Tally) -> Self {
        let encoded = |latencies: &Latencies| match latencies.count() {
            0 => Vec::new(),
            _ => latencies.encode(),
        };
        let split = tally.split.as_ref();
        Self {
            totals: tally.totals,
            latency: Percentiles::of(&tally.latency),
            split: split.and_then(|split| Split::of(&split.upstream, &split.ours)),
            sketches: Sketches {
                latency: encoded(&tally.latency),
                upstream: split.map(|split| encoded(&split.upstream)).unwrap_or_default(),
                ours: split.map(|split| encoded(&split.ours)).unwrap_or_default(),
            },
        }
    }
}

impl Points {
    pub(super) fn remember(&mut self, point: Point) {
        let points = &mut self.0;
        while points.front().is_some_and(|first| first.step + HISTORY_POINTS <= point.step) {
            points.pop_front();
        }
        points.push_back(point);
    }

    /// Columns with one place per step, whether or not somebody reported: places tell the time.
    pub(super) fn history(&self, scope: &Scope) -> History {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else {
            return History::default();
        };
        let span = last.step - first.step;
        let series = |of: &dyn Fn(Totals) -> u64| {
            self.column(span, first.step, |point| Some(of(point.totals(scope))))
        };
        let times = |of: &dyn Fn(&Counted) -> Option<f64>| {
            self.column(span, first.step, |point| of(point.of(scope)?))
        };
        History {
            t0: last.at - span as i64,
            step_s: STEP.as_secs(),
            requests: series(&|totals| totals.requests),
            errors: series(&|totals| totals.errors),
            refused: series(&|totals| totals.refused),
            p50_ms: times(&|counted| counted.latency.p50),
            p95_ms: times(&|counted| counted.latency.p95),
            p99_ms: times(&|counted| counted.latency.p99),
            upstream_p50_ms: times(&|counted| Some(counted.split?.upstream_p50)),
            upstream_p95_ms: times(&|counted| Some(counted.split?.upstream_p95)),
            ours_p50_ms: times(&|counted| Some(counted.split?.ours_p50)),
            ours_p95_ms: times(&|counted| Some(counted.split?.ours_p95)),
        }
    }

    fn column<T: Clone>(
        &self,
        span: u64,
        first: u64,
        of: impl Fn(&Point) -> Option<T>,
    ) -> Vec<Option<T>> {
        let mut column = vec![None; span as usize + 1];
        for point in &self.0 {
            column[(point.step - first) as usize] = of(point);
        }
        column
    }

    pub(super) fn recent(&self, scope: &Scope) -> Recent {
        let minute = self.0.iter().rev().take(MINUTE_POINTS).filter_map(|point| point.of(scope));
        let [mut latency, mut upstream, mut ours] = [(); 3].map(|()| Latencies::empty());
        for counted in minute {
            let sketches = &counted.sketches;
            add(&mut latency, &sketches.latency);
            add(&mut upstream, &sketches.upstream);
            add(&mut ours, &sketches.ours);
        }
        let last = self.0.back();
        let counted = last.and_then(|point| point.of(scope));
        Recent {
            rate: last.map_or_else(Rate::default, |point| point.rate(scope)),
            second: counted.map_or_else(Percentiles::default, |counted| counted.latency),
            minute: Percentiles::of(&latency),
            split_second: counted.and_then(|counted| counted.split),
            split_minute: Split::of(&upstream, &ours),
        }
    }
}

/// Our own encoding a moment ago: it can be read, or there is nothing.
fn add(sum: &mut Latencies, encoded: &[u8]) {
    if let Ok(latencies) = Latencies::decode(encoded) {
        sum.merge(&latencies);
    }
}

#[cfg(test)]
mod tests;
