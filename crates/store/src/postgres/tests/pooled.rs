//! A real PgBouncer stands between: what it does to prepared statements.

use std::sync::Arc;
use std::time::Duration;

use mainstay_testkit::{PgBouncer, Postgres};
use sqlx::{Connection, PgConnection};

use super::house::{behind, count, database};
use super::*;
use crate::Database;
use crate::postgres::node::Node;
use crate::postgres::pool::Shape;
use crate::postgres::target::Target;
use crate::postgres::{Patience, Role, pooler};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_carries_prepared_statements_along_is_used() {
    // With one connection to the server each trial of another client finds it in somebody's hands.
    for connections in [4, 1] {
        let servers = Postgres::start();
        let name = servers.create_database();
        House::open(&database(&servers, &name)).await.finish().await;
        let pooler = PgBouncer::start_remembering(servers.primary(), connections);
        let plain = behind(&[pooler.address()], &name);
        let primary = plain.primary.as_ref().map(|url| format!("{url}?pooled=true"));
        let house = House::open(&Database { primary, ..plain }).await;
        let load = Load::reads(house.store.insight(), 8);
        for n in 0..50 {
            assert!(house.record(n).await, "of {connections}");
        }
        load.goes_on(500).await;
        let (_, failed, _) = load.finish().await;
        assert_eq!(failed, Vec::<String>::new(), "of {connections}");
        assert_eq!(count(house.store.insight()).await.unwrap(), 50);
        house.finish().await;
    }
}

/// A server behind a pooler to which nobody speaks but the test.
fn untried(pooler: &PgBouncer) -> Arc<Node> {
    let url = Postgres::url_at(pooler.address(), "postgres");
    let target = Target::parse(&format!("{url}?pooled=true"), None, LONG).unwrap();
    let shape = Shape {
        min: 0,
        max: 4,
        idle_for: LONG,
        connect: Patience(LONG),
        ping: Patience(LONG),
        acquire: LONG,
    };
    Node::new(target, shape)
}

/// Clients of the pooler who hold as many connections to the server.
async fn hold(node: &Node, connections: usize) -> Vec<PgConnection> {
    let mut held = Vec::new();
    for _ in 0..connections {
        let mut conn = node.pool.connect_apart().await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut conn).await.unwrap();
        held.push(conn);
    }
    held
}

async fn let_go(mut conn: PgConnection) {
    sqlx::raw_sql("COMMIT").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

async fn count_on(conn: &mut PgConnection, of: &'static str) -> i64 {
    use sqlx::Row as _;
    sqlx::raw_sql(of).fetch_one(conn).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_trial_left_behind_is_not_taken_for_memory() {
    const LEFT: &str = "SELECT count(*) FROM pg_prepared_statements WHERE name = 'sqlx_s_1'";
    const HOLDS: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE state = 'idle in transaction' AND query = 'SELECT pg_backend_pid()'";
    let servers = Postgres::start();
    let pooler = PgBouncer::start(servers.primary(), "transaction", 2);
    let node = untried(&pooler);
    assert!(pooler::refuses(&node).await.unwrap().contains("forgets"));
    // The connection on which that trial prepared is in somebody's hands while the next one prepares on the other.
    let mut held = hold(&node, 2).await;
    let first = count_on(&mut held[0], LEFT).await;
    assert_eq!(first + count_on(&mut held[1], LEFT).await, 1, "it is left on one of them");
    let clean = held.swap_remove(usize::from(first == 1));
    let_go(clean).await;
    let mut direct = PgConnection::connect(&servers.primary().url("postgres")).await.unwrap();
    let is_taken_away = async {
        while count_on(&mut direct, HOLDS).await == 0 {
            // A pause between two looks.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let_go(held.remove(0)).await;
    };
    let is_taken_away = tokio::time::timeout(LONG, is_taken_away);
    let (refused, taken_away) = tokio::join!(pooler::refuses(&node), is_taken_away);
    taken_away.expect("the trial holds the connection it prepared on");
    assert!(refused.is_some_and(|why| why.contains("forgets")) && !node.is_cleared());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_forgets_is_refused_by_many_who_try_at_once_and_where_connections_take_turns() {
    let servers = Postgres::start();
    let pooler = PgBouncer::start(servers.primary(), "transaction", 2);
    let one = untried(&pooler);
    let other = untried(&pooler);
    for _ in 0..5 {
        let (one, other) = tokio::join!(pooler::refuses(&one), pooler::refuses(&other));
        assert!(one.is_some() && other.is_some(), "{one:?} {other:?}");
    }
    let pooler =
        PgBouncer::start_with(servers.primary(), "transaction", 4, "server_round_robin = 1\n");
    let node = untried(&pooler);
    for conn in hold(&node, 2).await {
        let_go(conn).await;
    }
    assert!(pooler::refuses(&node).await.unwrap().contains("forgets"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_ones_own_counts_only_where_it_is_tidied_up_behind_its_client() {
    let servers = Postgres::start();
    // Room for two, and no more.
    let tidy = PgBouncer::start(servers.primary(), "session", 2);
    assert_eq!(pooler::refuses(&untried(&tidy)).await, None);
    let untidy = PgBouncer::start_with(servers.primary(), "session", 4, "server_reset_query =\n");
    let node = untried(&untidy);
    let why = pooler::refuses(&node).await.unwrap();
    assert!(why.contains("nobody can tell") && why.contains("leave out"), "what to do: {why}");
    assert!(!node.is_cleared());
}
