//! A real PgBouncer stands between: what it does to prepared statements.

use std::sync::Arc;

use mainstay_testkit::{PgBouncer, Postgres};

use super::house::{behind, count, database};
use super::*;
use crate::Database;
use crate::postgres::Role;

/// A database whose schema is there, and the pooler in front of it as its address.
async fn behind_a_pooler(mode: &str, connections: u32) -> (Postgres, PgBouncer, Database) {
    let servers = Postgres::start();
    let name = servers.create_database();
    House::open(&database(&servers, &name)).await.finish().await;
    let pooler = PgBouncer::start(servers.primary(), mode, connections);
    let plain = behind(&[pooler.address()], &name);
    let primary = plain.primary.as_ref().map(|url| format!("{url}?pooled=true"));
    (servers, pooler, Database { primary, ..plain })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_forgets_prepared_statements_is_refused_before_anything_is_said() {
    // Debian 12 has 1.18, which forgets them. With one connection to the server, too.
    for connections in [4, 1] {
        let (_servers, _pooler, database) = behind_a_pooler("transaction", connections).await;
        let house = House::open_on(Arc::new(tempfile::tempdir().unwrap()), &database).await;
        assert!(!house.store.is_open(), "of {connections}");
        let away = house.store.list_away();
        assert!(away[0].reason.contains("forgets prepared statements"), "{away:?}");
        assert!(away[0].reason.contains("1.21"), "what to do: {away:?}");
        // However often it is tried, by whoever asks.
        for _ in 0..3 {
            house.db().probe().await;
            assert!(count(house.store.insight()).await.is_err(), "nobody answers");
        }
        assert_eq!((house.role(0), house.node(0).pool.count()), (Role::Unknown, (0, 0)));
        // Events wait, and nothing is lost.
        assert!(house.record(0).await);
        house.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_server_is_away_is_not_said_to_forget_and_is_tried_when_it_is_back() {
    let (servers, _pooler, database) = behind_a_pooler("session", 30).await;
    servers.primary().stop();
    let house = House::open_on(Arc::new(tempfile::tempdir().unwrap()), &database).await;
    let away = house.store.list_away();
    assert!(!house.store.is_open() && !away[0].reason.contains("forgets"), "{away:?}");
    servers.primary().restart();
    until("it is open", LONG, || house.store.is_open()).await;
    assert!(house.node(0).is_cleared());
    assert!(house.record(0).await);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_remembers_is_used() {
    // In session mode each client has a connection of the server to itself.
    let (_servers, _pooler, database) = behind_a_pooler("session", 30).await;
    let house = House::open(&database).await;
    for n in 0..50 {
        assert!(house.record(n).await);
    }
    let load = Load::reads(house.store.insight(), 8);
    load.goes_on(500).await;
    let (_, failed, _) = load.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(count(house.store.insight()).await.unwrap(), 50);
    house.finish().await;
}
