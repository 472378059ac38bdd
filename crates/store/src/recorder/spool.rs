//! What stands between an acknowledged event and a database that is away or loses its primary: batches on this machine's
//! disk until PostgreSQL has them, and until every replica that may be asked has them too.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Batch;
use super::journal::{Journal, Safety};
use crate::postgres::position::Position;

/// Files of unconfirmed events that are begun only so that they can be let go one by one; then each grows to its full
/// size. A replica that is behind for long must not cost one file per look.
const PAGES_MAX: usize = 8;
/// So often unconfirmed events are brought to the disk. The primary has them on its own: only what came since is lost, and
/// only where this machine and the primary die together and for good. An fsync for each group would cost as much as the
/// commit itself.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A batch with a name of its own, by which a repeat of it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sealed<'a> {
    pub(crate) id: String,
    pub(crate) batch: Cow<'a, Batch>,
}

/// What was read of the spool: the records, which [`Spool::done`] lets go, and what lies in them.
pub(super) type Piece = (Vec<Vec<u8>>, Vec<Sealed<'static>>);

/// The two queues.
#[derive(Debug)]
pub(super) struct Spool {
    /// Acknowledged, not in the database.
    waiting: Journal,
    /// In the primary, not known to be in a replica.
    unconfirmed: Journal,
    /// What was written to each file of the latter, the oldest first.
    ends: VecDeque<End>,
    /// What lies in `unconfirmed` is to be written once more: a process before this one left it, or the primary was lost.
    /// Until that is done nothing of it is let go, whatever the replicas of the new primary have.
    put_back_due: bool,
    /// The bound was reached, and somebody was told.
    has_forgotten: bool,
    /// Batches that were forgotten before a standby was known to have them, since it was opened.
    forgotten: u64,
    synced_at: Option<Instant>,
}

/// The end of a file of unconfirmed events.
#[derive(Clone, Copy, Debug)]
struct End {
    number: u64,
    /// Where the log ended when it was last written.
    position: Position,
    at: Instant,
    batches: u64,
}

impl Spool {
    /// Takes up what a process before this one left. What it had not seen confirmed is due to be written once more: the
    /// database knows what it has.
    pub(super) async fn open(dir: &Path, bytes_max: u64) -> io::Result<Self> {
        let waiting = Journal::open(&dir.join("waiting"), bytes_max).await?;
        let unconfirmed = Journal::open(&dir.join("unconfirmed"), bytes_max).await?;
        Ok(Self {
            put_back_due: !unconfirmed.is_empty(),
            waiting,
            unconfirmed,
            ends: VecDeque::new(),
            has_forgotten: false,
            forgotten: 0,
            synced_at: None,
        })
    }

    /// Bytes of events that only the primary is known to have.
    pub(super) fn unconfirmed_bytes(&self) -> u64 {
        self.unconfirmed.bytes()
    }

    /// Batches that were forgotten before a standby was known to have them, since it was opened.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether what comes now makes what is oldest forgotten.
    pub(super) fn forgets(&self) -> bool {
        self.has_forgotten
    }

    /// Brings unconfirmed events to the disk, where that was not done within the last second.
    pub(super) async fn sync(&mut self, now: Instant) -> io::Result<()> {
        let is_due = self.synced_at.is_none_or(|at| now.duration_since(at) >= SYNC_EVERY);
        if !is_due || !self.unconfirmed.is_unsynced() {
            return Ok(());
        }
        self.synced_at = Some(now);
        self.unconfirmed.sync().await
    }

    /// Whether nothing waits for the database.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes that wait for the database.
    pub(super) fn bytes(&self) -> u64 {
        self.waiting.bytes()
    }

    /// Places of its files that could not be read, since it was opened.
    pub(super) fn damaged(&self) -> u64 {
        self.waiting.damaged() + self.unconfirmed.damaged()
    }

    /// What this machine's disk refused, since it was opened.
    pub(super) fn errors(&self) -> u64 {
        self.waiting.errors() + self.unconfirmed.errors()
    }

    /// Files that wait for the database and that the disk does not give back now. Nothing else waits for them.
    pub(super) fn unreadable(&self) -> usize {
        self.waiting.unreadable()
    }

    /// Whether the disk is to be asked again for something, or somebody may have taken a damaged file away.
    pub(super) fn is_troubled(&self) -> bool {
        self.kept() + self.unreadable() + self.waiting.spent() + self.unconfirmed.spent() > 0
    }

    /// What the disk refused is tried again: of the files that it did not give back one is read next, and those that it did
    /// not let go of are removed. They would come again after a restart, when the database may have forgotten their ids.
    pub(super) async fn try_again(&mut self) -> io::Result<()> {
        self.waiting.try_unreadable(Instant::now());
        // None stays because of another, in whichever folder.
        let waiting = self.waiting.remove_spent().await;
        let unconfirmed = self.unconfirmed.remove_spent().await;
        waiting.and(unconfirmed)
    }

    /// Damaged files that lie beside the others.
    pub(super) fn kept(&self) -> usize {
        self.waiting.kept() + self.unconfirmed.kept()
    }

    /// Looks whether somebody took the damaged files away.
    pub(super) async fn look_at_kept(&mut self) -> io::Result<()> {
        let waiting = self.waiting.look_at_kept().await;
        waiting.and(self.unconfirmed.look_at_kept().await)
    }

    /// Keeps batches until the database takes them; on disk before it returns.
    pub(super) async fn keep(&mut self, batches: &[&Sealed<'_>]) -> io::Result<()> {
        self.waiting.append(&encode(batches)?, Safety::Machine).await
    }

    /// The oldest batches that wait, until they have this many bytes.
    pub(super) async fn next(&mut self, bytes_max: u64) -> io::Result<Option<Piece>> {
        let records = self.waiting.read_many(bytes_max).await?;
        if records.is_empty() {
            return Ok(None);
        }
        let mut batches = Vec::new();
        for record in &records {
            match serde_json::from_slice::<Vec<Sealed<'static>>>(record) {
                Ok(more) => batches.extend(more),
                // Whole, by its digest, and yet of no shape that we know: a newer version may have written it.
                Err(error) => {
                    if self.waiting.keep_first_aside() {
                        tracing::error!(
                            %error,
                            "events that waited cannot be understood and are left out; their file is kept aside"
                        );
                    }
                }
            }
        }
        Ok(Some((records, batches)))
    }

    /// These batches are in the database.
    pub(super) async fn done(&mut self, records: &[Vec<u8>]) -> io::Result<()> {
        for record in records {
            self.waiting.advance(record).await?;
        }
        Ok(())
    }

    /// Remembers batches that are in the primary until a replica has come as far. When there is no more room, what is
    /// oldest is forgotten: a replica that is away for so long is a second fault. What is due to be written once more is
    /// not forgotten.
    pub(super) async fn remember(
        &mut self,
        batches: &[&Sealed<'_>],
        end: Position,
    ) -> io::Result<()> {
        let record = encode(batches)?;
        if self.ends.back().is_some_and(|last| last.position.timeline != end.timeline) {
            // What the new primary's standbys confirm says nothing of the old one's.
            self.unconfirmed.turn_page();
        }
        while let Err(error) = self.unconfirmed.append(&record, Safety::Process).await {
            let is_full = error.kind() == io::ErrorKind::StorageFull;
            if !is_full || self.put_back_due || self.unconfirmed.is_empty() {
                return Err(error);
            }
            self.forget_oldest().await?;
        }
        if let (Some(newest), false) = (self.unconfirmed.newest(), self.put_back_due) {
            let batches = batches.len() as u64;
            let fresh = End { number: newest, position: end, at: Instant::now(), batches };
            match self.ends.back_mut() {
                Some(last) if last.number == newest => {
                    *last = End { batches: last.batches + batches, ..fresh };
                }
                _ => self.ends.push_back(fresh),
            }
        }
        Ok(())
    }

    async fn forget_oldest(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_forgotten, true) {
            tracing::warn!(
                "no replica has confirmed events for so long that the oldest are forgotten here: they are in the primary alone"
            );
        }
        let dropped = self.unconfirmed.drop_first().await;
        let oldest = self.unconfirmed.oldest();
        while let Some(end) = self.ends.front()
            && oldest.is_none_or(|oldest| end.number < oldest)
        {
            self.forgotten += end.batches;
            self.ends.pop_front();
        }
        dropped
    }

    /// Whether something is not confirmed.
    pub(super) fn awaits_confirmation(&self) -> bool {
        !self.ends.is_empty()
    }

    /// So far have the replicas come that may be asked: what all of them have is let go, since any may be promoted.
    pub(super) async fn confirm(&mut self, received: &[Position]) -> io::Result<()> {
        if received.is_empty() {
            return Ok(());
        }
        self.let_go(|end| received.iter().all(|replica| replica.includes(end.position))).await
    }

    /// What was written by then is let go, whoever has it.
    pub(super) async fn let_go_until(&mut self, then: Instant) -> io::Result<()> {
        self.let_go(|end| end.at <= then).await
    }

    async fn let_go(&mut self, is_there: impl Fn(&End) -> bool) -> io::Result<()> {
        if self.put_back_due {
            return Ok(());
        }
        while let Some(end) = self.ends.front().copied()
            && is_there(&end)
        {
            self.ends.pop_front();
            self.has_forgotten = false;
            self.unconfirmed.drop_up_to(end.number).await?;
        }
        // What comes from now on is let go apart from what lies there, which may never be full.
        if self.ends.len() < PAGES_MAX {
            self.unconfirmed.turn_page();
        }
        Ok(())
    }

    /// The primary was lost: what no replica was known to have is to be written once more.
    pub(super) fn mark_lost(&mut self) {
        self.ends.clear();
        self.put_back_due |= !self.unconfirmed.is_empty();
    }

    /// Whether something is to be written once more that is not among what waits yet.
    pub(super) fn is_put_back_due(&self) -> bool {
        self.put_back_due
    }

    /// Puts what is due among what waits, in front of nothing else (events that wait are newer, and none depends on
    /// another). A file at a time: it is deleted once its records are on disk in their new place. One that cannot be read
    /// now goes there as it is.
    pub(super) async fn put_back(&mut self) -> io::Result<()> {
        if !self.put_back_due {
            return Ok(());
        }
        loop {
            let records = self.unconfirmed.read_many(u64::MAX).await?;
            if records.is_empty() {
                break;
            }
            // Beyond the bound if need be: refused, it would stand in the way of what waits already.
            self.waiting.append_beyond(&records, Safety::Machine).await?;
            for record in &records {
                self.unconfirmed.advance(record).await?;
            }
        }
        if !self.unconfirmed.is_empty() {
            // The disk takes its time with a file. The others are put back at the next call.
            return Ok(());
        }
        self.waiting.adopt_unreadable(&mut self.unconfirmed).await?;
        self.put_back_due = false;
        self.has_forgotten = false;
        Ok(())
    }
}

fn encode(batches: &[&Sealed<'_>]) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(batches)?)
}

#[cfg(test)]
mod tests;
