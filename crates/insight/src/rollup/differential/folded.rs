//! Day rows beside the hours they were folded of.

use std::collections::BTreeMap;

use mainstay_store::rollup;
use mainstay_store::{Bots, Dimension, Engine, Group, Span};

use super::super::HOUR;
use super::super::fold::SETTLED;
use crate::query::{Distributions, Windows};
use crate::vitals::Vital;

/// Everything that is counted and has settled is folded, and day rows say what the hours say: those are what a span is read from that
/// holds no day whole.
pub(super) async fn assert_folded(db: &Engine, span: &Span<'_>) {
    let over = rollup::watermark(db, "default").await.expect("a mark").expect("counted");
    let unfolded = rollup::list_unfolded(db, "default", over.minus(SETTLED), 9).await;
    assert_eq!(unfolded.expect("days"), []);
    for bots in [Bots::Exclude, Bots::Only] {
        let whole = Span { to: over, bots, ..*span };
        let hours = std::iter::successors(Some(whole.from), |hour| Some(hour.plus(HOUR)));
        let hours = hours.take_while(|hour| *hour < over);
        let hours: Vec<_> = hours.map(|from| Span { from, to: from.plus(HOUR), ..whole }).collect();
        for by in Dimension::ALL {
            let days = count(db, &[whole], by).await;
            assert!(!days.is_empty(), "{by:?}");
            assert_eq!(days, count(db, &hours, by).await, "{by:?}");
        }
        for group in Group::ALL {
            let days = merge(db, &[whole], group).await;
            assert!(!days.is_empty(), "{group:?}");
            assert_eq!(days, merge(db, &hours, group).await, "{group:?}");
        }
    }
}

/// Views and visitors by key, added up over the spans.
async fn count(
    db: &Engine,
    spans: &[Span<'_>],
    by: Dimension,
) -> BTreeMap<Option<String>, (i64, i64)> {
    let mut sums: BTreeMap<_, (i64, i64)> = BTreeMap::new();
    for span in spans {
        for row in rollup::count_by_key(db, span, by, None, u32::MAX).await.expect("keys") {
            let sum = sums.entry(row.key).or_default();
            *sum = (sum.0 + row.pageviews, sum.1 + row.visitors);
        }
    }
    sums
}

/// Counts by rating and some percentiles of every key and vital.
async fn merge(
    db: &Engine,
    spans: &[Span<'_>],
    group: Group,
) -> Vec<((Option<String>, Vital), [u64; 3], [Option<f64>; 2])> {
    let mut found = Distributions::new();
    for span in spans {
        let mut counted = Windows::of(rollup::stream_vitals(db, span, group));
        while let Some(window) = counted.next_window().await.expect("vitals") {
            window.iter().for_each(|(key, all)| found.entry(key.clone()).or_default().merge(all));
        }
    }
    let said = found.iter().flat_map(|(key, all)| {
        all.measured().map(|(vital, all)| {
            let counts = [all.good, all.needs_improvement, all.poor];
            ((key.clone(), vital), counts, [all.p75(), all.p95()])
        })
    });
    said.collect()
}
