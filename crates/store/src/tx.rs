//! A transaction on whichever engine. Dropped without commit it is undone.

use sqlx::{PgConnection, SqliteConnection};

use crate::postgres::{Leased, Patience};
use crate::sqlite::Writing;
use crate::{Engine, Error, postgres};

/// A transaction in somebody's hands, for whoever does several things that happen together or not at all.
///
/// Whoever uses it cannot commit a part of what he wanted: after a step that failed it does not commit. (PostgreSQL would
/// answer such a commit with a rollback and no error, a file would keep the steps before.)
#[derive(Debug)]
pub struct Transaction<'a>(pub(crate) Tx<'a>, Outcome);

/// What became of its steps so far.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Whole,
    /// One failed.
    Failed,
}

/// A transaction of one operation.
#[derive(Debug)]
pub(crate) enum Tx<'a> {
    /// Holds the file's one writer, and its write lock from the first moment.
    Sqlite(SqliteTx<'a>),
    /// Holds a connection to the primary.
    Postgres(PostgresTx<'a>),
}

#[derive(Debug)]
pub(crate) struct SqliteTx<'a> {
    op: &'static str,
    writer: Writing<'a>,
    open: bool,
}

#[derive(Debug)]
pub(crate) struct PostgresTx<'a> {
    op: &'static str,
    db: &'a postgres::Db,
    leased: Leased,
}

const FAILED: &str = "a step of the transaction failed before; nothing of it was done";

impl Transaction<'_> {
    /// Makes everything durable.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer; where the answer was lost, nobody knows what became of it. Also when a step
    /// of it failed before: then nothing of it was done.
    pub async fn commit(self) -> Result<(), Error> {
        match self.1 {
            Outcome::Whole => self.0.commit().await,
            Outcome::Failed => Err(Error::new(self.0.op(), sqlx::Error::Protocol(FAILED.into()))),
        }
    }

    /// Notes whether a step failed.
    pub(crate) fn keep<T>(&mut self, step: Result<T, Error>) -> Result<T, Error> {
        if step.is_err() {
            self.1 = Outcome::Failed;
        }
        step
    }
}

impl Engine {
    /// Begins a transaction for the operation of that name.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer.
    pub async fn transaction(&self, op: &'static str) -> Result<Transaction<'_>, Error> {
        self.begin(op).await.map(|tx| Transaction(tx, Outcome::Whole))
    }

    /// Begins a transaction that will change something.
    pub(crate) async fn begin(&self, op: &'static str) -> Result<Tx<'_>, Error> {
        match self {
            Self::Sqlite(db) => {
                let mut writer = db.writer().await;
                // IMMEDIATE: a transaction that begins reading and then writes meets SQLITE_BUSY_SNAPSHOT.
                let begun = match writer.begin_work().await {
                    Ok(conn) => sqlx::query("BEGIN IMMEDIATE").execute(conn).await.map(drop),
                    Err(e) => Err(e),
                };
                writer.end_work();
                begun.map_err(|e| {
                    writer.suspect();
                    Error::new(op, e)
                })?;
                Ok(Tx::Sqlite(SqliteTx { op, writer, open: true }))
            }
            Self::Postgres(db) => {
                let leased = db.begin(op).await?;
                Ok(Tx::Postgres(PostgresTx { op, db, leased }))
            }
        }
    }
}

impl Tx<'_> {
    /// The operation it belongs to.
    pub(crate) fn op(&self) -> &'static str {
        match self {
            Self::Sqlite(tx) => tx.op,
            Self::Postgres(tx) => tx.op,
        }
    }

    /// Makes everything durable.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(mut tx) => {
                let done = match tx.conn().await {
                    Ok(conn) => sqlx::query("COMMIT").execute(conn).await.map(drop),
                    Err(e) => Err(e),
                };
                tx.open = done.is_err();
                done.map_err(|e| Error::new(tx.op, e))
            }
            Self::Postgres(mut tx) => {
                let done = tx.db.within(sqlx::query("COMMIT").execute(tx.leased.conn())).await;
                tx.db.settle_write(tx.op, tx.leased, done).map(drop)
            }
        }
    }
}

impl SqliteTx<'_> {
    pub(crate) async fn conn(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.writer.conn().await
    }
}

impl Drop for SqliteTx<'_> {
    /// Without its connection nothing of it lasts: what still runs is ended, and the next one to write connects anew.
    fn drop(&mut self) {
        if self.open {
            self.writer.suspect();
        }
    }
}

impl PostgresTx<'_> {
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        self.leased.conn()
    }

    pub(crate) fn patience(&self) -> Patience {
        self.db.patience()
    }

    /// What a failed step says about the server.
    pub(crate) fn note(&self, error: &sqlx::Error) {
        self.db.cluster.note(self.leased.node(), error);
    }
}
