//! Web vitals by page, device, release or for the whole site: sketches merged, percentiles never averaged.

use mainstay_store::{Error, Group, Span, performance_metric, rollup};

use super::tally::{Distributions, add_counted};
use super::{Insight, VitalRow, split, tally_vitals};
use crate::vitals::{Distribution, Vital};

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
    Ok(rows(tally_vitals(insight.tally(), &mut values).await?))
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
    let mut found = tally_vitals(tally, &mut values).await?;
    let mut counted = rollup::stream_vitals(db, &split.closed, by);
    add_counted(&mut found, tally, &mut counted).await?;
    Ok(rows(found))
}

fn rows(found: Distributions) -> Vec<VitalRow> {
    let row = |((key, vital), all): ((Option<String>, Vital), Distribution)| {
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
    };
    let mut rows: Vec<VitalRow> = found.into_iter().filter_map(row).collect();
    // Stable: ties stay in the order of key and vital.
    rows.sort_by_key(|row| std::cmp::Reverse(row.samples));
    rows
}
