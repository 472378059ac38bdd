//! `page_views`: one row per counted view of a page.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Timestamp, agent::AgentClass};
use uuid::Uuid;

use crate::query::step_micros;
use crate::sqlite::InOp;
use crate::sqlite::bulk::{Binder, Text};
use crate::{Bots, Cursor, Dimension, Engine, Error, KeyCount, Span, Ts};

/// One view of one page.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The event's id, 16–32 characters; ids that grow with time keep a commit to the end of the index: half the cost.
    pub id: String,
    /// Which site.
    pub site: Arc<str>,
    /// When the server received it.
    pub recorded_at: Timestamp,
    /// The browser's id of this page view, 16–32 characters.
    pub page_id: String,
    /// The visit it belongs to; none when the visitor opted out (GPC, DNT) or is a bot.
    pub session_id: Option<Uuid>,
    /// The daily rotating pseudonym; none when the visitor opted out.
    pub visitor_id: Option<Uuid>,
    /// Path without query or fragment, ≤ 1024 bytes.
    pub path: String,
    /// Referring site's host (lower case), none for direct and internal traffic.
    pub referrer_host: Option<String>,
    /// Referring page's path; none when opted out.
    pub referrer_path: Option<String>,
    /// Where the visit came from: `utm_source`/`ref`/`source`/`via` of its first page, else the referrer's host there;
    /// none = direct.
    pub source: Option<Arc<str>>,
    /// The remaining allowed campaign parameters as JSON text, none when there are none.
    pub campaign: Option<String>,
    /// Client kind.
    pub device: AgentClass,
    /// Browser family, ≤ 50 bytes.
    pub browser: Option<String>,
    /// Operating system family, ≤ 50 bytes.
    pub os: Option<String>,
    /// ISO 3166-1 alpha-2, when a country database is configured.
    pub country: Option<String>,
    /// Viewport width in CSS pixels.
    pub width: Option<i32>,
    /// Release of the site that was served.
    pub release: Option<String>,
    /// Why this was judged a bot; none = a person.
    pub bot_reason: Option<String>,
}

/// A repeated event meets its first copy and changes nothing.
pub(crate) const INSERT: Text = Text {
    head: "INSERT INTO page_views (id, site, recorded_at, page_id, session_id, visitor_id, path,
        referrer_host, referrer_path, source, campaign, device_type, browser, os, country_code, width,
        release, bot_reason)",
    columns: 18,
    tail: "ON CONFLICT (site, id) DO NOTHING",
};

/// Keys of the rows inserted last, by their hidden rowid.
pub(crate) const KEYS_AFTER: &str = "SELECT site, id FROM page_views WHERE rowid > $1";

pub(crate) fn bind(row: &&Row, to: &mut Binder) {
    to.text(&row.id)
        .shared(&row.site)
        .at(row.recorded_at)
        .text(&row.page_id)
        .add(row.session_id)
        .add(row.visitor_id)
        .text(&row.path)
        .maybe_text(row.referrer_host.as_deref())
        .maybe_text(row.referrer_path.as_deref())
        .maybe_shared(row.source.as_ref())
        .maybe_text(row.campaign.as_deref())
        .text(row.device.as_str())
        .maybe_text(row.browser.as_deref())
        .maybe_text(row.os.as_deref())
        .maybe_text(row.country.as_deref())
        .add(row.width)
        .maybe_text(row.release.as_deref())
        .maybe_text(row.bot_reason.as_deref());
}

/// One step of the series of visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Start of the step.
    pub t: Timestamp,
    /// Distinct visitors in it.
    pub visitors: i64,
    /// Page views in it.
    pub pageviews: i64,
}

/// The counting text for one column; `''` stands for a missing key in the order, so that a cursor can name it.
macro_rules! counted_by {
    ($column:literal) => {
        concat!(
            "SELECT ",
            $column,
            " AS key, count(DISTINCT visitor_id) AS visitors, count(*) AS pageviews ",
            "FROM page_views WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3 ",
            "AND CASE WHEN bot_reason IS NULL THEN 0 ELSE 1 END BETWEEN $4 AND $5 GROUP BY ",
            $column,
            " HAVING count(*) < $6 OR (count(*) = $6 AND coalesce(",
            $column,
            ", '') > $7) ",
            "ORDER BY pageviews DESC, coalesce(",
            $column,
            ", '') LIMIT $8"
        )
    };
}

fn counting(by: Dimension) -> &'static str {
    match by {
        Dimension::Path => counted_by!("path"),
        Dimension::Source => counted_by!("source"),
        Dimension::Device => counted_by!("device_type"),
        Dimension::Country => counted_by!("country_code"),
    }
}

/// Visitors and page views by key, most page views first, ties by key; `after` is the last row of the page before.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn count_by_key(
    db: &Engine,
    span: &Span<'_>,
    by: Dimension,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Vec<KeyCount>, Error> {
    let Engine::Sqlite(db) = db;
    let (low, high) = span.bots.bounds();
    let (pageviews, key) = Cursor::bounds(after.as_ref());
    sqlx::query_as(counting(by))
        .bind(span.site)
        .bind(Ts(span.from))
        .bind(Ts(span.to))
        .bind(low)
        .bind(high)
        .bind(pageviews)
        .bind(key)
        .bind(limit)
        .fetch_all(db.readers())
        .await
        .in_op("page_view.count_by_key")
}

const SERIES: &str =
    "SELECT recorded_at - recorded_at % $6 AS t, count(DISTINCT visitor_id), count(*)
         FROM page_views WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3
         AND CASE WHEN bot_reason IS NULL THEN 0 ELSE 1 END BETWEEN $4 AND $5
         GROUP BY t ORDER BY t";

/// Visitors and page views per step; steps without any are absent.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn series(db: &Engine, span: &Span<'_>, step: Duration) -> Result<Vec<Point>, Error> {
    let Engine::Sqlite(db) = db;
    let (low, high) = span.bots.bounds();
    let rows: Vec<(Ts, i64, i64)> = sqlx::query_as(SERIES)
        .bind(span.site)
        .bind(Ts(span.from))
        .bind(Ts(span.to))
        .bind(low)
        .bind(high)
        .bind(step_micros(step))
        .fetch_all(db.readers())
        .await
        .in_op("page_view.series")?;
    Ok(rows
        .into_iter()
        .map(|(t, visitors, pageviews)| Point { t: t.0, visitors, pageviews })
        .collect())
}

const SINCE: &str = "SELECT count(DISTINCT visitor_id) FROM page_views
         WHERE site = $1 AND recorded_at >= $2
         AND CASE WHEN bot_reason IS NULL THEN 0 ELSE 1 END BETWEEN $3 AND $4";

/// Distinct visitors with a page view since then.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn visitors_since(
    db: &Engine,
    site: &str,
    since: Timestamp,
    bots: Bots,
) -> Result<i64, Error> {
    let Engine::Sqlite(db) = db;
    let (low, high) = bots.bounds();
    sqlx::query_scalar(SINCE)
        .bind(site)
        .bind(Ts(since))
        .bind(low)
        .bind(high)
        .fetch_one(db.readers())
        .await
        .in_op("page_view.visitors_since")
}

const TOTAL: &str = "SELECT count(DISTINCT visitor_id), count(*) FROM page_views
         WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3
         AND CASE WHEN bot_reason IS NULL THEN 0 ELSE 1 END BETWEEN $4 AND $5";

/// Visitors and page views of the whole span in one row; `t` is the start of the span.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn total(db: &Engine, span: &Span<'_>) -> Result<Point, Error> {
    let Engine::Sqlite(db) = db;
    let (low, high) = span.bots.bounds();
    let (visitors, pageviews) = sqlx::query_as(TOTAL)
        .bind(span.site)
        .bind(Ts(span.from))
        .bind(Ts(span.to))
        .bind(low)
        .bind(high)
        .fetch_one(db.readers())
        .await
        .in_op("page_view.total")?;
    Ok(Point { t: span.from, visitors, pageviews })
}

/// Page views per minute, one entry for every minute that `from..to` touches, oldest first, empty minutes as 0.
/// At most one day.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn pageviews_per_minute(db: &Engine, span: &Span<'_>) -> Result<Vec<i64>, Error> {
    const MINUTE: Duration = Duration::from_secs(60);
    const MINUTES_MAX: i64 = 24 * 60;
    let first = span.from.floor_to(MINUTE).as_seconds() / 60;
    let last = (span.to.as_micros() - 1).div_euclid(60_000_000);
    let minutes = (last - first + 1).clamp(0, MINUTES_MAX);
    let mut counts = vec![0; usize::try_from(minutes).unwrap_or(0)];
    for point in series(db, span, MINUTE).await? {
        let index = usize::try_from(point.t.as_seconds() / 60 - first).unwrap_or(usize::MAX);
        if let Some(count) = counts.get_mut(index) {
            *count = point.pageviews;
        }
    }
    Ok(counts)
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    Dimension::ALL.map(counting).into_iter().chain([SERIES, SINCE, TOTAL]).collect()
}
