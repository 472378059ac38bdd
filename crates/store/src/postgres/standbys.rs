//! Who follows the primary, and what of its log they have. A standby need not be named in the settings: behind one address
//! that moves after a failover (a virtual one, a proxy's, a provider's) the primary itself says who streams from it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_base::task::Stop;
use sqlx::PgConnection;

use super::cluster::Cluster;
use super::node::Node;
use super::position::{Lsn, Position};
use super::probe::on_line;

/// How often it is asked how far the standbys have come, while somebody waits to know.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);
/// How far standbys are that stream is shown to roles with `pg_monitor` alone. For others, what is so old is taken to be
/// there: far more than a standby in use is behind.
pub(crate) const UNTOLD: Duration = Duration::from_secs(600);
/// Nobody streamed for so long: no standby is left that could be promoted. (One with a slot of its own is to come back.)
const GONE_AFTER: Duration = Duration::from_secs(3_600);
/// A quiet database that was not asked for longer has slept: what was so before may be otherwise.
const SLEPT_AFTER: Duration = Duration::from_secs(60);

/// Whether standbys stream from this server, or are to come back: every role may see that. Whoever takes single tables
/// (a logical slot) or a backup cannot be promoted.
macro_rules! is_followed {
    () => {
        "(exists(SELECT FROM pg_stat_get_wal_senders() AS sender
            WHERE sender.state IS DISTINCT FROM 'backup' AND NOT exists(SELECT FROM pg_replication_slots AS slot
                WHERE slot.active_pid = sender.pid AND (slot.slot_type = 'logical' OR slot.temporary)))
         OR exists(SELECT FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary))"
    };
}
pub(super) use is_followed;

/// Whether a commit of this session is answered only once a standby has it on its disk.
macro_rules! is_synchronous {
    () => {
        "(current_setting('synchronous_standby_names') <> ''
            AND current_setting('synchronous_commit') IN ('on', 'remote_apply'))"
    };
}

/// The history that a primary writes.
macro_rules! timeline {
    () => {
        "('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int"
    };
}

/// Waits for a lock of the transaction, shared, and says who follows.
pub(crate) const LOCK_TOGETHER: &str = concat!(
    "SELECT ",
    is_followed!(),
    ", ",
    is_synchronous!(),
    " FROM pg_advisory_xact_lock_shared($1)"
);

const COMMITTED: &str = concat!(
    "SELECT ",
    timeline!(),
    ", (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint, ",
    is_synchronous!()
);

/// A slot of a standby's own says how far it is to everybody.
const FOLLOWERS: &str = concat!(
    "SELECT ",
    timeline!(),
    ", ",
    is_followed!(),
    ", coalesce(bool_or(sender.state IS NULL), false),
    coalesce(array_agg((coalesce(sender.flush_lsn, slot.restart_lsn) - '0/0'::pg_lsn)::bigint)
        FILTER (WHERE sender.pid IS NOT NULL), '{}')
    FROM pg_stat_replication AS sender
    LEFT JOIN pg_replication_slots AS slot ON slot.active_pid = sender.pid
    WHERE sender.state IS DISTINCT FROM 'backup'
        AND (slot.slot_type IS NULL OR (slot.slot_type = 'physical' AND NOT slot.temporary))"
);

/// How far what a replica received is safe on its disk, and of which history that is.
const RECEIVED: &str = "SELECT
    coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
        (SELECT greatest(timeline_id, min_recovery_end_timeline) FROM pg_control_checkpoint(), pg_control_recovery())),
    coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn, 0)::bigint";

/// What of the log the standbys were found to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Received {
    /// Nobody can tell now.
    #[default]
    Unknown,
    /// Each has so much safe on its disk. Never empty.
    UpTo(Vec<Position>),
    /// They have streamed for long, and this role is not shown how far they are.
    Untold,
    /// There was no standby any more when the primary was asked, which began then.
    Nobody(Instant),
}

/// Where the log ended behind a commit, asked on its connection, and whether such a commit is a standby's as well before
/// it is answered.
pub(crate) async fn find_end(conn: &mut PgConnection) -> Result<(Position, bool), sqlx::Error> {
    let (timeline, lsn, is_synchronous): (i32, i64, bool) =
        sqlx::query_as(COMMITTED).fetch_one(conn).await?;
    Ok((position(timeline, lsn), is_synchronous))
}

fn position(timeline: i32, lsn: i64) -> Position {
    Position { timeline: timeline.cast_unsigned(), lsn: Lsn(lsn.cast_unsigned()) }
}

/// Asks how far the standbys have come while somebody waits to know, until the soft stop.
pub(super) async fn confirm(cluster: Arc<Cluster>, stop: Stop) -> Result<(), Infallible> {
    let mut unnamed = Unnamed::default();
    while stop.rested(CONFIRM_EVERY).await {
        look(&cluster, &mut unnamed).await;
    }
    Ok(())
}

async fn look(cluster: &Cluster, unnamed: &mut Unnamed) {
    let is_awaited = cluster.awaits.load(Ordering::Relaxed);
    // A quiet database sleeps although something waits: it is asked again when somebody uses it.
    let is_asleep = cluster.rules.quiet && !cluster.used.load(Ordering::Relaxed);
    if is_awaited && !is_asleep {
        let received = if cluster.nodes.len() > 1 {
            ask_replicas(cluster).await
        } else {
            ask_primary(cluster, unnamed).await
        };
        cluster.received.send_replace(received);
        return;
    }
    if !is_awaited {
        // What was so then may be otherwise when somebody waits again.
        *unnamed = Unnamed::default();
    }
    cluster.received.send_if_modified(|known| std::mem::take(known) != Received::Unknown);
}

/// The replicas' own word, where they are named.
async fn ask_replicas(cluster: &Cluster) -> Received {
    let fit = cluster.nodes.iter().filter(|node| node.is_fit());
    let asked = fit.map(|node| ask_received(cluster, node));
    let all: Option<Vec<_>> = futures_util::future::join_all(asked).await.into_iter().collect();
    // One that does not say how far it has come may be the one that is promoted.
    all.filter(|all| !all.is_empty()).map_or(Received::Unknown, Received::UpTo)
}

async fn ask_received(cluster: &Cluster, node: &Node) -> Option<Position> {
    let asked = on_line(cluster, node, async |conn| {
        sqlx::query_as::<_, (i32, i64)>(RECEIVED).fetch_one(conn).await
    });
    match asked.await {
        Ok((timeline, lsn)) => Some(position(timeline, lsn)),
        Err(error) => {
            tracing::debug!(%error, node = node.target.name, "a replica does not say how far it is");
            None
        }
    }
}

/// The primary's word about its standbys.
async fn ask_primary(cluster: &Cluster, unnamed: &mut Unnamed) -> Received {
    let Some(primary) = cluster.primary() else { return Received::Unknown };
    let began = Instant::now();
    let asked = on_line(cluster, primary, async |conn| {
        sqlx::query_as::<_, (i32, bool, bool, Vec<Option<i64>>)>(FOLLOWERS).fetch_one(conn).await
    });
    match asked.await {
        Ok((timeline, is_followed, is_hidden, lsns)) => {
            let positions = lsns.into_iter().map(|lsn| Some(position(timeline, lsn?))).collect();
            let told = Told { is_followed, is_hidden, positions };
            let received = unnamed.judge(told, began);
            if matches!(received, Received::Nobody(_)) {
                cluster.followed.store(false, Ordering::Relaxed);
            }
            received
        }
        Err(error) => {
            tracing::debug!(%error, node = primary.target.name, "the primary does not say how far its standbys are");
            Received::Unknown
        }
    }
}

/// What the primary said.
#[derive(Clone, Debug, Default)]
struct Told {
    is_followed: bool,
    /// This role is not shown how far they are.
    is_hidden: bool,
    /// Of each that streams.
    positions: Vec<Option<Position>>,
}

/// Standbys that the primary alone knows.
#[derive(Debug, Default)]
struct Unnamed {
    /// When the primary was last asked.
    asked_at: Option<Instant>,
    alone_since: Option<Instant>,
    untold_since: Option<Instant>,
}

impl Unnamed {
    fn judge(&mut self, told: Told, now: Instant) -> Received {
        if self.asked_at.is_some_and(|at| now.duration_since(at) > SLEPT_AFTER) {
            *self = Self::default();
        }
        self.asked_at = Some(now);
        let since = |is_so: bool, since: Option<Instant>| is_so.then(|| since.unwrap_or(now));
        let lasts = |since: Option<Instant>, long: Duration| {
            since.is_some_and(|since| now.duration_since(since) >= long)
        };
        let streams = !told.positions.is_empty();
        let all: Option<Vec<_>> = told.positions.into_iter().collect();
        self.alone_since = since(!streams && !told.is_followed, self.alone_since);
        self.untold_since = since(streams && all.is_none() && told.is_hidden, self.untold_since);
        match all {
            Some(all) if streams => Received::UpTo(all),
            _ if lasts(self.untold_since, UNTOLD) => Received::Untold,
            _ if lasts(self.alone_since, GONE_AFTER) => Received::Nobody(now),
            _ => Received::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Fixture;
    use crate::{Database, Engine, Settings};

    #[test]
    fn who_streams_says_how_far_it_is_and_who_is_gone_for_long_is_not_waited_for() {
        let at = |lsn| Some(Position { timeline: 1, lsn: Lsn(lsn) });
        let told = |is_followed, is_hidden, positions: &[Option<Position>]| Told {
            is_followed,
            is_hidden,
            positions: positions.into(),
        };
        let up_to =
            |all: &[Option<Position>]| Received::UpTo(all.iter().copied().flatten().collect());
        let (both, one_starts) = ([at(7), at(9)], [at(7), None]);
        let nobody = told(false, false, &[]);
        let mut unnamed = Unnamed::default();
        let began = Instant::now();
        let mut before = (0, Told::default());
        for (after_s, told, expected) in [
            (0, told(true, false, &both), up_to(&both)),
            (1, told(true, false, &one_starts), Received::Unknown),
            // However long it starts: its place is shown to this role, once it has one.
            (900, told(true, false, &one_starts), Received::Unknown),
            (901, told(true, true, &one_starts), Received::Unknown),
            (1_500, told(true, true, &one_starts), Received::Unknown),
            (1_501, told(true, true, &one_starts), Received::Untold),
            (1_502, nobody.clone(), Received::Unknown),
            // It has to stream for as long again.
            (1_503, told(true, true, &one_starts), Received::Unknown),
            (2_000, nobody.clone(), Received::Unknown),
            (5_599, nobody.clone(), Received::Unknown),
            (5_600, nobody.clone(), Received::Nobody(began + Duration::from_secs(5_600))),
            // One that has a slot is to come back.
            (5_601, told(true, false, &[]), Received::Unknown),
            (9_300, told(true, false, &[]), Received::Unknown),
            (9_301, nobody, Received::Unknown),
            (9_302, told(true, false, &both), up_to(&both)),
        ] {
            // Meanwhile it is asked again and again, at times only once a minute.
            for between_s in (before.0..after_s).step_by(60) {
                unnamed.judge(before.1.clone(), began + Duration::from_secs(between_s));
            }
            before = (after_s, told.clone());
            let now = began + Duration::from_secs(after_s);
            assert_eq!(unnamed.judge(told, now), expected, "after {after_s} s");
        }
        // Nobody knows what was while it slept.
        let mut unnamed = Unnamed::default();
        for (after_s, expected) in
            [(0, Received::Unknown), (60, Received::Unknown), (600, Received::Unknown)]
        {
            let now = began + Duration::from_secs(after_s);
            assert_eq!(unnamed.judge(told(true, true, &one_starts), now), expected, "{after_s} s");
        }
    }

    #[tokio::test]
    async fn a_moment_in_which_nobody_asks_a_quiet_database_does_not_begin_the_wait_anew() {
        let server = mainstay_testkit::Postgres::start();
        let primary = Some(server.primary().url(&server.create_database()));
        let quiet = Database { primary, quiet: Some(true), ..Database::default() };
        let fixture = Fixture::open(&Settings::default(), &quiet).await;
        let Engine::Postgres(db) = fixture.core().clone() else { panic!("a database") };
        let mut unnamed = Unnamed::default();
        let mut look = async |is_awaited: bool, is_used: bool| {
            db.cluster.awaits.store(is_awaited, Ordering::Relaxed);
            db.cluster.used.store(is_used, Ordering::Relaxed);
            super::look(&db.cluster, &mut unnamed).await;
            unnamed.alone_since
        };
        let since = look(true, true).await;
        assert!(since.is_some(), "nobody follows");
        // Between a round of probes and the next question.
        assert_eq!(look(true, false).await, since);
        assert_eq!(look(true, true).await, since);
        assert_eq!(look(false, true).await, None, "nobody waits to know");
        fixture.finish().await;
    }
}
