//! Acknowledgements: how attempts ended, by number and token. A loser's changes nothing and is told so.

use std::collections::HashMap;

use mainstay_base::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use sqlx::PgConnection;

use super::{Ack, BACKOFF_MAX, Outcome, Settled, Status, micros};
use crate::sql::{Sql, sql};

const COMPLETE: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET status = 3, attempts_made = attempts_made + 1, finished_at = ?3, result = ?4
        WHERE seq = ?1 AND token = ?2 AND status = 2 RETURNING status, queue, idempotency_key",
    postgres: "UPDATE mainstay.job AS j SET status = 3, attempts_made = attempts_made + 1, finished_at = now(),
            result = a.result
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS a(seq, token, result)
        WHERE j.seq = a.seq AND j.token = a.token AND j.status = 2
        RETURNING j.seq, j.token, j.status, j.queue, j.idempotency_key"
);
const FAIL: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET attempts_made = attempts_made + 1, error = ?4,
            status = CASE WHEN cancelled THEN 5 WHEN attempts_made + 1 < attempts_max THEN 1 ELSE 4 END,
            run_at = CASE WHEN attempts_made + 1 < attempts_max AND NOT cancelled
                THEN ?3 + CAST(min(backoff_ms * 1000.0 * (1 << CASE backoff WHEN 1 THEN min(attempts_made, 40)
                    ELSE 0 END), ?6) * ?5 AS INTEGER)
                ELSE run_at END,
            finished_at = CASE WHEN attempts_made + 1 < attempts_max AND NOT cancelled THEN NULL ELSE ?3 END
        WHERE seq = ?1 AND token = ?2 AND status = 2 RETURNING status, queue",
    postgres: "UPDATE mainstay.job AS j SET attempts_made = attempts_made + 1, error = a.error,
            status = CASE WHEN cancelled THEN 5 WHEN attempts_made + 1 < attempts_max THEN 1 ELSE 4 END,
            run_at = CASE WHEN attempts_made + 1 < attempts_max AND NOT cancelled
                THEN now() + interval '1 microsecond' * (LEAST(backoff_ms * 1000.0::double precision
                    * (1::bigint << CASE backoff WHEN 1 THEN LEAST(attempts_made, 40) ELSE 0 END), $5) * a.spread)
                ELSE run_at END,
            finished_at = CASE WHEN attempts_made + 1 < attempts_max AND NOT cancelled THEN NULL ELSE now() END
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::double precision[]) AS a(seq, token, error, spread)
        WHERE j.seq = a.seq AND j.token = a.token AND j.status = 2
        RETURNING j.seq, j.token, j.status, j.queue, NULL::text"
);
const BURY: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET status = 5, attempts_made = attempts_made + 1, error = ?4, finished_at = ?3
        WHERE seq = ?1 AND token = ?2 AND status = 2 RETURNING status, queue",
    postgres: "UPDATE mainstay.job AS j SET status = 5, attempts_made = attempts_made + 1, error = a.error,
            finished_at = now()
        FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS a(seq, token, error)
        WHERE j.seq = a.seq AND j.token = a.token AND j.status = 2
        RETURNING j.seq, j.token, j.status, j.queue, NULL::text"
);
/// One that was cancelled does not begin anew.
const GIVE_BACK: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET status = CASE WHEN cancelled THEN 5 ELSE 0 END, lease_until = NULL,
            started_at = NULL, begun = false, finished_at = CASE WHEN cancelled THEN ?3 END,
            error = CASE WHEN cancelled THEN 'cancelled' ELSE error END
        WHERE seq = ?1 AND token = ?2 AND status = 2 RETURNING status, queue",
    postgres: "UPDATE mainstay.job AS j SET status = CASE WHEN cancelled THEN 5 ELSE 0 END, lease_until = NULL,
            started_at = NULL, begun = false, finished_at = CASE WHEN cancelled THEN now() END,
            error = CASE WHEN cancelled THEN 'cancelled' ELSE error END
        FROM unnest($1::bigint[], $2::bigint[]) AS a(seq, token)
        WHERE j.seq = a.seq AND j.token = a.token AND j.status = 2
        RETURNING j.seq, j.token, j.status, j.queue, NULL::text"
);
const KEEP_RESULT: Sql = sql!(
    sqlite: "UPDATE mainstay.job_key SET result = ?4 WHERE queue = ?1 AND key = ?2 AND seq = ?3",
    postgres: "UPDATE mainstay.job_key AS k SET result = a.result
        FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::text[]) AS a(queue, key, seq, result)
        WHERE k.queue = a.queue AND k.key = a.key AND k.seq = a.seq"
);
/// In the order of their numbers, so that two groups that hold the same jobs do not wait for each other.
pub(super) const LOCK: &str =
    "SELECT seq FROM mainstay.job WHERE seq = ANY ($1) ORDER BY seq FOR UPDATE";

/// On a file. Counts in `finished` how many of each queue need nothing more.
pub(crate) fn finish_direct<'a>(
    conn: &Connection,
    acks: impl Iterator<Item = &'a Ack>,
    now: Timestamp,
    finished: &mut HashMap<i32, u32>,
) -> rusqlite::Result<Vec<Settled>> {
    acks.map(|ack| {
        let Some((status, queue)) = settle_direct(conn, ack, now)? else { return Ok(None) };
        let status = Status::of(status);
        if status.is_final() {
            *finished.entry(queue).or_default() += 1;
        }
        Ok(Some(status))
    })
    .collect()
}

/// How the job stands now, and its queue.
fn settle_direct(
    conn: &Connection,
    ack: &Ack,
    now: Timestamp,
) -> rusqlite::Result<Option<(i64, i32)>> {
    let (seq, token, now) = (ack.seq, ack.token, now.as_micros());
    match &ack.outcome {
        Outcome::Completed { result } => {
            let done: Option<(i64, i32, Option<String>)> = conn
                .prepare_cached(COMPLETE.sqlite)?
                .query_row((seq, token, now, result), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                .optional()?;
            if let Some((_, queue, Some(key))) = &done {
                conn.prepare_cached(KEEP_RESULT.sqlite)?.execute((queue, key, seq, result))?;
            }
            Ok(done.map(|(status, queue, _)| (status, queue)))
        }
        Outcome::Failed { error, spread } => {
            let max = micros(BACKOFF_MAX) as f64;
            let values = (seq, token, now, error, spread.clamp(0.0, 1.0), max);
            one(conn, FAIL.sqlite, values)
        }
        Outcome::Dead { reason } => one(conn, BURY.sqlite, (seq, token, now, reason)),
        Outcome::GivenBack => one(conn, GIVE_BACK.sqlite, (seq, token, now)),
    }
}

fn one(
    conn: &Connection,
    text: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<Option<(i64, i32)>> {
    let mut statement = conn.prepare_cached(text)?;
    statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// A job that was settled: its number, token, status, queue and idempotency key.
type Done = (i64, i64, i16, i32, Option<String>);

/// On PostgreSQL, within a transaction.
pub(crate) async fn finish_shared(
    conn: &mut PgConnection,
    acks: &[&Ack],
) -> Result<Vec<Settled>, sqlx::Error> {
    if acks.is_empty() {
        return Ok(Vec::new());
    }
    let seqs: Vec<i64> = acks.iter().map(|ack| ack.seq).collect();
    sqlx::query(LOCK).bind(&seqs).execute(&mut *conn).await?;
    let mut by = Columns::default();
    acks.iter().for_each(|ack| by.push(ack));
    let mut done: Vec<Done> = Vec::with_capacity(acks.len());
    if !by.completed.0.is_empty() {
        let (seqs, tokens, results) = &by.completed;
        let query = sqlx::query_as(COMPLETE.postgres).bind(seqs).bind(tokens).bind(results);
        let completed: Vec<Done> = query.fetch_all(&mut *conn).await?;
        keep_results(conn, &completed, &by.completed).await?;
        done.extend(completed);
    }
    if !by.failed.0.is_empty() {
        let (seqs, tokens, errors, spreads) = &by.failed;
        let query = sqlx::query_as(FAIL.postgres).bind(seqs).bind(tokens).bind(errors);
        let query = query.bind(spreads).bind(micros(BACKOFF_MAX) as f64);
        done.extend(query.fetch_all(&mut *conn).await?);
    }
    if !by.dead.0.is_empty() {
        let (seqs, tokens, reasons) = &by.dead;
        let query = sqlx::query_as(BURY.postgres).bind(seqs).bind(tokens).bind(reasons);
        done.extend(query.fetch_all(&mut *conn).await?);
    }
    if !by.back.0.is_empty() {
        let query = sqlx::query_as(GIVE_BACK.postgres).bind(&by.back.0).bind(&by.back.1);
        done.extend(query.fetch_all(&mut *conn).await?);
    }
    let mut found: HashMap<_, _> =
        done.into_iter().map(|(seq, token, status, ..)| ((seq, token), status)).collect();
    // Said twice of one job, it counts once.
    let settled = acks.iter().map(|ack| found.remove(&(ack.seq, ack.token)));
    Ok(settled.map(|status| status.map(|status| Status::of(status.into()))).collect())
}

/// Keeps what was answered with the idempotency keys of those that have one.
async fn keep_results(
    conn: &mut PgConnection,
    completed: &[Done],
    (seqs, tokens, results): &Completed<'_>,
) -> Result<(), sqlx::Error> {
    let keyed: Vec<(&Done, &str)> =
        completed.iter().filter_map(|done| Some((done, done.4.as_deref()?))).collect();
    if keyed.is_empty() {
        return Ok(());
    }
    let said = seqs.iter().zip(tokens).zip(results);
    let said: HashMap<_, _> =
        said.map(|((seq, token), result)| ((*seq, *token), *result)).collect();
    let result = |done: &Done| said.get(&(done.0, done.1)).copied().flatten();
    let keep = sqlx::query(KEEP_RESULT.postgres)
        .bind(keyed.iter().map(|(done, _)| done.3).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(_, key)| *key).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(done, _)| done.0).collect::<Vec<_>>())
        .bind(keyed.iter().map(|(done, _)| result(done)).collect::<Vec<_>>());
    keep.execute(conn).await.map(drop)
}

/// Numbers, tokens and results of those that went well.
type Completed<'a> = (Vec<i64>, Vec<i64>, Vec<Option<&'a str>>);

/// Acknowledgements by outcome, one array per column.
#[derive(Default)]
struct Columns<'a> {
    completed: Completed<'a>,
    failed: (Vec<i64>, Vec<i64>, Vec<&'a str>, Vec<f64>),
    dead: (Vec<i64>, Vec<i64>, Vec<&'a str>),
    back: (Vec<i64>, Vec<i64>),
}

impl<'a> Columns<'a> {
    fn push(&mut self, ack: &'a Ack) {
        let (seq, token) = (ack.seq, ack.token);
        match &ack.outcome {
            Outcome::Completed { result } => {
                self.completed.0.push(seq);
                self.completed.1.push(token);
                self.completed.2.push(result.as_deref());
            }
            Outcome::Failed { error, spread } => {
                self.failed.0.push(seq);
                self.failed.1.push(token);
                self.failed.2.push(error);
                self.failed.3.push(spread.clamp(0.0, 1.0));
            }
            Outcome::Dead { reason } => {
                self.dead.0.push(seq);
                self.dead.1.push(token);
                self.dead.2.push(reason);
            }
            Outcome::GivenBack => {
                self.back.0.push(seq);
                self.back.1.push(token);
            }
        }
    }
}
