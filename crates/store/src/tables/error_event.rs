//! `error_events`: errors and unhandled rejections of the site's pages, and errors that its app recorded, one row per occurrence.

use std::sync::Arc;

use mainstay_base::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ask::ask;
use crate::bulk::{Binder, Kind, Table};
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Span, Ts};

/// One occurrence of an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The event's id, 16–32 characters; ids that grow with time keep a commit to the end of the index: half the cost.
    pub id: String,
    /// Which site.
    pub site: Arc<str>,
    /// When the server received it.
    pub timestamp: Timestamp,
    /// Hex digest that groups occurrences of the same fault.
    pub fingerprint: String,
    /// The browser's id of the page view.
    pub page_id: String,
    /// The visit it happened in.
    pub session_id: Option<Uuid>,
    /// The visitor's daily pseudonym.
    pub visitor_id: Option<Uuid>,
    /// `TypeError`…, ≤ 100 bytes.
    pub error_type: String,
    /// Scrubbed message, ≤ 1 KiB.
    pub error_message: String,
    /// Scrubbed stack, ≤ 8 KiB.
    pub error_stack: Option<String>,
    /// Path of the page, without query or fragment.
    pub url: String,
    /// Script the error came from, scrubbed.
    pub source: Option<String>,
    /// Line, 1-based.
    pub line_number: Option<i32>,
    /// Column, 1-based.
    pub column_number: Option<i32>,
    /// `Firefox 128 on Linux`: family and major version only.
    pub user_agent: Option<String>,
    /// Release of the site that was served.
    pub release: Option<String>,
    /// Judged a bot.
    pub bot: bool,
}

/// A repeated event meets its first copy and changes nothing.
pub(crate) const INSERT: Table = Table {
    name: "error_events",
    columns: &[
        ("id", Kind::Text),
        ("site", Kind::Text),
        ("timestamp", Kind::Time),
        ("fingerprint", Kind::Text),
        ("page_id", Kind::Text),
        ("session_id", Kind::Id),
        ("visitor_id", Kind::Id),
        ("error_type", Kind::Text),
        ("error_message", Kind::Text),
        ("error_stack", Kind::Text),
        ("url", Kind::Text),
        ("source", Kind::Text),
        ("line_number", Kind::Small),
        ("column_number", Kind::Small),
        ("user_agent", Kind::Text),
        ("release", Kind::Text),
        ("bot", Kind::Flag),
    ],
    tail: sql!(sqlite: "ON CONFLICT (site, id) DO NOTHING", postgres: "ON CONFLICT DO NOTHING"),
};

pub(crate) fn bind<'r>(row: &&'r Row, to: &mut Binder<'r>) {
    to.text(&row.id)
        .shared(&row.site)
        .at(row.timestamp)
        .text(&row.fingerprint)
        .text(&row.page_id)
        .maybe_id(row.session_id)
        .maybe_id(row.visitor_id)
        .text(&row.error_type)
        .text(&row.error_message)
        .maybe_text(row.error_stack.as_deref())
        .text(&row.url)
        .maybe_text(row.source.as_deref())
        .maybe_small(row.line_number)
        .maybe_small(row.column_number)
        .maybe_text(row.user_agent.as_deref())
        .maybe_text(row.release.as_deref())
        .flag(row.bot);
}

/// The occurrences of one fault within a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What groups them.
    pub fingerprint: String,
    /// `TypeError`…, of the latest occurrence.
    pub error_type: String,
    /// Message of the latest occurrence.
    pub message: String,
    /// Occurrences.
    pub count: i64,
    /// Distinct visitors who met it.
    pub visitors: i64,
    /// First occurrence in the span.
    pub first_seen: Timestamp,
    /// Last occurrence in the span.
    pub last_seen: Timestamp,
    /// Whether every occurrence is marked resolved.
    pub resolved: bool,
}

/// Where the next page of groups begins: after this row of the order (last seen descending, fingerprint ascending).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// `last_seen` of the last row seen.
    pub last_seen: Timestamp,
    /// Its fingerprint.
    pub fingerprint: String,
}

/// Groups first, cut to the page; only then the words of each one's latest occurrence, found through the time index.
/// `$all` is the aggregate that tells whether every occurrence is resolved, `$page` which groups and in which order, `$order` the order again.
macro_rules! grouped {
    ($all:literal, $page:literal, $order:literal) => {
        concat!(
            "WITH groups AS (
                SELECT fingerprint, count(*) AS occurrences, count(DISTINCT visitor_id) AS visitors,
                    min(timestamp) AS first_seen, max(timestamp) AS last_seen, ",
            $all,
            "(resolved) AS resolved
                FROM mainstay.error_events
                WHERE site = $1 AND timestamp >= $2 AND timestamp < $3 AND bot BETWEEN $4 AND $5
                GROUP BY fingerprint ",
            $page,
            ")
            SELECT g.fingerprint, e.error_type, e.error_message, g.occurrences, g.visitors, g.first_seen,
                g.last_seen, g.resolved
            FROM groups g JOIN mainstay.error_events e ON e.site = $1 AND e.timestamp = g.last_seen AND e.id = (
                SELECT l.id FROM mainstay.error_events l
                WHERE l.site = $1 AND l.timestamp = g.last_seen AND l.fingerprint = g.fingerprint LIMIT 1
            )
            ORDER BY ",
            $order
        )
    };
}
macro_rules! groups {
    ($page:literal, $order:literal) => {
        sql!(sqlite: grouped!("min", $page, $order), postgres: grouped!("bool_and", $page, $order))
    };
}

/// The latest seen first.
const GROUPS: Sql = groups!(
    "HAVING max(timestamp) < $6 OR (max(timestamp) = $6 AND fingerprint > $7)
    ORDER BY last_seen DESC, fingerprint LIMIT $8",
    "g.last_seen DESC, g.fingerprint"
);

/// Open ones first, then by how many visitors met it, how often, and how lately.
const WORST: Sql = groups!(
    "ORDER BY resolved, visitors DESC, occurrences DESC, last_seen DESC, fingerprint LIMIT $6",
    "g.resolved, g.visitors DESC, g.occurrences DESC, g.last_seen DESC, g.fingerprint"
);

type GroupRow = (String, String, String, i64, i64, Ts, Ts, bool);

/// Faults of the span, the latest seen first; `after` is the last row of the page before.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_groups(
    db: &Engine,
    span: &Span<'_>,
    limit: u32,
    after: Option<After>,
) -> Result<Vec<Group>, Error> {
    let (low, high) = span.bots.bounds();
    let after = after.unwrap_or(After {
        last_seen: Timestamp::from_micros(i64::MAX),
        fingerprint: String::new(),
    });
    let rows: Vec<GroupRow> = ask!(
        db,
        "error_event.list_groups",
        query_as(GROUPS).fetch_all,
        span.site,
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        Ts(after.last_seen),
        &after.fingerprint,
        i64::from(limit),
    )?;
    Ok(rows.into_iter().map(Group::from).collect())
}

/// The faults of the span that matter most: open ones first, then by visitors, occurrences and how lately they were seen.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_worst(db: &Engine, span: &Span<'_>, limit: u32) -> Result<Vec<Group>, Error> {
    let (low, high) = span.bots.bounds();
    let rows: Vec<GroupRow> = ask!(
        db,
        "error_event.list_worst",
        query_as(WORST).fetch_all,
        span.site,
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        i64::from(limit),
    )?;
    Ok(rows.into_iter().map(Group::from).collect())
}

impl From<GroupRow> for Group {
    fn from(row: GroupRow) -> Self {
        let (fingerprint, error_type, message, count, visitors, first_seen, last_seen, resolved) =
            row;
        Self {
            fingerprint,
            error_type,
            message,
            count,
            visitors,
            first_seen: first_seen.0,
            last_seen: last_seen.0,
            resolved,
        }
    }
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![GROUPS, WORST]
}
