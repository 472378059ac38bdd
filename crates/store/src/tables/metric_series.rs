//! `metrics_timeseries`: samples of the server's own metrics, raw for a day, then in coarser steps.

use mainstay_base::Timestamp;

use crate::ask::{ask, run};
use crate::sql::{Sql, sql};
use crate::tx::Tx;
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

const INSERT: Sql = sql!(
    sqlite: "INSERT INTO mainstay.metrics_timeseries (metric_name, metric_value, tags, recorded_at, step_s)
        VALUES ($1, $2, $3, $4, $5)",
    postgres: "INSERT INTO mainstay.metrics_timeseries (metric_name, metric_value, tags, recorded_at, step_s)
        VALUES ($1, $2, $3::jsonb, $4, $5)",
);

/// Keeps samples of steps `step_s` wide, all or none.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn insert_samples(db: &Engine, step_s: u32, samples: &[Sample]) -> Result<(), Error> {
    let mut tx = db.begin("metric_series.insert_samples").await?;
    insert(&mut tx, step_s, samples).await?;
    tx.commit().await
}

/// JSON is read as text, in each engine's own spelling.
macro_rules! listing {
    ($tags:literal, $which:literal) => {
        concat!(
            "SELECT metric_name, metric_value, ",
            $tags,
            ", recorded_at FROM mainstay.metrics_timeseries WHERE ",
            $which
        )
    };
}
macro_rules! listed {
    ($which:literal) => {
        sql!(sqlite: listing!("tags", $which), postgres: listing!("tags::text AS tags", $which))
    };
}

const LIST: Sql = listed!(
    "metric_name = $1 AND recorded_at >= $2 AND recorded_at < $3 AND step_s = $4
     ORDER BY recorded_at LIMIT $5"
);

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
    ask!(
        db,
        "metric_series.list",
        query_as(LIST).fetch_all,
        metric_name,
        Ts(range.from),
        Ts(range.to),
        i64::from(range.step_s),
        i64::from(limit),
    )
}

const LIST_ALL: Sql =
    listed!("step_s < $1 AND recorded_at >= $2 AND recorded_at < $3 ORDER BY recorded_at LIMIT $4");

/// Samples of every series in steps narrower than the range's, oldest first, at most `limit`: what is to be compacted.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_all(db: &Engine, range: Range, limit: u32) -> Result<Vec<Sample>, Error> {
    ask!(
        db,
        "metric_series.list_all",
        query_as(LIST_ALL).fetch_all,
        i64::from(range.step_s),
        Ts(range.from),
        Ts(range.to),
        i64::from(limit),
    )
}

/// Replaces the samples in steps narrower than the range's by `coarse` ones of its width; returns how many went.
///
/// # Errors
/// [`Error`] when the store cannot answer; then nothing was replaced.
pub async fn compact(db: &Engine, range: Range, coarse: &[Sample]) -> Result<u64, Error> {
    const FINE: Sql = sql!(
        "DELETE FROM mainstay.metrics_timeseries
         WHERE step_s < $1 AND recorded_at >= $2 AND recorded_at < $3"
    );
    let mut tx = db.begin("metric_series.compact").await?;
    let gone = run!(tx, FINE, i64::from(range.step_s), Ts(range.from), Ts(range.to))?;
    insert(&mut tx, range.step_s, coarse).await?;
    tx.commit().await?;
    Ok(gone)
}

async fn insert(tx: &mut Tx<'_>, step_s: u32, samples: &[Sample]) -> Result<(), Error> {
    for sample in samples {
        run!(
            *tx,
            INSERT,
            &sample.metric_name,
            sample.metric_value,
            &sample.tags,
            sample.recorded_at,
            i64::from(step_s),
        )?;
    }
    Ok(())
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![LIST, LIST_ALL]
}
