//! Nothing stale comes back: after an outage with changes, after one without, after a single failed write.

use std::time::Duration;

use mainstay_base::units::Span;
use mainstay_kv::{Event, Taken};
use mainstay_testkit::Redis;

use super::process::{HOUR, Process, WITHIN, namespace, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_in_an_outage_is_stale_for_nobody() {
    let redis = Redis::launch().proxied().start();
    let (node, namespace) = (redis.node(), namespace());
    let cut_off = Process::start(&[node.address()], &namespace).await;
    let connected = Process::start(&[node.own_address()], &namespace).await;
    let mut heard = connected.kv.subscribe("anything").unwrap();
    connected.set("deleted", "old").await;
    connected.set("set", "old").await;
    node.network().cut();
    until("away", async || cut_off.set("set", "new").await == Taken::Locally).await;
    cut_off.kv.delete("deleted").await.unwrap();
    assert_eq!(connected.get("deleted").await.as_deref(), Some("old"), "it cannot know");
    node.network().heal();
    cut_off.wait_ready().await;
    // Of the event, or of a probe at the latest.
    until("word of it", async || connected.get("deleted").await.is_none()).await;
    for process in [&cut_off, &connected] {
        assert_eq!((process.get("deleted").await, process.get("set").await), (None, None));
    }
    let event = tokio::time::timeout(WITHIN, heard.next()).await;
    assert_eq!(event, Ok(Event::Gap), "whatever was remembered is no longer sure");
    assert_eq!(connected.set("set", "newest").await, Taken::Shared);
    until("one generation", async || cut_off.get("set").await.as_deref() == Some("newest")).await;
    cut_off.finish().await;
    connected.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_without_changes_costs_nothing() {
    let redis = Redis::launch().proxied().start();
    let (network, nodes) = (redis.node().network(), [redis.node().address()]);
    let process = Process::start(&nodes, &namespace()).await;
    process.set("kept", "value").await;
    network.cut();
    until("away", async || !process.kv.health().await.ok).await;
    assert_eq!(process.get("kept").await, None);
    network.heal();
    process.wait_ready().await;
    assert_eq!(process.get("kept").await.as_deref(), Some("value"));
    assert!(process.metric("mainstay_kv_generations_total").abs() < f64::EPSILON);
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_outage_knows_nothing_of_another() {
    let redis = Redis::launch().proxied().start();
    let (network, nodes) = (redis.node().network(), [redis.node().address()]);
    let process = Process::start(&nodes, &namespace()).await;
    network.cut();
    until("away", async || process.set("a", "first").await == Taken::Locally).await;
    assert_eq!(process.kv.increment("hits", 1, HOUR).await.unwrap().value, 1);
    assert_eq!(process.get("a").await.as_deref(), Some("first"));
    network.heal();
    process.wait_ready().await;
    process.kv.delete("a").await.unwrap();
    network.cut();
    until("away", async || !process.kv.health().await.ok).await;
    assert_eq!(process.get("a").await, None);
    let count = process.kv.increment("hits", 1, HOUR).await.unwrap();
    assert_eq!((count.value, count.taken), (1, Taken::Locally));
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_failed_alone_is_repaired_alone() {
    let redis = Redis::launch().proxied().start();
    let (node, namespace) = (redis.node(), namespace());
    // A store that is too slow for a while, and never counts as away.
    let slow = |settings: &mut mainstay_kv::Settings| {
        settings.failures_max = u32::MAX;
        settings.connect_timeout = Span(WITHIN);
    };
    let process = Process::start_with(&[node.address()], &namespace, slow).await;
    let other = Process::start(&[node.own_address()], &namespace).await;
    process.set("changed", "old").await;
    process.set("untouched", "value").await;
    node.network().delay(Duration::from_millis(300));
    assert_eq!(process.set("changed", "new").await, Taken::Locally);
    assert_eq!(process.get("changed").await.as_deref(), Some("new"), "memory knows better");
    node.network().heal();
    until("a repair", async || {
        let found = process.get("changed").await;
        assert_ne!(found.as_deref(), Some("old"));
        found.is_none()
    })
    .await;
    assert_eq!(other.get("changed").await, None, "for everybody");
    assert_eq!(other.get("untouched").await.as_deref(), Some("value"));
    assert!((process.metric("mainstay_kv_repairs_total") - 1.0).abs() < f64::EPSILON);
    assert!(process.metric("mainstay_kv_generations_total").abs() < f64::EPSILON);
    process.finish().await;
    other.finish().await;
}
