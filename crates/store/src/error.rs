//! How a question to the store can fail, and whether asking again may help. Never carries values that were bound.

use std::io;

use mainstay_base::{Coded, ErrorCode};
use sqlx::postgres::PgDatabaseError;

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Locked, disk error, connection lost: away for now.
    Unavailable,
    /// No space left on the disk, or the file reached its limit.
    Full,
    /// A row breaks a constraint.
    Conflict,
    /// A fault of ours, or a damaged file.
    Internal,
}

/// A failed operation on the store.
#[derive(Debug, thiserror::Error)]
#[error("{op} failed ({kind:?})")]
pub struct Error {
    /// The operation, `table.verb`.
    pub op: &'static str,
    /// What kind of failure.
    pub kind: Kind,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    #[source]
    source: Source,
}

/// The words of whoever was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Source {
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    /// The recorder's own way into a file.
    #[error(transparent)]
    File(#[from] rusqlite::Error),
    /// This machine's disk, beside a database on others.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

// Primary result codes, https://www.sqlite.org/rescode.html; the extended code's low byte.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_READONLY: i32 = 8;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_PROTOCOL: i32 = 15;
const SQLITE_CONSTRAINT: i32 = 19;

impl Error {
    pub(crate) fn new(op: &'static str, source: impl Into<Source>) -> Self {
        let source = source.into();
        let kind = match &source {
            Source::Sqlx(error) => kind_of(error),
            Source::File(error) => kind_of_code(error.sqlite_error().map(|e| e.extended_code)),
            Source::Disk(error) if error.kind() == io::ErrorKind::StorageFull => Kind::Full,
            Source::Disk(_) => Kind::Unavailable,
        };
        Self { op, kind, retryable: kind.is_passing(), source }
    }

    /// Cut short by the server: it is the question that takes too long, and not the store that is away. Of a server that
    /// is silent nobody knows.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.has_state(&["57014"])
    }

    /// Lost a deadlock, or to another's change: the same transaction may well succeed at once.
    pub(crate) fn is_contended(&self) -> bool {
        self.has_state(&["40P01", "40001"])
    }

    /// A row like one of these is there already.
    pub(crate) fn is_repeat(&self) -> bool {
        self.has_state(&["23505"])
    }

    /// A word for logs and health: the cause alone. Holds no value that was bound.
    pub(crate) fn reason(&self) -> String {
        match &self.source {
            Source::Sqlx(error) if is_of_file(error) => error.to_string(),
            Source::Sqlx(error) => crate::postgres::reason(error),
            Source::File(error) => error.to_string(),
            Source::Disk(error) => error.to_string(),
        }
    }

    /// A lock was not had within the time that was given for it: the same may well succeed in a moment.
    pub(crate) fn is_locked_out(&self) -> bool {
        self.has_state(&["55P03"])
    }

    /// Nothing is wrong with the change itself: somebody was in the way, or this process stood still with a lock in its
    /// hands (`idle_in_transaction_session_timeout`).
    pub(crate) fn is_of_a_moment(&self) -> bool {
        self.is_locked_out() || self.is_contended() || self.has_state(&["25P03"])
    }

    fn has_state(&self, states: &[&str]) -> bool {
        let Source::Sqlx(error) = &self.source else { return false };
        let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        state.is_some_and(|state| states.contains(&&*state))
    }
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self.kind {
            Kind::Unavailable | Kind::Full => ErrorCode::Unavailable,
            Kind::Conflict => ErrorCode::Conflict,
            Kind::Internal => ErrorCode::Internal,
        }
    }

    fn public(&self) -> String {
        match self.kind {
            Kind::Conflict => "The record exists already or breaks a rule.".into(),
            Kind::Unavailable | Kind::Full | Kind::Internal => "The store cannot answer.".into(),
        }
    }
}

/// Whether the same call may succeed later.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    kind_of(error).is_passing()
}

impl Kind {
    fn is_passing(self) -> bool {
        matches!(self, Self::Unavailable | Self::Full)
    }
}

fn kind_of(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => kind_of_state(error.code()),
            None => kind_of_code(error.code().and_then(|code| code.parse().ok())),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => Kind::Unavailable,
        _ => Kind::Internal,
    }
}

fn is_of_file(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|e| e.try_downcast_ref::<PgDatabaseError>().is_none())
}

/// SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>, by its class.
fn kind_of_state(state: &str) -> Kind {
    match (state, state.get(..2).unwrap_or_default()) {
        ("53100", _) => Kind::Full,
        // A lock, a deadlock, a server that is no primary, a question cut short, a schema that is not there yet.
        ("55P03" | "25006" | "57014" | "42P01" | "3F000", _) => Kind::Unavailable,
        (_, "08" | "40" | "53" | "57" | "58") => Kind::Unavailable,
        // Limits of the program (54): a value that no index can hold is of no row either.
        (_, "22" | "23" | "54") => Kind::Conflict,
        _ => Kind::Internal,
    }
}

fn kind_of_code(extended: Option<i32>) -> Kind {
    match extended.map(|extended| extended & 0xff) {
        Some(SQLITE_FULL) => Kind::Full,
        Some(
            SQLITE_BUSY | SQLITE_LOCKED | SQLITE_READONLY | SQLITE_IOERR | SQLITE_CANTOPEN
            | SQLITE_PROTOCOL,
        ) => Kind::Unavailable,
        Some(SQLITE_CONSTRAINT) => Kind::Conflict,
        _ => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_judged_by_their_class() {
        for (state, kind) in [
            ("23505", Kind::Conflict),    // unique_violation
            ("22021", Kind::Conflict),    // character_not_in_repertoire
            ("53100", Kind::Full),        // disk_full
            ("53300", Kind::Unavailable), // too_many_connections
            ("57P01", Kind::Unavailable), // admin_shutdown
            ("25006", Kind::Unavailable), // read_only_sql_transaction
            ("40P01", Kind::Unavailable), // deadlock_detected
            ("42703", Kind::Internal),    // undefined_column
            ("", Kind::Internal),
        ] {
            assert_eq!(kind_of_state(state), kind, "{state}");
        }
    }

    #[test]
    fn a_server_that_is_silent_is_away() {
        let silent = std::io::Error::from(std::io::ErrorKind::TimedOut);
        let error = Error::new("test", sqlx::Error::Io(silent));
        assert_eq!((error.kind, error.is_too_long()), (Kind::Unavailable, false));
    }

    #[test]
    fn extended_codes_are_judged_by_their_low_byte() {
        let check = |code: i32, kind| {
            assert_eq!(kind_of_code(Some(code)), kind, "{code}");
        };
        check(13, Kind::Full);
        check(10 | (3 << 8), Kind::Unavailable); // SQLITE_IOERR_WRITE
        check(5 | (2 << 8), Kind::Unavailable); // SQLITE_BUSY_SNAPSHOT
        check(19 | (8 << 8), Kind::Conflict); // SQLITE_CONSTRAINT_UNIQUE
        check(11, Kind::Internal); // SQLITE_CORRUPT
        assert_eq!(kind_of_code(None), Kind::Internal);
    }
}
