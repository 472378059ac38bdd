//! PostgreSQL: one primary and any number of replicas behind one handle. Who is asked, and what becomes of a server that
//! fails, is decided here; what is asked is said by the tables.
//!
//! # Invariants
//! - A change goes to the primary of the newest history that was seen, and is never repeated once it was sent.
//! - A read is repeated at most once, on another server, and only when the connection failed.
//! - An error of a statement says nothing about the server; an error of the connection ejects it until a probe reaches it.
//! - A read that must see a change goes to a server that has replayed it, or to the primary.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_base::task::Group;
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::names;
use sqlx::PgConnection;

use crate::Error;

mod cluster;
mod failure;
pub(crate) mod migrate;
mod node;
mod nodes;
pub(crate) mod partition;
mod patience;
mod pool;
pub(crate) mod position;
mod probe;
pub(crate) mod settings;
mod target;
pub(crate) mod upkeep;

pub(crate) use cluster::Cluster;
use cluster::Nobody;
use failure::Failure;
pub(crate) use node::Leased;
pub use node::Role;
use node::{Node, Place};
pub use nodes::{NodeView, list_nodes};
pub(crate) use patience::Patience;
use position::{Lsn, Position};
pub use target::Refused;
pub use upkeep::{Process, list_processes};

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
    /// The name of this process among those that share the database.
    node: Arc<str>,
}

impl Db {
    pub(crate) fn new(cluster: Cluster, node: Arc<str>) -> Self {
        Self { cluster: Arc::new(cluster), reads: Reads::Any, node }
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// The same database, read in another way.
    pub(crate) fn reading(&self, reads: Reads) -> Self {
        Self { reads, ..self.clone() }
    }

    /// Starts the task that probes the servers and looks after the pools.
    pub(crate) fn start_probing(&self, group: &Group) {
        let cluster = Arc::clone(&self.cluster);
        group.spawn("database probes", |stop| probe::run(cluster, stop));
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

    pub(crate) fn attempts(&self, op: &'static str) -> Attempts<'_> {
        Attempts { db: self, op, failed: None, repeats: 1 }
    }

    /// A connection to the primary.
    pub(crate) async fn writing(&self, op: &'static str) -> Result<Leased, Error> {
        let place = self.cluster.choose_primary().map_err(|nobody| away(op, nobody))?;
        Leased::at(place, None).await.map_err(|(place, error)| {
            place.node().note(&error);
            self.cluster.alarm.notify_one();
            Error::new(op, error)
        })
    }

    /// A connection to the primary with a transaction begun. Where the connection turns out dead, nothing was sent yet
    /// but the beginning, so another one is tried.
    pub(crate) async fn begin(&self, op: &'static str) -> Result<Leased, Error> {
        for last in [false, true] {
            let mut leased = self.writing(op).await?;
            match self.within(sqlx::query("BEGIN").execute(leased.conn())).await {
                Ok(_) => return Ok(leased),
                Err(error) => {
                    let dead = leased.node().note(&error);
                    if last || !dead {
                        return Err(Error::new(op, error));
                    }
                    // Only a probe brings an ejected server back; a restarted one answers at once.
                    self.probe().await;
                }
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
            Err(error) if leased.node().note(error) => self.cluster.alarm.notify_one(),
            // Whatever the statement met, it was a transaction of its own or the end of one.
            Ok(_) | Err(_) => leased.give_back(),
        }
        answer.map_err(|error| Error::new(op, error))
    }

    /// Whether there is anybody who follows the primary.
    pub(crate) fn has_replicas(&self) -> bool {
        self.cluster.nodes.len() > 1
    }

    /// How far the replica that has received most has it safe on its disk, with the history it follows. Asked of each.
    pub(crate) async fn confirmed(&self) -> Option<Position> {
        const TEXT: &str = "SELECT coalesce(pg_last_wal_receive_lsn() - '0/0'::pg_lsn, 0)::bigint";
        let mut most: Option<Position> = None;
        for node in self.cluster.nodes.iter().filter(|node| node.is_fit()) {
            let Ok(mut leased) = Leased::at(Place::on(node), None).await else { continue };
            match self.within(sqlx::query_scalar(TEXT).fetch_one(leased.conn())).await {
                Ok(received) => {
                    leased.give_back();
                    let lsn = Lsn(i64::cast_unsigned(received));
                    let here = Position { timeline: node.state().position.timeline, lsn };
                    most = most.filter(|most| most.lsn >= here.lsn).or(Some(here));
                }
                Err(error) => drop(node.note(&error)),
            }
        }
        most
    }

    /// Connections in use, and open ones that are not.
    pub(crate) fn count_connections(&self) -> (usize, usize) {
        let counts = self.cluster.nodes.iter().map(|node| node.pool.count());
        counts.fold((0, 0), |(used, idle), (u, i)| (used + u, idle + i))
    }

    /// Divides the cluster's budget of connections by the processes that share it.
    pub(crate) fn set_pool_max(&self, max: usize) {
        for node in &self.cluster.nodes {
            node.pool.set_max(max);
        }
    }

    pub(crate) async fn close(&self) {
        for node in &self.cluster.nodes {
            node.pool.close().await;
        }
    }
}

/// Where the primary's log ends, asked on a connection to it.
pub(crate) async fn position_of(conn: &mut PgConnection) -> Result<Position, sqlx::Error> {
    const TEXT: &str = "SELECT ('x' || substr(pg_walfile_name(lsn), 1, 8))::bit(32)::int, (lsn - '0/0'::pg_lsn)::bigint
        FROM (SELECT pg_current_wal_insert_lsn() AS lsn) AS log";
    let (timeline, lsn): (i32, i64) = sqlx::query_as(TEXT).fetch_one(conn).await?;
    Ok(Position { timeline: timeline.cast_unsigned(), lsn: Lsn(lsn.cast_unsigned()) })
}

fn away(op: &'static str, nobody: Nobody) -> Error {
    Error::new(op, pool::unavailable(nobody.as_str()))
}

/// The servers one read is put to.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    db: &'a Db,
    op: &'static str,
    failed: Option<Arc<Node>>,
    repeats: u8,
}

impl Attempts<'_> {
    /// A connection to a server that may answer. A server that refuses one is not asked for long: the next one is.
    pub(crate) async fn lease(&mut self) -> Result<Leased, Error> {
        let cluster = &self.db.cluster;
        // One that does not use the cluster much must not write to a shared line with every read.
        if !cluster.used.load(Ordering::Relaxed) {
            cluster.used.store(true, Ordering::Relaxed);
        }
        let mut rest = cluster.nodes.len();
        loop {
            let error = match self.choose().await? {
                Ok(leased) => return Ok(leased),
                Err((place, error)) => {
                    if !place.node().note(&error) {
                        return Err(Error::new(self.op, error));
                    }
                    cluster.alarm.notify_one();
                    self.failed = Some(Arc::clone(place.node()));
                    error
                }
            };
            if rest == 0 {
                return Err(Error::new(self.op, error));
            }
            rest -= 1;
        }
    }

    async fn choose(&self) -> Result<Result<Leased, (Place, sqlx::Error)>, Error> {
        let cluster = &self.db.cluster;
        let not = self.failed.as_ref();
        match self.db.reads {
            Reads::Any => {
                let choice = cluster.choose_reader(not).map_err(|nobody| away(self.op, nobody))?;
                Ok(Leased::at(choice.place, choice.share).await)
            }
            Reads::Latest => match cluster.choose_primary() {
                Ok(place) => {
                    cluster.reads.latest.fetch_add(1, Ordering::Relaxed);
                    Ok(Leased::at(place, None).await)
                }
                // Nothing is committed while there is no primary: the replicas have nearly everything there is.
                Err(nobody) => {
                    let place = cluster.choose_replica(not).ok_or_else(|| away(self.op, nobody))?;
                    Ok(Leased::at(place, None).await)
                }
            },
            Reads::Since(wanted) => {
                if let Some(leased) = self.catch_up(wanted).await {
                    cluster.reads.replica.fetch_add(1, Ordering::Relaxed);
                    return Ok(Ok(leased));
                }
                let place = cluster.choose_primary().map_err(|nobody| away(self.op, nobody))?;
                cluster.reads.token.fetch_add(1, Ordering::Relaxed);
                Ok(Leased::at(place, None).await)
            }
        }
    }

    /// A replica that has come as far as `wanted`, or that does so in a moment.
    async fn catch_up(&self, wanted: Position) -> Option<Leased> {
        let cluster = &self.db.cluster;
        let not = self.failed.as_ref();
        let there = |node: &Node| node.state().position.includes(wanted);
        if let Some(place) = cluster.choose_replica_where(not, there) {
            return Leased::at(place, None).await.ok();
        }
        let near = |node: &Node| {
            let state = node.state();
            state.position.timeline == wanted.timeline && !state.slow
        };
        let place = cluster.choose_replica_where(not, near)?;
        let mut leased = Leased::at(place, None).await.ok()?;
        let until = Instant::now() + cluster.rules.catch_up;
        loop {
            let replayed = self.db.within(replayed_by(leased.conn())).await.ok()?;
            leased.node().reached(replayed);
            if replayed >= wanted.lsn {
                return Some(leased);
            }
            if Instant::now() >= until {
                leased.node().change(|state| state.slow = true);
                leased.give_back();
                return None;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The answer, within the time a statement may take.
    pub(crate) async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        self.db.within(answer).await
    }

    /// The end of it, or none when the question is to be put once more.
    pub(crate) fn settle<T>(
        &mut self,
        leased: Leased,
        answer: Result<T, sqlx::Error>,
    ) -> Option<Result<T, Error>> {
        let error = match answer {
            Ok(answer) => {
                leased.give_back();
                return Some(Ok(answer));
            }
            Err(error) => error,
        };
        let node = Arc::clone(leased.node());
        let elsewhere = match failure::of(&error) {
            Failure::Statement => {
                leased.give_back();
                false
            }
            Failure::ReplayConflict => {
                leased.give_back();
                true
            }
            Failure::Connection | Failure::Silence | Failure::NotPrimary => {
                node.note(&error);
                self.db.cluster.alarm.notify_one();
                true
            }
        };
        if elsewhere && self.repeats > 0 {
            self.repeats -= 1;
            self.failed = Some(node);
            return None;
        }
        Some(Err(Error::new(self.op, error)))
    }
}

/// How long between two looks at a replica that is about to catch up.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

async fn replayed_by(conn: &mut PgConnection) -> Result<Lsn, sqlx::Error> {
    const TEXT: &str = "SELECT coalesce(pg_last_wal_replay_lsn() - '0/0'::pg_lsn, 0)::bigint";
    let lsn: i64 = sqlx::query_scalar(TEXT).fetch_one(conn).await?;
    Ok(Lsn(lsn.cast_unsigned()))
}
