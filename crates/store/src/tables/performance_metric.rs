//! `performance_metrics`: web vitals, one row per page view, name and navigation; the last report wins.

use std::sync::Arc;

use mainstay_base::{Timestamp, agent::AgentClass};
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use crate::sqlite::InOp;
use crate::sqlite::bulk::{Binder, Text};
use crate::{Engine, Error, Group, Span, Ts};

/// One measurement. Key of replacement: (site, page_id, metric_name, navigation).
#[derive(Clone, Debug, PartialEq)]
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
    pub metric_type: &'static str,
    /// `LCP`, `INP`, `CLS`, `FCP`, `TTFB`.
    pub metric_name: String,
    /// Milliseconds; CLS unitless.
    pub value: f64,
    /// Milliseconds since the page began, as the browser said; orders reports of the same measurement.
    pub page_ms: i64,
    /// `good`, `needs-improvement`, `poor`, from the value (web.dev thresholds), never from the client.
    pub rating: &'static str,
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
pub(crate) const UPSERT: Text = Text {
    head: "INSERT INTO performance_metrics (id, site, timestamp, page_id, session_id, metric_type,
        metric_name, value, page_ms, rating, navigation, url, device_type, release, additional_data, bot)",
    columns: 16,
    tail: "ON CONFLICT (site, id) DO NOTHING
        ON CONFLICT (site, page_id, metric_name, navigation) DO UPDATE SET value = excluded.value,
        page_ms = excluded.page_ms, rating = excluded.rating, additional_data = excluded.additional_data
        WHERE excluded.page_ms >= performance_metrics.page_ms",
};

pub(crate) fn bind(row: &&Row, to: &mut Binder) {
    to.text(&row.id)
        .shared(&row.site)
        .at(row.timestamp)
        .text(&row.page_id)
        .add(row.session_id)
        .text(row.metric_type)
        .text(&row.metric_name)
        .add(row.value)
        .add(row.page_ms)
        .text(row.rating)
        .text(&row.navigation)
        .text(&row.url)
        .text(row.device.as_str())
        .maybe_text(row.release.as_deref())
        .maybe_text(row.additional_data.as_deref())
        .add(row.bot);
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
    text: &'static str,
    after: Option<(Ts, String)>,
    done: bool,
}

/// Rows per page of [`Values`].
const PAGE_ROWS: u32 = 4_096;

macro_rules! grouped_by {
    ($key:literal) => {
        concat!(
            "SELECT ",
            $key,
            " AS key, metric_name, value, rating, bot, timestamp, id ",
            "FROM performance_metrics WHERE site = $1 AND timestamp >= $2 AND timestamp < $3 ",
            "AND (timestamp, id) > ($2, $4) AND bot BETWEEN $5 AND $6 ",
            "ORDER BY timestamp, id LIMIT $7"
        )
    };
}

/// The measurements of `span`, each with its key in `group`, oldest first.
#[must_use]
pub fn stream_values<'a>(db: &'a Engine, span: &Span<'a>, group: Group) -> Values<'a> {
    Values { db, span: *span, text: grouping(group), after: None, done: false }
}

fn grouping(group: Group) -> &'static str {
    match group {
        Group::Page => grouped_by!("url"),
        Group::Device => grouped_by!("device_type"),
        Group::Release => grouped_by!("release"),
        Group::Site => grouped_by!("CAST(NULL AS TEXT)"),
    }
}

impl Values<'_> {
    /// The next rows, at most 4,096; empty at the end.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer; the same page may be asked for again.
    pub async fn next_page(&mut self) -> Result<Vec<Value>, Error> {
        const OP: &str = "performance_metric.stream_values";
        let Engine::Sqlite(db) = self.db;
        if self.done {
            return Ok(Vec::new());
        }
        let (low, high) = self.span.bots.bounds();
        let (from, id) = match &self.after {
            Some((at, id)) => (*at, id.as_str()),
            None => (Ts(self.span.from), ""),
        };
        let rows = sqlx::query(self.text)
            .bind(self.span.site)
            .bind(from)
            .bind(Ts(self.span.to))
            .bind(id)
            .bind(low)
            .bind(high)
            .bind(PAGE_ROWS)
            .fetch_all(db.readers())
            .await
            .in_op(OP)?;
        self.done = rows.len() < PAGE_ROWS as usize;
        if let Some(last) = rows.last() {
            self.after =
                Some((last.try_get("timestamp").in_op(OP)?, last.try_get("id").in_op(OP)?));
        }
        rows.iter().map(Value::from_row).collect::<Result<_, _>>().in_op(OP)
    }
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    Group::ALL.map(grouping).into()
}
