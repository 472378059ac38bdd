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
    pub const ALL: [Self; 13] = [
        Self::PageViews,
        Self::UserSessions,
        Self::Engagement,
        Self::PerformanceMetrics,
        Self::ErrorEvents,
        Self::CustomEvents,
        Self::MetricSeries,
        Self::TrafficSamples,
        Self::RollupTotal,
        Self::RollupKey,
        Self::RollupVital,
        Self::SecurityEvents,
        Self::ScalingEvents,
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
    const OP: &str = "retain.delete_before";
    const HOUR: Duration = Duration::from_secs(3_600);
    let Engine::Sqlite(db) = db;
    let before = if table.feeds_rollups() { before.floor_to(HOUR) } else { before };
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    if table.feeds_rollups() {
        sqlx::query("DELETE FROM rollup_dirty WHERE hour < $1")
            .bind(Ts(before))
            .execute(&mut *tx)
            .await
            .in_op(OP)?;
    }
    let deleted = sqlx::query(deleting(table))
        .bind(Ts(before))
        .bind(max_rows)
        .execute(&mut *tx)
        .await
        .in_op(OP)?
        .rows_affected();
    tx.commit().await.in_op(OP)?;
    Ok(deleted)
}

/// Old rows of a table indexed by (site, time): the sites are walked through the index, so that nothing is scanned.
macro_rules! oldest_by_site {
    ($table:literal, $time:literal) => {
        oldest_by_site!($table, $time, "")
    };
    ($table:literal, $time:literal, $further:literal) => {
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
            " old ON old.site = sites.site ",
            $further,
            "AND old.",
            $time,
            " < $1 LIMIT $2)"
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

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    Table::ALL.map(deleting).into()
}
