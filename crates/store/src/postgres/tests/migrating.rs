//! The schema on servers and ways that are not as simple as a test's own.

use std::time::Duration;

use mainstay_base::units::Span as Time;
use mainstay_testkit::Postgres;

use super::house::database;
use super::*;
use crate::Database;

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
