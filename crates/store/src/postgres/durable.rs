//! What an answered commit is worth. With `synchronous_commit = off`, which a role or a database may have been given, the
//! server answers before the commit is on its disk, and what it then loses nobody writes once more. Every other value waits
//! for that disk: those are somebody's choice about the replicas, and stay.

use sqlx::PgConnection;

/// For all of a session.
pub(crate) const SESSION: &str = "SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'";
/// READ WRITE: a server that became a replica behind a pooler says so now, not at the first change.
const BEGIN: &str = "BEGIN READ WRITE";
/// In one message. Behind a pooler a session is somebody else's in the next moment, so only the transaction is told.
const BEGIN_POOLED: &str = "BEGIN READ WRITE; SELECT set_config('synchronous_commit', 'on', true)
    WHERE current_setting('synchronous_commit') = 'off'";

/// Begins a transaction whose commit is on the server's disk when it is answered.
pub(super) async fn begin(conn: &mut PgConnection, pooled: bool) -> Result<(), sqlx::Error> {
    let text = if pooled { BEGIN_POOLED } else { BEGIN };
    sqlx::raw_sql(text).execute(conn).await.map(drop)
}
