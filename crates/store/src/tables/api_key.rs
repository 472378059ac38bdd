//! `api_key`: what programs call us with. Only hashes of keys are kept; who makes and reads keys is `identity`.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_base::Timestamp;

use crate::ask::{ask, change};
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Ts};

/// A key, revoked and expired ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Eight characters, part of the key's text.
    pub id: String,
    /// What people call it, 1 to 100 characters.
    pub name: String,
    /// SHA-256 of the key's text.
    pub token_hash: [u8; 32],
    /// What it may do, in words separated by commas.
    pub scopes: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself; none: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, as told by [`touch`].
    pub last_used: Option<Timestamp>,
    /// When it was ended by hand.
    pub revoked_at: Option<Timestamp>,
}

type Columns = (String, String, Vec<u8>, String, Ts, Option<Ts>, Option<Ts>, Option<Ts>);

impl From<Columns> for Row {
    fn from(columns: Columns) -> Self {
        let (id, name, hash, scopes, created_at, expires_at, last_used, revoked_at) = columns;
        let time = |ts: Option<Ts>| ts.map(|ts| ts.0);
        Self {
            id,
            name,
            // The table's own check: it has 32 bytes. Of others no key would be found.
            token_hash: hash.try_into().unwrap_or_default(),
            scopes,
            created_at: created_at.0,
            expires_at: time(expires_at),
            last_used: time(last_used),
            revoked_at: time(revoked_at),
        }
    }
}

/// Keeps a new key, which was never used and is not revoked.
///
/// # Errors
/// `Conflict` when the id exists already.
pub async fn create(db: &Engine, row: &Row) -> Result<(), Error> {
    change!(
        db,
        "api_key.create",
        sql!(
            "INSERT INTO mainstay.api_key (id, name, token_hash, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)"
        ),
        &row.id,
        &row.name,
        &row.token_hash[..],
        &row.scopes,
        Ts(row.created_at),
        row.expires_at.map(Ts),
    )
    .map(drop)
}

/// Keys in the order of their ids, those after `after`, at most `limit`.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list(db: &Engine, after: &str, limit: u32) -> Result<Vec<Row>, Error> {
    const PAGE: Sql = sql!(
        "SELECT id, name, token_hash, scopes, created_at, expires_at, last_used, revoked_at
         FROM mainstay.api_key WHERE id > $1 ORDER BY id LIMIT $2"
    );
    let db = &db.latest();
    let rows: Vec<Columns> =
        ask!(db, "api_key.list", query_as(PAGE).fetch_all, after, i64::from(limit))?;
    Ok(rows.into_iter().map(Row::from).collect())
}

/// Keys that count at `now`, then those that ended, at most `ended` of them, the latest first.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_latest(db: &Engine, now: Timestamp, ended: u32) -> Result<Vec<Row>, Error> {
    const LATEST: Sql = sql!(
        "SELECT id, name, token_hash, scopes, created_at, expires_at, last_used, revoked_at
         FROM mainstay.api_key
         ORDER BY (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)) DESC, created_at DESC, id
         LIMIT $2 + (SELECT count(*) FROM mainstay.api_key
            WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1))"
    );
    // A key that was revoked must not live on for as long as a replica is behind.
    let db = &db.latest();
    let rows: Vec<Columns> =
        ask!(db, "api_key.list_latest", query_as(LATEST).fetch_all, Ts(now), i64::from(ended))?;
    Ok(rows.into_iter().map(Row::from).collect())
}

/// How many keys are neither revoked nor expired.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn count_live(db: &Engine, now: Timestamp) -> Result<i64, Error> {
    const LIVE: Sql = sql!(
        "SELECT count(*) FROM mainstay.api_key
         WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)"
    );
    let db = &db.latest();
    ask!(db, "api_key.count_live", query_scalar(LIVE).fetch_one, Ts(now))
}

/// Notes when keys were used, all in one statement; an earlier time changes nothing.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn touch(db: &Engine, uses: &HashMap<Arc<str>, Timestamp>) -> Result<(), Error> {
    const USED: Sql = sql!(
        sqlite: "UPDATE api_key SET last_used = u.value FROM json_each($1) AS u
            WHERE api_key.id = u.key AND (last_used IS NULL OR last_used < u.value)",
        postgres: "UPDATE mainstay.api_key AS k SET last_used = u.at FROM (
                SELECT key, TIMESTAMPTZ 'epoch' + value::bigint * INTERVAL '1 microsecond' AS at
                FROM json_each_text($1::json)) AS u
            WHERE k.id = u.key AND (k.last_used IS NULL OR k.last_used < u.at)"
    );
    let uses: serde_json::Map<_, _> =
        uses.iter().map(|(id, used)| (id.to_string(), used.as_micros().into())).collect();
    let uses = serde_json::Value::Object(uses).to_string();
    change!(db, "api_key.touch", USED, &uses).map(drop)
}

/// Ends the key; true when it was there and not ended before.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn revoke(db: &Engine, id: &str, now: Timestamp) -> Result<bool, Error> {
    change!(
        db,
        "api_key.revoke",
        sql!("UPDATE mainstay.api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL"),
        id,
        Ts(now),
    )
    .map(|changed| changed == 1)
}

/// Forgets keys that were revoked or expired before `before`; returns how many.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn delete_ended(db: &Engine, before: Timestamp) -> Result<u64, Error> {
    const ENDED: Sql =
        sql!("DELETE FROM mainstay.api_key WHERE revoked_at < $1 OR expires_at < $1");
    change!(db, "api_key.delete_ended", ENDED, Ts(before))
}
