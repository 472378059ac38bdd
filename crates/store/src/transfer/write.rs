//! Rows removed from the database and others written in their place, in one transaction that no server begins to use it in.

use mainstay_base::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::chunk::Row;
use super::table::Copied;
use super::target::{IS_USED, arrays, bind};
use super::value::Value;
use crate::bulk::Binder;
use crate::tables::visitor_salt;
use crate::token::USE_LOCK;

/// False: a server uses the database, and nothing was written.
pub(super) async fn write_all(
    conn: &mut PgConnection,
    table: &Copied,
    removed: &[Vec<Value>],
    written: &[&Row],
    keys: &[(Uuid, Timestamp)],
) -> Result<bool, sqlx::Error> {
    sqlx::query("BEGIN").execute(&mut *conn).await?;
    if is_used(conn).await? {
        sqlx::query("ROLLBACK").execute(conn).await?;
        return Ok(false);
    }
    if !removed.is_empty() {
        remove(conn, table, removed).await?;
        if table.is_short_lived {
            for text in visitor_salt::ANEW {
                sqlx::query(text.postgres).execute(&mut *conn).await?;
            }
        }
    }
    if !written.is_empty() {
        copy(conn, table, written).await?;
    }
    if !keys.is_empty() {
        let text = "INSERT INTO mainstay.event_keys AS e (key, at)
            SELECT key, at FROM unnest($1::uuid[], $2::timestamptz[]) AS k(key, at)
            ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE e.at <> excluded.at";
        let (keys, times) = arrays(keys);
        sqlx::query(text).bind(keys).bind(times).execute(&mut *conn).await?;
    }
    sqlx::query("COMMIT").execute(conn).await.map(|_| true)
}

/// Within a transaction: whether a server uses the database. Until the transaction ends, none begins to.
pub(super) async fn is_used(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query(USE_LOCK.postgres).execute(&mut *conn).await?;
    sqlx::query_scalar(IS_USED).fetch_one(conn).await
}

async fn remove(
    conn: &mut PgConnection,
    table: &Copied,
    removed: &[Vec<Value>],
) -> Result<(), sqlx::Error> {
    let key = &table.columns[..table.key];
    let mut binder = Binder::postgres(key, removed.len());
    for row in removed {
        for (value, (_, kind)) in row.iter().zip(key) {
            value.bind(&mut binder, *kind);
        }
    }
    let mut args = binder.finish_postgres()?;
    let arrays =
        key.iter().enumerate().map(|(i, (_, kind))| format!("${}::{}[]", i + 1, kind.as_type()));
    let mut conditions: Vec<_> =
        key.iter().map(|(name, _)| format!("t.{name} = k.{name}")).collect();
    if let Some(at) = table.at().filter(|at| *at < table.key) {
        let times = removed.iter().map(|row| row[at].as_time());
        let name = table.columns[at].0;
        for (sign, end) in [(">=", times.clone().min()), ("<=", times.max())] {
            let place = bind(&mut args, &Value::Time(end.unwrap_or(Timestamp::EPOCH)))?;
            conditions.push(format!("t.{name} {sign} {place}"));
        }
    }
    let names = key.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let text = format!(
        "DELETE FROM mainstay.{} t USING unnest({}) AS k({names}) WHERE {}",
        table.name,
        arrays.collect::<Vec<_>>().join(", "),
        conditions.join(" AND ")
    );
    sqlx::query_with(AssertSqlSafe(text), args).execute(conn).await.map(drop)
}

/// The binary format of `COPY`, <https://www.postgresql.org/docs/current/sql-copy.html>.
async fn copy(conn: &mut PgConnection, table: &Copied, rows: &[&Row]) -> Result<(), sqlx::Error> {
    const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    let columns = table.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let text = format!("COPY mainstay.{} ({columns}) FROM STDIN (FORMAT binary)", table.name);
    let mut out = Vec::with_capacity(rows.len() * 256);
    out.extend(HEAD);
    let fields = i16::try_from(table.columns.len()).unwrap_or(i16::MAX);
    for row in rows {
        out.extend(fields.to_be_bytes());
        for (value, (_, kind)) in row.values.iter().zip(table.columns) {
            value.copy_to(&mut out, *kind);
        }
    }
    out.extend((-1_i16).to_be_bytes());
    let mut sink = conn.copy_in_raw(&text).await?;
    sink.send(out).await?;
    sink.finish().await.map(drop)
}
