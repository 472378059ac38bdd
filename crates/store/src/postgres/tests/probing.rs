//! One server that does not answer is nobody else's matter: the others are asked meanwhile, and it has its own time.

use std::net::SocketAddr;
use std::time::Instant;

use mainstay_base::units::Span as Time;
use mainstay_testkit::{ChaosProxy, Postgres};

use super::house::{behind, database, words};
use super::*;
use crate::{Database, rollup};

/// A primary and two replicas of which the first, ejected, is silent, and its trial under way: a database that may sleep is
/// given long to wake up.
async fn beside_a_silent_replica() -> (Postgres, ChaosProxy, String, House) {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let [first, second] = servers.replicas() else { panic!("two") };
    let proxy = ChaosProxy::start(at(first.port()));
    let ports = [at(servers.primary().port()), proxy.address(), at(second.port())];
    let database = behind(&ports, &name);
    let primary = database.primary.map(|url| format!("{url}?application_name=a.neon.tech"));
    let (quiet, wake_timeout) = (Some(false), Time(LONG * 4));
    let house = House::open(&Database { primary, quiet, wake_timeout, ..database }).await;
    servers.wait_replicated(LONG);
    house.is_fit(1).await;
    house.is_fit(2).await;
    proxy.half_open();
    house.node(1).suspect();
    house.db().cluster.ask_everybody();
    until("it is ejected", LONG, || house.node(1).is_ejected()).await;
    let is_tried = || house.node(1).line.try_lock().is_err();
    until("a trial that lasts", LONG, is_tried).await;
    (servers, proxy, name, house)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_is_found_while_another_server_is_tried() {
    let (servers, _proxy, _, house) = beside_a_silent_replica().await;
    servers.primary().kill();
    servers.replicas()[1].promote();
    house.db().suspect_primary();
    house.primary_is(2).await;
    assert!(house.node(1).line.try_lock().is_err(), "the trial is over");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_change_waits_for_no_server_that_was_away_before() {
    let (servers, _proxy, name, house) = beside_a_silent_replica().await;
    let text = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    let _ = servers.primary().query("postgres", &text);
    house.node(0).pool.forget_all();
    let change = rollup::mark_dirty(house.store.insight(), "refused", crate::contract::NOON);
    let refused = tokio::time::timeout(LONG, change).await.expect("an answer").unwrap_err();
    assert!(words(&refused).contains("read-only"), "{}", words(&refused));
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_that_answers_brings_nobodys_trial_forward() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let probe_every = Time(LONG * 100);
    let house = House::open(&Database { probe_every, ..database(&servers, &name) }).await;
    servers.wait_replicated(LONG);
    house.is_fit(1).await;
    house.is_fit(2).await;
    servers.replicas()[0].kill();
    house.node(1).suspect();
    house.db().cluster.ask_everybody();
    until("it is ejected", LONG, || house.node(1).is_ejected()).await;
    let retry_at = Instant::now() + LONG * 100;
    let put_off = |state: &mut crate::postgres::node::State| {
        state.ejected.as_mut().unwrap().retry_at = retry_at;
    };
    // Once its trial is over.
    let ended = house.node(1).line.lock().await;
    house.node(1).change(put_off);
    drop(ended);
    // What the first answer brings about is over when the third comes.
    for _ in 0..3 {
        for place in [0, 2] {
            house.node(place).suspect();
            house.db().cluster.alarm.notify_one();
            until("an answer", LONG, || !house.node(place).is_suspect()).await;
        }
    }
    let ejection = house.node(1).state().ejected.expect("it is away");
    assert_eq!(ejection.retry_at, retry_at, "{ejection:?}");
    house.finish().await;
}
