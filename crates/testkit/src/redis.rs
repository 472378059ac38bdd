//! A Redis of a test's own, a single server or a cluster of three primaries and three replicas, to be killed, stopped and cut off. Never touches a system's server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::chaos::ChaosProxy;
use crate::daemon::Daemon;
use crate::home::Home;
use crate::port::free_port;
use crate::shared::find_or_start;

mod client;
mod cluster;
mod node;

pub use cluster::RedisCluster;
pub use node::RedisNode;

/// Time servers may take to start and to agree on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A single server. Gone when it is dropped, and when the test is killed.
#[derive(Debug)]
pub struct Redis {
    node: RedisNode,
    // Dropped last: its keeper ends what the node began.
    _home: Home,
}

/// A Redis to be started.
#[derive(Clone, Debug, Default)]
pub struct RedisLaunch {
    password: Option<String>,
    is_proxied: bool,
    is_late: bool,
}

impl Redis {
    /// A single server.
    #[must_use]
    pub fn start() -> Self {
        Self::launch().start()
    }

    /// To be started otherwise than plainly.
    #[must_use]
    pub fn launch() -> RedisLaunch {
        RedisLaunch::default()
    }

    /// Where the single server of the whole test run listens, for tests that break nothing and keep to keys of their own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn shared() -> SocketAddr {
        let said = find_or_start("redis", |home| {
            Self::launch().start_in(home).node().address().to_string()
        });
        said.parse().expect("an address")
    }

    /// The server.
    #[must_use]
    pub fn node(&self) -> &RedisNode {
        &self.node
    }
}

impl RedisLaunch {
    /// Clients must give this password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Clients reach every server through a [`ChaosProxy`] of its own.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.is_proxied = true;
        self
    }

    /// The single server is there, but not started.
    #[must_use]
    pub fn late(mut self) -> Self {
        self.is_late = true;
        self
    }

    /// Starts a single server and waits until it answers.
    ///
    /// # Panics
    /// When the Debian package `redis-server` is not installed, or it does not start.
    #[must_use]
    pub fn start(self) -> Redis {
        self.start_in(Home::new())
    }

    /// Starts a cluster of three primaries and three replicas and waits until all agree.
    ///
    /// # Panics
    /// When the Debian package `redis-server` is not installed, or they do not agree.
    #[must_use]
    pub fn start_cluster(self) -> RedisCluster {
        RedisCluster::start_in(&self, Home::new())
    }

    fn start_in(self, home: Home) -> Redis {
        let node = self.node(&home, "redis", &[]);
        if !self.is_late {
            node.restart();
        }
        Redis { node, _home: home }
    }

    fn node(&self, home: &Home, name: &str, more: &[&str]) -> RedisNode {
        let (port, dir) = (free_port(), home.create_folder(name));
        let proxy =
            self.is_proxied.then(|| ChaosProxy::start(SocketAddr::from(([127, 0, 0, 1], port))));
        let mut arguments = vec!["--port".to_owned(), port.to_string()];
        arguments.extend(["--bind", "127.0.0.1", "--save", ""].map(str::to_owned));
        arguments.extend(["--dir".to_owned(), dir.display().to_string()]);
        if let Some(password) = &self.password {
            arguments
                .extend(["--requirepass", password, "--masterauth", password].map(str::to_owned));
        }
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        if let Some(proxy) = &proxy
            && !more.is_empty()
        {
            // What a cluster tells its clients and its replicas.
            let announced = proxy.address().port().to_string();
            arguments.extend(["--cluster-announce-port".to_owned(), announced]);
        }
        let daemon = Daemon::new(&program("redis-server"), arguments, &dir);
        RedisNode::new(daemon, port, proxy, self.password.clone())
    }
}

/// A server program of Redis, or of Valkey where that is what is installed.
fn program(name: &str) -> PathBuf {
    let names = [name.to_owned(), name.replace("redis", "valkey")];
    let folders = ["/usr/bin", "/usr/local/bin", "/usr/sbin"].map(Path::new);
    let paths = names.iter().flat_map(|name| folders.map(|folder| folder.join(name)));
    let Some(found) = paths.clone().find(|path| path.exists()) else {
        panic!(
            "{name} is not installed: apt-get install redis-server (Debian), or scripts/setup test"
        )
    };
    found
}

#[cfg(test)]
mod tests;
