//! A user who may do what the documents name, and nothing else.

use bytes::Bytes;
use mainstay_base::units::Span;
use mainstay_kv::{Event, Freshness, Grant, Settings, Taken};
use mainstay_testkit::RedisCluster;
use tokio::task::block_in_place;

use super::process::{HOUR, Process, WITHIN, namespace, until};

/// As `docs/many-machines.md` has it.
const ALLOWED: &str = "+get +mget +set +unlink +exists +incr +incrby +pttl +pexpire +hmget +hset +scan \
    +time +eval +evalsha +publish +spublish +subscribe +ssubscribe +ping +info +command|info +hello +auth \
    +readonly +asking +cluster|info +cluster|slots";

fn allow(cluster: &RedisCluster, namespace: &str, more: &[&str]) {
    let (keys, channels) = (format!("~{namespace}:*"), format!("&{namespace}:*"));
    let mut words = vec!["ACL", "SETUSER", "app", "reset", "on", ">secret", &keys, &channels];
    words.extend(ALLOWED.split_whitespace().chain(more.iter().copied()));
    for node in cluster.nodes() {
        assert_eq!(block_in_place(|| node.ask(&words)), "OK");
    }
}

fn as_app(settings: &mut Settings) {
    (settings.username, settings.password) = (Some("app".into()), Some("secret".into()));
    settings.answer_within = Span(WITHIN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_named_is_enough_with_and_without_the_way_of_slots() {
    let cluster = RedisCluster::start();
    for more in [&["+cluster|nodes"][..], &[]] {
        let namespace = namespace();
        allow(&cluster, &namespace, more);
        let process = Process::start_with(&cluster.addresses(), &namespace, as_app).await;
        let mut heard = process.kv.subscribe("news").unwrap();
        for n in 0..50 {
            assert_eq!(process.set(&format!("page:{n}"), "x").await, Taken::Shared);
        }
        let keys = ["{a}1", "{a}2"];
        assert_eq!(process.kv.get_many(&keys, Freshness::Stale).await, Ok(vec![None, None]));
        assert_eq!(process.kv.increment("hits", 2, HOUR).await.unwrap().taken, Taken::Shared);
        let grant = process.kv.acquire("job", HOUR).await;
        let Ok(Grant::Granted(lease)) = grant else { panic!("{grant:?}") };
        assert_eq!(process.kv.renew(&lease, HOUR).await, Ok(true));
        assert_eq!(process.kv.release(&lease).await, Ok(true));
        let listens = async || {
            // What was sent before the channel was joined is not heard.
            let sent = process.kv.publish("news", Bytes::from_static(b"n")).await;
            let event = tokio::time::timeout(WITHIN, heard.next()).await;
            sent == Ok(Taken::Shared)
                && matches!(event, Ok(Event::Message { sequence: Some(_), .. }))
        };
        until("a message by the store", listens).await;
        assert_eq!(process.kv.invalidate("page:*").await, Ok((50, Taken::Shared)), "{more:?}");
        assert_eq!(process.kv.why_away(), None);
        assert!(process.kv.health().await.nodes.iter().all(|node| node.ok));
        process.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_may_too_little_is_told_what_to_allow() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    allow(&cluster, &namespace, &["-cluster|info"]);
    let process = Process::start_away(&cluster.addresses(), &namespace, as_app);
    let told = async || {
        let (_, why) = process.kv.why_away().expect("away");
        why.contains("cluster|info") && why.contains("ACL")
    };
    until("why, and what to do", told).await;
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_of_a_script_that_is_not_allowed_is_answered_from_memory() {
    let (cluster, namespace) = (RedisCluster::start(), namespace());
    allow(&cluster, &namespace, &["-incrby", "-incr"]);
    let process = Process::start_with(&cluster.addresses(), &namespace, as_app).await;
    let count = process.kv.increment("hits", 2, HOUR).await.unwrap();
    assert_eq!((count.taken, count.value), (Taken::Locally, 2));
    assert_eq!(process.kv.why_away(), None, "a refusal is an answer");
    process.finish().await;
}
