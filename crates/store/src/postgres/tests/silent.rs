//! Servers that fall silent (connections stay open, nothing answers), and what many who wait for one do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_base::units::Span as Time;
use mainstay_testkit::Postgres;

use super::house::{count, database};
use super::*;
use crate::{Database, Engine};

const VIEWS: &str = "SELECT count(*) FROM mainstay.page_views";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_every_connection_is_in_use_is_ejected() {
    let servers = Postgres::start();
    let name = servers.create_database();
    // Nobody learns it from a statement or a connection that takes too long, nor by and by.
    let patient = Time(LONG * 4);
    let database = Database {
        pool_max: 2,
        statement_timeout: patient,
        acquire_timeout: patient,
        probe_every: patient,
        ..database(&servers, &name)
    };
    let house = House::open(&database).await;
    let engine = house.store.insight().clone();
    let load = Load::of(6, move |_| {
        let engine = engine.clone();
        // That nobody answers is what they may be told.
        async move { count(&engine).await.map(drop).or(Ok(())) }
    });
    load.goes_on(50).await;
    servers.primary().pause();
    until("it is ejected", LONG, || house.node(0).is_ejected()).await;
    servers.primary().resume();
    house.primary_is(0).await;
    load.goes_on(50).await;
    load.finish().await;
    house.finish().await;
}

/// Who wait for one server at a time.
const WAITING: usize = 20;

/// Tries until a transaction is begun.
async fn begin_at_last(engine: &Engine) {
    loop {
        if let Ok(tx) = engine.begin("test.begin").await
            && tx.commit().await.is_ok()
        {
            return;
        }
        // The pause of somebody who comes again.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_met_one_go_on_together_at_the_promoted_one() {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    let house = House::open(&Database { pool_max: 32, ..database(&servers, &name) }).await;
    servers.wait_replicated(LONG);
    let pool = &house.node(0).pool;
    let all = futures_util::future::join_all((0..WAITING).map(|_| pool.take())).await;
    all.into_iter().for_each(|taken| pool.give_back(taken.unwrap()));
    servers.primary().pause();
    house.db().suspect_primary();
    let engine = house.store.insight();
    let waiting = futures_util::future::join_all((0..WAITING).map(|_| begin_at_last(engine)));
    let promoted = async {
        until("the loss is noticed", LONG, || house.db().cluster.primary().is_none()).await;
        servers.replicas()[0].promote();
        Instant::now()
    };
    let (_, promoted) = tokio::join!(waiting, promoted);
    // One after another, each would wait for a trial of its own, which takes a second.
    assert!(
        promoted.elapsed() < Duration::from_secs(WAITING as u64 / 2),
        "{:?}",
        promoted.elapsed()
    );
    assert!(house.db().cluster.is_primary(house.node(1)));
    servers.primary().resume();
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_comes_back_is_held_against_the_others_at_once() {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    let all = [servers.primary(), &servers.replicas()[0]];
    let proxies = all.map(|node| {
        mainstay_testkit::ChaosProxy::start(std::net::SocketAddr::from((
            [127, 0, 0, 1],
            node.port(),
        )))
    });
    let ports = [proxies[0].address(), proxies[1].address()];
    let house = House::open(&house::behind(&ports, &name)).await;
    servers.wait_replicated(LONG);
    house.is_fit(1).await;
    proxies.iter().for_each(mainstay_testkit::ChaosProxy::cut);
    for place in 0..2 {
        house.db().suspect_primary();
        drop(count(house.store.insight()).await);
        until("it is ejected", LONG, || house.node(place).is_ejected()).await;
    }
    servers.replicas()[0].promote();
    // The next trial of the promoted one is far off.
    house.node(1).change(|state| {
        if let Some(ejection) = &mut state.ejected {
            ejection.retry_at = Instant::now() + LONG * 2;
        }
    });
    proxies.iter().for_each(mainstay_testkit::ChaosProxy::heal);
    let is_found = || house.role(0) == crate::postgres::Role::Stale;
    until("the old one is found out", LONG, is_found).await;
    house.primary_is(1).await;
    house.finish().await;
}

/// The next round of probes is an hour away: what is found out is not found by one.
async fn without_rounds(replicas: usize) -> (Postgres, String, House) {
    let servers = Postgres::launch().replicas(replicas).start();
    let name = servers.create_database();
    servers.wait_replicated(LONG);
    let probe_every = Time(Duration::from_secs(3_600));
    let house = House::open(&Database { probe_every, ..database(&servers, &name) }).await;
    for place in 1..=replicas {
        house.is_fit(place).await;
    }
    (servers, name, house)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_answers_after_a_silence_is_held_against_the_others_at_once() {
    let (servers, _, house) = without_rounds(1).await;
    servers.replicas()[0].promote();
    house.db().suspect_primary();
    house.primary_is(1).await;
    assert_eq!(house.role(0), crate::postgres::Role::Stale);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_nobody_follows_any_more_is_held_against_the_others_at_once() {
    let (servers, name, house) = without_rounds(2).await;
    let (first, second) = (&servers.replicas()[0], &servers.replicas()[1]);
    assert!(house.record(0).await);
    first.promote();
    second.follow(first);
    // It takes this one, which no other server will ever have.
    assert!(house.record(1).await);
    house.primary_is(1).await;
    assert_eq!(servers.primary().query(&name, VIEWS), "2");
    until("what the old one alone had is there", LONG, || first.query(&name, VIEWS) == "2").await;
    assert!(house.record(2).await);
    assert_eq!(house.count().await, 3);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_without_a_free_connection_leave_a_read_to_the_primary() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let database = Database {
        pool_max: 2,
        acquire_timeout: Time(Duration::from_millis(200)),
        ..database(&servers, &name)
    };
    let house = House::open(&database).await;
    servers.wait_replicated(LONG);
    house.is_fit(1).await;
    house.is_fit(2).await;
    let mut held = Vec::new();
    for place in [1, 1, 2, 2] {
        held.push((Arc::clone(house.node(place)), house.node(place).pool.take().await.unwrap()));
    }
    count(house.store.insight()).await.unwrap();
    assert_eq!(house.answered("no_replica"), 1);
    assert!((1..=2).all(|place| house.node(place).is_fit()), "busy is no failure");
    held.into_iter().for_each(|(node, taken)| node.pool.give_back(taken));
    house.finish().await;
}
