//! What time does to jobs: leases run out, and what is finished is forgotten.

use std::time::Duration;

use mainstay_base::Timestamp;
use rusqlite::Connection;
use sqlx::PgConnection;

use super::micros;
use crate::sql::{Sql, sql};

/// What is kept of finished jobs, per queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So many completed ones.
    pub completed: u32,
    /// For so long.
    pub completed_for: Duration,
    /// So many failed and dead ones, of each.
    pub failed: u32,
    /// For so long.
    pub failed_for: Duration,
    /// Whoever lost his lease so often more than this is not tried again.
    pub max_stalled: u32,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tended {
    /// Jobs whose lease had run out and that wait again, begun or not.
    pub stalled: u64,
    /// Jobs that stalled too often, and cancelled ones nobody was heard of.
    pub buried: u64,
    /// Finished jobs that were forgotten.
    pub forgotten: u64,
    /// Idempotency keys that were.
    pub keys: u64,
}

impl Tended {
    /// Whether a round had so much to do that the next shall follow at once.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        let chunk = CHUNK.unsigned_abs();
        [self.stalled + self.buried, self.forgotten, self.keys].iter().any(|done| *done >= chunk)
    }
}

/// About so many rows are changed in one round: a file's writer has others to serve.
const CHUNK: i64 = 1_000;

/// What was only claimed ahead did not stall: whoever had it was lost before it began.
const SWEEP: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET stalled = stalled + begun, begun = 0, lease_until = NULL,
            status = CASE WHEN cancelled OR (begun AND stalled >= ?2) THEN 5 ELSE 0 END,
            finished_at = CASE WHEN cancelled OR (begun AND stalled >= ?2) THEN ?1 END,
            error = CASE WHEN cancelled THEN 'cancelled'
                WHEN begun AND stalled >= ?2 THEN 'stalled more often than jobs.max_stalled allows: whoever had it was not heard of again'
                ELSE error END
        WHERE seq IN (SELECT seq FROM mainstay.job WHERE status = 2 AND lease_until < ?1 ORDER BY seq LIMIT 1000)
        RETURNING status",
    postgres: "WITH lost AS MATERIALIZED (SELECT seq FROM mainstay.job WHERE status = 2 AND lease_until < now()
            ORDER BY seq LIMIT 1000 FOR UPDATE SKIP LOCKED)
        UPDATE mainstay.job AS j SET stalled = stalled + begun::integer, begun = false, lease_until = NULL,
            status = CASE WHEN cancelled OR (begun AND stalled >= $1) THEN 5 ELSE 0 END,
            finished_at = CASE WHEN cancelled OR (begun AND stalled >= $1) THEN now() END,
            error = CASE WHEN cancelled THEN 'cancelled'
                WHEN begun AND stalled >= $1 THEN 'stalled more often than jobs.max_stalled allows: whoever had it was not heard of again'
                ELSE error END
        FROM lost WHERE j.seq = lost.seq RETURNING j.status"
);
/// Status 3, 4 and 5 each stand in the index in the order in which they finished.
const FORGET_MANY: Sql = sql!(
    sqlite: "DELETE FROM mainstay.job WHERE seq IN (SELECT seq FROM mainstay.job
        WHERE queue = ?1 AND status = ?2 AND finished_at IS NOT NULL
        ORDER BY finished_at DESC LIMIT ?4 OFFSET ?3)",
    postgres: "DELETE FROM mainstay.job WHERE seq = ANY (ARRAY(SELECT seq FROM mainstay.job
        WHERE queue = $1 AND status = $2 AND finished_at IS NOT NULL
        ORDER BY finished_at DESC LIMIT $4 OFFSET $3 FOR UPDATE SKIP LOCKED))"
);
const FORGET_OLD: Sql = sql!(
    sqlite: "DELETE FROM mainstay.job WHERE seq IN (SELECT seq FROM mainstay.job
        WHERE queue = ?1 AND status = ?2 AND finished_at < ?3 LIMIT ?4)",
    postgres: "DELETE FROM mainstay.job WHERE seq = ANY (ARRAY(SELECT seq FROM mainstay.job
        WHERE queue = $1 AND status = $2 AND finished_at < now() - $3 * interval '1 microsecond' LIMIT $4
        FOR UPDATE SKIP LOCKED))"
);
const FORGET_KEYS: Sql = sql!(
    sqlite: "DELETE FROM mainstay.job_key WHERE (queue, key) IN (SELECT queue, key FROM mainstay.job_key
        WHERE expires_at < ?1 LIMIT ?2)",
    postgres: "DELETE FROM mainstay.job_key WHERE (queue, key) IN (SELECT queue, key FROM mainstay.job_key
        WHERE expires_at < now() LIMIT $1 FOR UPDATE SKIP LOCKED)"
);
const QUEUES: Sql = sql!("SELECT id FROM mainstay.job_queue");

impl Keep {
    fn rules(&self) -> [(i16, u32, Duration); 3] {
        let failed = |status| (status, self.failed, self.failed_for);
        [(3, self.completed, self.completed_for), failed(4), failed(5)]
    }
}

/// Forgets what a queue has too many of, on a file; of very many only a part.
pub(crate) fn forget_many_direct(
    conn: &Connection,
    queue: i32,
    keep: &Keep,
) -> rusqlite::Result<u64> {
    let mut forget = conn.prepare_cached(FORGET_MANY.sqlite)?;
    let each = keep.rules().map(|(status, count, _)| {
        forget.execute((queue, status, count, CHUNK)).map(|deleted| deleted as u64)
    });
    each.into_iter().sum()
}

/// A round on a file.
pub(crate) fn tend_direct(
    conn: &Connection,
    keep: &Keep,
    now: Timestamp,
) -> rusqlite::Result<Tended> {
    let mut tended = Tended::default();
    let micros = now.as_micros();
    let mut sweep = conn.prepare_cached(SWEEP.sqlite)?;
    let swept = sweep.query_map((micros, keep.max_stalled), |row| row.get(0))?;
    for status in swept {
        tended.note_swept(status?);
    }
    let mut queues = conn.prepare_cached(QUEUES.sqlite)?;
    let queues: rusqlite::Result<Vec<i32>> = queues.query_map([], |row| row.get(0))?.collect();
    let queues = queues?;
    for queue in queues {
        if tended.is_unfinished() {
            return Ok(tended);
        }
        tended.forgotten += forget_many_direct(conn, queue, keep)?;
        for (status, _, lasts) in keep.rules() {
            let before = now.minus(lasts).as_micros();
            let mut forget = conn.prepare_cached(FORGET_OLD.sqlite)?;
            tended.forgotten += forget.execute((queue, status, before, CHUNK))? as u64;
        }
    }
    let mut forget = conn.prepare_cached(FORGET_KEYS.sqlite)?;
    tended.keys = forget.execute([micros, CHUNK])? as u64;
    Ok(tended)
}

/// A round on PostgreSQL, within a transaction. Of several processes that do it at a time each does a part.
pub(crate) async fn tend_shared(
    conn: &mut PgConnection,
    keep: &Keep,
) -> Result<Tended, sqlx::Error> {
    let mut tended = Tended::default();
    let swept: Vec<i16> = sqlx::query_scalar(SWEEP.postgres)
        .bind(i32::try_from(keep.max_stalled).unwrap_or(i32::MAX))
        .fetch_all(&mut *conn)
        .await?;
    swept.into_iter().for_each(|status| tended.note_swept(status));
    let queues: Vec<i32> = sqlx::query_scalar(QUEUES.postgres).fetch_all(&mut *conn).await?;
    for queue in queues {
        if tended.is_unfinished() {
            return Ok(tended);
        }
        for (status, count, lasts) in keep.rules() {
            for (text, bound) in [(FORGET_MANY, i64::from(count)), (FORGET_OLD, micros(lasts))] {
                let query = sqlx::query(text.postgres).bind(queue).bind(status).bind(bound);
                let done = query.bind(CHUNK).execute(&mut *conn).await?;
                tended.forgotten += done.rows_affected();
            }
        }
    }
    let forgotten = sqlx::query(FORGET_KEYS.postgres).bind(CHUNK).execute(conn).await?;
    tended.keys = forgotten.rows_affected();
    Ok(tended)
}

impl Tended {
    fn note_swept(&mut self, status: i16) {
        if status == 0 {
            self.stalled += 1;
        } else {
            self.buried += 1;
        }
    }
}
