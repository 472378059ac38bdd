//! Files that the disk does not give back: they are set apart, tried again, and after a while read around the bad places.

use std::io;
use std::path::Path;

use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use super::{Journal, Segment, around};

/// A file that could not be read so often is read around the places that cannot.
pub(super) const TRIES: u32 = 12;

impl Journal {
    /// What is left to be read of a file, and whether that is all of it.
    pub(super) async fn read_rest(&self, segment: Segment) -> io::Result<(Vec<u8>, bool)> {
        let path = self.path(segment.number);
        match read_between(&path, segment.read_at, segment.bytes).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound && segment.failures >= TRIES => {
                let mut file = File::open(path).await?;
                around::read(&mut file, segment.read_at, segment.bytes).await
            }
            rest => rest.map(|rest| (rest, true)),
        }
    }

    /// The disk does not give the oldest file back now: the next one is read, and this one later.
    pub(super) fn set_apart(&mut self, error: &io::Error) {
        let Some(mut first) = self.segments.pop_front() else { return };
        if self.segments.is_empty() {
            self.tail = None;
        }
        if first.failures == 0 {
            self.warn(first, &format!("events that waited on this machine's disk cannot be read now, and are tried again: {error}"));
        }
        first.failures = first.failures.saturating_add(1);
        self.errors += 1;
        self.unreadable.push_back(first);
    }

    pub(super) fn warn(&self, segment: Segment, message: &str) {
        tracing::warn!(file = segment.number, folder = %self.dir.display(), "{message}");
    }

    /// What was set apart is read next. After a number of trials it is read around the places that cannot be.
    pub(crate) fn try_unreadable(&mut self) {
        while let Some(last) = self.unreadable.pop_back() {
            self.segments.push_front(last);
        }
    }

    /// Takes over the files of another journal that cannot be read now: they are tried again here.
    ///
    /// # Errors
    /// The disk's; those that are left stay with the other.
    pub(crate) async fn adopt_unreadable(&mut self, other: &mut Self) -> io::Result<()> {
        while let Some(first) = other.unreadable.front().copied() {
            let number = self.next_number;
            self.next_number += 1;
            match fs::rename(other.path(first.number), self.path(number)).await {
                // Somebody took it away: what lay in it is missed where it would be read.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.unreadable.push_back(Segment { number, ..first }),
            }
            other.unreadable.pop_front();
        }
        Ok(())
    }
}

/// What lies in a file from here to there. Less where the file is shorter.
async fn read_between(path: &Path, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(from)).await?;
    let mut bytes = Vec::new();
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
