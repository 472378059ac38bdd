//! A lost primary: a promoted replica is found, and nobody is told of the difference.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_testkit::Postgres;

use super::house::{count, database, words};
use super::*;
use crate::postgres::{Db, Role};
use crate::{Engine, rollup};

/// The promise.
const RESUMED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_begins_once_and_ends() {
    let servers = Postgres::start();
    let house = House::open(&database(&servers, &servers.create_database())).await;
    assert_eq!(house.store.list_away(), []);
    for n in 0..2 {
        servers.primary().kill();
        assert!(house.record(n).await);
        until("the loss is noticed", LONG, || house.db().cluster.primary().is_none()).await;
        let began = house.clock.now();
        for _ in 0..2 {
            let since: Vec<_> = house.store.list_away().iter().map(|away| away.since).collect();
            assert_eq!(since, [began]);
            house.clock.advance(Duration::from_secs(60));
        }
        servers.primary().restart();
        until("it is used again", LONG, || house.store.list_away().is_empty()).await;
    }
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_resume_after_a_promotion_and_the_old_primary_is_never_asked() {
    let servers = Postgres::launch().replicas(2).start();
    let (primary, first, second) =
        (servers.primary(), &servers.replicas()[0], &servers.replicas()[1]);
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    servers.wait_replicated(LONG);
    let reads = Load::reads(house.store.insight(), 3);
    let engine = house.store.insight().clone();
    let writes = Load::of(3, move |n| {
        let engine = engine.clone();
        async move {
            let hour = crate::contract::NOON.plus(Duration::from_secs(3_600 * (n % 5)));
            let marked = rollup::mark_dirty(&engine, "load", hour).await;
            let failed = marked.err().map(|error| words(&error));
            // That nobody takes it now is what it may be told; that a server is no primary any more is not.
            failed
                .filter(|said| said.contains("25006") || said.contains("read-only"))
                .map_or(Ok(()), Err)
        }
    });
    reads.goes_on(100).await;
    primary.kill();
    until("the loss is noticed", LONG, || house.db().cluster.primary().is_none()).await;
    first.promote();
    second.follow(first);
    let promoted = Instant::now();
    house.primary_is(1).await;
    until_written(&house).await;
    let took = promoted.elapsed();
    assert!(took < RESUMED_WITHIN, "{took:?}");
    // It comes back as it was, and takes changes of a history that is over.
    primary.restart();
    until("the old primary is found out", LONG, || house.role(0) == Role::Stale).await;
    let before =
        primary.query(&name, "SELECT count(*) FROM mainstay.rollup_dirty WHERE site = 'after'");
    for hour in 0..20 {
        let hour = crate::contract::NOON.plus(Duration::from_secs(3_600 * hour));
        rollup::mark_dirty(house.store.insight(), "after", hour).await.unwrap();
        count(house.store.insight()).await.unwrap();
        count(&house.store.insight().latest()).await.unwrap();
    }
    assert_eq!((before.as_str(), house.role(0)), ("0", Role::Stale));
    let text = "SELECT count(*) FROM mainstay.rollup_dirty WHERE site = 'after'";
    assert_eq!((primary.query(&name, text), first.query(&name, text)), ("0".into(), "20".into()));
    // Made anew from the new primary it answers reads.
    primary.stop();
    primary.rebuild_from(first);
    house.is_fit(0).await;
    let (_, failed, _) = writes.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    let (asked, failed, _) = reads.finish().await;
    assert!(failed.is_empty(), "{} of {asked}: {:?}", failed.len(), &failed[..1]);
    house.finish().await;
}

async fn until_written(house: &House) {
    let began = Instant::now();
    while let Err(error) =
        rollup::mark_dirty(house.store.insight(), "load", crate::contract::NOON).await
    {
        assert!(began.elapsed() < LONG, "{}", words(&error));
        // The pause between two looks: what is awaited is another process's, which tells nobody.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_stands_still_is_replaced() {
    let (servers, _, house) = House::with_replicas(1).await;
    assert!(house.record(0).await);
    servers.primary().pause();
    // Acknowledged all the same, and soon: it waits on this machine's disk.
    let began = Instant::now();
    assert!(house.record(1).await);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    until("the loss is noticed", LONG, || house.db().cluster.primary().is_none()).await;
    servers.replicas()[0].promote();
    let promoted = Instant::now();
    house.primary_is(1).await;
    until("what waited is there", LONG, || house.recorder.spooled() == 0).await;
    assert!(promoted.elapsed() < RESUMED_WITHIN, "{:?}", promoted.elapsed());
    assert_eq!(house.count().await, 2);
    servers.primary().resume();
    until("the old primary is found out", LONG, || house.role(0) == Role::Stale).await;
    assert!(house.record(2).await);
    assert_eq!(house.count().await, 3);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_meets_a_demoted_server_is_made_by_the_new_primary() {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    House::open(&database).await.finish().await;
    servers.wait_replicated(LONG);
    // Two who look now and not again: to them the first server still is the primary, and they have no connection to it.
    let mut engines = Vec::new();
    for _ in 0..2 {
        let db = Db::new(database.open().unwrap(), "".into());
        db.probe().await;
        assert!(db.cluster.is_primary(&db.cluster.nodes[0]));
        engines.push(Engine::Postgres(db));
    }
    servers.primary().kill();
    servers.replicas()[0].promote();
    servers.primary().rebuild_from(&servers.replicas()[0]);
    let [statement, transaction] = &engines[..] else { panic!("two") };
    rollup::mark_dirty(statement, "moved", crate::contract::NOON).await.unwrap();
    transaction.begin("test.moved").await.unwrap().commit().await.unwrap();
    for engine in &engines {
        let Engine::Postgres(db) = engine else { panic!("a database") };
        let roles: Vec<_> = db.cluster.nodes.iter().map(|node| node.state().role).collect();
        assert_eq!(roles, [Role::Replica, Role::Primary]);
        db.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_finds_only_the_replaced_primary_writes_nothing_to_it() {
    let servers = Postgres::launch().replicas(1).start();
    let (old, new) = (servers.primary(), &servers.replicas()[0]);
    let name = servers.create_database();
    let database = database(&servers, &name);
    let house = House::open(&database).await;
    servers.wait_replicated(LONG);
    assert!(house.record(0).await);
    servers.wait_replicated(LONG);
    old.kill();
    new.promote();
    house.primary_is(1).await;
    until("what waited is there", LONG, || house.recorder.spooled() == 0).await;
    assert!(house.record(1).await);
    let dir = house.kill().await;
    // Now the new one is away, and the old one is there as if nothing had happened.
    new.stop();
    old.restart();
    let rows = || old.query(&name, "SELECT count(*) FROM mainstay.page_views");
    let before = rows();
    let house = House::open_on(dir, &database).await;
    assert!(!house.store.is_open());
    assert_eq!(house.role(0), Role::Stale);
    for n in 2..12 {
        assert!(house.record(n).await, "acknowledged: it waits on this machine's disk");
    }
    assert!(house.recorder.spooled() > 0);
    let away = house.store.list_away();
    assert!(away[0].reason.contains("timeline 1, and 2 was seen"), "{away:?}");
    let nodes = crate::postgres::list_nodes(house.db());
    assert!(!nodes[0].healthy, "{nodes:?}");
    assert_eq!(rows(), before);
    // The new one comes back, and everything goes there.
    new.restart();
    house.primary_is(1).await;
    until("what waited is there", LONG, || house.store.is_open() && house.recorder.spooled() == 0)
        .await;
    assert_eq!((house.count().await, house.role(0)), (12, Role::Stale));
    assert_eq!(rows(), before);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_database_cluster_is_a_new_beginning() {
    let servers = Postgres::start();
    let database = database(&servers, &servers.create_database());
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let file = dir.path().join("history");
    std::fs::write(&file, "1 9\n").unwrap();
    let house = House::open_on(dir, &database).await;
    assert!(house.store.is_open() && house.record(0).await);
    // What every role may ask.
    let text =
        "CREATE ROLE plain; SET ROLE plain; SELECT system_identifier FROM pg_control_system()";
    let system = servers.primary().query("postgres", text);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{system} 1\n"));
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_database_reads_only_by_default_stays_the_primary() {
    let (servers, name, house) = House::with_replicas(1).await;
    let text = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    let _ = servers.primary().query("postgres", &text);
    house.node(0).pool.forget_all();
    let change = rollup::mark_dirty(house.store.insight(), "refused", crate::contract::NOON).await;
    let error = change.unwrap_err();
    assert_eq!(error.kind, crate::error::Kind::Unavailable, "{}", words(&error));
    assert!(words(&error).contains("read-only"), "{}", words(&error));
    assert!(!house.node(0).is_ejected());
    // Transactions say themselves that they write.
    assert!(house.record(0).await);
    assert_eq!(house.recorder.spooled(), 0);
    house.finish().await;
}
