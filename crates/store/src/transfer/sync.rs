//! One table walked from its first key to its last: what differs is written, and what was written is read again.

use std::collections::HashMap;

use super::chunk::{Chunk, Range, Row, key_bytes};
use super::source::Source;
use super::table::Copied;
use super::target::{Found, Target};
use super::value::Value;
use super::{Compared, Error, Held, keys};

/// What is done about what differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing.
    Look,
    /// It is written.
    Copy,
    /// It is written, and read again.
    Prove,
}

/// How a table is walked.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) table: &'static Copied,
    pub(super) mode: Mode,
}

/// What differs between two sides.
#[derive(Debug, Default)]
struct Difference<'r> {
    /// Rows of the files that the database lacks, or has otherwise.
    written: Vec<&'r Row>,
    /// Keys of rows of the database that the files lack, or have otherwise.
    removed: Vec<Vec<Value>>,
    /// How many of those the files lack.
    extra: u64,
}

impl Walk {
    /// Walks it. `ids` gathers what became of the remembered ids of events.
    pub(super) async fn run(
        &self,
        source: &mut Source,
        target: &mut Target,
        ids: &mut Compared,
        tell: &mut (dyn FnMut(u64, bool) + Send),
    ) -> Result<Compared, Error> {
        let mut compared = Compared::of(self.table.name);
        let mut after: Option<Vec<Value>> = None;
        let mut chunk = source.read(self.table, None).await?;
        loop {
            let upto = chunk.end.as_ref().and_then(|_| chunk.last_key(self.table));
            let range = Range { after: after.as_deref(), upto: upto.as_deref() };
            // The files are read on while the database takes what was read.
            let following = async {
                match &chunk.end {
                    Some(key) => source.read(self.table, Some(key)).await.map(Some),
                    None => Ok(None),
                }
            };
            let synced = self.sync(target, &chunk, range, &mut compared, ids);
            let ((), following) = futures_util::future::try_join(synced, following).await?;
            tell(compared.source.rows, following.is_none());
            let Some(following) = following else { return Ok(compared) };
            (chunk, after) = (following, upto);
        }
    }

    /// What lies between two keys, in pieces where the database has more of it than is read at a time: after the files
    /// lost their oldest rows, everything that it has of them lies before the first row that they still have.
    async fn sync(
        &self,
        target: &mut Target,
        chunk: &Chunk,
        range: Range<'_>,
        compared: &mut Compared,
        ids: &mut Compared,
    ) -> Result<(), Error> {
        let mut rows: Vec<&Row> = chunk.rows.iter().collect();
        let mut after = range.after.map(<[Value]>::to_vec);
        loop {
            let left = Range { after: after.as_deref(), upto: range.upto };
            let found = target.read(self.table, left).await?;
            let Some(end) = found.end.clone() else {
                return self.sync_piece(target, &rows, (left, found), compared, ids).await;
            };
            let is_in = |row: &&Row| row.values[..self.table.key] <= end[..];
            let (these, rest) = rows.into_iter().partition::<Vec<_>, _>(is_in);
            let piece = Range { upto: Some(&end), ..left };
            self.sync_piece(target, &these, (piece, found), compared, ids).await?;
            (rows, after) = (rest, Some(end));
        }
    }

    async fn sync_piece(
        &self,
        target: &mut Target,
        rows: &[&Row],
        (range, found): (Range<'_>, Found),
        compared: &mut Compared,
        ids: &mut Compared,
    ) -> Result<(), Error> {
        let keys = keys::list(self.table, rows, target.remembered_since);
        let wanted = held(rows.iter().map(|row| row.digest));
        let mut there = found.held();
        let mut is_written = false;
        if there != wanted {
            let Difference { written, removed, extra } = self.compare(rows, found.rows);
            compared.changed += written.len() as u64 + extra;
            if self.mode != Mode::Look {
                target.write(self.table, &removed, &written, &keys).await?;
                is_written = true;
            }
            if self.mode == Mode::Prove {
                there = self.read_again(target, range).await?;
            }
        }
        compared.source.join(wanted);
        compared.target.join(there);
        // What was written just now is there; whether it is, the next pass finds out.
        if is_written && self.mode == Mode::Copy {
            Ok(())
        } else {
            self.sync_ids(target, &keys, ids).await
        }
    }

    /// What the database holds of a range, which may be more than is read at a time.
    async fn read_again(&self, target: &mut Target, range: Range<'_>) -> Result<Held, Error> {
        let (mut held, mut after) = (Held::default(), range.after.map(<[Value]>::to_vec));
        loop {
            let left = Range { after: after.as_deref(), upto: range.upto };
            let found = target.read(self.table, left).await?;
            held.join(found.held());
            match found.end {
                Some(end) => after = Some(end),
                None => return Ok(held),
            }
        }
    }

    async fn sync_ids(
        &self,
        target: &mut Target,
        wanted: &[(uuid::Uuid, mainstay_base::Timestamp)],
        ids: &mut Compared,
    ) -> Result<(), Error> {
        for (key, at) in wanted {
            ids.source.add(keys::digest(*key, *at));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let mut found = target.read_keys(wanted).await?;
        if found.len() < wanted.len() {
            ids.changed += (wanted.len() - found.len()) as u64;
            if self.mode != Mode::Look {
                target.write(self.table, &[], &[], wanted).await?;
                found = target.read_keys(wanted).await?;
            }
        }
        for (key, at) in found {
            ids.target.add(keys::digest(key, at));
        }
        Ok(())
    }

    fn compare<'r>(&self, rows: &[&'r Row], found: Vec<(Vec<Value>, u128)>) -> Difference<'r> {
        let found =
            found.into_iter().map(|(key, digest)| (key_bytes(&key, self.table), (key, digest)));
        let mut found: HashMap<_, _> = found.collect();
        let mut difference = Difference::default();
        for row in rows.iter().copied() {
            match found.remove(&key_bytes(&row.values[..self.table.key], self.table)) {
                Some((_, digest)) if digest == row.digest => {}
                other => {
                    difference.removed.extend(other.map(|(key, _)| key));
                    difference.written.push(row);
                }
            }
        }
        difference.extra = found.len() as u64;
        difference.removed.extend(found.into_values().map(|(key, _)| key));
        difference
    }
}

impl Found {
    fn held(&self) -> Held {
        held(self.rows.iter().map(|(_, digest)| *digest))
    }
}

fn held(digests: impl Iterator<Item = u128>) -> Held {
    let mut held = Held::default();
    digests.for_each(|digest| held.add(digest));
    held
}
