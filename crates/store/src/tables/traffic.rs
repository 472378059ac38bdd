//! `traffic_samples`: requests, errors, refusals, bytes and a latency sketch per step; merging sketches is the caller's.

use mainstay_base::Timestamp;

use crate::ask::{ask, run};
use crate::sql::{Sql, sql};
use crate::tx::Tx;
use crate::{Engine, Error, Span, Ts};

/// The name under which all sites together are kept. No site is named so.
pub const WHOLE: &str = "";
/// The name of the process under which the steps of all are kept once they are merged. No process is named so where
/// there are several.
const TOGETHER: &str = "";

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
    let mut tx = db.begin("traffic.insert").await?;
    for (site, row) in rows {
        insert_row(&mut tx, (site, step_s, db.node()), row).await?;
    }
    tx.commit().await
}

const LIST: Sql = sql!(
    "SELECT t, requests, errors, refused, bytes, latency_sketch, upstream_sketch, ours_sketch
    FROM mainstay.traffic_samples WHERE site = $1 AND step_s = $2 AND t >= $3 AND t < $4 ORDER BY t"
);

type Listed = (Ts, i64, i64, i64, i64, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

/// Samples of steps `step_s` wide, oldest first, those of several processes one after the other. Bots are not told apart here.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list(db: &Engine, span: &Span<'_>, step_s: u32) -> Result<Vec<Row>, Error> {
    let rows: Vec<Listed> = ask!(
        db,
        "traffic.list",
        query_as(LIST).fetch_all,
        span.site,
        i64::from(step_s),
        Ts(span.from),
        Ts(span.to),
    )?;
    Ok(rows.into_iter().map(Row::from).collect())
}

const OWN: Sql = sql!(
    "SELECT t, requests, errors, refused, bytes, latency_sketch, upstream_sketch, ours_sketch
    FROM mainstay.traffic_samples WHERE site = $1 AND step_s = $2 AND t = $3 AND node = $4"
);

/// The step that begins at `t` as this process kept it before.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn find_own(
    db: &Engine,
    site: &str,
    step_s: u32,
    t: Timestamp,
) -> Result<Option<Row>, Error> {
    let db = &db.latest();
    let row: Option<Listed> = ask!(
        db,
        "traffic.find_own",
        query_as(OWN).fetch_optional,
        site,
        i64::from(step_s),
        Ts(t),
        db.node(),
    )?;
    Ok(row.map(Row::from))
}

impl From<Listed> for Row {
    fn from(row: Listed) -> Self {
        let (t, requests, errors, refused, bytes, latency_sketch, upstream_sketch, ours_sketch) =
            row;
        let t = t.0;
        Self { t, requests, errors, refused, bytes, latency_sketch, upstream_sketch, ours_sketch }
    }
}

const REFUSED: Sql = sql!(
    "SELECT t, refused FROM mainstay.traffic_samples
    WHERE site = $1 AND step_s = $2 AND t >= $3 AND t < $4 AND refused > 0 ORDER BY t"
);

/// Steps in which the server refused requests before they reached any site, oldest first.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_refused(
    db: &Engine,
    (from, to): (Timestamp, Timestamp),
    step_s: u32,
) -> Result<Vec<(Timestamp, i64)>, Error> {
    let rows: Vec<(Ts, i64)> = ask!(
        db,
        "traffic.list_refused",
        query_as(REFUSED).fetch_all,
        WHOLE,
        i64::from(step_s),
        Ts(from),
        Ts(to),
    )?;
    Ok(rows.into_iter().map(|(t, refused)| (t.0, refused)).collect())
}

/// Walks the index from one name to the next, so that nothing is scanned.
const SITES: Sql = sql!(
    "WITH RECURSIVE sites (site) AS (
    SELECT min(site) FROM mainstay.traffic_samples
    UNION ALL
    SELECT (SELECT min(t.site) FROM mainstay.traffic_samples t WHERE t.site > sites.site)
    FROM sites WHERE sites.site IS NOT NULL
)
SELECT site FROM sites WHERE site IS NOT NULL"
);

/// Every name that has samples, [`WHOLE`] and sites that are gone among them.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_sites(db: &Engine) -> Result<Vec<String>, Error> {
    ask!(db, "traffic.list_sites", query_scalar(SITES).fetch_all)
}

/// From one width to the next, as [`SITES`].
const STEPS: Sql = sql!(
    "WITH RECURSIVE steps (step_s) AS (
    SELECT CAST(0 AS BIGINT)
    UNION ALL
    SELECT (SELECT min(t.step_s) FROM mainstay.traffic_samples t WHERE t.site = $1 AND t.step_s > steps.step_s)
    FROM steps WHERE steps.step_s IS NOT NULL
)
SELECT step_s FROM steps WHERE step_s > 0"
);

/// Widths in seconds of the steps that a name has samples of: settings may have changed.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_steps(db: &Engine, site: &str) -> Result<Vec<u32>, Error> {
    let steps: Vec<i64> = ask!(db, "traffic.list_steps", query_scalar(STEPS).fetch_all, site)?;
    Ok(steps.into_iter().filter_map(|step_s| u32::try_from(step_s).ok()).collect())
}

/// Replaces fine steps by the coarse ones the caller merged from them; returns how many fine ones went.
///
/// # Errors
/// [`Error`] when the store cannot answer; then nothing was replaced.
pub async fn compact(db: &Engine, what: Compaction<'_>, merged: &[Row]) -> Result<u64, Error> {
    const FINE: Sql = sql!(
        "DELETE FROM mainstay.traffic_samples WHERE site = $1 AND step_s < $2 AND t >= $3 AND t < $4"
    );
    let mut tx = db.begin("traffic.compact").await?;
    let gone = run!(tx, FINE, what.site, i64::from(what.to_step_s), Ts(what.from), Ts(what.to))?;
    for row in merged {
        insert_row(&mut tx, (what.site, what.to_step_s, TOGETHER), row).await?;
    }
    tx.commit().await?;
    Ok(gone)
}

const INSERT: Sql = sql!(
    "INSERT INTO mainstay.traffic_samples (site, step_s, t, node, requests, errors, refused, bytes, latency_sketch,
        upstream_sketch, ours_sketch)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (site, step_s, t, node) DO UPDATE SET requests = excluded.requests,
     errors = excluded.errors, refused = excluded.refused, bytes = excluded.bytes,
     latency_sketch = excluded.latency_sketch, upstream_sketch = excluded.upstream_sketch,
     ours_sketch = excluded.ours_sketch"
);

async fn insert_row(
    tx: &mut Tx<'_>,
    (site, step_s, node): (&str, u32, &str),
    row: &Row,
) -> Result<(), Error> {
    run!(
        *tx,
        INSERT,
        site,
        i64::from(step_s),
        Ts(row.t),
        node,
        row.requests,
        row.errors,
        row.refused,
        row.bytes,
        &row.latency_sketch,
        &row.upstream_sketch,
        &row.ours_sketch,
    )
    .map(drop)
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![LIST, OWN, REFUSED, SITES, STEPS]
}
