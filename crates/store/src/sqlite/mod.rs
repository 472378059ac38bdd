//! One SQLite file: a single writing connection behind a lock, and a few that only read.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use crate::Error;

pub(crate) mod bulk;
pub(crate) mod options;

pub(crate) use options::Shape;

/// A database file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: Mutex<Writer>,
    readers: SqlitePool,
}

/// The one connection that writes. Connects anew after a transaction could not even begin.
#[derive(Debug)]
pub(crate) struct Writer {
    conn: SqliteConnection,
    options: SqliteConnectOptions,
    suspect: bool,
}

impl Db {
    /// Opens or creates the file at `path`.
    pub(crate) async fn open(path: &Path, shape: &Shape) -> Result<Self, sqlx::Error> {
        let options = options::writer(path, shape);
        let conn = options.connect().await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(shape.readers.max(1))
            .acquire_timeout(shape.busy_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options::reader(path, shape));
        Ok(Self(Arc::new(Inner {
            writer: Mutex::new(Writer { conn, options, suspect: false }),
            readers,
        })))
    }

    /// Connections for questions.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// The connection for changes; waits for its turn, first come first served.
    pub(crate) async fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.writer.lock().await
    }

    /// Copies the write-ahead log into the file and empties it. True when nothing of it is left, false when a
    /// reader still needs it.
    pub(crate) async fn checkpoint(&self) -> Result<bool, sqlx::Error> {
        let mut writer = self.writer().await;
        let (busy, _, _): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut writer.conn).await?;
        Ok(busy == 0)
    }

    /// Ends the readers and checkpoints. Later calls fail.
    pub(crate) async fn close(&self) -> Result<(), sqlx::Error> {
        self.0.readers.close().await;
        self.checkpoint().await.map(drop)
    }
}

impl Writer {
    /// The connection itself, for a single statement that is its own transaction.
    pub(crate) async fn conn(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.suspect {
            self.conn = self.options.connect().await?;
            self.suspect = false;
        }
        Ok(&mut self.conn)
    }

    /// Notes that the connection answered badly; the next use connects anew.
    pub(crate) fn suspect(&mut self) {
        self.suspect = true;
    }

    /// A transaction that holds the write lock from its first moment. Dropped without commit it is rolled back.
    pub(crate) async fn begin(
        &mut self,
        op: &'static str,
    ) -> Result<Transaction<'_, Sqlite>, Error> {
        self.conn().await.map_err(|e| Error::new(op, e))?;
        self.conn.begin_with("BEGIN IMMEDIATE").await.map_err(|e| {
            self.suspect = true;
            Error::new(op, e)
        })
    }
}

/// Names the operation in which a statement failed.
pub(crate) trait InOp<T> {
    fn in_op(self, op: &'static str) -> Result<T, Error>;
}

impl<T> InOp<T> for Result<T, sqlx::Error> {
    fn in_op(self, op: &'static str) -> Result<T, Error> {
        self.map_err(|e| Error::new(op, e))
    }
}
