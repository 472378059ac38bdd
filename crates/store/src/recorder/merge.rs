//! Rows of one group that would meet in the database, brought together before: PostgreSQL changes a row once per
//! statement. What wins here is what wins in the tables.

use std::collections::HashMap;
use std::hash::Hash;

use uuid::Uuid;

use super::keys::{Of, key};
use crate::tables::{engagement, performance_metric, report};

/// One row per measurement: the first one's id and time, the words of the last by the browser's clock.
pub(super) fn merge_vitals(
    rows: &[&performance_metric::Row],
) -> Vec<(Uuid, performance_metric::Row)> {
    let of = |row: &performance_metric::Row| {
        let parts = [row.page_id.as_str(), &row.metric_name, &row.navigation];
        key(Of::Measurement, &row.site, &parts)
    };
    in_order(merge(rows.iter().map(|row| (of(row), *row)), |kept, next| {
        if next.page_ms >= kept.page_ms {
            kept.value = next.value;
            kept.page_ms = next.page_ms;
            kept.rating.clone_from(&next.rating);
            kept.additional_data.clone_from(&next.additional_data);
        }
    }))
}

/// One row per page view: the largest of each.
pub(super) fn merge_engagement(rows: &[&engagement::Row]) -> Vec<(Uuid, engagement::Row)> {
    let of = |row: &engagement::Row| key(Of::EngagedPage, &row.site, &[&row.page_id]);
    in_order(merge(rows.iter().map(|row| (of(row), *row)), |kept, next| {
        kept.engaged_ms = kept.engaged_ms.max(next.engaged_ms);
        kept.scroll_percent = kept.scroll_percent.max(next.scroll_percent);
    }))
}

/// One row per site, hour and fingerprint, in that order: counts add up, the words are those of the latest.
pub(super) fn merge_reports<'a>(rows: impl Iterator<Item = &'a report::Row>) -> Vec<report::Row> {
    let of = |row: &report::Row| (row.site.clone(), row.hour(), row.fingerprint);
    let merged = merge(rows.map(|row| (of(row), row)), |kept, next| {
        let (count, first_seen) = (kept.count + next.count, kept.first_seen.min(next.first_seen));
        let last_seen = kept.last_seen.max(next.last_seen);
        *kept = report::Row { count, first_seen, last_seen, ..next.clone() };
    });
    let mut merged = merged;
    merged.sort_by(|(a, _), (b, _)| a.cmp(b));
    merged.into_iter().map(|(_, row)| row).collect()
}

/// In the order of their keys, so that two processes do not wait for each other in a ring.
fn in_order<R>(mut rows: Vec<(Uuid, R)>) -> Vec<(Uuid, R)> {
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows
}

fn merge<'a, K: Clone + Eq + Hash, R: Clone + 'a>(
    rows: impl Iterator<Item = (K, &'a R)>,
    add: impl Fn(&mut R, &R),
) -> Vec<(K, R)> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut merged: Vec<(K, R)> = Vec::new();
    for (key, row) in rows {
        match places.get(&key) {
            Some(place) => add(&mut merged[*place].1, row),
            None => {
                places.insert(key.clone(), merged.len());
                merged.push((key, row.clone()));
            }
        }
    }
    merged
}
