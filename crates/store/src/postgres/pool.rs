//! Connections to one server. A refused connection is told at once (sqlx's own pool tries on until its time-out), and
//! nothing is sent to find out whether a connection still works, unless it has rested for long.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::patience::Patience;
use super::target::Target;

mod slots;

use slots::{Idle, Slot, Slots, State, Turn};

/// A connection that rested for longer is asked whether it is still there: what stands between may have forgotten it.
const PING_AFTER: Duration = Duration::from_secs(60);

/// How many connections, and how long they are waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Kept open although nobody needs them.
    pub(crate) min: usize,
    /// Most at a time.
    pub(crate) max: usize,
    /// Closed after resting so long, down to `min`.
    pub(crate) idle_for: Duration,
    /// How long making one may take.
    pub(crate) connect: Patience,
    /// How long one that has rested may take to answer.
    pub(crate) ping: Patience,
    /// How long a free one is waited for.
    pub(crate) acquire: Duration,
}

#[derive(Debug)]
pub(crate) struct Pool {
    options: PgConnectOptions,
    /// What is said first on each connection.
    first: Option<String>,
    shape: Shape,
    slots: Arc<Slots>,
    /// Open connections, in use or not.
    open: Arc<AtomicUsize>,
    /// Where connections are made: they end with that runtime, and questions are asked on others that end before.
    home: Option<Handle>,
}

/// A connection that is counted while it is open.
#[derive(Debug)]
pub(crate) struct Counted {
    conn: PgConnection,
    generation: u64,
    _open: Open,
}

#[derive(Debug)]
struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection in somebody's hands. Dropped it is closed; given back it is kept.
#[derive(Debug)]
pub(crate) struct Taken {
    conn: Counted,
    slot: Slot,
}

impl Taken {
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.conn.conn
    }
}

impl Pool {
    pub(crate) fn new(target: &Target, shape: Shape) -> Self {
        let options = target.options.clone();
        Self {
            first: target.first_words().map(str::to_owned),
            options: options.disable_statement_logging(),
            shape,
            slots: Arc::new(Slots::new(shape.max)),
            open: Arc::default(),
            home: Handle::try_current().ok(),
        }
    }

    /// A connection that rests and need not be asked whether it is still there, if there is one.
    pub(crate) fn take_resting(&self) -> Option<Taken> {
        let is_fresh = |last: &mut Idle| last.since.elapsed() < PING_AFTER;
        let (Idle { conn, .. }, slot) = Slot::take_resting(&self.slots, is_fresh)?;
        Some(Taken { conn, slot })
    }

    /// A connection: one that rests, else a new one.
    pub(crate) async fn take(&self) -> Result<Taken, sqlx::Error> {
        let free = tokio::time::timeout(self.shape.acquire, Slot::wait(&self.slots)).await;
        let (slot, mut rested) = free.map_err(|_| sqlx::Error::PoolTimedOut)??;
        while let Some(Idle { mut conn, since }) = rested {
            if since.elapsed() < PING_AFTER || self.shape.ping.keep(conn.conn.ping()).await.is_ok()
            {
                return Ok(Taken { conn, slot });
            }
            rested = self.lock().idle.pop();
        }
        Ok(Taken { conn: self.connect().await?, slot })
    }

    /// One to a server that may have slept meanwhile. Of connections that rested one is asked: where it leads nowhere none
    /// does.
    pub(crate) async fn take_awake(&self) -> Result<Taken, sqlx::Error> {
        let (slot, rested) = Slot::wait(&self.slots).await?;
        if let Some(Idle { mut conn, .. }) = rested {
            if self.shape.ping.keep(conn.conn.ping()).await.is_ok() {
                return Ok(Taken { conn, slot });
            }
            self.forget_all();
        }
        Ok(Taken { conn: self.connect().await?, slot })
    }

    /// Keeps a connection whose last answer was complete, unless there are too many or it is not to be used again.
    pub(crate) fn give_back(&self, taken: Taken) {
        let Taken { conn, slot } = taken;
        let since = Instant::now();
        let mut state = self.lock();
        state.answered = Some(since);
        let unwanted = state.keep(Idle { conn, since }, Turn::Next);
        slot.free(&mut state);
        drop(state);
        // Not under the lock: it is closed now.
        drop(unwanted);
    }

    /// Closes every connection that rests, and those in use as soon as they are given back.
    pub(crate) fn forget_all(&self) {
        let forgotten = {
            let mut state = self.lock();
            state.generation += 1;
            state.answered = None;
            std::mem::take(&mut state.idle)
        };
        drop(forgotten);
    }

    /// Closes what has rested too long; opens what is missing of the minimum.
    pub(crate) async fn keep_minimum(&self, min: usize) -> Result<(), sqlx::Error> {
        let rested = {
            let mut state = self.lock();
            let mut spare = state.all().saturating_sub(min);
            let (mut rested, mut kept) = (Vec::new(), Vec::with_capacity(state.idle.len()));
            for connection in state.idle.drain(..) {
                if spare > 0 && connection.since.elapsed() >= self.shape.idle_for {
                    spare -= 1;
                    rested.push(connection);
                } else {
                    kept.push(connection);
                }
            }
            state.idle = kept;
            rested
        };
        for Idle { conn, .. } in rested {
            close(conn).await;
        }
        while let Some(slot) = Slot::take_missing(&self.slots, min) {
            let idle = Idle { conn: self.connect().await?, since: Instant::now() };
            let mut state = self.lock();
            let unwanted = state.keep(idle, Turn::Last);
            slot.free(&mut state);
            drop(state);
            if unwanted.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Changes the most connections at a time. Those in use beyond it end as they are given back.
    pub(crate) fn set_max(&self, max: usize) {
        let spare: Vec<Idle> = {
            let mut state = self.lock();
            self.slots.set_max(&mut state, max);
            let spare = state.all().saturating_sub(state.max).min(state.idle.len());
            state.idle.drain(..spare).collect()
        };
        drop(spare);
    }

    /// Connections in use, and open ones that are not.
    pub(crate) fn count(&self) -> (usize, usize) {
        let idle = self.lock().idle.len();
        (self.open.load(Ordering::Relaxed).saturating_sub(idle), idle)
    }

    /// Whether the server answered a moment ago. One who waits for an answer says nothing of that.
    pub(crate) fn is_in_touch(&self) -> bool {
        self.lock().answered.is_some_and(|at| at.elapsed() < PING_AFTER)
    }

    /// Whether every connection there may be is in somebody's hands.
    pub(crate) fn is_exhausted(&self) -> bool {
        let state = self.lock();
        !state.closed && state.used >= state.max
    }

    /// Most connections at a time.
    pub(crate) fn max(&self) -> usize {
        self.lock().max
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Ends every connection politely; nobody gets one any more.
    pub(crate) async fn close(&self) {
        for Idle { conn, .. } in self.slots.close() {
            close(conn).await;
        }
    }

    /// As if nobody had asked for anything for so much longer.
    #[cfg(test)]
    pub(crate) fn rest_for(&self, time: Duration) {
        let earlier = |at: &mut Instant| *at = at.checked_sub(time).unwrap_or(*at);
        let mut state = self.lock();
        state.idle.iter_mut().for_each(|idle| earlier(&mut idle.since));
        state.answered.iter_mut().for_each(earlier);
    }

    async fn connect(&self) -> Result<Counted, sqlx::Error> {
        let generation = {
            let state = self.lock();
            if state.closed {
                return Err(sqlx::Error::PoolClosed);
            }
            state.generation
        };
        let conn = self.shape.connect.keep(self.prepare(self.first.clone())).await?;
        Ok(Counted { conn, generation, _open: Open::count(&self.open) })
    }

    /// A connection that is none of the pool's, and changes nothing.
    pub(crate) async fn connect_apart(&self) -> Result<PgConnection, sqlx::Error> {
        self.shape.connect.keep(self.prepare(None)).await
    }

    /// Makes a connection at home, and says that first. Who leaves takes it along.
    async fn prepare(&self, first: Option<String>) -> Result<PgConnection, sqlx::Error> {
        let options = self.options.clone();
        let prepared = async move {
            let mut conn = options.connect().await?;
            if let Some(first) = first {
                sqlx::raw_sql(AssertSqlSafe(first)).execute(&mut conn).await?;
            }
            Ok(conn)
        };
        let Some(home) = &self.home else { return prepared.await };
        // No task of a group: it ends with whoever waits for it.
        let mut making = JoinSet::new();
        making.spawn_on(prepared, home);
        match making.join_next().await {
            Some(Ok(made)) => made,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Err(unavailable("this process is ending: nobody connects any more")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.slots.lock()
    }
}

/// Says goodbye, so that the server logs no lost connection; a server that does not listen is not waited for.
async fn close(counted: Counted) {
    const GOODBYE: Patience = Patience(Duration::from_millis(250));
    drop(GOODBYE.keep(counted.conn.close()).await);
}

/// The error of a server that nobody may ask now.
pub(crate) fn unavailable(reason: impl Into<String>) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::NotConnected, reason.into()))
}
