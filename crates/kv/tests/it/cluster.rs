//! A cluster that loses a primary, everything, or a way; and slots that move under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use mainstay_base::units::Span;
use mainstay_kv::{Freshness, Role, Taken};
use mainstay_testkit::{Redis, RedisCluster, RedisNode, Waits};
use tokio::task::block_in_place;

use super::process::{HOUR, PROMISE, Process, WITHIN, namespace, until};

/// Uses 30 keys all over the cluster, each call in time, until `done`.
async fn load(process: &Process, waits: &Waits, done: &AtomicBool) -> usize {
    let mut round = 0;
    while !done.load(Ordering::Relaxed) {
        let key = format!("key-{}", round % 30);
        waits.time(process.set(&key, "x")).await;
        waits.time(process.get(&key)).await;
        waits.time(process.kv.get(&key, Freshness::Stale)).await.unwrap();
        waits.time(process.kv.increment(&key, 1, HOUR)).await.unwrap();
        round += 1;
        // As a server would: other work in between.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    round
}

async fn all_taken(process: &Process) -> bool {
    for n in 0..30 {
        if process.set(&format!("key-{n}"), "back").await != Taken::Shared {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_survived_in_time() {
    let cluster = Arc::new(RedisCluster::start());
    let namespace = namespace();
    let process = Process::start(&cluster.addresses(), &namespace).await;
    let (waits, done) = (Waits::default(), AtomicBool::new(false));
    let broken = async {
        assert!(all_taken(&process).await);
        // Beside the load, which must not wait for the end of a process.
        let victim = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || victim.nodes()[0].kill()).await.unwrap();
        until("an outage", async || !all_taken(&process).await).await;
        until("the end of the outage", async || all_taken(&process).await).await;
        done.store(true, Ordering::Relaxed);
    };
    let (rounds, ()) = tokio::join!(load(&process, &waits, &done), broken);
    waits.check("a killed primary", PROMISE);
    assert!(rounds > 50, "{rounds}");
    let other = Process::start(&cluster.addresses()[1..], &namespace).await;
    for n in 0..30 {
        process.set(&format!("key-{n}"), "seen").await;
        assert_eq!(other.get(&format!("key-{n}")).await.as_deref(), Some("seen"));
    }
    block_in_place(|| {
        cluster.nodes()[0].restart();
        cluster.wait_ok();
    });
    until("six nodes that answer", async || {
        let nodes = other.kv.health().await.nodes;
        let primaries = nodes.iter().filter(|node| node.role == Role::Primary).count();
        (nodes.len(), primaries, nodes.iter().all(|node| node.ok)) == (6, 3, true)
    })
    .await;
    process.finish().await;
    other.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_named_when_the_cluster_does_not_say_who_they_are() {
    let cluster = RedisCluster::start();
    let process = Process::start(&cluster.addresses(), &namespace()).await;
    for node in cluster.nodes() {
        assert_eq!(node.ask(&["ACL", "SETUSER", "default", "-cluster|slots"]), "OK");
    }
    let health = process.kv.health().await;
    assert!(health.ok, "{health:?}");
    let mut named: Vec<_> = health.nodes.iter().map(|node| node.address.clone()).collect();
    let mut given: Vec<_> = cluster.addresses().iter().map(ToString::to_string).collect();
    named.sort();
    given.sort();
    assert_eq!(named, given);
    assert!(health.nodes.iter().all(|node| !node.ok && node.role == Role::Unknown), "{health:?}");
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_died_whole_is_used_again() {
    let cluster = RedisCluster::start();
    let process = Process::start(&cluster.addresses(), &namespace()).await;
    process.set("a", "before").await;
    cluster.nodes().iter().for_each(RedisNode::kill);
    let waits = Waits::default();
    until("away", async || waits.time(process.set("a", "meanwhile")).await == Taken::Locally).await;
    for _ in 0..100 {
        assert_eq!(waits.time(process.get("a")).await.as_deref(), Some("meanwhile"));
    }
    waits.check("all killed", PROMISE);
    block_in_place(|| {
        cluster.nodes().iter().for_each(RedisNode::restart);
        cluster.wait_ok();
    });
    process.wait_ready().await;
    until("all slots", async || all_taken(&process).await).await;
    assert_eq!(process.get("a").await, None);
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_to_one_primary_that_is_silent_is_survived_in_time() {
    let cluster = Redis::launch().proxied().start_cluster();
    let process = Process::start(&cluster.addresses(), &namespace()).await;
    assert!(all_taken(&process).await);
    let (waits, done) = (Waits::default(), AtomicBool::new(false));
    let broken = async {
        cluster.nodes()[0].network().half_open();
        until("an outage", async || !all_taken(&process).await).await;
        cluster.nodes()[0].network().heal();
        until("the end of the outage", async || all_taken(&process).await).await;
        cluster.nodes()[1].network().cut();
        until("an outage", async || !all_taken(&process).await).await;
        cluster.nodes()[1].network().heal();
        until("the end of the outage", async || all_taken(&process).await).await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(load(&process, &waits, &done), broken);
    waits.check("one way silent, one cut", PROMISE);
    process.finish().await;
}

/// The client asks other servers of a shard whose primary it cannot reach; none may answer what shall be exact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_replica_answers_for_its_primary() {
    let cluster = RedisCluster::start();
    // Nobody takes over, and the rest goes on.
    for node in cluster.nodes() {
        assert_eq!(node.ask(&["CONFIG", "SET", "cluster-replica-no-failover", "yes"]), "OK");
        assert_eq!(node.ask(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]), "OK");
    }
    let used_all_along = |settings: &mut mainstay_kv::Settings| {
        settings.answer_within = Span(Duration::from_millis(200));
        settings.failures_max = u32::MAX;
    };
    let namespace = namespace();
    let process = Process::start_with(&cluster.addresses(), &namespace, used_all_along).await;
    assert_eq!(process.set("a", "old").await, Taken::Shared);
    let stale = async || process.kv.get("a", Freshness::Stale).await.unwrap();
    until("a replica that has it", async || stale().await.is_some()).await;
    block_in_place(|| cluster.primary_of(&format!("{namespace}:v0:a")).kill());
    for _ in 0..50 {
        assert_eq!(process.get("a").await, None);
    }
    until("a replica asked", async || stale().await.as_deref() == Some(b"old")).await;
    assert_eq!(process.get("a").await, None);
    process.finish().await;
}

/// Several ask at once for what has moved already, of a slot that still moves: two turns to and fro, which is what the client
/// takes by itself, are not enough for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_on_its_way_is_asked_for_until_it_answers() {
    let cluster = RedisCluster::start();
    let namespace = namespace();
    let patient = |settings: &mut mainstay_kv::Settings| settings.answer_within = Span(WITHIN);
    let process = Process::start_with(&cluster.addresses(), &namespace, patient).await;
    let keys: Vec<_> = (0..6).map(|n| format!("{{slot}}{n}")).collect();
    for key in &keys {
        assert_eq!(process.set(key, key).await, Taken::Shared);
    }
    block_in_place(|| {
        let id = |node: &RedisNode| node.ask(&["CLUSTER", "MYID"]);
        let name = |key: &String| format!("{namespace}:v0:{key}");
        let from = cluster.primary_of(&name(&keys[0]));
        let nodes = &cluster.nodes()[..3];
        let to = nodes.iter().find(|node| id(node) != id(from)).unwrap();
        let slot = from.ask(&["CLUSTER", "KEYSLOT", &name(&keys[0])]);
        assert_eq!(to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]), "OK");
        assert_eq!(from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]), "OK");
        let port = to.own_address().port().to_string();
        for key in &keys {
            let moved = from.ask(&["MIGRATE", "127.0.0.1", &port, &name(key), "0", "30000"]);
            assert_eq!(moved, "OK");
        }
    });
    let refs: Vec<_> = keys.iter().map(String::as_str).collect();
    let found = process.kv.get_many(&refs, Freshness::Exact).await.unwrap();
    for (key, value) in keys.iter().zip(found) {
        assert_eq!(value.as_deref(), Some(key.as_bytes()));
    }
    assert!(process.reads_from_memory().abs() < f64::EPSILON);
    process.finish().await;
}

/// Lets the owner of `{lost}` send everybody on to a node that does not take its slot: the owner, and the slot.
fn give_away<'a>(cluster: &'a RedisCluster, namespace: &str) -> (&'a RedisNode, String) {
    let name = format!("{namespace}:v0:{{lost}}");
    let from = cluster.primary_of(&name);
    let slot = from.ask(&["CLUSTER", "KEYSLOT", &name]);
    let id = |node: &RedisNode| node.ask(&["CLUSTER", "MYID"]);
    let to = cluster.nodes()[..3].iter().find(|node| id(node) != id(from)).unwrap();
    assert_eq!(from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]), "OK");
    (from, slot)
}

/// A slot that is given away to a node which does not take it is asked for in vain; the others are there all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_never_arrives_is_no_outage_of_the_others() {
    let cluster = RedisCluster::start();
    let namespace = namespace();
    let short = |settings: &mut mainstay_kv::Settings| {
        settings.answer_within = Span(Duration::from_secs(1));
        settings.failure_window = Span(WITHIN);
        settings.failures_max = 2;
    };
    let process = Process::start_with(&cluster.addresses(), &namespace, short).await;
    let (from, slot) = block_in_place(|| give_away(&cluster, &namespace));
    for n in 0..3 {
        assert_eq!(process.get(&format!("{{lost}}{n}")).await, None);
    }
    assert!(process.reads_from_memory() > 2.5, "the store answered");
    for n in 0..8 {
        assert_eq!(process.set(&format!("other{n}"), "kept").await, Taken::Shared);
    }
    assert_eq!(from.ask(&["CLUSTER", "SETSLOT", &slot, "STABLE"]), "OK");
    assert_eq!(process.set("{lost}", "found").await, Taken::Shared);
    process.finish().await;
}

/// What begins with a refusal and ends in silence is an outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_after_a_refusal_counts_as_an_outage() {
    let cluster = RedisCluster::start();
    let namespace = namespace();
    let one = |settings: &mut mainstay_kv::Settings| {
        settings.answer_within = Span(Duration::from_secs(4));
        settings.failures_max = 1;
    };
    let process = Process::start_with(&cluster.addresses(), &namespace, one).await;
    let (from, _) = block_in_place(|| give_away(&cluster, &namespace));
    let silence = async {
        until("a refusal", async || {
            block_in_place(|| from.ask(&["INFO", "errorstats"])).contains("errorstat_ASK")
        })
        .await;
        from.pause();
    };
    let (found, ()) = tokio::join!(process.get("{lost}"), silence);
    assert_eq!(found, None);
    assert!((process.metric("mainstay_kv_away") - 1.0).abs() < f64::EPSILON);
    from.resume();
    process.finish().await;
}

/// Keys of the first slots, which are those that move.
fn keys_of_first_slots(cluster: &RedisCluster, namespace: &str, slots: u16) -> Vec<String> {
    let node = &cluster.nodes()[0];
    let is_first =
        |called: String| node.ask(&["CLUSTER", "KEYSLOT", &called]).parse::<u16>().unwrap() < slots;
    let mut keys = (0..).map(|n| format!("k{n}"));
    // A value's and a counter's slot differ.
    let values = keys.by_ref().filter(|key| is_first(format!("{namespace}:v0:{key}"))).take(15);
    let mut found: Vec<_> = values.collect();
    found.extend(keys.filter(|key| is_first(format!("{namespace}:c:{key}"))).take(15));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_under_load_lose_nothing() {
    const SLOTS: u16 = 300;
    let cluster = Arc::new(RedisCluster::start());
    let namespace = namespace();
    // What a busy machine delays shall not count as an outage.
    let patient = |settings: &mut mainstay_kv::Settings| settings.answer_within = Span(WITHIN);
    let process = Process::start_with(&cluster.addresses(), &namespace, patient).await;
    let other = Process::start_with(&cluster.addresses(), &namespace, patient).await;
    let keys = block_in_place(|| keys_of_first_slots(&cluster, &namespace, SLOTS));
    let (done, rounds) = (AtomicBool::new(false), AtomicI64::new(0));
    let load = async {
        let refs: Vec<_> = keys.iter().map(String::as_str).collect();
        while !done.load(Ordering::Relaxed) {
            let round = rounds.fetch_add(1, Ordering::Relaxed) + 1;
            for (n, key) in keys.iter().enumerate() {
                let kv = if n % 2 == 0 { &process } else { &other };
                assert_eq!(kv.set(key, &round.to_string()).await, Taken::Shared);
                let count = kv.kv.increment(key, 1, HOUR).await.unwrap();
                assert_eq!((count.value, count.taken), (round, Taken::Shared));
            }
            let found = process.kv.get_many(&refs, Freshness::Exact).await.unwrap();
            // A value that is gone, and a read that was refused, are two things.
            assert!(process.reads_from_memory().abs() < f64::EPSILON);
            for (key, value) in keys.iter().zip(found) {
                assert_eq!(value.as_deref(), Some(round.to_string().as_bytes()), "{key}");
            }
        }
    };
    let moved = Arc::clone(&cluster);
    let mover = tokio::task::spawn_blocking(move || {
        let nodes = moved.nodes();
        moved.move_slots(&nodes[0], &nodes[1], usize::from(SLOTS));
    });
    let mover = async {
        mover.await.unwrap();
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(mover, load);
    assert!(
        cluster.nodes()[0]
            .ask(&["GET", &format!("{namespace}:v0:{}", keys[0])])
            .starts_with("-MOVED")
    );
    assert!(rounds.load(Ordering::Relaxed) > 2, "{rounds:?}");
    assert!(process.metric("mainstay_kv_generations_total").abs() < f64::EPSILON);
    assert_eq!(process.kv.invalidate("k*").await, Ok((30, Taken::Shared)));
    process.finish().await;
    other.finish().await;
}
