//! What a session is told before it is used; behind a pooler, where it is somebody else's in the next moment, each
//! transaction. What is a single statement there, every question among it, goes as the role has it. None of it is a start-up
//! parameter: a pooler refuses those it does not know.
//!
//! - What an answered commit is worth: with `synchronous_commit = off`, which a role or a database may have been given, the
//!   server answers before the commit is on its disk, and what it then loses nobody writes once more. Every other value
//!   waits for that disk: those are somebody's choice about the replicas, and stay.
//! - How long the server lets a statement take.
//! - That it compiles none: that takes longer than the answer, however many rows it expects.

use std::time::Duration;

/// For all of a session whose statements may take as long as they need.
pub(crate) fn session() -> String {
    format!("SELECT {}", on_disk(false))
}

fn on_disk(is_local: bool) -> String {
    format!(
        "CASE current_setting('synchronous_commit')
            WHEN 'off' THEN set_config('synchronous_commit', 'on', {is_local}) END"
    )
}

/// READ WRITE: a server that became a replica behind a pooler says so now, not at the first change.
const BEGIN: &str = "BEGIN READ WRITE";

/// The words for one server.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// First on each connection.
    pub(super) first: Option<String>,
    /// For a transaction whose commit is on the server's disk when it is answered.
    pub(super) begin: String,
}

impl Words {
    /// The server itself ends a statement that takes longer than this, and a transaction whose process stands still:
    /// whoever hung up would go on holding its locks.
    pub(super) fn new(pooled: bool, statement: Duration) -> Self {
        let is_local = pooled;
        // Both are a positive `integer` of PostgreSQL's; 0 would lift them.
        let told = |time: Duration| time.as_millis().clamp(1, 2_147_483_647);
        let (statement, idle) = (told(statement), told(statement.saturating_mul(3)));
        let told = format!(
            "SELECT set_config('statement_timeout', '{statement}', {is_local}),
                set_config('idle_in_transaction_session_timeout', '{idle}', {is_local}),
                set_config('jit', 'off', {is_local}), {}",
            on_disk(is_local)
        );
        if pooled {
            // In one message.
            Self { first: None, begin: format!("{BEGIN}; {told}") }
        } else {
            Self { first: Some(told), begin: BEGIN.into() }
        }
    }
}
