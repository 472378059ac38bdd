//! `engagement`: how long and how far one page view was really read; the largest report wins.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ask::ask;
use crate::bulk::{Binder, Kind, Table};
use crate::query::step_micros;
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Span, Ts};

/// The engagement with one page view so far. Key: (site, page_id).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
/// On PostgreSQL the recorder knows which pages are new, and [`RAISE`]s the others.
pub(crate) const UPSERT: Table = Table {
    name: "engagement",
    columns: &[
        ("id", Kind::Text),
        ("site", Kind::Text),
        ("page_id", Kind::Text),
        ("recorded_at", Kind::Time),
        ("session_id", Kind::Id),
        ("path", Kind::Text),
        ("engaged_ms", Kind::Int),
        ("scroll_percent", Kind::Small),
        ("bot", Kind::Flag),
    ],
    tail: sql!(
        sqlite: "ON CONFLICT (site, id) DO NOTHING
            ON CONFLICT (site, page_id) DO UPDATE SET
            engaged_ms = max(engagement.engaged_ms, excluded.engaged_ms),
            scroll_percent = max(engagement.scroll_percent, excluded.scroll_percent)
            WHERE excluded.engaged_ms > engagement.engaged_ms
            OR excluded.scroll_percent > engagement.scroll_percent",
        postgres: "ON CONFLICT DO NOTHING",
    ),
};

/// Columns of [`RAISE`], one array each.
pub(crate) const RAISED: [(&str, Kind); 5] = [
    ("site", Kind::Text),
    ("page_id", Kind::Text),
    ("recorded_at", Kind::Time),
    ("engaged_ms", Kind::Int),
    ("scroll_percent", Kind::Small),
];

/// Larger reports about pages that are known, found by the time of their first one.
pub(crate) const RAISE: &str = "UPDATE mainstay.engagement e SET
    engaged_ms = greatest(e.engaged_ms, r.engaged_ms),
    scroll_percent = greatest(e.scroll_percent, r.scroll_percent)
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::integer[])
        AS r(site, page_id, recorded_at, engaged_ms, scroll_percent)
    WHERE e.site = r.site AND e.recorded_at = r.recorded_at AND e.page_id = r.page_id
    AND (r.engaged_ms > e.engaged_ms OR r.scroll_percent > e.scroll_percent)";

pub(crate) fn bind<'r>(row: &&'r Row, to: &mut Binder<'r>) {
    to.text(&row.id)
        .shared(&row.site)
        .text(&row.page_id)
        .at(row.recorded_at)
        .maybe_id(row.session_id)
        .text(&row.path)
        .int(row.engaged_ms)
        .small(row.scroll_percent)
        .flag(row.bot);
}

pub(crate) fn bind_raised<'r>(row: &'r Row, first: Timestamp, to: &mut Binder<'r>) {
    to.shared(&row.site).text(&row.page_id).at(first).int(row.engaged_ms).small(row.scroll_percent);
}

/// One step of the series of engaged time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Start of the step.
    pub t: Timestamp,
    /// Engaged milliseconds of the page views first heard of in it.
    pub engaged_ms: i64,
}

macro_rules! series {
    ($t:literal) => {
        concat!(
            "SELECT ",
            $t,
            " AS t, CAST(sum(engaged_ms) AS BIGINT) ",
            "FROM mainstay.engagement WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3 ",
            "AND bot BETWEEN $4 AND $5 GROUP BY 1 ORDER BY 1"
        )
    };
}
const SERIES: Sql = sql!(
    sqlite: series!("recorded_at - recorded_at % $6"),
    postgres: series!("date_bin($6 * INTERVAL '1 microsecond', recorded_at, TIMESTAMPTZ 'epoch')"),
);

/// Engaged time per step; steps without any are absent.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn series(db: &Engine, span: &Span<'_>, step: Duration) -> Result<Vec<Point>, Error> {
    let (low, high) = span.bots.bounds();
    let rows: Vec<(Ts, i64)> = ask!(
        db,
        "engagement.series",
        query_as(SERIES).fetch_all,
        span.site,
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        step_micros(step),
    )?;
    Ok(rows.into_iter().map(|(t, engaged_ms)| Point { t: t.0, engaged_ms }).collect())
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![SERIES]
}
