//! Web vitals by page, device, release or for the whole site: sketches merged, percentiles never averaged.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mainstay_store::{Error, Group, Span, performance_metric, rollup};

use super::tally::Windows;
use super::{Insight, VitalRow, split, tally_vitals};
use crate::vitals::{ByVital, Distribution, Vital};

/// From single measurements where the span is short, else from counted hours and the time since.
pub(super) async fn list(
    insight: &Insight,
    span: &Span<'_>,
    by: Group,
) -> Result<Vec<VitalRow>, Error> {
    if insight.is_long(span) {
        return list_merged(insight, span, by).await;
    }
    let insight = &insight.pinned();
    let mut values = performance_metric::stream_values(insight.db(), span, by);
    let mut ranking = Ranking::new(insight.tally().vital_keys_max);
    for (key, all) in tally_vitals(insight.tally(), &mut values).await? {
        ranking.offer(key, &all);
    }
    Ok(ranking.into_rows())
}

/// From counted hours wherever there are any: what can be asked every second.
pub(crate) async fn list_merged(
    insight: &Insight,
    span: &Span<'_>,
    by: Group,
) -> Result<Vec<VitalRow>, Error> {
    let insight = &insight.pinned();
    let (db, tally) = (insight.db(), insight.tally());
    let split = split(insight, span).await?;
    let mut values = performance_metric::stream_values(db, &split.tail, by);
    let mut recent = tally_vitals(tally, &mut values).await?;
    let mut ranking = Ranking::new(tally.vital_keys_max);
    let mut counted = Windows::of(rollup::stream_vitals(db, &split.closed, by));
    while let Some(window) = counted.next_window().await? {
        for (key, mut all) in window {
            if let Some(recent) = recent.remove(&key) {
                all.merge(&recent);
            }
            ranking.offer(key, &all);
        }
    }
    recent.into_iter().for_each(|(key, all)| ranking.offer(key, &all));
    Ok(ranking.into_rows())
}

/// The keys with most samples, ties by key: which they are does not depend on the order in which they come.
struct Ranking {
    keys_max: usize,
    kept: BTreeMap<(u64, Reverse<Option<String>>), Vec<VitalRow>>,
}

impl Ranking {
    fn new(keys_max: usize) -> Self {
        Self { keys_max, kept: BTreeMap::new() }
    }

    fn offer(&mut self, key: Option<String>, all: &ByVital) {
        let rank = (all.samples(), Reverse(key));
        if self.kept.len() >= self.keys_max {
            match self.kept.first_entry() {
                Some(least) if *least.key() < rank => drop(least.remove()),
                _ => return,
            }
        }
        let Reverse(key) = &rank.1;
        let rows = all.measured().filter_map(|(vital, all)| row(key.clone(), vital, all));
        let rows = rows.collect();
        self.kept.insert(rank, rows);
    }

    fn into_rows(self) -> Vec<VitalRow> {
        let mut rows: Vec<VitalRow> = self.kept.into_values().flatten().collect();
        rows.sort_by(|a, b| {
            let ties = || (&a.key, a.vital).cmp(&(&b.key, b.vital));
            b.samples.cmp(&a.samples).then_with(ties)
        });
        rows
    }
}

fn row(key: Option<String>, vital: Vital, all: &Distribution) -> Option<VitalRow> {
    let (p75, rating) = all.judge(vital)?;
    Some(VitalRow {
        key,
        vital,
        p75,
        rating,
        good: all.good,
        needs_improvement: all.needs_improvement,
        poor: all.poor,
        samples: all.samples(),
    })
}
