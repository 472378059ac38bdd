//! Where groups go: into a file of this machine, or into PostgreSQL with a spool in front of it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use mainstay_base::{Clock, Entropy, Timestamp};

use super::commit::Committer;
use super::sink_postgres::PostgresSink;
use super::{Batch, Copies, Faults, Written};
use crate::error::{Kind, Source};
use crate::{Engine, Error, Settings, Store, sqlite};

const OP: &str = "recorder.commit";
/// One small row, always the same.
const PROBE: &str = "INSERT INTO recorder_probe (id, at) VALUES (1, $1)
    ON CONFLICT (id) DO UPDATE SET at = excluded.at";
/// Needs room that this row does not: its page is there in a full file too, and a full disk may have a place left for one
/// page. So much as this is more than a small group takes. Only what is committed is written; one that was not taken away
/// again, as where the disk filled up meanwhile, is taken away by the next.
const TAKE_ROOM: &str = "BEGIN IMMEDIATE;
    DROP TABLE IF EXISTS recorder_room;
    CREATE TABLE recorder_room (bytes BLOB);
    INSERT INTO recorder_room (bytes) VALUES (zeroblob(65536));
    COMMIT";
const LEAVE_ROOM: &str = "DROP TABLE recorder_room";
const AWAY: &str = "insight.db is away";

/// What a sink needs of the house.
#[derive(Clone, Debug)]
pub(super) struct SinkContext {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) spool_dir: PathBuf,
}

/// What became of a group.
#[derive(Debug)]
pub(super) enum Committed {
    /// The same of all.
    Alike(Written),
    /// Of each batch, in their order: some wait and others do not.
    Each(Vec<Written>),
}

#[derive(Debug)]
pub(super) enum Sink {
    Sqlite(Box<SqliteSink>),
    Postgres(Box<PostgresSink>),
}

#[derive(Debug)]
pub(super) struct SqliteSink {
    db: sqlite::Db,
    committer: Committer,
    probe_every: Duration,
    /// How the last write failed: a probe is needed to know whether the disk takes writes.
    failed: Option<Kind>,
}

impl Sink {
    pub(super) fn new(context: SinkContext, settings: &Settings) -> Self {
        match context.store.insight().clone() {
            Engine::Sqlite(db) => Self::Sqlite(Box::new(SqliteSink {
                failed: (!db.is_open()).then_some(Kind::Unavailable),
                db,
                committer: Committer::new(),
                probe_every: settings.recorder_probe_every.0.max(Duration::from_millis(10)),
            })),
            Engine::Postgres(db) => {
                Self::Postgres(Box::new(PostgresSink::new(db, context, settings)))
            }
        }
    }

    /// Opens what lies on this machine.
    pub(super) async fn prepare(&mut self) -> Result<(), String> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(sink) => sink.prepare().await,
        }
    }

    /// Makes batches durable, all or none. What is waited for is given up once it is crowded here.
    pub(super) async fn commit(
        &mut self,
        batches: &[&Batch],
        now: Timestamp,
        crowded: impl Future<Output = ()>,
    ) -> Result<Committed, Error> {
        match self {
            Self::Sqlite(sink) => {
                sink.commit(batches, now).await.map(|()| Committed::Alike(Written::default()))
            }
            // Boxed, here and below: the recorder of the files would move room for it about with every commit.
            Self::Postgres(sink) => Box::pin(sink.commit(batches, crowded)).await,
        }
    }

    /// How long until [`Sink::tend`] is due; none while there is nothing to tend.
    pub(super) fn rest(&self, degraded: bool) -> Option<Duration> {
        match self {
            Self::Sqlite(sink) => degraded.then_some(sink.probe_every),
            Self::Postgres(sink) => sink.rest(),
        }
    }

    /// Finds out whether a failed store is well again, and brings what waits into it; one that sleeps is given up once
    /// somebody came. True when it brought something.
    pub(super) async fn tend(
        &mut self,
        now: Timestamp,
        came: impl Future<Output = ()>,
    ) -> Result<bool, String> {
        match self {
            Self::Sqlite(sink) => {
                sink.probe(now).await;
                Ok(false)
            }
            Self::Postgres(sink) => Box::pin(sink.tend(came)).await,
        }
    }

    /// Why the store does not take events now; none while it does.
    pub(super) fn why_away(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Sqlite(sink) if !sink.db.is_open() => Some(AWAY.into()),
            Self::Sqlite(sink) => sink.failed.map(|kind| match kind {
                Kind::Full => "the disk is full, or insight.db has reached its limit".into(),
                _ => "the disk does not take writes".into(),
            }),
            Self::Postgres(sink) => sink.why_away(),
        }
    }

    /// Bytes of events that wait on this machine's disk.
    pub(super) fn spooled(&self) -> u64 {
        match self {
            Self::Sqlite(_) => 0,
            Self::Postgres(sink) => sink.spooled(),
        }
    }

    /// How this machine's disk treats the spool.
    pub(super) fn faults(&self) -> Faults {
        match self {
            Self::Sqlite(_) => Faults::default(),
            Self::Postgres(sink) => sink.faults(),
        }
    }

    /// What is kept for the loss of the primary.
    pub(super) fn copies(&self) -> Copies {
        match self {
            Self::Sqlite(_) => Copies::default(),
            Self::Postgres(sink) => sink.copies(),
        }
    }

    /// What a store that is away means.
    pub(super) fn trouble(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "events cannot be made durable; they are refused until they can",
            Self::Postgres(_) => "events wait on this machine's disk until the database takes them",
        }
    }

    /// The last thing that happens.
    pub(super) async fn finish(&mut self) {
        match self {
            Self::Sqlite(sink) => {
                if let Err(error) = sink.db.checkpoint().await {
                    tracing::warn!(%error, "the last checkpoint of insight.db failed; its log is kept");
                }
            }
            Self::Postgres(sink) => Box::pin(sink.finish()).await,
        }
    }
}

impl SqliteSink {
    async fn commit(&mut self, batches: &[&Batch], now: Timestamp) -> Result<(), Error> {
        let mut writer = self.db.writer().await;
        let outcome = writer.directly(&self.db, |conn| {
            self.committer.commit(conn, batches, now).map_err(Source::from)
        });
        if let Err(error) = outcome {
            let error = Error::new(OP, error);
            if matches!(error.kind, Kind::Unavailable | Kind::Internal) {
                writer.suspect();
            }
            if error.kind != Kind::Conflict {
                self.failed = Some(error.kind);
            }
            return Err(error);
        }
        self.failed = None;
        Ok(())
    }

    /// Writes one small row, so that a recorder nobody sends to notices space that came back. After a failure, of whatever
    /// kind the last one was, room for more is asked for first.
    async fn probe(&mut self, now: Timestamp) {
        let mut writer = self.db.writer().await;
        let has_failed = self.failed.is_some();
        let outcome = writer.directly(&self.db, |conn| {
            if has_failed {
                conn.execute_batch(TAKE_ROOM)?;
                conn.execute_batch(LEAVE_ROOM)?;
            }
            conn.execute(PROBE, [now.as_micros()]).map(drop).map_err(Source::from)
        });
        self.failed = outcome.err().map(|error| Error::new(OP, error).kind);
        if self.failed.is_some() {
            writer.suspect();
        }
    }
}
