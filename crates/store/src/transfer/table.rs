//! The tables that are copied: their columns as both engines have them, and the key by whose order they are walked.

use crate::bulk::Kind;
use crate::retain;

mod list;

pub(super) use list::TABLES;

/// In which file a table lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    Core,
    Insight,
}

/// What the recorder remembers of a row on PostgreSQL, so that an event that is sent again is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    PageView,
    Custom,
    Error,
    Engagement,
    Vital,
}

/// A table.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) name: &'static str,
    pub(super) file: File,
    /// The key comes first.
    pub(super) columns: &'static [(&'static str, Kind)],
    /// How many columns the key has. In its order rows are walked through an index of either side.
    pub(super) key: usize,
    /// Rows that are looked at together.
    pub(super) chunk: usize,
    pub(super) remembered: Option<Remembered>,
    /// Text of the key is in the order of bytes only when PostgreSQL is told so. Elsewhere its column has that order already
    /// (`COLLATE "C"`), or holds one of our own words: small letters, which every collation puts in the same order.
    pub(super) told_order: bool,
    /// Rows must be gone for good after a time, and nobody sees to that in a database that no server uses yet: they are
    /// copied last, and only where a server may follow at once.
    pub(super) is_short_lived: bool,
}

/// Tests have few rows and must cross from one chunk to the next all the same.
pub(super) const CHUNK: usize = if cfg!(test) { 23 } else { 5_000 };
/// Of rows of any size only so many are in memory.
const LARGE: usize = if cfg!(test) { 7 } else { 64 };
/// Where something beside the key is unique, rows that trade it must be changed together.
const WHOLE: usize = 100_000;

const fn insight(
    name: &'static str,
    key: usize,
    columns: &'static [(&'static str, Kind)],
) -> Copied {
    Copied {
        name,
        file: File::Insight,
        columns,
        key,
        chunk: CHUNK,
        remembered: None,
        told_order: false,
        is_short_lived: false,
    }
}

const fn core(name: &'static str, key: usize, columns: &'static [(&'static str, Kind)]) -> Copied {
    Copied { file: File::Core, ..insight(name, key, columns) }
}

impl Copied {
    const fn whole(self) -> Self {
        Self { chunk: WHOLE, ..self }
    }

    const fn remembered(self, remembered: Remembered) -> Self {
        Self { remembered: Some(remembered), ..self }
    }

    const fn short_lived(self) -> Self {
        Self { is_short_lived: true, ..self }
    }

    /// Rows may be of any size.
    const fn large(self) -> Self {
        Self { chunk: LARGE, told_order: true, ..self }
    }

    /// The column by which PostgreSQL keeps its rows in one piece per day.
    pub(super) fn at(&self) -> Option<usize> {
        let pieces = self.pieces()?;
        self.columns.iter().position(|(name, _)| *name == pieces.at)
    }

    /// Its daily pieces, where it has them.
    pub(super) fn pieces(&self) -> Option<crate::postgres::partition::Pieces> {
        let all = retain::Table::ALL.into_iter().filter_map(retain::Table::in_days);
        all.into_iter().find(|pieces| pieces.table == self.name)
    }

    pub(super) fn find(&self, column: &str) -> usize {
        self.columns.iter().position(|(name, _)| *name == column).unwrap_or(0)
    }
}
