//! A subscriber hears that it missed something, and hears everything again afterwards.

use std::time::Duration;

use bytes::Bytes;
use mainstay_base::units::Span;
use mainstay_kv::{Event, Subscription, Taken};
use mainstay_testkit::{Redis, RedisNode};

use super::process::{Process, WITHIN, namespace, until};

async fn next(subscription: &mut Subscription) -> Event {
    tokio::time::timeout(WITHIN, subscription.next()).await.unwrap()
}

/// Publishes until it is heard, and passes everything else over.
async fn until_heard(from: &Process, subscription: &mut Subscription) {
    until("a channel that is listened to", async || {
        from.kv.publish("news", Bytes::from_static(b"x")).await.unwrap();
        let short = Duration::from_millis(200);
        let event = tokio::time::timeout(short, subscription.next()).await;
        matches!(event, Ok(Event::Message { sequence: Some(_), .. }))
    })
    .await;
}

async fn lose(fail: impl Fn(&RedisNode), mend: impl Fn(&RedisNode)) {
    let redis = Redis::launch().proxied().start();
    let (node, namespace) = (redis.node(), namespace());
    let quick = |settings: &mut mainstay_kv::Settings| {
        settings.silence_max = Span::seconds(1);
        settings.heartbeat_every = Span(Duration::from_millis(200));
    };
    let listener = Process::start_with(&[node.address()], &namespace, quick).await;
    let speaker = Process::start(&[node.own_address()], &namespace).await;
    let mut subscription = listener.kv.subscribe("news").unwrap();
    until_heard(&speaker, &mut subscription).await;
    fail(node);
    for _ in 0..3 {
        speaker.kv.publish("news", Bytes::from_static(b"missed")).await.unwrap();
    }
    // A server that stands still loses nothing: that it said nothing is all that is known.
    loop {
        let event = next(&mut subscription).await;
        if event == Event::Gap {
            break;
        }
    }
    mend(node);
    listener.wait_ready().await;
    until_heard(&speaker, &mut subscription).await;
    listener.finish().await;
    speaker.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_is_a_gap() {
    lose(|node| node.network().cut(), |node| node.network().heal()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_a_gap() {
    lose(|node| node.network().half_open(), |node| node.network().heal()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_a_gap() {
    lose(RedisNode::kill, RedisNode::restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_may_be_lost_is_a_gap_for_all() {
    let redis = Redis::launch().proxied().start();
    let (node, namespace) = (redis.node(), namespace());
    // A store that is too slow for a while, and never counts as away.
    let slow = |settings: &mut mainstay_kv::Settings| {
        settings.failures_max = u32::MAX;
        settings.connect_timeout = Span(WITHIN);
    };
    let speaker = Process::start_with(&[node.address()], &namespace, slow).await;
    let listener = Process::start(&[node.own_address()], &namespace).await;
    let mut subscription = listener.kv.subscribe("news").unwrap();
    until_heard(&speaker, &mut subscription).await;
    node.network().delay(Duration::from_millis(300));
    let lost = speaker.kv.publish("news", Bytes::from_static(b"lost")).await;
    assert_eq!(lost, Ok(Taken::Locally));
    node.network().heal();
    while next(&mut subscription).await != Event::Gap {}
    // Of this channel alone: stored values stay.
    assert!(speaker.metric("mainstay_kv_generations_total").abs() < f64::EPSILON);
    speaker.finish().await;
    listener.finish().await;
}
