//! A PostgreSQL of a test's own: a primary and streaming replicas on free ports, to be killed, stopped, delayed and promoted. Never touches a system's server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::daemon::{Daemon, as_nobody};
use crate::home::Home;
use crate::port::free_port;
use crate::wait::eventually;

mod node;
mod shared;
mod template;

pub use node::PostgresNode;
pub use shared::{SharedPostgres, Unmade};

/// Time a server may take to start on a busy machine, recovery included.
const START: Duration = Duration::from_secs(30);

/// What every server is started with, unless a test says otherwise.
const SETTINGS: [(&str, &str); 12] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("shared_buffers", "16MB"),
    ("max_connections", "100"),
    ("max_wal_senders", "8"),
    // In place of replication slots, which would keep a lost replica's log for ever.
    ("wal_keep_size", "256MB"),
    ("hot_standby_feedback", "on"),
    // A replica that lost its primary looks again soon, not after five seconds.
    ("wal_retrieve_retry_interval", "200ms"),
    ("wal_receiver_status_interval", "1s"),
    ("autovacuum_naptime", "10min"),
    ("log_min_messages", "warning"),
    ("jit", "off"),
];
/// Durability that no test needs but those that cut the power.
const FAST: [(&str, &str); 3] =
    [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "on")];

/// A primary and its replicas. Everything is gone when it is dropped, and when the test is killed.
#[derive(Debug)]
pub struct Postgres {
    nodes: Vec<PostgresNode>,
    // Dropped last: its keeper ends what the nodes began.
    _home: Home,
}

/// A PostgreSQL to be started.
#[derive(Clone, Debug, Default)]
pub struct PostgresLaunch {
    replicas: usize,
    is_durable: bool,
    settings: Vec<(String, String)>,
}

impl Postgres {
    /// A primary alone.
    #[must_use]
    pub fn start() -> Self {
        Self::launch().start()
    }

    /// To be started with replicas or settings.
    #[must_use]
    pub fn launch() -> PostgresLaunch {
        PostgresLaunch::default()
    }

    /// The servers of the whole test run, for tests that break nothing: each takes a database of its own.
    #[must_use]
    pub fn shared() -> SharedPostgres {
        SharedPostgres::find_or_start()
    }

    /// The server that was started as the primary.
    #[must_use]
    pub fn primary(&self) -> &PostgresNode {
        &self.nodes[0]
    }

    /// The servers that were started as replicas.
    #[must_use]
    pub fn replicas(&self) -> &[PostgresNode] {
        &self.nodes[1..]
    }

    /// Creates an empty database and answers its name. Replicas have it once they caught up.
    #[must_use]
    pub fn create_database(&self) -> String {
        copy_database(self.primary().port(), None)
    }

    /// The same of a database whose commits are answered once every replica shows them. The replicas have it.
    #[must_use]
    pub fn create_synchronous_database(&self) -> String {
        create_synchronous_database(self.primary().port())
    }

    /// How the ordinary role reaches a database of a server of ours behind this address.
    #[must_use]
    pub fn url_at(address: SocketAddr, database: &str) -> String {
        format!("postgres://{}:{}@{address}/{database}", node::ROLE, node::PASSWORD)
    }

    /// The ordinary role as a pooler's list of users has it.
    pub(crate) fn pooler_users() -> String {
        format!("\"{}\" \"{}\"\n", node::ROLE, node::PASSWORD)
    }

    /// Waits until every replica has replayed what the primary has written so far.
    ///
    /// # Panics
    /// When one has not `within` the time.
    pub fn wait_replicated(&self, within: Duration) {
        let at = self.primary().query("postgres", "SELECT pg_current_wal_lsn()");
        for replica in self.replicas() {
            replica.wait_replayed(&at, within);
        }
    }
}

impl PostgresLaunch {
    /// With streaming replicas.
    #[must_use]
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// With so many replicas, which commits wait for in databases that ask for it; others wait for nobody.
    #[must_use]
    pub fn synchronous_replicas(self, replicas: usize) -> Self {
        // All of them, whatever they call themselves.
        let standbys = format!("FIRST {replicas} (*)");
        let launch = self.replicas(replicas).setting("synchronous_standby_names", &standbys);
        launch.setting("synchronous_commit", "local")
    }

    /// Commits survive a machine that dies, at the cost of a slow disk.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.is_durable = true;
        self
    }

    /// A setting of every server; the last word for a name counts.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts everything and waits until it answers, replicas streaming.
    ///
    /// # Panics
    /// When the Debian package `postgresql` is not installed, or a server does not start.
    #[must_use]
    pub fn start(self) -> Postgres {
        self.start_in(Home::new())
    }

    fn start_in(self, home: Home) -> Postgres {
        let primary_port = free_port();
        let mut nodes = Vec::new();
        for number in 0..=self.replicas {
            let dir = home.create_folder(&format!("pg{number}"));
            template::copy_to(&dir);
            let port = if number == 0 { primary_port } else { free_port() };
            let daemon = Daemon::new(&program("postgres"), self.arguments(port, &dir), &dir);
            let node = PostgresNode::new(daemon, port);
            if number > 0 {
                node.stand_by(primary_port);
            }
            node.start();
            nodes.push(node);
        }
        for node in &nodes {
            node.wait_ready(START);
        }
        let postgres = Postgres { nodes, _home: home };
        postgres.wait_streaming();
        postgres
    }

    fn arguments(&self, port: u16, dir: &std::path::Path) -> Vec<String> {
        let fast = if self.is_durable { &[][..] } else { &FAST };
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut arguments = vec!["-D".to_owned(), dir.display().to_string()];
        let counted = template::counts_statements()
            .then_some(("shared_preload_libraries", "pg_stat_statements"));
        for (name, value) in
            SETTINGS.into_iter().chain(fast.iter().copied()).chain(counted).chain(own)
        {
            arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        arguments.extend(["-p".to_owned(), port.to_string()]);
        arguments
    }
}

impl Postgres {
    fn wait_streaming(&self) {
        let wanted = self.replicas().len().to_string();
        let count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        eventually("replicas that stream", START, || {
            (self.primary().try_sql("postgres", count).ok()? == wanted).then_some(())
        });
    }
}

/// Creates a database of the ordinary role under a name of its own, empty or a copy. Written to the log (the default strategy):
/// faster than copying files, which begins with a checkpoint.
fn copy_database(port: u16, template: Option<&str>) -> String {
    let name = format!("test_{}", crate::fresh_id().replace('-', "_"));
    let like = template.map(|template| format!("TEMPLATE {template}")).unwrap_or_default();
    let create = format!("CREATE DATABASE {name} OWNER {} {like}", node::ROLE);
    let created = node::try_sql(port, "postgres", &create);
    created.unwrap_or_else(|said| panic!("no database: {said}"));
    name
}

/// One of servers that were launched as synchronous ones.
fn create_synchronous_database(port: u16) -> String {
    let name = copy_database(port, None);
    // Itself such a commit: whatever was written before it, the database too, is on every replica then.
    let alter = format!(
        "SET synchronous_commit = remote_apply; ALTER DATABASE {name} SET synchronous_commit = remote_apply"
    );
    let altered = node::try_sql(port, "postgres", &alter);
    altered.unwrap_or_else(|said| panic!("{alter}: {said}"));
    name
}

/// A program of the newest installed version.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter(|entry| entry.path().join("bin").join(name).exists())
        .max_by_key(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    let Some(newest) = newest else {
        panic!(
            "{name} is not installed: apt-get install postgresql (Debian), or scripts/setup test"
        )
    };
    newest.path().join("bin").join(name)
}

/// Runs a program of PostgreSQL to its end.
fn run(command: &mut Command) {
    let output = as_nobody(command).output().expect("a program of PostgreSQL");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {said}", command.get_program());
}

#[cfg(test)]
mod tests;
