//! A serverless database that has gone to sleep: waking it takes seconds, which is no failure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use mainstay_base::units::Span as Time;
use mainstay_testkit::{ChaosProxy, Postgres};

use super::house::{behind, count, settings, view};
use super::warnings::Warnings;
use super::*;
use crate::{Database, Health, Settings};

/// Longer than a connection may take, a probe, or the recorder's patience.
const WAKES_IN: Duration = Duration::from_secs(3);

/// A database of which nobody but the test asks anything, behind a network that may fail. Changed as the test needs it.
struct Sleeper {
    _servers: Postgres,
    proxy: ChaosProxy,
    database: Database,
}

impl Sleeper {
    fn start() -> Self {
        let servers = Postgres::start();
        let proxy = ChaosProxy::start(SocketAddr::from(([127, 0, 0, 1], servers.primary().port())));
        let name = servers.create_database();
        let rarely = Time(Duration::from_secs(600));
        let database = Database {
            quiet: Some(true),
            quiet_after: rarely,
            probe_every: rarely,
            ..behind(&[proxy.address()], &name)
        };
        Self { _servers: servers, proxy, database }
    }
}

/// A house on it, once its upkeep is over.
async fn open(database: &Database) -> House {
    open_with(database, &settings()).await
}

async fn open_with(database: &Database, settings: &Settings) -> House {
    let house = House::open_with(Arc::new(tempfile::tempdir().unwrap()), database, settings).await;
    house.is_upkept().await;
    house
}

/// So many connections that have rested for too long to be trusted, and not long enough to be closed.
async fn have_rested(house: &House, many: usize) {
    let pool = &house.node(0).pool;
    let held = join_all((0..many).map(|_| pool.take())).await;
    held.into_iter().for_each(|taken| pool.give_back(taken.unwrap()));
    pool.rest_for(LONG * 3);
}

/// What comes while it sleeps, all at once: events, questions, a probe.
async fn is_woken_without_a_word(proxy: &ChaosProxy, house: &House, events: std::ops::Range<u32>) {
    let warnings = Warnings::of("mainstay_store");
    // It slept because nothing was said for long: no connection was kept.
    house.node(0).pool.forget_all();
    proxy.sleep(WAKES_IN);
    let began = Instant::now();
    let recorded = join_all(events.clone().map(|n| house.recorder.record(view(n))));
    let counted = join_all((0..5).map(|_| count(house.store.insight())));
    let (recorded, counted, ()) = tokio::join!(recorded, counted, house.db().probe());
    assert!(began.elapsed() >= WAKES_IN && !proxy.is_asleep(), "{:?}", began.elapsed());
    for written in recorded {
        assert!(!written.expect("acknowledged").waits, "it went to this machine's disk");
    }
    for counted in counted {
        counted.expect("an answer");
    }
    assert_eq!(warnings.count(), 0, "it was told as an outage");
    assert_eq!(house.recorder.health(), Health::Ok);
    assert_eq!(house.store.find_outage(), None);
    assert_eq!(house.count().await, i64::from(events.end), "every event is there");
}

#[tokio::test]
async fn a_cold_start_is_no_ejection() {
    let Sleeper { proxy, database, _servers } = Sleeper::start();
    let house = open(&database).await;
    is_woken_without_a_word(&proxy, &house, 0..20).await;
    house.finish().await;
    // Neon's may sleep although it is asked now and then.
    let primary =
        database.primary.as_ref().map(|url| format!("{url}?application_name=a.neon.tech"));
    let house = open(&Database { primary, quiet: Some(false), ..database }).await;
    is_woken_without_a_word(&proxy, &house, 20..40).await;
    house.finish().await;
}

#[tokio::test]
async fn one_that_does_not_wake_up_is_away_and_events_wait() {
    let Sleeper { proxy, database, _servers } = Sleeper::start();
    let house = open(&Database {
        wake_timeout: Time(Duration::from_secs(1)),
        connect_timeout: Time(Duration::from_millis(500)),
        ..database
    })
    .await;
    house.node(0).pool.forget_all();
    proxy.sleep(LONG);
    let recorded = join_all((0..20).map(|n| house.recorder.record(view(n)))).await;
    assert!(house.node(0).is_ejected(), "it is known to be away");
    for written in recorded {
        assert!(written.expect("acknowledged").waits, "safe on this machine's disk");
    }
    proxy.heal();
    until("everything that waited", LONG, || house.recorder.spooled() == 0).await;
    assert_eq!(house.count().await, 20);
    house.finish().await;
}

#[tokio::test]
async fn many_connections_that_lead_nowhere_are_given_up_at_once() {
    const RESTED: usize = 16;
    let Sleeper { proxy, database, _servers } = Sleeper::start();
    // Each is waited for as long as the whole: with all of them that would be a quarter of a minute.
    let second = Time(Duration::from_secs(1));
    let database = Database { wake_timeout: second, connect_timeout: second, ..database };
    let house = open(&database).await;
    have_rested(&house, RESTED).await;
    proxy.half_open();
    let began = Instant::now();
    house.db().wake().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    // That they are open says nothing, nor that they answered long ago.
    assert_eq!(house.node(0).pool.count(), (0, 0));
    proxy.heal();
    house.finish().await;
}

#[tokio::test]
async fn more_than_the_queue_holds_goes_to_disk_while_it_wakes_up_and_nothing_is_refused() {
    const EVENTS: u32 = 300;
    let Sleeper { proxy, database, _servers } = Sleeper::start();
    let short = Settings { recorder_queue_batches: 32, commit_batches_max: 8, ..settings() };
    let house = open_with(&database, &short).await;
    house.node(0).pool.forget_all();
    proxy.sleep(WAKES_IN);
    // A hundred in a second, for as long as it wakes up.
    let mut every = tokio::time::interval(Duration::from_millis(10));
    let mut sent = FuturesUnordered::new();
    let (mut waited, mut n) = (0, 0);
    while n < EVENTS || !sent.is_empty() {
        tokio::select! {
            _ = every.tick(), if n < EVENTS => {
                sent.push(house.recorder.record(view(n)));
                n += 1;
            }
            Some(written) = sent.next() => {
                waited += u32::from(written.expect("acknowledged").waits);
            }
        }
    }
    drop(sent);
    assert!(waited > 0, "the queue was full before it was awake");
    until("everything that waited", LONG, || house.recorder.spooled() == 0).await;
    assert_eq!(house.count().await, i64::from(EVENTS), "each once");
    assert!(!house.node(0).is_ejected());
    house.finish().await;
}

#[tokio::test]
async fn one_that_is_silent_on_connections_that_rested_is_known_to_be_away() {
    let Sleeper { proxy, database, _servers } = Sleeper::start();
    let wake_timeout = Time(Duration::from_secs(3));
    let house = open(&Database { wake_timeout, ..database }).await;
    have_rested(&house, 2).await;
    proxy.half_open();
    house.db().wake().await;
    assert!(house.node(0).is_ejected(), "it is neither awake nor away");
    house.finish().await;
}

#[tokio::test]
async fn who_has_every_connection_in_use_keeps_them() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = Database {
        quiet: Some(true),
        quiet_after: Time(Duration::from_secs(600)),
        pool_max: 1,
        acquire_timeout: Time(Duration::from_secs(2)),
        wake_timeout: Time(Duration::from_millis(1)),
        ..super::house::database(&servers, &name)
    };
    let house = House::open(&database).await;
    house.is_upkept().await;
    let pool = &house.node(0).pool;
    let held = house.db().begin("test").await.unwrap();
    pool.rest_for(Duration::from_secs(61));
    house.db().wake().await;
    held.give_back();
    assert_eq!(pool.count(), (0, 1), "it is kept");
    house.finish().await;
}
