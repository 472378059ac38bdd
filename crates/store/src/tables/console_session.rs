//! `console_session`: who is signed in at the console. Only hashes of the cookies are kept.

use mainstay_base::Timestamp;

use crate::ask::{ask, change};
use crate::sql::{Sql, sql};
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
    change!(
        db,
        "console_session.create",
        sql!(
            "INSERT INTO mainstay.console_session (token_hash, role, created_at, expires_at, last_seen)
             VALUES ($1, $2, $3, $4, $3)"
        ),
        &token_hash[..],
        role,
        Ts(created_at),
        Ts(expires_at),
    )
    .map(drop)
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
    const LIVE: Sql = sql!(
        "SELECT role, created_at, expires_at, last_seen FROM mainstay.console_session
         WHERE token_hash = $1 AND revoked_at IS NULL AND expires_at > $2"
    );
    // A session that was revoked must not live on for as long as a replica is behind.
    let db = &db.latest();
    let row: Option<(String, Ts, Ts, Ts)> = ask!(
        db,
        "console_session.find_live",
        query_as(LIVE).fetch_optional,
        &token_hash[..],
        Ts(now),
    )?;
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
        sql!("UPDATE mainstay.console_session SET last_seen = $2 WHERE token_hash = $1 AND last_seen < $2"),
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
        sql!("UPDATE mainstay.console_session SET revoked_at = $2 WHERE token_hash = $1 AND revoked_at IS NULL"),
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
    const EXPIRED: Sql = sql!("DELETE FROM mainstay.console_session WHERE expires_at <= $1");
    change!(db, "console_session.delete_expired", EXPIRED, Ts(now))
}

async fn change(
    db: &Engine,
    op: &'static str,
    text: Sql,
    token_hash: &[u8; 32],
    now: Timestamp,
) -> Result<u64, Error> {
    change!(db, op, text, &token_hash[..], Ts(now))
}
