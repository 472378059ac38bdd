//! Questions answered from counted hours, and from day rows where hours are folded. They are added up; nothing here looks at
//! single events.

use std::time::Duration;

use mainstay_base::Timestamp;

use crate::ask::ask;
use crate::query::step_micros;
use crate::sql::{Sql, sql};
use crate::{Cursor, Dimension, Engine, Error, KeyCount, Span, Ts};

/// One step of the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Start of the step.
    pub t: Timestamp,
    /// Visitors, distinct within each hour.
    pub visitors: i64,
    /// Page views.
    pub pageviews: i64,
    /// Visits that began.
    pub sessions: i64,
    /// Those with one page view and no named event.
    pub bounces: i64,
    /// Engaged milliseconds.
    pub engaged_ms: i64,
}

/// Every row of a table that meets a condition on the day `f`, through the table's key. The order of the two is said, not
/// left to be found: a table that grew since it was last looked at is taken for small, and read whole for every day.
macro_rules! of_day {
    (sqlite $table:literal, $condition:expr) => {
        concat!("FROM mainstay.rollup_day f CROSS JOIN mainstay.", $table, " r ON ", $condition)
    };
    (postgres $table:literal, $condition:expr) => {
        concat!(
            "FROM mainstay.rollup_day f CROSS JOIN LATERAL (SELECT * FROM mainstay.",
            $table,
            " r WHERE ",
            $condition,
            " OFFSET 0) r"
        )
    };
}
pub(super) use of_day;

/// Where day rows are read: of the days that a span holds as far as they are folded; `$keys` narrows it down further.
macro_rules! days {
    ($engine:ident $table:literal) => {
        days!($engine $table, "")
    };
    (sqlite $table:literal, $keys:literal) => {
        days!(sqlite $table, $keys, "3600000000")
    };
    (postgres $table:literal, $keys:literal) => {
        days!(postgres $table, $keys, "INTERVAL '1 hour'")
    };
    ($engine:ident $table:literal, $keys:literal, $hour:literal) => {
        concat!(
            of_day!(
                $engine $table,
                concat!(
                    "r.site = $1 AND r.dimension = $2 AND r.day = f.day AND r.bot BETWEEN $5 AND $6",
                    $keys
                )
            ),
            " WHERE f.site = $1 AND f.day >= $3 AND f.day < $4 AND f.hours > 0 AND f.day + f.hours * ",
            $hour,
            " <= $4"
        )
    };
}
pub(super) use days;

/// Where the hours beside [`days`] are read: those of the other days, and those that are not folded yet. Both in one
/// statement see one state, in which an hour is in one of them.
macro_rules! hours {
    ($engine:ident $table:literal) => {
        hours!($engine $table, "")
    };
    (sqlite $table:literal, $keys:literal) => {
        hours!(sqlite $table, $keys, "3600000000", "86400000000", "max", "min")
    };
    (postgres $table:literal, $keys:literal) => {
        hours!(postgres $table, $keys, "INTERVAL '1 hour'", "INTERVAL '24 hours'", "greatest", "least")
    };
    ($engine:ident $table:literal, $keys:literal, $hour:literal, $day:literal, $max:literal, $min:literal) => {
        concat!(
            of_day!(
                $engine $table,
                concat!(
                    "r.site = $1 AND r.dimension = $2 AND r.bot BETWEEN $5 AND $6",
                    $keys,
                    " AND r.hour >= CASE WHEN f.day >= $3 AND f.day + f.hours * ",
                    $hour,
                    " <= $4 THEN f.day + f.hours * ",
                    $hour,
                    " ELSE ",
                    $max,
                    "(f.day, $3) END AND r.hour < ",
                    $min,
                    "(f.day + ",
                    $day,
                    ", $4)"
                )
            ),
            " WHERE f.site = $1 AND f.day > $3 - ",
            $day,
            " AND f.day < $4"
        )
    };
}
pub(super) use hours;

macro_rules! counts {
    ($engine:ident) => {
        concat!(
            "SELECT nullif(parts.key, '') AS key, CAST(sum(visitors) AS BIGINT) AS visitors,
            CAST(sum(pageviews) AS BIGINT) AS pageviews FROM (SELECT r.key, r.visitors, r.pageviews ",
            days!($engine "rollup_day_key"),
            " UNION ALL SELECT r.key, r.visitors, r.pageviews ",
            hours!($engine "rollup_key"),
            ") AS parts GROUP BY parts.key
            HAVING sum(parts.pageviews) < $7 OR (sum(parts.pageviews) = $7 AND parts.key > $8)
            ORDER BY 3 DESC, parts.key LIMIT $9"
        )
    };
}
const COUNTS: Sql = sql!(sqlite: counts!(sqlite), postgres: counts!(postgres));

/// Visitors and page views by key over the hours that begin in `span`, ordered as `page_view::count_by_key`.
/// Visitors are added up over hours: what a sum of hours means is what [`super::KeyRow::visitors`] was counted as.
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
        "rollup.count_by_key",
        query_as(COUNTS).fetch_all,
        span.site,
        by.as_str(),
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        pageviews,
        key,
        i64::from(limit),
    )
}

macro_rules! visitors {
    ($engine:ident, $day:literal, $hour:literal) => {
        concat!(
            "SELECT t, CAST(sum(visitors) AS BIGINT) FROM (SELECT ",
            $day,
            " AS t, r.visitors ",
            days!($engine "rollup_day_key"),
            " UNION ALL SELECT ",
            $hour,
            ", r.visitors ",
            hours!($engine "rollup_key"),
            ") AS parts GROUP BY t ORDER BY t"
        )
    };
}
const VISITORS: Sql = sql!(
    sqlite: visitors!(sqlite, "r.day - r.day % $7", "r.hour - r.hour % $7"),
    postgres: visitors!(
        postgres,
        "date_bin($7 * INTERVAL '1 microsecond', r.day, TIMESTAMPTZ 'epoch')",
        "date_bin($7 * INTERVAL '1 microsecond', r.hour, TIMESTAMPTZ 'epoch')"
    ),
);

/// Visitors of all keys added up, per step of whole days; steps without any are absent. What a sum means says
/// [`count_by_key`].
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn sum_visitors(
    db: &Engine,
    span: &Span<'_>,
    by: Dimension,
    step: Duration,
) -> Result<Vec<(Timestamp, i64)>, Error> {
    let (low, high) = span.bots.bounds();
    let rows: Vec<(Ts, i64)> = ask!(
        db,
        "rollup.sum_visitors",
        query_as(VISITORS).fetch_all,
        span.site,
        by.as_str(),
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        step_micros(step),
    )?;
    Ok(rows.into_iter().map(|(t, visitors)| (t.0, visitors)).collect())
}

macro_rules! series {
    ($t:literal) => {
        concat!(
            "SELECT ",
            $t,
            " AS t, CAST(sum(visitors) AS BIGINT), CAST(sum(pageviews) AS BIGINT),
            CAST(sum(sessions) AS BIGINT), CAST(sum(bounces) AS BIGINT), CAST(sum(engaged_ms) AS BIGINT)
            FROM mainstay.rollup_total WHERE site = $1 AND hour >= $2 AND hour < $3
            AND bot BETWEEN $4 AND $5 GROUP BY 1 ORDER BY 1"
        )
    };
}
const SERIES: Sql = sql!(
    sqlite: series!("hour - hour % $6"),
    postgres: series!("date_bin($6 * INTERVAL '1 microsecond', hour, TIMESTAMPTZ 'epoch')"),
);

/// Totals per step (at least an hour) over the hours that begin in `span`; steps without any are absent.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn series(db: &Engine, span: &Span<'_>, step: Duration) -> Result<Vec<Point>, Error> {
    let (low, high) = span.bots.bounds();
    let rows: Vec<(Ts, i64, i64, i64, i64, i64)> = ask!(
        db,
        "rollup.series",
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
        .map(|(t, visitors, pageviews, sessions, bounces, engaged_ms)| Point {
            t: t.0,
            visitors,
            pageviews,
            sessions,
            bounces,
            engaged_ms,
        })
        .collect())
}

/// What is asked, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![COUNTS, VISITORS, SERIES]
}
