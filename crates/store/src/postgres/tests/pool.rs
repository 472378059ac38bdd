//! Connections: as few as possible, never more than allowed, and nothing sent for their own sake.

use std::time::Duration;

use mainstay_base::units::Span as Time;
use mainstay_testkit::Postgres;

use super::house::{count, database};
use super::*;
use crate::Database;

/// After so long the pool says that it has none. Connecting is no part of it, and nobody else
/// uses it: these tests have no house, whose upkeep and recorder take connections as well.
const SOON: Time = Time(Duration::from_millis(100));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_minimum_is_kept_and_what_rests_is_closed() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let eight = Database {
        pool_max: 8,
        pool_idle: Time(Duration::ZERO),
        acquire_timeout: SOON,
        ..database(&servers, &name)
    };
    let cluster = eight.open().unwrap();
    let pool = &cluster.nodes[0].pool;
    pool.keep_minimum(3).await.unwrap();
    assert_eq!(pool.count(), (0, 3));
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(pool.take().await.unwrap());
    }
    assert_eq!(pool.count(), (8, 0));
    assert!(matches!(pool.take().await, Err(sqlx::Error::PoolTimedOut)), "a ninth");
    held.into_iter().for_each(|taken| pool.give_back(taken));
    assert_eq!(pool.count(), (0, 8));
    pool.keep_minimum(3).await.unwrap();
    assert_eq!(pool.count(), (0, 3), "the rest is closed");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_shrinks_and_grows_while_connections_are_in_use() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let small = Database { pool_max: 6, acquire_timeout: SOON, ..database(&servers, &name) };
    let cluster = small.open().unwrap();
    let pool = &cluster.nodes[0].pool;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(pool.take().await.unwrap());
    }
    pool.set_max(2);
    assert_eq!(pool.count().0, 6);
    for taken in held.drain(..5) {
        pool.give_back(taken);
    }
    let (used, idle) = pool.count();
    assert_eq!(used + idle, 2, "what is beyond the budget is closed as it comes back");
    let second = pool.take().await.unwrap();
    assert!(matches!(pool.take().await, Err(sqlx::Error::PoolTimedOut)), "two are all");
    pool.set_max(6);
    let third = pool.take().await.unwrap();
    drop((second, third));
    held.into_iter().for_each(|taken| pool.give_back(taken));
    // A connection that is lost in its holder's hands is no lasting one fewer.
    pool.set_max(2);
    let both = (pool.take().await.unwrap(), pool.take().await.unwrap());
    drop(both);
    let _both = (pool.take().await.unwrap(), pool.take().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_budget() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = Database { pool_max: 12, pool_min: 1, ..database(&servers, &name) };
    let first = House::open(&database).await;
    until("alone it has all", LONG, || first.node(0).pool.max() == 12).await;
    let second = House::open(&database).await;
    until("the second has half", LONG, || second.node(0).pool.max() == 6).await;
    until("and the first as well", LONG, || first.node(0).pool.max() == 6).await;
    second.finish().await;
    until("it has all again", LONG, || first.node(0).pool.max() == 12).await;
    first.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_reads_are_as_many_statements() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&Database { pool_min: 2, ..database(&servers, &name) }).await;
    let primary = servers.primary();
    let _ = primary.query(&name, "CREATE EXTENSION pg_stat_statements");
    // Everything this database was asked, whatever it was.
    let text = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND query NOT LIKE '%pg_stat_statements%'";
    let calls = || primary.query(&name, text).parse::<u64>().unwrap();
    // What a start does (days made ahead) is over.
    house.is_upkept().await;
    let before = calls();
    let load = Load::reads(house.store.insight(), 4);
    load.goes_on(10_000).await;
    let (asked, failed, _) = load.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    let more = calls() - before - asked;
    // Probes, and the processes that share the database counted each ten seconds (two statements).
    assert!(more <= 20, "{more} statements beside {asked} reads");
    assert!(asked >= 10_000 && count(house.store.insight()).await.is_ok());
    house.finish().await;
}
