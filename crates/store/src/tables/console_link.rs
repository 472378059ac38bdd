//! `console_link`: single-use sign-in links of the console. Only hashes are kept; who makes and mails links is `identity`.

use mainstay_base::Timestamp;

use crate::sqlite::InOp;
use crate::{Engine, Error, Ts};

/// Keeps the hash of a new link.
///
/// # Errors
/// `Conflict` when the hash exists already.
pub async fn create(
    db: &Engine,
    token_hash: &[u8; 32],
    created_at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Error> {
    const OP: &str = "console_link.create";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    sqlx::query(
        "INSERT INTO console_link (token_hash, created_at, expires_at) VALUES ($1, $2, $3)",
    )
    .bind(&token_hash[..])
    .bind(Ts(created_at))
    .bind(Ts(expires_at))
    .execute(writer.conn().await.in_op(OP)?)
    .await
    .in_op(OP)?;
    Ok(())
}

/// Uses the link up: true for exactly one caller, and only before it expires.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn spend(db: &Engine, token_hash: &[u8; 32], now: Timestamp) -> Result<bool, Error> {
    const OP: &str = "console_link.spend";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let done = sqlx::query(
        "UPDATE console_link SET used_at = $2
         WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2",
    )
    .bind(&token_hash[..])
    .bind(Ts(now))
    .execute(writer.conn().await.in_op(OP)?)
    .await
    .in_op(OP)?;
    Ok(done.rows_affected() == 1)
}

/// Forgets links that can no longer be used; returns how many.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn delete_expired(db: &Engine, now: Timestamp) -> Result<u64, Error> {
    const OP: &str = "console_link.delete_expired";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let done = sqlx::query("DELETE FROM console_link WHERE expires_at <= $1")
        .bind(Ts(now))
        .execute(writer.conn().await.in_op(OP)?)
        .await
        .in_op(OP)?;
    Ok(done.rows_affected())
}
