//! Reads go to replicas, evenly, and none fails when one of them does.

use std::net::SocketAddr;
use std::time::Duration;

use mainstay_testkit::{ChaosProxy, Postgres};

use super::house::{behind, count, database};
use super::*;
use crate::Error;
use crate::postgres::{Db, Reads};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_spread_over_the_replicas_one_by_one_and_many_at_a_time() {
    let (servers, name, house) = House::with_replicas(2).await;
    let before = tally(&servers, &name);
    for _ in 0..3_000 {
        count(house.store.insight()).await.unwrap();
    }
    check_shares(&before, &tally(&servers, &name), 3_000, 40);
    assert_eq!(house.node(1).in_flight(), 0, "nothing is left under way");
    assert_eq!(house.answered("replica"), 3_000);
    let before = tally(&servers, &name);
    let load = Load::reads(house.store.insight(), 8);
    load.goes_on(3_000).await;
    let (asked, failed, _) = load.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    // How many each answers follows from how fast it is at that moment (`cluster::tests` has the rule).
    check_shares(&before, &tally(&servers, &name), asked, 1);
    house.finish().await;
}

/// How often each server was asked for the totals.
fn tally(servers: &Postgres, name: &str) -> Vec<u64> {
    let all = std::iter::once(servers.primary()).chain(servers.replicas());
    let first = servers.primary();
    let _ = first.query(name, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
    servers.wait_replicated(LONG);
    let text = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND query LIKE '%page_views%' AND query LIKE '%count%'
        AND query NOT LIKE '%pg_stat_statements%'";
    all.map(|node| node.query(name, text).parse().unwrap()).collect()
}

/// Each replica answered at least so many in a hundred, and nobody else any.
fn check_shares(before: &[u64], after: &[u64], asked: u64, percent: u64) {
    let answered: Vec<_> = before.iter().zip(after).map(|(before, after)| after - before).collect();
    assert_eq!(answered[0], 0, "the primary: {answered:?}");
    assert_eq!(answered.iter().sum::<u64>(), asked, "one statement per read: {answered:?}");
    for share in &answered[1..] {
        assert!(share * 100 >= asked * percent, "{answered:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_to_the_own_region_first_and_elsewhere_when_it_is_lost() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let mut database = database(&servers, &name);
    database.replicas[0].push_str("?region=west");
    database.replicas[1].push_str("?region=east");
    database.region = Some("east".into());
    let house = House::open(&database).await;
    servers.wait_replicated(LONG);
    let before = tally(&servers, &name);
    for _ in 0..100 {
        count(house.store.insight()).await.unwrap();
    }
    let after = tally(&servers, &name);
    assert_eq!((after[1] - before[1], after[2] - before[2]), (0, 100));
    servers.replicas()[1].kill();
    for _ in 0..10 {
        count(house.store.insight()).await.unwrap();
    }
    // One of them was put to the lost one first.
    assert!((110..=111).contains(&house.answered("replica")), "{}", house.answered("replica"));
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survive_a_killed_replica_which_comes_back() {
    let (servers, _, house) = House::with_replicas(2).await;
    let load = Load::reads(house.store.insight(), 6);
    load.goes_on(300).await;
    servers.replicas()[0].kill();
    until("it is ejected", LONG, || house.node(1).is_ejected()).await;
    load.goes_on(300).await;
    let put_off = || house.node(1).state().ejected.map(|ejection| ejection.backoff);
    let is_later = || put_off().is_some_and(|by| by >= Duration::from_millis(400));
    until("each trial comes later", LONG, is_later).await;
    assert!(house.node(2).is_fit());
    servers.replicas()[0].restart();
    house.is_fit(1).await;
    load.goes_on(300).await;
    let (asked, failed, _) = load.finish().await;
    assert!(failed.is_empty(), "{} of {asked}: {:?}", failed.len(), &failed[..1]);
    assert_eq!(house.answered("no_replica"), 0);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survive_a_replica_that_stands_still() {
    let (servers, _, house) = House::with_replicas(2).await;
    let load = Load::reads(house.store.insight(), 6);
    load.goes_on(300).await;
    servers.replicas()[0].pause();
    until("it is ejected", LONG, || house.node(1).is_ejected()).await;
    load.goes_on(300).await;
    servers.replicas()[0].resume();
    house.is_fit(1).await;
    load.goes_on(300).await;
    let (asked, failed, slowest) = load.finish().await;
    assert!(failed.is_empty(), "{} of {asked}: {:?}", failed.len(), &failed[..1]);
    // The statement's own time-out is five seconds: nobody waits that long for a server that is lost.
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn survive_every_weather_between_here_and_a_replica() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let at =
        |node: &mainstay_testkit::PostgresNode| SocketAddr::from(([127, 0, 0, 1], node.port()));
    let proxies: Vec<_> = std::iter::once(servers.primary())
        .chain(servers.replicas())
        .map(|node| ChaosProxy::start(at(node)))
        .collect();
    let ports: Vec<_> = proxies.iter().map(ChaosProxy::address).collect();
    let house = House::open(&behind(&ports, &name)).await;
    servers.wait_replicated(LONG);
    let load = Load::reads(house.store.insight(), 6);
    load.goes_on(300).await;
    proxies[1].cut();
    until("it is ejected", LONG, || house.node(1).is_ejected()).await;
    load.goes_on(300).await;
    proxies[1].heal();
    house.is_fit(1).await;
    load.goes_on(300).await;
    proxies[1].half_open();
    until("it is ejected", LONG, || house.node(1).is_ejected()).await;
    load.goes_on(300).await;
    proxies[1].heal();
    house.is_fit(1).await;
    // Slow, and well: nobody is ejected.
    proxies[1].delay(Duration::from_millis(50));
    load.goes_on(300).await;
    assert!(!house.node(1).is_ejected());
    proxies[1].heal();
    let (asked, failed, _) = load.finish().await;
    assert!(failed.is_empty(), "{} of {asked}: {:?}", failed.len(), &failed[..1]);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn meet_a_restarted_server_without_a_failure() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    for _ in 0..3 {
        count(house.store.insight()).await.unwrap();
        assert!(house.record(1).await);
        // Nobody asked while it was away: every connection here is dead.
        servers.primary().kill();
        servers.primary().restart();
        // Unless its upkeep did: then a trial is awaited.
        house.primary_is(0).await;
        count(house.store.insight()).await.unwrap();
        assert!(house.record(2).await);
    }
    assert_eq!(house.recorder.spooled(), 0);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_break_a_rule_or_take_too_long_eject_nobody() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let mut database = database(&servers, &name);
    database.statement_timeout = mainstay_base::units::Span(Duration::from_millis(400));
    let house = House::open(&database).await;
    let ask = async |text: &'static str| {
        let mut attempts = house.db().attempts("test.ask");
        loop {
            let mut leased = attempts.lease().await?;
            let answer = attempts.within(sqlx::query(text).execute(leased.conn())).await;
            // Repeated where we gave up before the server did.
            if let Some(outcome) = attempts.settle(leased, answer) {
                return outcome;
            }
        }
    };
    // Others ask meanwhile, and must not notice.
    let load = Load::reads(house.store.insight(), 2);
    for _ in 0..5 {
        let error = ask("SELECT 1 / 0").await.unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Conflict, "{error}");
        let error = ask("SELECT nothing").await.unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Internal, "{error}");
        let error = ask("SELECT pg_sleep(3600)").await.unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Unavailable, "{error}");
        assert!(!house.node(0).is_ejected());
    }
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)' AND state = 'active'";
    until("the server gave up as well", LONG, || {
        servers.primary().query("postgres", running) == "0"
    })
    .await;
    let (asked, failed, _) = load.finish().await;
    assert!(failed.is_empty(), "{} of {asked}: {:?}", failed.len(), &failed[..1]);
    house.finish().await;
}

/// Asks what takes room; the answer, and who was asked.
async fn ask_for_room(db: &Db) -> (Result<i32, Error>, Vec<String>) {
    let (mut attempts, mut asked) = (db.attempts("test.ask"), Vec::new());
    loop {
        let mut leased = attempts.lease().await.unwrap();
        asked.push(leased.node().target.name.clone());
        let question = sqlx::query_scalar::<_, i32>("SELECT public.needs_room()");
        let answer = attempts.within(question.fetch_one(leased.conn())).await;
        if let Some(outcome) = attempts.settle(leased, answer) {
            return (outcome, asked);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_a_replica_has_no_room_for_are_put_to_another_server() {
    let (servers, name, house) = House::with_replicas(1).await;
    let _ = servers.primary().query(
        &name,
        "CREATE FUNCTION public.needs_room() RETURNS int LANGUAGE plpgsql AS
            $$BEGIN IF pg_is_in_recovery() THEN RAISE EXCEPTION 'could not write' USING ERRCODE = '53100'; END IF;
            RETURN 1; END$$",
    );
    servers.wait_replicated(LONG);
    let (answer, asked) = ask_for_room(house.db()).await;
    assert_eq!((answer.unwrap(), asked.len()), (1, 2), "{asked:?}");
    assert!(house.node(1).is_fit(), "it answers what needs no room");
    let _ = servers.primary().query(
        &name,
        "CREATE OR REPLACE FUNCTION public.needs_room() RETURNS int LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'could not write' USING ERRCODE = '53100'; END$$",
    );
    servers.wait_replicated(LONG);
    let (answer, asked) = ask_for_room(house.db()).await;
    assert!(answer.is_err());
    assert_eq!(asked.len(), 2, "nobody stands in for the primary: {asked:?}");
    let (answer, asked) = ask_for_room(&house.db().reading(Reads::Latest)).await;
    assert!(answer.is_err());
    assert_eq!(asked.len(), 1, "nobody stands in for the primary: {asked:?}");
    house.finish().await;
}
