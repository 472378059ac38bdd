//! Groups into PostgreSQL. While it is away they go to the spool, which is emptied in order; what no standby is known to
//! have is remembered (`copies`), and written once more when the primary is lost.

use std::borrow::Cow;
use std::collections::HashSet;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay_base::Entropy;
use tokio::sync::watch;
use tokio::time::Instant;

use self::halves::halves;
use self::reasons::Outage;
use self::waking::Waking;
use super::commit_postgres::Committer;
use super::sink::{Committed, SinkContext};
use super::spool::{Sealed, Spool};
use super::{Batch, Faults, Written};
use crate::error::Kind;
use crate::postgres::Db;
use crate::postgres::standbys::Received;
use crate::{Error, Settings, Store};

mod copies;
mod halves;
mod reasons;
mod waking;

const OP: &str = "recorder.spool";
/// How soon it is tried again whether the database takes what waits.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// How often it is looked whether the replicas have come far enough.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether damaged files are still there, and whether the disk gives back those that it did not.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A group that a database which is awake has not taken by then is safe on this machine's disk at once, and its senders are
/// answered.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);
/// What waits is written in pieces of so many bytes; smaller ones when the database does not take that much in time.
const PIECE_BYTES: u64 = 512 << 10;
const PIECE_WITHIN: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) struct PostgresSink {
    db: Db,
    store: Store,
    entropy: Entropy,
    committer: Committer,
    dir: PathBuf,
    bytes_max: u64,
    /// None while this machine's disk does not take it: then events are refused when the database is away too.
    spool: Option<Spool>,
    waking: Waking,
    /// The history in force, and the one that was last written to.
    timeline: watch::Receiver<u32>,
    /// How far the replicas have come.
    received: watch::Receiver<Received>,
    written_to: u32,
    /// Why the last attempt to write failed, if it did.
    failed: Option<String>,
    /// The database has no room.
    full: Outage,
    /// This machine's disk does not take what is to wait.
    refuses: Outage,
    /// It does not take copies of what is in the primary.
    forgets: Outage,
    /// Batches of which it did not.
    uncopied: u64,
    /// When files that the disk did not give back were last tried.
    tried_at: Instant,
    /// How often the spool could not be opened.
    errors: u64,
    piece_bytes: u64,
}

impl PostgresSink {
    pub(super) fn new(db: Db, context: SinkContext, settings: &Settings) -> Self {
        let timeline = db.cluster.timeline();
        let written_to = *timeline.borrow();
        Self {
            received: db.cluster.received.subscribe(),
            db,
            written_to,
            timeline,
            store: context.store,
            entropy: context.entropy,
            committer: Committer::new(),
            dir: context.spool_dir,
            bytes_max: settings.spool_max.0,
            spool: None,
            waking: Waking::default(),
            failed: None,
            full: Outage::default(),
            refuses: Outage::default(),
            forgets: Outage::default(),
            uncopied: 0,
            tried_at: Instant::now(),
            errors: 0,
            piece_bytes: PIECE_BYTES,
        }
    }

    pub(super) async fn prepare(&mut self) -> Result<(), String> {
        match Spool::open(&self.dir, self.bytes_max).await {
            Ok(spool) => self.spool = Some(spool),
            Err(error) => {
                self.errors += 1;
                return Err(format!("the spool cannot be opened: {error}"));
            }
        }
        self.put_back().await
    }

    /// In the database, or safe on this machine's disk. Who is in the database is told where, also where others have to wait. A
    /// database that sleeps is waited for until it is crowded here.
    pub(super) async fn commit(
        &mut self,
        batches: &[&Batch],
        crowded: impl Future<Output = ()>,
    ) -> Result<Committed, Error> {
        let sealed = self.seal(batches)?;
        let sealed: Vec<&Sealed<'_>> = sealed.iter().collect();
        // What waits goes first.
        let waits = self.spool.as_ref().is_some_and(|spool| !spool.is_empty());
        if waits || !self.store.is_open() {
            return self.keep(&sealed, None).await.map(Committed::Alike);
        }
        // Where this machine's disk does not take that now, events go to the primary all the same: nothing is let go
        // until it was done, and health says so.
        let _later = self.follow_promotion().await;
        // What the database takes seconds to wake up for is not to wait on this machine's disk, while there is room for it.
        let has_spool = self.spool.is_some();
        let crowded = async { if has_spool { crowded.await } else { pending().await } };
        if !self.waking.ends(&self.db, crowded).await {
            match self.keep(&sealed, None).await {
                Ok(kept) => return Ok(Committed::Alike(kept)),
                // A disk that takes nothing is no reason to refuse what the database will take.
                Err(_) => {
                    self.waking.ends(&self.db, pending()).await;
                }
            }
        }
        let halves = halves(&sealed);
        let taken = halves
            .iter()
            .map(|half| within(&self.db, TAKEN_WITHIN, self.committer.commit(&self.db, half)));
        let taken = join_all(taken).await;
        let mut written = Written::default();
        let (mut left, mut failed) = (Vec::new(), None);
        for (half, taken) in halves.iter().zip(taken) {
            match taken {
                Ok(committed) => {
                    self.remember(half, committed).await;
                    // With one address there is nobody who may be behind.
                    let end = committed.end.filter(|_| self.db.has_replicas());
                    written.position = match (written.position, end) {
                        (Some(one), Some(other)) => Some(one.and(other)),
                        (one, other) => one.or(other),
                    };
                }
                // Tried again in parts: what the other half wrote is known by its keys.
                Err(error) if error.kind == Kind::Conflict => return Err(error),
                Err(error) => {
                    left.extend_from_slice(half);
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            self.note_failed(&error);
            let kept = self.keep(&left, Some(error)).await?;
            let waits: HashSet<&str> = left.iter().map(|sealed| sealed.id.as_str()).collect();
            let each = sealed.iter().map(|sealed| match waits.contains(sealed.id.as_str()) {
                true => kept,
                false => written,
            });
            return Ok(Committed::Each(each.collect()));
        }
        self.note_taken();
        self.refuses.ends();
        Ok(Committed::Alike(written))
    }

    async fn keep(
        &mut self,
        sealed: &[&Sealed<'_>],
        because: Option<Error>,
    ) -> Result<Written, Error> {
        let Some(spool) = &mut self.spool else {
            let gone = || Error::new(OP, io::Error::other("there is no spool"));
            return Err(because.unwrap_or_else(gone));
        };
        if let Err(error) = spool.keep(sealed).await {
            let reason =
                format!("this machine's disk does not take events that are to wait: {error}");
            if self.refuses.begins() {
                tracing::warn!("{reason}; they are refused until it does, or the database is back");
            }
            return Err(Error::new(OP, io::Error::new(error.kind(), reason)));
        }
        self.refuses.ends();
        Ok(Written { position: None, waits: true })
    }

    /// Each batch gets a name, by which a repeat of it is known.
    fn seal<'a>(&self, batches: &[&'a Batch]) -> Result<Vec<Sealed<'a>>, Error> {
        batches
            .iter()
            .map(|batch| {
                let id: [u8; 16] = self
                    .entropy
                    .bytes()
                    .map_err(|e| Error::new(OP, sqlx::Error::Encode(Box::new(e))))?;
                let id = u128::from_le_bytes(id);
                Ok(Sealed { id: format!("{id:032x}"), batch: Cow::Borrowed(*batch) })
            })
            .collect()
    }

    /// After a promotion, what the lost primary may have had alone is written once more.
    async fn follow_promotion(&mut self) -> Result<(), String> {
        let now = *self.timeline.borrow_and_update();
        if self.written_to != now
            && std::mem::replace(&mut self.written_to, now) > 0
            && let Some(spool) = &mut self.spool
        {
            tracing::info!(
                timeline = now,
                "a replica was promoted: events it may not have are written once more"
            );
            spool.mark_lost();
        }
        self.put_back().await
    }

    /// What is due to be written once more is put among what waits.
    async fn put_back(&mut self) -> Result<(), String> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        spool.put_back().await.map_err(|error| {
            format!(
                "events that are to be written once more cannot be made ready for that: {error}"
            )
        })
    }

    pub(super) fn rest(&self) -> Option<Duration> {
        let Some(spool) = &self.spool else { return Some(CONFIRM_EVERY) };
        self.db.cluster.awaits.store(spool.awaits_confirmation(), Ordering::Relaxed);
        if !spool.is_empty() {
            // While it goes well, the next piece follows at once.
            return Some(if self.failed.is_some() || !self.store.is_open() {
                TRY_AGAIN
            } else {
                Duration::ZERO
            });
        }
        if spool.awaits_confirmation() || spool.is_put_back_due() || self.failed.is_some() {
            return Some(CONFIRM_EVERY);
        }
        spool.is_troubled().then_some(LOOK_EVERY)
    }

    /// One piece of what waits, or a look at how far the replicas are. A database that sleeps is waited for until somebody
    /// came.
    pub(super) async fn tend(&mut self, came: impl Future<Output = ()>) -> Result<bool, String> {
        if self.spool.is_none() {
            self.prepare().await?;
        }
        self.sync_copies().await;
        if !self.store.is_open() {
            return Ok(false);
        }
        let put_back = self.follow_promotion().await;
        self.try_disk_again().await;
        if self.spool.as_ref().is_some_and(|spool| !spool.is_empty()) {
            // Also when there was no room to put back: this makes room.
            let is_awake = self.waking.ends(&self.db, came).await;
            return if is_awake { self.drain().await } else { Ok(false) };
        }
        put_back?;
        self.failed = None;
        self.confirm().await;
        if let Some(spool) = self.spool.as_mut().filter(|spool| spool.kept() > 0)
            && let Err(error) = spool.look_at_kept().await
        {
            tracing::debug!(%error, "nobody knows whether the damaged files are still there");
        }
        Ok(false)
    }

    /// What the disk did not give back, or let go of, it may by now.
    async fn try_disk_again(&mut self) {
        if let Some(spool) = self.spool.as_mut().filter(|spool| spool.is_troubled())
            && self.tried_at.elapsed() >= LOOK_EVERY
        {
            self.tried_at = Instant::now();
            if let Err(error) = spool.try_again().await {
                tracing::debug!(%error, "files that are not needed any more stay on the disk");
            }
        }
    }

    async fn drain(&mut self) -> Result<bool, String> {
        let Some(spool) = &mut self.spool else { return Ok(false) };
        let (records, batches) = match spool.next(self.piece_bytes).await {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(false),
            Err(error) => {
                let reason = format!("this machine's disk does not let waiting events go: {error}");
                self.failed = Some(reason.clone());
                return Err(reason);
            }
        };
        match self.write(&batches).await {
            Ok(()) => {
                self.note_taken();
                self.piece_bytes = (self.piece_bytes * 2).min(PIECE_BYTES);
                let Some(spool) = &mut self.spool else { return Ok(true) };
                spool.done(&records).await.map(|()| true).map_err(|error| {
                    format!("this machine's disk does not let go of events that waited: {error}")
                })
            }
            Err(error) => {
                self.piece_bytes = (self.piece_bytes / 2).max(1);
                Err(self.note_failed(&error))
            }
        }
    }

    /// Writes what waited. A batch that breaks a rule is found by halving, and left out: it was never going to be taken.
    async fn write(&mut self, batches: &[Sealed<'_>]) -> Result<(), Error> {
        let mut parts: Vec<&[Sealed<'_>]> = vec![batches];
        while let Some(part) = parts.pop() {
            let sealed: Vec<&Sealed<'_>> = part.iter().collect();
            // Nothing else is cut short: a write to the spool is whole, or known to have failed.
            let taken = self.committer.commit(&self.db, &sealed);
            match within(&self.db, PIECE_WITHIN, taken).await {
                Ok(committed) => self.remember(&sealed, committed).await,
                Err(error) if error.kind == Kind::Conflict && part.len() == 1 => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        error,
                        "a batch of events that waited breaks a rule of the store; it is left out"
                    );
                }
                Err(error) if error.kind == Kind::Conflict => {
                    let (first, rest) = part.split_at(part.len() / 2);
                    parts.extend([rest, first]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn spooled(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::bytes)
    }

    /// How this machine's disk treats the spool.
    pub(super) fn faults(&self) -> Faults {
        let faults = self.spool.as_ref().map_or_else(Faults::default, |spool| Faults {
            damaged: spool.damaged(),
            kept: spool.kept(),
            errors: spool.errors(),
        });
        Faults { errors: faults.errors + self.errors, ..faults }
    }

    /// A last try for what waits; what is left comes at the next start.
    pub(super) async fn finish(&mut self) {
        // It may hold the only connection.
        self.waking = Waking::default();
        while self.store.is_open()
            && self.spool.as_ref().is_some_and(|spool| !spool.is_empty())
            && matches!(self.drain().await, Ok(true))
        {}
        self.sync_copies().await;
    }
}

/// What became of a write, or that it took too long: then it may have been made, which the database knows by its keys.
async fn within<T>(
    db: &Db,
    time: Duration,
    write: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(time, write).await.unwrap_or_else(|_| {
        db.suspect_primary();
        let late = io::Error::new(io::ErrorKind::TimedOut, "the database takes too long");
        Err(Error::new(OP, sqlx::Error::Io(late)))
    })
}
