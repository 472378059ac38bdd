//! A process whose wall clock is five minutes wrong decides about counters and leases as all others do.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, SystemTime};

use mainstay_kv::{Grant, Taken};
use mainstay_testkit::{RedisCluster, moved_clock};

use super::process::{Process, namespace};

/// What a process with another clock is told, in its environment.
const NODES: &str = "MAINSTAY_KV_TEST_NODES";
const MINUTE: Duration = Duration::from_secs(60);
const MOVED: Duration = Duration::from_secs(300);

/// What a process saw: the counter and what is left of its window, and the lease.
#[derive(Debug)]
struct Saw {
    count: i64,
    left: Duration,
    /// The token of the lease, and whether this process got it.
    token: u64,
    is_granted: bool,
}

async fn look(process: &Process) -> Saw {
    let count = process.kv.increment("steps", 1, MINUTE).await.unwrap();
    assert_eq!(count.taken, Taken::Shared);
    let (token, is_granted) = match process.kv.acquire("job", MINUTE).await.unwrap() {
        Grant::Granted(lease) => (lease.token, true),
        Grant::Held { token, .. } => (token, false),
    };
    Saw { count: count.value, left: count.left, token, is_granted }
}

fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap()
}

/// Run by [`elsewhere`], in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "what it was told, and its answer"
)]
async fn in_another_process() {
    // The other half of the test below: by itself it has nobody to ask.
    let Ok(told) = std::env::var(NODES) else { return };
    let (namespace, nodes) = told.split_once(' ').unwrap();
    let nodes: Vec<SocketAddr> = nodes.split(' ').map(|at| at.parse().unwrap()).collect();
    let process = Process::start(&nodes, namespace).await;
    let saw = look(&process).await;
    println!(
        "saw {} {} {} {} {}",
        now().as_millis(),
        saw.count,
        saw.left.as_millis(),
        saw.token,
        saw.is_granted
    );
    process.finish().await;
}

/// What a process sees whose clock is so many seconds wrong.
fn elsewhere(nodes: &[SocketAddr], namespace: &str, seconds: i64) -> Saw {
    let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "clocks::in_another_process", "--nocapture"])
        .env(NODES, format!("{namespace} {}", nodes.join(" ")))
        .envs(moved_clock(seconds))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let words = said.lines().find_map(|line| line.split_once("saw ")).unwrap().1;
    let words: Vec<_> = words.split(' ').collect();
    let number = |at: usize| words[at].parse().unwrap();
    let theirs = Duration::from_millis(number(0));
    let apart =
        if seconds > 0 { theirs.saturating_sub(now()) } else { now().saturating_sub(theirs) };
    assert!(apart > MOVED - MINUTE, "its clock is right: {said}");
    Saw {
        count: i64::try_from(number(1)).unwrap(),
        left: Duration::from_millis(number(2)),
        token: number(3),
        is_granted: words[4] == "true",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_changes_no_counter_and_no_lease() {
    let cluster = RedisCluster::start();
    let (nodes, namespace) = (cluster.addresses(), namespace());
    let process = Process::start(&nodes, &namespace).await;
    let lease = match process.kv.acquire("job", MINUTE).await.unwrap() {
        Grant::Granted(lease) => Some(lease),
        Grant::Held { .. } => None,
    };
    let lease = lease.unwrap();
    let saw = |seconds| tokio::task::block_in_place(|| elsewhere(&nodes, &namespace, seconds));
    for (turn, seconds) in [(1, 300), (2, -300)] {
        let saw = saw(seconds);
        assert_eq!(saw.count, turn, "{saw:?}");
        assert!(saw.left <= MINUTE && saw.left > MINUTE / 4, "{saw:?}");
        assert_eq!((saw.is_granted, saw.token), (false, lease.token), "{saw:?}");
    }
    assert_eq!(process.kv.release(&lease).await, Ok(true));
    let ahead = saw(300);
    assert!(ahead.is_granted && ahead.token > lease.token, "{ahead:?} after {lease:?}");
    let behind = saw(-300);
    assert_eq!((behind.is_granted, behind.token), (false, ahead.token), "{behind:?}");
    let held = process.kv.acquire("job", MINUTE).await;
    assert!(matches!(held, Ok(Grant::Held { token, .. }) if token == ahead.token), "{held:?}");
    assert_eq!(look(&process).await.count, 5);
    process.finish().await;
}
