//! How copying an installation can fail.

use std::path::PathBuf;

use mainstay_base::{Coded, ErrorCode};

use crate::open;
use crate::postgres::migrate;
use crate::postgres::settings::Problem;

/// Why it was not copied, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are no files to copy.
    #[error("{} does not exist: name the data directory of the installation with --data-dir", .0.display())]
    NoSource(PathBuf),
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Source {
        /// Which file.
        path: PathBuf,
        /// SQLite's reason.
        source: crate::Error,
    },
    /// A newer version of the product has written this file.
    #[error("{} has schema version {version}, which this version does not know", path.display())]
    SourceNewer {
        /// Which file.
        path: PathBuf,
        /// The unknown version.
        version: i64,
    },
    /// The file's schema is older than this version's.
    #[error("{} has an older schema: bring it up to date first, by `mainstay migrate` or by starting the server", .0.display())]
    SourceOlder(PathBuf),
    /// A row of the files is not what its table promises.
    #[error("a row of {table} cannot be read: {reason}")]
    Row {
        /// Which table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The address cannot be one.
    #[error("--to {}", .0.why)]
    Address(#[from] Problem),
    /// The database cannot be reached.
    #[error("the database cannot be used: {0}")]
    Away(String),
    /// A pooler in transaction mode stands between, and the way around it is not known.
    #[error(
        "--to names a pooler in transaction mode ({0}): give the database's direct address, the copy needs a session of its own"
    )]
    Pooled(String),
    /// The database does not let its schema be made.
    #[error("the schema mainstay cannot be made or brought up to date: {0}")]
    Schema(String),
    /// An older version of the product has begun the copy.
    #[error(
        "an older version has begun this copy: nothing can be compared before the schema is brought up to date, as the copy itself does"
    )]
    Older,
    /// A newer version of the product has been there.
    #[error("the database's schema is newer than this version knows: use the version that made it")]
    Newer,
    /// The database holds rows of another installation.
    #[error(
        "the database holds rows of Mainstay that are no copy of this data directory ({table}: {rows}); choose another database, or remove them: DROP SCHEMA mainstay CASCADE"
    )]
    Foreign {
        /// A table with such rows.
        table: &'static str,
        /// How many.
        rows: u64,
    },
    /// A server has worked with the database.
    #[error(
        "a server has already worked with this database: copying now would undo what it wrote since. To begin anew, stop it and remove what is there: DROP SCHEMA mainstay CASCADE"
    )]
    InUse,
    /// Another process copies into it.
    #[error("another `mainstay migrate` is copying into this database")]
    Busy,
    /// A statement failed for a reason that may pass.
    #[error("the copy broke off; start it again, it goes on from there")]
    Broken(#[source] crate::Error),
    /// A statement failed, and would fail again.
    #[error("the database refuses a part of the copy, and would refuse it again")]
    Refused(#[source] crate::Error),
    /// This installation has no name and cannot be given one.
    #[error("the data directory cannot be named")]
    Unnamed(#[source] Box<open::Error>),
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Address(_) => ErrorCode::Invalid,
            Self::Away(_) => ErrorCode::Unavailable,
            Self::Broken(_) => ErrorCode::Unavailable,
            Self::NoSource(_) => ErrorCode::NotFound,
            Self::Row { .. }
            | Self::Pooled(_)
            | Self::Schema(_)
            | Self::Older
            | Self::Refused(_)
            | Self::Source { .. }
            | Self::SourceNewer { .. }
            | Self::SourceOlder(_)
            | Self::Newer
            | Self::Foreign { .. }
            | Self::InUse
            | Self::Busy
            | Self::Unnamed(_) => ErrorCode::Conflict,
        }
    }

    fn public(&self) -> String {
        "The installation cannot be copied.".into()
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        if error.retryable { Self::Broken(error) } else { Self::Refused(error) }
    }
}

impl From<migrate::Error> for Error {
    fn from(error: migrate::Error) -> Self {
        match error {
            migrate::Error::Pooled(name) => Self::Pooled(name),
            error if error.is_newer() => Self::Newer,
            error if error.is_passing() => Self::Away(error.reason()),
            error => Self::Schema(error.reason()),
        }
    }
}
