//! What calls cost the servers: one round trip, replicas for reads that may be stale, never KEYS.

use std::time::Duration;

use mainstay_base::units::Span;
use mainstay_kv::{Freshness, Grant, Settings, Taken};
use mainstay_testkit::{Redis, RedisCluster, RedisNode};
use tokio::task::block_in_place;

use super::process::{HOUR, Process, WITHIN, namespace, until};

/// How often a server ran a command since it started.
fn calls(node: &RedisNode, command: &str) -> u64 {
    let told = node.ask(&["INFO", "commandstats"]);
    let line =
        told.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// What a busy machine delays shall not change who is asked. The keeper is quiet.
fn patient(settings: &mut Settings) {
    settings.answer_within = Span(WITHIN);
    settings.probe_every = Span(HOUR);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_cost_one_round_trip() {
    let redis = Redis::start();
    let process = Process::start_with(&[redis.node().address()], &namespace(), patient).await;
    let kv = &process.kv;
    // The first time of each script brings its text.
    let Ok(Grant::Granted(lease)) = kv.acquire("job", HOUR).await else { panic!("no lease") };
    kv.increment("hits", 1, HOUR).await.unwrap();
    kv.renew(&lease, HOUR).await.unwrap();
    until("a quiet store", async || {
        let before = calls(redis.node(), "evalsha");
        // The pause between two looks: silence has no event.
        tokio::time::sleep(Duration::from_millis(50)).await;
        before == calls(redis.node(), "evalsha")
    })
    .await;
    let (hashes, texts) = (calls(redis.node(), "evalsha"), calls(redis.node(), "eval"));
    for _ in 0..50 {
        kv.increment("hits", 1, HOUR).await.unwrap();
        assert_eq!(kv.renew(&lease, HOUR).await, Ok(true));
    }
    assert_eq!(calls(redis.node(), "evalsha") - hashes, 100);
    assert_eq!(calls(redis.node(), "eval"), texts);
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_answer_what_may_be_stale_and_nothing_else() {
    let cluster = RedisCluster::start();
    let process = Process::start_with(&cluster.addresses(), &namespace(), patient).await;
    let by_replicas = || cluster.nodes()[3..].iter().map(|node| calls(node, "get")).sum::<u64>();
    for n in 0..60 {
        process.set(&format!("key-{n}"), "x").await;
        assert!(process.get(&format!("key-{n}")).await.is_some());
    }
    assert_eq!(by_replicas(), 0);
    for n in 0..60 {
        let key = format!("key-{n}");
        until("a replica that caught up", async || {
            process.kv.get(&key, Freshness::Stale).await.unwrap().is_some()
        })
        .await;
    }
    assert!(by_replicas() >= 60, "{}", by_replicas());
    // Without them their primaries answer, at once.
    cluster.nodes()[3..].iter().for_each(RedisNode::pause);
    let quick = Process::start_with(&cluster.addresses(), &namespace(), |settings| {
        settings.answer_within = Span(Duration::from_secs(1));
        settings.connect_timeout = Span(Duration::from_millis(200));
    })
    .await;
    quick.set("a", "x").await;
    assert!(quick.kv.get("a", Freshness::Stale).await.unwrap().is_some());
    cluster.nodes()[3..].iter().for_each(RedisNode::resume);
    process.finish().await;
    quick.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_are_looked_for_in_steps_on_every_primary() {
    let cluster = RedisCluster::start();
    let small = |settings: &mut Settings| {
        patient(settings);
        settings.batch_keys = 50;
    };
    let process = Process::start_with(&cluster.addresses(), &namespace(), small).await;
    for n in 0..600 {
        process.set(&format!("page:{n}"), "x").await;
    }
    assert_eq!(process.kv.invalidate("page:*").await, Ok((600, Taken::Shared)));
    for node in &cluster.nodes()[..3] {
        assert_eq!(calls(node, "keys"), 0);
        assert_eq!(calls(node, "del"), 0);
        assert!(calls(node, "scan") > 3, "in steps");
        assert!(calls(node, "unlink") > 100, "everywhere");
    }
    process.finish().await;
}

/// A key may go from a server that is not looked through yet to one that was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_are_looked_for_twice_while_a_slot_is_here_and_there() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    let process = Process::start_with(&cluster.addresses(), &namespace, patient).await;
    let scans = || cluster.nodes().iter().map(|node| calls(node, "scan")).sum::<u64>();
    let keys: Vec<_> = (0..4).map(|n| format!("{{slot}}{n}")).collect();
    for key in &keys {
        assert_eq!(process.set(key, key).await, Taken::Shared);
    }
    let names: Vec<_> = keys.iter().map(|key| format!("{namespace}:v0:{key}")).collect();
    assert_eq!(process.kv.invalidate("other*").await, Ok((0, Taken::Shared)));
    assert_eq!(scans(), 3);
    block_in_place(|| cluster.begin_to_move(&names, 2));
    assert_eq!(process.kv.invalidate("{slot}*").await, Ok((4, Taken::Shared)));
    assert_eq!(scans(), 9);
    process.finish().await;
}

/// Many keys of a few slots, some of which have no value, and the values.
async fn tagged(process: &Process, tags: usize) -> (Vec<String>, Vec<Option<String>>) {
    let keys: Vec<_> = (0..50 * tags).map(|n| format!("{{tag{}}}:{n}", n % tags)).collect();
    for key in keys.iter().filter(|key| !key.ends_with('7')) {
        assert_eq!(process.set(key, key).await, Taken::Shared);
    }
    let values = keys.iter().map(|key| (!key.ends_with('7')).then(|| key.clone())).collect();
    (keys, values)
}

/// The same keys, once together and once one by one.
async fn read(process: &Process, keys: &[String], freshness: Freshness) -> Vec<Option<String>> {
    let refs: Vec<_> = keys.iter().map(String::as_str).collect();
    let text = |value: Option<bytes::Bytes>| value.map(|v| String::from_utf8(v.to_vec()).unwrap());
    let many = process.kv.get_many(&refs, freshness).await.unwrap();
    many.into_iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_one_slot_are_read_by_one_command() {
    let cluster = RedisCluster::start();
    let few = |settings: &mut Settings| {
        patient(settings);
        settings.batch_keys = 50;
    };
    let process = Process::start_with(&cluster.addresses(), &namespace(), few).await;
    let (keys, values) = tagged(&process, 4).await;
    let sum = |nodes: &[RedisNode], command| nodes.iter().map(|n| calls(n, command)).sum::<u64>();
    let (primaries, replicas) = cluster.nodes().split_at(3);
    let before = sum(primaries, "get");
    assert_eq!(read(&process, &keys, Freshness::Exact).await, values);
    assert_eq!((sum(primaries, "mget"), sum(primaries, "get")), (4, before));
    for (key, value) in keys.iter().zip(&values) {
        assert_eq!(process.get(key).await, *value, "one by one it is the same");
    }
    assert_eq!(sum(replicas, "mget"), 0);
    until("replicas that caught up", async || {
        read(&process, &keys, Freshness::Stale).await == values
    })
    .await;
    assert!(sum(replicas, "mget") >= 4, "{}", sum(replicas, "mget"));
    assert_eq!((sum(replicas, "get"), sum(primaries, "mget")), (0, 4));
    assert!(process.reads_from_memory().abs() < f64::EPSILON);
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_server_is_asked_for_a_batch_at_a_time() {
    let redis = Redis::start();
    let node = redis.node();
    let few = |settings: &mut Settings| {
        patient(settings);
        settings.batch_keys = 60;
    };
    let process = Process::start_with(&[node.address()], &namespace(), few).await;
    let (keys, values) = tagged(&process, 4).await;
    let before = calls(node, "get");
    assert_eq!(read(&process, &keys, Freshness::Exact).await, values);
    assert_eq!((calls(node, "mget"), calls(node, "get")), (4, before), "200 keys, 60 at a time");
    assert_eq!(process.kv.invalidate("{tag*").await, Ok((180, Taken::Shared)));
    // A step may find a few keys more than it was asked for.
    let (steps, unlinks) = (calls(node, "scan"), calls(node, "unlink"));
    assert!(unlinks <= 2 * steps && unlinks < 20, "{unlinks} in {steps} steps");
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_one_slot_are_deleted_by_one_command() {
    let cluster = RedisCluster::start();
    let process = Process::start_with(&cluster.addresses(), &namespace(), patient).await;
    let (keys, _) = tagged(&process, 4).await;
    assert_eq!(process.set("other", "kept").await, Taken::Shared);
    assert_eq!(process.kv.invalidate("{tag*").await, Ok((180, Taken::Shared)));
    let primaries = &cluster.nodes()[..3];
    let steps: u64 = primaries.iter().map(|node| calls(node, "scan")).sum();
    let unlinks: u64 = primaries.iter().map(|node| calls(node, "unlink")).sum();
    assert!(unlinks <= 4 * steps && unlinks < 50, "{unlinks} in {steps} steps");
    assert!(read(&process, &keys, Freshness::Exact).await.iter().all(Option::is_none));
    assert_eq!(process.get("other").await.as_deref(), Some("kept"));
    process.finish().await;
}
