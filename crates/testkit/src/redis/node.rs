//! One Redis server: what it is asked, and what is done to it.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use super::{START, client};
use crate::chaos::ChaosProxy;
use crate::daemon::Daemon;
use crate::wait::until;

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) own: u16,
    /// For clients who speak TLS.
    pub(super) tls: Option<u16>,
}

/// A server, running or not.
#[derive(Debug)]
pub struct RedisNode {
    daemon: Daemon,
    ports: Ports,
    proxy: Option<ChaosProxy>,
    password: Option<String>,
}

impl RedisNode {
    pub(super) fn new(
        daemon: Daemon,
        ports: Ports,
        proxy: Option<ChaosProxy>,
        password: Option<String>,
    ) -> Self {
        Self { daemon, ports, proxy, password }
    }

    /// Where clients reach it: its proxy, if it has one, or where it speaks TLS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let by_tls = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let own = self.ports.tls.map_or_else(|| self.own_address(), by_tls);
        self.proxy.as_ref().map_or(own, ChaosProxy::address)
    }

    /// Where it listens itself, without TLS.
    #[must_use]
    pub fn own_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.own))
    }

    /// The network in front of it.
    ///
    /// # Panics
    /// When it was not started with one ([`super::RedisLaunch::proxied`]).
    #[must_use]
    pub fn network(&self) -> &ChaosProxy {
        self.proxy.as_ref().expect("a server behind a proxy")
    }

    /// Sends one command past the proxy; the elements of an array come a line each, an error begins with `-`.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn ask(&self, words: &[&str]) -> String {
        self.try_ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The same for a server that may be away.
    ///
    /// # Errors
    /// The operating system's.
    pub fn try_ask(&self, words: &[&str]) -> std::io::Result<String> {
        client::ask(self.own_address(), self.password.as_deref(), words)
    }

    /// Starts it where it stopped, was killed, or never ran, and waits until it answers.
    ///
    /// # Panics
    /// When it runs already or does not start.
    pub fn restart(&self) {
        self.start();
        until("a Redis that answers", START, || {
            self.daemon.assert_runs();
            self.try_ask(&["PING"]).is_ok_and(|said| said == "PONG")
        });
    }

    /// SIGKILL, as when its machine dies. Nothing is on disk: what no replica has is lost.
    pub fn kill(&self) {
        self.daemon.kill();
    }

    /// Ends it in order.
    pub fn stop(&self) {
        self.daemon.end(Signal::TERM, Duration::from_secs(10));
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.daemon.resume();
    }

    /// Everything it logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    pub(super) fn start(&self) {
        self.daemon.start();
    }

    /// Its name in the cluster.
    pub(super) fn id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"])
    }
}
