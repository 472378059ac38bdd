//! Rows of a table that are looked at together: those between two keys.

use super::table::Copied;
use super::value::{Value, digest};

/// A row of the files.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) values: Vec<Value>,
    pub(super) digest: u128,
}

/// Rows in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) rows: Vec<Row>,
    /// No row comes after these.
    pub(super) is_last: bool,
}

impl Chunk {
    pub(super) fn add(&mut self, values: Vec<Value>, table: &Copied, scratch: &mut Vec<u8>) {
        let digest = digest(&values, table.columns, scratch);
        self.rows.push(Row { values, digest });
    }

    /// The key of its last row.
    pub(super) fn last_key(&self, table: &Copied) -> Option<Vec<Value>> {
        self.rows.last().map(|row| row.values[..table.key].to_vec())
    }
}

/// What lies after one key and up to another; none: from the beginning, to the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range<'k> {
    pub(super) after: Option<&'k [Value]>,
    pub(super) upto: Option<&'k [Value]>,
}

/// A key as something that can be looked up.
pub(super) fn key_bytes(key: &[Value], table: &Copied) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    for (value, (_, kind)) in key.iter().zip(table.columns) {
        value.add_to(&mut out, *kind);
    }
    out
}
