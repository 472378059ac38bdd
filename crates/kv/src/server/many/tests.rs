//! Deleting together what is found together while its slot moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_telemetry::metrics::Registry;
use mainstay_testkit::RedisCluster;

use super::*;
use crate::{Kv, Settings};

const WITHIN: Duration = Duration::from_secs(20);

async fn open(cluster: &RedisCluster, group: &Group) -> (Kv, Arc<Server>) {
    let nodes = cluster.addresses().iter().map(ToString::to_string).collect();
    let settings = Settings { nodes, ..Settings::default() };
    let registry = Registry::new(&mainstay_telemetry::settings::Metrics::default(), Clock::System);
    let kv = Kv::open(&settings, Clock::System, Entropy::System, &registry);
    kv.start(group);
    assert!(kv.wait_ready(WITHIN).await);
    let Kv::Redis(server) = kv.clone() else { unreachable!() };
    (kv, server)
}

/// Neither node deletes what is on both: that is done key by key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_slot_that_is_here_and_there_are_all_deleted() {
    let (cluster, group) = (RedisCluster::start(), Group::new());
    let (kv, server) = open(&cluster, &group).await;
    let handle = server.state.handle().unwrap();
    let keys: Vec<_> = (0..6).map(|n| format!("{{slot}}{n}")).collect();
    let names: Vec<_> = keys.iter().map(|key| server.names.value(handle.generation, key)).collect();
    for key in &keys {
        kv.set(key, Bytes::from_static(b"x"), None).await.unwrap();
    }
    tokio::task::block_in_place(|| cluster.begin_to_move(&names, 3));
    let mut count = 0;
    assert_eq!(server.unlink(&handle, None, &names, &mut count).await, Ok(()));
    assert_eq!(count, 6);
    assert_eq!(group.finish(WITHIN, WITHIN).await, 0);
}

/// What was deleted is told, whoever else did not answer.
#[test]
fn what_was_deleted_counts_beside_what_failed() {
    let count = AtomicU64::new(0);
    let late = || Err(Failure::late(WITHIN));
    assert!(gather([Ok(2), late(), Ok(3)], &count).is_err());
    assert_eq!(gather([Ok(1)], &count), Ok(()));
    assert_eq!(count.into_inner(), 6);
}

#[test]
fn of_many_failures_the_one_that_says_most_is_noted() {
    let late = Failure::late(WITHIN);
    let lost = Failure { is_final: true, ..late.clone() };
    let refused = Failure::unreadable();
    let found = [refused.clone(), lost.clone(), late.clone(), refused.clone()];
    assert_eq!(worst(found.into_iter()), Some(lost));
    assert_eq!(worst([late.clone(), refused].into_iter()), Some(late));
}
