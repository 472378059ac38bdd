//! One record in a file: its length, a digest of it, itself. What is not exactly that is told apart: a write cut short, of
//! which nobody was told, and damage.

use std::io;

use sha2::{Digest, Sha256};

/// Length and digest in front of each record.
pub(super) const HEAD: usize = 4 + DIGEST;
const DIGEST: usize = 8;

/// What lies at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole record.
    Record(&'a [u8]),
    /// The end, or what a write cut short has left before it.
    End,
    /// Something that was written and cannot be read any more; how far behind it the next whole record begins, if there is
    /// one.
    Damaged { next: Option<usize> },
}

/// A record as it is written.
pub(super) fn frame(record: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(record.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut framed = Vec::with_capacity(HEAD + record.len());
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&digest(record));
    framed.extend_from_slice(record);
    Ok(framed)
}

/// What lies at the beginning of the rest of a file.
pub(super) fn at(rest: &[u8]) -> Found<'_> {
    if rest.is_empty() {
        return Found::End;
    }
    if let Some(record) = whole(rest) {
        return Found::Record(record);
    }
    // A length within the file is rare in what is no record: they are texts, whose bytes read as a length are far above
    // any file's size. So few digests are made in vain.
    let begins = |rest: &[u8]| length_in(rest) > 0 && whole(rest).is_some();
    let next = (1..rest.len()).find(|from| begins(&rest[*from..]));
    match next {
        None if is_cut_short(rest) => Found::End,
        next => Found::Damaged { next },
    }
}

/// The record that begins here, where it is whole.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let record = rest.get(..length_in(head) as usize)?;
    (digest(record) == head[4..]).then_some(record)
}

/// Whether the rest of a file is the beginning of a record that never was whole: it ends before its record does, or a
/// file system has given it length but no bytes. A record whose length alone is damaged is none: its digest tells.
fn is_cut_short(rest: &[u8]) -> bool {
    let Some((head, record)) = rest.split_at_checked(HEAD) else { return true };
    let ends_before = length_in(head) as usize > record.len() && digest(record) != head[4..];
    ends_before || rest.iter().all(|byte| *byte == 0)
}

fn length_in(head: &[u8]) -> u32 {
    head.first_chunk().map_or(0, |length| u32::from_le_bytes(*length))
}

fn digest(record: &[u8]) -> [u8; DIGEST] {
    let mut out = [0; DIGEST];
    out.copy_from_slice(&Sha256::digest(record)[..DIGEST]);
    out
}
