//! What stands between us and a server: a pooler in transaction mode may give every transaction another connection to the
//! server. Statements are prepared by name; a pooler that does not carry the names along (PgBouncer before 1.21, or with
//! `max_prepared_statements = 0`) loses them, and answers with somebody else's statement of the same name. That is found
//! out before anything else is said: a server behind a pooler is left out until it was, and again after each failure.

use std::time::Duration;

use sqlx::postgres::PgDatabaseError;
use sqlx::{Connection, PgConnection, Row};

use super::failure;
use super::node::Node;
use super::patience::Patience;
use super::pool::unavailable;

/// How long an answer is waited for. A pooler with one connection to the server gives it to one transaction at a time.
const PATIENCE: Patience = Patience(Duration::from_secs(1));
/// How often a connection is prepared on and taken away before nobody can tell.
const TRIES: usize = 5;
const FORGETS: &str = "the pooler in front of it forgets prepared statements: PgBouncer knows them from 1.21 on, with \
    max_prepared_statements above 0; with an older one use pool_mode = session and no `pooled=true`, or the direct address";

/// Why nothing may be said to this server through its pooler. Nothing is in the way where there is none, where it is known to
/// remember (Neon's), and where it was found to.
pub(super) async fn refuses(node: &Node) -> Option<String> {
    if !node.target.pooled || node.target.direct().is_some() || node.is_cleared() {
        return None;
    }
    match try_out(node).await {
        Ok(true) => {
            node.set_cleared(true);
            None
        }
        Ok(false) => Some(FORGETS.to_owned()),
        Err(error) => Some(failure::reason(&error)),
    }
}

/// Whether a pooler remembers. Two clients of it: while the server's connection on which one of them has prepared is in the
/// other's hands, the first one asks again.
async fn try_out(node: &Node) -> Result<bool, sqlx::Error> {
    let (mut one, mut other) = (node.pool.connect_apart().await?, node.pool.connect_apart().await?);
    let remembers = ask(&mut one, &mut other).await;
    drop(one.close().await);
    drop(other.close().await);
    remembers
}

async fn ask(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
    for _ in 0..TRIES {
        let Some(on) = prepared(one).await? else { return Ok(false) };
        let held = hold(other).await?;
        let again = prepared(one).await;
        PATIENCE.keep(sqlx::raw_sql("COMMIT").execute(&mut *other)).await?;
        match again {
            Ok(None) => return Ok(false),
            // It was carried to another connection, or to the same one past somebody else.
            Ok(Some(now)) if now != on || held == on => return Ok(true),
            Ok(Some(_)) => {}
            // There may be but one connection to the server, which was in the other's hands: each one's first statement has
            // the same name there.
            Err(_) => return told_by(on, prepared(other).await?),
        }
    }
    // It has one connection of the server to itself.
    Ok(true)
}

/// What a second client's first statement says, prepared on this connection where the first one's had been prepared on `on`.
/// On another one nobody can tell.
fn told_by(on: i32, now: Option<i32>) -> Result<bool, sqlx::Error> {
    match now {
        None => Ok(false),
        Some(now) if now == on => Ok(true),
        Some(_) => Err(unavailable("the pooler has no connection to try it out on")),
    }
}

/// The server's connection on which a statement is run that was prepared; none where it is not there, is there already, or is
/// another one.
async fn prepared(conn: &mut PgConnection) -> Result<Option<i32>, sqlx::Error> {
    let asked = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(conn);
    match PATIENCE.keep(asked).await {
        Ok(on) => Ok(Some(on)),
        Err(error) if is_forgotten(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins a transaction without preparing anything; on which of the server's connections.
async fn hold(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    PATIENCE.keep(sqlx::raw_sql("BEGIN").execute(&mut *conn)).await?;
    let asked = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(conn);
    PATIENCE.keep(asked).await?.try_get(0)
}

fn is_forgotten(error: &sqlx::Error) -> bool {
    let said = error.as_database_error().and_then(|error| error.try_downcast_ref());
    said.is_some_and(|said: &PgDatabaseError| match said.code() {
        "26000" | "42P05" => true,
        // Other parameters than the statement takes: the server's word, which names its routine. With this code a pooler
        // says all of its own.
        "08P01" => said.routine().is_some(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_another_connection_nobody_can_tell() {
        assert!(matches!(told_by(1, None), Ok(false)));
        assert!(matches!(told_by(1, Some(1)), Ok(true)));
        let error = told_by(1, Some(2)).unwrap_err();
        assert!(!failure::reason(&error).contains(FORGETS), "{error}");
        assert!(failure::is_ours(&error), "tried again, and nothing is said until then");
    }
}
