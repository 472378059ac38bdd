//! The files of the installation, read only.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

use super::chunk::Chunk;
use super::table::{Copied, File};
use super::value::Value;
use super::{Error, Transfer};
use crate::bulk::{Binder, Kind};
use crate::open::{CORE, INSIGHT};
use crate::schema;
use crate::sqlite::{Shape, options};

const OP: &str = "transfer.read";

/// Both files.
#[derive(Debug)]
pub(super) struct Source {
    core: Opened,
    insight: Opened,
}

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    conn: SqliteConnection,
}

impl Source {
    pub(super) async fn open(transfer: &Transfer<'_>) -> Result<Self, Error> {
        let open = async |name: &str, shape: Shape, known: &Migrator| {
            Opened::open(&transfer.data_dir.join(name), &shape, known).await
        };
        Ok(Self {
            core: open("core.db", Shape::core(transfer.settings), &CORE).await?,
            insight: open("insight.db", Shape::insight(transfer.settings), &INSIGHT).await?,
        })
    }

    fn file(&mut self, table: &Copied) -> &mut Opened {
        match table.file {
            File::Core => &mut self.core,
            File::Insight => &mut self.insight,
        }
    }

    pub(super) async fn count(&mut self, table: &Copied) -> Result<u64, Error> {
        let file = self.file(table);
        let text = format!("SELECT count(*) FROM {}", table.name);
        let counted: Result<i64, _> =
            sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut file.conn).await;
        counted.map(i64::cast_unsigned).map_err(|error| file.failed(error))
    }

    /// The last number that a job was given, also where it is gone: none is given twice.
    pub(super) async fn find_last_job(&mut self) -> Result<i64, Error> {
        const LAST: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'job'";
        let last = sqlx::query_scalar(LAST).fetch_one(&mut self.core.conn).await;
        last.map_err(|error| self.core.failed(error))
    }

    /// The rows after a key, as many as belong together. A moment's view: the next call sees what was written meanwhile.
    pub(super) async fn read(
        &mut self,
        table: &Copied,
        after: Option<&[Value]>,
    ) -> Result<Chunk, Error> {
        let mut chunk = Chunk::default();
        let mut following = self.read_on(table, after, &mut chunk).await?;
        while following.is_some_and(|key| chunk.takes(&key)) {
            let end = chunk.end.take();
            following = self.read_on(table, end.as_deref(), &mut chunk).await?;
        }
        Ok(chunk)
    }

    /// Adds rows; the key of the one that follows them.
    async fn read_on(
        &mut self,
        table: &Copied,
        after: Option<&[Value]>,
        chunk: &mut Chunk,
    ) -> Result<Option<Vec<Value>>, Error> {
        let file = self.file(table);
        let text = text(table, after.is_some());
        let args = bind(after.unwrap_or_default(), table.columns)?;
        let (mut read, mut end, mut scratch) = (0, None, Vec::new());
        let mut rows = sqlx::query_with(AssertSqlSafe(text), args).fetch(&mut file.conn);
        loop {
            let row = match rows.try_next().await {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(None),
                Err(error) => {
                    drop(rows);
                    return Err(file.failed(error));
                }
            };
            let columns = table.columns.iter().enumerate();
            let values: Result<Vec<_>, _> =
                columns.map(|(at, (_, kind))| Value::of_sqlite(&row, at, *kind)).collect();
            let mut values = values
                .map_err(|error| Error::Row { table: table.name, reason: error.to_string() })?;
            read += 1;
            if read > table.chunk {
                chunk.end = end;
                values.truncate(table.key);
                return Ok(Some(values));
            }
            if read == table.chunk {
                end = Some(values[..table.key].to_vec());
            }
            chunk.add(values, table, &mut scratch);
        }
    }
}

impl Opened {
    async fn open(path: &Path, shape: &Shape, known: &Migrator) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::NoSource(path.to_owned()));
        }
        let failed = |error| failed(path, error);
        let mut conn = options::reader(path, shape).connect().await.map_err(failed)?;
        let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
        let found: i64 = sqlx::query_scalar(newest).fetch_one(&mut conn).await.map_err(failed)?;
        let ours = schema::newest(known);
        match found {
            version if version > ours => Err(Error::SourceNewer { path: path.to_owned(), version }),
            version if version < ours => Err(Error::SourceOlder(path.to_owned())),
            _ => Ok(Self { path: path.to_owned(), conn }),
        }
    }

    fn failed(&self, error: sqlx::Error) -> Error {
        failed(&self.path, error)
    }
}

fn failed(path: &Path, error: sqlx::Error) -> Error {
    Error::Source { path: path.to_owned(), source: crate::Error::new(OP, error) }
}

fn text(table: &Copied, after: bool) -> String {
    let columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let key = columns[..table.key].join(", ");
    let places = vec!["?"; table.key].join(", ");
    let begin = if after { format!("WHERE ({key}) > ({places})") } else { String::new() };
    format!(
        "SELECT {} FROM {} {begin} ORDER BY {key} LIMIT {}",
        columns.join(", "),
        table.name,
        // Whether more rows follow, and which is the first of them.
        table.chunk + 1
    )
}

pub(super) fn bind(values: &[Value], columns: &[(&str, Kind)]) -> Result<SqliteArguments, Error> {
    let mut binder = Binder::sqlite(values.len());
    for (value, (_, kind)) in values.iter().zip(columns) {
        value.bind(&mut binder, *kind);
    }
    binder.finish_sqlite().map_err(|error| crate::Error::new(OP, error).into())
}
