//! Slots that move, with the usual time for an answer: a slot that is half here and half there, and many under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_base::units::Span;
use mainstay_kv::{Freshness, Settings, Taken};
use mainstay_testkit::{RedisCluster, RedisNode};
use tokio::task::block_in_place;

use super::process::{HOUR, Process, WITHIN, namespace, until};

/// Neither node answers for all of them: that is asked key by key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_slot_that_is_here_and_there_are_all_found() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    let patient = |settings: &mut Settings| settings.answer_within = Span(WITHIN);
    let process = Process::start_with(&cluster.addresses(), &namespace, patient).await;
    let keys: Vec<_> = (0..6).map(|n| format!("{{slot}}{n}")).collect();
    for key in &keys[..5] {
        assert_eq!(process.set(key, key).await, Taken::Shared);
    }
    let names: Vec<_> = keys.iter().map(|key| format!("{namespace}:v0:{key}")).collect();
    block_in_place(|| cluster.begin_to_move(&names, 3));
    let refs: Vec<_> = keys.iter().map(String::as_str).collect();
    let found = process.kv.get_many(&refs, Freshness::Exact).await.unwrap();
    for (key, value) in keys[..5].iter().zip(&found) {
        assert_eq!(value.as_deref(), Some(key.as_bytes()));
    }
    assert_eq!(found[5], None);
    let told = |node: &RedisNode| node.ask(&["INFO", "errorstats"]).contains("TRYAGAIN");
    assert!(block_in_place(|| cluster.nodes().iter().any(told)), "they were asked for together");
    assert!(process.reads_from_memory().abs() < f64::EPSILON);
    assert_eq!(process.kv.invalidate("{slot}*").await, Ok((5, Taken::Shared)));
    process.finish().await;
}

/// Slots that move one after another are never twice at the same places: what lay still is not looked for again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_is_deleted_while_slots_move() {
    const SLOTS: u16 = 300;
    let (cluster, namespace) = (Arc::new(RedisCluster::start()), namespace());
    let small_steps = |settings: &mut Settings| {
        settings.answer_within = Span(WITHIN);
        settings.batch_keys = 1;
    };
    let process = Process::start_with(&cluster.addresses(), &namespace, small_steps).await;
    let keys = block_in_place(|| keys_of_first_slots(&cluster, &namespace, SLOTS));
    let moved = Arc::clone(&cluster);
    let mover = tokio::task::spawn_blocking(move || {
        let nodes = moved.nodes();
        moved.move_slots(&nodes[0], &nodes[1], usize::from(SLOTS));
    });
    let mut rounds = 0;
    while !mover.is_finished() {
        for key in &keys {
            assert_eq!(process.set(key, key).await, Taken::Shared);
        }
        let (_, taken) = process.kv.invalidate("*").await.unwrap();
        assert_eq!(taken, Taken::Shared, "after {rounds} rounds: {:?}", process.kv.health().await);
        for key in &keys {
            assert_eq!(process.get(key).await, None, "{key}");
        }
        rounds += 1;
    }
    mover.await.unwrap();
    assert!(rounds > 0);
    assert!(process.metric("mainstay_kv_generations_total").abs() < f64::EPSILON);
    assert!(process.reads_from_memory().abs() < f64::EPSILON);
    process.finish().await;
}

/// What is known of a key that this process alone writes.
#[derive(Default)]
struct Known {
    /// The value that the cluster took last, unless a later one was not taken.
    taken: Option<String>,
    /// Additions that the cluster took, and those that it may have taken.
    counted: (i64, i64),
}

/// Writes a key, counts with it, and reads it back, as the store or memory answers.
async fn use_key(writer: &Process, reader: &Process, key: &str, known: &mut Known, round: usize) {
    let value = round.to_string();
    let taken = writer.set(key, &value).await;
    known.taken = (taken == Taken::Shared).then_some(value);
    let count = writer.kv.increment(key, 1, HOUR).await.unwrap();
    known.counted.1 += 1;
    if count.taken == Taken::Shared {
        known.counted.0 += 1;
        assert!((known.counted.0..=known.counted.1).contains(&count.value), "{key}: {count:?}");
    }
    let Some(taken) = &known.taken else { return };
    for process in [writer, reader] {
        let from_memory = process.reads_from_memory();
        let found = process.get(key).await;
        let is_from_store = process.reads_from_memory() - from_memory < 0.5;
        // Memory has nothing of what the cluster took.
        assert_eq!(found.as_ref(), is_from_store.then_some(taken), "{key}");
    }
}

async fn check_together(process: &Process, keys: &[String], known: &[Known]) {
    let refs: Vec<_> = keys.iter().map(String::as_str).collect();
    let from_memory = process.reads_from_memory();
    let found = process.kv.get_many(&refs, Freshness::Exact).await.unwrap();
    let all_from_store = process.reads_from_memory() - from_memory < 0.5;
    for ((key, known), found) in keys.iter().zip(known).zip(found) {
        let Some(taken) = &known.taken else { continue };
        let is_missed = found.is_none() && !all_from_store;
        assert!(is_missed || found.as_deref() == Some(taken.as_bytes()), "{key}: {found:?}");
    }
}

/// Keys whose values, or else counters, lie in the first slots, which are those that move; some together.
fn keys_of_first_slots(cluster: &RedisCluster, namespace: &str, slots: u16) -> Vec<String> {
    let node = &cluster.nodes()[0];
    let is_first =
        |called: String| node.ask(&["CLUSTER", "KEYSLOT", &called]).parse::<u16>().unwrap() < slots;
    let alone = |kind: &'static str, from: u32| {
        let keys = (from..).map(|n| format!("k{n}"));
        keys.filter(move |key| is_first(format!("{namespace}:{kind}:{key}"))).take(10)
    };
    let tags = (0..).map(|n| format!("{{k{n}}}")).filter(|tag| is_first(tag.clone())).take(3);
    let together = tags.flat_map(|tag| (0..4).map(move |n| format!("{tag}{n}")));
    alone("v0", 0).chain(alone("c", 100_000)).chain(together).collect()
}

/// Says that it is over, also where the test fails: who waits for that must not hang.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Stands still for longer than a page waits, again and again.
#[expect(clippy::disallowed_methods, reason = "no wait: how long it is late, and how long well")]
fn stutter(cluster: &RedisCluster, done: &AtomicBool) {
    let mut turn = 0;
    while !done.load(Ordering::Relaxed) {
        let node = &cluster.nodes()[turn % 2];
        node.pause();
        std::thread::sleep(Duration::from_millis(60));
        node.resume();
        std::thread::sleep(Duration::from_millis(90));
        turn += 1;
    }
}

/// With the time that a page waits, some calls are late. What the cluster took is there all the same, and nobody is told
/// anything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cluster_took_outlasts_its_slots_moves() {
    const SLOTS: u16 = 300;
    let (cluster, namespace) = (Arc::new(RedisCluster::start()), namespace());
    // An outage would begin a generation, in which nothing is there.
    let used_all_along = |settings: &mut Settings| settings.failures_max = u32::MAX;
    let start =
        async || Process::start_with(&cluster.addresses(), &namespace, used_all_along).await;
    let pair = [start().await, start().await];
    let keys = block_in_place(|| keys_of_first_slots(&cluster, &namespace, SLOTS));
    let mut known: Vec<_> = keys.iter().map(|_| Known::default()).collect();
    let (done, mut rounds, mut late) = (Arc::new(AtomicBool::new(false)), 0, 0);
    let over = Done(Arc::clone(&done));
    let (moved_all, is_moved) = tokio::sync::oneshot::channel::<()>();
    let load = async {
        let (_over, mut is_moved) = (over, is_moved);
        // What was late is what this is about.
        while rounds < 3 || late == 0 || is_moved.try_recv().is_err() {
            rounds += 1;
            for (n, (key, known)) in keys.iter().zip(&mut known).enumerate() {
                use_key(&pair[n % 2], &pair[1 - n % 2], key, known, rounds).await;
                late += u32::from(known.taken.is_none());
            }
            check_together(&pair[rounds % 2], &keys, &known).await;
        }
    };
    let moved = Arc::clone(&cluster);
    let mover = tokio::task::spawn_blocking(move || {
        let nodes = moved.nodes();
        moved.move_slots(&nodes[0], &nodes[1], usize::from(SLOTS));
    });
    let (late_ones, until_done) = (Arc::clone(&cluster), Arc::clone(&done));
    let stutter = tokio::task::spawn_blocking(move || stutter(&late_ones, &until_done));
    let mover = async {
        mover.await.unwrap();
        moved_all.send(()).unwrap();
    };
    tokio::join!(mover, load);
    stutter.await.unwrap();
    for (key, known) in keys.iter().zip(&known) {
        let count = async || {
            let count = pair[0].kv.increment(key, 0, HOUR).await.unwrap();
            (count.taken == Taken::Shared).then_some(count.value)
        };
        let mut value = None;
        until("a count", async || {
            value = count().await;
            value.is_some()
        })
        .await;
        let (taken, tried) = known.counted;
        assert!(value.is_some_and(|value| (taken..=tried).contains(&value)), "{key}: {value:?}");
        if let Some(taken) = &known.taken {
            let seen = async || pair[0].get(key).await.as_ref() == Some(taken);
            until("what the cluster took", seen).await;
        }
    }
    for process in pair {
        assert!(process.metric("mainstay_kv_generations_total").abs() < f64::EPSILON);
        process.finish().await;
    }
}
