//! Files that the disk does not give back: they are set apart, tried again less and less often, and after a while read
//! around the bad places. One at a time.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};

use super::reading::{Reading, Rest, Work};
use super::{Journal, Segment, around};

/// A file that could not be read so often is read around the places that cannot.
pub(super) const TRIES: u32 = 12;
/// Where that gives nothing, it is tried again after twice so long, then twice that, and so on.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// What was read last, and what the disk takes its time with. Each has the size of a file.
const READINGS_MAX: usize = 2;

impl Journal {
    /// What is left to be read of a file, and whether that is all of it; none while the disk takes its time.
    pub(super) async fn read_rest(&mut self, segment: Segment) -> io::Result<Option<(Rest, bool)>> {
        let known = self.readings.iter().position(|reading| reading.gives(segment));
        let mut reading = match known {
            Some(known) => self.readings.remove(known),
            None => Reading::begin(segment, read(self.path(segment.number), segment)),
        };
        let rest = reading.look(segment.read_at).await?;
        self.readings.retain(|other| other.is_under_way() && !other.is_of(segment.number));
        self.readings.insert(0, reading);
        self.readings.truncate(READINGS_MAX);
        Ok(rest)
    }

    /// The disk does not give the oldest file back now: the next one is read, and this one later.
    pub(super) fn set_apart(&mut self, error: &io::Error) {
        let Some(first) = self.segments.front_mut() else { return };
        let is_news = first.failures == 0;
        first.failures = first.failures.saturating_add(1);
        first.due = Instant::now().checked_add(pause_after(first.failures));
        self.errors += 1;
        if let (true, Some(first)) = (is_news, self.segments.front()) {
            self.warn(*first, &format!("events that waited on this machine's disk cannot be read now, and are tried again: {error}"));
        }
        self.set_apart_for_now();
    }

    /// The disk takes its time with the oldest file: the next one is read, and at the next look it may be there.
    pub(super) fn set_apart_for_now(&mut self) {
        self.unreadable.extend(self.segments.pop_front());
        if self.segments.is_empty() {
            self.tail = None;
        }
    }

    pub(super) fn warn(&self, segment: Segment, message: &str) {
        tracing::warn!(file = segment.number, folder = %self.dir.display(), "{message}");
    }

    /// One of those that were set apart is read next, if it is its time: one that is being read, or the one that waits for
    /// the longest time. After a number of trials it is read around the places that cannot be.
    pub(crate) fn try_unreadable(&mut self, now: Instant) {
        if self.segments.front().is_some_and(|first| first.failures > 0) {
            // One that was is not read to its end yet.
            return;
        }
        let is_under_way = |file: &Segment| {
            self.readings.iter().any(|reading| reading.is_under_way() && reading.is_of(file.number))
        };
        let is_due = |file: &Segment| file.due.is_none_or(|due| due <= now);
        let next = self.unreadable.iter().position(is_under_way);
        let next = next.or_else(|| self.unreadable.iter().position(is_due));
        if let Some(next) = next.and_then(|next| self.unreadable.remove(next)) {
            self.segments.push_front(next);
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
            other.readings.retain(|reading| !reading.is_of(first.number));
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

/// What is left of a file. Less where it is shorter.
fn read(path: PathBuf, Segment { read_at, bytes, failures, .. }: Segment) -> Work {
    Box::pin(async move {
        let mut file = File::open(path).await?;
        if failures >= TRIES {
            return around::read(&mut file, read_at, bytes).await;
        }
        file.seek(SeekFrom::Start(read_at)).await?;
        let mut rest = Vec::new();
        file.take(bytes.saturating_sub(read_at)).read_to_end(&mut rest).await?;
        Ok((rest, true))
    })
}

/// How long a file rests that was tried so often. Until it is read around the bad places, its next time is the next look.
fn pause_after(failures: u32) -> Duration {
    match failures.checked_sub(TRIES) {
        None | Some(0) => Duration::ZERO,
        Some(more) => PAUSE.saturating_mul(2_u32.saturating_pow(more)).min(PAUSE_MAX),
    }
}

#[cfg(test)]
mod tests;
