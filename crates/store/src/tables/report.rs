//! `reports`: what browsers reported about the site's pages, alike reports of one hour as one row and a count.

use std::borrow::Cow;
use std::sync::Arc;

use mainstay_base::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ask::ask;
use crate::bulk::{Binder, Kind, Table};
use crate::rollup::HOUR;
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Span, Ts};

/// Alike reports of one hour. Key: (site, hour of `first_seen`, fingerprint).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which site.
    pub site: Arc<str>,
    /// What makes reports alike.
    pub fingerprint: Uuid,
    /// `csp-violation`, `deprecation`…, `other`.
    pub report_type: Cow<'static, str>,
    /// The directive, feature or kind of fault, ≤ 100 bytes; may be empty.
    pub name: String,
    /// Page it happened on, scrubbed; may be empty.
    pub document: String,
    /// What was blocked or failed: an address, scrubbed, or the browser's keyword; may be empty.
    pub blocked: String,
    /// Script it came from, scrubbed; may be empty.
    pub source: String,
    /// Line, 1-based.
    pub line_number: Option<i32>,
    /// Column, 1-based.
    pub column_number: Option<i32>,
    /// `enforce`, `report` or empty.
    pub disposition: Cow<'static, str>,
    /// The browser's words or sample, scrubbed; may be empty.
    pub message: String,
    /// `Firefox 128 on Linux`: family and major version only.
    pub user_agent: Option<Box<str>>,
    /// Network the latest one came from; truncated.
    pub ip_address: String,
    /// How many.
    pub count: i64,
    /// When the first was received.
    pub first_seen: Timestamp,
    /// When the last was received.
    pub last_seen: Timestamp,
}

impl Row {
    /// The hour it is counted in.
    #[must_use]
    pub fn hour(&self) -> Timestamp {
        self.first_seen.floor_to(HOUR)
    }
}

/// Each engine has its own name for the smaller and the larger of two.
macro_rules! added_up {
    ($least:literal, $greatest:literal) => {
        concat!(
            "ON CONFLICT (site, hour, fingerprint) DO UPDATE SET count = reports.count + excluded.count, first_seen = ",
            $least,
            "(reports.first_seen, excluded.first_seen), last_seen = ",
            $greatest,
            "(reports.last_seen, excluded.last_seen), document = excluded.document, source = excluded.source,
            line_number = excluded.line_number, column_number = excluded.column_number,
            message = excluded.message, user_agent = excluded.user_agent, ip_address = excluded.ip_address"
        )
    };
}

/// Counts add up; the words are those of the latest.
pub(crate) const UPSERT: Table = Table {
    name: "reports",
    columns: &[
        ("site", Kind::Text),
        ("hour", Kind::Time),
        ("fingerprint", Kind::Id),
        ("report_type", Kind::Text),
        ("name", Kind::Text),
        ("document", Kind::Text),
        ("blocked", Kind::Text),
        ("source", Kind::Text),
        ("line_number", Kind::Small),
        ("column_number", Kind::Small),
        ("disposition", Kind::Text),
        ("message", Kind::Text),
        ("user_agent", Kind::Text),
        ("ip_address", Kind::Text),
        ("count", Kind::Int),
        ("first_seen", Kind::Time),
        ("last_seen", Kind::Time),
    ],
    tail: sql!(sqlite: added_up!("min", "max"), postgres: added_up!("least", "greatest")),
};

pub(crate) fn bind<'r>(row: &&'r Row, to: &mut Binder<'r>) {
    to.shared(&row.site)
        .at(row.hour())
        .id(row.fingerprint)
        .text(&row.report_type)
        .text(&row.name)
        .text(&row.document)
        .text(&row.blocked)
        .text(&row.source)
        .maybe_small(row.line_number)
        .maybe_small(row.column_number)
        .text(&row.disposition)
        .text(&row.message)
        .maybe_text(row.user_agent.as_deref())
        .text(&row.ip_address)
        .int(row.count)
        .at(row.first_seen)
        .at(row.last_seen);
}

/// Alike reports within a span, counted by whole hours.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Group {
    /// What makes them alike.
    pub fingerprint: Uuid,
    /// `csp-violation`, `deprecation`…, `other`.
    pub report_type: String,
    /// The directive, feature or kind of fault.
    pub name: String,
    /// Page of the latest.
    pub document: String,
    /// What was blocked or failed.
    pub blocked: String,
    /// Script the latest came from.
    pub source: String,
    /// Line in it.
    pub line_number: Option<i32>,
    /// Column in it.
    pub column_number: Option<i32>,
    /// `enforce`, `report` or empty.
    pub disposition: String,
    /// The browser's words or sample, of the latest.
    pub message: String,
    /// Browser of the latest.
    pub user_agent: Option<String>,
    /// How many.
    pub count: i64,
    /// First one of the hours the span touches.
    #[sqlx(try_from = "Ts")]
    pub first_seen: Timestamp,
    /// Last one of them.
    #[sqlx(try_from = "Ts")]
    pub last_seen: Timestamp,
}

/// Where the next page of groups begins: after this row of the order (last seen descending, fingerprint ascending).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// `last_seen` of the last row seen.
    pub last_seen: Timestamp,
    /// Its fingerprint.
    pub fingerprint: Uuid,
}

/// Groups first, cut to the page; only then the words of each one's latest hour, found through the key.
const GROUPS: Sql = sql!(
    "WITH groups AS (
    SELECT fingerprint, CAST(sum(count) AS BIGINT) AS count, min(first_seen) AS first_seen,
        max(last_seen) AS last_seen, max(hour) AS hour
    FROM mainstay.reports
    WHERE site = $1 AND hour >= $2 AND hour < $3 AND last_seen >= $4 AND first_seen < $3
    GROUP BY fingerprint
    HAVING max(last_seen) < $5 OR (max(last_seen) = $5 AND fingerprint > $6)
    ORDER BY last_seen DESC, fingerprint LIMIT $7
)
SELECT g.fingerprint, r.report_type, r.name, r.document, r.blocked, r.source, r.line_number,
    r.column_number, r.disposition, r.message, r.user_agent, g.count, g.first_seen, g.last_seen
FROM groups g JOIN mainstay.reports r ON r.site = $1 AND r.hour = g.hour AND r.fingerprint = g.fingerprint
ORDER BY g.last_seen DESC, g.fingerprint"
);

/// Reports of the span, alike ones as one row, the latest seen first; `after` is the last row of the page before.
/// `span.bots` says nothing here: a report is about the page, whoever looked at it.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_groups(
    db: &Engine,
    span: &Span<'_>,
    limit: u32,
    after: Option<After>,
) -> Result<Vec<Group>, Error> {
    let after = after
        .unwrap_or(After { last_seen: Timestamp::from_micros(i64::MAX), fingerprint: Uuid::nil() });
    ask!(
        db,
        "report.list_groups",
        query_as(GROUPS).fetch_all,
        span.site,
        Ts(span.from.floor_to(HOUR)),
        Ts(span.to),
        Ts(span.from),
        Ts(after.last_seen),
        after.fingerprint,
        i64::from(limit),
    )
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![GROUPS]
}
