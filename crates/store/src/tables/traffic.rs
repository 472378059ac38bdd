//! `traffic_samples`: requests, errors, refusals, bytes and a latency sketch per step; merging sketches is the caller's.

use mainstay_base::Timestamp;

use crate::sqlite::InOp;
use crate::{Engine, Error, Span, Ts};

/// One step of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Start of the step.
    pub t: Timestamp,
    /// Requests answered.
    pub requests: i64,
    /// Answers with a status of 500 or more.
    pub errors: i64,
    /// Requests refused before they reached the site.
    pub refused: i64,
    /// Bytes of response bodies.
    pub bytes: i64,
    /// Encoded latency sketch.
    pub latency_sketch: Vec<u8>,
}

/// Steps to be replaced by coarser ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction<'a> {
    /// Which site.
    pub site: &'a str,
    /// Width of the fine steps in seconds.
    pub from_step_s: u32,
    /// Width of the coarse steps in seconds.
    pub to_step_s: u32,
    /// First fine step that goes.
    pub from: Timestamp,
    /// First fine step that stays.
    pub to: Timestamp,
}

/// Keeps samples of steps `step_s` wide, all or none; a step kept before is replaced.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn insert(db: &Engine, site: &str, step_s: u32, rows: &[Row]) -> Result<(), Error> {
    const OP: &str = "traffic.insert";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    insert_rows(&mut tx, OP, site, step_s, rows).await?;
    tx.commit().await.in_op(OP)
}

const LIST: &str = "SELECT t, requests, errors, refused, bytes, latency_sketch FROM traffic_samples
         WHERE site = $1 AND step_s = $2 AND t >= $3 AND t < $4 ORDER BY t";

/// Samples of steps `step_s` wide, oldest first. Bots are not told apart here.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list(db: &Engine, span: &Span<'_>, step_s: u32) -> Result<Vec<Row>, Error> {
    let Engine::Sqlite(db) = db;
    let rows: Vec<(Ts, i64, i64, i64, i64, Vec<u8>)> = sqlx::query_as(LIST)
        .bind(span.site)
        .bind(step_s)
        .bind(Ts(span.from))
        .bind(Ts(span.to))
        .fetch_all(db.readers())
        .await
        .in_op("traffic.list")?;
    Ok(rows
        .into_iter()
        .map(|(t, requests, errors, refused, bytes, latency_sketch)| Row {
            t: t.0,
            requests,
            errors,
            refused,
            bytes,
            latency_sketch,
        })
        .collect())
}

/// Replaces fine steps by the coarse ones the caller merged from them; returns how many fine ones went.
///
/// # Errors
/// [`Error`] when the store cannot answer; then nothing was replaced.
pub async fn compact(db: &Engine, what: Compaction<'_>, merged: &[Row]) -> Result<u64, Error> {
    const OP: &str = "traffic.compact";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    let gone = sqlx::query(
        "DELETE FROM traffic_samples WHERE site = $1 AND step_s = $2 AND t >= $3 AND t < $4",
    )
    .bind(what.site)
    .bind(what.from_step_s)
    .bind(Ts(what.from))
    .bind(Ts(what.to))
    .execute(&mut *tx)
    .await
    .in_op(OP)?
    .rows_affected();
    insert_rows(&mut tx, OP, what.site, what.to_step_s, merged).await?;
    tx.commit().await.in_op(OP)?;
    Ok(gone)
}

async fn insert_rows(
    tx: &mut sqlx::SqliteConnection,
    op: &'static str,
    site: &str,
    step_s: u32,
    rows: &[Row],
) -> Result<(), Error> {
    for row in rows {
        sqlx::query(
            "INSERT INTO traffic_samples (site, step_s, t, requests, errors, refused, bytes, latency_sketch)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (site, step_s, t) DO UPDATE SET requests = excluded.requests,
             errors = excluded.errors, refused = excluded.refused, bytes = excluded.bytes,
             latency_sketch = excluded.latency_sketch",
        )
        .bind(site)
        .bind(step_s)
        .bind(Ts(row.t))
        .bind(row.requests)
        .bind(row.errors)
        .bind(row.refused)
        .bind(row.bytes)
        .bind(&row.latency_sketch)
        .execute(&mut *tx)
        .await
        .in_op(op)?;
    }
    Ok(())
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    vec![LIST]
}
