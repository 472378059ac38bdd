//! Retention: old rows go in bounded chunks, so that no delete holds the writer for long. How old is too old is `insight`'s.

use std::time::Duration;

use mainstay_base::Timestamp;

use crate::sqlite::InOp;
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
    /// Security events; lives in `core.db`.
    SecurityEvents,
    /// Scaling decisions; lives in `core.db`.
    ScalingEvents,
}

impl Table {
    /// Every table, those of `insight.db` first.
    pub const ALL: [Self; 14] = [
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

    /// Whether the hourly roll-ups are counted from it.
    fn feeds_rollups(self) -> bool {
        matches!(
            self,
            Self::PageViews | Self::UserSessions | Self::Engagement | Self::PerformanceMetrics
        )
    }
}

/// Deletes at most `max_rows` rows older than `before`; returns how many, fewer than `max_rows` when none is left.
///
/// Of the tables the roll-ups are counted from, only whole hours go, and the marks of those hours go with them: an
/// hour must never be counted anew from what retention has left of it.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn delete_before(
    db: &Engine,
    table: Table,
    before: Timestamp,
    max_rows: u32,
) -> Result<u64, Error> {
    delete(db, "retain.delete_before", table, (deleting(table), before), max_rows).await
}

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
    delete(db, "retain.delete_bots_before", table, (text, before), max_rows).await
}

async fn delete(
    db: &Engine,
    op: &'static str,
    table: Table,
    (text, before): (&'static str, Timestamp),
    max_rows: u32,
) -> Result<u64, Error> {
    const HOUR: Duration = Duration::from_secs(3_600);
    let Engine::Sqlite(db) = db;
    let before = if table.feeds_rollups() { before.floor_to(HOUR) } else { before };
    let mut writer = db.writer().await;
    let mut tx = writer.begin(op).await?;
    if table.feeds_rollups() {
        sqlx::query("DELETE FROM rollup_dirty WHERE hour < $1")
            .bind(Ts(before))
            .execute(&mut *tx)
            .await
            .in_op(op)?;
    }
    let deleted = sqlx::query(text)
        .bind(Ts(before))
        .bind(max_rows)
        .execute(&mut *tx)
        .await
        .in_op(op)?
        .rows_affected();
    tx.commit().await.in_op(op)?;
    Ok(deleted)
}

/// Old rows of a table indexed by (site, time): the sites are walked through the index, so that nothing is scanned.
macro_rules! oldest_by_site {
    ($table:literal, $time:literal) => {
        oldest_by_site!($table, $time, "")
    };
    ($table:literal, $time:literal, $further:expr) => {
        oldest_by_site!($table, $time, $further, "")
    };
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

/// Old rows of bots, through the index that holds nothing else.
macro_rules! oldest_bots {
    ($table:literal, $time:literal, $bots:literal) => {
        oldest_by_site!(
            $table,
            $time,
            concat!("AND old.", $bots, " "),
            concat!("INDEXED BY ", $table, "_bots ")
        )
    };
}

macro_rules! oldest {
    ($table:literal, $time:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE rowid IN (SELECT rowid FROM ",
            $table,
            " WHERE ",
            $time,
            " < $1 LIMIT $2)"
        )
    };
}

fn deleting(table: Table) -> &'static str {
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
        Table::SecurityEvents => oldest!("security_events", "timestamp"),
        Table::ScalingEvents => oldest!("scaling_events", "timestamp"),
    }
}

fn deleting_bots(table: Table) -> Option<&'static str> {
    Some(match table {
        Table::PageViews => oldest_bots!("page_views", "recorded_at", "bot_reason IS NOT NULL"),
        Table::Engagement => oldest_bots!("engagement", "recorded_at", "bot = 1"),
        Table::PerformanceMetrics => oldest_bots!("performance_metrics", "timestamp", "bot = 1"),
        Table::ErrorEvents => oldest_bots!("error_events", "timestamp", "bot = 1"),
        Table::CustomEvents => oldest_bots!("custom_events", "recorded_at", "bot = 1"),
        _ => return None,
    })
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    let bots = Table::WITH_BOTS.into_iter().filter_map(deleting_bots);
    Table::ALL.map(deleting).into_iter().chain(bots).collect()
}
