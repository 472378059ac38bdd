//! Deleting together what is found together while its slot moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_telemetry::metrics::Registry;
use mainstay_testkit::{RedisCluster, RedisNode};

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
    tokio::task::block_in_place(|| {
        let id = |node: &RedisNode| node.ask(&["CLUSTER", "MYID"]);
        let from = cluster.primary_of(&names[0]);
        let to = cluster.nodes()[..3].iter().find(|node| id(node) != id(from)).unwrap();
        let slot = from.ask(&["CLUSTER", "KEYSLOT", &names[0]]);
        assert_eq!(to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]), "OK");
        assert_eq!(from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]), "OK");
        let port = to.own_address().port().to_string();
        for name in &names[..3] {
            assert_eq!(from.ask(&["MIGRATE", "127.0.0.1", &port, name, "0", "30000"]), "OK");
        }
    });
    let mut count = 0;
    assert_eq!(server.unlink(&handle, None, &names, &mut count).await, Ok(()));
    assert_eq!(count, 6);
    assert_eq!(group.finish(WITHIN, WITHIN).await, 0);
}
