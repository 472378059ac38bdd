//! Every call is answered in time however Redis is away, and what memory answered is gone when it is back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_kv::{Error, Freshness, Role, Taken};
use mainstay_testkit::{Redis, RedisNode, Waits};

use super::process::{HOUR, PROMISE, Process, WITHIN, namespace, until};

/// One call of every kind, each in its time.
async fn call_all(process: &Process, waits: &Waits, leases: &Waits, round: usize) {
    let (kv, key) = (&process.kv, format!("key-{round}"));
    let keys: Vec<_> = (0..20).map(|n| format!("key-{n}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    waits.time(kv.set(&key, Bytes::from_static(b"x"), None)).await.unwrap();
    waits.time(kv.get(&key, Freshness::Exact)).await.unwrap();
    waits.time(kv.get(&key, Freshness::Stale)).await.unwrap();
    waits.time(kv.get_many(&keys, Freshness::Stale)).await.unwrap();
    waits.time(kv.increment("hits", 1, HOUR)).await.unwrap();
    waits.time(kv.delete(&key)).await.unwrap();
    waits.time(kv.publish("news", Bytes::new())).await.unwrap();
    drop(leases.time(kv.acquire("job", HOUR)).await);
}

/// What who asks for a lease is promised.
fn patience() -> Duration {
    mainstay_kv::Settings::default().patience.0 + PROMISE
}

/// Breaks the way to a single server, and mends it.
async fn outage(what: &str, fail: impl Fn(&RedisNode), mend: impl Fn(&RedisNode)) {
    let redis = Redis::launch().proxied().start();
    let (node, namespace) = (redis.node(), namespace());
    let process = Process::start(&[node.address()], &namespace).await;
    assert_eq!(process.set("changed", "before").await, Taken::Shared);
    let (waits, leases) = (Waits::default(), Waits::default());
    fail(node);
    for round in 0..50 {
        call_all(&process, &waits, &leases, round).await;
    }
    waits.check(what, PROMISE);
    leases.check(what, patience());
    assert_eq!(process.set("changed", "meanwhile").await, Taken::Locally);
    assert_eq!(process.get("changed").await.as_deref(), Some("meanwhile"));
    let count = process.kv.increment("hits", 1, HOUR).await.unwrap();
    assert_eq!(count.taken, Taken::Locally);
    assert_eq!(process.kv.acquire("job", HOUR).await, Err(Error::Away));
    let health = process.kv.health().await;
    assert!(!health.ok && health.since.is_some() && health.reason.is_some(), "{health:?}");
    assert_eq!(health.nodes.len(), 1);
    assert!((process.metric("mainstay_kv_away") - 1.0).abs() < f64::EPSILON);
    mend(node);
    process.wait_ready().await;
    assert_eq!(process.get("changed").await, None, "neither the old value nor memory's");
    assert_eq!(process.set("changed", "after").await, Taken::Shared);
    assert_eq!(process.get("changed").await.as_deref(), Some("after"));
    let health = process.kv.health().await;
    assert!(health.ok && health.latency.is_some() && health.reason.is_none(), "{health:?}");
    assert_eq!(health.nodes[0].role, Role::Primary);
    assert!(process.metric("mainstay_kv_away").abs() < f64::EPSILON);
    assert!((process.metric("mainstay_kv_recoveries_total") - 2.0).abs() < f64::EPSILON);
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_time_while_the_network_is_cut() {
    outage("cut", |node| node.network().cut(), |node| node.network().heal()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_time_while_the_network_swallows_everything() {
    outage("half-open", |node| node.network().half_open(), |node| node.network().heal()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_time_while_the_network_is_slow() {
    let slow = Duration::from_secs(2);
    outage("slow", |node| node.network().delay(slow), |node| node.network().heal()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_time_while_the_server_stands_still() {
    outage("stopped", RedisNode::pause, RedisNode::resume).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_time_while_the_server_is_dead() {
    outage("dead", RedisNode::kill, RedisNode::restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_calls_wait_before_nobody_asks_any_more() {
    let redis = Redis::launch().proxied().start();
    let process = Process::start(&[redis.node().address()], &namespace()).await;
    redis.node().network().half_open();
    let mut waited = 0;
    for _ in 0..50 {
        let began = Instant::now();
        process.get("a").await;
        waited += u32::from(began.elapsed() > Duration::from_millis(20));
    }
    let failures = mainstay_kv::Settings::default().failures_max;
    assert!((1..=failures).contains(&waited), "{waited}");
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_later_is_found() {
    let redis = Redis::launch().late().start();
    let process = Process::start_away(&[redis.node().address()], &namespace(), |_| {});
    let waits = Waits::default();
    for round in 0..50 {
        // That nobody is there is known: nobody waits for a lease.
        call_all(&process, &waits, &waits, round).await;
    }
    waits.check("never there", PROMISE);
    assert_eq!(process.set("a", "early").await, Taken::Locally);
    redis.node().restart();
    process.wait_ready().await;
    assert_eq!(process.get("a").await, None, "memory is not pushed");
    assert_eq!(process.set("a", "late").await, Taken::Shared);
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_opens_and_is_never_told() {
    let redis = Redis::launch().password("open-sesame").start();
    let nodes = [redis.node().address()];
    let wrong = Process::start_away(&nodes, &namespace(), |settings| {
        settings.password = Some("close-sesame".to_owned());
    });
    until("a reason", async || {
        let health = format!("{:?}", wrong.kv.health().await);
        assert!(!health.contains("sesame"), "{health}");
        health.to_lowercase().contains("password") || health.contains("WRONGPASS")
    })
    .await;
    assert_eq!(wrong.set("a", "x").await, Taken::Locally);
    let right = Process::start_with(&nodes, &namespace(), |settings| {
        settings.password = Some("open-sesame".to_owned());
    })
    .await;
    assert_eq!(right.set("a", "x").await, Taken::Shared);
    assert!(!right.kv.wait_ready(Duration::ZERO).await || right.kv.wait_ready(WITHIN).await);
    wrong.finish().await;
    right.finish().await;
}
