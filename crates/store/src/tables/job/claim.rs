//! Claiming: the first jobs of a queue, in the order of priority and number, for one worker.

use std::time::Duration;

use mainstay_base::Timestamp;
use rusqlite::Connection;
use sqlx::{FromRow as _, PgConnection, Row as _};

use super::{Claimed, duration, micros};
use crate::Ts;
use crate::sql::{Sql, sql};

/// Who wants how many, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) queue: i32,
    pub(crate) limit: usize,
    /// So many of them, the first, begin at once; the others are claimed ahead.
    pub(crate) begins: usize,
    pub(crate) worker: std::sync::Arc<str>,
    pub(crate) lease: Duration,
}

/// What a claim gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hand {
    /// In the order in which they shall begin.
    pub jobs: Vec<Claimed>,
    /// In how long the next delayed one may begin, where there were not enough others.
    pub next_due: Option<Duration>,
}

/// Delayed ones whose time has come; of very many a part, the next is due at once.
const PROMOTE: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET status = 0 WHERE seq IN (
        SELECT seq FROM mainstay.job WHERE queue = ?1 AND status = 1 AND run_at <= ?2 ORDER BY run_at LIMIT 1000)",
    postgres: "UPDATE mainstay.job SET status = 0 WHERE seq IN (
        SELECT seq FROM mainstay.job WHERE queue = $1 AND status = 1 AND run_at <= now()
        ORDER BY run_at LIMIT 1000 FOR UPDATE SKIP LOCKED)"
);
/// A token is also the time: a claim that was lost with the server that knew of it has not the token of the next one.
const CLAIM: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET status = 2, token = max(token + 1, ?5), worker = ?3, lease_until = ?4, started_at = ?5,
            begun = ?6
        WHERE seq IN (SELECT seq FROM mainstay.job WHERE queue = ?1 AND status = 0
            AND NOT (SELECT paused FROM mainstay.job_queue WHERE id = ?1)
            ORDER BY priority, seq LIMIT ?2)
        RETURNING seq, token, custom_id, kind, payload, attempts_made, attempts_max, timeout_ms, run_at, stalled,
            priority, trace, written",
    postgres: "WITH first AS MATERIALIZED (SELECT seq, priority FROM mainstay.job WHERE queue = $1 AND status = 0
            AND NOT (SELECT paused FROM mainstay.job_queue WHERE id = $1)
            ORDER BY priority, seq LIMIT $2 FOR UPDATE SKIP LOCKED),
        placed AS (SELECT seq, row_number() OVER (ORDER BY priority, seq) AS place FROM first)
        UPDATE mainstay.job AS j SET status = 2,
            token = greatest(token + 1, (extract(epoch FROM now()) * 1000000)::bigint), worker = $3,
            lease_until = now() + $4 * interval '1 microsecond', started_at = now(), begun = placed.place <= $5
        FROM placed WHERE j.seq = placed.seq
        RETURNING j.seq, token, custom_id, kind, payload, attempts_made, attempts_max, timeout_ms, run_at, stalled,
            priority, trace, written"
);

/// When the next delayed one may begin.
const NEXT: Sql = sql!(
    sqlite: "SELECT min(run_at) - ?2 FROM mainstay.job WHERE queue = ?1 AND status = 1",
    postgres: "SELECT (extract(epoch FROM min(run_at) - now()) * 1000000)::bigint
        FROM mainstay.job WHERE queue = $1 AND status = 1"
);

/// On a file.
pub(crate) fn claim_direct(
    conn: &Connection,
    claim: &Claim,
    now: Timestamp,
) -> rusqlite::Result<Hand> {
    conn.prepare_cached(PROMOTE.sqlite)?.execute((claim.queue, now.as_micros()))?;
    let begins = claim.begins.min(claim.limit);
    let mut jobs = take_direct(conn, claim, (begins, true), now)?;
    if jobs.len() == begins && claim.limit > begins {
        jobs.extend(take_direct(conn, claim, (claim.limit - begins, false), now)?);
    }
    let mut hand = Hand { jobs, next_due: None };
    if hand.jobs.len() < claim.limit {
        let mut next = conn.prepare_cached(NEXT.sqlite)?;
        let micros = next.query_row((claim.queue, now.as_micros()), |row| row.get(0))?;
        hand.next_due = until(micros);
    }
    Ok(hand)
}

/// The next so many, and whether they begin at once.
fn take_direct(
    conn: &Connection,
    claim: &Claim,
    (limit, begins): (usize, bool),
    now: Timestamp,
) -> rusqlite::Result<Vec<Claimed>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut statement = conn.prepare_cached(CLAIM.sqlite)?;
    let lease_until = now.plus(claim.lease).as_micros();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = (claim.queue, limit, &*claim.worker, lease_until, now.as_micros(), begins);
    let rows = statement.query_map(values, |row| {
        Ok(Claimed {
            seq: row.get(0)?,
            token: row.get(1)?,
            custom_id: row.get(2)?,
            kind: row.get(3)?,
            payload: row.get(4)?,
            attempts_made: row.get(5)?,
            attempts_max: row.get(6)?,
            timeout: duration(row.get(7)?),
            run_at: Timestamp::from_micros(row.get(8)?),
            stalled: row.get(9)?,
            priority: row.get(10)?,
            trace: row.get(11)?,
            written: row.get(12)?,
        })
    })?;
    rows.collect::<rusqlite::Result<Vec<_>>>().map(in_order)
}

/// On PostgreSQL, within a transaction.
pub(crate) async fn claim_shared(
    conn: &mut PgConnection,
    claim: &Claim,
) -> Result<Hand, sqlx::Error> {
    sqlx::query(PROMOTE.postgres).bind(claim.queue).execute(&mut *conn).await?;
    let rows = sqlx::query(CLAIM.postgres)
        .bind(claim.queue)
        .bind(i64::try_from(claim.limit).unwrap_or(i64::MAX))
        .bind(&*claim.worker)
        .bind(micros(claim.lease))
        .bind(i64::try_from(claim.begins).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await?;
    let jobs = in_order(rows.iter().map(Claimed::from_row).collect::<Result<Vec<_>, _>>()?);
    let mut hand = Hand { jobs, next_due: None };
    if hand.jobs.len() < claim.limit {
        let next = sqlx::query_scalar(NEXT.postgres).bind(claim.queue).fetch_one(conn).await?;
        hand.next_due = until(next);
    }
    Ok(hand)
}

fn until(micros: Option<i64>) -> Option<Duration> {
    micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for Claimed {
    fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            seq: row.try_get(0)?,
            token: row.try_get(1)?,
            custom_id: row.try_get(2)?,
            kind: row.try_get(3)?,
            payload: row.try_get(4)?,
            attempts_made: row.try_get(5)?,
            attempts_max: row.try_get(6)?,
            timeout: duration(row.try_get(7)?),
            run_at: row.try_get::<Ts, _>(8)?.0,
            stalled: row.try_get(9)?,
            priority: row.try_get(10)?,
            trace: row.try_get(11)?,
            written: row.try_get(12)?,
        })
    }
}

/// What an update answers has no order.
fn in_order(mut claimed: Vec<Claimed>) -> Vec<Claimed> {
    claimed.sort_unstable_by_key(|job| (job.priority, job.seq));
    claimed
}
