//! What stands between us and a server: a pooler in transaction mode may give every transaction another connection to the
//! server. Statements are prepared by name; a pooler that does not carry the names along (PgBouncer before 1.21, or with
//! `max_prepared_statements = 0`) loses them, and answers with somebody else's statement of the same name. That is found
//! out before anything else is said.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};

use super::node::Node;
use super::patience::Patience;

/// How long an answer is waited for. A pooler with one connection to the server gives it to one transaction at a time.
const PATIENCE: Patience = Patience(Duration::from_secs(1));
/// How often a connection is prepared on and taken away before nobody can tell.
const TRIES: usize = 5;

/// Whether the pooler in front of this server forgets prepared statements. False where there is none, where it is known to
/// remember (Neon's), and where the server cannot be reached now.
pub(super) async fn forgets(node: &Node) -> bool {
    if !node.target.pooled || node.target.direct().is_some() {
        return false;
    }
    match try_out(node).await {
        Ok(forgets) => forgets,
        Err(error) => is_forgotten(&error),
    }
}

/// Two clients of the pooler: while the server's connection on which one of them has prepared is in the other's hands, the
/// first one asks again.
async fn try_out(node: &Node) -> Result<bool, sqlx::Error> {
    const PREPARED: &str = "SELECT pg_backend_pid()";
    let (mut one, mut other) = (node.pool.connect_apart().await?, node.pool.connect_apart().await?);
    let mut is_certain = false;
    for _ in 0..TRIES {
        let on: i32 = PATIENCE.keep(sqlx::query_scalar(PREPARED).fetch_one(&mut one)).await?;
        let held = hold(&mut other).await?;
        let again = PATIENCE.keep(sqlx::query_scalar::<_, i32>(PREPARED).fetch_one(&mut one)).await;
        PATIENCE.keep(sqlx::raw_sql("COMMIT").execute(&mut other)).await?;
        let is_only_one = again.as_ref().is_err_and(|error| !is_forgotten(error));
        if !is_only_one {
            again?;
        }
        is_certain = held == on && !is_only_one;
        if is_certain || is_only_one {
            break;
        }
    }
    if !is_certain {
        // Both on one connection to the server: each one's first statement has the same name.
        PATIENCE.keep(sqlx::query("SELECT 1").execute(&mut other)).await?;
    }
    drop(one.close().await);
    drop(other.close().await);
    Ok(false)
}

/// Begins a transaction without preparing anything; on which of the server's connections.
async fn hold(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    PATIENCE.keep(sqlx::raw_sql("BEGIN").execute(&mut *conn)).await?;
    let asked = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(conn);
    PATIENCE.keep(asked).await?.try_get(0)
}

/// A statement that is not there, is there already, or is another one.
fn is_forgotten(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("26000" | "42P05" | "08P01"))
}
