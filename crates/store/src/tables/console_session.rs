//! `console_session`: who is signed in at the console. Only hashes of the cookies are kept.

use mainstay_base::Timestamp;

use crate::sqlite::InOp;
use crate::{Engine, Error, Ts};

/// A session that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `owner`.
    pub role: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was last used, as told by [`touch`].
    pub last_seen: Timestamp,
}

/// Begins a session.
///
/// # Errors
/// `Conflict` when the hash exists already.
pub async fn create(
    db: &Engine,
    token_hash: &[u8; 32],
    role: &str,
    created_at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Error> {
    const OP: &str = "console_session.create";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    sqlx::query(
        "INSERT INTO console_session (token_hash, role, created_at, expires_at, last_seen)
         VALUES ($1, $2, $3, $4, $3)",
    )
    .bind(&token_hash[..])
    .bind(role)
    .bind(Ts(created_at))
    .bind(Ts(expires_at))
    .execute(writer.conn().await.in_op(OP)?)
    .await
    .in_op(OP)?;
    Ok(())
}

/// The session, when it is neither expired nor revoked.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn find_live(
    db: &Engine,
    token_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Row>, Error> {
    let Engine::Sqlite(db) = db;
    let row: Option<(String, Ts, Ts, Ts)> = sqlx::query_as(
        "SELECT role, created_at, expires_at, last_seen FROM console_session
         WHERE token_hash = $1 AND revoked_at IS NULL AND expires_at > $2",
    )
    .bind(&token_hash[..])
    .bind(Ts(now))
    .fetch_optional(db.readers())
    .await
    .in_op("console_session.find_live")?;
    Ok(row.map(|(role, created_at, expires_at, last_seen)| Row {
        role,
        created_at: created_at.0,
        expires_at: expires_at.0,
        last_seen: last_seen.0,
    }))
}

/// Notes that the session was used.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn touch(db: &Engine, token_hash: &[u8; 32], now: Timestamp) -> Result<(), Error> {
    change(
        db,
        "console_session.touch",
        "UPDATE console_session SET last_seen = $2 WHERE token_hash = $1 AND last_seen < $2",
        token_hash,
        now,
    )
    .await
    .map(drop)
}

/// Ends the session; true when it was not ended before.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn revoke(db: &Engine, token_hash: &[u8; 32], now: Timestamp) -> Result<bool, Error> {
    change(
        db,
        "console_session.revoke",
        "UPDATE console_session SET revoked_at = $2 WHERE token_hash = $1 AND revoked_at IS NULL",
        token_hash,
        now,
    )
    .await
    .map(|changed| changed == 1)
}

/// Forgets sessions that ended before `now`; returns how many.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn delete_expired(db: &Engine, now: Timestamp) -> Result<u64, Error> {
    const OP: &str = "console_session.delete_expired";
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let done = sqlx::query("DELETE FROM console_session WHERE expires_at <= $1")
        .bind(Ts(now))
        .execute(writer.conn().await.in_op(OP)?)
        .await
        .in_op(OP)?;
    Ok(done.rows_affected())
}

async fn change(
    db: &Engine,
    op: &'static str,
    text: &'static str,
    token_hash: &[u8; 32],
    now: Timestamp,
) -> Result<u64, Error> {
    let Engine::Sqlite(db) = db;
    let mut writer = db.writer().await;
    let done = sqlx::query(text)
        .bind(&token_hash[..])
        .bind(Ts(now))
        .execute(writer.conn().await.in_op(op)?)
        .await
        .in_op(op)?;
    Ok(done.rows_affected())
}
