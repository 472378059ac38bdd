//! What may wait outlasts a failover and a slow moment: leases, deleting by pattern, repairs. With default settings but for what a test names.

use std::time::{Duration, Instant};

use mainstay_base::units::Span;
use mainstay_kv::{Error, Freshness, Grant, Settings, Taken};
use mainstay_testkit::{Redis, RedisCluster, RedisNode};
use tokio::task::block_in_place;

use super::process::{HOUR, Process, WITHIN, namespace, until};

/// Nothing but what the test does speaks to the store.
fn quiet(settings: &mut Settings) {
    settings.probe_every = Span(HOUR);
}

/// The replica of a primary.
fn replica_of<'a>(cluster: &'a RedisCluster, primary: &RedisNode) -> &'a RedisNode {
    let follows = format!("master_port:{}", primary.own_address().port());
    let is_replica =
        |node: &&RedisNode| node.ask(&["INFO", "replication"]).lines().any(|line| line == follows);
    cluster.nodes().iter().find(is_replica).unwrap()
}

/// A primary dies during a call, and its replica takes over once the call had to be repeated.
async fn fail_over<T>(
    cluster: &RedisCluster,
    process: &Process,
    primary: &RedisNode,
    call: impl Future<Output = T>,
) -> T {
    let replica = block_in_place(|| replica_of(cluster, primary));
    let keys = |node: &RedisNode| block_in_place(|| node.ask(&["DBSIZE"]));
    until("a replica that caught up", async || keys(replica) == keys(primary)).await;
    block_in_place(|| primary.kill());
    let takes_over = async {
        until("a repetition", async || process.repeats() > 0).await;
        assert_eq!(block_in_place(|| replica.ask(&["CLUSTER", "FAILOVER", "TAKEOVER"])), "OK");
    };
    tokio::join!(call, takes_over).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_had_across_a_failover() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    let process = Process::start_with(&cluster.addresses(), &namespace, quiet).await;
    let primary = block_in_place(|| cluster.primary_of(&format!("{namespace}:l:job")));
    let grant = fail_over(&cluster, &process, primary, process.kv.acquire("job", HOUR)).await;
    let Ok(Grant::Granted(lease)) = grant else { panic!("{grant:?}") };
    assert!((1..=3).contains(&process.repeats()), "{}", process.repeats());
    assert_eq!(process.kv.renew(&lease, HOUR).await, Ok(true));
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_is_told_not_to_repeat_does() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    let once = |settings: &mut Settings| {
        quiet(settings);
        settings.retries = 0;
    };
    let process = Process::start_with(&cluster.addresses(), &namespace, once).await;
    block_in_place(|| cluster.primary_of(&format!("{namespace}:l:job")).kill());
    assert_eq!(process.kv.acquire("job", HOUR).await, Err(Error::Away));
    assert_eq!(process.repeats(), 0);
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_is_deleted_across_a_failover() {
    let cluster = RedisCluster::start();
    let process = Process::start_with(&cluster.addresses(), &namespace(), quiet).await;
    for n in 0..300 {
        assert_eq!(process.set(&format!("page:{n}"), "x").await, Taken::Shared);
    }
    let primary = &cluster.nodes()[0];
    let deleted = fail_over(&cluster, &process, primary, process.kv.invalidate("page:*")).await;
    assert_eq!(deleted, Ok((300, Taken::Shared)));
    assert!((1..=3).contains(&process.repeats()), "{}", process.repeats());
    assert!(process.metric("mainstay_kv_generations_total").abs() < f64::EPSILON);
    process.finish().await;
}

/// A store that answers, if later than a page may wait, is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_that_are_late_are_no_outage() {
    let redis = Redis::launch().proxied().start();
    let small = |settings: &mut Settings| {
        quiet(settings);
        // Its first look comes after a trial.
        settings.trial_every = Span(HOUR);
        settings.batch_keys = 10;
    };
    let process = Process::start_with(&[redis.node().address()], &namespace(), small).await;
    for n in 0..100 {
        assert_eq!(process.set(&format!("page:{n}"), "x").await, Taken::Shared);
    }
    assert_eq!(process.set("other", "kept").await, Taken::Shared);
    redis.node().network().delay(Duration::from_millis(60));
    assert_eq!(process.kv.invalidate("page:*").await, Ok((100, Taken::Shared)));
    let Ok(Grant::Granted(lease)) = process.kv.acquire("job", HOUR).await else {
        panic!("a lease is worth the wait")
    };
    assert_eq!(process.kv.renew(&lease, HOUR).await, Ok(true));
    redis.node().network().heal();
    let used = process.metric("mainstay_kv_recoveries_total");
    assert!((used - 1.0).abs() < f64::EPSILON, "it was away meanwhile");
    assert!(process.metric("mainstay_kv_generations_total").abs() < f64::EPSILON);
    assert_eq!(process.get("other").await.as_deref(), Some("kept"));
    process.finish().await;
}

/// Each step may take its time, all of them together no more than they may. Nobody reads what is left then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_that_takes_too_long_is_left_to_a_new_generation() {
    let redis = Redis::launch().proxied().start();
    let small = |settings: &mut Settings| {
        quiet(settings);
        settings.answer_within = Span(WITHIN);
        settings.batch_keys = 10;
        settings.invalidate_within = Span(Duration::from_secs(2));
    };
    let process = Process::start_with(&[redis.node().address()], &namespace(), small).await;
    const KEYS: usize = 2_000;
    for n in 0..KEYS {
        assert_eq!(process.set(&format!("page:{n}"), "x").await, Taken::Shared);
    }
    // 200 steps of a quarter of a second.
    redis.node().network().delay(Duration::from_millis(60));
    let began = Instant::now();
    let (deleted, taken) = process.kv.invalidate("page:*").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(taken, Taken::Locally);
    assert!((1..KEYS as u64).contains(&deleted), "{deleted}");
    let (_, why) = process.kv.why_away().expect("left");
    assert!(why.contains("redis.invalidate_within"), "{why}");
    redis.node().network().heal();
    process.wait_ready().await;
    assert!((process.metric("mainstay_kv_generations_total") - 1.0).abs() < f64::EPSILON);
    for n in 0..KEYS {
        assert_eq!(process.get(&format!("page:{n}")).await, None);
    }
    process.finish().await;
}

/// Many keys of many slots that wait for the end of one slow moment are late once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slow_moment_of_many_slots_is_no_outage() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    let calm = |settings: &mut Settings| {
        quiet(settings);
        settings.answer_within = Span(Duration::from_millis(500));
    };
    let process = Process::start_with(&cluster.addresses(), &namespace, calm).await;
    let keys: Vec<_> = (0..60).map(|n| format!("k{n}")).collect();
    let refs: Vec<_> = keys.iter().map(String::as_str).collect();
    cluster.nodes()[0].pause();
    process.kv.get_many(&refs, Freshness::Exact).await.unwrap();
    cluster.nodes()[0].resume();
    assert!(process.reads_from_memory() > 4.5, "nobody was late");
    assert_eq!(process.kv.why_away(), None);
    process.finish().await;
}

/// What was refused together is asked for one by one in what is left of the time. That this was too little is no outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_after_a_refusal_may_be_too_little() {
    let cluster = Redis::launch().proxied().start_cluster();
    let namespace = namespace();
    let one = |settings: &mut Settings| {
        quiet(settings);
        settings.answer_within = Span(Duration::from_secs(8));
        settings.failures_max = 1;
    };
    let process = Process::start_with(&cluster.addresses(), &namespace, one).await;
    let keys: Vec<_> = (0..6).map(|n| format!("{{slot}}{n}")).collect();
    for key in &keys {
        assert_eq!(process.set(key, key).await, Taken::Shared);
    }
    let names: Vec<_> = keys.iter().map(|key| format!("{namespace}:v0:{key}")).collect();
    block_in_place(|| cluster.begin_to_move(&names, 3));
    // There and back in 1.7 s. The client asks four times before it tells of the refusal; a fifth is more than there is time for.
    cluster.nodes().iter().for_each(|node| node.network().delay(Duration::from_millis(850)));
    let refs: Vec<_> = keys.iter().map(String::as_str).collect();
    process.kv.get_many(&refs, Freshness::Exact).await.unwrap();
    cluster.nodes().iter().for_each(|node| node.network().heal());
    assert!(process.reads_from_memory() > 0.5, "there was time");
    assert_eq!(process.kv.why_away(), None);
    process.finish().await;
}

/// One shard is away, with keys that cannot be repaired. Those of others are, and what other processes did is heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_repaired_keeps_nothing_else_from_it() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    let used_all_along = |settings: &mut Settings| settings.failures_max = u32::MAX;
    let process = Process::start_with(&cluster.addresses(), &namespace, used_all_along).await;
    let server = |key: &str| block_in_place(|| cluster.primary_of(key));
    let generation = format!("{namespace}:generation");
    let well = server(&generation);
    let lost = cluster.nodes()[..3].iter().find(|node| !std::ptr::eq(*node, well)).unwrap();
    let keys_on = |node: &RedisNode| {
        let of = |n: &u32| std::ptr::eq(server(&format!("{namespace}:v0:k{n}")), node);
        (0..).filter(of).take(5).map(|n| format!("k{n}")).collect::<Vec<_>>()
    };
    let (lost_keys, well_keys) = (keys_on(lost), keys_on(well));
    let seen = (0..).map(|n| format!("seen{n}"));
    let seen = { seen }.find(|key| std::ptr::eq(server(&format!("{namespace}:v7:{key}")), well));
    let seen = seen.unwrap();
    for node in cluster.nodes() {
        let words = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
        assert_eq!(block_in_place(|| node.ask(&words)), "OK");
    }
    let replica = block_in_place(|| replica_of(&cluster, lost));
    [lost, replica, well].iter().for_each(|node| node.pause());
    for key in lost_keys.iter().chain(&well_keys) {
        assert_eq!(process.set(key, "unsure").await, Taken::Locally);
    }
    well.resume();
    let repaired = async || process.metric("mainstay_kv_repairs_total") > 4.5;
    until("what can be repaired", repaired).await;
    let set = |key: &str, value: &str| block_in_place(|| well.ask(&["SET", key, value]));
    assert_eq!(set(&format!("{namespace}:v7:{seen}"), "x"), "OK");
    assert_eq!(set(&generation, "7"), "OK");
    until("another's generation", async || process.get(&seen).await.as_deref() == Some("x")).await;
    [lost, replica].iter().for_each(|node| node.resume());
    process.finish().await;
}
