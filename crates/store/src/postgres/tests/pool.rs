//! Connections: as few as possible, never more than allowed, and nothing sent for their own sake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mainstay_base::units::Span as Time;
use mainstay_testkit::{ChaosProxy, Postgres};

use super::house::{behind, count, database};
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

/// No connection is made in one turn of its task.
const SLOWLY: Duration = Duration::from_millis(300);

/// Polls it once: it has begun, and is not over.
async fn begin(future: &mut std::pin::Pin<Box<impl Future>>) {
    let once = std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx)));
    assert!(once.await.is_pending());
}

#[tokio::test]
async fn connections_that_are_being_made_are_among_those_there_may_be() {
    let servers = Postgres::start();
    let proxy = ChaosProxy::start(SocketAddr::from(([127, 0, 0, 1], servers.primary().port())));
    let name = servers.create_database();
    let small = Database { pool_max: 4, ..behind(&[proxy.address()], &name) };
    let cluster = small.open().unwrap();
    let pool = &cluster.nodes[0].pool;
    let (first, second) = (pool.take().await.unwrap(), pool.take().await.unwrap());
    proxy.delay(SLOWLY);
    let mut third = Box::pin(pool.take());
    let mut fourth = Box::pin(pool.take());
    begin(&mut third).await;
    begin(&mut fourth).await;
    pool.give_back(first);
    pool.give_back(second);
    assert_eq!(pool.count(), (0, 2));
    // Two are being made, so that there is no room for any that rests.
    pool.set_max(2);
    assert_eq!(pool.count(), (0, 0));
    // Nor is one missing.
    pool.keep_minimum(2).await.unwrap();
    proxy.heal();
    let (third, fourth) = tokio::join!(third, fourth);
    assert_eq!(pool.count(), (2, 0));
    pool.give_back(third.unwrap());
    pool.give_back(fourth.unwrap());
    assert_eq!(pool.count(), (0, 2));
    pool.close().await;
}

#[tokio::test]
async fn nothing_rests_in_a_pool_that_was_closed_or_of_before_all_were_forgotten() {
    let servers = Postgres::start();
    let proxy = ChaosProxy::start(SocketAddr::from(([127, 0, 0, 1], servers.primary().port())));
    let name = servers.create_database();
    let cluster = Database { pool_max: 4, ..behind(&[proxy.address()], &name) }.open().unwrap();
    let pool = &cluster.nodes[0].pool;
    for closes in [false, true] {
        let held = pool.take().await.unwrap();
        proxy.delay(SLOWLY);
        let mut kept = Box::pin(pool.keep_minimum(2));
        begin(&mut kept).await;
        if closes {
            pool.close().await;
        } else {
            pool.forget_all();
        }
        proxy.heal();
        drop(kept.await);
        pool.give_back(held);
        assert_eq!(pool.count(), (0, 0));
    }
    assert!(matches!(pool.take().await, Err(sqlx::Error::PoolClosed)));
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

/// Takes all connections there may be, holds them for a moment, and wants them again.
fn greedy(house: &House, most: usize) -> Load {
    let node = Arc::clone(house.node(0));
    Load::of(most, move |_| {
        let node = Arc::clone(&node);
        async move {
            // None is free: others hold them, which is the point.
            if let Ok(taken) = node.pool.take().await {
                // Held for a moment: nothing is waited for.
                tokio::time::sleep(Duration::from_millis(5)).await;
                node.pool.give_back(taken);
            }
            Ok(())
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_start_take_the_minimum_until_the_others_have_made_room() {
    const MAX: usize = 12;
    const MIN: usize = 1;
    let servers = Postgres::start();
    let name = servers.create_database();
    let (pool_max, pool_min) = (MAX as u32, MIN as u32);
    let database = Database { pool_max, pool_min, ..database(&servers, &name) };
    let first = House::open(&database).await;
    until("alone it has all", LONG, || first.node(0).pool.max() == MAX).await;
    let mut houses = vec![first];
    let mut loads = vec![greedy(&houses[0], MAX)];
    // Three start at once beside one that has everything.
    for house in join_all((0..3).map(|_| House::open(&database))).await {
        loads.push(greedy(&house, MAX));
        houses.push(house);
    }
    let open = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
    // Each may hold its minimum beyond the budget, and asks on a connection of its own how the server stands.
    let bound = MAX + houses.len() * (MIN + 1);
    let mut most = 0;
    until("all have their part", LONG, || {
        let now: usize = servers.primary().query("postgres", &open).parse().unwrap();
        most = now.max(most);
        assert!(now <= bound, "{now} connections, of at most {bound}");
        houses.iter().all(|house| house.node(0).pool.max() == MAX / 4)
    })
    .await;
    assert!(most > MAX, "{most}: they did not take what they may");
    for load in loads {
        load.finish().await;
    }
    for house in houses {
        house.finish().await;
    }
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

/// Connections are made wherever somebody asks, and used by everybody: a runtime that ends takes its own along, and nobody
/// else's question.
#[test]
fn a_runtime_that_ends_fails_no_question_on_another() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (servers, lasting) = (Postgres::start(), runtime().unwrap());
    let name = servers.create_database();
    let house =
        lasting.block_on(House::open(&Database { pool_min: 0, ..database(&servers, &name) }));
    let engine = house.store.insight().clone();
    for _ in 0..3 {
        let passing = runtime().unwrap();
        let together = join_all((0..8).map(|_| count(&engine)));
        assert!(passing.block_on(together).into_iter().all(|answer| answer.is_ok()));
        drop(passing);
        let together = join_all((0..8).map(|_| count(&engine)));
        let answers = lasting.block_on(together);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    lasting.block_on(house.finish());
}
