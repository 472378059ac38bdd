//! One record in a file: its length, a digest of it, itself. What is not exactly that is told apart: a write cut short, of
//! which nobody was told, and damage.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

/// Length and digest in front of each record.
pub(super) const HEAD: usize = 4 + DIGEST;
const DIGEST: usize = 8;

/// What lies at a place of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole record.
    Record(Vec<u8>),
    /// The end, or what a write cut short has left before it.
    End,
    /// Something that was written and cannot be read any more; where the next whole record begins, if there is one.
    Damaged { next: Option<u64> },
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

/// What lies at `at`.
pub(super) async fn read(path: &Path, at: u64) -> io::Result<Found> {
    let mut file = File::open(path).await?;
    let left = file.metadata().await?.len().saturating_sub(at);
    if left == 0 {
        return Ok(Found::End);
    }
    file.seek(SeekFrom::Start(at)).await?;
    if left >= HEAD as u64 {
        let mut head = [0; HEAD];
        file.read_exact(&mut head).await?;
        if u64::from(length_in(&head)) <= left - HEAD as u64 {
            let mut record = vec![0; length_in(&head) as usize];
            file.read_exact(&mut record).await?;
            if digest(&record) == head[4..] {
                return Ok(Found::Record(record));
            }
        }
        file.seek(SeekFrom::Start(at)).await?;
    }
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).await?;
    let next = (1..rest.len()).find(|from| is_record(&rest[*from..]));
    Ok(match next {
        None if is_cut_short(&rest) => Found::End,
        next => Found::Damaged { next: next.map(|from| at + from as u64) },
    })
}

/// Whether a whole record begins here. A length within the file is rare in what is not one: the records are texts, whose
/// bytes read as a length are far above any file's size. So few digests are made in vain.
fn is_record(bytes: &[u8]) -> bool {
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return false };
    let length = length_in(head) as usize;
    length > 0 && rest.get(..length).is_some_and(|record| digest(record) == head[4..])
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
