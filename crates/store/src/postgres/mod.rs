//! PostgreSQL: one primary and any number of replicas behind one handle. Who is asked, and what becomes of a server that
//! fails, is decided here; what is asked is said by the tables.
//!
//! # Invariants
//! - A change goes to the primary of the newest history that was seen. It is repeated only where it was certainly not
//!   made, or where a repeat is known by its keys: refused by a server that follows another, undone with its transaction.
//! - A read is repeated at most once, on another server, when its connection failed, its server fell silent or has no room
//!   for it, or a replica cut it short to go on replaying.
//! - An error of a statement says nothing about the server; an error of the connection ejects it until a probe reaches it.
//! - A read that must see a change goes to a server that has replayed it, or to the primary.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainstay_base::task::Group;
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::names;

use crate::Error;

mod attempts;
mod budget;
mod cluster;
pub(crate) mod durable;
mod failure;
pub(crate) mod history;
pub(crate) mod migrate;
mod node;
mod nodes;
pub(crate) mod partition;
mod patience;
mod pool;
mod pooler;
pub(crate) mod position;
mod probe;
mod rounds;
pub(crate) mod settings;
pub(crate) mod standbys;
mod target;
pub(crate) mod upkeep;
mod wake;

#[cfg(test)]
mod tests;

pub(crate) use attempts::Attempts;
use budget::Budget;
pub(crate) use cluster::Cluster;
use cluster::Nobody;
use failure::Failure;
pub(crate) use failure::reason;
pub(crate) use node::Leased;
use node::Node;
pub use node::Role;
pub use nodes::{NodeView, list_nodes};
pub(crate) use patience::{Patience, Timer};
use position::Position;
pub use target::Refused;
pub use upkeep::{Process, list_processes};

/// An answer that takes so long makes its server suspect.
const SUSPECT_AFTER: Duration = Duration::from_millis(300);

/// What a read must have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Whatever a replica that is not too far behind has.
    #[default]
    Any,
    /// Everything committed before: the primary. While there is none, whichever replica has come furthest.
    Latest,
    /// Everything up to here.
    Since(Position),
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pub(crate) cluster: Arc<Cluster>,
    reads: Reads,
    /// The server that answers all reads of one answer, once it has answered the first.
    pin: Option<Arc<Pin>>,
    /// The name of this process among those that share the database.
    node: Arc<str>,
    /// Whether changes are taken.
    door: Arc<AtomicBool>,
}

/// Who answers the reads of one answer.
#[derive(Debug, Default)]
struct Pin {
    /// Known once the first was answered.
    node: OnceLock<Arc<Node>>,
    /// It failed in the middle: the primary answers the rest, also when it comes back.
    is_lost: AtomicBool,
}

impl Db {
    pub(crate) fn new(cluster: Cluster, node: Arc<str>) -> Self {
        let door = Arc::new(AtomicBool::new(true));
        Self { cluster: Arc::new(cluster), reads: Reads::Any, pin: None, node, door }
    }

    /// The same database, to which nobody writes until it was opened: it may hold what is not ours to change, such as a
    /// copy that is not proven.
    pub(crate) fn shut(self) -> Self {
        self.door.store(false, Ordering::Release);
        self
    }

    /// The same database for who opens it.
    pub(crate) fn opening(&self) -> Self {
        Self { door: Arc::new(AtomicBool::new(true)), ..self.clone() }
    }

    /// It was opened, for everybody.
    pub(crate) fn let_in(&self) {
        self.door.store(true, Ordering::Release);
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// The same database, read in another way.
    pub(crate) fn reading(&self, reads: Reads) -> Self {
        Self { reads, ..self.clone() }
    }

    /// The same database for the reads of one answer. They all go to the server that answers the first, which forgets nothing
    /// between two of them; where it fails in the middle, the rest go to the primary, which has what any replica had.
    pub(crate) fn pinned(&self) -> Self {
        Self { pin: Some(Arc::default()), ..self.clone() }
    }

    /// Starts the tasks that probe the servers and look after the pools.
    pub(crate) fn start_probing(&self, group: &Group) {
        let cluster = Arc::clone(&self.cluster);
        group.spawn("database probes", |stop| rounds::run(cluster, stop));
        let cluster = Arc::clone(&self.cluster);
        group.spawn("database pools", |stop| probe::keep_pools(cluster, stop));
        let cluster = Arc::clone(&self.cluster);
        group.spawn("database confirmations", |stop| standbys::confirm(cluster, stop));
    }

    /// Asks every server how it stands.
    pub(crate) async fn probe(&self) {
        probe::probe_all(&self.cluster).await;
    }

    /// Shows how the servers stand.
    pub(crate) fn register(&self, registry: &Registry) {
        for node in &self.cluster.nodes {
            let name = node.target.name.as_str();
            let [up, bytes, lag] = [(); 3].map(|()| Arc::clone(node));
            registry.gauge_fn(&names::DATABASE_UP, &[name], move || {
                f64::from(u8::from(
                    up.state().ejected.is_none() && up.state().role != Role::Unknown,
                ))
            });
            registry.gauge_fn(&names::DATABASE_LAG_BYTES, &[name], move || {
                bytes.state().lag_bytes as f64
            });
            registry.gauge_fn(&names::DATABASE_LAG, &[name], move || lag.state().lag.as_secs_f64());
        }
        let cluster = Arc::clone(&self.cluster);
        registry.gauge_fn(&names::DATABASE_STRAYS, &[], move || {
            cluster.strays.load(Ordering::Relaxed) as f64
        });
        for (who, count) in self.cluster.reads.list() {
            registry.counter_fn(&names::DATABASE_READS, &[who], move || {
                count.load(Ordering::Relaxed) as f64
            });
        }
    }

    /// Why there is no primary; none while there is one.
    pub(crate) fn why_without_primary(&self) -> Option<String> {
        if self.cluster.primary().is_some() {
            return None;
        }
        if let Some(refused) = self.cluster.why_refused() {
            return Some(format!(
                "no primary is known, and a server that answers {}",
                refused.reason()
            ));
        }
        let reasons = self.cluster.nodes.iter().filter_map(|node| node.state().ejected);
        Some(reasons.map(|e| e.reason).next().unwrap_or_else(|| "no primary is known".into()))
    }

    pub(crate) fn patience(&self) -> Patience {
        self.cluster.rules.patience
    }

    /// The answer, within the time a statement may take.
    pub(crate) async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        self.patience().keep(answer).await
    }

    /// The same of a question that may be put to somebody else. A server that owes an answer for long is probed meanwhile,
    /// and when it turns out to be lost nobody waits any longer.
    pub(crate) async fn unless_lost<T>(
        &self,
        (node, timer): (&Node, &mut Timer),
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let mut answer = std::pin::pin!(answer);
        if let Some(answer) = timer.within(SUSPECT_AFTER, answer.as_mut()).await {
            return answer;
        }
        node.suspect();
        self.cluster.alarm.notify_one();
        tokio::select! {
            biased;
            answer = self.within(answer) => answer,
            () = node.left() => Err(pool::unavailable("the server was lost before it answered")),
        }
    }

    pub(crate) fn attempts(&self, op: &'static str) -> Attempts<'_> {
        Attempts::new(self, op)
    }

    /// A connection to the primary.
    pub(crate) async fn writing(&self, op: &'static str) -> Result<Leased, Error> {
        if !self.door.load(Ordering::Acquire) {
            return Err(Error::new(op, pool::unavailable("the database was not opened yet")));
        }
        let place = self.cluster.choose_primary().map_err(|nobody| away(op, nobody))?;
        Leased::at(place, None).await.map_err(|(place, error)| {
            self.cluster.note_refused(place.node(), &error);
            Error::new(op, error)
        })
    }

    /// It owes an answer that nobody waits for any more: a probe finds out.
    pub(crate) fn suspect_primary(&self) {
        if let Some(primary) = self.cluster.primary() {
            primary.suspect();
            self.cluster.alarm.notify_one();
        }
    }

    /// Whether a change was refused because its server is no primary any more: then it was not made, and may be put to
    /// the one that is. Refused by one that is, because its role or database was told to read only, it stays refused.
    pub(crate) async fn has_moved<T>(
        &self,
        leased: &Leased,
        answer: &Result<T, sqlx::Error>,
    ) -> bool {
        let Err(error) = answer else { return false };
        if failure::of(error) != Failure::NotPrimary {
            return false;
        }
        self.probe().await;
        !self.cluster.is_primary(leased.node())
    }

    /// A connection to the primary with a transaction begun. Where the connection turns out dead, nothing was sent yet
    /// but the beginning, so another one is tried.
    pub(crate) async fn begin(&self, op: &'static str) -> Result<Leased, Error> {
        for last in [false, true] {
            let mut leased = self.writing(op).await?;
            let node = Arc::clone(leased.node());
            let mut timer = leased.take_timer();
            let begun = node.target.begin(leased.conn());
            let begun = self.unless_lost((&node, &mut timer), begun).await;
            leased.put_timer(timer);
            let Err(error) = begun else { return Ok(leased) };
            drop(leased);
            let moved = failure::is_refused_in_recovery(&error);
            let lost = failure::is_ours(&error);
            if !(self.cluster.note(&node, &error) || moved || lost) {
                return Err(Error::new(op, error));
            }
            if last {
                return Err(if moved { away(op, Nobody::Primary) } else { Error::new(op, error) });
            }
            if moved {
                self.probe().await;
            } else if !lost && self.cluster.primary().is_none() {
                // Only a probe brings an ejected server back; a restarted one answers at once.
                probe::try_again(&self.cluster, &node).await;
            }
        }
        Err(away(op, Nobody::Primary))
    }

    /// What became of a change. Its connection is kept when the answer was complete.
    pub(crate) fn settle_write<T>(
        &self,
        op: &'static str,
        leased: Leased,
        answer: Result<T, sqlx::Error>,
    ) -> Result<T, Error> {
        match &answer {
            Err(error) if self.cluster.note(leased.node(), error) => {}
            // Whatever the statement met, it was a transaction of its own or the end of one.
            Ok(_) | Err(_) => leased.give_back(),
        }
        answer.map_err(|error| Error::new(op, error))
    }

    /// Whether several servers are named: then a read may be answered by one that is behind.
    pub(crate) fn has_replicas(&self) -> bool {
        self.cluster.nodes.len() > 1
    }

    /// Whether a standby may take the primary's place, be it named or not.
    pub(crate) fn has_standbys(&self) -> bool {
        self.has_replicas() || self.cluster.followed.load(Ordering::Relaxed)
    }

    /// Connections in use, and open ones that are not.
    pub(crate) fn count_connections(&self) -> (usize, usize) {
        let counts = self.cluster.nodes.iter().map(|node| node.pool.count());
        counts.fold((0, 0), |(used, idle), (u, i)| (used + u, idle + i))
    }

    /// The most connections to each server: this process's part of the budget.
    pub(crate) fn set_pool_max(&self, max: usize) {
        for node in &self.cluster.nodes {
            node.pool.set_max(max);
        }
    }

    pub(crate) async fn close(&self) {
        for node in &self.cluster.nodes {
            node.pool.close().await;
            drop(node.line.lock().await.conn.take());
        }
    }
}

fn away(op: &'static str, nobody: Nobody) -> Error {
    Error::new(op, pool::unavailable(nobody.as_str()))
}
