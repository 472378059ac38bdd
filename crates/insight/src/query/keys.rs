//! Visitors and page views by page, source, device or country.

use std::collections::HashMap;

use mainstay_store::{Cursor, Dimension, Engine, Error, KeyCount, Span, page_view, rollup};

use super::{Insight, Tally, split, tally_keys};
use crate::rollup::DAY;

pub(super) async fn list(
    insight: &Insight,
    span: &Span<'_>,
    by: Dimension,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Vec<KeyCount>, Error> {
    if !insight.is_long(span) {
        return page_view::count_by_key(insight.db(), span, by, after, limit).await;
    }
    let rows = count_long(&insight.pinned(), span, by).await?;
    let is_later =
        |row: &KeyCount| after.as_ref().is_none_or(|after| rank(row) > cursor_rank(after));
    Ok(rows.into_iter().filter(is_later).take(limit as usize).collect())
}

/// Counted hours plus the time since, ordered as a page of single events is.
pub(super) async fn count_long(
    insight: &Insight,
    span: &Span<'_>,
    by: Dimension,
) -> Result<Vec<KeyCount>, Error> {
    let (db, tally) = (insight.db(), insight.tally());
    let split = split(insight, span).await?;
    if split.closed.from == split.closed.to {
        let count = |after, limit| page_view::count_by_key(db, span, by, after, limit);
        return tally_keys(tally, count).await;
    }
    let mut rows =
        tally_keys(tally, |after, limit| rollup::count_by_key(db, &split.closed, by, after, limit))
            .await?;
    let places: HashMap<Option<String>, usize> =
        rows.iter().enumerate().map(|(at, row)| (row.key.clone(), at)).collect();
    for recent in count_tail(db, &split.tail, by, tally).await? {
        match places.get(&recent.key) {
            Some(&at) => {
                rows[at].pageviews += recent.pageviews;
                rows[at].visitors += recent.visitors;
            }
            None => rows.push(recent),
        }
    }
    rows.sort_by(|a, b| rank(a).cmp(&rank(b)));
    Ok(rows)
}

/// The time after the counted hours, with the visitors whom those do not know. Who came before on that day they know by
/// key: only the whole day's visitors are found among its events.
async fn count_tail(
    db: &Engine,
    tail: &Span<'_>,
    by: Dimension,
    tally: Tally,
) -> Result<Vec<KeyCount>, Error> {
    let raw = async |span: Span<'_>| {
        tally_keys(tally, |after, limit| page_view::count_by_key(db, &span, by, after, limit)).await
    };
    let mut keys = raw(*tail).await?;
    let midnight = tail.from.floor_to(DAY);
    if midnight == tail.from || keys.is_empty() {
        return Ok(keys);
    }
    let so_far = visitors(raw(Span { from: midnight, ..*tail }).await?);
    let counted = Span { from: midnight, to: tail.from, ..*tail };
    let count = |after, limit| rollup::count_by_key(db, &counted, by, after, limit);
    let earlier = visitors(tally_keys(tally, count).await?);
    for row in &mut keys {
        if let (Some(earlier), Some(so_far)) = (earlier.get(&row.key), so_far.get(&row.key)) {
            // Events may have been removed since they were counted.
            row.visitors = (so_far - earlier).max(0);
        }
    }
    Ok(keys)
}

fn visitors(rows: Vec<KeyCount>) -> HashMap<Option<String>, i64> {
    rows.into_iter().map(|row| (row.key, row.visitors)).collect()
}

/// Most page views first, ties by key, no key as the empty one.
fn rank(row: &KeyCount) -> (i64, &str) {
    (-row.pageviews, row.key.as_deref().unwrap_or(""))
}

fn cursor_rank(cursor: &Cursor) -> (i64, &str) {
    (-cursor.pageviews, cursor.key.as_deref().unwrap_or(""))
}
