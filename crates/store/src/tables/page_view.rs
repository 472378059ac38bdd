//! `page_views`: one row per counted view of a page.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Timestamp, agent::AgentClass};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ask::ask;
use crate::bulk::{Binder, Kind, Table};
use crate::query::step_micros;
use crate::sql::{Sql, sql};
use crate::{Bots, Cursor, Dimension, Engine, Error, KeyCount, Span, Ts};

/// One view of one page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
pub(crate) const INSERT: Table = Table {
    name: "page_views",
    columns: &[
        ("id", Kind::Text),
        ("site", Kind::Text),
        ("recorded_at", Kind::Time),
        ("page_id", Kind::Text),
        ("session_id", Kind::Id),
        ("visitor_id", Kind::Id),
        ("path", Kind::Text),
        ("referrer_host", Kind::Text),
        ("referrer_path", Kind::Text),
        ("source", Kind::Text),
        ("campaign", Kind::Json),
        ("device_type", Kind::Text),
        ("browser", Kind::Text),
        ("os", Kind::Text),
        ("country_code", Kind::Text),
        ("width", Kind::Small),
        ("release", Kind::Text),
        ("bot_reason", Kind::Text),
    ],
    tail: sql!(sqlite: "ON CONFLICT (site, id) DO NOTHING", postgres: "ON CONFLICT DO NOTHING"),
};

/// Keys of the rows inserted last, by their hidden rowid.
pub(crate) const KEYS_AFTER: &str = "SELECT site, id FROM page_views WHERE rowid > $1";

pub(crate) fn bind<'r>(row: &&'r Row, to: &mut Binder<'r>) {
    to.text(&row.id)
        .shared(&row.site)
        .at(row.recorded_at)
        .text(&row.page_id)
        .maybe_id(row.session_id)
        .maybe_id(row.visitor_id)
        .text(&row.path)
        .maybe_text(row.referrer_host.as_deref())
        .maybe_text(row.referrer_path.as_deref())
        .maybe_shared(row.source.as_ref())
        .maybe_json(row.campaign.as_deref())
        .text(row.device.as_str())
        .maybe_text(row.browser.as_deref())
        .maybe_text(row.os.as_deref())
        .maybe_text(row.country.as_deref())
        .maybe_small(row.width)
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
        sql!(concat!(
            "SELECT ",
            $column,
            " AS key, count(DISTINCT visitor_id) AS visitors, count(*) AS pageviews ",
            "FROM mainstay.page_views WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3 ",
            "AND (bot_reason IS NOT NULL) BETWEEN $4 AND $5 GROUP BY ",
            $column,
            " HAVING count(*) < $6 OR (count(*) = $6 AND coalesce(",
            $column,
            ", '') > $7) ",
            "ORDER BY pageviews DESC, coalesce(",
            $column,
            ", '') LIMIT $8"
        ))
    };
}

fn counting(by: Dimension) -> Sql {
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
    let (low, high) = span.bots.bounds();
    let (pageviews, key) = Cursor::bounds(after.as_ref());
    ask!(
        db,
        "page_view.count_by_key",
        query_as(counting(by)).fetch_all,
        span.site,
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        pageviews,
        key,
        i64::from(limit),
    )
}

macro_rules! series {
    ($t:literal) => {
        concat!(
            "SELECT ",
            $t,
            " AS t, count(DISTINCT visitor_id), count(*) ",
            "FROM mainstay.page_views WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3 ",
            "AND (bot_reason IS NOT NULL) BETWEEN $4 AND $5 GROUP BY 1 ORDER BY 1"
        )
    };
}
const SERIES: Sql = sql!(
    sqlite: series!("recorded_at - recorded_at % $6"),
    postgres: series!("date_bin($6 * INTERVAL '1 microsecond', recorded_at, TIMESTAMPTZ 'epoch')"),
);

/// Visitors and page views per step; steps without any are absent.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn series(db: &Engine, span: &Span<'_>, step: Duration) -> Result<Vec<Point>, Error> {
    let (low, high) = span.bots.bounds();
    let rows: Vec<(Ts, i64, i64)> = ask!(
        db,
        "page_view.series",
        query_as(SERIES).fetch_all,
        span.site,
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        step_micros(step),
    )?;
    Ok(rows
        .into_iter()
        .map(|(t, visitors, pageviews)| Point { t: t.0, visitors, pageviews })
        .collect())
}

const SINCE: Sql = sql!(
    "SELECT count(DISTINCT visitor_id) FROM mainstay.page_views
     WHERE site = $1 AND recorded_at >= $2 AND (bot_reason IS NOT NULL) BETWEEN $3 AND $4"
);

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
    let (low, high) = bots.bounds();
    ask!(db, "page_view.visitors_since", query_scalar(SINCE).fetch_one, site, Ts(since), low, high,)
}

const TOTAL: Sql = sql!(
    "SELECT count(DISTINCT visitor_id), count(*) FROM mainstay.page_views
     WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3
     AND (bot_reason IS NOT NULL) BETWEEN $4 AND $5"
);

/// Visitors and page views of the whole span in one row; `t` is the start of the span.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn total(db: &Engine, span: &Span<'_>) -> Result<Point, Error> {
    let (low, high) = span.bots.bounds();
    let (visitors, pageviews) = ask!(
        db,
        "page_view.total",
        query_as(TOTAL).fetch_one,
        span.site,
        Ts(span.from),
        Ts(span.to),
        low,
        high,
    )?;
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
pub(crate) fn list_texts() -> Vec<Sql> {
    Dimension::ALL.map(counting).into_iter().chain([SERIES, SINCE, TOTAL]).collect()
}
