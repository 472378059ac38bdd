//! Rows of a table that are looked at together: those between two keys.

use super::table::Copied;
use super::value::{Value, digest};
use crate::bulk::Kind;

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
    /// The last of their keys as it lies in the file, where more rows follow.
    pub(super) end: Option<Vec<Value>>,
    /// Beginnings of keys whose rows the two sides have in different orders.
    disorder: Vec<Vec<Value>>,
}

impl Chunk {
    /// Adds a row as it lies in the file.
    pub(super) fn add(&mut self, values: Vec<Value>, table: &Copied, scratch: &mut Vec<u8>) {
        self.note_disorder(&values[..table.key], table);
        let columns = values.into_iter().zip(table.columns);
        let values: Vec<_> = columns.map(|(value, (_, kind))| value.storable(*kind)).collect();
        let digest = digest(&values, table.columns, scratch);
        self.rows.push(Row { values, digest });
    }

    /// A zero byte comes before every other character, and what PostgreSQL keeps in its place after nearly all of them: so
    /// such a row lies elsewhere there, among those that begin as it does up to that byte.
    fn note_disorder(&mut self, key: &[Value], table: &Copied) {
        for (at, (value, (_, kind))) in key.iter().zip(table.columns).enumerate() {
            let Value::Text(text) = value else { continue };
            if let (Kind::Text, Some((begin, _))) = (*kind, text.split_once('\0')) {
                let mut prefix = key[..at].to_vec();
                prefix.push(Value::Text(begin.to_owned()));
                if self.disorder.last() != Some(&prefix) {
                    self.disorder.push(prefix);
                }
            }
        }
    }

    /// Whether a row that follows may lie before one of these on the other side: then they belong together.
    pub(super) fn takes(&self, key: &[Value]) -> bool {
        self.disorder.iter().any(|prefix| {
            let Some((begin, before)) = prefix.split_last() else { return false };
            key[..before.len()] == *before
                && key[before.len()].as_text().starts_with(begin.as_text())
        })
    }

    /// The last of its keys on the other side.
    pub(super) fn last_key(&self, table: &Copied) -> Option<Vec<Value>> {
        let mut keys = self.rows.iter().map(|row| &row.values[..table.key]);
        let last = if self.disorder.is_empty() {
            keys.next_back()
        } else {
            keys.reduce(|a, b| if a > b { a } else { b })
        };
        last.map(<[Value]>::to_vec)
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
