//! Questions answered from counted hours. Hours are added up; nothing here looks at single events.

use std::time::Duration;

use mainstay_base::Timestamp;

use crate::ask::ask;
use crate::query::step_micros;
use crate::sql::{Sql, sql};
use crate::{Cursor, Dimension, Engine, Error, Group, KeyCount, Span, Ts};

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

/// One vital of one key in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vital {
    /// Start of the hour.
    pub hour: Timestamp,
    /// The key; none for the whole site or an unnamed release.
    pub key: Option<String>,
    /// `LCP`, `INP`, `CLS`, `FCP`, `TTFB`.
    pub name: String,
    /// People or bots.
    pub bot: bool,
    /// Encoded, mergeable sketch of the values.
    pub sketch: Vec<u8>,
    /// Measurements rated good.
    pub good: i64,
    /// Measurements rated as needing improvement.
    pub needs_improvement: i64,
    /// Measurements rated poor.
    pub poor: i64,
}

const COUNTS: Sql = sql!(
    "SELECT nullif(r.key, '') AS key, CAST(sum(visitors) AS BIGINT) AS visitors,
     CAST(sum(pageviews) AS BIGINT) AS pageviews
     FROM mainstay.rollup_key r WHERE site = $1 AND dimension = $2 AND hour >= $3 AND hour < $4
     AND bot BETWEEN $5 AND $6 GROUP BY r.key
     HAVING sum(r.pageviews) < $7 OR (sum(r.pageviews) = $7 AND r.key > $8)
     ORDER BY 3 DESC, r.key LIMIT $9"
);

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

/// Counted vitals, read page by page because each carries a sketch.
#[derive(Debug)]
pub struct Vitals<'a> {
    db: &'a Engine,
    span: Span<'a>,
    group: Group,
    after: Option<(Timestamp, String, String, bool)>,
    done: bool,
}

/// Rows per page of [`Vitals`].
const PAGE_ROWS: u32 = 1_024;

/// No vital's name is empty, so that the empty name comes before all of them.
const VITALS: Sql = sql!(
    "SELECT hour, key, name, bot, sketch, good, needs_improvement, poor FROM mainstay.rollup_vital
     WHERE site = $1 AND dimension = $2 AND hour >= $3 AND hour < $4
     AND (hour, key, name, bot) > ($3, $5, $6, $7) AND bot BETWEEN $8 AND $9
     ORDER BY hour, key, name, bot LIMIT $10"
);

type VitalTuple = (Ts, String, String, bool, Vec<u8>, i64, i64, i64);

/// The vitals of the hours that begin in `span`, oldest first.
#[must_use]
pub fn stream_vitals<'a>(db: &'a Engine, span: &Span<'a>, group: Group) -> Vitals<'a> {
    Vitals { db, span: *span, group, after: None, done: false }
}

impl Vitals<'_> {
    /// The next rows, at most 1,024; empty at the end.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer; the same page may be asked for again.
    pub async fn next_page(&mut self) -> Result<Vec<Vital>, Error> {
        if self.done {
            return Ok(Vec::new());
        }
        let (low, high) = self.span.bots.bounds();
        let (hour, key, name, bot) = match &self.after {
            Some((hour, key, name, bot)) => (*hour, key.as_str(), name.as_str(), *bot),
            None => (self.span.from, "", "", false),
        };
        let rows: Vec<VitalTuple> = ask!(
            self.db,
            "rollup.stream_vitals",
            query_as(VITALS).fetch_all,
            self.span.site,
            self.group.as_str(),
            Ts(hour),
            Ts(self.span.to),
            key,
            name,
            bot,
            low,
            high,
            i64::from(PAGE_ROWS),
        )?;
        self.done = rows.len() < PAGE_ROWS as usize;
        if let Some((hour, key, name, bot, ..)) = rows.last() {
            self.after = Some((hour.0, key.clone(), name.clone(), *bot));
        }
        Ok(rows.into_iter().map(Vital::from).collect())
    }
}

impl From<VitalTuple> for Vital {
    fn from(row: VitalTuple) -> Self {
        let (hour, key, name, bot, sketch, good, needs_improvement, poor) = row;
        Self {
            hour: hour.0,
            key: (!key.is_empty()).then_some(key),
            name,
            bot,
            sketch,
            good,
            needs_improvement,
            poor,
        }
    }
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![COUNTS, SERIES, VITALS]
}
