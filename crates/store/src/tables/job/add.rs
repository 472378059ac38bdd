//! Adding jobs: many at once, or in the transaction of somebody who changes something else. One whose name is taken becomes
//! the one that has it.

use std::collections::HashSet;

use mainstay_base::{Clock, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};
use sqlx::PgConnection;

use super::{Added, New, Status, Unique, micros, millis};
use crate::ask::{run, take};
use crate::sql::{Sql, sql};
use crate::tx::{Transaction, Tx};
use crate::{Error, Ts};

macro_rules! insert {
    ($tail:literal) => {
        concat!(
            "INSERT INTO mainstay.job (queue, status, priority, kind, payload, created_at, run_at, attempts_max,
                backoff, backoff_ms, timeout_ms, trace, written, custom_id, unique_key, idempotency_key)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            $tail
        )
    };
}
const INSERT: Sql = sql!(insert!(""));
const INSERT_ONE: Sql = sql!(insert!(" RETURNING seq"));
/// In the order of the arrays, so that the numbers that come back are those of the jobs in their order.
const INSERT_MANY: &str = "INSERT INTO mainstay.job (queue, status, priority, kind, payload, created_at, run_at,
        attempts_max, backoff, backoff_ms, timeout_ms, trace, written)
    SELECT queue, status, priority, kind, payload, now(), now() + delay * interval '1 microsecond', attempts_max,
        backoff, backoff_ms, timeout_ms, trace, written
    FROM unnest($1::integer[], $2::smallint[], $3::integer[], $4::text[], $5::text[], $6::bigint[], $7::integer[],
        $8::smallint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[]) WITH ORDINALITY
        AS j(queue, status, priority, kind, payload, delay, attempts_max, backoff, backoff_ms, timeout_ms, trace,
            written, place)
    ORDER BY place RETURNING seq";
const FIND_KEY: Sql = sql!(
    "SELECT seq, result FROM mainstay.job_key WHERE queue = $1 AND key = $2 AND expires_at > $3"
);
const ADD_KEY: Sql = sql!(
    "INSERT INTO mainstay.job_key (queue, key, seq, expires_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (queue, key) DO UPDATE SET seq = excluded.seq, expires_at = excluded.expires_at, result = NULL"
);
/// A key by which a job was found that went by another name, with what the job has answered already.
const ADD_KEY_OF: Sql = sql!(
    "INSERT INTO mainstay.job_key (queue, key, seq, expires_at, result)
     VALUES ($1, $2, $3, $4, (SELECT result FROM mainstay.job WHERE seq = $3))
     ON CONFLICT (queue, key) DO UPDATE SET seq = excluded.seq, expires_at = excluded.expires_at,
        result = excluded.result"
);
/// So that its result is kept with the key; with the first one, where there are several.
const NOTE_KEY: Sql =
    sql!("UPDATE mainstay.job SET idempotency_key = $1 WHERE seq = $2 AND idempotency_key IS NULL");
const FIND_ID: Sql = sql!(
    "SELECT seq FROM mainstay.job WHERE queue = $1 AND custom_id = $2 AND custom_id IS NOT NULL"
);
const FIND_UNIQUE: Sql = sql!(
    "SELECT seq FROM mainstay.job WHERE queue = $1 AND unique_key = $2 AND unique_key IS NOT NULL AND finished_at IS NULL"
);
const DEBOUNCE: Sql = sql!(
    "UPDATE mainstay.job SET payload = $1, run_at = $2 WHERE seq = $3 AND status = 1 AND attempts_made = 0"
);
/// Two who add by one name take turns, so that the second sees what the first has added.
const LOCK_NAMES: &str = "SELECT pg_advisory_xact_lock(name) FROM (
    SELECT DISTINCT hashtextextended(name, 7) AS name FROM unnest($1::text[]) AS n(name) ORDER BY 1) AS names";
/// The same without a wait: those that could be had.
const TRY_NAMES: &str = "SELECT name FROM unnest($1::text[]) AS n(name)
    WHERE pg_try_advisory_xact_lock(hashtextextended(name, 7))";
const WAIT_BRIEFLY: &str = "SET LOCAL lock_timeout = '1s'";

/// Adds jobs in a transaction: there are none of them unless it is committed. Whoever commits it wakes the workers.
///
/// # Errors
/// [`Error`] when the store cannot answer; then the transaction does not commit any more.
pub async fn add_in(
    tx: &mut Transaction<'_>,
    clock: &Clock,
    rows: &[New],
) -> Result<Vec<Added>, Error> {
    let added = add_each(&mut tx.0, clock, rows).await;
    tx.keep(added)
}

pub(crate) async fn add_each(
    tx: &mut Tx<'_>,
    clock: &Clock,
    rows: &[New],
) -> Result<Vec<Added>, Error> {
    lock_names(tx, rows.iter()).await?;
    let now = now(tx, clock).await?;
    let mut added = Vec::with_capacity(rows.len());
    for row in rows {
        added.push(add_one(tx, row, now).await?);
    }
    Ok(added)
}

/// The database's time on PostgreSQL.
async fn now(tx: &mut Tx<'_>, clock: &Clock) -> Result<Timestamp, Error> {
    const NOW: Sql = sql!(sqlite: "SELECT 0", postgres: "SELECT now()");
    match tx {
        Tx::Sqlite(_) => Ok(clock.now()),
        Tx::Postgres(_) => {
            let now: Ts = take!(*tx, query_scalar(NOW).fetch_one)?;
            Ok(now.0)
        }
    }
}

async fn lock_names(tx: &mut Tx<'_>, rows: impl Iterator<Item = &New>) -> Result<(), Error> {
    let op = tx.op();
    let Tx::Postgres(tx) = tx else { return Ok(()) };
    let names: Vec<String> = rows.flat_map(names).collect();
    if names.is_empty() {
        return Ok(());
    }
    let patience = tx.patience();
    let locked = patience.keep(sqlx::query(LOCK_NAMES).bind(names).execute(tx.conn())).await;
    locked.map(drop).map_err(|error| {
        tx.note(&error);
        Error::new(op, error)
    })
}

/// Takes the names that nobody has, and waits for none; answers them.
pub(crate) async fn try_names(
    tx: &mut Tx<'_>,
    mut wanted: Vec<String>,
) -> Result<HashSet<String>, Error> {
    wanted.sort_unstable();
    wanted.dedup();
    let op = tx.op();
    let Tx::Postgres(tx) = tx else { return Ok(wanted.into_iter().collect()) };
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let patience = tx.patience();
    let query = sqlx::query_scalar(TRY_NAMES).bind(wanted);
    let had: Result<Vec<String>, _> = patience.keep(query.fetch_all(tx.conn())).await;
    had.map(|had| had.into_iter().collect()).map_err(|error| {
        tx.note(&error);
        Error::new(op, error)
    })
}

/// Lets the transaction wait for no lock for long.
pub(crate) async fn wait_briefly(tx: &mut Tx<'_>) -> Result<(), Error> {
    let op = tx.op();
    let Tx::Postgres(tx) = tx else { return Ok(()) };
    let patience = tx.patience();
    let set = patience.keep(sqlx::query(WAIT_BRIEFLY).execute(tx.conn())).await;
    set.map(drop).map_err(|error| {
        tx.note(&error);
        Error::new(op, error)
    })
}

/// What it goes by, where another can go by the same.
pub(crate) fn names(row: &New) -> Vec<String> {
    let id = row.custom_id.iter().map(|id| format!("{}\ti{id}", row.queue));
    let unique = row.unique.iter().map(|unique| format!("{}\tu{}", row.queue, unique.key()));
    let key = row.idempotency.iter().map(|(key, _)| format!("{}\tk{key}", row.queue));
    id.chain(unique).chain(key).collect()
}

async fn add_one(tx: &mut Tx<'_>, row: &New, now: Timestamp) -> Result<Added, Error> {
    if let Some((key, _)) = &row.idempotency {
        let found: Option<(i64, Option<String>)> =
            take!(*tx, query_as(FIND_KEY).fetch_optional, row.queue, key, Ts(now))?;
        if let Some((seq, result)) = found {
            return Ok(Added { seq, is_new: false, result });
        }
    }
    if let Some(id) = &row.custom_id {
        let found = take!(*tx, query_scalar(FIND_ID).fetch_optional, row.queue, id)?;
        if let Some(seq) = found {
            return keep_key(tx, row, seq, now).await;
        }
    }
    if let Some(unique) = &row.unique {
        let found: Option<i64> =
            take!(*tx, query_scalar(FIND_UNIQUE).fetch_optional, row.queue, unique.key())?;
        if let Some(seq) = found {
            if matches!(unique, Unique::Debounce(_)) {
                run!(*tx, DEBOUNCE, &*row.payload, Ts(now.plus(row.delay)), seq)?;
            }
            return keep_key(tx, row, seq, now).await;
        }
    }
    let (backoff, backoff_ms) = row.backoff.parts();
    let seq: i64 = take!(
        *tx,
        query_scalar(INSERT_ONE).fetch_one,
        row.queue,
        row.status().number(),
        row.priority,
        &*row.kind,
        &*row.payload,
        Ts(now),
        Ts(now.plus(row.delay)),
        row.attempts_max,
        backoff,
        backoff_ms,
        millis(row.timeout),
        row.trace.as_deref(),
        row.written.as_deref(),
        row.custom_id.as_deref(),
        row.unique.as_ref().map(Unique::key),
        row.idempotency.as_ref().map(|(key, _)| &**key),
    )?;
    if let Some((key, lasts)) = &row.idempotency {
        run!(*tx, ADD_KEY, row.queue, key, seq, Ts(now.plus(*lasts)))?;
    }
    Ok(Added { seq, is_new: true, result: None })
}

/// One that was found by another name than its idempotency key is found by that, too, from now on.
async fn keep_key(tx: &mut Tx<'_>, row: &New, seq: i64, now: Timestamp) -> Result<Added, Error> {
    if let Some((key, lasts)) = &row.idempotency {
        run!(*tx, ADD_KEY_OF, row.queue, key, seq, Ts(now.plus(*lasts)))?;
        run!(*tx, NOTE_KEY, key, seq)?;
    }
    Ok(Added { seq, is_new: false, result: None })
}

/// On a file, through the queue's own connection.
pub(crate) fn add_direct<'a>(
    conn: &Connection,
    rows: impl Iterator<Item = &'a New>,
    now: Timestamp,
) -> rusqlite::Result<Vec<Added>> {
    let mut insert = conn.prepare_cached(INSERT.sqlite)?;
    rows.map(|row| {
        if row.is_named()
            && let Some(there) = find_direct(conn, row, now)?
        {
            return Ok(there);
        }
        let (backoff, backoff_ms) = row.backoff.parts();
        let mut next = 0;
        let mut put = |value: &dyn rusqlite::ToSql| {
            next += 1;
            insert.raw_bind_parameter(next, value)
        };
        put(&row.queue)?;
        put(&row.status().number())?;
        put(&row.priority)?;
        put(&&*row.kind)?;
        put(&&*row.payload)?;
        put(&now.as_micros())?;
        put(&now.plus(row.delay).as_micros())?;
        put(&row.attempts_max)?;
        put(&backoff)?;
        put(&backoff_ms)?;
        put(&millis(row.timeout))?;
        put(&row.trace.as_deref())?;
        put(&row.written.as_deref())?;
        put(&row.custom_id)?;
        put(&row.unique.as_ref().map(Unique::key))?;
        put(&row.idempotency.as_ref().map(|(key, _)| &**key))?;
        insert.raw_execute()?;
        let seq = conn.last_insert_rowid();
        if let Some((key, lasts)) = &row.idempotency {
            let until = now.plus(*lasts).as_micros();
            conn.prepare_cached(ADD_KEY.sqlite)?.execute((row.queue, key, seq, until))?;
        }
        Ok(Added { seq, is_new: true, result: None })
    })
    .collect()
}

/// The job that has one of its names.
fn find_direct(conn: &Connection, row: &New, now: Timestamp) -> rusqlite::Result<Option<Added>> {
    let there = |seq: i64| Added { seq, is_new: false, result: None };
    let keep_key = |seq: i64| {
        if let Some((key, lasts)) = &row.idempotency {
            let until = now.plus(*lasts).as_micros();
            conn.prepare_cached(ADD_KEY_OF.sqlite)?.execute((row.queue, key, seq, until))?;
            conn.prepare_cached(NOTE_KEY.sqlite)?.execute((key, seq))?;
        }
        Ok(Some(there(seq)))
    };
    if let Some((key, _)) = &row.idempotency {
        let found = conn
            .prepare_cached(FIND_KEY.sqlite)?
            .query_row((row.queue, key, now.as_micros()), |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?;
        if let Some((seq, result)) = found {
            return Ok(Some(Added { result, ..there(seq) }));
        }
    }
    let find = |text: &str, name: &str| {
        let mut statement = conn.prepare_cached(text)?;
        statement.query_row((row.queue, name), |r| r.get::<_, i64>(0)).optional()
    };
    if let Some(id) = &row.custom_id
        && let Some(seq) = find(FIND_ID.sqlite, id)?
    {
        return keep_key(seq);
    }
    if let Some(unique) = &row.unique
        && let Some(seq) = find(FIND_UNIQUE.sqlite, unique.key())?
    {
        if matches!(unique, Unique::Debounce(_)) {
            let run_at = now.plus(row.delay).as_micros();
            conn.prepare_cached(DEBOUNCE.sqlite)?.execute((&*row.payload, run_at, seq))?;
        }
        return keep_key(seq);
    }
    Ok(None)
}

/// On PostgreSQL: those that meet nobody in one statement, the others, whose names are the transaction's, one by one.
pub(crate) async fn add_shared(
    tx: &mut Tx<'_>,
    clock: &Clock,
    rows: &[&New],
) -> Result<Vec<Added>, Error> {
    let (op, plain): (_, Vec<&New>) =
        (tx.op(), rows.iter().copied().filter(|row| !row.is_named()).collect());
    let mut seqs = Vec::new();
    if !plain.is_empty()
        && let Tx::Postgres(tx) = &mut *tx
    {
        let patience = tx.patience();
        let inserted = patience.keep(insert_many(tx.conn(), &plain)).await;
        seqs = inserted.map_err(|error| {
            tx.note(&error);
            Error::new(op, error)
        })?;
    }
    let mut now_there = None;
    if plain.len() < rows.len() {
        now_there = Some(now(tx, clock).await?);
    }
    let mut seqs = seqs.into_iter();
    let mut added = Vec::with_capacity(rows.len());
    for row in rows {
        added.push(match (now_there, row.is_named()) {
            (Some(now), true) => add_one(tx, row, now).await?,
            _ => {
                let seq = seqs.next().ok_or_else(|| Error::new(op, sqlx::Error::RowNotFound))?;
                Added { seq, is_new: true, result: None }
            }
        });
    }
    Ok(added)
}

async fn insert_many(conn: &mut PgConnection, rows: &[&New]) -> Result<Vec<i64>, sqlx::Error> {
    macro_rules! column {
        ($row:ident => $value:expr) => {
            rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    let query = sqlx::query_scalar(INSERT_MANY)
        .bind(column!(row => row.queue))
        .bind(column!(row => Status::number(row.status())))
        .bind(column!(row => row.priority))
        .bind(column!(row => &*row.kind))
        .bind(column!(row => &*row.payload))
        .bind(column!(row => micros(row.delay)))
        .bind(column!(row => row.attempts_max))
        .bind(column!(row => row.backoff.parts().0))
        .bind(column!(row => row.backoff.parts().1))
        .bind(column!(row => millis(row.timeout)))
        .bind(column!(row => row.trace.as_deref()))
        .bind(column!(row => row.written.as_deref()));
    query.fetch_all(conn).await
}
