//! A primary and two replicas for the whole test run. Tests that stop, kill or promote start their own.

use std::net::SocketAddr;

use super::{Postgres, PostgresLaunch, create_database, node};
use crate::shared::find_or_start;

/// Servers that other tests use, too.
#[derive(Clone, Debug)]
pub struct SharedPostgres {
    ports: Vec<u16>,
}

impl SharedPostgres {
    /// Replicas that the servers of a run have.
    pub const REPLICAS: usize = 2;

    pub(super) fn find_or_start() -> Self {
        let said = find_or_start("postgres", |home| {
            let launch = PostgresLaunch::default().replicas(Self::REPLICAS);
            // Each test has a pool of its own, and many run at the same time.
            let started = launch.setting("max_connections", "400").start_in(home);
            let ports: Vec<_> = started.nodes.iter().map(|node| node.port().to_string()).collect();
            ports.join(" ")
        });
        let ports = said.split(' ').map(|port| port.parse().expect("a port")).collect();
        Self { ports }
    }

    /// Creates an empty database and answers its name. Replicas have it once they caught up.
    #[must_use]
    pub fn create_database(&self) -> String {
        create_database(self.ports[0])
    }

    /// How a client reaches a database on the primary, as an ordinary role with a password.
    #[must_use]
    pub fn primary_url(&self, database: &str) -> String {
        self.url(0, database)
    }

    /// The same as the superuser `app`, without a password.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> String {
        node::superuser_url(self.ports[0], database)
    }

    /// How a client reaches a database on each replica.
    #[must_use]
    pub fn replica_urls(&self, database: &str) -> Vec<String> {
        (1..self.ports.len()).map(|place| self.url(place, database)).collect()
    }

    fn url(&self, place: usize, database: &str) -> String {
        Postgres::url_at(SocketAddr::from(([127, 0, 0, 1], self.ports[place])), database)
    }
}
