//! `traffic_samples`: requests, errors, refusals, bytes and a latency sketch per step; merging sketches is the caller's.

use mainstay_base::Timestamp;

use crate::sqlite::InOp;
use crate::{Engine, Error, Span, Ts};

/// The name under which all sites together are kept. No site is named so.
pub const WHOLE: &str = "";

/// One step of one site, or of all together ([`WHOLE`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Start of the step.
    pub t: Timestamp,
    /// Requests answered.
    pub requests: i64,
    /// Answers with a status of 500 or more.
    pub errors: i64,
    /// Requests refused before they reached a site: of the whole alone.
    pub refused: i64,
    /// Bytes of response bodies.
    pub bytes: i64,
    /// Encoded latency sketch.
    pub latency_sketch: Vec<u8>,
    /// Encoded sketch of the wait for an app's answers; none when no app answered.
    pub upstream_sketch: Option<Vec<u8>>,
    /// Encoded sketch of our own part of the time to those answers.
    pub ours_sketch: Option<Vec<u8>>,
}

impl Row {
    /// A step in which nothing happened.
    #[must_use]
    pub fn empty(t: Timestamp) -> Self {
        Self {
            t,
            requests: 0,
            errors: 0,
            refused: 0,
            bytes: 0,
            latency_sketch: Vec::new(),
            upstream_sketch: None,
            ours_sketch: None,
        }
    }
}

/// Steps to be replaced by coarser ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction<'a> {
    /// Which site.
    pub site: &'a str,
    /// Width of the coarse steps in seconds; every narrower one is fine.
    pub to_step_s: u32,
    /// First fine step that goes.
    pub from: Timestamp,
    /// First fine step that stays.
    pub to: Timestamp,
}

/// Keeps samples of steps `step_s` wide, each with the name it belongs to, all or none; a step kept before is replaced.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn insert(db: &Engine, step_s: u32, rows: &[(&str, Row)]) -> Result<(), Error> {
    const OP: &str = "traffic.insert";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    for (site, row) in rows {
        insert_row(&mut tx, OP, (site, step_s), row).await?;
    }
    tx.commit().await.in_op(OP)
}

const LIST: &str =
    "SELECT t, requests, errors, refused, bytes, latency_sketch, upstream_sketch, ours_sketch
    FROM traffic_samples WHERE site = $1 AND step_s = $2 AND t >= $3 AND t < $4 ORDER BY t";

type Listed = (Ts, i64, i64, i64, i64, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

/// Samples of steps `step_s` wide, oldest first. Bots are not told apart here.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list(db: &Engine, span: &Span<'_>, step_s: u32) -> Result<Vec<Row>, Error> {
    let Engine::Sqlite(db) = db;
    let rows: Vec<Listed> = sqlx::query_as(LIST)
        .bind(span.site)
        .bind(step_s)
        .bind(Ts(span.from))
        .bind(Ts(span.to))
        .fetch_all(db.readers())
        .await
        .in_op("traffic.list")?;
    Ok(rows.into_iter().map(Row::from).collect())
}

impl From<Listed> for Row {
    fn from(row: Listed) -> Self {
        let (t, requests, errors, refused, bytes, latency_sketch, upstream_sketch, ours_sketch) =
            row;
        let t = t.0;
        Self { t, requests, errors, refused, bytes, latency_sketch, upstream_sketch, ours_sketch }
    }
}

const REFUSED: &str = "SELECT t, refused FROM traffic_samples
    WHERE site = $1 AND step_s = $2 AND t >= $3 AND t < $4 AND refused > 0 ORDER BY t";

/// Steps in which the server refused requests before they reached any site, oldest first.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_refused(
    db: &Engine,
    (from, to): (Timestamp, Timestamp),
    step_s: u32,
) -> Result<Vec<(Timestamp, i64)>, Error> {
    let Engine::Sqlite(db) = db;
    let rows: Vec<(Ts, i64)> = sqlx::query_as(REFUSED)
        .bind(WHOLE)
        .bind(step_s)
        .bind(Ts(from))
        .bind(Ts(to))
        .fetch_all(db.readers())
        .await
        .in_op("traffic.list_refused")?;
    Ok(rows.into_iter().map(|(t, refused)| (t.0, refused)).collect())
}

/// Walks the index from one name to the next, so that nothing is scanned.
const SITES: &str = "WITH RECURSIVE sites (site) AS (
    SELECT min(site) FROM traffic_samples
    UNION ALL
    SELECT (SELECT min(t.site) FROM traffic_samples t WHERE t.site > sites.site)
    FROM sites WHERE sites.site IS NOT NULL
)
SELECT site FROM sites WHERE site IS NOT NULL";

/// Every name that has samples, [`WHOLE`] and sites that are gone among them.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_sites(db: &Engine) -> Result<Vec<String>, Error> {
    let Engine::Sqlite(db) = db;
    sqlx::query_scalar(SITES).fetch_all(db.readers()).await.in_op("traffic.list_sites")
}

/// From one width to the next, as [`SITES`].
const STEPS: &str = "WITH RECURSIVE steps (step_s) AS (
    SELECT 0
    UNION ALL
    SELECT (SELECT min(t.step_s) FROM traffic_samples t WHERE t.site = $1 AND t.step_s > steps.step_s)
    FROM steps WHERE steps.step_s IS NOT NULL
)
SELECT step_s FROM steps WHERE step_s > 0";

/// Widths in seconds of the steps that a name has samples of: settings may have changed.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_steps(db: &Engine, site: &str) -> Result<Vec<u32>, Error> {
    let Engine::Sqlite(db) = db;
    let steps = sqlx::query_scalar(STEPS).bind(site).fetch_all(db.readers());
    steps.await.in_op("traffic.list_steps")
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
        "DELETE FROM traffic_samples WHERE site = $1 AND step_s < $2 AND t >= $3 AND t < $4",
    )
    .bind(what.site)
    .bind(what.to_step_s)
    .bind(Ts(what.from))
    .bind(Ts(what.to))
    .execute(&mut *tx)
    .await
    .in_op(OP)?
    .rows_affected();
    for row in merged {
        insert_row(&mut tx, OP, (what.site, what.to_step_s), row).await?;
    }
    tx.commit().await.in_op(OP)?;
    Ok(gone)
}

async fn insert_row(
    tx: &mut sqlx::SqliteConnection,
    op: &'static str,
    (site, step_s): (&str, u32),
    row: &Row,
) -> Result<(), Error> {
    sqlx::query(
            "INSERT INTO traffic_samples (site, step_s, t, requests, errors, refused, bytes, latency_sketch,
                upstream_sketch, ours_sketch)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (site, step_s, t) DO UPDATE SET requests = excluded.requests,
             errors = excluded.errors, refused = excluded.refused, bytes = excluded.bytes,
             latency_sketch = excluded.latency_sketch, upstream_sketch = excluded.upstream_sketch,
             ours_sketch = excluded.ours_sketch",
        )
        .bind(site)
        .bind(step_s)
        .bind(Ts(row.t))
        .bind(row.requests)
        .bind(row.errors)
        .bind(row.refused)
        .bind(row.bytes)
        .bind(&row.latency_sketch)
        .bind(&row.upstream_sketch)
        .bind(&row.ours_sketch)
        .execute(&mut *tx)
        .await
        .in_op(op)?;
    Ok(())
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<&'static str> {
    vec![LIST, REFUSED, SITES, STEPS]
}
