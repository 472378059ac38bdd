//! `performance_metrics`: web vitals, one row per page view, name and navigation; the last report wins.

use std::borrow::Cow;
use std::sync::Arc;

use mainstay_base::{Timestamp, agent::AgentClass};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ask::ask;
use crate::bulk::{Binder, Kind, Table};
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Group, Span, Ts};

/// One measurement. Key of replacement: (site, page_id, metric_name, navigation).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The event's id, 16–32 characters. Of several reports of one measurement, the first one's.
    pub id: String,
    /// Which site.
    pub site: Arc<str>,
    /// When the server first received this measurement; kept when a later report replaces the value.
    pub timestamp: Timestamp,
    /// The browser's id of the page view.
    pub page_id: String,
    /// The visit it belongs to.
    pub session_id: Option<Uuid>,
    /// `core_web_vital`, `api_response` or `render_time`.
    pub metric_type: Cow<'static, str>,
    /// `LCP`, `INP`, `CLS`, `FCP`, `TTFB`.
    pub metric_name: String,
    /// Milliseconds; CLS unitless.
    pub value: f64,
    /// Milliseconds since the page began, as the browser said; orders reports of the same measurement.
    pub page_ms: i64,
    /// `good`, `needs-improvement`, `poor`, from the value (web.dev thresholds), never from the client.
    pub rating: Cow<'static, str>,
    /// `navigate`, `reload`, `back-forward`, `back-forward-cache`, `prerender`, `restore`.
    pub navigation: String,
    /// Path without query or fragment.
    pub url: String,
    /// Client kind.
    pub device: AgentClass,
    /// Release of the site that was served.
    pub release: Option<String>,
    /// Attribution as JSON text, scrubbed.
    pub additional_data: Option<String>,
    /// Judged a bot.
    pub bot: bool,
}

/// An event that was sent before changes nothing, whichever page it names. Of the other reports the last by the
/// browser's own clock wins; the time of the first one and its id stay.
/// On PostgreSQL the recorder knows which measurements are new, and [`REPLACE`]s the others.
pub(crate) const UPSERT: Table = Table {
    name: "performance_metrics",
    columns: &[
        ("id", Kind::Text),
        ("site", Kind::Text),
        ("timestamp", Kind::Time),
        ("page_id", Kind::Text),
        ("session_id", Kind::Id),
        ("metric_type", Kind::Text),
        ("metric_name", Kind::Text),
        ("value", Kind::Real),
        ("page_ms", Kind::Int),
        ("rating", Kind::Text),
        ("navigation", Kind::Text),
        ("url", Kind::Text),
        ("device_type", Kind::Text),
        ("release", Kind::Text),
        ("additional_data", Kind::Json),
        ("bot", Kind::Flag),
    ],
    tail: sql!(
        sqlite: "ON CONFLICT (site, id) DO NOTHING
            ON CONFLICT (site, page_id, metric_name, navigation) DO UPDATE SET value = excluded.value,
            page_ms = excluded.page_ms, rating = excluded.rating, additional_data = excluded.additional_data
            WHERE excluded.page_ms >= performance_metrics.page_ms",
        postgres: "ON CONFLICT DO NOTHING",
    ),
};

/// Columns of [`REPLACE`], one array each.
pub(crate) const REPLACED: [(&str, Kind); 9] = [
    ("site", Kind::Text),
    ("timestamp", Kind::Time),
    ("page_id", Kind::Text),
    ("metric_name", Kind::Text),
    ("navigation", Kind::Text),
    ("value", Kind::Real),
    ("page_ms", Kind::Int),
    ("rating", Kind::Text),
    ("additional_data", Kind::Json),
];

/// Later reports of measurements that are known, found by the time of their first one.
pub(crate) const REPLACE: &str = "UPDATE mainstay.performance_metrics m SET value = r.value, page_ms = r.page_ms,
    rating = r.rating, additional_data = r.additional_data::jsonb
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::float8[],
        $7::bigint[], $8::text[], $9::text[])
        AS r(site, timestamp, page_id, metric_name, navigation, value, page_ms, rating, additional_data)
    WHERE m.site = r.site AND m.timestamp = r.timestamp AND m.page_id = r.page_id
    AND m.metric_name = r.metric_name AND m.navigation = r.navigation AND r.page_ms >= m.page_ms";

pub(crate) fn bind<'r>(row: &&'r Row, to: &mut Binder<'r>) {
    to.text(&row.id)
        .shared(&row.site)
        .at(row.timestamp)
        .text(&row.page_id)
        .maybe_id(row.session_id)
        .text(&row.metric_type)
        .text(&row.metric_name)
        .real(row.value)
        .int(row.page_ms)
        .text(&row.rating)
        .text(&row.navigation)
        .text(&row.url)
        .text(row.device.as_str())
        .maybe_text(row.release.as_deref())
        .maybe_json(row.additional_data.as_deref())
        .flag(row.bot);
}

pub(crate) fn bind_replaced<'r>(row: &'r Row, first: Timestamp, to: &mut Binder<'r>) {
    to.shared(&row.site)
        .at(first)
        .text(&row.page_id)
        .text(&row.metric_name)
        .text(&row.navigation)
        .real(row.value)
        .int(row.page_ms)
        .text(&row.rating)
        .maybe_json(row.additional_data.as_deref());
}

/// One measurement as the sketches need it.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Value {
    /// Page, device or release; none for the whole site or an unnamed release.
    pub key: Option<String>,
    /// `LCP`, `INP`, `CLS`, `FCP`, `TTFB`.
    pub metric_name: String,
    /// Milliseconds; CLS unitless.
    pub value: f64,
    /// `good`, `needs-improvement`, `poor`.
    pub rating: String,
    /// Judged a bot.
    pub bot: bool,
}

/// The measurements of a span, read page by page, so that memory stays bounded and no long read keeps the log alive.
#[derive(Debug)]
pub struct Values<'a> {
    db: &'a Engine,
    span: Span<'a>,
    text: Sql,
    after: Option<(Ts, String)>,
    done: bool,
}

/// One row, and where the page after it begins.
#[derive(Debug, sqlx::FromRow)]
struct Listed {
    #[sqlx(flatten)]
    value: Value,
    timestamp: Ts,
    id: String,
}

/// Rows per page of [`Values`].
const PAGE_ROWS: u32 = 4_096;

macro_rules! grouped_by {
    ($key:literal) => {
        sql!(concat!(
            "SELECT ",
            $key,
            " AS key, metric_name, value, rating, bot, timestamp, id ",
            "FROM mainstay.performance_metrics WHERE site = $1 AND timestamp >= $2 AND timestamp < $3 ",
            "AND (timestamp, id) > ($2, $4) AND bot BETWEEN $5 AND $6 ",
            "ORDER BY timestamp, id LIMIT $7"
        ))
    };
}

/// The measurements of `span`, each with its key in `group`, oldest first.
#[must_use]
pub fn stream_values<'a>(db: &'a Engine, span: &Span<'a>, group: Group) -> Values<'a> {
    Values { db, span: *span, text: grouping(group), after: None, done: false }
}

fn grouping(group: Group) -> Sql {
    match group {
        Group::Page => grouped_by!("url"),
        Group::Device => grouped_by!("device_type"),
        Group::Release => grouped_by!("release"),
        Group::Site => grouped_by!("CAST(NULL AS TEXT)"),
    }
}

impl Values<'_> {
    /// Begins again with the first page.
    pub fn rewind(&mut self) {
        (self.after, self.done) = (None, false);
    }

    /// The next rows, at most 4,096; empty at the end.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer; the same page may be asked for again.
    pub async fn next_page(&mut self) -> Result<Vec<Value>, Error> {
        if self.done {
            return Ok(Vec::new());
        }
        let (low, high) = self.span.bots.bounds();
        let (from, id) = match &self.after {
            Some((at, id)) => (*at, id.as_str()),
            None => (Ts(self.span.from), ""),
        };
        let rows: Vec<Listed> = ask!(
            self.db,
            "performance_metric.stream_values",
            query_as(self.text).fetch_all,
            self.span.site,
            from,
            Ts(self.span.to),
            id,
            low,
            high,
            i64::from(PAGE_ROWS),
        )?;
        self.done = rows.len() < PAGE_ROWS as usize;
        if let Some(last) = rows.last() {
            self.after = Some((last.timestamp, last.id.clone()));
        }
        Ok(rows.into_iter().map(|row| row.value).collect())
    }
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    Group::ALL.map(grouping).into()
}
