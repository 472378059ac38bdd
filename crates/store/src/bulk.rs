//! Inserts of many rows at once, in each engine's own way: SQLite takes statements of few fixed sizes, so that each is
//! prepared once and stays prepared; PostgreSQL takes one array per column (UNNEST), whatever their length.

use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::Connection;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgQueryResult};
use sqlx::sqlite::SqliteConnection;

mod binder;

pub(crate) use binder::{Binder, storable, storable_json};

use crate::Error;
use crate::postgres::Patience;
use crate::sql::Sql;
use crate::tx::Tx;

/// Rows per SQLite statement, which is filled up with rows of NULL that the text drops.
const SIZES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const ROWS_MAX: usize = SIZES[SIZES.len() - 1];

/// How many rows of a statement may be empty.
#[derive(Clone, Copy, Debug)]
enum Empty {
    /// On the way to another thread a second statement costs more than empty rows.
    Any,
    /// One in eight: where statements are cheap, empty rows cost more.
    Few,
}

/// What a column holds, as PostgreSQL names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// A UUID.
    Id,
    /// 64 bits.
    Int,
    /// 32 bits.
    Small,
    /// 16 bits there.
    Tiny,
    /// Double precision.
    Real,
    /// True or false.
    Flag,
    /// An instant.
    Time,
    /// Bytes.
    Bytes,
    /// JSON text.
    Json,
}

impl Kind {
    pub(crate) fn as_type(self) -> &'static str {
        match self {
            Self::Text | Self::Json => "text",
            Self::Id => "uuid",
            Self::Int => "bigint",
            Self::Small => "integer",
            Self::Tiny => "smallint",
            Self::Real => "double precision",
            Self::Flag => "boolean",
            Self::Time => "timestamptz",
            Self::Bytes => "bytea",
        }
    }
}

/// A bulk insert: where to, and what becomes of rows that are there already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// In the order in which a row's values are bound; the first is never NULL.
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// What follows the rows.
    pub(crate) tail: Sql,
}

/// What rows may meet in their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meets {
    /// Rows like them, which the table's tail is for.
    Any,
    /// None like them: one that does breaks the statement. To look first costs PostgreSQL as much again as to insert.
    None,
}

/// The texts of one bulk insert.
#[derive(Debug)]
pub(crate) struct Bulk {
    sqlite: [Arc<str>; SIZES.len()],
    postgres: Arc<str>,
    /// Of rows that meet none.
    postgres_new: Arc<str>,
    columns: &'static [(&'static str, Kind)],
}

impl Bulk {
    pub(crate) fn new(table: &Table) -> Self {
        Self {
            sqlite: SIZES.map(|rows| sqlite_text(table, rows).into()),
            postgres: postgres_text(table, table.tail.postgres).into(),
            postgres_new: postgres_text(table, "").into(),
            columns: table.columns,
        }
    }

    /// Cuts `rows` into chunks for [`Bulk::insert_direct`].
    pub(crate) fn chunks<'a, R>(&self, rows: &'a [R]) -> impl Iterator<Item = Chunk<'a, R>> {
        chunks(rows, Empty::Few)
    }

    /// Inserts all rows on SQLite, whatever became of each; `bind` binds each row's values in the order of the columns.
    async fn insert_sqlite<'r, R>(
        &self,
        conn: &mut SqliteConnection,
        rows: &'r [R],
        bind: impl Fn(&'r R, &mut Binder<'r>),
    ) -> Result<(), sqlx::Error> {
        for chunk in chunks(rows, Empty::Any) {
            let mut binder = Binder::sqlite(chunk.rows.len() * self.columns.len());
            for row in chunk.rows {
                bind(row, &mut binder);
            }
            let text = AssertSqlSafe(Arc::clone(&self.sqlite[chunk.size]));
            sqlx::query_with(text, binder.finish_sqlite()?).execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Inserts one chunk on SQLite through the recorder's connection; says how many rows were new.
    pub(crate) fn insert_direct<'r, R>(
        &self,
        conn: &Connection,
        chunk: &Chunk<'r, R>,
        bind: impl Fn(&'r R, &mut Binder<'r>),
    ) -> rusqlite::Result<usize> {
        let mut binder = Binder::direct(chunk.rows.len() * self.columns.len());
        for row in chunk.rows {
            bind(row, &mut binder);
        }
        let mut statement = conn.prepare_cached(&self.sqlite[chunk.size])?;
        // A statement comes from the cache without values: rows that are missing are NULL, whatever was bound before.
        for (at, value) in binder.finish_direct()?.iter().enumerate() {
            statement.raw_bind_parameter(at + 1, value)?;
        }
        statement.raw_execute()
    }

    /// Inserts all rows on PostgreSQL, whatever became of each.
    pub(crate) async fn insert_postgres<'r, R>(
        &self,
        (conn, patience): (&mut PgConnection, Patience),
        (rows, meets): (&'r [R], Meets),
        bind: impl Fn(&'r R, &mut Binder<'r>),
    ) -> Result<Option<PgQueryResult>, sqlx::Error> {
        if rows.is_empty() {
            return Ok(None);
        }
        let mut binder = Binder::postgres(self.columns, rows.len());
        for row in rows {
            bind(row, &mut binder);
        }
        let text = match meets {
            Meets::Any => &self.postgres,
            Meets::None => &self.postgres_new,
        };
        let text = AssertSqlSafe(Arc::clone(text));
        let inserted = sqlx::query_with(text, binder.finish_postgres()?).execute(conn);
        patience.keep(inserted).await.map(Some)
    }

    /// Inserts all rows within a transaction, whatever became of each.
    pub(crate) async fn insert_all<'r, R>(
        &self,
        tx: &mut Tx<'_>,
        rows: &'r [R],
        bind: impl Fn(&'r R, &mut Binder<'r>),
    ) -> Result<(), Error> {
        let op = tx.op();
        let done = match tx {
            Tx::Sqlite(tx) => match tx.conn().await {
                Ok(conn) => self.insert_sqlite(conn, rows, bind).await,
                Err(e) => Err(e),
            },
            Tx::Postgres(tx) => {
                let patience = tx.patience();
                self.insert_postgres((tx.conn(), patience), (rows, Meets::Any), bind)
                    .await
                    .map(drop)
            }
        };
        done.map_err(|e| Error::new(op, e))
    }
}

/// Rows for one statement.
#[derive(Debug)]
pub(crate) struct Chunk<'a, R> {
    pub(crate) rows: &'a [R],
    size: usize,
}

/// Cuts `rows` into the sizes SQLite has statements for.
fn chunks<R>(rows: &[R], empty: Empty) -> impl Iterator<Item = Chunk<'_, R>> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let many = rest.len().min(ROWS_MAX);
        let holding = SIZES.iter().position(|size| *size >= many)?;
        let room = SIZES[holding] - many;
        let size = match empty {
            Empty::Few if room * 8 > SIZES[holding] => holding - 1,
            Empty::Few | Empty::Any => holding,
        };
        let (rows, tail) = rest.split_at(many.min(SIZES[size]));
        rest = tail;
        Some(Chunk { rows, size })
    })
}

fn list_columns(table: &Table) -> String {
    table.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Numbered placeholders would be looked up by name for every value, in time growing with their number; `?` is not.
fn sqlite_text(table: &Table, rows: usize) -> String {
    let row = format!("({})", vec!["?"; table.columns.len()].join(","));
    let mut out = String::with_capacity(512 + rows * (row.len() + 1));
    let _infallible = write!(
        out,
        "INSERT INTO {} ({}) SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL {}",
        table.name,
        list_columns(table),
        vec![row; rows].join(","),
        table.tail.sqlite
    );
    out
}

fn postgres_text(table: &Table, tail: &str) -> String {
    let columns = list_columns(table);
    let arrays = table.columns.iter().enumerate();
    let arrays = arrays.map(|(i, (_, kind))| format!("${}::{}[]", i + 1, kind.as_type()));
    let values = table.columns.iter().map(|(name, kind)| match kind {
        Kind::Json => format!("r.{name}::jsonb"),
        _ => format!("r.{name}"),
    });
    format!(
        "INSERT INTO mainstay.{} ({columns}) SELECT {} FROM unnest({}) AS r({columns}) {}",
        table.name,
        values.collect::<Vec<_>>().join(", "),
        arrays.collect::<Vec<_>>().join(", "),
        tail
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_the_sizes_of_statements() {
        let sizes = |rows: usize, empty| {
            let rows = vec![(); rows];
            chunks(&rows, empty)
                .map(|chunk| (chunk.rows.len(), SIZES[chunk.size]))
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(0, Empty::Few), []);
        assert_eq!(sizes(1, Empty::Few), [(1, 1)]);
        assert_eq!(sizes(3, Empty::Any), [(3, 4)]);
        assert_eq!(sizes(3, Empty::Few), [(2, 2), (1, 1)]);
        assert_eq!(sizes(14, Empty::Few), [(14, 16)]);
        assert_eq!(sizes(33, Empty::Any), [(33, 64)]);
        assert_eq!(sizes(33, Empty::Few), [(32, 32), (1, 1)]);
        assert_eq!(sizes(61, Empty::Few), [(61, 64)]);
        assert_eq!(sizes(149, Empty::Few), [(64, 64), (64, 64), (16, 16), (4, 4), (1, 1)]);
    }
}
