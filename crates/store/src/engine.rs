//! The closed set of engines; every query function matches on it where engines differ.

use crate::sqlite;

/// One database, on one of the engines.
#[derive(Clone, Debug)]
pub enum Engine {
    /// A file on this machine.
    Sqlite(sqlite::Db),
}
