//! What was acknowledged is there once, whatever was lost: the database, its primary, or this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::units::{Size, Span as Time};
use mainstay_testkit::{ChaosProxy, Postgres};

use super::house::{behind, database, settings, view};
use super::warnings::Warnings;
use super::*;
use crate::contract::Sample;
use crate::recorder::journal::tests::{bring_back, take_away};
use crate::{Batch, Database, Record, Settings};

/// One of everything, told apart by a number.
pub(super) fn everything(n: u32) -> Batch {
    let s = Sample(n % 600);
    let id = Sample(n).event_id();
    let page = Sample(n).page_id();
    let kinds = [
        Record::PageView(crate::page_view::Row { id: id.clone(), ..s.view() }),
        Record::Vital(crate::performance_metric::Row {
            id: id.clone(),
            page_id: page.clone(),
            ..s.vital("LCP", 1_000.0, 10)
        }),
        Record::Engagement(crate::engagement::Row {
            id: id.clone(),
            page_id: page,
            ..s.engagement(500, 50)
        }),
        Record::Error(crate::error_event::Row { id: id.clone(), ..s.error("boom", "words") }),
        Record::Custom(crate::custom_event::Row { id, ..s.custom("signup") }),
        Record::Report(s.report(1)),
    ];
    Batch { records: kinds.into(), visit: Some(s.touch(n % 7)) }
}

/// Rows of each table, and what the reports and visits count together.
pub(super) fn tables(node: &mainstay_testkit::PostgresNode, name: &str) -> String {
    let text = "SELECT (SELECT count(*) FROM mainstay.page_views),
        (SELECT count(*) FROM mainstay.performance_metrics), (SELECT count(*) FROM mainstay.engagement),
        (SELECT count(*) FROM mainstay.error_events), (SELECT count(*) FROM mainstay.custom_events),
        (SELECT sum(count) FROM mainstay.reports), (SELECT sum(page_views) FROM mainstay.user_sessions)";
    node.query(name, text)
}

pub(super) fn each(n: u64) -> String {
    [n; 7].map(|n| n.to_string()).join("|")
}

/// Senders that never rest; how many batches were acknowledged.
fn send(house: &House) -> (Load, Arc<AtomicU64>) {
    let (recorder, acknowledged) = (house.recorder.clone(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&acknowledged);
    let load = Load::of(4, move |n| {
        let (recorder, counted) = (recorder.clone(), Arc::clone(&counted));
        async move {
            recorder
                .record(everything(u32::try_from(n).unwrap()))
                .await
                .map_err(|e| e.to_string())?;
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        }
    });
    (load, acknowledged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_away_from_the_start_gets_everything_later() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    servers.primary().kill();
    let house = House::open_on(Arc::new(tempfile::tempdir().unwrap()), &database).await;
    assert!(!house.store.is_open());
    let (load, acknowledged) = send(&house);
    load.goes_on(200).await;
    assert!(matches!(house.recorder.health(), crate::Health::Degraded { .. }));
    until("it waits on the disk", LONG, || house.recorder.spooled() > 0).await;
    servers.primary().restart();
    // Those who send all the time do not put it off.
    until("what waited is there", LONG, || house.recorder.spooled() == 0 && house.store.is_open())
        .await;
    load.goes_on(50).await;
    let (_, failed, _) = load.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    until("what waited is there", LONG, || house.recorder.spooled() == 0).await;
    assert_eq!(tables(servers.primary(), &name), each(acknowledged.load(Ordering::Relaxed)));
    until("health is well", LONG, || house.recorder.health() == crate::Health::Ok).await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_lost_again_and_again_has_everything_once() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    let (load, acknowledged) = send(&house);
    for _ in 0..4 {
        load.goes_on(60).await;
        servers.primary().kill();
        load.goes_on(60).await;
        servers.primary().restart();
        until("what waited is there", LONG, || house.recorder.spooled() == 0).await;
    }
    let (_, failed, _) = load.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    until("what waited is there", LONG, || house.recorder.spooled() == 0).await;
    assert_eq!(tables(servers.primary(), &name), each(acknowledged.load(Ordering::Relaxed)));
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_with_events_on_its_disk_goes_on_at_the_next_start() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    let mut dir = Arc::new(tempfile::tempdir().unwrap());
    let mut acknowledged = 0;
    for round in 0..3_u32 {
        let house = House::open_on(dir, &database).await;
        if round > 0 {
            assert!(house.recorder.record(everything(10_000 + round)).await.is_ok());
            acknowledged += 1;
        }
        servers.primary().kill();
        for n in 0..30 {
            assert!(house.recorder.record(everything(round * 100 + n)).await.is_ok());
            acknowledged += 1;
        }
        dir = house.kill().await;
        servers.primary().restart();
    }
    let house = House::open_on(dir, &database).await;
    until("what waited is there", LONG, || tables_of(servers.primary(), &name) >= acknowledged)
        .await;
    until("nothing waits", LONG, || house.recorder.spooled() == 0).await;
    assert_eq!(tables(servers.primary(), &name), each(acknowledged));
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_of_waiting_events_costs_what_is_damaged_and_nothing_else() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    let house = House::open(&database).await;
    servers.primary().kill();
    for n in 0..30 {
        assert!(house.record(n).await);
    }
    let dir = house.kill().await;
    // One bit within the tenth view's record.
    let folder = dir.path().join("spool").join("waiting");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().map(|f| f.path()).collect();
    let mut bytes = std::fs::read(&files[0]).unwrap();
    let id = Sample(9).event_id();
    let at = bytes.windows(id.len()).position(|bytes| bytes == id.as_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&files[0], bytes).unwrap();
    servers.primary().restart();
    let house = House::open_on(dir, &database).await;
    until("what waited is there", LONG, || tables_of(servers.primary(), &name) >= 29).await;
    until("nothing waits", LONG, || {
        house.recorder.spooled() == 0 && house.recorder.damaged_files() == 1
    })
    .await;
    assert_eq!(tables_of(servers.primary(), &name), 29, "the damaged one is never written");
    let text = house.registry.encode_text();
    assert!(text.contains("\nmainstay_recorder_spool_damaged_total 1\n"), "{text}");
    // Whoever takes the file away has seen it.
    let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().map(|f| f.path()).collect();
    assert!(kept.len() == 1 && kept[0].extension().is_some_and(|end| end == "damaged"), "{kept:?}");
    std::fs::remove_file(&kept[0]).unwrap();
    until("that is noticed", LONG, || house.recorder.damaged_files() == 0).await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_primary_costs_nothing_that_its_replica_had_not_received() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let [primary, first, second] =
        [servers.primary(), &servers.replicas()[0], &servers.replicas()[1]];
    let house = House::open(&database(&servers, &name)).await;
    servers.wait_replicated(LONG);
    let mut acknowledged = 0;
    let mut send = async |from: u32| {
        for n in from..from + 40 {
            assert!(house.recorder.record(everything(n)).await.is_ok());
            acknowledged += 1;
        }
        acknowledged
    };
    send(0).await;
    // The one that will be promoted hears no more of the primary; the other one does, and confirms alone.
    cut_off(first);
    send(100).await;
    servers.replicas()[1]
        .wait_replayed(&primary.query("postgres", "SELECT pg_current_wal_lsn()"), LONG);
    assert_eq!(house.recorder.spooled(), 0, "all of it is in the primary");
    house.confirmed_again().await;
    primary.kill();
    let sent = send(200).await;
    let held = tables_of(first, &name);
    assert!(held < 80, "{held}: the replica was not cut off");
    first.promote();
    second.stop();
    house.primary_is(1).await;
    until("what was lost is written once more", LONG, || {
        house.recorder.health() == crate::Health::Ok && house.recorder.spooled() == 0
    })
    .await;
    until("everything is there", LONG, || tables_of(first, &name) >= sent).await;
    assert_eq!(tables(first, &name), each(sent));
    house.finish().await;
}

pub(super) fn tables_of(node: &mainstay_testkit::PostgresNode, name: &str) -> u64 {
    node.query(name, "SELECT count(*) FROM mainstay.page_views").parse().unwrap()
}

fn cut_off(replica: &mainstay_testkit::PostgresNode) {
    replica.alter("primary_conninfo", "host=127.0.0.1 port=1 user=app");
    let text = "SELECT count(*) FROM pg_stat_wal_receiver";
    mainstay_testkit::until("nothing is received", LONG, || replica.query("postgres", text) == "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_replicas_have_is_let_go() {
    let (servers, _, house) = House::with_replicas(1).await;
    cut_off(&servers.replicas()[0]);
    for n in 0..20 {
        assert!(house.record(n).await);
    }
    assert!(house.unconfirmed() > 0);
    servers.replicas()[0].follow(servers.primary());
    servers.wait_replicated(LONG);
    until("it is let go", LONG, || house.unconfirmed() == 0).await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_refuses_and_never_blocks() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    servers.primary().kill();
    let small = Settings { spool_max: Size::kib(64), ..settings() };
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let house = House::open_with(dir, &database, &small).await;
    let (mut kept, mut refused) = (0, 0);
    let began = std::time::Instant::now();
    for n in 0..400 {
        match house.recorder.record(view(n)).await {
            Ok(_) => kept += 1,
            Err(error) => {
                assert_eq!(error, crate::record::Error::Unavailable);
                refused += 1;
            }
        }
    }
    assert!(began.elapsed() < LONG, "each waits for the database: {:?}", began.elapsed());
    assert!(kept > 10 && refused > 10, "{kept} kept, {refused} refused");
    assert_eq!(house.recorder.shed_total(), refused);
    let crate::Health::Degraded { reason, .. } = house.recorder.health() else { panic!("well") };
    assert!(!reason.is_empty());
    servers.primary().restart();
    until("what waited is there", LONG, || house.store.is_open() && house.recorder.spooled() == 0)
        .await;
    assert_eq!(house.count().await, kept);
    assert!(house.record(1_000).await);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_with_unconfirmed_events_beside_it_is_emptied_after_a_restart() {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    let small = Settings { spool_max: Size::kib(64), ..settings() };
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let house = House::open_with(dir, &database, &small).await;
    servers.wait_replicated(LONG);
    cut_off(&servers.replicas()[0]);
    let mut kept = 0;
    for n in 0..30 {
        kept += u64::from(house.record(n).await);
    }
    servers.primary().kill();
    for n in 30..400 {
        kept += u64::from(house.record(n).await);
    }
    let dir = house.kill().await;
    servers.primary().restart();
    let house = House::open_with(dir, &database, &small).await;
    until("what waited is there", LONG, || tables_of(servers.primary(), &name) >= kept).await;
    until("nothing waits", LONG, || house.recorder.spooled() == 0).await;
    assert_eq!(tables_of(servers.primary(), &name), kept);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_network_keeps_nobody_waiting() {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    let all = [servers.primary(), &servers.replicas()[0]];
    let proxies =
        all.map(|node| ChaosProxy::start(SocketAddr::from(([127, 0, 0, 1], node.port()))));
    let database = Database {
        connect_timeout: Time(Duration::from_secs(1)),
        ..behind(&[proxies[0].address(), proxies[1].address()], &name)
    };
    let house = House::open(&database).await;
    servers.wait_replicated(LONG);
    let (load, acknowledged) = send(&house);
    load.goes_on(100).await;
    proxies.iter().for_each(ChaosProxy::half_open);
    load.goes_on(200).await;
    proxies.iter().for_each(ChaosProxy::heal);
    until("what waited is there", LONG, || {
        house.recorder.spooled() == 0 && house.db().cluster.primary().is_some()
    })
    .await;
    load.goes_on(100).await;
    let (_, failed, slowest) = load.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    assert!(slowest < Duration::from_secs(7), "{slowest:?}");
    until("what waited is there", LONG, || house.recorder.spooled() == 0).await;
    assert_eq!(tables(servers.primary(), &name), each(acknowledged.load(Ordering::Relaxed)));
    house.finish().await;
}

/// A folder of the spool, where nothing can be begun any more. It is open, because something was recorded.
fn block(house: &House, queue: &str) -> (PathBuf, PathBuf) {
    let folder = house.path().join("spool").join(queue);
    let aside = folder.with_extension("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "").unwrap();
    (folder, aside)
}

fn unblock((folder, aside): (PathBuf, PathBuf)) {
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(aside, folder).unwrap();
}

#[tokio::test]
async fn a_disk_that_takes_no_copies_is_told_once() {
    let warnings = Warnings::of("recorder::sink_postgres");
    let (_servers, _, house) = House::with_replicas(1).await;
    for outage in 0..2 {
        assert!(house.record(outage * 100).await);
        until("it is confirmed", LONG, || house.unconfirmed() == 0).await;
        let blocked = block(&house, "unconfirmed");
        for n in 1..10 {
            assert!(house.record(outage * 100 + n).await);
        }
        assert_eq!(warnings.count(), 1 + outage as usize);
        let reason = house.recorder.why_unprotected().expect("a reason");
        assert!(reason.contains("does not take copies"), "{reason}");
        assert_eq!(house.metric("mainstay_recorder_unprotected_total"), u64::from(outage + 1) * 9);
        unblock(blocked);
        assert!(house.record(outage * 100 + 10).await);
        assert_eq!(house.recorder.why_unprotected(), None);
    }
    house.finish().await;
}

#[tokio::test]
async fn a_disk_that_takes_nothing_while_the_database_is_away_is_told_once_and_tried_again() {
    let warnings = Warnings::of("recorder::sink_postgres");
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    assert!(house.record(100).await);
    servers.primary().kill();
    let blocked = block(&house, "waiting");
    for n in 0..10 {
        assert!(!house.record(n).await);
    }
    assert_eq!((warnings.count(), house.recorder.shed_total()), (1, 10));
    let crate::Health::Degraded { reason, .. } = house.recorder.health() else { panic!("well") };
    assert!(reason.starts_with("this machine's disk does not take events"), "{reason}");
    let text = house.registry.encode_text();
    assert!(text.contains("\nmainstay_recorder_spool_errors_total 10\n"), "{text}");
    unblock(blocked);
    for n in 10..20 {
        assert!(house.record(n).await);
    }
    servers.primary().restart();
    until("what waited is there", LONG, || house.recorder.health() == crate::Health::Ok).await;
    assert_eq!(tables_of(servers.primary(), &name), 11);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_disk_does_not_give_back_keeps_nothing_else_waiting() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    servers.primary().kill();
    for n in 0..20 {
        assert!(house.record(n).await);
    }
    let folder = house.path().join("spool").join("waiting");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().map(|f| f.path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    take_away(&files[0]);
    for n in 20..30 {
        assert!(house.record(n).await);
    }
    servers.primary().restart();
    let reason = || match house.recorder.health() {
        crate::Health::Degraded { reason, .. } => reason,
        crate::Health::Ok => String::new(),
    };
    until("it is told", LONG, || reason().contains("cannot be read")).await;
    for n in 30..40 {
        assert!(house.record(n).await);
    }
    let there = tables_of(servers.primary(), &name);
    assert_eq!(there, 10, "all but those in the file");
    assert!(house.recorder.spooled() > 0, "they are not forgotten");
    let text = house.registry.encode_text();
    assert!(!text.contains("\nmainstay_recorder_spool_errors_total 0\n"), "{text}");
    bring_back(&files[0]);
    until("the disk gives it back", LONG, || house.recorder.health() == crate::Health::Ok).await;
    assert_eq!((tables_of(servers.primary(), &name), house.recorder.spooled()), (40, 0));
    assert_eq!(house.recorder.damaged_files(), 0);
    house.finish().await;
}

/// What is damaged cannot be put aside: the disk is named, and not the database.
#[tokio::test]
async fn a_disk_that_lets_nothing_go_is_told_as_that() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let waiting = dir.path().join("spool").join("waiting");
    for n in 1..=5 {
        // Too many are kept, and the oldest cannot be removed as a file.
        std::fs::create_dir_all(waiting.join(format!("{n:012}.damaged"))).unwrap();
    }
    for n in 1..=40 {
        // A record of one byte with a digest of another one. Each of them is let go at a look of its own.
        let damaged = [&[1, 0, 0, 0][..], &[7; 9]].concat();
        std::fs::write(waiting.join(format!("{n:012}.journal")), damaged).unwrap();
    }
    let house = House::open_on(dir, &database(&servers, &name)).await;
    let reason = || match house.recorder.health() {
        crate::Health::Degraded { reason, .. } => reason,
        crate::Health::Ok => String::new(),
    };
    let said = "this machine's disk does not let waiting events go";
    until("the disk is named", LONG, || reason().starts_with(said)).await;
    // Also by a commit that is none, which says how it is as well.
    for n in 0..10 {
        assert!(house.record(n).await);
        assert!(reason().starts_with(said), "{}", reason());
    }
    house.finish().await;
}

#[tokio::test]
async fn a_database_without_room_is_told_as_that_and_everything_waits() {
    let warnings = Warnings::of("recorder::sink_postgres");
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    let primary = servers.primary();
    let _ = primary.query(
        &name,
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END$$;
         CREATE TRIGGER no_room BEFORE INSERT ON mainstay.page_views
            FOR EACH STATEMENT EXECUTE FUNCTION no_room()",
    );
    let reason = || match house.recorder.health() {
        crate::Health::Degraded { reason, .. } => reason,
        crate::Health::Ok => String::new(),
    };
    for n in 0..20 {
        assert!(house.record(n).await);
        let reason = reason();
        assert!(
            reason.contains("the server's disk is full: could not extend file (SQLSTATE 53100)"),
            "{reason}"
        );
    }
    assert_eq!(warnings.count(), 1);
    assert!(house.recorder.spooled() > 0);
    assert!(!house.node(0).is_ejected(), "it answers all the same");
    let _ = primary.query(&name, "DROP FUNCTION no_room() CASCADE");
    until("there is room", LONG, || house.recorder.health() == crate::Health::Ok).await;
    assert_eq!(tables_of(primary, &name), 20);
    house.finish().await;
}
