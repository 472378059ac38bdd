//! `metrics_timeseries`: samples of the server's own metrics, raw for a day, then in coarser steps.

use mainstay_base::Timestamp;

use crate::sqlite::InOp;
use crate::{Engine, Error, Ts};

/// One sample of one series.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Sample {
    /// Name of the series, ≤ 100 characters.
    pub metric_name: String,
    /// The value, in the series' own unit.
    pub metric_value: f64,
    /// Labels as JSON text; none when there are none.
    pub tags: Option<String>,
    /// Start of the step.
    pub recorded_at: Ts,
}

/// Which samples of which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Width of a step in seconds.
    pub step_s: u32,
    /// First instant that counts.
    pub from: Timestamp,
    /// First instant that counts no more.
    pub to: Timestamp,
}

const INSERT: &str =
    "INSERT INTO metrics_timeseries (metric_name, metric_value, tags, recorded_at, step_s)
    VALUES ($1, $2, $3, $4, $5)";

/// Keeps samples of steps `step_s` wide, all or none.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn insert_samples(db: &Engine, step_s: u32, samples: &[Sample]) -> Result<(), Error> {
    const OP: &str = "metric_series.insert_samples";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    insert(&mut tx, OP, step_s, samples).await?;
    tx.commit().await.in_op(OP)
}

const LIST: &str = "SELECT metric_name, metric_value, tags, recorded_at FROM metrics_timeseries
         WHERE metric_name = $1 AND recorded_at >= $2 AND recorded_at < $3 AND step_s = $4
         ORDER BY recorded_at LIMIT $5";

/// Samples of one series, oldest first, at most `limit`.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list(
    db: &Engine,
    metric_name: &str,
    range: Range,
    limit: u32,
) -> Result<Vec<Sample>, Error> {
    let Engine::Sqlite(db) = db;
    sqlx::query_as(LIST)
        .bind(metric_name)
        .bind(Ts(range.from))
        .bind(Ts(range.to))
        .bind(range.step_s)
        .bind(limit)
        .fetch_all(db.readers())
        .await
        .in_op("metric_series.list")
}

const LIST_ALL: &str = "SELECT metric_name, metric_value, tags, recorded_at FROM metrics_timeseries
         WHERE step_s < $1 AND recorded_at >= $2 AND recorded_at < $3
         ORDER BY recorded_at LIMIT $4";

/// Samples of every series in steps narrower than the range's, oldest first, at most `limit`: what is to be compacted.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_all(db: &Engine, range: Range, limit: u32) -> Result<Vec<Sample>, Error> {
    let Engine::Sqlite(db) = db;
    sqlx::query_as(LIST_ALL)
        .bind(range.step_s)
        .bind(Ts(range.from))
        .bind(Ts(range.to))
        .bind(limit)
        .fetch_all(db.readers())
        .await
        .in_op("metric_series.list_all")
}

/// Replaces the samples in steps narrower than the range's by `coarse` ones of its width; returns how many went.
///
/// # Errors
/// [`Error`] when the store cannot answer; then nothing was replaced.
pub async fn compact(db: &Engine, range: Range, coarse: &[Sample]) -> Result<u64, Error> {
    const OP: &str = "metric_series.compact";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    let gone = sqlx::query(
        "DELETE FROM metrics_timeseries WHERE step_s < $1 AND recorded_at >= $2 AND recorded_at < $3",
    )
    .bind(range.step_s)
    .bind(Ts(range.from))
    .bind(Ts(range.to))
    .execute(&mut *tx)
    .await
    .in_op(OP)?
    .rows_affected();
    insert(&mut tx, OP, range.step_s, coarse).await?;
    tx.commit().await.in_op(OP)?;
    Ok(gone)
}

async fn insert(
    tx: &mut sqlx::SqliteConnection,
    op: &'static str,
    step_s: u32,
    samples: &[Sample],
) -> Result<(), Error> {
    for sample in samples {
        sqlx::query(INSERT)
            .bind(&sample.metric_name)
            .bind(sample.metric_value)
            .bind(&sample.tags)
            .bind(sample.recorded_at)
            .bind(step_s)
            .execute(&mut *tx)
            .await
            .in_op(op)?;
    }
    Ok(())
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    vec![LIST, LIST_ALL]
}
