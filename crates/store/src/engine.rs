//! The closed set of engines; every query function matches on it where engines differ.

use crate::postgres::Reads;
use crate::{postgres, sqlite};

/// One database, on one of the engines. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Engine {
    /// A file on this machine.
    Sqlite(sqlite::Db),
    /// Servers that many share.
    Postgres(postgres::Db),
}

impl Engine {
    /// The name under which this process keeps what is its own among several; empty where there is one.
    pub(crate) fn node(&self) -> &str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(db) => db.node(),
        }
    }

    /// Whether other processes read and write the same database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The file, in a test of what only files do.
    #[cfg(test)]
    pub(crate) fn file(&self) -> &sqlite::Db {
        match self {
            Self::Sqlite(db) => db,
            Self::Postgres(_) => panic!("this test is about files"),
        }
    }

    /// Connections in use, and open ones that are not.
    pub(crate) fn count_connections(&self) -> (usize, usize) {
        match self {
            Self::Sqlite(db) => db.count_connections(),
            Self::Postgres(db) => db.count_connections(),
        }
    }

    /// The same database for the reads of one answer: none of them sees less than an earlier one did. SQLite's readers
    /// never do.
    #[must_use]
    pub fn pinned(&self) -> Self {
        match self {
            Self::Sqlite(_) => self.clone(),
            Self::Postgres(db) => Self::Postgres(db.pinned()),
        }
    }

    /// The same database, read where everything committed before is seen. SQLite's readers always see that.
    #[must_use]
    pub fn latest(&self) -> Self {
        match self {
            Self::Sqlite(_) => self.clone(),
            Self::Postgres(db) => Self::Postgres(db.reading(Reads::Latest)),
        }
    }
}
