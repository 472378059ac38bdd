//! One read and the servers it is put to: who is chosen, who is asked next when that one fails, and how long a replica is
//! waited for that has to catch up. Changes have no place here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::{Instant, sleep, timeout_at};

use super::cluster::Nobody;
use super::failure::{self, Failure};
use super::node::{Leased, Node, Place};
use super::patience::Timer;
use super::position::{Lsn, Position};
use super::{Db, Reads, away, probe};
use crate::Error;

/// The servers one read is put to.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    db: &'a Db,
    op: &'static str,
    /// Who failed, or had no connection to give.
    failed: Vec<Arc<Node>>,
    /// Who is asked now, and what his answer is timed with.
    asked: Option<(Arc<Node>, Timer)>,
    repeats: u8,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(db: &'a Db, op: &'static str) -> Self {
        Self { db, op, failed: Vec::new(), asked: None, repeats: 1 }
    }
}

impl Attempts<'_> {
    /// A connection to a server that may answer. A server that refuses one is not asked for long: the next one is. Where
    /// every connection of one is in use, those that were not asked yet are, each once.
    pub(crate) async fn lease(&mut self) -> Result<Leased, Error> {
        let cluster = &self.db.cluster;
        // One that does not use the cluster much must not write to a shared line with every read.
        if !cluster.used.load(Ordering::Relaxed) {
            cluster.used.store(true, Ordering::Relaxed);
        }
        // What nearly every read gets: a connection that rests at a fit replica. One that has none has had its turn all the
        // same, and makes one.
        let mut first = None;
        if let Some(place) = self.choose_plainly() {
            match Leased::resting_at(place) {
                Ok(leased) => return Ok(self.asking(leased)),
                Err(place) => first = Some(place),
            }
        }
        let mut rest = cluster.nodes.len();
        loop {
            let chosen = match first.take() {
                Some(place) => Leased::at(place, None).await,
                None => self.choose().await?,
            };
            let (place, error) = match chosen {
                Ok(leased) => return Ok(self.asking(leased)),
                Err(refused) => refused,
            };
            let node = Arc::clone(place.node());
            drop(place);
            cluster.note_refused(&node, &error);
            // The primary is the last resort: whoever is sent there would be sent there again.
            let is_last = failure::is_busy(&error) && cluster.is_primary(&node);
            if rest == 0 || is_last {
                return Err(Error::new(self.op, error));
            }
            rest -= 1;
            self.note_failed(node);
        }
    }

    fn asking(&mut self, mut leased: Leased) -> Leased {
        self.asked = Some((Arc::clone(leased.node()), leased.take_timer()));
        leased
    }

    /// A fit replica, where any may answer and nobody has failed.
    fn choose_plainly(&self) -> Option<Place> {
        let is_plain =
            self.db.reads == Reads::Any && self.db.pin.is_none() && self.failed.is_empty();
        let place = is_plain.then(|| self.db.cluster.choose_replica(&[])).flatten()?;
        self.db.cluster.reads.replica.fetch_add(1, Ordering::Relaxed);
        Some(place)
    }

    fn note_failed(&mut self, node: Arc<Node>) {
        if !self.has_failed(&node) {
            self.failed.push(node);
        }
    }

    fn has_failed(&self, node: &Arc<Node>) -> bool {
        self.failed.iter().any(|failed| Arc::ptr_eq(failed, node))
    }

    async fn choose(&self) -> Result<Result<Leased, (Place, sqlx::Error)>, Error> {
        match self.choose_once().await {
            // Nobody else may answer: a server that was restarted does, on another connection.
            Err(nobody) => {
                let Some(failed) = self.failed.last() else { return Err(away(self.op, nobody)) };
                probe::try_again(&self.db.cluster, failed).await;
                self.choose_once().await.map_err(|nobody| away(self.op, nobody))
            }
            Ok(chosen) => Ok(chosen),
        }
    }

    async fn choose_once(&self) -> Result<Result<Leased, (Place, sqlx::Error)>, Nobody> {
        let cluster = &self.db.cluster;
        let not = self.failed.as_slice();
        let reads = match self.db.pin.as_deref().and_then(|pin| Some((pin, pin.node.get()?))) {
            None => self.db.reads,
            Some((pin, pinned)) => {
                if !pin.is_lost.load(Ordering::Relaxed) && !self.has_failed(pinned) {
                    if let Some(place) = cluster.choose_again(pinned) {
                        return Ok(Leased::at(place, None).await);
                    }
                    if self.db.reads == Reads::Any && cluster.is_primary(pinned) {
                        let choice = cluster.choose_stand_in()?;
                        return Ok(Leased::at(choice.place, choice.share).await);
                    }
                }
                // Another replica may be behind the one that was lost; so may that one be, when it comes back, behind
                // what the primary has told since.
                pin.is_lost.store(true, Ordering::Relaxed);
                Reads::Latest
            }
        };
        match reads {
            Reads::Any => {
                let choice = cluster.choose_reader(not)?;
                Ok(Leased::at(choice.place, choice.share).await)
            }
            Reads::Latest => match cluster.choose_primary() {
                Ok(place) => {
                    cluster.reads.latest.fetch_add(1, Ordering::Relaxed);
                    Ok(Leased::at(place, None).await)
                }
                // Nothing is committed while there is no primary: the replicas have nearly everything there is.
                Err(nobody) => {
                    let place = cluster.choose_furthest(not).ok_or(nobody)?;
                    Ok(Leased::at(place, None).await)
                }
            },
            Reads::Since(wanted) => {
                if let Some(leased) = self.catch_up(wanted).await {
                    cluster.reads.replica.fetch_add(1, Ordering::Relaxed);
                    return Ok(Ok(leased));
                }
                let place = cluster.choose_primary()?;
                cluster.reads.token.fetch_add(1, Ordering::Relaxed);
                Ok(Leased::at(place, None).await)
            }
        }
    }

    /// A replica that has come as far as `wanted`, or that does so in a moment.
    async fn catch_up(&self, wanted: Position) -> Option<Leased> {
        let cluster = &self.db.cluster;
        let not = self.failed.as_slice();
        let there = |node: &Node| node.state().position.includes(wanted);
        let near = |node: &Node| {
            let state = node.state();
            state.position.timeline == wanted.timeline && !state.slow && !state.suspect
        };
        let place = cluster
            .choose_replica_where(not, there)
            .or_else(|| cluster.choose_replica_where(not, near))?;
        let node = Arc::clone(place.node());
        match look(place, wanted, cluster.rules.catch_up).await {
            Ok(Some(leased)) => Some(leased),
            Ok(None) => {
                node.change(|state| state.slow = true);
                None
            }
            Err(error) => {
                cluster.note(&node, &error);
                None
            }
        }
    }

    /// The answer, within the time a statement may take. A server that owes one for long is probed meanwhile, and when it
    /// turns out to be lost nobody waits any longer.
    pub(crate) async fn within<T>(
        &mut self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        match &mut self.asked {
            Some((node, timer)) => self.db.unless_lost((node, timer), answer).await,
            None => self.db.within(answer).await,
        }
    }

    /// The end of it, or none when the question is to be put once more.
    pub(crate) fn settle<T>(
        &mut self,
        mut leased: Leased,
        answer: Result<T, sqlx::Error>,
    ) -> Option<Result<T, Error>> {
        if let Some((_, timer)) = self.asked.take() {
            leased.put_timer(timer);
        }
        let error = match answer {
            Ok(answer) => {
                if let Some(pin) = &self.db.pin {
                    pin.node.get_or_init(|| Arc::clone(leased.node()));
                }
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
            // Nobody stands in for the primary: it would be asked again.
            Failure::Exhausted => {
                leased.give_back();
                !self.db.cluster.primary().is_some_and(|primary| Arc::ptr_eq(primary, &node))
            }
            Failure::Connection | Failure::Silence | Failure::NotPrimary => {
                self.db.cluster.note(&node, &error);
                true
            }
        };
        if elsewhere && self.repeats > 0 {
            self.repeats -= 1;
            self.note_failed(node);
            return None;
        }
        Some(Err(Error::new(self.op, error)))
    }
}

/// How long between two looks at a replica that is about to catch up.
const LOOK_AGAIN: Duration = Duration::from_millis(3);

/// Looks again and again until the replica has come far enough; none when it has not within this time. Its connection is
/// given back then, unless it owes an answer.
async fn look(
    place: Place,
    wanted: Position,
    within: Duration,
) -> Result<Option<Leased>, sqlx::Error> {
    let deadline = Instant::now() + within;
    let is_there = place.node().state().position.includes(wanted);
    let Ok(leased) = timeout_at(deadline, Leased::at(place, None)).await else { return Ok(None) };
    let mut leased = leased.map_err(|(_, error)| error)?;
    if is_there {
        return Ok(Some(leased));
    }
    loop {
        let replayed = timeout_at(deadline, replayed_by(leased.conn())).await;
        let Ok(replayed) = replayed else { return Ok(None) };
        let replayed = replayed?;
        leased.node().reached(replayed);
        if replayed >= wanted.lsn {
            return Ok(Some(leased));
        }
        // A look that is begun has room to end: cut off, its connection owes an answer and is closed.
        if deadline <= Instant::now() + 3 * LOOK_AGAIN {
            leased.give_back();
            return Ok(None);
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn replayed_by(conn: &mut PgConnection) -> Result<Lsn, sqlx::Error> {
    const TEXT: &str = "SELECT coalesce(pg_last_wal_replay_lsn() - '0/0'::pg_lsn, 0)::bigint";
    let lsn: i64 = sqlx::query_scalar(TEXT).fetch_one(conn).await?;
    Ok(Lsn(lsn.cast_unsigned()))
}
