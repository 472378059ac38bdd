//! Connections to one server. A refused connection is told at once (sqlx's own pool tries on until its time-out), and
//! nothing is sent to find out whether a connection still works, unless it has rested for long.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::patience::Patience;
use super::target::Target;

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
    idle: Mutex<Vec<Idle>>,
    permits: Arc<Semaphore>,
    /// As many permits as there are in all.
    max: AtomicUsize,
    /// As many as there should be: fewer than `max` while those in use are waited for.
    wanted: AtomicUsize,
    /// Open connections, in use or not.
    open: Arc<AtomicUsize>,
    /// Grows when every connection made so far is suspected to be dead.
    generation: AtomicU64,
    /// When a connection was last given back.
    answered: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Idle {
    conn: Counted,
    since: Instant,
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
    _permit: OwnedSemaphorePermit,
}

impl Taken {
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.conn.conn
    }
}

impl Pool {
    pub(crate) fn new(target: &Target, shape: Shape) -> Self {
        let max = shape.max.max(1);
        let options = target.options.clone();
        Self {
            first: target.first_words().map(str::to_owned),
            options: options.disable_statement_logging(),
            shape,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(max)),
            max: AtomicUsize::new(max),
            wanted: AtomicUsize::new(max),
            open: Arc::default(),
            generation: AtomicU64::new(0),
            answered: Mutex::default(),
        }
    }

    /// A connection that rests and need not be asked whether it is still there, if there is one.
    pub(crate) fn take_resting(&self) -> Option<Taken> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let mut idle = self.lock();
        let last = idle.pop_if(|last| last.since.elapsed() < PING_AFTER)?;
        Some(Taken { conn: last.conn, _permit: permit })
    }

    /// A connection: one that rests, else a new one.
    pub(crate) async fn take(&self) -> Result<Taken, sqlx::Error> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let free = Arc::clone(&self.permits).acquire_owned();
                match tokio::time::timeout(self.shape.acquire, free).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) => return Err(sqlx::Error::PoolClosed),
                    Err(_) => return Err(sqlx::Error::PoolTimedOut),
                }
            }
        };
        while let Some(Idle { mut conn, since }) = self.pop() {
            if since.elapsed() < PING_AFTER || self.shape.ping.keep(conn.conn.ping()).await.is_ok()
            {
                return Ok(Taken { conn, _permit: permit });
            }
        }
        Ok(Taken { conn: self.connect().await?, _permit: permit })
    }

    /// One to a server that may have slept meanwhile. Of connections that rested one is asked: where it leads nowhere none
    /// does.
    pub(crate) async fn take_awake(&self) -> Result<Taken, sqlx::Error> {
        let free = Arc::clone(&self.permits).acquire_owned();
        let permit = free.await.map_err(|_| sqlx::Error::PoolClosed)?;
        if let Some(Idle { mut conn, .. }) = self.pop() {
            if self.shape.ping.keep(conn.conn.ping()).await.is_ok() {
                return Ok(Taken { conn, _permit: permit });
            }
            self.forget_all();
        }
        Ok(Taken { conn: self.connect().await?, _permit: permit })
    }

    /// Keeps a connection whose last answer was complete.
    pub(crate) fn give_back(&self, taken: Taken) {
        let Taken { conn, _permit: permit } = taken;
        let since = Instant::now();
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(since);
        if self.is_beyond_max() {
            permit.forget();
            return;
        }
        if conn.generation == self.generation.load(Ordering::Acquire) && !self.permits.is_closed() {
            self.lock().push(Idle { conn, since });
        }
        drop(permit);
    }

    /// Whether there is one permit too many; then it is no longer counted, and its holder must forget it.
    fn is_beyond_max(&self) -> bool {
        let wanted = self.wanted.load(Ordering::Acquire);
        let less = |max: usize| (max > wanted).then(|| max - 1);
        self.max.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok()
    }

    /// Closes every connection that rests, and those in use as soon as they are given back.
    pub(crate) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.lock().clear();
    }

    /// Closes what has rested too long; opens what is missing of the minimum.
    pub(crate) async fn keep_minimum(&self, min: usize) -> Result<(), sqlx::Error> {
        let rested = {
            let mut idle = self.lock();
            let mut spare = self.open.load(Ordering::Relaxed).saturating_sub(min);
            let (mut rested, mut kept) = (Vec::new(), Vec::with_capacity(idle.len()));
            for connection in idle.drain(..) {
                if spare > 0 && connection.since.elapsed() >= self.shape.idle_for {
                    spare -= 1;
                    rested.push(connection);
                } else {
                    kept.push(connection);
                }
            }
            *idle = kept;
            rested
        };
        for Idle { conn, .. } in rested {
            close(conn).await;
        }
        while self.open.load(Ordering::Relaxed) < min.min(self.max.load(Ordering::Relaxed)) {
            // Never at the cost of somebody who waits.
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { break };
            let conn = self.connect().await?;
            self.lock().insert(0, Idle { conn, since: Instant::now() });
            drop(permit);
        }
        Ok(())
    }

    /// Changes the most connections at a time. Those in use beyond it end as they are given back.
    pub(crate) fn set_max(&self, max: usize) {
        let max = max.max(1);
        self.wanted.store(max, Ordering::Release);
        let more = |now: usize| (now < max).then_some(max);
        if let Ok(before) = self.max.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            self.permits.add_permits(max - before);
        }
        // What is free goes now; what is in use goes as it is given back.
        while let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned()
            && self.is_beyond_max()
        {
            permit.forget();
        }
        let mut idle = self.lock();
        let spare = self.open.load(Ordering::Relaxed).saturating_sub(max).min(idle.len());
        idle.drain(..spare);
    }

    /// Connections in use, and open ones that are not.
    pub(crate) fn count(&self) -> (usize, usize) {
        let idle = self.lock().len();
        (self.open.load(Ordering::Relaxed).saturating_sub(idle), idle)
    }

    /// Whether the server answered a moment ago. One who waits for an answer says nothing of that.
    pub(crate) fn is_in_touch(&self) -> bool {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.is_some_and(|at| at.elapsed() < PING_AFTER)
    }

    /// Whether every connection there may be is in somebody's hands.
    pub(crate) fn is_exhausted(&self) -> bool {
        !self.permits.is_closed() && self.permits.available_permits() == 0
    }

    /// Most connections at a time.
    pub(crate) fn max(&self) -> usize {
        self.wanted.load(Ordering::Relaxed)
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Ends every connection politely; nobody gets one any more.
    pub(crate) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.lock());
        for Idle { conn, .. } in idle {
            close(conn).await;
        }
    }

    /// As if nobody had asked for anything for so much longer.
    #[cfg(test)]
    pub(crate) fn rest_for(&self, time: Duration) {
        let earlier = |at: &mut Instant| *at = at.checked_sub(time).unwrap_or(*at);
        self.lock().iter_mut().for_each(|idle| earlier(&mut idle.since));
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.iter_mut().for_each(earlier);
    }

    async fn connect(&self) -> Result<Counted, sqlx::Error> {
        let generation = self.generation.load(Ordering::Acquire);
        let prepared = async {
            let mut conn = self.options.connect().await?;
            if let Some(first) = self.first.as_deref() {
                sqlx::raw_sql(AssertSqlSafe(first)).execute(&mut conn).await?;
            }
            Ok(conn)
        };
        let conn = self.shape.connect.keep(prepared).await?;
        Ok(Counted { conn, generation, _open: Open::count(&self.open) })
    }

    /// A connection that is none of the pool's, and changes nothing.
    pub(crate) async fn connect_apart(&self) -> Result<PgConnection, sqlx::Error> {
        self.shape.connect.keep(self.options.connect()).await
    }

    fn pop(&self) -> Option<Idle> {
        self.lock().pop()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
