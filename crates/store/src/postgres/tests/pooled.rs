//! A real PgBouncer stands between: what it does to prepared statements.

use std::sync::Arc;

use mainstay_testkit::{PgBouncer, Postgres};

use super::house::{behind, count, database};
use super::*;
use crate::Database;

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
        assert_eq!(house.node(0).pool.count(), (0, 0), "nobody asked it anything");
        // Events wait, and nothing is lost.
        assert!(house.record(0).await);
        house.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_remembers_is_used() {
    // In session mode: how a newer one in transaction mode looks from here.
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
