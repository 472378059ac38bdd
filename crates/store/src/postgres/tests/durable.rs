//! What was answered is on the server's disk, whatever its role or its database was told.

use mainstay_testkit::Postgres;

use super::house::{count, database};
use super::*;
use crate::Database;
use crate::postgres::Db;
use crate::postgres::durable::session;

/// A server whose buffers reach its disk only when somebody asks for it.
fn lazy() -> Postgres {
    let launch = Postgres::launch().durable();
    launch.setting("wal_writer_delay", "10s").setting("wal_buffers", "16MB").start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_event_outlives_a_server_that_was_told_not_to_wait_for_its_disk() {
    let servers = lazy();
    let name = servers.create_database();
    let primary = servers.primary();
    let _ = primary.query(&name, &format!("ALTER DATABASE {name} SET synchronous_commit = 'off'"));
    let house = House::open(&database(&servers, &name)).await;
    for n in 0..20 {
        assert!(house.record(n).await);
    }
    assert_eq!(house.recorder.spooled(), 0, "all of it is in the database");
    primary.kill();
    primary.restart();
    until("the database answers", LONG, || house.db().cluster.primary().is_some()).await;
    assert_eq!(count(&house.store.insight().latest()).await.unwrap(), 20);
    house.finish().await;
}

/// What a connection of the pool goes by, outside and within a transaction.
async fn found(db: &Db) -> [String; 2] {
    const SHOW: &str = "SELECT current_setting('synchronous_commit')";
    let mut leased = db.writing("test.show").await.unwrap();
    let outside = sqlx::query_scalar(SHOW).fetch_one(leased.conn()).await.unwrap();
    leased.give_back();
    let mut leased = db.begin("test.show").await.unwrap();
    let within = sqlx::query_scalar(SHOW).fetch_one(leased.conn()).await.unwrap();
    let _rolled_back = sqlx::query("ROLLBACK").execute(leased.conn()).await.unwrap();
    leased.give_back();
    [outside, within]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_commit_that_waits_for_no_disk_is_changed() {
    let servers = Postgres::start();
    for (told, expected) in [
        ("off", "on"),
        ("local", "local"),
        ("remote_write", "remote_write"),
        ("on", "on"),
        ("remote_apply", "remote_apply"),
    ] {
        let name = servers.create_database();
        let text = format!("ALTER DATABASE {name} SET synchronous_commit = '{told}'");
        let _ = servers.primary().query(&name, &text);
        let house = House::open(&database(&servers, &name)).await;
        assert_eq!(found(house.db()).await, [expected; 2], "{told}");
        house.finish().await;
    }
    // The role's own.
    let name = servers.create_database();
    let _ = servers.primary().query(&name, "ALTER ROLE mainstay SET synchronous_commit = 'off'");
    let house = House::open(&database(&servers, &name)).await;
    assert_eq!(found(house.db()).await, ["on"; 2]);
    // Behind a pooler the session is left as it is, because others will have it; the transaction is not.
    let pooled = Database {
        primary: Some(format!("{}?pooled=true", servers.primary().url(&name))),
        pool_min: 0,
        ..Database::default()
    };
    let db = Db::new(pooled.open().unwrap(), "".into());
    db.probe().await;
    assert_eq!(found(&db).await, ["off", "on"]);
    db.close().await;
    house.finish().await;
}

#[tokio::test]
async fn a_session_of_its_own_is_told_no_more_than_that() {
    use sqlx::Connection as _;
    const SHOW: &str = "SELECT current_setting('synchronous_commit') || ' ' || current_setting('statement_timeout')";
    let servers = Postgres::start();
    let name = servers.create_database();
    for (told, expected) in [("off", "on 0"), ("on", "on 0"), ("local", "local 0")] {
        let text = format!("ALTER DATABASE {name} SET synchronous_commit = '{told}'");
        let _ = servers.primary().query(&name, &text);
        let mut conn = sqlx::PgConnection::connect(&servers.primary().url(&name)).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(session())).execute(&mut conn).await.unwrap();
        let found: String = sqlx::query_scalar(SHOW).fetch_one(&mut conn).await.unwrap();
        assert_eq!(found, expected, "{told}");
        conn.close().await.unwrap();
    }
}
