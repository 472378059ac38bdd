//! `visitor_salt`: the secret of each day's visitor ids, destroyed for good when its time is over.

use crate::ask::{change, run, take};
use crate::sql::{Sql, sql};
use crate::{Engine, Error};

/// The salt of `day` (days since the epoch): the one kept already, else `fresh`, so that every caller agrees.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn find_or_create(db: &Engine, day: i64, fresh: [u8; 16]) -> Result<[u8; 16], Error> {
    const OP: &str = "visitor_salt.find_or_create";
    const ADD: Sql = sql!(
        "INSERT INTO mainstay.visitor_salt (day, salt) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    );
    const FIND: Sql = sql!("SELECT salt FROM mainstay.visitor_salt WHERE day = $1");
    let mut tx = db.begin(OP).await?;
    run!(tx, ADD, day, &fresh[..])?;
    let salt: Vec<u8> = take!(tx, query_scalar(FIND).fetch_one, day)?;
    tx.commit().await?;
    <[u8; 16]>::try_from(salt)
        .map_err(|_| Error::new(OP, sqlx::Error::Decode("a salt is not 16 bytes long".into())))
}

/// Within a transaction that has deleted rows: writes the table into a new file. A deleted row stays in its file, for as
/// long as a replica may still read it; TRUNCATE takes a new one.
pub(crate) const ANEW: [Sql; 4] = [
    sql!("LOCK TABLE mainstay.visitor_salt IN ACCESS EXCLUSIVE MODE"),
    sql!("CREATE TEMPORARY TABLE kept_salt ON COMMIT DROP AS SELECT * FROM mainstay.visitor_salt"),
    sql!("TRUNCATE mainstay.visitor_salt"),
    sql!("INSERT INTO mainstay.visitor_salt SELECT * FROM kept_salt"),
];

/// Destroys the salts of all days before `day`; returns how many there were.
///
/// SQLite overwrites the rows (`secure_delete` is on for `core.db`), and the write-ahead log, which may still hold them,
/// is emptied. When a reader keeps the log alive this is an `Unavailable` error: call again, also when nothing was
/// left to delete. PostgreSQL writes the table anew without them; its archived log and backups keep what they have.
///
/// # Errors
/// [`Error`] when the store cannot answer or traces may be left.
pub async fn delete_before(db: &Engine, day: i64) -> Result<u64, Error> {
    const OP: &str = "visitor_salt.delete_before";
    const BEFORE: Sql = sql!("DELETE FROM mainstay.visitor_salt WHERE day < $1");
    match db {
        Engine::Sqlite(file) => {
            let deleted = change!(db, OP, BEFORE, day)?;
            let emptied = file.checkpoint().await.map_err(|e| Error::new(OP, e))?;
            if !emptied {
                return Err(Error::new(OP, sqlx::Error::PoolTimedOut));
            }
            Ok(deleted)
        }
        Engine::Postgres(_) => {
            let mut tx = db.begin(OP).await?;
            let deleted = run!(tx, BEFORE, day)?;
            if deleted > 0 {
                for text in ANEW {
                    run!(tx, text)?;
                }
            }
            tx.commit().await?;
            Ok(deleted)
        }
    }
}
