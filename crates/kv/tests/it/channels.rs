//! A subscriber hears that it missed something, and hears everything again afterwards.

use std::time::Duration;

use bytes::Bytes;
use mainstay_base::units::Span;
use mainstay_kv::{Event, Subscription, Taken};
use mainstay_testkit::{Redis, RedisCluster, RedisNode};
use tokio::task::block_in_place;

use super::process::{HOUR, Process, WITHIN, namespace, until};

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

/// However many channels there are, one slow moment is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_that_are_late_together_are_no_outage() {
    let redis = Redis::launch().proxied().start();
    let rare = |settings: &mut mainstay_kv::Settings| {
        settings.heartbeat_every = Span(Duration::from_millis(600));
        (settings.trial_every, settings.probe_every) = (Span(HOUR), Span(HOUR));
    };
    let process = Process::start_with(&[redis.node().address()], &namespace(), rare).await;
    let names: Vec<_> = (0..12).map(|n| format!("news{n}")).collect();
    let mut heard: Vec<_> = names.iter().map(|name| process.kv.subscribe(name).unwrap()).collect();
    for (name, heard) in names.iter().zip(&mut heard) {
        until("a channel that is listened to", async || {
            let sent = process.kv.publish(name, Bytes::from_static(b"x")).await;
            let event = tokio::time::timeout(Duration::from_millis(200), heard.next()).await;
            sent == Ok(Taken::Shared)
                && matches!(event, Ok(Event::Message { sequence: Some(_), .. }))
        })
        .await;
    }
    redis.node().network().delay(Duration::from_millis(60));
    let calls = || process.metric("mainstay_kv_call_seconds_count");
    let before = calls();
    until("two heartbeats of all", async || calls() - before >= 24.0).await;
    assert_eq!(process.kv.why_away(), None);
    process.finish().await;
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

/// Two channels: one whose slot is the generation's server's, and one of another server, with that.
fn two_channels<'a>(cluster: &'a RedisCluster, namespace: &str) -> (String, String, &'a RedisNode) {
    let server = |key: &str| block_in_place(|| cluster.primary_of(key));
    let first = server(&format!("{namespace}:generation"));
    let is_here = |name: &String| std::ptr::eq(server(&format!("{namespace}:m:{{{name}}}")), first);
    let here = (0..).map(|n| format!("c{n}")).find(&is_here).unwrap();
    let there = (0..).map(|n| format!("c{n}")).find(|name| !is_here(name)).unwrap();
    let other = server(&format!("{namespace}:m:{{{there}}}"));
    (here, there, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_joined_yet_holds_up_no_message_of_another() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    // It may take long to join, and nobody looks at anything else.
    let patient = |settings: &mut mainstay_kv::Settings| {
        settings.connect_timeout = Span(WITHIN);
        settings.answer_within = Span(WITHIN);
        settings.silence_max = Span(HOUR);
        settings.probe_every = Span(HOUR);
        settings.failures_max = u32::MAX;
    };
    let listener = Process::start_with(&cluster.addresses(), &namespace, patient).await;
    let speaker = Process::start_with(&cluster.addresses(), &namespace, patient).await;
    let (here, there, other) = two_channels(&cluster, &namespace);
    let mut subscription = listener.kv.subscribe(&here).unwrap();
    let message = Bytes::from_static(b"x");
    until("a channel that is listened to", async || {
        speaker.kv.publish(&here, message.clone()).await.unwrap();
        let short = Duration::from_millis(200);
        let event = tokio::time::timeout(short, subscription.next()).await;
        matches!(event, Ok(Event::Message { sequence: Some(_), .. }))
    })
    .await;
    other.pause();
    let _joins = listener.kv.subscribe(&there).unwrap();
    for _ in 0..10 {
        assert_eq!(speaker.kv.publish(&here, message.clone()).await, Ok(Taken::Shared));
        let event = next(&mut subscription).await;
        assert!(matches!(event, Event::Message { sequence: Some(_), .. }), "{event:?}");
    }
    other.resume();
    listener.finish().await;
    speaker.finish().await;
}
