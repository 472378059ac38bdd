//! Retention: old rows go in bounded chunks, so that no delete holds the writer for long. How old is too old is `insight`'s.

use mainstay_base::Timestamp;

use crate::ask::run;
use crate::postgres::partition;
use crate::rollup::{DAY, HOUR};
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Ts};

/// Every table whose rows grow old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Page views.
    PageViews,
    /// Visits, by their beginning.
    UserSessions,
    /// Engagement.
    Engagement,
    /// Web vitals.
    PerformanceMetrics,
    /// JavaScript errors.
    ErrorEvents,
    /// Named events.
    CustomEvents,
    /// Browsers' reports.
    Reports,
    /// Raw and coarse samples of the server's metrics.
    MetricSeries,
    /// Traffic samples of every step.
    TrafficSamples,
    /// Hourly totals.
    RollupTotal,
    /// Hourly counts by key.
    RollupKey,
    /// Hourly vitals.
    RollupVital,
    /// Days with counted hours. Whose is gone, of that nothing is read: it goes before what was counted of it.
    RollupDay,
    /// Counts of days by key.
    RollupDayKey,
    /// Vitals of days.
    RollupDayVital,
    /// Security events; lives in `core.db`.
    SecurityEvents,
    /// Scaling decisions; lives in `core.db`.
    ScalingEvents,
}

impl Table {
    /// Every table, those of `insight.db` first.
    pub const ALL: [Self; 17] = [
        Self::PageViews,
        Self::UserSessions,
        Self::Engagement,
        Self::PerformanceMetrics,
        Self::ErrorEvents,
        Self::CustomEvents,
        Self::Reports,
        Self::MetricSeries,
        Self::TrafficSamples,
        Self::RollupTotal,
        Self::RollupKey,
        Self::RollupVital,
        Self::RollupDay,
        Self::RollupDayKey,
        Self::RollupDayVital,
        Self::SecurityEvents,
        Self::ScalingEvents,
    ];

    /// The tables that tell bots from people.
    pub const WITH_BOTS: [Self; 5] = [
        Self::PageViews,
        Self::Engagement,
        Self::PerformanceMetrics,
        Self::ErrorEvents,
        Self::CustomEvents,
    ];

    /// Its name and the column of its time, where PostgreSQL keeps its rows in one piece per day.
    pub(crate) fn in_days(self) -> Option<partition::Pieces> {
        let (table, at) = match self {
            Self::PageViews => ("page_views", "recorded_at"),
            Self::Engagement => ("engagement", "recorded_at"),
            Self::CustomEvents => ("custom_events", "recorded_at"),
            Self::PerformanceMetrics => ("performance_metrics", "timestamp"),
            Self::ErrorEvents => ("error_events", "timestamp"),
            Self::MetricSeries => ("metrics_timeseries", "recorded_at"),
            _ => return None,
        };
        Some(partition::Pieces { table, at })
    }

    /// Whether the hourly roll-ups are counted from it.
    fn feeds_rollups(self) -> bool {
        matches!(
            self,
            Self::PageViews | Self::UserSessions | Self::Engagement | Self::PerformanceMetrics
        )
    }

    /// Whether it holds what was counted.
    fn is_rollup(self) -> bool {
        matches!(
            self,
            Self::RollupTotal
                | Self::RollupKey
                | Self::RollupVital
                | Self::RollupDay
                | Self::RollupDayKey
                | Self::RollupDayVital
        )
    }
}

/// Deletes at most `max_rows` rows older than `before`; returns how many, fewer than `max_rows` when none is left. Where
/// rows lie in one piece per day, whole old days are dropped first, whatever their size.
///
/// Of the tables the roll-ups are counted from, only whole hours go, and the marks of those hours go with them: an
/// hour must never be counted anew from what retention has left of it. Of the roll-ups only whole days go.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn delete_before(
    db: &Engine,
    table: Table,
    before: Timestamp,
    max_rows: u32,
) -> Result<u64, Error> {
    const OP: &str = "retain.delete_before";
    let before = whole_pieces(table, before);
    let dropped = match (db, table.in_days()) {
        (Engine::Postgres(_), Some(pieces)) => drop_days(db, OP, table, (pieces, before)).await?,
        _ => 0,
    };
    Ok(dropped + delete(db, OP, table, (deleting(table), before), max_rows).await?)
}

/// Drops every day that lies wholly before `before`, each in a transaction of its own; returns how many rows went.
async fn drop_days(
    db: &Engine,
    op: &'static str,
    table: Table,
    (pieces, before): (partition::Pieces, Timestamp),
) -> Result<u64, Error> {
    let mut dropped = 0;
    loop {
        let mut tx = db.begin(op).await?;
        let gone = partition::drop_oldest(&mut tx, pieces, before).await?;
        if gone.is_some() && table.feeds_rollups() {
            run!(tx, MARKS, Ts(before))?;
        }
        tx.commit().await?;
        match gone {
            Some(rows) => dropped += rows,
            None => return Ok(dropped),
        }
    }
}

/// Hours that must not be counted again.
const MARKS: Sql = sql!("DELETE FROM mainstay.rollup_dirty WHERE hour < $1");

/// Deletes at most `max_rows` rows of bots older than `before`; everything else as [`delete_before`]. Of a table that
/// does not tell bots from people nothing goes.
///
/// The hours the roll-ups are counted from lose their bots and keep their people: hours before `before` must not be
/// counted again, and their marks go.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn delete_bots_before(
    db: &Engine,
    table: Table,
    before: Timestamp,
    max_rows: u32,
) -> Result<u64, Error> {
    let Some(text) = deleting_bots(table) else { return Ok(0) };
    let before = whole_pieces(table, before);
    delete(db, "retain.delete_bots_before", table, (text, before), max_rows).await
}

fn whole_pieces(table: Table, before: Timestamp) -> Timestamp {
    match table {
        _ if table.feeds_rollups() => before.floor_to(HOUR),
        _ if table.is_rollup() => before.floor_to(DAY),
        _ => before,
    }
}

async fn delete(
    db: &Engine,
    op: &'static str,
    table: Table,
    (text, before): (Sql, Timestamp),
    max_rows: u32,
) -> Result<u64, Error> {
    let mut tx = db.begin(op).await?;
    if table.feeds_rollups() {
        run!(tx, MARKS, Ts(before))?;
    }
    let deleted = run!(tx, text, Ts(before), i64::from(max_rows))?;
    tx.commit().await?;
    Ok(deleted)
}

/// Old rows on PostgreSQL, where each table has an index that begins with the time, or a piece per day. A place names a
/// row within its piece only; a row of another piece that has the same place and is as old may go too.
macro_rules! oldest_of_all {
    ($table:literal, $time:literal, $further:expr) => {
        concat!(
            "DELETE FROM mainstay.",
            $table,
            " old WHERE old.ctid = ANY (ARRAY(SELECT old.ctid FROM mainstay.",
            $table,
            " old WHERE old.",
            $time,
            " < $1 ",
            $further,
            "LIMIT $2)) AND old.",
            $time,
            " < $1 ",
            $further
        )
    };
}

/// Old rows of a table indexed by (site, time): on SQLite the sites are walked through the index, so that nothing is
/// scanned.
macro_rules! oldest_by_site {
    ($table:literal, $time:literal) => {
        oldest_by_site!($table, $time, "")
    };
    ($table:literal, $time:literal, $further:literal) => {
        sql!(
            sqlite: walked_by_site!($table, $time, $further, ""),
            postgres: oldest_of_all!($table, $time, $further),
        )
    };
}

macro_rules! walked_by_site {
    ($table:literal, $time:literal, $further:expr, $index:expr) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE rowid IN (WITH RECURSIVE sites (site) AS (",
            "SELECT min(site) FROM ",
            $table,
            " UNION ALL ",
            "SELECT (SELECT min(r.site) FROM ",
            $table,
            " r WHERE r.site > sites.site) ",
            "FROM sites WHERE sites.site IS NOT NULL) ",
            "SELECT old.rowid FROM sites JOIN ",
            $table,
            " old ",
            $index,
            "ON old.site = sites.site ",
            $further,
            "AND old.",
            $time,
            " < $1 LIMIT $2)"
        )
    };
}

/// Old rows of bots, through the index that holds nothing else: each engine knows it by its own condition.
macro_rules! oldest_bots {
    ($table:literal, $time:literal) => {
        oldest_bots!($table, $time, "bot = 1", "bot")
    };
    ($table:literal, $time:literal, $sqlite:literal, $postgres:literal) => {
        sql!(
            sqlite: walked_by_site!(
                $table,
                $time,
                concat!("AND old.", $sqlite, " "),
                concat!("INDEXED BY ", $table, "_bots ")
            ),
            postgres: oldest_of_all!($table, $time, concat!("AND old.", $postgres, " ")),
        )
    };
}

macro_rules! oldest {
    ($table:literal, $time:literal) => {
        sql!(sqlite: concat!(
            "DELETE FROM ",
            $table,
            " WHERE rowid IN (SELECT rowid FROM ",
            $table,
            " WHERE ",
            $time,
            " < $1 LIMIT $2)"
        ), postgres: oldest_of_all!($table, $time, ""))
    };
}

fn deleting(table: Table) -> Sql {
    match table {
        Table::PageViews => oldest_by_site!("page_views", "recorded_at"),
        Table::UserSessions => oldest_by_site!("user_sessions", "started_at"),
        Table::Engagement => oldest_by_site!("engagement", "recorded_at"),
        Table::PerformanceMetrics => oldest_by_site!("performance_metrics", "timestamp"),
        Table::ErrorEvents => oldest_by_site!("error_events", "timestamp"),
        Table::CustomEvents => oldest_by_site!("custom_events", "recorded_at"),
        Table::Reports => oldest_by_site!("reports", "hour"),
        Table::MetricSeries => oldest!("metrics_timeseries", "recorded_at"),
        Table::TrafficSamples => oldest!("traffic_samples", "t"),
        Table::RollupTotal => oldest_by_site!("rollup_total", "hour"),
        Table::RollupKey => oldest_by_site!(
            "rollup_key",
            "hour",
            "AND old.dimension IN ('path', 'source', 'device', 'country') "
        ),
        Table::RollupVital => oldest_by_site!(
            "rollup_vital",
            "hour",
            "AND old.dimension IN ('page', 'device', 'release', 'site') "
        ),
        Table::RollupDay => oldest_by_site!("rollup_day", "day"),
        Table::RollupDayKey => oldest_by_site!(
            "rollup_day_key",
            "day",
            "AND old.dimension IN ('path', 'source', 'device', 'country') "
        ),
        Table::RollupDayVital => oldest_by_site!(
            "rollup_day_vital",
            "day",
            "AND old.dimension IN ('page', 'device', 'release', 'site') "
        ),
        Table::SecurityEvents => oldest!("security_events", "timestamp"),
        Table::ScalingEvents => oldest!("scaling_events", "timestamp"),
    }
}

fn deleting_bots(table: Table) -> Option<Sql> {
    Some(match table {
        Table::PageViews => oldest_bots!(
            "page_views",
            "recorded_at",
            "bot_reason IS NOT NULL",
            "bot_reason IS NOT NULL"
        ),
        Table::Engagement => oldest_bots!("engagement", "recorded_at"),
        Table::PerformanceMetrics => oldest_bots!("performance_metrics", "timestamp"),
        Table::ErrorEvents => oldest_bots!("error_events", "timestamp"),
        Table::CustomEvents => oldest_bots!("custom_events", "recorded_at"),
        _ => return None,
    })
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    let bots = Table::WITH_BOTS.into_iter().filter_map(deleting_bots);
    Table::ALL.map(deleting).into_iter().chain(bots).collect()
}
