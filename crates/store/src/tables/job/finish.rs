//! Acknowledgements: how attempts ended, by number and token. A loser's changes nothing and is told so. Of very many that
//! went well those that would not be kept are forgotten in the same step.

use std::collections::{HashMap, HashSet};

use mainstay_base::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use sqlx::PgConnection;

use super::{Ack, BACKOFF_MAX, Keep, Outcome, Settled, Status, micros};
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
/// One that would be forgotten at once: of those that went well only the last so many are kept.
const DROP: Sql = sql!(
    sqlite: "DELETE FROM mainstay.job WHERE seq = ?1 AND token = ?2 AND status = 2 RETURNING 3, queue, idempotency_key",
    postgres: "DELETE FROM mainstay.job AS j USING unnest($1::bigint[], $2::bigint[]) AS a(seq, token)
        WHERE j.seq = a.seq AND j.token = a.token AND j.status = 2
        RETURNING j.seq, j.token, 3::smallint, j.queue, j.idempotency_key"
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
/// Whose an acknowledgement is.
const HELD: Sql = sql!(
    sqlite: "SELECT queue FROM mainstay.job WHERE seq = ?1 AND token = ?2 AND status = 2",
    postgres: "SELECT seq, token, queue FROM mainstay.job WHERE seq = ANY ($1) AND status = 2 ORDER BY seq FOR UPDATE"
);
/// In the order of their numbers, so that two groups that hold the same jobs do not wait for each other.
pub(super) const LOCK: &str =
    "SELECT seq FROM mainstay.job WHERE seq = ANY ($1) ORDER BY seq FOR UPDATE";

/// On a file. Counts in `finished` how many of each queue need nothing more and are kept for now.
pub(crate) fn finish_direct<'a>(
    conn: &Connection,
    acks: impl Iterator<Item = &'a Ack>,
    now: Timestamp,
    (keep, finished): (&Keep, &mut HashMap<i32, u32>),
) -> rusqlite::Result<Vec<Settled>> {
    let acks: Vec<&Ack> = acks.collect();
    let mut held = conn.prepare_cached(HELD.sqlite)?;
    let surplus = find_surplus(&acks, keep, |(seq, token)| {
        held.query_row((seq, token), |row| row.get(0)).optional()
    })?;
    acks.into_iter()
        .map(|ack| {
            let is_kept = !surplus.contains(&(ack.seq, ack.token));
            let Some((status, queue)) = settle_direct(conn, ack, is_kept, now)? else {
                return Ok(None);
            };
            let status = Status::of(status);
            if status.is_final() && is_kept {
                *finished.entry(queue).or_default() += 1;
            }
            Ok(Some(status))
        })
        .collect()
}

/// Those that went well and after which so many of their queue went well that none of them would be kept.
fn find_surplus<E>(
    acks: &[&Ack],
    keep: &Keep,
    mut queue_of: impl FnMut((i64, i64)) -> Result<Option<i32>, E>,
) -> Result<HashSet<(i64, i64)>, E> {
    let is_well = |ack: &&&Ack| matches!(ack.outcome, Outcome::Completed { .. });
    let mut surplus = HashSet::new();
    let kept = keep.completed as usize;
    if acks.iter().filter(is_well).count() <= kept {
        return Ok(surplus);
    }
    let mut later: HashMap<i32, usize> = HashMap::new();
    for ack in acks.iter().rev().filter(is_well) {
        let lease = (ack.seq, ack.token);
        let Some(queue) = queue_of(lease)? else { continue };
        let later = later.entry(queue).or_default();
        if *later >= kept {
            surplus.insert(lease);
        }
        *later += 1;
    }
    Ok(surplus)
}

/// How the job stands now, and its queue.
fn settle_direct(
    conn: &Connection,
    ack: &Ack,
    is_kept: bool,
    now: Timestamp,
) -> rusqlite::Result<Option<(i64, i32)>> {
    let (seq, token, now) = (ack.seq, ack.token, now.as_micros());
    match &ack.outcome {
        Outcome::Completed { result } => {
            let told = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
            let done: Option<(i64, i32, Option<String>)> = if is_kept {
                let mut complete = conn.prepare_cached(COMPLETE.sqlite)?;
                complete.query_row((seq, token, now, result), told).optional()?
            } else {
                conn.prepare_cached(DROP.sqlite)?.query_row((seq, token), told).optional()?
            };
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
    keep: &Keep,
) -> Result<Vec<Settled>, sqlx::Error> {
    if acks.is_empty() {
        return Ok(Vec::new());
    }
    let seqs: Vec<i64> = acks.iter().map(|ack| ack.seq).collect();
    let held: Vec<(i64, i64, i32)> =
        sqlx::query_as(HELD.postgres).bind(&seqs).fetch_all(&mut *conn).await?;
    let held: HashMap<_, _> =
        held.into_iter().map(|(seq, token, queue)| ((seq, token), queue)).collect();
    let Ok(surplus) = find_surplus(acks, keep, |lease| {
        Ok::<_, std::convert::Infallible>(held.get(&lease).copied())
    });
    let mut by = Columns::default();
    acks.iter().for_each(|ack| by.push(ack, &surplus));
    let mut done: Vec<Done> = Vec::with_capacity(acks.len());
    if !by.completed.0.is_empty() {
        let (seqs, tokens, results) = &by.completed;
        let query = sqlx::query_as(COMPLETE.postgres).bind(seqs).bind(tokens).bind(results);
        let completed: Vec<Done> = query.fetch_all(&mut *conn).await?;
        keep_results(conn, &completed, &by.completed).await?;
        done.extend(completed);
    }
    if !by.surplus.0.is_empty() {
        let query = sqlx::query_as(DROP.postgres).bind(&by.surplus.0).bind(&by.surplus.1);
        let dropped: Vec<Done> = query.fetch_all(&mut *conn).await?;
        keep_results(conn, &dropped, &by.surplus).await?;
        done.extend(dropped);
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
    surplus: Completed<'a>,
    failed: (Vec<i64>, Vec<i64>, Vec<&'a str>, Vec<f64>),
    dead: (Vec<i64>, Vec<i64>, Vec<&'a str>),
    back: (Vec<i64>, Vec<i64>),
}

impl<'a> Columns<'a> {
    fn push(&mut self, ack: &'a Ack, surplus: &HashSet<(i64, i64)>) {
        let (seq, token) = (ack.seq, ack.token);
        match &ack.outcome {
            Outcome::Completed { result } => {
                let to = if surplus.contains(&(seq, token)) {
                    &mut self.surplus
                } else {
                    &mut self.completed
                };
                to.0.push(seq);
                to.1.push(token);
                to.2.push(result.as_deref());
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
