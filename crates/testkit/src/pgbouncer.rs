//! A PgBouncer of a test's own in front of one PostgreSQL.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::home::{Home, give_away};
use crate::port::free_port;
use crate::postgres::{Postgres, PostgresNode};
use crate::wait::until;

/// Where the Debian package puts it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// Time it may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A pooler. Gone when it is dropped, and when the test is killed.
#[derive(Debug)]
pub struct PgBouncer {
    daemon: Daemon,
    port: u16,
    // Dropped last: its keeper ends what was begun.
    _home: Home,
}

impl PgBouncer {
    /// One in `mode` (`transaction`, `session`) that keeps so many connections to the server for each database.
    ///
    /// # Panics
    /// When the Debian package `pgbouncer` is not installed, or it does not start.
    #[must_use]
    pub fn start(server: &PostgresNode, mode: &str, connections: u32) -> Self {
        let program = Path::new(PROGRAM);
        assert!(program.exists(), "pgbouncer is not installed: scripts/setup test");
        let (home, port) = (Home::new(), free_port());
        let dir = home.create_folder("pgbouncer");
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).expect("a file");
            give_away(&path);
            path
        };
        let users = write("users.txt", &Postgres::pooler_users());
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n\
             default_pool_size = {connections}\nmax_client_conn = 200\n",
            server.port(),
            users.display(),
        );
        let settings = write("pgbouncer.ini", &settings);
        let daemon = Daemon::new(program, vec![settings.display().to_string()], &dir);
        daemon.start();
        let pooler = Self { daemon, port, _home: home };
        until("a PgBouncer that answers", START, || {
            pooler.daemon.assert_runs();
            TcpStream::connect(pooler.address()).is_ok()
        });
        pooler
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}
