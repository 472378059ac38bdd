//! The hourly roll-ups: which hours are to be counted, the counts, and the questions answered from them.
//!
//! How an hour gets counted, without ever missing a change: [`advance_watermark`] moves the watermark past the hours
//! that are over and marks them dirty, in one transaction. From then on every change to them marks them again. The
//! reconciler takes hours from [`list_dirty`], reads their rows, writes [`replace_hour`], then [`clear_dirty`], which
//! leaves the mark alone when another change came in the meantime. Stopped anywhere it just counts an hour twice.

mod hour;
mod read;

use mainstay_base::Timestamp;
use sqlx::SqliteConnection;

pub use hour::{HourRollup, KeyRow, TotalRow, VitalRow, replace_hour};
pub use read::{Point, Vital, Vitals, count_by_key, series, stream_vitals};

use crate::sqlite::InOp;
use crate::{Engine, Error, Ts};

/// An hour to be counted (again).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// Which site.
    pub site: String,
    /// Start of the hour.
    pub hour: Timestamp,
    /// How often it was marked; tells [`clear_dirty`] whether it changed since.
    pub marks: i64,
}

/// The end of the hours that are counted; none before the first [`advance_watermark`].
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn watermark(db: &Engine, site: &str) -> Result<Option<Timestamp>, Error> {
    let Engine::Sqlite(db) = db;
    let hour: Option<Ts> = sqlx::query_scalar("SELECT hour FROM rollup_watermark WHERE site = $1")
        .bind(site)
        .fetch_optional(db.readers())
        .await
        .in_op("rollup.watermark")?;
    Ok(hour.map(Timestamp::from))
}

/// Hours to mark: from the old watermark, or for a new site from its first event, to before `$2`.
const MARK_UP_TO: &str = "INSERT INTO rollup_dirty (site, hour)
WITH RECURSIVE hours (hour) AS (
    SELECT coalesce(
        (SELECT hour FROM rollup_watermark WHERE site = $1),
        (SELECT min(first) - min(first) % 3600000000 FROM (
            SELECT min(recorded_at) AS first FROM page_views WHERE site = $1
            UNION ALL SELECT min(started_at) FROM user_sessions WHERE site = $1
            UNION ALL SELECT min(recorded_at) FROM engagement WHERE site = $1
            UNION ALL SELECT min(timestamp) FROM performance_metrics WHERE site = $1)),
        $2)
    UNION ALL SELECT hour + 3600000000 FROM hours WHERE hour + 3600000000 < $2
)
SELECT $1, hour FROM hours WHERE hour < $2
ON CONFLICT (site, hour) DO UPDATE SET marks = marks + 1";

/// Declares every hour before `to` (rounded down to an hour) over, and marks those that were not before.
///
/// # Errors
/// [`Error`] when the store cannot answer; then nothing has moved.
pub async fn advance_watermark(db: &Engine, site: &str, to: Timestamp) -> Result<(), Error> {
    const OP: &str = "rollup.advance_watermark";
    let Engine::Sqlite(db) = db;
    let to = Ts(to.floor_to(hour::HOUR));
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    sqlx::query(MARK_UP_TO).bind(site).bind(to).execute(&mut *tx).await.in_op(OP)?;
    sqlx::query(
        "INSERT INTO rollup_watermark (site, hour) VALUES ($1, $2)
         ON CONFLICT (site) DO UPDATE SET hour = excluded.hour WHERE excluded.hour > rollup_watermark.hour",
    )
    .bind(site)
    .bind(to)
    .execute(&mut *tx)
    .await
    .in_op(OP)?;
    tx.commit().await.in_op(OP)
}

/// Marks an hour to be counted again, whatever the watermark.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn mark_dirty(db: &Engine, site: &str, hour: Timestamp) -> Result<(), Error> {
    const OP: &str = "rollup.mark_dirty";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    sqlx::query(
        "INSERT INTO rollup_dirty (site, hour) VALUES ($1, $2)
         ON CONFLICT (site, hour) DO UPDATE SET marks = marks + 1",
    )
    .bind(site)
    .bind(Ts(hour.floor_to(hour::HOUR)))
    .execute(writer.conn().await.in_op(OP)?)
    .await
    .in_op(OP)?;
    Ok(())
}

/// Marks an hour within the recorder's transaction, if the watermark has passed it. (Changes to rows that are there
/// already mark by trigger; this is for rows that arrive late.)
pub(crate) async fn mark_counted(
    conn: &mut SqliteConnection,
    site: &str,
    hour: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO rollup_dirty (site, hour)
         SELECT site, $2 FROM rollup_watermark WHERE site = $1 AND hour > $2
         ON CONFLICT (site, hour) DO UPDATE SET marks = marks + 1",
    )
    .bind(site)
    .bind(Ts(hour))
    .execute(conn)
    .await
    .map(drop)
}

const DIRTY: &str = "SELECT site, hour, marks FROM rollup_dirty ORDER BY hour, site LIMIT $1";

/// Hours to be counted, of all sites, oldest first.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_dirty(db: &Engine, limit: u32) -> Result<Vec<Dirty>, Error> {
    let Engine::Sqlite(db) = db;
    let rows: Vec<(String, Ts, i64)> = sqlx::query_as(DIRTY)
        .bind(limit)
        .fetch_all(db.readers())
        .await
        .in_op("rollup.list_dirty")?;
    Ok(rows.into_iter().map(|(site, hour, marks)| Dirty { site, hour: hour.0, marks }).collect())
}

/// The hour is counted; false when it changed after `dirty` was listed, then it stays to be counted again.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn clear_dirty(db: &Engine, dirty: &Dirty) -> Result<bool, Error> {
    const OP: &str = "rollup.clear_dirty";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let done = sqlx::query("DELETE FROM rollup_dirty WHERE site = $1 AND hour = $2 AND marks = $3")
        .bind(&dirty.site)
        .bind(Ts(dirty.hour))
        .bind(dirty.marks)
        .execute(writer.conn().await.in_op(OP)?)
        .await
        .in_op(OP)?;
    Ok(done.rows_affected() == 1)
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    let mut texts = read::list_texts();
    texts.extend(hour::DELETE_HOUR);
    texts.push(MARK_UP_TO);
    texts
}
