//! One database server as we see it: its role, how far it has come, and whether it may be asked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::sync::Notify;

use super::cluster::Share;
use super::failure::{self, Failure};
use super::history::History;
use super::patience::Timer;
use super::pool::{Pool, Shape, Taken, unavailable};
use super::position::{Lsn, Position};
use super::target::Target;

/// What a server is to the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It never answered.
    #[default]
    Unknown,
    /// It takes changes.
    Primary,
    /// It follows the primary.
    Replica,
    /// It takes changes of a history that is over, or of another database: nobody may ask it.
    Stale,
}

impl Role {
    /// As the console and metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Stale => "stale",
        }
    }
}

/// What the last probe found, and why the server is not asked, if it is not.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) role: Role,
    /// The database cluster it belongs to.
    pub(crate) system: i64,
    /// How far it has replayed (a replica) or written (a primary).
    pub(crate) position: Position,
    /// How far what it has received lies safe on its disk.
    pub(crate) received: Lsn,
    /// Bytes it has not replayed of what the primary had written.
    pub(crate) lag_bytes: u64,
    /// How long it has been behind; zero when it is not.
    pub(crate) lag: Duration,
    /// How long ago the last transaction that it replayed was committed.
    pub(crate) since_replay: Duration,
    /// Behind by bytes and by time.
    pub(crate) lagging: bool,
    /// A read that waited for it in vain: it is not asked to catch up until a probe finds it close again.
    pub(crate) slow: bool,
    /// What the primary had written at an earlier look, and when that was.
    pub(crate) owed: (Lsn, Option<Instant>),
    /// The last look at which the primary had written nothing that it lacks by now.
    pub(crate) caught_up_at: Option<Instant>,
    /// Something was not answered in time: it is asked last, and probed at once.
    pub(crate) suspect: bool,
    pub(crate) ejected: Option<Ejection>,
}

impl State {
    pub(crate) fn history(&self) -> History {
        History { system: self.system, timeline: self.position.timeline }
    }
}

/// A server that failed is not asked until a probe reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Ejection {
    /// The failure's words.
    pub(crate) reason: String,
    /// When it is tried again.
    pub(crate) retry_at: Instant,
    /// How long the next trial is put off.
    pub(crate) backoff: Duration,
}

/// Said to who waited for it.
const EJECTED: &str = "the server is not asked any more";
/// The first trial comes soon: a server that restarts is away for a moment only.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Trials are never further apart than this.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) target: Target,
    pub(crate) pool: Pool,
    state: Mutex<State>,
    /// A replica that may be asked: what the choice looks at for every read.
    fit: AtomicBool,
    suspect: AtomicBool,
    /// A standby followed it when it was last asked.
    followed: AtomicBool,
    /// The pooler in front of it was found to remember prepared statements.
    cleared: AtomicBool,
    in_flight: AtomicUsize,
    /// Wakes who waits for an answer of it when it is ejected.
    left: Notify,
    /// What it is probed on: the pool's may all be in use. Held by one probe at a time.
    pub(super) line: tokio::sync::Mutex<Line>,
}

/// A connection for probes alone.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) conn: Option<PgConnection>,
    /// When the last probe on it was answered, or was not.
    pub(super) ended: Option<Instant>,
}

impl Node {
    pub(crate) fn new(target: Target, shape: Shape) -> Arc<Self> {
        let pool = Pool::new(&target, shape);
        Arc::new(Self {
            target,
            pool,
            state: Mutex::default(),
            fit: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
            followed: AtomicBool::new(false),
            cleared: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            left: Notify::new(),
            line: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// Changes what is known; whether it may be asked follows from that.
    pub(crate) fn change(&self, with: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        with(&mut state);
        let fit = state.role == Role::Replica && state.ejected.is_none() && !state.lagging;
        self.fit.store(fit, Ordering::Release);
        self.suspect.store(state.suspect, Ordering::Release);
    }

    /// A replica that answers and is not too far behind.
    pub(crate) fn is_fit(&self) -> bool {
        self.fit.load(Ordering::Acquire)
    }

    /// It owes somebody an answer.
    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    /// Whether its pooler may be spoken to.
    pub(crate) fn is_cleared(&self) -> bool {
        self.cleared.load(Ordering::Acquire)
    }

    /// Whether it was found that its pooler may be.
    pub(crate) fn set_cleared(&self, is_cleared: bool) {
        self.cleared.store(is_cleared, Ordering::Release);
    }

    /// Takes note of whether a standby follows it; whether one did before.
    pub(crate) fn was_followed(&self, is_followed: bool) -> bool {
        self.followed.swap(is_followed, Ordering::Relaxed)
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.lock().ejected.is_some()
    }

    /// Completes when it is ejected; at once when it is.
    pub(crate) async fn left(&self) {
        let mut left = std::pin::pin!(self.left.notified());
        left.as_mut().enable();
        if !self.is_ejected() {
            left.await;
        }
    }

    /// A connection, unless the server is ejected first: who waits in a queue that leads nowhere goes elsewhere.
    async fn unless_left(
        &self,
        taken: impl Future<Output = Result<Taken, sqlx::Error>>,
    ) -> Result<Taken, sqlx::Error> {
        tokio::select! {
            biased;
            taken = taken => taken,
            () = self.left() => Err(unavailable(EJECTED)),
        }
    }

    /// Statements under way or waiting for a connection.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes note of an error; true when it speaks against the server. One that did not answer in time may have been
    /// asked too much, and one that refused a change may only have been told to: a probe finds out, and others go on asking it
    /// meanwhile.
    pub(super) fn note(&self, error: &sqlx::Error) -> bool {
        if failure::is_ours(error) {
            return false;
        }
        match failure::of(error) {
            Failure::Statement | Failure::ReplayConflict | Failure::Exhausted => false,
            Failure::Connection => {
                // Its connections lead nowhere.
                self.pool.forget_all();
                self.eject(failure::reason(error), BACKOFF_FIRST);
                true
            }
            Failure::Silence | Failure::NotPrimary => {
                self.suspect();
                true
            }
        }
    }

    /// It owes an answer: it is asked last, and probed at once.
    pub(super) fn suspect(&self) {
        self.change(|state| state.suspect = state.ejected.is_none());
    }

    /// Takes note of a connection that could not be had; true when that speaks against the server.
    pub(super) fn note_refused(&self, error: &sqlx::Error) -> bool {
        if failure::is_busy(error) || failure::is_ours(error) {
            return false;
        }
        self.pool.forget_all();
        self.eject(failure::reason(error), BACKOFF_FIRST);
        true
    }

    /// Stops asking it until a probe, `trial_in` from now, finds it well.
    fn eject(&self, reason: String, trial_in: Duration) {
        self.change(|state| {
            if state.ejected.is_none() {
                tracing::warn!(
                    node = self.target.name,
                    reason,
                    "a database server is not asked until it answers again"
                );
                let retry_at = Instant::now() + trial_in;
                state.ejected = Some(Ejection { reason, retry_at, backoff: BACKOFF_FIRST });
            }
            state.suspect = false;
        });
        self.left.notify_waiters();
    }

    /// A trial failed: the next one comes later.
    pub(crate) fn put_off(&self, reason: String) {
        self.pool.forget_all();
        self.eject(reason.clone(), BACKOFF_FIRST);
        self.change(|state| {
            if let Some(ejection) = &mut state.ejected {
                ejection.reason = reason;
                ejection.retry_at = Instant::now() + ejection.backoff;
                ejection.backoff = (ejection.backoff * 2).min(BACKOFF_MAX);
            }
        });
    }

    /// Where it is ejected its next trial is due, and soon the one after it: one that fails now may have begun before what
    /// this is about.
    pub(super) fn try_now(&self) {
        self.change(|state| {
            if let Some(ejection) = &mut state.ejected {
                (ejection.retry_at, ejection.backoff) = (Instant::now(), BACKOFF_FIRST);
            }
        });
    }

    /// Remembers how far a replica was seen to have come.
    pub(crate) fn reached(&self, lsn: Lsn) {
        self.change(|state| state.position.lsn = state.position.lsn.max(lsn));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One statement's place among those under way.
#[derive(Debug)]
pub(crate) struct Place {
    node: Arc<Node>,
}

impl Place {
    pub(crate) fn on(node: &Arc<Node>) -> Self {
        node.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { node: Arc::clone(node) }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.node.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection to one server, in the hands of one statement or transaction. Dropped it is closed, which undoes what was
/// not committed.
#[derive(Debug)]
pub(crate) struct Leased {
    place: Place,
    taken: Taken,
    /// The primary's share of reads, when it stands in for its replicas.
    _share: Option<Share>,
}

impl Leased {
    /// A connection of the place's server.
    pub(crate) async fn at(
        place: Place,
        share: Option<Share>,
    ) -> Result<Self, (Place, sqlx::Error)> {
        let taken = place.node.unless_left(place.node.pool.take()).await;
        Self::of(place, taken, share)
    }

    /// The same of a server that may have slept.
    pub(crate) async fn awake_at(place: Place) -> Result<Self, (Place, sqlx::Error)> {
        let taken = place.node.unless_left(place.node.pool.take_awake()).await;
        Self::of(place, taken, None)
    }

    fn of(
        place: Place,
        taken: Result<Taken, sqlx::Error>,
        share: Option<Share>,
    ) -> Result<Self, (Place, sqlx::Error)> {
        match taken {
            Ok(taken) => Ok(Self { place, taken, _share: share }),
            Err(error) => Err((place, error)),
        }
    }

    /// A connection of the place's server that rests, or the place when there is none.
    pub(crate) fn resting_at(place: Place) -> Result<Self, Place> {
        match place.node.pool.take_resting() {
            Some(taken) => Ok(Self { place, taken, _share: None }),
            None => Err(place),
        }
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        self.taken.conn()
    }

    /// What its connection's statements are timed with, for as long as one of them runs.
    pub(crate) fn take_timer(&mut self) -> Timer {
        self.taken.timer().take().unwrap_or_else(Timer::new)
    }

    /// Keeps it for the next one.
    pub(crate) fn put_timer(&mut self, timer: Timer) {
        *self.taken.timer() = Some(timer);
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.place.node
    }

    /// Gives the connection back: its last answer was complete.
    pub(crate) fn give_back(self) {
        let Self { place, taken, _share } = self;
        place.node.pool.give_back(taken);
    }
}
