//! What stands between us and a server: a pooler in transaction mode may give every transaction another connection to the
//! server. Statements are prepared by name; a pooler that does not carry the names along (PgBouncer before 1.21, or with
//! `max_prepared_statements = 0`) loses them, and answers with somebody else's statement of the same name. That is found
//! out before anything else is said: a server behind a pooler is left out until it was, and again after each failure.

use std::time::Duration;

use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::failure;
use super::node::Node;
use super::patience::Patience;
use super::pool::unavailable;

/// How long an answer is waited for. A pooler with one connection to the server gives it to one transaction at a time.
const PATIENCE: Patience = Patience(Duration::from_secs(1));
/// How often a connection is prepared on and taken away before nobody can tell.
const TRIES: usize = 5;
/// How many second clients come in turn: several poolers behind one address are met by chance.
const OTHERS: usize = 6;
/// How often it is looked whether a connection was tidied up behind its client, and how far apart.
const LOOKS: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(25);
const FORGETS: &str = "the pooler in front of it forgets prepared statements: PgBouncer knows them from 1.21 on, with \
    max_prepared_statements above 0; with an older one use pool_mode = session and no `pooled=true`, or the direct address";
const UNCLEAR: &str = "nobody can tell whether the pooler in front of it remembers prepared statements: it is tried again; \
    several poolers behind one address are met by chance; when it gives each client a connection of its own \
    (pool_mode = session), leave out `pooled=true`";

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
    let (mut one, mut other) = (Client::connect(node).await?, Client::connect(node).await?);
    let mut found = ask(&mut one, &mut other).await;
    for _ in 1..OTHERS {
        if !matches!(found, Ok(Found::KeptFor(_))) {
            break;
        }
        // There may be no room for three.
        other.leave().await;
        other = Client::connect(node).await?;
        found = ask(&mut one, &mut other).await;
    }
    one.leave().await;
    let remembers = match found {
        Ok(Found::Remembers) => Ok(true),
        Ok(Found::Forgets) => Ok(false),
        Ok(Found::KeptFor(on)) if other.sees_tidied(on).await? => Ok(true),
        Ok(Found::KeptFor(_)) => Err(unavailable(UNCLEAR)),
        Err(error) => Err(error),
    };
    other.leave().await;
    remembers
}

/// What was found of a pooler.
enum Found {
    Remembers,
    Forgets,
    /// Whatever the other one did, the first was always given this connection of the server.
    KeptFor(i32),
}

async fn ask(one: &mut Client, other: &mut Client) -> Result<Found, sqlx::Error> {
    let mut kept = 0;
    for _ in 0..TRIES {
        // One that takes turns gives the second time another one.
        let Some(first) = one.prepared().await? else { return Ok(Found::Forgets) };
        let Some(on) = one.prepared().await? else { return Ok(Found::Forgets) };
        let held = other.hold().await?;
        let again = one.prepared().await;
        other.let_go().await?;
        match again {
            Ok(None) => return Ok(Found::Forgets),
            // It was carried to another connection.
            Ok(Some(now)) if now != on || held == on || first != on => return Ok(Found::Remembers),
            Ok(Some(_)) => kept = on,
            Err(_) => return ask_on_the_only_one(on, other).await,
        }
    }
    Ok(Found::KeptFor(kept))
}

/// There may be but one connection to the server, which was in the other's hands: each one's first statement has the same
/// name there.
async fn ask_on_the_only_one(on: i32, other: &mut Client) -> Result<Found, sqlx::Error> {
    for _ in 0..2 {
        if !told_by(on, other.prepared().await?)? {
            return Ok(Found::Forgets);
        }
    }
    Ok(Found::Remembers)
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

/// A client of the pooler, and a question that nobody else has: what trials before this one left behind under the same name,
/// and what others did, answers something else.
struct Client {
    conn: PgConnection,
    mark: i64,
    question: String,
}

impl Client {
    async fn connect(node: &Node) -> Result<Self, sqlx::Error> {
        let mut conn = node.pool.connect_apart().await?;
        let asked = sqlx::raw_sql("SELECT (random() * 9e18)::bigint").fetch_one(&mut conn);
        let mark: i64 = PATIENCE.keep(asked).await?.try_get(0)?;
        let question = format!("SELECT pg_backend_pid() || ' {mark}'");
        Ok(Self { conn, mark, question })
    }

    /// The server's connection on which the question is run, which was prepared; none where it is not there, or another
    /// statement is.
    async fn prepared(&mut self) -> Result<Option<i32>, sqlx::Error> {
        let question = AssertSqlSafe(self.question.as_str());
        let asked = sqlx::query_scalar::<_, String>(question).fetch_one(&mut self.conn);
        match PATIENCE.keep(asked).await {
            Ok(answer) => Ok(self.read(&answer)),
            Err(error) if is_forgotten(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, answer: &str) -> Option<i32> {
        let (on, mark) = answer.split_once(' ')?;
        (mark.parse() == Ok(self.mark)).then(|| on.parse().ok()).flatten()
    }

    /// Begins a transaction without preparing anything; on which of the server's connections.
    async fn hold(&mut self) -> Result<i32, sqlx::Error> {
        PATIENCE.keep(sqlx::raw_sql("BEGIN").execute(&mut self.conn)).await?;
        let asked = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(&mut self.conn);
        PATIENCE.keep(asked).await?.try_get(0)
    }

    async fn let_go(&mut self) -> Result<(), sqlx::Error> {
        PATIENCE.keep(sqlx::raw_sql("COMMIT").execute(&mut self.conn)).await.map(drop)
    }

    /// Whether this connection of the server was closed or tidied up once its client had left: then it was that client's
    /// own. One that is given to transactions stays as the last one left it.
    async fn sees_tidied(&mut self, on: i32) -> Result<bool, sqlx::Error> {
        let question = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = {on} AND query NOT ILIKE 'DISCARD ALL%'"
        );
        for _ in 0..LOOKS {
            let asked = sqlx::raw_sql(AssertSqlSafe(question.as_str())).fetch_one(&mut self.conn);
            if PATIENCE.keep(asked).await?.try_get::<i64, _>(0)? == 0 {
                return Ok(true);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(false)
    }

    async fn leave(self) {
        drop(PATIENCE.keep(self.conn.close()).await);
    }
}

/// Whether a statement is not there that was prepared, is there already, or is another one.
fn is_forgotten(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound) {
        return true;
    }
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
