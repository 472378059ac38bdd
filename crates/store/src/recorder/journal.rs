//! Records in files, first in first out: what could not be written to the database yet, or what only its primary is known
//! to have. Bounded; a record is whole or it is not there. A file that a disk has damaged gives what is whole in it, and is
//! kept aside. One that the disk does not give back, or not soon, is set apart and tried again: what follows does not wait
//! for it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

mod around;
mod kept;
mod reading;
mod record;
mod safety;
mod spent;
mod unreadable;

use kept::Kept;
use reading::Reading;
use record::{Found, HEAD};
pub(crate) use safety::Safety;
use safety::Unsynced;

/// Records go into files of about this size, so that old ones can be deleted one by one.
const SEGMENT_BYTES: u64 = 4 << 20;
const SUFFIX: &str = "journal";

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    number: u64,
    /// Of the records that were acknowledged. What lies behind them was refused, and is never read.
    bytes: u64,
    /// Where the next record to be read begins.
    read_at: u64,
    /// Something in it could not be read.
    is_damaged: bool,
    /// How often the disk did not give it back.
    failures: u32,
    /// When it is tried again.
    due: Option<Instant>,
}

impl Segment {
    fn new(number: u64, bytes: u64) -> Self {
        Self { number, bytes, read_at: 0, is_damaged: false, failures: 0, due: None }
    }
}

#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    bytes_max: u64,
    segments: VecDeque<Segment>,
    /// The disk does not give them back now.
    unreadable: VecDeque<Segment>,
    /// What was read last, and what the disk takes its time with.
    readings: Vec<Reading>,
    /// Let go, and not removed yet because the disk refused to.
    spent: Vec<Segment>,
    /// Never goes back, so that whoever notes a number means one file.
    next_number: u64,
    /// The last segment, open for writing; none after a failed write, whose rest must not be written behind.
    tail: Option<File>,
    unsynced: Unsynced,
    /// Places that could not be read, since it was opened.
    damaged: u64,
    /// What the disk refused, since it was opened.
    errors: u64,
    kept: Kept,
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
                let bytes = entry.metadata().await?.len();
                segments.push(Segment::new(number, bytes));
            }
        }
        segments.sort_by_key(|segment: &Segment| segment.number);
        Ok(Self {
            kept: Kept::find(dir).await?,
            dir: dir.into(),
            bytes_max,
            next_number: segments.last().map_or(1, |newest| newest.number + 1),
            segments: segments.into(),
            unreadable: VecDeque::new(),
            readings: Vec::new(),
            spent: Vec::new(),
            tail: None,
            unsynced: Unsynced::default(),
            damaged: 0,
            errors: 0,
        })
    }

    /// Places that could not be read, since it was opened.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Reads, writes and removals that the disk refused, since it was opened.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// Files that the disk does not give back now.
    pub(crate) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// Damaged files that were kept aside and are still there.
    pub(crate) fn kept(&self) -> usize {
        self.kept.count()
    }

    /// Looks whether somebody took away what was kept aside.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn look_at_kept(&mut self) -> io::Result<()> {
        self.kept = Kept::find(&self.dir).await?;
        Ok(())
    }

    /// Whether nothing is left to be read; what the disk does not give back is not.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Size of all files.
    pub(crate) fn bytes(&self) -> u64 {
        let files = self.segments.iter().chain(&self.unreadable).chain(&self.spent);
        files.map(|segment| segment.bytes).sum()
    }

    /// The newest segment's number: whoever notes it can let everything up to it go later.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.segments.back().map(|segment| segment.number)
    }

    /// The oldest segment's number.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.segments.front().map(|segment| segment.number)
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
        self.append_framed(&record::frame(record)?, safety).await
    }

    /// Adds records whatever the bound, all or none, with one write: for what lies on the disk anyway, and only changes its
    /// place.
    ///
    /// # Errors
    /// The disk's. None of them is there then.
    pub(crate) async fn append_beyond(
        &mut self,
        records: &[Vec<u8>],
        safety: Safety,
    ) -> io::Result<()> {
        let framed = records.iter().map(|record| record::frame(record));
        self.append_framed(&framed.collect::<io::Result<Vec<_>>>()?.concat(), safety).await
    }

    async fn append_framed(&mut self, framed: &[u8], safety: Safety) -> io::Result<()> {
        let written = self.write(framed, safety).await;
        if written.is_err() {
            self.errors += 1;
            self.cut_tail().await;
        } else if let Some(segment) = self.segments.back_mut() {
            segment.bytes += framed.len() as u64;
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
        self.unsynced.tail |= safety == Safety::Process;
        if safety == Safety::Machine {
            tail.sync_data().await?;
            self.unsynced.tail = false;
        }
        Ok(())
    }

    async fn begin_segment(&mut self) -> io::Result<()> {
        self.turn_page();
        let number = self.next_number;
        self.next_number += 1;
        let mut options = fs::OpenOptions::new();
        options.create_new(true).append(true).mode(0o600);
        let file = options.open(self.path(number)).await?;
        self.segments.push_back(Segment::new(number, 0));
        // The file's name must be as safe as what is in it.
        File::open(&self.dir).await?.sync_all().await?;
        self.tail = Some(file);
        Ok(())
    }

    /// After a failed write. All of it or a part may be there; what follows goes into another file. Whoever reads stops
    /// before it; it is cut off for those who read after a restart, who would only write again what was sent again.
    async fn cut_tail(&mut self) {
        let tail = self.tail.take();
        let Some(last) = self.segments.back().copied() else { return };
        let cut = if last.bytes == 0 {
            self.segments.pop_back();
            self.remove(last).await
        } else if let Some(tail) = tail {
            let cut = tail.set_len(last.bytes).await;
            let is_unsynced = std::mem::take(&mut self.unsynced.tail);
            self.unsynced.full.extend(is_unsynced.then_some(tail));
            cut
        } else {
            Ok(())
        };
        if let Err(error) = cut {
            tracing::debug!(%error, "what a failed write has left stays on the disk");
        }
    }

    /// As many of the oldest records as lie in one file, until they have this many bytes; none at the end, or where the disk
    /// takes its time with one file: the next call goes on with another one. A file that it does not give back is set
    /// apart.
    ///
    /// # Errors
    /// The disk's, where it does not let a file go that is read to its end.
    pub(crate) async fn read_many(&mut self, bytes_max: u64) -> io::Result<Vec<Vec<u8>>> {
        while let Some(first) = self.segments.front().copied() {
            let (rest, is_whole) = match self.read_rest(first).await {
                Ok(None) => {
                    self.set_apart_for_now();
                    return Ok(Vec::new());
                }
                Ok(Some(rest)) => rest,
                // Taken away by hand: what follows must not wait for it for ever.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.pass_over(None).await?;
                    continue;
                }
                Err(error) => {
                    self.set_apart(&error);
                    continue;
                }
            };
            let rest = rest.bytes();
            let (mut records, mut at) = (Vec::new(), 0);
            let mut damage = None;
            while (at as u64) < bytes_max.max(1) {
                match record::at(&rest[at..]) {
                    Found::Record(record) => {
                        at += HEAD + record.len();
                        records.push(record.to_vec());
                        continue;
                    }
                    Found::Damaged { next } => damage = Some(next),
                    Found::End => {}
                }
                break;
            }
            if !records.is_empty() {
                return Ok(records);
            }
            match damage {
                Some(next) => self.pass_over(next).await?,
                // What the disk does not give back at the end of a file looks like a write cut short.
                None if !is_whole && at < rest.len() => self.pass_over(None).await?,
                // Nobody was told that what was cut short is written.
                None => self.drop_first().await?,
            }
        }
        Ok(Vec::new())
    }

    /// Takes note of a place that cannot be read, and goes on so many bytes behind it, where the next record can.
    async fn pass_over(&mut self, next: Option<usize>) -> io::Result<()> {
        self.damaged += 1;
        if let Some(first) = self.segments.front_mut() {
            first.is_damaged = true;
            tracing::warn!(
                file = first.number,
                folder = %self.dir.display(),
                at = first.read_at,
                goes_on_after = next,
                "events that waited on this machine's disk are damaged and left out; the file is kept aside"
            );
        }
        match (next, self.segments.front_mut()) {
            (Some(next), Some(first)) => first.read_at += next as u64,
            _ => self.drop_first().await?,
        }
        Ok(())
    }

    /// A record of the oldest file is whole, and nobody here understands it: as with damage the file is kept aside. True
    /// when that is news.
    pub(crate) fn keep_first_aside(&mut self) -> bool {
        let Some(first) = self.segments.front_mut() else { return false };
        let is_news = !std::mem::replace(&mut first.is_damaged, true);
        self.damaged += u64::from(is_news);
        is_news
    }

    /// Lets the oldest record go that [`Journal::read_many`] gave.
    ///
    /// # Errors
    /// The disk's; then the record comes again after a restart.
    pub(crate) async fn advance(&mut self, record: &[u8]) -> io::Result<()> {
        let Some(first) = self.segments.front_mut() else { return Ok(()) };
        first.read_at += (HEAD + record.len()) as u64;
        if first.read_at >= first.bytes {
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

    /// Deletes the oldest segment; a damaged one is kept aside.
    ///
    /// # Errors
    /// The disk's; the segment is let go all the same, and removed later. Until then it comes again after a restart.
    pub(crate) async fn drop_first(&mut self) -> io::Result<()> {
        let Some(first) = self.segments.pop_front() else { return Ok(()) };
        if self.segments.is_empty() {
            self.tail = None;
        }
        self.remove(first).await
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:012}.{SUFFIX}"))
    }
}

#[cfg(test)]
pub(crate) mod tests;
