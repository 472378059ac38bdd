//! A primary and two replicas for the whole test run. Tests that stop, kill or promote start their own.

use std::net::SocketAddr;

use super::{Postgres, PostgresLaunch, copy_database, create_synchronous_database, node};
use crate::home::{run_folder, run_id};
use crate::shared::{Turn, find_or_make, find_or_start};

/// What the folder of a run that these servers work in is named after.
const PURPOSE: &str = "postgres";

/// Of each server its own: a replica does not take over what its primary counted.
const SCANS: &str =
    "SELECT coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0) FROM pg_stat_user_tables";

/// Servers that other tests use, too.
#[derive(Clone, Debug)]
pub struct SharedPostgres {
    ports: Vec<u16>,
}

/// An empty database that is to become a template.
#[derive(Debug)]
pub struct Unmade {
    turn: Turn,
    database: String,
}

impl Unmade {
    /// Its name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// It holds what copies are to hold, and nobody is connected to it any more. Its name.
    #[must_use]
    pub fn finish(self) -> String {
        self.turn.finish(&self.database);
        self.database
    }
}

impl SharedPostgres {
    /// Replicas that the servers of a run have.
    pub const REPLICAS: usize = 2;

    pub(super) fn find_or_start() -> Self {
        let said = find_or_start(PURPOSE, |home| {
            let launch = PostgresLaunch::default().synchronous_replicas(Self::REPLICAS);
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
        copy_database(self.ports[0], None)
    }

    /// The same of a database whose commits are answered once every replica shows them.
    #[must_use]
    pub fn create_synchronous_database(&self) -> String {
        create_synchronous_database(self.ports[0])
    }

    /// Runs statements on the primary as the superuser and answers what they print, a line per row, `|` between columns.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn query(&self, database: &str, sql: &str) -> String {
        let said = node::try_sql(self.ports[0], database, sql);
        said.unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// How often each replica has looked into a table of a database, for whatever question. It counts a moment later.
    ///
    /// # Panics
    /// When one does not answer.
    #[must_use]
    pub fn count_replica_scans(&self, database: &str) -> Vec<u64> {
        let count = |port: &u16| {
            let counted = node::try_sql(*port, database, SCANS);
            let counted = counted.unwrap_or_else(|said| panic!("{SCANS}: {said}"));
            counted.parse().expect("a number")
        };
        self.ports[1..].iter().map(count).collect()
    }

    /// The database of this name that others of the run are copied from, or the turn to make it.
    ///
    /// # Errors
    /// It is not made yet; others wait for who is told so.
    ///
    /// # Panics
    /// When no database can be created.
    pub fn find_template(&self, name: &str) -> Result<String, Unmade> {
        // Beside the servers, whose keeper takes it away with them.
        let folder = run_folder(run_id(), PURPOSE);
        let made = find_or_make(&folder, &format!("template-{name}"));
        made.map_err(|turn| Unmade { turn, database: self.create_database() })
    }

    /// Creates a database that is a copy of a template, to which nobody may be connected, and answers its name.
    #[must_use]
    pub fn copy_database(&self, template: &str) -> String {
        copy_database(self.ports[0], Some(template))
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
