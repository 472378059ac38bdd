//! `user_sessions`: one row per visit; written only by the recorder, in the transaction of the events that make it.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Timestamp, agent::AgentClass};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ask::ask;
use crate::bulk::{Binder, Kind, Table};
use crate::query::step_micros;
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Span, Ts};

/// What a batch of events says about the visit they belong to. The recorder adds the counts of the events that
/// were new, so that a repeated event never counts twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Touch {
    /// The visit. Ids that grow with time (UUID version 7) keep a commit to the end of the index: half the cost.
    pub session_id: Uuid,
    /// Which site.
    pub site: Arc<str>,
    /// The visitor's daily pseudonym at the start of the visit.
    pub visitor_id: Uuid,
    /// When this batch was received: start of a new visit, last activity of a running one.
    pub at: Timestamp,
    /// Truncated client address.
    pub ip_address: String,
    /// `Firefox 128 on Linux`: family and major version only.
    pub user_agent: Option<String>,
    /// Referring host, of the first page.
    pub referrer: Option<String>,
    /// Where the visit came from, of its first page; none = direct.
    pub source: Option<Arc<str>>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Client kind.
    pub device: AgentClass,
    /// Browser family.
    pub browser: Option<String>,
    /// Operating system family.
    pub os: Option<String>,
    /// Judged a bot.
    pub bot: bool,
}

/// What one commit adds to a visit.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) touch: &'a Touch,
    pub(crate) last_activity: Timestamp,
    pub(crate) page_views: i64,
    pub(crate) custom_events: i64,
    /// JSON array of event names.
    pub(crate) conversion_events: String,
}

/// Counts add up; the beginning and everything told by the first page stay. Event names are a set of at most 50.
pub(crate) const UPSERT: Table = Table {
    name: "user_sessions",
    columns: &[
        ("session_id", Kind::Id),
        ("site", Kind::Text),
        ("visitor_id", Kind::Id),
        ("started_at", Kind::Time),
        ("last_activity", Kind::Time),
        ("ip_address", Kind::Text),
        ("user_agent", Kind::Text),
        ("referrer", Kind::Text),
        ("source", Kind::Text),
        ("country_code", Kind::Text),
        ("device_type", Kind::Text),
        ("browser", Kind::Text),
        ("os", Kind::Text),
        ("page_views", Kind::Int),
        ("custom_events", Kind::Int),
        ("total_time_seconds", Kind::Int),
        ("conversion_events", Kind::Json),
        ("bot", Kind::Flag),
    ],
    tail: sql!(
        sqlite: "ON CONFLICT (session_id) DO UPDATE SET
        last_activity = max(user_sessions.last_activity, excluded.last_activity),
        page_views = user_sessions.page_views + excluded.page_views,
        custom_events = user_sessions.custom_events + excluded.custom_events,
        total_time_seconds = (max(user_sessions.last_activity, excluded.last_activity)
            - user_sessions.started_at) / 1000000,
        conversion_events = CASE WHEN excluded.conversion_events = '[]'
            THEN user_sessions.conversion_events
            ELSE (SELECT json_group_array(value) FROM (
                SELECT value FROM json_each(user_sessions.conversion_events)
                UNION SELECT value FROM json_each(excluded.conversion_events) LIMIT 50))
            END",
        postgres: "ON CONFLICT (session_id) DO UPDATE SET
        last_activity = greatest(user_sessions.last_activity, excluded.last_activity),
        page_views = user_sessions.page_views + excluded.page_views,
        custom_events = user_sessions.custom_events + excluded.custom_events,
        total_time_seconds = floor(extract(epoch FROM greatest(user_sessions.last_activity, excluded.last_activity)
            - user_sessions.started_at))::bigint,
        conversion_events = CASE WHEN excluded.conversion_events <@ user_sessions.conversion_events
            THEN user_sessions.conversion_events
            ELSE (SELECT jsonb_agg(value ORDER BY value) FROM (
                SELECT value FROM jsonb_array_elements(user_sessions.conversion_events)
                UNION SELECT value FROM jsonb_array_elements(excluded.conversion_events) LIMIT 50) AS names)
            END",
    ),
};

pub(crate) fn bind<'r>(change: &'r Change<'_>, to: &mut Binder<'r>) {
    let touch = change.touch;
    to.id(touch.session_id)
        .shared(&touch.site)
        .id(touch.visitor_id)
        .at(touch.at)
        .at(change.last_activity)
        .text(&touch.ip_address)
        .maybe_text(touch.user_agent.as_deref())
        .maybe_text(touch.referrer.as_deref())
        .maybe_shared(touch.source.as_ref())
        .maybe_text(touch.country_code.as_deref())
        .text(touch.device.as_str())
        .maybe_text(touch.browser.as_deref())
        .maybe_text(touch.os.as_deref())
        .int(change.page_views)
        .int(change.custom_events)
        .int(i64::try_from(change.last_activity.since(touch.at).as_secs()).unwrap_or(i64::MAX))
        .maybe_json(Some(&change.conversion_events))
        .flag(touch.bot);
}

/// One step of the series of visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Start of the step.
    pub t: Timestamp,
    /// Visits that began in it.
    pub sessions: i64,
    /// Those with one page view and no named event.
    pub bounces: i64,
}

/// A visit that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// The visit.
    pub session_id: Uuid,
    /// Which site.
    pub site: Arc<str>,
    /// The visitor's daily pseudonym at the start of the visit.
    pub visitor_id: Uuid,
    /// Start of the visit.
    pub started_at: Timestamp,
    /// Its last event.
    pub last_activity: Timestamp,
    /// Where it came from; none = direct.
    pub source: Option<Arc<str>>,
}

/// A visit is not longer than this: the visitor's pseudonym rotates daily and its salt is gone after 48 hours.
const VISIT_MAX: Duration = Duration::from_secs(48 * 3_600);

macro_rules! series {
    ($t:literal) => {
        concat!(
            "SELECT ",
            $t,
            " AS t, count(*), sum(CASE WHEN page_views <= 1 AND custom_events = 0 THEN 1 ELSE 0 END) ",
            "FROM mainstay.user_sessions WHERE site = $1 AND started_at >= $2 AND started_at < $3 ",
            "AND bot BETWEEN $4 AND $5 GROUP BY 1 ORDER BY 1"
        )
    };
}
const SERIES: Sql = sql!(
    sqlite: series!("started_at - started_at % $6"),
    postgres: series!("date_bin($6 * INTERVAL '1 microsecond', started_at, TIMESTAMPTZ 'epoch')"),
);

/// Visits and bounces per step of their beginning; steps without any are absent.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn series(db: &Engine, span: &Span<'_>, step: Duration) -> Result<Vec<Point>, Error> {
    let (low, high) = span.bots.bounds();
    let rows: Vec<(Ts, i64, i64)> = ask!(
        db,
        "user_session.series",
        query_as(SERIES).fetch_all,
        span.site,
        Ts(span.from),
        Ts(span.to),
        low,
        high,
        step_micros(step),
    )?;
    Ok(rows.into_iter().map(|(t, sessions, bounces)| Point { t: t.0, sessions, bounces }).collect())
}

/// The sites' names are walked through the index (SQLite has no loose index scan), then each site's recent visits.
/// PostgreSQL has an index of the last activity.
const ACTIVE: Sql = sql!(
    sqlite: "WITH RECURSIVE sites (site) AS (
    SELECT min(site) FROM mainstay.user_sessions
    UNION ALL
    SELECT (SELECT min(u.site) FROM mainstay.user_sessions u WHERE u.site > sites.site)
    FROM sites WHERE sites.site IS NOT NULL
)
SELECT u.session_id, u.site, u.visitor_id, u.started_at, u.last_activity, u.source
FROM sites JOIN mainstay.user_sessions u ON u.site = sites.site AND u.started_at >= $2
WHERE u.last_activity >= $1 ORDER BY u.last_activity DESC LIMIT $3",
    postgres: "SELECT session_id, site, visitor_id, started_at, last_activity, source
FROM mainstay.user_sessions WHERE last_activity >= $1 AND started_at >= $2
ORDER BY last_activity DESC LIMIT $3",
);

/// Visits of all sites with an event since then, newest activity first: what the visit table in memory is restored
/// from when the server starts.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_active_since(
    db: &Engine,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Active>, Error> {
    let rows: Vec<ActiveRow> = ask!(
        db,
        "user_session.list_active_since",
        query_as(ACTIVE).fetch_all,
        Ts(since),
        Ts(since.minus(VISIT_MAX)),
        i64::from(limit),
    )?;
    Ok(rows.into_iter().map(Active::from).collect())
}

const FIND_ACTIVE: Sql = sql!(
    "SELECT session_id, site, visitor_id, started_at, last_activity, source FROM mainstay.user_sessions
     WHERE site = $1 AND started_at >= $5 AND visitor_id IN ($2, $3) AND last_activity >= $4
     ORDER BY last_activity DESC LIMIT 1"
);

/// The visit of a visitor, known by one of two pseudonyms, that had an event since then: another process may have begun it.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn find_active(
    db: &Engine,
    site: &str,
    visitor_ids: [Uuid; 2],
    since: Timestamp,
) -> Result<Option<Active>, Error> {
    let db = &db.latest();
    let row: Option<ActiveRow> = ask!(
        db,
        "user_session.find_active",
        query_as(FIND_ACTIVE).fetch_optional,
        site,
        visitor_ids[0],
        visitor_ids[1],
        Ts(since),
        Ts(since.minus(VISIT_MAX)),
    )?;
    Ok(row.map(Active::from))
}

type ActiveRow = (Uuid, String, Uuid, Ts, Ts, Option<String>);

impl From<ActiveRow> for Active {
    fn from(row: ActiveRow) -> Self {
        let (session_id, site, visitor_id, started_at, last_activity, source) = row;
        Self {
            session_id,
            site: site.into(),
            visitor_id,
            started_at: started_at.0,
            last_activity: last_activity.0,
            source: source.map(Into::into),
        }
    }
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![SERIES, ACTIVE, FIND_ACTIVE]
}
