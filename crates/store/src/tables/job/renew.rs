//! Renewing leases, and how far a job has come. Whoever lost one hears of it here.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_base::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use sqlx::PgConnection;

use super::finish::LOCK;
use super::{Renewed, micros};
use crate::ask::ask;
use crate::sql::{Sql, sql};
use crate::{Engine, Error};

/// A lease that somebody holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) seq: i64,
    pub(crate) token: i64,
    pub(crate) lease: Duration,
    /// Its work has begun.
    pub(crate) begun: bool,
}

const RENEW: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET lease_until = ?3, begun = begun OR ?4 WHERE seq = ?1 AND token = ?2 AND status = 2 RETURNING cancelled,
        (SELECT paused FROM mainstay.job_queue AS q WHERE q.id = queue)",
    postgres: "UPDATE mainstay.job AS j SET lease_until = now() + h.lease * interval '1 microsecond',
            begun = j.begun OR h.begun
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::boolean[]) AS h(seq, token, lease, begun)
        WHERE j.seq = h.seq AND j.token = h.token AND j.status = 2 RETURNING j.seq, j.token, j.cancelled,
            (SELECT paused FROM mainstay.job_queue AS q WHERE q.id = j.queue)"
);
const PROGRESS: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET progress = ?3 WHERE seq = ?1 AND token = ?2 AND status = 2",
    postgres: "UPDATE mainstay.job SET progress = $3 WHERE seq = $1 AND token = $2 AND status = 2"
);

/// Numbers and tokens as JSON, which both engines read alike.
pub(crate) const ASK: Sql = sql!(
    sqlite: "SELECT j.seq, j.token, j.cancelled, q.paused FROM json_each($1) AS h
        JOIN job AS j ON j.seq = json_extract(h.value, '$[0]') AND j.token = json_extract(h.value, '$[1]')
        LEFT JOIN job_queue AS q ON q.id = j.queue WHERE j.status = 2",
    postgres: "SELECT j.seq, j.token, j.cancelled, q.paused FROM json_array_elements($1::json) AS h
        JOIN mainstay.job AS j ON j.seq = (h ->> 0)::bigint AND j.token = (h ->> 1)::bigint
        LEFT JOIN mainstay.job_queue AS q ON q.id = j.queue WHERE j.status = 2"
);

/// What became of leases, by number and token, which stay as long as they are: one question, and nothing is written.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn ask_after(db: &Engine, held: &[(i64, i64)]) -> Result<Vec<Renewed>, Error> {
    let mut json = String::from("[");
    for (seq, token) in held {
        let comma = if json.len() > 1 { "," } else { "" };
        json.push_str(&format!("{comma}[{seq},{token}]"));
    }
    json.push(']');
    let db = &db.latest();
    let rows: Vec<Found> = ask!(db, "job.ask_after", query_as(ASK).fetch_all, &json)?;
    let found = by_lease(rows);
    Ok(held.iter().map(|lease| told(found.get(lease).copied())).collect())
}

/// A lease that is there: number, token, whether it is cancelled, and whether its queue is paused.
type Found = (i64, i64, bool, Option<bool>);

fn by_lease(rows: Vec<Found>) -> HashMap<(i64, i64), (bool, Option<bool>)> {
    let found = rows.into_iter();
    found.map(|(seq, token, cancelled, paused)| ((seq, token), (cancelled, paused))).collect()
}

/// On a file.
pub(crate) fn renew_direct<'a>(
    conn: &Connection,
    held: impl Iterator<Item = &'a Held>,
    now: Timestamp,
) -> rusqlite::Result<Vec<Renewed>> {
    let mut statement = conn.prepare_cached(RENEW.sqlite)?;
    held.map(|held| {
        let until = now.plus(held.lease).as_micros();
        let row = statement.query_row((held.seq, held.token, until, held.begun), |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        row.optional().map(told)
    })
    .collect()
}

/// On PostgreSQL, within a transaction.
pub(crate) async fn renew_shared(
    conn: &mut PgConnection,
    held: &[&Held],
) -> Result<Vec<Renewed>, sqlx::Error> {
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let mut sorted = held.to_vec();
    sorted.sort_unstable_by_key(|held| held.seq);
    let seqs: Vec<i64> = sorted.iter().map(|held| held.seq).collect();
    sqlx::query(LOCK).bind(&seqs).execute(&mut *conn).await?;
    let rows: Vec<Found> = sqlx::query_as(RENEW.postgres)
        .bind(&seqs)
        .bind(sorted.iter().map(|held| held.token).collect::<Vec<_>>())
        .bind(sorted.iter().map(|held| micros(held.lease)).collect::<Vec<_>>())
        .bind(sorted.iter().map(|held| held.begun).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    let found = by_lease(rows);
    Ok(held.iter().map(|held| told(found.get(&(held.seq, held.token)).copied())).collect())
}

/// Whether it is cancelled, and whether its queue is paused.
fn told(found: Option<(bool, Option<bool>)>) -> Renewed {
    match found {
        None => Renewed::Lost,
        Some((true, _)) => Renewed::Cancelled,
        Some((false, Some(true))) => Renewed::Paused,
        Some((false, _)) => Renewed::Held,
    }
}

/// How far a job has come, JSON; false when it is not his any more.
pub(crate) fn note_progress_direct(
    conn: &Connection,
    (seq, token): (i64, i64),
    progress: &str,
) -> rusqlite::Result<bool> {
    Ok(conn.prepare_cached(PROGRESS.sqlite)?.execute((seq, token, progress))? == 1)
}

/// The same on PostgreSQL.
pub(crate) async fn note_progress_shared(
    conn: &mut PgConnection,
    (seq, token): (i64, i64),
    progress: &str,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(PROGRESS.postgres).bind(seq).bind(token).bind(progress);
    query.execute(conn).await.map(|done| done.rows_affected() == 1)
}
