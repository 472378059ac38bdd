//! What stands between an acknowledged event and a database that is away or loses its primary: batches on this machine's
//! disk until PostgreSQL has them, and until a replica has them too.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Batch;
use super::journal::{Journal, Safety};
use crate::postgres::position::Position;

/// A batch with a name of its own, by which a repeat of it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) id: String,
    pub(crate) batch: Batch,
}

/// The two queues.
#[derive(Debug)]
pub(super) struct Spool {
    /// Acknowledged, not in the database.
    waiting: Journal,
    /// In the primary, not known to be in a replica.
    unconfirmed: Journal,
    /// Where the log ended when each file of the latter was last written.
    ends: VecDeque<(u64, Position)>,
}

impl Spool {
    /// Takes up what a process before this one left. What it had not seen confirmed is written once more: the database
    /// knows what it has.
    pub(super) async fn open(dir: &Path, bytes_max: u64) -> io::Result<Self> {
        let waiting = Journal::open(&dir.join("waiting"), bytes_max).await?;
        let unconfirmed = Journal::open(&dir.join("unconfirmed"), bytes_max).await?;
        let mut spool = Self { waiting, unconfirmed, ends: VecDeque::new() };
        spool.put_back().await?;
        Ok(spool)
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

    /// Damaged files that lie beside the others.
    pub(super) fn kept(&self) -> usize {
        self.waiting.kept() + self.unconfirmed.kept()
    }

    /// Looks whether somebody took the damaged files away.
    pub(super) async fn look_at_kept(&mut self) -> io::Result<()> {
        self.waiting.look_at_kept().await?;
        self.unconfirmed.look_at_kept().await
    }

    /// Keeps batches until the database takes them; on disk before it returns.
    pub(super) async fn keep(&mut self, batches: &[&Sealed]) -> io::Result<()> {
        self.waiting.append(&encode(batches)?, Safety::Machine).await
    }

    /// The oldest batches that wait, until they have this many bytes; with what [`Spool::done`] needs.
    pub(super) async fn next(
        &mut self,
        bytes_max: u64,
    ) -> io::Result<Option<(Vec<Vec<u8>>, Vec<Sealed>)>> {
        let records = self.waiting.read_many(bytes_max).await?;
        if records.is_empty() {
            return Ok(None);
        }
        let mut batches: Vec<Sealed> = Vec::new();
        for record in &records {
            match serde_json::from_slice::<Vec<Sealed>>(record) {
                Ok(more) => batches.extend(more),
                // Whole, by its digest, and yet of no shape that we know: no later try will read it.
                Err(error) => {
                    tracing::error!(%error, "events that waited cannot be understood; they are left out");
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
    /// oldest is forgotten: a replica that is away for so long is a second fault.
    pub(super) async fn remember(&mut self, batches: &[&Sealed], end: Position) -> io::Result<()> {
        let record = encode(batches)?;
        match self.unconfirmed.append(&record, Safety::Process).await {
            Err(full) if full.kind() == io::ErrorKind::StorageFull => {
                self.unconfirmed.drop_first().await?;
                self.ends.pop_front();
                self.unconfirmed.append(&record, Safety::Process).await?;
            }
            appended => appended?,
        }
        let Some(newest) = self.unconfirmed.newest() else { return Ok(()) };
        match self.ends.back_mut() {
            Some((number, last)) if *number == newest => *last = end,
            _ => self.ends.push_back((newest, end)),
        }
        Ok(())
    }

    /// Whether something is not confirmed.
    pub(super) fn awaits_confirmation(&self) -> bool {
        !self.ends.is_empty()
    }

    /// So far have the replicas come that may be asked: what all of them have is let go, since any may be promoted.
    pub(super) async fn confirm(&mut self, received: &[Position]) -> io::Result<()> {
        let seen = |end: &Position| {
            !received.is_empty() && received.iter().all(|replica| replica.includes(*end))
        };
        while let Some((number, end)) = self.ends.front().copied()
            && seen(&end)
        {
            self.unconfirmed.drop_up_to(number).await?;
            self.ends.pop_front();
        }
        // What comes from now on is let go apart from what lies there, which may never be full.
        self.unconfirmed.turn_page();
        Ok(())
    }

    /// The primary was lost: what no replica was known to have is written once more, in front of nothing else (events
    /// that wait are newer, and none depends on another).
    pub(super) async fn put_back(&mut self) -> io::Result<()> {
        self.unconfirmed.rewind();
        while let Some(record) = self.unconfirmed.read().await? {
            // Beyond the bound if need be: refused, it would stand in the way of what waits already.
            self.waiting.append_beyond(&record, Safety::Machine).await?;
            self.unconfirmed.advance(&record).await?;
        }
        self.ends.clear();
        Ok(())
    }
}

fn encode(batches: &[&Sealed]) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(batches)?)
}
