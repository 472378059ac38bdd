//! How opening a database file can fail, and whether the server may start without it.

use std::io;
use std::path::PathBuf;

use mainstay_base::{Coded, ErrorCode};
use sqlx::error::BoxDynError;
use sqlx::migrate::MigrateError;

use crate::postgres::migrate;
use crate::postgres::settings::Problem;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be created or made private.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A newer version of the product has written this file.
    #[error("{path} has schema version {version}, which this version does not know", path = path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// The unknown version.
        version: i64,
    },
    /// A step of the schema was taken in other words than this version has for it.
    #[error(
        "{path} has step {version} of the schema in another form than this version knows: it was made by a version that is no ancestor of this one",
        path = path.display()
    )]
    Changed {
        /// Which file.
        path: PathBuf,
        /// The step.
        version: i64,
    },
    /// The database cannot be used: an address is wrong, it is away, or its schema is another version's.
    #[error("the database cannot be used")]
    Database {
        /// The reason.
        #[from]
        source: migrate::Error,
    },
    /// The database holds a copy of an installation that was not proven to be whole.
    #[error(
        "the database holds a copy of an installation that is not finished, and a server would make it unfinishable: stop the server of the copied data directory and finish `mainstay migrate --to`, or to begin anew remove what is there: DROP SCHEMA mainstay CASCADE"
    )]
    HalfCopied,
    /// An address in the settings cannot be used.
    #[error(transparent)]
    Settings(#[from] Problem),
    /// The operating system gives no name for this process.
    #[error("no random bytes")]
    Entropy(#[from] mainstay_base::entropy::Exhausted),
    /// The file is no database, or a damaged one.
    #[error("{path} is damaged or no database", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What shows it.
        source: BoxDynError,
    },
    /// Another process holds the file.
    #[error("{path} is in use by another process", path = path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
        /// SQLite's reason.
        source: MigrateError,
    },
    /// The file cannot be opened, or its schema cannot be brought up to date.
    #[error("{path} cannot be opened", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// The reason.
        source: MigrateError,
    },
}

impl Error {
    /// Whether the server shall start all the same and try again: the trouble may pass, or be mended meanwhile.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::File { .. } | Self::Open { .. } | Self::Damaged { .. } => true,
            Self::Database { source } => !source.is_of_another(),
            Self::Newer { .. }
            | Self::Changed { .. }
            | Self::HalfCopied
            | Self::Locked { .. }
            | Self::Settings(_)
            | Self::Entropy(_) => false,
        }
    }

    /// The innermost reason; names no path.
    pub(super) fn reason(&self) -> String {
        if let Self::Database { source } = self {
            return source.reason();
        }
        let mut error: &dyn std::error::Error = self;
        while let Some(source) = error.source() {
            error = source;
        }
        error.to_string()
    }

    /// What somebody who reads the log can do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => {
                "move it away together with its -wal and -shm files (a new one is made), or put a backup in its place"
            }
            Self::Database { .. } => {
                "start the database, mend its address in [database], or give its user the right to make the schema mainstay"
            }
            Self::HalfCopied => {
                "stop the server of the copied data directory and finish `mainstay migrate --to`"
            }
            _ => "free or mend the disk it lies on, and make it readable and writable",
        }
    }
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::File { .. } | Self::Open { .. } | Self::Damaged { .. } | Self::Entropy(_) => {
                ErrorCode::Unavailable
            }
            Self::Database { source } if source.is_of_another() => ErrorCode::Conflict,
            Self::Database { .. } => ErrorCode::Unavailable,
            Self::Settings(_) => ErrorCode::Invalid,
            Self::Newer { .. } | Self::Changed { .. } | Self::HalfCopied | Self::Locked { .. } => {
                ErrorCode::Conflict
            }
        }
    }

    fn public(&self) -> String {
        "The store cannot be opened.".into()
    }
}

// Primary result codes, https://www.sqlite.org/rescode.html.
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

/// What kind of failure this is.
pub(crate) fn classified(path: PathBuf, source: MigrateError) -> Error {
    let code = match &source {
        MigrateError::VersionMissing(version) => return Error::Newer { path, version: *version },
        MigrateError::VersionMismatch(version) => {
            return Error::Changed { path, version: *version };
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            error.as_database_error().and_then(sqlx::error::DatabaseError::code)
        }
        _ => None,
    };
    match code.and_then(|code| code.parse::<i32>().ok()).map(|extended| extended & 0xff) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => Error::Damaged { path, source: source.into() },
        Some(SQLITE_BUSY | SQLITE_LOCKED) => Error::Locked { path, source },
        _ => Error::Open { path, source },
    }
}
