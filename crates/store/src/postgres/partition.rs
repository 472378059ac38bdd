//! Rows of events in one piece per day: pieces made ahead, old ones dropped whole, and what fell into the default
//! partition moved to where it belongs. Hypertables make their own.

use std::time::Duration;

use mainstay_base::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;

use super::Db;
use crate::ask::{run, take};
use crate::retain::Table;
use crate::sql::{Sql, sql};
use crate::tx::Tx;
use crate::{Engine, Error, Ts};

/// A piece.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// How long dropping a day may keep others from the table; then it is tried again later.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '100ms'";

/// A table whose rows lie in one piece per day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) table: &'static str,
    /// The column of its time.
    pub(crate) at: &'static str,
}

/// Every such table.
pub(crate) fn list_pieces() -> impl Iterator<Item = Pieces> {
    Table::ALL.into_iter().filter_map(Table::in_days)
}

/// Makes the pieces of yesterday, today and `ahead` more days, where days are native partitions. A day whose rows lie in
/// the default partition already gets its piece by moving them.
///
/// # Errors
/// [`Error`] when the store cannot answer; pieces made before stay.
pub(crate) async fn make_ahead(db: &Engine, now: Timestamp, ahead: u32) -> Result<(), Error> {
    if !is_native(db).await? {
        return Ok(());
    }
    for pieces in list_pieces() {
        for day in 0..=(ahead + 1) {
            let day = now.minus(DAY).floor_to(DAY).plus(DAY * day);
            make_day(db, pieces, day).await?;
        }
        for day in list_strays(db, pieces).await? {
            tracing::warn!(table = pieces.table, %day, "rows of a day without a partition are moved into one");
            make_day(db, pieces, day).await?;
        }
    }
    Ok(())
}

const IS_NATIVE: Sql = sql!(
    sqlite: "SELECT 0",
    postgres: "SELECT c.relkind = 'p' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'mainstay' AND c.relname = 'page_views'",
);

pub(crate) async fn is_native(db: &Engine) -> Result<bool, Error> {
    let db = &db.latest();
    crate::ask::ask!(db, "partition.is_native", query_scalar(IS_NATIVE).fetch_one)
}

const EXISTS: Sql = sql!("SELECT to_regclass($1) IS NOT NULL");

pub(crate) async fn make_day(db: &Engine, pieces: Pieces, day: Timestamp) -> Result<(), Error> {
    let (name, from, to) = (piece_name(pieces.table, day), day, day.plus(DAY));
    let mut tx = db.begin("partition.make_day").await?;
    // One process at a time: two who make the same piece would block each other's inserts.
    const ONE: Sql =
        sql!("SELECT pg_advisory_xact_lock(hashtextextended('mainstay partitions', 0))");
    run!(tx, ONE)?;
    let exists: bool = take!(tx, query_scalar(EXISTS).fetch_one, format!("mainstay.{name}"))?;
    if !exists {
        let Tx::Postgres(inner) = &mut tx else { return Ok(()) };
        let (op, patience) = ("partition.make_day", inner.patience());
        let made = attach(inner.conn(), pieces, &name, (from, to));
        patience.keep(made).await.map_err(|e| Error::new(op, e))?;
    }
    tx.commit().await
}

/// The piece is filled before it is attached, so that the table is locked for a moment only. Nobody inserts meanwhile:
/// a row of that day would fall into the default partition once more.
async fn attach(
    conn: &mut PgConnection,
    Pieces { table, at }: Pieces,
    name: &str,
    (from, to): (Timestamp, Timestamp),
) -> Result<(), sqlx::Error> {
    let (from, to) = (from.to_rfc3339(), to.to_rfc3339());
    let within = format!("{at} >= '{from}' AND {at} < '{to}'");
    for text in [
        format!(
            "CREATE TABLE mainstay.{name} (LIKE mainstay.{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        ),
        format!("LOCK TABLE mainstay.{table} IN SHARE ROW EXCLUSIVE MODE"),
        format!(
            "WITH moved AS (DELETE FROM mainstay.{table}_default WHERE {within} RETURNING *)
             INSERT INTO mainstay.{name} SELECT * FROM moved"
        ),
        format!(
            "ALTER TABLE mainstay.{table} ATTACH PARTITION mainstay.{name} FOR VALUES FROM ('{from}') TO ('{to}')"
        ),
    ] {
        sqlx::query(AssertSqlSafe(text)).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Days of the rows in the default partition, at most a month of them.
async fn list_strays(db: &Engine, Pieces { table, at }: Pieces) -> Result<Vec<Timestamp>, Error> {
    const OP: &str = "partition.list_strays";
    let Engine::Postgres(db) = db else { return Ok(Vec::new()) };
    let text = format!(
        "SELECT DISTINCT date_trunc('day', {at}, 'UTC') FROM mainstay.{table}_default ORDER BY 1 LIMIT 31"
    );
    let mut leased = db.writing(OP).await?;
    let listed = sqlx::query_scalar(AssertSqlSafe(text)).fetch_all(leased.conn());
    let days = db.within(listed).await;
    let days: Vec<Ts> = db.settle_write(OP, leased, days)?;
    Ok(days.into_iter().map(Timestamp::from).collect())
}

/// How many rows lie in default partitions, of all tables together: none, unless maintenance stood still.
pub(crate) async fn count_strays(db: &Db) -> Result<i64, Error> {
    const OP: &str = "partition.count_strays";
    if !is_native(&Engine::Postgres(db.clone())).await? {
        return Ok(0);
    }
    let counts =
        list_pieces().map(|p| format!("(SELECT count(*) FROM mainstay.{}_default)", p.table));
    let text = format!("SELECT {}", counts.collect::<Vec<_>>().join(" + "));
    let mut leased = db.writing(OP).await?;
    let counted = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(leased.conn());
    let counted = db.within(counted).await;
    db.settle_write(OP, leased, counted)
}

/// Drops the oldest piece that lies wholly before `before` (of hypertables all such); returns how many rows or pieces
/// went, none when there is no such piece.
///
/// # Errors
/// [`Error`] when the store cannot answer, or others kept the table busy: then nothing went.
pub(crate) async fn drop_oldest(
    tx: &mut Tx<'_>,
    pieces: Pieces,
    before: Timestamp,
) -> Result<Option<u64>, Error> {
    // A day's name sorts as its date does. The piece before the one that holds `before` ends at or before it.
    const OLDEST: Sql = sql!(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass($1) AND c.relname < $2 AND c.relname NOT LIKE '%_default'
         ORDER BY c.relname LIMIT 1"
    );
    const CHUNKS: Sql =
        sql!("SELECT count(*) FROM drop_chunks(to_regclass($1), older_than => $2::timestamptz)");
    let Pieces { table, .. } = pieces;
    let whole = format!("mainstay.{table}");
    let native: bool = take!(*tx, query_scalar(IS_NATIVE).fetch_one)?;
    if !native {
        // `drop_chunks` is part of TimescaleDB's Apache edition; its retention policies are not.
        let chunks: i64 = take!(*tx, query_scalar(CHUNKS).fetch_one, whole.as_str(), Ts(before))?;
        return Ok((chunks > 0).then_some(u64::try_from(chunks).unwrap_or(0)));
    }
    let first_kept = piece_name(table, before.floor_to(DAY));
    let oldest: Option<String> =
        take!(*tx, query_scalar(OLDEST).fetch_optional, whole.as_str(), first_kept.as_str())?;
    let Some(name) = oldest.filter(|name| is_piece_name(name, table)) else { return Ok(None) };
    let op = tx.op();
    let Tx::Postgres(inner) = tx else { return Ok(None) };
    let patience = inner.patience();
    let gone = patience.keep(detach(inner.conn(), table, &name)).await;
    gone.map(Some).map_err(|e| Error::new(op, e))
}

/// Detached in the transaction that drops it (CONCURRENTLY is refused where there is a default partition); the parent is
/// locked for the moment of the detaching.
async fn detach(conn: &mut PgConnection, table: &str, name: &str) -> Result<u64, sqlx::Error> {
    let count = format!("SELECT count(*) FROM mainstay.{name}");
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *conn).await?;
    sqlx::query(LOCK_TIMEOUT).execute(&mut *conn).await?;
    for text in [
        format!("ALTER TABLE mainstay.{table} DETACH PARTITION mainstay.{name}"),
        format!("DROP TABLE mainstay.{name}"),
    ] {
        sqlx::query(AssertSqlSafe(text)).execute(&mut *conn).await?;
    }
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// `page_views_p20261129`.
fn piece_name(table: &str, day: Timestamp) -> String {
    let date = OffsetDateTime::from_unix_timestamp(day.as_seconds()).map(OffsetDateTime::date);
    match date {
        Ok(date) => {
            format!("{table}_p{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day())
        }
        Err(_) => format!("{table}_p00000000"),
    }
}

fn is_piece_name(name: &str, table: &str) -> bool {
    let date = name.strip_prefix(table).and_then(|rest| rest.strip_prefix("_p"));
    date.is_some_and(|date| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_named_by_their_day() {
        let day = Timestamp::from_seconds(1_795_348_800);
        assert_eq!(piece_name("page_views", day), "page_views_p20261122");
        assert!(is_piece_name("page_views_p20261122", "page_views"));
        for other in
            ["page_views_default", "page_views_p2026", "page_views_p2026112x", "errors_p20261122"]
        {
            assert!(!is_piece_name(other, "page_views"), "{other}");
        }
    }
}
