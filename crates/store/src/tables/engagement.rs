//! `engagement`: how long and how far one page view was really read; the largest report wins.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;
use uuid::Uuid;

use crate::query::step_micros;
use crate::sqlite::InOp;
use crate::sqlite::bulk::{Binder, Text};
use crate::{Engine, Error, Span, Ts};

/// The engagement with one page view so far. Key: (site, page_id).
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The event's id, 16–32 characters. Of several reports about one page view, the first one's.
    pub id: String,
    /// Which site.
    pub site: Arc<str>,
    /// The browser's id of the page view.
    pub page_id: String,
    /// When the server first received it.
    pub recorded_at: Timestamp,
    /// The visit it belongs to.
    pub session_id: Option<Uuid>,
    /// Path without query or fragment.
    pub path: String,
    /// Engaged (visible and focused) milliseconds, total of this page view.
    pub engaged_ms: i64,
    /// Deepest scroll position in percent, 0–100.
    pub scroll_percent: i32,
    /// Judged a bot.
    pub bot: bool,
}

/// An event that was sent before changes nothing, whichever page it names. Of the other reports the largest wins; the
/// time of the first one and its id stay.
pub(crate) const UPSERT: Text = Text {
    head: "INSERT INTO engagement (id, site, page_id, recorded_at, session_id, path, engaged_ms,
        scroll_percent, bot)",
    columns: 9,
    tail: "ON CONFLICT (site, id) DO NOTHING
        ON CONFLICT (site, page_id) DO UPDATE SET
        engaged_ms = max(engagement.engaged_ms, excluded.engaged_ms),
        scroll_percent = max(engagement.scroll_percent, excluded.scroll_percent)
        WHERE excluded.engaged_ms > engagement.engaged_ms
        OR excluded.scroll_percent > engagement.scroll_percent",
};

pub(crate) fn bind(row: &&Row, to: &mut Binder) {
    to.text(&row.id)
        .shared(&row.site)
        .text(&row.page_id)
        .at(row.recorded_at)
        .add(row.session_id)
        .text(&row.path)
        .add(row.engaged_ms)
        .add(row.scroll_percent)
        .add(row.bot);
}

/// One step of the series of engaged time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Start of the step.
    pub t: Timestamp,
    /// Engaged milliseconds of the page views first heard of in it.
    pub engaged_ms: i64,
}

const SERIES: &str = "SELECT recorded_at - recorded_at % $6 AS t, sum(engaged_ms)
         FROM engagement WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3
         AND bot BETWEEN $4 AND $5 GROUP BY t ORDER BY t";

/// Engaged time per step; steps without any are absent.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn series(db: &Engine, span: &Span<'_>, step: Duration) -> Result<Vec<Point>, Error> {
    let Engine::Sqlite(db) = db;
    let (low, high) = span.bots.bounds();
    let rows: Vec<(Ts, i64)> = sqlx::query_as(SERIES)
        .bind(span.site)
        .bind(Ts(span.from))
        .bind(Ts(span.to))
        .bind(low)
        .bind(high)
        .bind(step_micros(step))
        .fetch_all(db.readers())
        .await
        .in_op("engagement.series")?;
    Ok(rows.into_iter().map(|(t, engaged_ms)| Point { t: t.0, engaged_ms }).collect())
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    vec![SERIES]
}
