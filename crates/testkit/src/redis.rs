//! A Redis of a test's own, a single server or a cluster of three primaries and three replicas, to be killed, stopped and cut off. Never touches a system's server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::chaos::ChaosProxy;
use crate::daemon::Daemon;
use crate::home::{Home, give_away};
use crate::port::free_port;
use crate::shared::find_or_start;
use crate::tls::{Authority, Pair};

mod client;
mod cluster;
mod node;

pub use cluster::RedisCluster;
use node::Ports;
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
    tls: Option<(Pair, String)>,
    is_proxied: bool,
    is_late: bool,
    is_valkey: bool,
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

    /// The same of Valkey.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn shared_valkey() -> SocketAddr {
        let said = find_or_start("valkey", |home| {
            Self::launch().valkey().start_in(home).node().address().to_string()
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

    /// Clients reach every server by TLS, where it shows a certificate of these names; replicas copy by TLS, too.
    #[must_use]
    pub fn tls(mut self, authority: &Authority, names: &[&str]) -> Self {
        self.tls = Some((authority.issue(names), authority.cert().to_owned()));
        self
    }

    /// Clients reach every server through a [`ChaosProxy`] of its own.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.is_proxied = true;
        self
    }

    /// Servers of Valkey instead.
    #[must_use]
    pub fn valkey(mut self) -> Self {
        self.is_valkey = true;
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
        let tls = self.tls.as_ref().map(|(pair, authority)| {
            pair.write(&dir);
            std::fs::write(dir.join("ca.pem"), authority).expect("an authority");
            ["cert.pem", "key.pem", "ca.pem"].iter().for_each(|name| give_away(&dir.join(name)));
            let port = free_port();
            let words = format!(
                "--tls-port {port} --tls-cert-file cert.pem --tls-key-file key.pem \
                 --tls-ca-cert-file ca.pem --tls-auth-clients no --tls-replication yes"
            );
            arguments.extend(words.split(' ').map(str::to_owned));
            port
        });
        let announced = proxy.as_ref().map(|proxy| proxy.address().port()).or(tls);
        if let (Some(port), false) = (announced, more.is_empty()) {
            // What a cluster tells its clients and its replicas.
            arguments.extend(["--cluster-announce-port".to_owned(), port.to_string()]);
        }
        let program = if self.is_valkey { valkey(&dir) } else { program("redis-server") };
        let daemon = Daemon::new(&program, arguments, &dir);
        RedisNode::new(daemon, Ports { own: port, tls }, proxy, self.password.clone())
    }
}

/// Valkey's server program, where who runs servers may run it: the folder of tools is its owner's.
#[expect(clippy::disallowed_methods, reason = "scripts/environment says where it is")]
fn valkey(dir: &Path) -> PathBuf {
    let named = std::env::var_os("MAINSTAY_VALKEY").map(PathBuf::from);
    let kept =
        std::env::var_os("HOME").map(|h| Path::new(&h).join(".cache/mainstay/valkey-server"));
    let Some(found) = named.into_iter().chain(kept).find(|path| path.exists()) else {
        panic!("MAINSTAY_VALKEY names no valkey-server: scripts/setup test")
    };
    let program = dir.join("valkey-server");
    std::fs::copy(found, &program).expect("a copy of valkey-server");
    program
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
