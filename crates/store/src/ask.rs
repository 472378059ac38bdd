//! How a statement is put to whichever engine: questions to any reader, changes to the writer, steps within a transaction.
//! Values are borrowed, because a question may be put twice.

/// A question: `ask!(db, OP, query_as(&TEXT).fetch_all, value, …)`. On PostgreSQL it goes to a reader that is fit, and
/// once to another when the first one's connection fails.
macro_rules! ask {
    ($db:expr, $op:expr, $query:ident($sql:expr).$how:ident $(, $value:expr)* $(,)?) => {
        match $db {
            $crate::Engine::Sqlite(db) => sqlx::$query($sql.sqlite)
                $(.bind($value))*
                .$how(db.readers())
                .await
                .map_err(|e| $crate::Error::new($op, e)),
            $crate::Engine::Postgres(db) => {
                let mut attempts = db.attempts($op);
                loop {
                    let mut leased = match attempts.lease().await {
                        Ok(leased) => leased,
                        Err(error) => break Err(error),
                    };
                    let answer = {
                        let asked = sqlx::$query($sql.postgres)$(.bind($value))*.$how(leased.conn());
                        // Where it is: each call that it is handed through would move it.
                        attempts.within(std::pin::pin!(asked)).await
                    };
                    if let Some(outcome) = attempts.settle(leased, answer) {
                        break outcome;
                    }
                }
            }
        }
    };
}
pub(crate) use ask;

/// A change that is its own transaction; the number of rows it touched. Repeated only where it was certainly not made
/// (the server is a replica): nobody knows whether a change whose answer was lost was made.
///
/// Who drops it half done, as the hard stop does, ends the statement of a file with it (`sqlite::Writing`): the recorder,
/// on the other connection, does not wait for it.
macro_rules! change {
    ($db:expr, $op:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        match $db {
            $crate::Engine::Sqlite(db) => {
                let mut writer = db.writer().await;
                let made = match writer.begin_work().await {
                    Ok(conn) => sqlx::query($sql.sqlite)$(.bind($value))*.execute(conn).await,
                    Err(e) => Err(e),
                };
                writer.end_work();
                made.map(|done| done.rows_affected()).map_err(|e| $crate::Error::new($op, e))
            }
            $crate::Engine::Postgres(db) => {
                let mut may_repeat = true;
                loop {
                    let mut leased = match db.writing($op).await {
                        Ok(leased) => leased,
                        Err(error) => break Err(error),
                    };
                    let made = sqlx::query($sql.postgres)$(.bind($value))*.execute(leased.conn());
                    let made = db.within(made).await.map(|done| done.rows_affected());
                    if std::mem::take(&mut may_repeat) && db.has_moved(&leased, &made).await {
                        continue;
                    }
                    break db.settle_write($op, leased, made);
                }
            }
        }
    };
}
pub(crate) use change;

/// A step of a transaction: `run!(tx, TEXT, value, …)`; the number of rows it touched.
macro_rules! run {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {{
        let op = $tx.op();
        match &mut $tx {
            $crate::tx::Tx::Sqlite(tx) => match tx.conn().await {
                Ok(conn) => sqlx::query($sql.sqlite)$(.bind($value))*.execute(conn).await,
                Err(e) => Err(e),
            }
            .map(|done| done.rows_affected()),
            $crate::tx::Tx::Postgres(tx) => {
                let within = tx.patience();
                within
                    .keep(sqlx::query($sql.postgres)$(.bind($value))*.execute(tx.conn()))
                    .await
                    .map(|done| done.rows_affected())
                    .inspect_err(|e| tx.note(e))
            }
        }
        .map_err(|e| $crate::Error::new(op, e))
    }};
}
pub(crate) use run;

/// A question within a transaction: `take!(tx, query_scalar(TEXT).fetch_one, value, …)`.
macro_rules! take {
    ($tx:expr, $query:ident($sql:expr).$how:ident $(, $value:expr)* $(,)?) => {{
        let op = $tx.op();
        match &mut $tx {
            $crate::tx::Tx::Sqlite(tx) => match tx.conn().await {
                Ok(conn) => sqlx::$query($sql.sqlite)$(.bind($value))*.$how(conn).await,
                Err(e) => Err(e),
            },
            $crate::tx::Tx::Postgres(tx) => {
                let within = tx.patience();
                within
                    .keep(sqlx::$query($sql.postgres)$(.bind($value))*.$how(tx.conn()))
                    .await
                    .inspect_err(|e| tx.note(e))
            }
        }
        .map_err(|e| $crate::Error::new(op, e))
    }};
}
pub(crate) use take;
