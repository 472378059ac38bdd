//! `custom_events`: what the site's own pages report by name (a sign-up, a download), with optional revenue.

use std::sync::Arc;

use mainstay_base::Timestamp;
use uuid::Uuid;

use crate::sqlite::InOp;
use crate::sqlite::bulk::{Binder, Text};
use crate::{Engine, Error, Span, Ts};

/// One named event.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The event's id, 16–32 characters; ids that grow with time keep a commit to the end of the index: half the cost.
    pub id: String,
    /// Which site.
    pub site: Arc<str>,
    /// When the server received it.
    pub recorded_at: Timestamp,
    /// The browser's id of the page view.
    pub page_id: String,
    /// The visit it happened in.
    pub session_id: Option<Uuid>,
    /// The visitor's daily pseudonym.
    pub visitor_id: Option<Uuid>,
    /// Event name, ≤ 100 bytes.
    pub name: String,
    /// Path of the page, without query or fragment.
    pub path: String,
    /// Scrubbed properties as JSON text, ≤ 2 KiB, ≤ 20 keys.
    pub props: Option<String>,
    /// Revenue amount in `currency`.
    pub revenue_amount: Option<f64>,
    /// ISO 4217.
    pub revenue_currency: Option<String>,
    /// Judged a bot.
    pub bot: bool,
}

/// A repeated event meets its first copy and changes nothing.
pub(crate) const INSERT: Text = Text {
    head: "INSERT INTO custom_events (id, site, recorded_at, page_id, session_id, visitor_id, name, path,
        props, revenue_amount, revenue_currency, bot)",
    columns: 12,
    tail: "ON CONFLICT (site, id) DO NOTHING",
};

/// Keys of the rows inserted last, by their hidden rowid.
pub(crate) const KEYS_AFTER: &str = "SELECT site, id FROM custom_events WHERE rowid > $1";

pub(crate) fn bind(row: &&Row, to: &mut Binder) {
    to.text(&row.id)
        .shared(&row.site)
        .at(row.recorded_at)
        .text(&row.page_id)
        .add(row.session_id)
        .add(row.visitor_id)
        .text(&row.name)
        .text(&row.path)
        .maybe_text(row.props.as_deref())
        .add(row.revenue_amount)
        .maybe_text(row.revenue_currency.as_deref())
        .add(row.bot);
}

/// How often something happened.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct NameCount {
    /// Event name.
    pub name: String,
    /// Occurrences.
    pub count: i64,
    /// Distinct visitors.
    pub visitors: i64,
}

const COUNTS: &str = "SELECT name, count(*) AS count, count(DISTINCT visitor_id) AS visitors
         FROM custom_events WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3
         AND bot BETWEEN $4 AND $5 GROUP BY name ORDER BY 2 DESC, name LIMIT $6";

/// Events by name, the most frequent first, ties by name.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn count_by_name(
    db: &Engine,
    span: &Span<'_>,
    limit: u32,
) -> Result<Vec<NameCount>, Error> {
    let Engine::Sqlite(db) = db;
    let (low, high) = span.bots.bounds();
    sqlx::query_as(COUNTS)
        .bind(span.site)
        .bind(Ts(span.from))
        .bind(Ts(span.to))
        .bind(low)
        .bind(high)
        .bind(limit)
        .fetch_all(db.readers())
        .await
        .in_op("custom_event.count_by_name")
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    vec![COUNTS]
}
