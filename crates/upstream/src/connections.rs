//! What one worker thread keeps of its site's upstreams: unused connections, and the task that ends them in time. Sends nothing by itself.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mainstay_base::task::{Group, Stop};
use tokio::time::Instant;

use crate::Upstreams;
use crate::dial::Connection;
use crate::member::Slot;
use crate::upstreams::Shared;

/// How often unused connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);
/// What an upstream's own patience is undercut by, so that its close does not cross our next request.
const MARGIN: Duration = Duration::from_secs(1);

/// One worker's connections to the upstreams of a site. Clones share them; all stay on one thread's runtime.
#[derive(Clone)]
pub struct Connections(pub(crate) Arc<Pool>);

/// The lock is never contended: it satisfies the compiler, not a neighbour.
pub(crate) struct Pool {
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Group,
    /// Where the next choice among equals begins.
    pub(crate) turn: AtomicUsize,
    unused: Mutex<Vec<Vec<Connection>>>,
    stopped: AtomicBool,
}

/// A connection in use and its place in the count. Dropped, the connection is closed.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    at: usize,
    connection: Connection,
    slot: Slot,
}

impl Connections {
    pub(crate) fn new(shared: Arc<Shared>, group: &Group) -> Self {
        let unused = shared.places.iter().map(|_| Vec::new()).collect();
        let pool = Arc::new(Pool {
            shared,
            group: group.clone(),
            turn: AtomicUsize::new(0),
            unused: Mutex::new(unused),
            stopped: AtomicBool::new(false),
        });
        group.spawn_child("upstream-sweep", sweep(Arc::downgrade(&pool), group.stop().clone()));
        Self(pool)
    }

    /// Whether they lead to these upstreams.
    #[must_use]
    pub fn lead_to(&self, upstreams: &Upstreams) -> bool {
        Arc::ptr_eq(&self.0.shared, &upstreams.0)
    }

    /// Whether other upstreams took over from theirs.
    #[must_use]
    pub fn are_retired(&self) -> bool {
        self.0.shared.is_retired()
    }
}

impl Pool {
    /// An unused connection that is still good, the one used last: others may age.
    pub(crate) fn take(&self, at: usize) -> Option<Connection> {
        let now = Instant::now();
        let mut unused = self.unused();
        let list = unused.get_mut(at)?;
        // The sweep only frees memory: between two of them a connection outlives its time by up to a second, and the
        // upstream's close would cross our request.
        while let Some(connection) = list.pop() {
            if self.is_good(&connection, now) {
                return Some(connection);
            }
        }
        None
    }

    /// Closes what is unused: one of them was dead, so the others are.
    pub(crate) fn forget(&self, at: usize) {
        if let Some(list) = self.unused().get_mut(at) {
            list.clear();
        }
    }

    fn keep(&self, at: usize, mut connection: Connection) {
        // Not ready: its request still streams, or the upstream closes.
        let is_over = self.stopped.load(Relaxed) || self.shared.is_retired();
        if is_over || !connection.sender.is_ready() {
            return;
        }
        connection.kept_since = Some(Instant::now());
        if self.patience(&connection).is_zero() {
            return;
        }
        let mut unused = self.unused();
        if let Some(list) = unused.get_mut(at)
            && list.len() < self.shared.settings.idle_per_worker
        {
            list.push(connection);
        }
    }

    /// How long this connection may stay unused.
    fn patience(&self, connection: &Connection) -> Duration {
        let ours = self.shared.settings.pooled_timeout.0;
        let theirs = connection.kept_seconds.map(Duration::from_secs);
        theirs.map_or(ours, |theirs| ours.min(theirs.saturating_sub(MARGIN)))
    }

    fn is_good(&self, connection: &Connection, now: Instant) -> bool {
        let age = connection.kept_since.map_or(Duration::ZERO, |since| now - since);
        connection.sender.is_ready() && age < self.patience(connection)
    }

    fn sweep(&self, now: Instant) {
        let is_retired = self.shared.is_retired();
        for list in self.unused().iter_mut() {
            list.retain(|connection| !is_retired && self.is_good(connection, now));
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.unused().iter_mut().for_each(Vec::clear);
    }

    fn unused(&self) -> MutexGuard<'_, Vec<Vec<Connection>>> {
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(crate) fn new(pool: Arc<Pool>, at: usize, connection: Connection, slot: Slot) -> Self {
        Self { pool, at, connection, slot }
    }

    /// The exchange ended well: the connection may serve again.
    pub(crate) fn give_back(self) {
        let Self { pool, at, connection, slot } = self;
        drop(slot);
        pool.keep(at, connection);
    }

    /// The answer broke off after its head.
    pub(crate) fn broken(self) {
        self.slot.member.meters.broken.inc();
    }

    /// The connection went another way; it counts as a tunnel until the place is dropped.
    pub(crate) fn into_tunnel(self) -> Slot {
        self.slot.into_tunnel()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unused: Vec<_> = self.0.unused().iter().map(Vec::len).collect();
        f.debug_struct("Connections").field("unused", &unused).finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Ends unused connections in time, and all of them at the soft stop.
async fn sweep(pool: Weak<Pool>, stop: Stop) {
    while stop.rested(SWEEP).await {
        let Some(pool) = pool.upgrade() else { return };
        pool.sweep(Instant::now());
    }
    if let Some(pool) = pool.upgrade() {
        pool.stop();
    }
}
