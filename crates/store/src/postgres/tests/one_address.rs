//! Standbys behind the one address that is named: nothing that was acknowledged is lost with a primary that they follow.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use mainstay_base::units::Size;
use mainstay_testkit::{ChaosProxy, Postgres, PostgresNode};

use super::house::{behind, database, settings};
use super::spool::{each, everything, tables, tables_of};
use super::warnings::Warnings;
use super::*;
use crate::{Health, Settings};

fn address(node: &PostgresNode) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], node.port()))
}

/// A primary, its only standby, and a process that knows neither: only an address that leads to the first.
async fn behind_one(settings: &Settings) -> (Postgres, ChaosProxy, String, House) {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    // Else only a slot tells how far the standby is.
    let _ = servers.primary().query(&name, "GRANT pg_monitor TO mainstay");
    let proxy = ChaosProxy::start(address(servers.primary()));
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let house = House::open_with(dir, &behind(&[proxy.address()], &name), settings).await;
    assert!(house.store.is_open(), "{:?}", house.store.list_away());
    servers.wait_replicated(LONG);
    (servers, proxy, name, house)
}

async fn send(house: &House, range: Range<u32>) -> u64 {
    for n in range.clone() {
        assert!(house.recorder.record(everything(n)).await.is_ok());
    }
    u64::from(range.end - range.start)
}

/// The standby takes the primary's place, and the address leads to it.
async fn fail_over(servers: &Postgres, proxy: &ChaosProxy, house: &House) {
    servers.replicas()[0].promote();
    proxy.turn_to(address(&servers.replicas()[0]));
    until("what was lost is written once more", LONG, || {
        let is_new = *house.db().cluster.timeline().borrow() > 1;
        is_new && house.recorder.health() == Health::Ok && house.recorder.spooled() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_behind_it_costs_nothing_that_the_standby_had_not_received() {
    let (servers, proxy, name, house) = behind_one(&settings()).await;
    let standby = &servers.replicas()[0];
    let mut sent = send(&house, 0..40).await;
    until("what the standby has is let go", LONG, || house.unconfirmed() == 0).await;
    standby.follow_nobody();
    sent += send(&house, 100..140).await;
    house.confirmed_again().await;
    assert_eq!(house.recorder.spooled(), 0, "all of it is in the primary");
    assert_eq!(house.metric("mainstay_recorder_unconfirmed_bytes"), house.unconfirmed());
    servers.primary().kill();
    sent += send(&house, 200..240).await;
    let held = tables_of(standby, &name);
    assert!(held < 80, "{held}: the standby was not cut off");
    fail_over(&servers, &proxy, &house).await;
    until("everything is there", LONG, || tables_of(standby, &name) >= sent).await;
    assert_eq!(tables(standby, &name), each(sent));
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_room_is_left_for_is_counted_and_told_until_the_standby_is_back() {
    let small = Settings { spool_max: Size::kib(64), ..settings() };
    let (servers, proxy, name, house) = behind_one(&small).await;
    let standby = &servers.replicas()[0];
    // No more than there is room for.
    let mut sent = send(&house, 0..10).await;
    until("what the standby has is let go", LONG, || house.unconfirmed() == 0).await;
    let kept = tables_of(standby, &name);
    standby.follow_nobody();
    assert_eq!(house.recorder.why_unprotected(), None);
    sent += send(&house, 100..220).await;
    let reason = house.recorder.why_unprotected().expect("a reason");
    assert!(reason.contains("store.spool_max"), "{reason}");
    let unprotected = house.metric("mainstay_recorder_unprotected_total");
    assert!(kept == 10 && (1..120).contains(&unprotected), "{kept} kept, {unprotected} given up");
    assert!((1..=64 << 10).contains(&house.unconfirmed()), "{}", house.unconfirmed());
    // It says no less than the truth: what it counts, and nothing else, is lost with the primary.
    servers.primary().kill();
    fail_over(&servers, &proxy, &house).await;
    until("the rest is there", LONG, || tables_of(standby, &name) >= sent - unprotected).await;
    assert_eq!(tables_of(standby, &name), sent - unprotected);
    until("that is over", LONG, || house.recorder.why_unprotected().is_none()).await;
    assert_eq!(house.metric("mainstay_recorder_unprotected_total"), unprotected);
    house.finish().await;
}

#[tokio::test]
async fn room_that_is_used_up_is_told_once_and_is_over_when_the_standby_confirms() {
    let warnings = Warnings::of("recorder::spool");
    let small = Settings { spool_max: Size::kib(64), ..settings() };
    let (servers, _proxy, _, house) = behind_one(&small).await;
    let standby = &servers.replicas()[0];
    assert!(house.record(0).await);
    standby.follow_nobody();
    send(&house, 100..260).await;
    assert_eq!(warnings.count(), 1);
    standby.follow(servers.primary());
    until("that is over", LONG, || house.recorder.why_unprotected().is_none()).await;
    until("it is let go", LONG, || house.unconfirmed() == 0).await;
    assert!(house.metric("mainstay_recorder_unprotected_total") > 0, "they stay counted");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_synchronous_standby_has_is_not_kept() {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    let (primary, standby) = (servers.primary(), &servers.replicas()[0]);
    primary.alter("synchronous_standby_names", "*");
    let (one, both) = (behind(&[address(primary)], &name), database(&servers, &name));
    for (from, database) in [(0, one), (100, both)] {
        let house = House::open(&database).await;
        for n in from..from + 20 {
            assert!(house.record(n).await);
            assert_eq!(house.unconfirmed(), 0, "event {n}");
        }
        house.finish().await;
    }
    // No commit waits for it any more.
    primary.alter("synchronous_standby_names", "");
    standby.follow_nobody();
    let house = House::open(&database(&servers, &name)).await;
    assert!(house.record(200).await);
    assert!(house.unconfirmed() > 0);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_not_shown_how_far_they_are_keeps_it_and_a_slot_or_a_right_tells() {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    let (primary, standby) = (servers.primary(), &servers.replicas()[0]);
    let say = |text: &str| drop(primary.query(&name, text));
    let house = House::open(&behind(&[address(primary)], &name)).await;
    assert!(house.record(0).await);
    house.confirmed_again().await;
    assert!(house.unconfirmed() > 0, "nobody told");
    say("GRANT pg_monitor TO mainstay");
    until("it is let go", LONG, || house.unconfirmed() == 0).await;
    say("REVOKE pg_monitor FROM mainstay");
    say("SELECT pg_create_physical_replication_slot('standby')");
    assert!(house.record(1).await);
    house.confirmed_again().await;
    assert!(house.unconfirmed() > 0, "nobody told");
    standby.alter("primary_slot_name", "standby");
    until("it is let go", LONG, || house.unconfirmed() == 0).await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_nobody_follows_costs_no_copies_until_somebody_may() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    for n in 0..10 {
        assert!(house.record(n).await);
        assert_eq!(house.unconfirmed(), 0);
    }
    // Of one that is to come.
    let slot = "SELECT pg_create_physical_replication_slot('standby')";
    let _ = servers.primary().query(&name, slot);
    assert!(house.record(10).await);
    assert!(house.unconfirmed() > 0);
    house.finish().await;
}
