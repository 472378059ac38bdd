//! Records in files, first in first out: what could not be written to the database yet, or what only its primary is known
//! to have. Bounded; a record is whole or it is not there.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};

/// Records go into files of about this size, so that old ones can be deleted one by one.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Length and digest in front of each record.
const HEAD: usize = 4 + DIGEST;
const DIGEST: usize = 8;
const SUFFIX: &str = "journal";

/// Whether a record must survive the machine, or this process alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    /// On disk before the call returns.
    Machine,
    /// In the operating system's hands.
    Process,
}

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    number: u64,
    bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    bytes_max: u64,
    segments: VecDeque<Segment>,
    /// The last segment, open for writing; none after a failed write, whose rest must not be written behind.
    tail: Option<File>,
    /// Where the next record to be read begins, in the first segment.
    read_at: u64,
}

impl Journal {
    /// Takes up what lies in `dir`, which is made where it is missing.
    pub(crate) async fn open(dir: &Path, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(dir).await?;
        let mut segments = Vec::new();
        let mut entries = fs::read_dir(dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let (Some(number), true) = (number, path.extension().is_some_and(|e| e == SUFFIX)) {
                segments.push(Segment { number, bytes: entry.metadata().await?.len() });
            }
        }
        segments.sort_by_key(|segment| segment.number);
        Ok(Self { dir: dir.into(), bytes_max, segments: segments.into(), tail: None, read_at: 0 })
    }

    /// Whether nothing is left to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Size of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The newest segment's number: whoever notes it can let everything up to it go later.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.segments.back().map(|segment| segment.number)
    }

    /// Adds a record behind the others.
    ///
    /// # Errors
    /// `StorageFull` when the bound is reached, else the disk's. The record is not there then.
    pub(crate) async fn append(&mut self, record: &[u8], safety: Safety) -> io::Result<()> {
        if self.bytes() + (HEAD + record.len()) as u64 > self.bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the spool has reached its bound",
            ));
        }
        self.append_beyond(record, safety).await
    }

    /// The same whatever the bound: for what lies on the disk anyway, and only changes its place.
    ///
    /// # Errors
    /// The disk's. The record is not there then.
    pub(crate) async fn append_beyond(&mut self, record: &[u8], safety: Safety) -> io::Result<()> {
        let length = u32::try_from(record.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let bytes = (HEAD + record.len()) as u64;
        let mut framed = Vec::with_capacity(HEAD + record.len());
        framed.extend_from_slice(&length.to_le_bytes());
        framed.extend_from_slice(&digest(record));
        framed.extend_from_slice(record);
        let written = self.write(&framed, safety).await;
        if written.is_err() {
            // A part of it may be there; whoever reads stops at it, and what follows goes into another file.
            self.tail = None;
        } else if let Some(segment) = self.segments.back_mut() {
            segment.bytes += bytes;
        }
        written
    }

    async fn write(&mut self, framed: &[u8], safety: Safety) -> io::Result<()> {
        let is_full = self.segments.back().is_none_or(|last| last.bytes >= SEGMENT_BYTES);
        if self.tail.is_none() || is_full {
            self.begin_segment().await?;
        }
        let Some(tail) = &mut self.tail else { return Err(io::ErrorKind::NotFound.into()) };
        tail.write_all(framed).await?;
        tail.flush().await?;
        match safety {
            Safety::Machine => tail.sync_data().await,
            Safety::Process => Ok(()),
        }
    }

    async fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.newest().map_or(1, |newest| newest + 1);
        let mut options = fs::OpenOptions::new();
        options.create_new(true).append(true).mode(0o600);
        let file = options.open(self.path(number)).await?;
        // The file's name must be as safe as what is in it.
        File::open(&self.dir).await?.sync_all().await?;
        self.tail = Some(file);
        self.segments.push_back(Segment { number, bytes: 0 });
        Ok(())
    }

    /// The oldest record that was not let go, with the number of its segment; none at the end.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.read_many(1).await?.into_iter().next())
    }

    /// As many of the oldest records as lie in one file, until they have this many bytes; none at the end.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn read_many(&mut self, bytes_max: u64) -> io::Result<Vec<Vec<u8>>> {
        while let Some(first) = self.segments.front().copied() {
            let (mut records, mut bytes) = (Vec::new(), 0);
            while bytes < bytes_max
                && let Some(record) =
                    read_record(&self.path(first.number), self.read_at + bytes).await?
            {
                bytes += (HEAD + record.len()) as u64;
                records.push(record);
            }
            if !records.is_empty() {
                return Ok(records);
            }
            // The end of the file, or what a write cut short has left there: nobody was told it was written.
            self.drop_first().await?;
        }
        Ok(Vec::new())
    }

    /// Lets the record go that [`Journal::read`] gave.
    ///
    /// # Errors
    /// The disk's; then the record comes again after a restart.
    pub(crate) async fn advance(&mut self, record: &[u8]) -> io::Result<()> {
        self.read_at += (HEAD + record.len()) as u64;
        if self.segments.front().is_some_and(|first| self.read_at >= first.bytes) {
            self.drop_first().await?;
        }
        Ok(())
    }

    /// Deletes every segment up to this number.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn drop_up_to(&mut self, number: u64) -> io::Result<()> {
        while self.segments.front().is_some_and(|first| first.number <= number) {
            self.drop_first().await?;
        }
        Ok(())
    }

    /// Deletes the oldest segment.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn drop_first(&mut self) -> io::Result<()> {
        let Some(first) = self.segments.pop_front() else { return Ok(()) };
        self.read_at = 0;
        if self.segments.is_empty() {
            self.tail = None;
        }
        fs::remove_file(self.path(first.number)).await
    }

    /// Begins another file: what is written from now on can be let go apart from what was written before.
    pub(crate) fn turn_page(&mut self) {
        self.tail = None;
    }

    /// Reads from the beginning again.
    pub(crate) fn rewind(&mut self) {
        self.read_at = 0;
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:012}.{SUFFIX}"))
    }
}

/// The record at `at`, when it is whole.
async fn read_record(path: &Path, at: u64) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path).await?;
    let left = file.metadata().await?.len().saturating_sub(at);
    if left < HEAD as u64 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at)).await?;
    let mut head = [0; HEAD];
    file.read_exact(&mut head).await?;
    let (length, sum) = head.split_at(4);
    let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
    if u64::from(length) > left - HEAD as u64 {
        return Ok(None);
    }
    let mut record = vec![0; length as usize];
    file.read_exact(&mut record).await?;
    Ok((digest(&record) == *sum).then_some(record))
}

fn digest(record: &[u8]) -> [u8; DIGEST] {
    let mut out = [0; DIGEST];
    out.copy_from_slice(&Sha256::digest(record)[..DIGEST]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(dir: &Path) -> Journal {
        Journal::open(dir, 64 << 20).await.unwrap()
    }

    async fn drain(journal: &mut Journal) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(record) = journal.read().await.unwrap() {
            journal.advance(&record).await.unwrap();
            all.push(record);
        }
        all
    }

    #[tokio::test]
    async fn records_come_back_in_order_across_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let records: Vec<_> = (0..9_u8).map(|n| vec![n; 1 << 20]).collect();
        let mut journal = open(dir.path()).await;
        for record in &records {
            journal.append(record, Safety::Machine).await.unwrap();
        }
        assert!(journal.segments.len() > 1, "{journal:?}");
        // One is let go, the rest is there after a restart; the first of its file comes again.
        let first = journal.read().await.unwrap().unwrap();
        journal.advance(&first).await.unwrap();
        assert_eq!(journal.read().await.unwrap().unwrap(), records[1]);
        let mut journal = open(dir.path()).await;
        journal.append(b"last", Safety::Process).await.unwrap();
        let mut expected = records.clone();
        expected.push(b"last".to_vec());
        assert_eq!(drain(&mut journal).await, expected);
        assert!(journal.is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_was_cut_short_is_no_record() {
        let dir = tempfile::tempdir().unwrap();
        for keep in [1, HEAD, HEAD + 3] {
            let mut journal = open(dir.path()).await;
            journal.append(b"whole", Safety::Process).await.unwrap();
            journal.append(b"broken", Safety::Process).await.unwrap();
            let path = journal.path(journal.newest().unwrap());
            let cut = (HEAD + 5 + keep) as u64;
            std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(cut).unwrap();
            let mut journal = open(dir.path()).await;
            journal.append(b"after", Safety::Process).await.unwrap();
            assert_eq!(drain(&mut journal).await, [&b"whole"[..], b"after"], "{keep} bytes");
        }
    }

    #[tokio::test]
    async fn it_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 100).await.unwrap();
        journal.append(&[1; 60], Safety::Process).await.unwrap();
        let full = journal.append(&[2; 60], Safety::Process).await.unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert_eq!(drain(&mut journal).await, [[1; 60]]);
        journal.append(&[2; 60], Safety::Process).await.unwrap();
    }

    #[tokio::test]
    async fn pages_are_let_go_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path()).await;
        journal.append(b"a", Safety::Process).await.unwrap();
        let first = journal.newest().unwrap();
        journal.turn_page();
        journal.append(b"b", Safety::Process).await.unwrap();
        journal.drop_up_to(first).await.unwrap();
        assert_eq!(drain(&mut journal).await, [b"b"]);
    }
}
