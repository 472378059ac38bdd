//! Replicas that are too far behind, or away altogether.

use std::time::Duration;

use mainstay_base::Entropy;
use mainstay_base::units::{Size, Span as Time};
use mainstay_testkit::Postgres;

use super::house::{always, count, database, words};
use super::*;
use crate::contract::replace_hour;
use crate::rollup::{self, HourRollup, TotalRow};
use crate::{Database, Group};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_by_bytes_and_time_is_not_asked_and_by_one_of_them_is() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let database = Database {
        replica_lag_bytes_max: Size::kib(64),
        replica_lag_max: Time(Duration::from_millis(1_500)),
        probe_every: Time(Duration::from_millis(100)),
        ..database(&servers, &name)
    };
    let house = House::open(&database).await;
    let primary = servers.primary();
    let _ = primary.query(&name, "CREATE TABLE bulk (t text)");
    servers.wait_replicated(LONG);
    house.is_fit(1).await;
    let fill = |kib: u32| {
        let text =
            format!("INSERT INTO bulk SELECT repeat('x', 1000) FROM generate_series(1, {kib})");
        let _ = primary.query(&name, &text);
    };
    let late = &servers.replicas()[0];
    late.set_apply_delay(Duration::from_secs(3_600));
    // By bytes, and not for long. Replay halts at the first commit; what follows is missing.
    fill(1);
    fill(500);
    let bytes = || house.node(1).state().lag_bytes;
    until("bytes are missing", LONG, || bytes() > 64 << 10).await;
    assert!(house.node(1).is_fit(), "{:?}", house.node(1).state());
    // And for long.
    until("it lags", LONG, || house.node(1).state().lagging).await;
    assert!(house.node(1).state().lag >= Duration::from_millis(1_500));
    assert!(!house.node(1).is_fit() && house.node(2).is_fit());
    let asked = crate::postgres::list_nodes(house.db());
    assert_eq!(asked[1].reason.as_deref(), Some("too far behind the primary"));
    for _ in 0..20 {
        assert_eq!(count(house.store.insight()).await.unwrap(), 0);
    }
    late.set_apply_delay(Duration::ZERO);
    house.is_fit(1).await;
    // An idle primary: time passes, and nothing is missing.
    servers.wait_replicated(LONG);
    until("nothing is missing", LONG, || bytes() == 0).await;
    assert_eq!(house.node(1).state().lag, Duration::ZERO);
    house.finish().await;
}

/// Far longer than it takes to write a burst and to look at it.
const BOUND: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_after_a_long_silence_is_no_lag() {
    let servers = Postgres::launch().replicas(1).start();
    let name = servers.create_database();
    let database = Database {
        replica_lag_bytes_max: Size::kib(64),
        replica_lag_max: Time(BOUND),
        probe_every: Time(Duration::from_millis(100)),
        ..database(&servers, &name)
    };
    let house = House::open(&database).await;
    let _ = servers.primary().query(&name, "CREATE TABLE bulk (t text)");
    servers.wait_replicated(LONG);
    // Longer than the bound: the last replayed transaction is old, and nothing is missing.
    until("it was long ago", LONG, || {
        let state = house.node(1).state();
        state.since_replay > BOUND && state.lag_bytes == 0
    })
    .await;
    servers.replicas()[0].set_apply_delay(Duration::from_secs(3_600));
    let text = "INSERT INTO bulk SELECT repeat('x', 1000) FROM generate_series(1, 500)";
    // Replay halts at the first commit; what follows is missing.
    let _ = servers.primary().query(&name, text);
    let _ = servers.primary().query(&name, text);
    until("bytes are missing", LONG, || house.node(1).state().lag_bytes > 64 << 10).await;
    let state = house.node(1).state();
    assert!(!state.lagging && state.since_replay > BOUND, "{state:?}");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_replicas_the_primary_takes_its_share_and_refuses_the_rest() {
    let servers = Postgres::launch().replicas(2).start();
    let name = servers.create_database();
    let database = Database { pool_max: 8, primary_read_share: 50, ..database(&servers, &name) };
    let house = House::open(&database).await;
    servers.wait_replicated(LONG);
    for replica in servers.replicas() {
        replica.kill();
    }
    count(house.store.insight()).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(house.db().attempts("test.hold").lease().await.unwrap());
    }
    let error = count(house.store.insight()).await.unwrap_err();
    assert_eq!(error.kind, crate::error::Kind::Unavailable);
    assert!(words(&error).contains("share of reads is used up"), "{}", words(&error));
    // Changes have what is left.
    assert!(house.record(1).await);
    assert_eq!(house.recorder.spooled(), 0);
    drop(held.pop());
    count(house.store.insight()).await.unwrap();
    // Fewer connections, a smaller share.
    drop(held);
    house.db().set_pool_max(2);
    let one = house.db().attempts("test.hold").lease().await.unwrap();
    assert!(count(house.store.insight()).await.is_err());
    drop(one);
    for replica in servers.replicas() {
        replica.restart();
    }
    house.is_fit(1).await;
    house.is_fit(2).await;
    let before = house.answered("no_replica");
    count(house.store.insight()).await.unwrap();
    assert_eq!(house.answered("no_replica"), before);
    house.finish().await;
}

/// Without a primary a replica is asked, which may have the hours as they were before the day was claimed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_knows_nothing_of_a_claim_tells_a_fold_nothing() {
    let (servers, _, house) = House::with_replicas(1).await;
    let db = house.store.insight().latest();
    let total =
        TotalRow { bot: false, pageviews: 1, visitors: 1, sessions: 1, bounces: 1, engaged_ms: 0 };
    let counted = HourRollup { totals: vec![total], ..HourRollup::default() };
    replace_hour(&db, house.clock.now(), &counted).await;
    servers.wait_replicated(LONG);
    servers.replicas()[0].set_apply_delay(Duration::from_secs(3_600));
    let unfolded = rollup::list_unfolded(&db, "default", always().to, 1).await.unwrap();
    let fold = rollup::claim_day(&db, &house.clock, &Entropy::System, "default", &unfolded[0])
        .await
        .unwrap()
        .unwrap();
    assert!(fold.list_vitals(Group::Site, false, "").await.unwrap().is_some());
    servers.primary().kill();
    until("there is no primary", LONG, || house.db().cluster.primary().is_none()).await;
    assert_eq!(fold.list_vitals(Group::Site, false, "").await.unwrap(), None);
    servers.primary().restart();
    house.primary_is(0).await;
    assert!(fold.list_vitals(Group::Site, false, "").await.unwrap().is_some());
    house.finish().await;
}
