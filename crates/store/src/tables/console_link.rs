//! `console_link`: single-use sign-in links of the console. Only hashes are kept; who makes and mails links is `identity`.

use mainstay_base::Timestamp;

use crate::ask::change;
use crate::sql::{Sql, sql};
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
    change!(
        db,
        "console_link.create",
        sql!("INSERT INTO mainstay.console_link (token_hash, created_at, expires_at) VALUES ($1, $2, $3)"),
        &token_hash[..],
        Ts(created_at),
        Ts(expires_at),
    )
    .map(drop)
}

/// Uses the link up: true for exactly one caller, and only before it expires.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn spend(db: &Engine, token_hash: &[u8; 32], now: Timestamp) -> Result<bool, Error> {
    change!(
        db,
        "console_link.spend",
        sql!(
            "UPDATE mainstay.console_link SET used_at = $2
             WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2"
        ),
        &token_hash[..],
        Ts(now),
    )
    .map(|spent| spent == 1)
}

/// Forgets links that can no longer be used; returns how many.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn delete_expired(db: &Engine, now: Timestamp) -> Result<u64, Error> {
    const EXPIRED: Sql = sql!("DELETE FROM mainstay.console_link WHERE expires_at <= $1");
    change!(db, "console_link.delete_expired", EXPIRED, Ts(now))
}
