//! Rows of events in one piece per day: pieces made ahead, old ones dropped whole, and what fell into the default
//! partition put where it belongs ([`split`]). Hypertables make their own.

use std::time::Duration;

use mainstay_base::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};
use time::{Date, OffsetDateTime};

use super::{Db, Patience};
use crate::ask::{run, take};
use crate::retain::Table;
use crate::sql::{Sql, sql};
use crate::tx::Tx;
use crate::{Engine, Error, Ts};

pub(crate) mod split;

/// A piece.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// How long others may be kept from a table by who waits for a lock; then it is tried again later.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '100ms'";
/// How long they may be kept from the default partition, which is looked through for rows of a day that is attached.
const ATTACH_TIMEOUT: &str = "SET LOCAL statement_timeout = '500ms'";
/// Two who make the same piece would block each other's inserts.
const ONE_AT_A_TIME: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('mainstay partitions', 0))";
/// How often a lock is tried for, and the pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(50);
/// Rows of one default partition that are counted; more are as many.
const COUNTED_MAX: u32 = 1_000_000;
/// How long counting them may take, a reader that keeps nobody from anything.
const COUNT_WITHIN: Patience = Patience(Duration::from_secs(35));
const COUNT_TIMEOUT: &str = "SET LOCAL statement_timeout = '30s'";

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
/// the default partition is left to who moves them. What goes wrong with one table keeps no other from its days.
///
/// # Errors
/// The first [`Error`]; everything else was made, and pieces made before stay.
pub(crate) async fn make_ahead(db: &Engine, now: Timestamp, ahead: u32) -> Result<(), Error> {
    if !is_native(db).await? {
        return Ok(());
    }
    let mut made = Ok(());
    for pieces in list_pieces() {
        for day in 0..=(ahead + 1) {
            let day = now.minus(DAY).floor_to(DAY).plus(DAY * day);
            let Err(error) = make_day(db, pieces, day).await else { continue };
            let told = &error as &dyn std::error::Error;
            tracing::warn!(table = pieces.table, %day, error = told, "a day has no partition yet");
            made = made.and(Err(error));
            // What keeps one day of a table from being made keeps its other days.
            break;
        }
    }
    made
}

/// Puts the rows of default partitions into pieces of their days, table by table, while `may_go_on`; how many of which
/// table, or why they stay where they are. Nothing where nothing lies in one.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub(crate) async fn split_defaults(
    db: &Db,
    may_go_on: impl Fn() -> bool,
) -> Result<Vec<(&'static str, Result<u64, Error>)>, Error> {
    let mut done = Vec::new();
    if !is_native(&Engine::Postgres(db.clone())).await? {
        return Ok(done);
    }
    for pieces in list_pieces() {
        let table = pieces.table;
        let split = split::run(db, pieces, &may_go_on).await;
        match &split {
            Ok(0) => continue,
            Ok(rows) => {
                tracing::warn!(table, rows, "rows of days without a partition were put into one");
            }
            Err(error) => tracing::warn!(
                table,
                error = error as &dyn std::error::Error,
                "rows of days without a partition stay where they are for now"
            ),
        }
        done.push((table, split));
    }
    Ok(done)
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

/// Makes the piece of a day, unless there is one, or the default partition holds rows of that day.
pub(crate) async fn make_day(db: &Engine, pieces: Pieces, day: Timestamp) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        match try_make_day(db, pieces, day).await {
            Err(error) if error.is_locked_out() && tries < TRIES => tries += 1,
            done => return done,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn try_make_day(db: &Engine, pieces: Pieces, day: Timestamp) -> Result<(), Error> {
    let name = piece_name(pieces.table, day);
    let mut tx = db.begin("partition.make_day").await?;
    const ONE: Sql = sql!(ONE_AT_A_TIME);
    run!(tx, ONE)?;
    let exists: bool = take!(tx, query_scalar(EXISTS).fetch_one, format!("mainstay.{name}"))?;
    if !exists {
        let Tx::Postgres(inner) = &mut tx else { return Ok(()) };
        let (op, patience) = ("partition.make_day", inner.patience());
        match patience.keep(attach(inner.conn(), pieces, &name, day)).await {
            Ok(()) => {}
            Err(sqlx::Error::Database(error)) if error.is_check_violation() => {
                tracing::debug!(table = pieces.table, %day, "its rows lie in the default partition");
                return Ok(());
            }
            Err(error) => return Err(Error::new(op, error)),
        }
    }
    tx.commit().await
}

/// Nobody is kept from the table itself, only from its default partition. That is looked through for rows of the day;
/// PostgreSQL refuses the piece when there is one.
async fn attach(
    conn: &mut PgConnection,
    Pieces { table, .. }: Pieces,
    name: &str,
    day: Timestamp,
) -> Result<(), sqlx::Error> {
    let (from, to) = ends(day);
    for text in [
        format!(
            "CREATE TABLE mainstay.{name} (LIKE mainstay.{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)"
        ),
        LOCK_TIMEOUT.to_owned(),
        ATTACH_TIMEOUT.to_owned(),
        format!(
            "ALTER TABLE mainstay.{table} ATTACH PARTITION mainstay.{name} FOR VALUES FROM ('{from}') TO ('{to}')"
        ),
    ] {
        sqlx::query(AssertSqlSafe(text)).execute(&mut *conn).await?;
    }
    Ok(())
}

/// The first moment of a day, and that of the next one.
fn ends(day: Timestamp) -> (String, String) {
    (day.to_rfc3339(), day.plus(DAY).to_rfc3339())
}

/// How many rows lie in the default partition of each table, a million at most: none, unless maintenance stood still.
///
/// # Errors
/// [`Error`] when those of a table cannot be counted.
pub(crate) async fn list_strays(db: &Db) -> Result<Vec<(&'static str, i64)>, Error> {
    let mut strays = Vec::new();
    if is_native(&Engine::Postgres(db.clone())).await? {
        for pieces in list_pieces() {
            strays.push((pieces.table, count_of(db, pieces).await?));
        }
    }
    Ok(strays)
}

async fn count_of(db: &Db, Pieces { table, .. }: Pieces) -> Result<i64, Error> {
    const OP: &str = "partition.list_strays";
    let text = format!(
        "SELECT count(*) FROM (SELECT FROM mainstay.{table}_default LIMIT {COUNTED_MAX}) AS strays"
    );
    let mut leased = db.begin(OP).await?;
    let counted = COUNT_WITHIN.keep(async {
        let conn = leased.conn();
        sqlx::raw_sql(COUNT_TIMEOUT).execute(&mut *conn).await?;
        let strays = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut *conn).await?;
        sqlx::raw_sql("COMMIT").execute(conn).await?;
        Ok(strays)
    });
    match counted.await {
        Ok(strays) => {
            leased.give_back();
            Ok(strays)
        }
        Err(error) => {
            db.cluster.note(leased.node(), &error);
            Err(Error::new(OP, error))
        }
    }
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
    let Some(name) = oldest.filter(|name| day_of(name, table).is_some()) else { return Ok(None) };
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

/// The day in the name of a piece; none where it is no name of one.
fn day_of(name: &str, table: &str) -> Option<Timestamp> {
    let date = name.strip_prefix(table)?.strip_prefix("_p")?;
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let month = date[4..6].parse::<u8>().ok()?.try_into().ok()?;
    let date = Date::from_calendar_date(date[..4].parse().ok()?, month, date[6..].parse().ok()?);
    Some(Timestamp::from_seconds(date.ok()?.midnight().assume_utc().unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_named_by_their_day() {
        let day = Timestamp::from_seconds(1_795_305_600);
        assert_eq!(piece_name("page_views", day), "page_views_p20261122");
        assert_eq!(day_of("page_views_p20261122", "page_views"), Some(day));
        for other in [
            "page_views_default",
            "page_views_p2026",
            "page_views_p2026112x",
            "page_views_p20261322",
            "errors_p20261122",
        ] {
            assert_eq!(day_of(other, "page_views"), None, "{other}");
        }
    }
}
