//! The schema on servers and ways that are not as simple as a test's own.

use std::time::Duration;

use mainstay_base::units::Span as Time;
use mainstay_testkit::Postgres;

use futures_util::future::join_all;
use mainstay_testkit::Timescale;

use super::house::database;
use super::*;
use crate::contract::Fixture;
use crate::postgres::migrate::{License, find_license};
use crate::{Database, Engine, Settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_may_take_longer_than_a_statement() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = Database {
        statement_timeout: Time(Duration::from_millis(500)),
        ..database(&servers, &name)
    };
    let slow = "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); END';
        CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION slow()";
    let _ = servers.primary().query(&name, slow);
    let house = House::open(&database).await;
    // The patience of that is nobody else's.
    let mut leased = house.db().writing("test.show").await.unwrap();
    let shown = sqlx::query_scalar("SELECT current_setting('statement_timeout')");
    let shown: String = shown.fetch_one(leased.conn()).await.unwrap();
    assert_eq!(shown, "500ms");
    leased.give_back();
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_of_no_known_name_only_a_missing_step_asks_for_the_direct_address() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let direct = database(&servers, &name);
    let pooled = Database {
        primary: direct.primary.as_ref().map(|url| format!("{url}?pooled=true")),
        ..direct.clone()
    };
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let house = House::open_on(dir, &pooled).await;
    assert!(!house.store.is_open());
    let away = house.store.list_away();
    assert!(away[0].reason.contains("need the direct address"), "{away:?}");
    House::open(&direct).await.finish().await;
    until("no step is missing", LONG, || house.store.is_open()).await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_start_on_an_empty_database_come_up_on_one_schema() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = Database { pool_max: 3, ..database(&servers, &name) };
    let settings = Settings::default();
    let opened = join_all((0..8).map(|_| Fixture::open(&settings, &database))).await;
    let taken = "SELECT count(*), count(DISTINCT version), bool_and(success) FROM mainstay._sqlx_migrations";
    let steps = crate::postgres::migrate::known().iter().count();
    assert_eq!(servers.primary().query(&name, taken), format!("{steps}|{steps}|t"));
    let secrets: std::collections::HashSet<_> =
        opened.iter().map(|house| format!("{:?}", house.store.secret.get())).collect();
    assert_eq!(secrets.len(), 1, "one secret for all");
    for house in opened {
        house.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_chooses_how_days_are_kept_while_another_one_does() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    // A database of its own; the lock is this one's all the same.
    let other = Fixture::open(&Settings::default(), &database).await;
    let Engine::Postgres(db) = other.core().clone() else { panic!("not PostgreSQL") };
    let mut holder = db.writing("test.hold").await.unwrap();
    let lock = "SELECT pg_advisory_lock(hashtextextended('mainstay migrations', 0))";
    sqlx::query(lock).execute(holder.conn()).await.unwrap();
    let settings = Settings::default();
    let mut opening = std::pin::pin!(Fixture::open(&settings, &database));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE '%mainstay migrations%'";
    let waits = async {
        until("it waits for its turn", LONG, || servers.primary().query(&name, waiting) == "1")
            .await;
    };
    tokio::select! {
        _ = opening.as_mut() => panic!("it did not wait"),
        () = waits => {}
    }
    drop(holder);
    opening.await.finish().await;
    other.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_licence_of_timescaledb_is_told() {
    for (licence, expected) in
        [("apache", License::Apache), ("timescale", License::Community), ("", License::Apache)]
    {
        let servers = Postgres::launch().setting("timescaledb.license", licence).start();
        let name = servers.create_database();
        let house = Fixture::open(&Settings::default(), &database(&servers, &name)).await;
        let Engine::Postgres(db) = house.core().clone() else { panic!("not PostgreSQL") };
        let mut leased = db.writing("test.license").await.unwrap();
        assert_eq!(find_license(leased.conn()).await.unwrap(), expected, "{licence:?}");
        leased.give_back();
        let servers = house.store.list_servers();
        assert_eq!(servers[0].time_series, Some("native partitions"));
        house.finish().await;
    }
    let server = Timescale::start();
    let database =
        Database { primary: Some(server.url()), pool_min: 0, pool_max: 1, ..Database::default() };
    let house = Fixture::open(&Settings::default(), &database).await;
    assert_eq!(house.store.list_servers()[0].time_series, Some("TimescaleDB (Community)"));
    house.finish().await;
}
