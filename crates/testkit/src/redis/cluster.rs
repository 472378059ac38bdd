//! A cluster of three primaries with a replica each. Made by `redis-cli`, watched through its own words.

use std::net::SocketAddr;
use std::process::Command;

use super::{RedisLaunch, RedisNode, START, program};
use crate::home::Home;
use crate::shared::find_or_start;
use crate::wait::{eventually, until};

/// A missing primary is given up after this time, in milliseconds; its replica takes over about two seconds later.
const NODE_TIMEOUT: &str = "1500";
const PRIMARIES: usize = 3;
const NODES: usize = 6;

/// Six servers. Gone when it is dropped, and when the test is killed.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisNode>,
    password: Option<String>,
    // Dropped last: its keeper ends what the nodes began.
    _home: Home,
}

impl RedisCluster {
    /// Three primaries and three replicas.
    #[must_use]
    pub fn start() -> Self {
        RedisLaunch::default().start_cluster()
    }

    /// Where the cluster of the whole test run listens, for tests that break nothing and keep to keys of their own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn shared() -> Vec<SocketAddr> {
        Self::share("redis-cluster", &RedisLaunch::default())
    }

    /// The same of Valkey.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn shared_valkey() -> Vec<SocketAddr> {
        Self::share("valkey-cluster", &RedisLaunch::default().valkey())
    }

    fn share(name: &str, launch: &RedisLaunch) -> Vec<SocketAddr> {
        let said = find_or_start(name, |home| {
            let cluster = Self::start_in(launch, home);
            let addresses: Vec<_> = cluster.addresses().iter().map(ToString::to_string).collect();
            addresses.join(" ")
        });
        said.split(' ').map(|address| address.parse().expect("an address")).collect()
    }

    pub(super) fn start_in(launch: &RedisLaunch, home: Home) -> Self {
        let nodes: Vec<_> = (0..NODES)
            .map(|number| {
                // A port for the bus as well: the usual one may be taken, and above what exists.
                let bus = crate::free_port().to_string();
                let more = [
                    ["--cluster-enabled", "yes"],
                    ["--cluster-port", &bus],
                    ["--cluster-node-timeout", NODE_TIMEOUT],
                    // A replica takes over however long it was cut off.
                    ["--cluster-replica-validity-factor", "0"],
                    // Replicas are copied to at once, and counted as soon as they have heard something.
                    ["--repl-diskless-sync-delay", "0"],
                    ["--repl-ping-replica-period", "1"],
                ];
                launch.node(&home, &format!("redis{number}"), more.as_flattened())
            })
            .collect();
        for node in &nodes {
            node.start();
        }
        let cluster = Self { nodes, password: launch.password.clone(), _home: home };
        cluster.make();
        cluster
    }

    fn make(&self) {
        until("six servers of Redis that answer", START, || {
            self.nodes.iter().all(|node| node.try_ask(&["PING"]).is_ok())
        });
        let mut words = vec!["--cluster".to_owned(), "create".to_owned()];
        words.extend(self.nodes.iter().map(|node| node.own_address().to_string()));
        words.extend(["--cluster-replicas", "1", "--cluster-yes"].map(str::to_owned));
        self.cli(&words);
        self.wait_ok();
        until("replicas in step, known to all", START, || {
            let follows = |node: &RedisNode| {
                node.ask(&["INFO", "replication"]).contains("master_link_status:up")
            };
            self.nodes[PRIMARIES..].iter().all(follows)
                && self.nodes.iter().all(|node| self.is_known_to(node))
        });
    }

    /// Whether a node tells its clients of all six.
    fn is_known_to(&self, node: &RedisNode) -> bool {
        let told = node.ask(&["CLUSTER", "SLOTS"]);
        let ports: Vec<_> = told.lines().collect();
        self.nodes.iter().all(|n| ports.contains(&n.address().port().to_string().as_str()))
    }

    /// Where clients reach the nodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(RedisNode::address).collect()
    }

    /// All nodes; those that began as primaries come first.
    #[must_use]
    pub fn nodes(&self) -> &[RedisNode] {
        &self.nodes
    }

    /// The node that serves the slot of this key now.
    ///
    /// # Panics
    /// When no node knows one.
    #[must_use]
    pub fn primary_of(&self, key: &str) -> &RedisNode {
        eventually("a primary of the key", START, || {
            self.nodes.iter().find(|node| {
                // A primary of another slot answers MOVED, a replica too.
                let said = node.try_ask(&["EXISTS", key]).unwrap_or_else(|_| "-".to_owned());
                !said.starts_with('-')
            })
        })
    }

    /// Waits until every node that answers sees a whole cluster.
    ///
    /// # Panics
    /// When they do not agree in time.
    pub fn wait_ok(&self) {
        until("cluster_state:ok", START, || {
            let mut told = self.nodes.iter().filter_map(|n| n.try_ask(&["CLUSTER", "INFO"]).ok());
            let mut any = false;
            told.all(|info| {
                any = true;
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
            }) && any
        });
    }

    /// Moves slots, with what is in them, from one primary to another while both serve.
    ///
    /// # Panics
    /// When `redis-cli` fails.
    pub fn move_slots(&self, from: &RedisNode, to: &RedisNode, count: usize) {
        let (from_id, to_id, count) = (from.id(), to.id(), count.to_string());
        let at = from.own_address().to_string();
        let words = [
            ["--cluster", "reshard"],
            [&at, "--cluster-yes"],
            ["--cluster-from", &from_id],
            ["--cluster-to", &to_id],
            ["--cluster-slots", &count],
        ];
        self.cli(&words.as_flattened().iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    }

    /// Begins to move the slot of these names to another primary, and moves the first `moved` of them: neither node answers
    /// for all of them then.
    ///
    /// # Panics
    /// When a server refuses.
    pub fn begin_to_move(&self, names: &[String], moved: usize) {
        let from = self.primary_of(&names[0]);
        let to = self.nodes[..PRIMARIES].iter().find(|node| node.id() != from.id());
        let to = to.expect("another primary");
        let slot = from.ask(&["CLUSTER", "KEYSLOT", &names[0]]);
        assert_eq!(to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from.id()]), "OK");
        assert_eq!(from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to.id()]), "OK");
        let port = to.own_address().port().to_string();
        for name in &names[..moved] {
            assert_eq!(from.ask(&["MIGRATE", "127.0.0.1", &port, name, "0", "30000"]), "OK");
        }
    }

    fn cli(&self, words: &[String]) {
        let mut cli = Command::new(program("redis-cli"));
        if let Some(password) = &self.password {
            cli.args(["--no-auth-warning", "-a", password]);
        }
        let output = cli.args(words).output().expect("redis-cli");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "redis-cli {words:?}: {said}");
    }
}
