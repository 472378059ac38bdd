//! `visitor_salt`: the secret of each day's visitor ids, destroyed for good when its time is over.

use crate::sqlite::InOp;
use crate::{Engine, Error};

/// The salt of `day` (days since the epoch): the one kept already, else `fresh`, so that every caller agrees.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn find_or_create(db: &Engine, day: i64, fresh: [u8; 16]) -> Result<[u8; 16], Error> {
    const OP: &str = "visitor_salt.find_or_create";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let mut tx = writer.begin(OP).await?;
    sqlx::query("INSERT INTO visitor_salt (day, salt) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(day)
        .bind(&fresh[..])
        .execute(&mut *tx)
        .await
        .in_op(OP)?;
    let salt: Vec<u8> = sqlx::query_scalar("SELECT salt FROM visitor_salt WHERE day = $1")
        .bind(day)
        .fetch_one(&mut *tx)
        .await
        .in_op(OP)?;
    tx.commit().await.in_op(OP)?;
    <[u8; 16]>::try_from(salt)
        .map_err(|_| Error::new(OP, sqlx::Error::Decode("a salt is not 16 bytes long".into())))
}

/// Destroys the salts of all days before `day`; returns how many there were.
///
/// The rows are overwritten (`secure_delete` is on for `core.db`) and the write-ahead log, which may still hold them,
/// is emptied. When a reader keeps the log alive this is an `Unavailable` error: call again, also when nothing was
/// left to delete.
///
/// # Errors
/// [`Error`] when the store cannot answer or traces may be left.
pub async fn delete_before(db: &Engine, day: i64) -> Result<u64, Error> {
    const OP: &str = "visitor_salt.delete_before";
    let Engine::Sqlite(db) = db;
    let deleted = {
        let mut writer = db.writer().await;
        sqlx::query("DELETE FROM visitor_salt WHERE day < $1")
            .bind(day)
            .execute(writer.conn().await.in_op(OP)?)
            .await
            .in_op(OP)?
            .rows_affected()
    };
    if db.checkpoint().await.in_op(OP)? {
        Ok(deleted)
    } else {
        Err(Error::new(OP, sqlx::Error::PoolTimedOut))
    }
}
