//! Finding out how the servers stand. The trial of an ejected server is a probe's. Somebody's question or change waits for
//! one only where nobody else may answer it, and then many wait for the same one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mainstay_base::task::Stop;
use sqlx::PgConnection;

use super::cluster::Cluster;
use super::failure;
use super::node::{Line, Node, Role};
use super::pooler;
use super::position::{Lsn, Position};
use super::standbys::is_followed;

/// How often the pools are looked after.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What a server says of itself. The replica's history is that of what it receives, where we may see it (`pg_monitor`), else
/// the newest that its control file knows of, which is never newer than the truth.
const PROBE: &str = concat!(
    "SELECT recovering,
    (CASE WHEN recovering THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
        - '0/0'::pg_lsn)::bigint,
    (CASE WHEN recovering THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
        ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint,
    CASE WHEN recovering
        THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
            (SELECT greatest(timeline_id, min_recovery_end_timeline) FROM pg_control_checkpoint(), pg_control_recovery()))
        ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END,
    coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0)::float8,
    (SELECT system_identifier FROM pg_control_system()),
    NOT recovering AND ",
    is_followed!(),
    " FROM (SELECT pg_is_in_recovery() AS recovering) AS role"
);

/// The answer to a probe.
#[derive(Clone, Copy, Debug)]
struct Seen {
    recovering: bool,
    system: i64,
    position: Position,
    received: Lsn,
    since_replay: Duration,
    is_followed: bool,
}

/// Keeps as many connections as shall be kept, and closes what has rested too long, until the soft stop.
pub(super) async fn keep_pools(cluster: Arc<Cluster>, stop: Stop) -> Result<(), Infallible> {
    loop {
        let nodes = cluster.nodes.iter().filter(|node| !node.is_ejected());
        let kept = nodes.map(|node| keep_minimum(&cluster, node));
        tokio::select! {
            biased;
            () = stop.soft() => return Ok(()),
            _ = futures_util::future::join_all(kept) => {}
        }
        if !stop.rested(UPKEEP_EVERY).await {
            return Ok(());
        }
    }
}

async fn keep_minimum(cluster: &Cluster, node: &Node) {
    let min = if cluster.rules.quiet { 0 } else { node.pool.shape().min };
    if node.state().role != Role::Stale
        && let Err(error) = node.pool.keep_minimum(min).await
    {
        cluster.note_refused(node, &error);
    }
}

/// Probes every server, and draws the conclusions. Before a history is known all are heard, because the first to answer may
/// be one whose history is over. Then nobody waits for a server that was away before, unless it may be the primary.
pub(super) async fn probe_all(cluster: &Cluster) {
    let is_known = *cluster.timeline().borrow() > 0;
    let mut awaited = 0;
    let mut probes = FuturesUnordered::new();
    for node in &cluster.nodes {
        let was_away = node.is_ejected();
        awaited += usize::from(!was_away);
        probes.push(async move {
            probe(cluster, node).await;
            was_away
        });
    }
    while let Some(was_away) = probes.next().await {
        awaited -= usize::from(!was_away);
        if is_known {
            draw_conclusions(cluster).await;
            if awaited == 0 && cluster.primary().is_some() {
                return;
            }
        }
    }
    draw_conclusions(cluster).await;
}

pub(super) async fn draw_conclusions(cluster: &Cluster) {
    cluster.settle_roles().await;
    for node in &cluster.nodes {
        judge_lag(cluster, node);
    }
}

/// Probes one server at once, when it is still ejected and nobody else has probed it since this was called: many who met
/// the same failure share one answer, and none waits for another one's trial and then for its own.
pub(super) async fn try_again(cluster: &Cluster, node: &Node) {
    let called = Instant::now();
    let mut line = node.line.lock().await;
    let is_answered = line.ended.is_some_and(|ended| ended >= called);
    if !is_answered && node.is_ejected() {
        ask(cluster, node, &mut line).await;
    }
    drop(line);
    draw_conclusions(cluster).await;
}

pub(super) async fn probe(cluster: &Cluster, node: &Node) {
    let mut line = node.line.lock().await;
    ask(cluster, node, &mut line).await;
}

/// Asks a server, and takes note of its answer.
async fn ask(cluster: &Cluster, node: &Node, line: &mut Line) {
    if node.is_ejected() {
        // A trial shows that connections can be made. Another pooler may be there.
        line.conn = None;
        node.set_cleared(false);
    }
    if let Some(reason) = pooler::refuses(node).await {
        node.put_off(reason);
        line.ended = Some(Instant::now());
        return;
    }
    match say(cluster, node, &mut line.conn).await {
        Ok(seen) => note(cluster, node, seen),
        Err(error) if is_no_news(node, &error) => node.change(|state| state.suspect = false),
        Err(error) => node.put_off(failure::reason(&error)),
    }
    line.ended = Some(Instant::now());
}

/// Whether a probe that found every connection in use, here or there, has learnt nothing: those who use them will.
fn is_no_news(node: &Node, error: &sqlx::Error) -> bool {
    let shares_the_one = node.pool.shape().max == 1 && node.pool.is_exhausted();
    !node.is_ejected() && (failure::is_busy(error) || shares_the_one)
}

async fn say(
    cluster: &Cluster,
    node: &Node,
    line: &mut Option<PgConnection>,
) -> Result<Seen, sqlx::Error> {
    type Row = (bool, i64, i64, i32, f64, i64, bool);
    let asked = over(cluster, node, line, async |conn| {
        sqlx::query_as::<_, Row>(PROBE).fetch_one(conn).await
    });
    let (recovering, replayed, received, timeline, since_replay, system, is_followed) =
        asked.await?;
    Ok(Seen {
        recovering,
        system,
        position: Position {
            timeline: timeline.cast_unsigned(),
            lsn: Lsn(replayed.cast_unsigned()),
        },
        received: Lsn(received.cast_unsigned()),
        since_replay: Duration::try_from_secs_f64(since_replay).unwrap_or_default(),
        is_followed,
    })
}

pub(super) async fn on_line<T>(
    cluster: &Cluster,
    node: &Node,
    question: impl AsyncFn(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut line = node.line.lock().await;
    over(cluster, node, &mut line.conn, question).await
}

/// Asks over the server's line, which is kept. One that was dead (the server was restarted) says nothing about the server:
/// another one is made.
async fn over<T>(
    cluster: &Cluster,
    node: &Node,
    line: &mut Option<PgConnection>,
    question: impl AsyncFn(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let (patience, connect) = (cluster.rules.probe_patience, cluster.rules.probe_connect);
    if node.pool.shape().max == 1 {
        // The server may take no more than the pool's one.
        let mut taken = connect.keep(node.pool.take()).await?;
        let answer = patience.keep(question(taken.conn())).await;
        if answer.is_ok() {
            node.pool.give_back(taken);
        }
        return answer;
    }
    if let Some(mut kept) = line.take() {
        match patience.keep(question(&mut kept)).await {
            Err(error) if failure::of(&error) == failure::Failure::Connection => {}
            answer => {
                *line = Some(kept).filter(|_| answer.is_ok());
                return answer;
            }
        }
    }
    let mut fresh = connect.keep(node.pool.connect_apart()).await?;
    let answer = patience.keep(question(&mut fresh)).await;
    *line = Some(fresh).filter(|_| answer.is_ok() && !cluster.rules.quiet);
    answer
}

fn note(cluster: &Cluster, node: &Node, seen: Seen) {
    if !seen.recovering {
        cluster.note_followed(node, seen.is_followed);
    }
    let (mut back, mut was_silent) = (false, false);
    node.change(|state| {
        back = state.ejected.take().is_some();
        was_silent = state.suspect;
        state.role = if seen.recovering { Role::Replica } else { Role::Primary };
        state.system = seen.system;
        state.position = seen.position;
        state.received = seen.received;
        state.since_replay = seen.since_replay;
        state.suspect = false;
    });
    if back {
        tracing::info!(node = node.target.name, "a database server answers again");
    }
    // Another one may have been promoted meanwhile.
    if back && !seen.recovering {
        cluster.try_everybody();
    } else if was_silent && !seen.recovering {
        cluster.ask_everybody();
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
        // What the primary had written at an earlier look is there: it was no further behind than that.
        if state.position.lsn >= state.owed.0 {
            state.caught_up_at = state.owed.1;
            state.owed = (written.lsn, Some(Instant::now()));
        }
        let since = state.caught_up_at.map(|at| at.elapsed());
        state.lag = match (state.lag_bytes, since) {
            (0, _) => Duration::ZERO,
            // Long after a change the first bytes of the next one are no old debt.
            (_, Some(since)) => state.since_replay.min(since),
            (_, None) => state.since_replay,
        };
        state.lagging =
            state.lag_bytes > cluster.rules.lag_bytes_max && state.lag > cluster.rules.lag_max;
        state.slow = state.lag > cluster.rules.catch_up && state.lag_bytes > 0;
    });
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
