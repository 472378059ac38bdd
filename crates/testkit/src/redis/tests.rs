//! What is promised to tests that kill, cut off and move slots.

use super::*;
use crate::wait::until;

const WITHIN: Duration = Duration::from_secs(20);

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    let cluster = RedisCluster::start();
    let primary = cluster.primary_of("key");
    assert_eq!(primary.ask(&["SET", "key", "value"]), "OK");
    assert_eq!(primary.ask(&["WAIT", "1", "5000"]), "1");
    primary.kill();
    let next = cluster.primary_of("key");
    assert_ne!(next.address(), primary.address());
    assert_eq!(next.ask(&["GET", "key"]), "value");
    primary.restart();
    until("it follows", WITHIN, || primary.ask(&["INFO", "replication"]).contains("role:slave"));
    cluster.wait_ok();
}

#[test]
fn slots_move_with_what_is_in_them() {
    let cluster = RedisCluster::start();
    let (from, to) = (&cluster.nodes()[0], &cluster.nodes()[1]);
    // A key of slot 0, the first that is moved.
    let key = (0..).map(|n| format!("k{n}"));
    let key = key.into_iter().find(|key| from.ask(&["CLUSTER", "KEYSLOT", key]) == "0").unwrap();
    assert_eq!(from.ask(&["SET", &key, "value"]), "OK");
    cluster.move_slots(from, to, 1);
    assert!(from.ask(&["GET", &key]).starts_with("-MOVED 0"));
    assert_eq!(to.ask(&["GET", &key]), "value");
    cluster.wait_ok();
}

#[test]
fn a_cluster_behind_proxies_names_them_to_its_clients() {
    let cluster = Redis::launch().proxied().password("secret").start_cluster();
    let slots = cluster.nodes()[0].ask(&["CLUSTER", "SLOTS"]);
    for node in cluster.nodes() {
        assert!(slots.contains(&node.address().port().to_string()), "{slots}");
        assert!(!slots.contains(&node.own_address().port().to_string()), "{slots}");
    }
    assert_eq!(cluster.primary_of("key").ask(&["SET", "key", "value"]), "OK");
}

#[test]
fn a_single_server_stops_and_starts() {
    let redis = Redis::launch().late().password("secret").start();
    let node = redis.node();
    assert!(node.try_ask(&["PING"]).is_err());
    node.restart();
    assert_eq!(node.ask(&["SET", "key", "value"]), "OK");
    node.kill();
    node.restart();
    assert_eq!(node.ask(&["EXISTS", "key"]), "0", "nothing was on disk");
    node.stop();
    assert!(node.try_ask(&["PING"]).is_err());
}

#[test]
fn a_run_shares_a_server_and_a_cluster() {
    assert_eq!(Redis::shared(), Redis::shared());
    assert_eq!(RedisCluster::shared(), RedisCluster::shared());
}

#[test]
fn valkey_is_valkey() {
    let valkey = Redis::launch().valkey().start();
    assert!(valkey.node().ask(&["INFO", "server"]).contains("server_name:valkey"));
}
