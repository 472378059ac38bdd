//! TLS to Redis, a single server and a cluster: the certificate is checked by name and authority, or there is no connection. Users of their own.

use std::net::SocketAddr;
use std::path::Path;

use mainstay_kv::{Freshness, Settings, Taken};
use mainstay_testkit::{Authority, Redis, RedisCluster};

use super::process::{Process, namespace, until};

/// By TLS, trusting the authorities of a file.
fn trusting(settings: &mut Settings, file: &Path) {
    settings.tls = true;
    settings.ca_file = Some(file.to_owned());
}

/// Tries, and is told why not.
async fn refused(nodes: &[SocketAddr], change: impl FnOnce(&mut Settings), words: &[&str]) {
    let process = Process::start_away(nodes, &namespace(), change);
    until(&format!("{words:?}"), async || {
        let reason = process.kv.health().await.reason.unwrap_or_default();
        words.iter().all(|word| reason.contains(word))
    })
    .await;
    assert_eq!(process.set("a", "x").await, Taken::Locally);
    process.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_that_shows_its_certificate_is_asked() {
    let (ours, others) = (Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let [ca, other, none] = ["ca.pem", "other.pem", "none.pem"].map(|name| dir.path().join(name));
    std::fs::write(&ca, ours.cert()).unwrap();
    std::fs::write(&other, others.cert()).unwrap();
    std::fs::write(&none, "nothing").unwrap();
    let redis = Redis::launch().tls(&ours, &["127.0.0.1"]).start();
    let nodes = [redis.node().address()];
    let process = Process::start_with(&nodes, &namespace(), |s| trusting(s, &ca)).await;
    assert_eq!(process.set("a", "x").await, Taken::Shared);
    assert_eq!(process.get("a").await.as_deref(), Some("x"));
    process.finish().await;
    let unknown = ["invalid peer certificate", "redis.ca_file"];
    refused(&nodes, |settings| trusting(settings, &other), &unknown).await;
    refused(&nodes, |settings| settings.tls = true, &unknown).await;
    refused(&nodes, |settings| trusting(settings, &none), &["redis.ca_file", "no certificate"])
        .await;
    let missing = dir.path().join("missing.pem");
    refused(&nodes, |settings| trusting(settings, &missing), &["missing.pem", "No such file"])
        .await;
    // Without TLS nothing is said at all.
    let plain = Process::start_away(&nodes, &namespace(), |_| {});
    assert_eq!(plain.set("a", "x").await, Taken::Locally);
    plain.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_name_is_refused() {
    let ours = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, ours.cert()).unwrap();
    let redis = Redis::launch().tls(&ours, &["redis.example"]).start();
    let words = ["not valid for name", "redis.nodes"];
    refused(&[redis.node().address()], |settings| trusting(settings, &ca), &words).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_spoken_to_by_tls_and_by_a_user_of_its_own() {
    let ours = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, ours.cert()).unwrap();
    let launch = Redis::launch().tls(&ours, &["127.0.0.1"]).password("of-others");
    let cluster: RedisCluster = launch.start_cluster();
    for node in cluster.nodes() {
        let rules = ["ACL", "SETUSER", "site", "on", ">open-sesame", "~site:*", "&site:*", "+@all"];
        assert_eq!(node.ask(&rules), "OK");
    }
    let as_user = |password: &'static str| {
        let ca = ca.clone();
        move |settings: &mut Settings| {
            trusting(settings, &ca);
            settings.namespace = "site".to_owned();
            settings.username = Some("site".to_owned());
            settings.password = Some(password.to_owned());
        }
    };
    let nodes = cluster.addresses();
    let process = Process::start_with(&nodes, "site", as_user("open-sesame")).await;
    for n in 0..30 {
        let key = format!("key-{n}");
        assert_eq!(process.set(&key, "x").await, Taken::Shared);
        assert_eq!(process.get(&key).await.as_deref(), Some("x"));
        process.kv.get(&key, Freshness::Stale).await.unwrap();
    }
    assert!(process.reads_from_memory().abs() < f64::EPSILON);
    assert_eq!(process.kv.invalidate("key-*").await, Ok((30, Taken::Shared)));
    let health = process.kv.health().await;
    assert!(health.nodes.len() == 6 && health.nodes.iter().all(|node| node.ok), "{health:?}");
    process.finish().await;
    let wrong = ["WRONGPASS"];
    refused(&nodes, as_user("close-sesame"), &wrong).await;
}
