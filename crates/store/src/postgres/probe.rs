//! Finding out how the servers stand: each now and then, one that failed soon and then less and less often. The trial of
//! an ejected server is a probe's, never a visitor's.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_base::task::Stop;

use super::cluster::Cluster;
use super::failure;
use super::node::{Leased, Node, Place, Role};
use super::position::{Lsn, Position};

/// How often the pools are looked after.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Looks are at least so far apart.
const BREATH: Duration = Duration::from_millis(20);
/// Without a primary, whoever follows is asked so often whether it has been promoted.
const PROMOTED_EVERY: Duration = Duration::from_millis(500);

/// What a server says of itself. The replica's history is that of what it receives, where we may see it, else that of
/// its last restart point, which is never newer than the truth.
const PROBE: &str = "SELECT recovering,
    (CASE WHEN recovering THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
        - '0/0'::pg_lsn)::bigint,
    (CASE WHEN recovering THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
        ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint,
    CASE WHEN recovering
        THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))
        ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END,
    coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0)::float8
    FROM (SELECT pg_is_in_recovery() AS recovering) AS role";

/// The answer to a probe.
#[derive(Clone, Copy, Debug)]
struct Seen {
    recovering: bool,
    position: Position,
    received: Lsn,
    since_replay: Duration,
}

/// Probes until the soft stop.
pub(super) async fn run(cluster: Arc<Cluster>, stop: Stop) -> Result<(), Infallible> {
    let mut next_round = Instant::now() + cluster.rules.probe_every;
    let mut next_upkeep = Instant::now();
    loop {
        let wake = list_trials(&cluster).chain([next_round, next_upkeep]).min();
        let wait = wake.map_or(UPKEEP_EVERY, |at| at.saturating_duration_since(Instant::now()));
        tokio::select! {
            biased;
            () = stop.soft() => return Ok(()),
            // Many may miss the primary at once: they share the next look.
            () = cluster.alarm.notified() => tokio::time::sleep(BREATH).await,
            () = tokio::time::sleep(wait.max(BREATH)) => {}
        }
        let now = Instant::now();
        let is_round = now >= next_round && is_wanted(&cluster);
        if now >= next_round {
            next_round = now + cluster.rules.probe_every;
        }
        // Without a primary everybody is asked whether it has become one, as often as an ejected server is tried.
        let lost = cluster.primary().is_none();
        probe_where(&cluster, |node| {
            let trial = node.state().ejected.map(|e| e.retry_at);
            trial.map_or(is_round || lost, |at| at <= now)
        })
        .await;
        if now >= next_upkeep {
            next_upkeep = now + UPKEEP_EVERY;
            keep_minima(&cluster).await;
        }
    }
}

/// A quiet cluster is left alone until somebody asks.
fn is_wanted(cluster: &Cluster) -> bool {
    cluster.used.swap(false, Ordering::Relaxed) || !cluster.rules.quiet
}

/// When the ejected servers are tried again, and the others asked whether one of them is the primary now. Of a quiet
/// cluster only while somebody asks.
fn list_trials(cluster: &Cluster) -> impl Iterator<Item = Instant> {
    let awake = !cluster.rules.quiet || cluster.used.load(Ordering::Relaxed);
    let trials = cluster.nodes.iter().filter_map(|node| node.state().ejected.map(|e| e.retry_at));
    let lost = cluster.primary().is_none().then(|| Instant::now() + PROMOTED_EVERY);
    trials.chain(lost).filter(move |_| awake)
}

/// Probes every server, and draws the conclusions.
pub(super) async fn probe_all(cluster: &Cluster) {
    probe_where(cluster, |_| true).await;
}

async fn probe_where(cluster: &Cluster, wanted: impl Fn(&Node) -> bool) {
    let nodes: Vec<_> = cluster.nodes.iter().filter(|node| wanted(node)).collect();
    if nodes.is_empty() {
        return;
    }
    let probes = nodes.iter().map(|node| probe(cluster, node));
    futures_util::future::join_all(probes).await;
    cluster.settle_roles();
    for node in &cluster.nodes {
        judge_lag(cluster, node);
    }
}

async fn probe(cluster: &Cluster, node: &Arc<Node>) {
    match ask(cluster, node).await {
        Ok(seen) => note(node, seen),
        // A probe that found every connection in use has learnt nothing: those who use them will.
        Err(_) if node.pool.is_exhausted() && node.state().ejected.is_none() => {}
        Err(error) => node.put_off(failure::reason(&error)),
    }
}

async fn ask(cluster: &Cluster, node: &Arc<Node>) -> Result<Seen, sqlx::Error> {
    let patience = cluster.rules.probe_patience;
    let lease = async { Leased::at(Place::on(node), None).await.map_err(|(_, error)| error) };
    let mut leased = patience.keep(lease).await?;
    let (recovering, replayed, received, timeline, since_replay): (bool, i64, i64, i32, f64) =
        patience.keep(sqlx::query_as(PROBE).fetch_one(leased.conn())).await?;
    leased.give_back();
    Ok(Seen {
        recovering,
        position: Position {
            timeline: timeline.cast_unsigned(),
            lsn: Lsn(replayed.cast_unsigned()),
        },
        received: Lsn(received.cast_unsigned()),
        since_replay: Duration::try_from_secs_f64(since_replay).unwrap_or_default(),
    })
}

fn note(node: &Node, seen: Seen) {
    let mut back = false;
    node.change(|state| {
        back = state.ejected.take().is_some();
        state.role = if seen.recovering { Role::Replica } else { Role::Primary };
        state.position = seen.position;
        state.received = seen.received;
        state.lag = seen.since_replay;
    });
    if back {
        tracing::info!(node = node.target.name, "a database server answers again");
    }
}

/// A replica is behind when bytes are missing; since when tells its last replayed transaction. An idle primary writes
/// nothing, so that time alone says nothing (and bytes alone may be a moment's).
fn judge_lag(cluster: &Cluster, node: &Node) {
    let written = cluster.written();
    node.change(|state| {
        if state.role != Role::Replica {
            (state.lag_bytes, state.lag, state.lagging) = (0, Duration::ZERO, false);
            return;
        }
        state.lag_bytes = state.position.lsn.bytes_to(written.lsn);
        if state.lag_bytes == 0 {
            state.lag = Duration::ZERO;
        }
        state.lagging =
            state.lag_bytes > cluster.rules.lag_bytes_max && state.lag > cluster.rules.lag_max;
        state.slow = state.lag > cluster.rules.catch_up && state.lag_bytes > 0;
    });
}

async fn keep_minima(cluster: &Cluster) {
    for node in &cluster.nodes {
        let min = if cluster.rules.quiet { 0 } else { node.pool.shape().min };
        if node.state().ejected.is_none()
            && let Err(error) = node.pool.keep_minimum(min).await
        {
            node.note(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Fixture;
    use crate::{Database, Engine, Settings};

    #[tokio::test]
    async fn a_server_whose_every_connection_is_in_use_is_well() {
        let server = mainstay_testkit::Postgres::shared();
        let primary = Some(server.primary_url(&server.create_database()));
        let one = Database { primary, pool_min: 0, pool_max: 1, ..Database::default() };
        let fixture = Fixture::open(&Settings::default(), &one).await;
        let Engine::Postgres(db) = fixture.core().clone() else { panic!("a database") };
        let held = db.begin("test").await.unwrap();
        db.probe().await;
        assert_eq!(db.why_without_primary(), None);
        drop(held);
        db.probe().await;
        assert_eq!(db.why_without_primary(), None);
        fixture.finish().await;
    }
}
