//! `custom_events`: what the site's pages and its app report by name (a sign-up, a download), with optional revenue.

use std::sync::Arc;

use mainstay_base::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ask::ask;
use crate::bulk::{Binder, Kind, Table};
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Span, Ts};

/// One named event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
pub(crate) const INSERT: Table = Table {
    name: "custom_events",
    columns: &[
        ("id", Kind::Text),
        ("site", Kind::Text),
        ("recorded_at", Kind::Time),
        ("page_id", Kind::Text),
        ("session_id", Kind::Id),
        ("visitor_id", Kind::Id),
        ("name", Kind::Text),
        ("path", Kind::Text),
        ("props", Kind::Json),
        ("revenue_amount", Kind::Real),
        ("revenue_currency", Kind::Text),
        ("bot", Kind::Flag),
    ],
    tail: sql!(sqlite: "ON CONFLICT (site, id) DO NOTHING", postgres: "ON CONFLICT DO NOTHING"),
};

/// Keys of the rows inserted last, by their hidden rowid.
pub(crate) const KEYS_AFTER: &str = "SELECT site, id FROM custom_events WHERE rowid > $1";

pub(crate) fn bind<'r>(row: &&'r Row, to: &mut Binder<'r>) {
    to.text(&row.id)
        .shared(&row.site)
        .at(row.recorded_at)
        .text(&row.page_id)
        .maybe_id(row.session_id)
        .maybe_id(row.visitor_id)
        .text(&row.name)
        .text(&row.path)
        .maybe_json(row.props.as_deref())
        .maybe_real(row.revenue_amount)
        .maybe_text(row.revenue_currency.as_deref())
        .flag(row.bot);
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

const COUNTS: Sql = sql!(
    "SELECT name, count(*) AS count, count(DISTINCT visitor_id) AS visitors
     FROM mainstay.custom_events WHERE site = $1 AND recorded_at >= $2 AND recorded_at < $3
     AND bot BETWEEN $4 AND $5 GROUP BY name ORDER BY 2 DESC, name LIMIT $6"
);

/// Events by name, the most frequent first, ties by name.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn count_by_name(
    db: &Engine,
    span: &Span<'_>,
    limit: u32,
) -> Result<Vec<NameCount>, Error> {
    let (low, high) = span.bots.bounds();
    ask!(
        db,
        "custom_event.count_by_name",
        query_as(COUNTS).fetch_all,
        span.site,
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        i64::from(limit),
    )
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![COUNTS]
}
