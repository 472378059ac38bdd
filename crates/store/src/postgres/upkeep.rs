//! What a shared database needs now and then: partitions of the coming days, ids that nobody sends again forgotten, and
//! the processes that share it counted, because the budget of connections is theirs together.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_base::task::Stop;
use uuid::Uuid;

use super::{Budget, Db, Role, partition};
use crate::ask::{ask, change};
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Store, Ts};

mod showing;
#[cfg(test)]
mod tests;

use showing::Showing;

/// How often a process says that it is there. One that was not heard of for three times as long is gone.
const SEEN_EVERY: Duration = Duration::from_secs(10);
/// How often days are made and old ids forgotten; after a round in which something went wrong, sooner.
const ROUND_EVERY: Duration = Duration::from_secs(600);
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Ids forgotten in one statement.
const FORGET_MAX: i64 = 20_000;

/// A process that shares the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its name, which it keeps over a restart.
    pub id: Uuid,
    /// Version of the product.
    pub version: String,
    /// Where it runs.
    pub region: Option<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}

/// What was listed, and when that was.
struct Heard {
    at: Timestamp,
    processes: Vec<Process>,
}

/// As of when the others were listed: who has said that it is there by then was heard. Nobody was yet by one that begins.
const SEEN: Sql = sql!(
    "INSERT INTO mainstay.nodes (id, version, region, started_at, seen_at)
     VALUES ($1, $2, $3, $4, coalesce($5, now()))
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, region = excluded.region,
     started_at = excluded.started_at, seen_at = excluded.seen_at"
);
const GONE: Sql =
    sql!("DELETE FROM mainstay.nodes WHERE id = $1 OR seen_at < now() - INTERVAL '1 day'");
/// By the database's clock, so that no machine's own matters.
const PROCESSES: Sql = sql!(
    "SELECT now(), id, version, region, started_at, seen_at FROM (SELECT) AS always
     LEFT JOIN mainstay.nodes ON seen_at > now() - INTERVAL '30 seconds' ORDER BY id"
);
/// What this machine's clock calls old, and the database's as well: one that is fast forgets nothing too early.
const FORGET: Sql = sql!(
    "DELETE FROM mainstay.event_keys WHERE key = ANY (ARRAY(
        SELECT key FROM mainstay.event_keys
        WHERE at < least($1::timestamptz, now() - make_interval(secs => $2)) LIMIT $3))"
);

/// The processes that share the database; none where there is only this one's files.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_processes(store: &Store) -> Result<Vec<Process>, Error> {
    let Engine::Postgres(_) = store.core() else { return Ok(Vec::new()) };
    Ok(hear(store).await?.processes)
}

async fn hear(store: &Store) -> Result<Heard, Error> {
    type Row = (Ts, Option<Uuid>, Option<String>, Option<String>, Option<Ts>, Option<Ts>);
    let db = &store.core().latest();
    let rows: Vec<Row> = ask!(db, "node.list", query_as(PROCESSES).fetch_all)?;
    let at = rows.first().map_or(Timestamp::EPOCH, |row| row.0.0);
    let process = |(_, id, version, region, started_at, seen_at): Row| {
        Some(Process {
            id: id?,
            version: version?,
            region,
            started_at: started_at?.0,
            seen_at: seen_at?.0,
        })
    };
    Ok(Heard { at, processes: rows.into_iter().filter_map(process).collect() })
}

/// Works until the soft stop, then says goodbye.
pub(crate) async fn run(store: Store, stop: Stop) -> Result<(), Infallible> {
    let Engine::Postgres(db) = store.core().clone() else {
        stop.soft().await;
        return Ok(());
    };
    if !store.wait_insight(&stop).await {
        return Ok(());
    }
    let started = store.clock.now();
    let mut next_round = started;
    let mut showing = Showing::default();
    loop {
        // Whoever asks later is told when it began.
        let _outage = store.find_outage();
        if !store.is_awake() {
            // Others will not count this process, and take its part.
            take_part(&store, &db, Budget::leave);
        } else {
            tell_here(&store, &db, started, &mut showing).await;
            let now = store.clock.now();
            if now >= next_round {
                let done = while_here(&store, &db, started, &mut showing, &stop).await;
                let pause = if done.is_ok() { ROUND_EVERY } else { AGAIN_AFTER };
                next_round = now.plus(pause);
                if let Err(error) = done {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the database's upkeep is put off"
                    );
                }
                db.cluster.upkept.fetch_add(1, Ordering::Relaxed);
            }
        }
        if !stop.rested(SEEN_EVERY).await {
            break;
        }
    }
    let gone = change!(store.core(), "node.leave", GONE, own_id(&db));
    if let Err(error) = gone {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "the database was not told that this process ends"
        );
    }
    Ok(())
}

/// A round may take long; meanwhile the others hear of this process as ever. Ends at a soft stop, wherever it is.
async fn while_here(
    store: &Store,
    db: &Db,
    started: Timestamp,
    showing: &mut Showing,
    stop: &Stop,
) -> Result<(), Error> {
    let telling = async {
        while stop.rested(SEEN_EVERY).await {
            tell_here(store, db, started, showing).await;
        }
    };
    tokio::select! {
        biased;
        done = round(store, db, stop) => done,
        () = telling => Ok(()),
    }
}

async fn tell_here(store: &Store, db: &Db, started: Timestamp, showing: &mut Showing) {
    if let Err(error) = say_here(store, db, started).await {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "not counted among the processes");
    }
    show_history(db, showing).await;
}

/// A replica that follows a promoted server tells an ordinary role of the new history once its control file knows of it,
/// which may take minutes: until then it counts as of the old one. Replaying that a table is gone, it writes that file
/// (`UpdateMinRecoveryPoint` in PostgreSQL's `xact_redo_commit`).
async fn show_history(db: &Db, showing: &mut Showing) {
    const OP: &str = "node.show_history";
    let cluster = &db.cluster;
    let Some(primary) = cluster.primary().map(|node| node.state().position.timeline) else {
        return;
    };
    let behind = cluster.nodes.iter().enumerate().filter_map(|(place, node)| {
        let state = node.state();
        let follows = state.role == Role::Replica && state.ejected.is_none();
        (follows && state.position.timeline < primary).then_some((place, state.position.lsn))
    });
    if !showing.is_due(primary, behind.collect()) {
        return;
    }
    let shown = async {
        let mut leased = db.begin(OP).await?;
        let words = "CREATE TABLE mainstay.of_a_moment (); DROP TABLE mainstay.of_a_moment; COMMIT";
        match db.within(sqlx::raw_sql(words).execute(leased.conn())).await {
            Ok(_) => {
                leased.give_back();
                Ok(())
            }
            Err(error) => {
                cluster.note(leased.node(), &error);
                Err(Error::new(OP, error))
            }
        }
    };
    if let Err(error) = shown.await {
        // Another process may be at it.
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "replicas may not know of the new history yet");
    }
    cluster.ask_everybody();
}

fn own_id(db: &Db) -> Uuid {
    Uuid::parse_str(db.node()).unwrap_or_default()
}

async fn say_here(store: &Store, db: &Db, started: Timestamp) -> Result<(), Error> {
    // Who is heard again has heard of those that were listed, and has given up what is theirs: only then it says so.
    let is_listed = db.cluster.lock_budget().is_listed();
    if !is_listed {
        // Saying so before anybody was listed, it has the part of one who knows nobody.
        take_part(store, db, Budget::leave);
        say(store, db, started, None).await?;
    }
    let heard = hear(store).await?;
    take_part(store, db, |budget| budget.divide(own_id(db), heard.at, &heard.processes));
    if is_listed {
        say(store, db, started, Some(&heard)).await?;
    }
    Ok(())
}

async fn say(
    store: &Store,
    db: &Db,
    started: Timestamp,
    heard: Option<&Heard>,
) -> Result<(), Error> {
    let region = store.database.region.as_deref();
    let version = env!("CARGO_PKG_VERSION");
    let (id, at) = (own_id(db), heard.map(|heard| Ts(heard.at)));
    change!(store.core(), "node.say_here", SEEN, id, version, region, Ts(started), at).map(drop)
}

/// Takes this process's part of the budget of connections, as it is after a change.
fn take_part(store: &Store, db: &Db, change: impl FnOnce(&mut Budget)) {
    let mut budget = db.cluster.lock_budget();
    change(&mut budget);
    db.set_pool_max(store.database.pool_share(budget.sharers()));
}

/// Tries everything, and answers the first thing that went wrong.
async fn round(store: &Store, db: &Db, stop: &Stop) -> Result<(), Error> {
    // Counted first: those that are found are moved at once, and somebody should hear that there were any.
    let counted = partition::list_strays(db).await;
    if let Ok(tables) = &counted {
        let strays: i64 = tables.iter().map(|(_, rows)| rows).sum();
        db.cluster.strays.store(u64::try_from(strays).unwrap_or(0), Ordering::Relaxed);
    }
    // Whatever became of that: so many that they cannot be counted in time are the more reason to move them. Before that
    // the days of whoever has none, because moving may take long; after it the days that had to wait for it.
    let ahead = async || {
        let (now, days) = (store.clock.now(), store.database.partitions_ahead);
        partition::make_ahead(store.core(), now, days).await
    };
    let mut made = ahead().await;
    let split = match partition::split_defaults(db, || !stop.is_soft()).await {
        Ok(tables) if tables.is_empty() => Ok(()),
        Ok(tables) => {
            made = ahead().await;
            tables.into_iter().try_for_each(|(_, split)| split.map(drop))
        }
        Err(error) => Err(error),
    };
    forget_ids(store, stop).await.and(counted.map(drop)).and(made).and(split)
}

async fn forget_ids(store: &Store, stop: &Stop) -> Result<(), Error> {
    let kept = store.database.event_ids_kept.0;
    let (before, seconds) = (store.clock.now().minus(kept), kept.as_secs_f64());
    while !stop.is_soft() {
        let gone =
            change!(store.core(), "event_keys.forget", FORGET, Ts(before), seconds, FORGET_MAX)?;
        if gone < FORGET_MAX.cast_unsigned() {
            break;
        }
    }
    Ok(())
}

impl Store {
    /// Rows without a partition of their day, as they were last counted: more than none means that maintenance stood still.
    #[must_use]
    pub fn strays(&self) -> u64 {
        match self.core() {
            Engine::Sqlite(_) => 0,
            Engine::Postgres(db) => Arc::clone(&db.cluster).strays.load(Ordering::Relaxed),
        }
    }
}
