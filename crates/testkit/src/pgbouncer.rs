//! A PgBouncer of a test's own in front of one PostgreSQL.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
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
    /// One in `mode` (`transaction`, `session`) that keeps so many connections to the server for each database, and forgets
    /// prepared statements.
    ///
    /// # Panics
    /// When the Debian package `pgbouncer` is not installed, or it does not start.
    #[must_use]
    pub fn start(server: &PostgresNode, mode: &str, connections: u32) -> Self {
        Self::start_with(server, mode, connections, "")
    }

    /// The same with more settings, each on its line.
    ///
    /// # Panics
    /// As [`PgBouncer::start`].
    #[must_use]
    pub fn start_with(server: &PostgresNode, mode: &str, connections: u32, more: &str) -> Self {
        let program = Path::new(PROGRAM);
        assert!(program.exists(), "pgbouncer is not installed: scripts/setup test");
        // It knows no such setting before 1.21, and always forgets.
        let forgets = if knows_statements(program) { "max_prepared_statements = 0\n" } else { "" };
        Self::start_program(
            |_| program.to_owned(),
            server,
            mode,
            connections,
            &format!("{forgets}{more}"),
        )
    }

    /// One in transaction mode that carries prepared statements along.
    ///
    /// # Panics
    /// When `MAINSTAY_PGBOUNCER` names none, or it does not start.
    #[must_use]
    pub fn start_remembering(server: &PostgresNode, connections: u32) -> Self {
        let more = "max_prepared_statements = 200\n";
        Self::start_program(remembering, server, "transaction", connections, more)
    }

    fn start_program(
        program: impl FnOnce(&Path) -> PathBuf,
        server: &PostgresNode,
        mode: &str,
        connections: u32,
        more: &str,
    ) -> Self {
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
             default_pool_size = {connections}\nmax_client_conn = 200\n{more}",
            server.port(),
            users.display(),
        );
        let settings = write("pgbouncer.ini", &settings);
        let program = program(&dir);
        let daemon = Daemon::new(&program, vec![settings.display().to_string()], &dir);
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

/// Whether this one can carry prepared statements along, which is from 1.21 on.
fn knows_statements(program: &Path) -> bool {
    let said = Command::new(program).arg("--version").output().expect("a PgBouncer");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.lines().next().and_then(|line| line.strip_prefix("PgBouncer 1."));
    let minor = version.and_then(|minor| minor.split('.').next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 21)
}

/// A program that does, where who runs servers may run it: the folder of tools is its owner's.
#[expect(clippy::disallowed_methods, reason = "scripts/environment says where it is")]
fn remembering(dir: &Path) -> PathBuf {
    let named = std::env::var_os("MAINSTAY_PGBOUNCER").map(PathBuf::from);
    let kept = std::env::var_os("HOME").map(|h| Path::new(&h).join(".cache/mainstay/pgbouncer"));
    let system = PathBuf::from(PROGRAM);
    let system = knows_statements(&system).then_some(system);
    let Some(found) = named.into_iter().chain(kept).chain(system).find(|path| path.exists()) else {
        panic!("MAINSTAY_PGBOUNCER names no PgBouncer from 1.21 on: scripts/setup test")
    };
    let program = dir.join("pgbouncer");
    std::fs::copy(found, &program).expect("a copy of pgbouncer");
    program
}
