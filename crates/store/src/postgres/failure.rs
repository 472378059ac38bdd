//! What an error of PostgreSQL says about the server it came from. Statements that break a rule say nothing about it.

use std::io;

use sqlx::postgres::PgDatabaseError;

/// What an error tells about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing: the statement itself was refused.
    Statement,
    /// The connection is dead or the server is shutting down or starting up.
    Connection,
    /// No answer in time: the server hangs, or the question was too large. A probe finds out.
    Silence,
    /// A replica stopped a question that stood in the way of its replay; another one may answer it.
    ReplayConflict,
    /// It has no room, memory or connection left for this statement: another server may.
    Exhausted,
    /// It takes no changes: it is not the primary any more, or its role or database was told to read only. A probe finds
    /// out.
    NotPrimary,
}

/// SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(crate) fn of(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Io(e) if e.kind() == io::ErrorKind::TimedOut => Failure::Silence,
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => Failure::Connection,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("57P01" | "57P02" | "57P03" | "57P05") => Failure::Connection,
            Some(code) if code.starts_with("08") => Failure::Connection,
            Some("25006") => Failure::NotPrimary,
            Some(code) if code.starts_with("53") => Failure::Exhausted,
            // On a primary 40001 is a serialisation failure, which none of our transactions (READ COMMITTED) can meet.
            Some("40001") => Failure::ReplayConflict,
            _ => Failure::Statement,
        },
        _ => Failure::Statement,
    }
}

/// Whether a transaction that is to change something was refused by a server that follows another.
pub(crate) fn is_refused_in_recovery(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("0A000" | "25006"))
}

/// Whether we said it ourselves, of a server that was ejected before: by now it may be well again.
pub(crate) fn is_ours(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(e) if e.kind() == io::ErrorKind::NotConnected)
}

/// Whether a connection could not be had because so many are in use, here or there: that is no failure.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => error.code().as_deref() == Some("53300"),
        _ => false,
    }
}

/// What a server has too little of, in front of its own words: those speak of a file or a process.
fn what_is_short(state: &str) -> &'static str {
    match state {
        "53100" => "the server's disk is full: ",
        "53200" => "the server is out of memory: ",
        "53300" => "the server takes no more connections: ",
        "53400" => "a limit of the server is reached: ",
        _ => "",
    }
}

/// A word for logs and the console. Holds no value that was bound, and no address.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => {
                let what = what_is_short(error.code());
                format!("{what}{} (SQLSTATE {})", error.message(), error.code())
            }
            None => "the database refused".into(),
        },
        sqlx::Error::PoolTimedOut => "every connection is in use".into(),
        sqlx::Error::PoolClosed => "the connections were closed".into(),
        sqlx::Error::Tls(error) => format!("TLS: {error}"),
        // Of this machine: nothing was sent.
        sqlx::Error::Encode(error) => error.to_string(),
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            "what the database answered cannot be read".into()
        }
        _ => "the connection failed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_connections_fault_is_not_called_one() {
        for (error, said) in [
            (sqlx::Error::Encode("no randomness".into()), "no randomness"),
            (sqlx::Error::Decode("secret".into()), "what the database answered cannot be read"),
            (sqlx::Error::PoolClosed, "the connections were closed"),
            (sqlx::Error::PoolTimedOut, "every connection is in use"),
            (sqlx::Error::WorkerCrashed, "the connection failed"),
        ] {
            assert_eq!(reason(&error), said, "{error:?}");
        }
    }
}
