//! One PostgreSQL server: what it is asked, and what is done to it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::{Postgres, START, program, run};
use crate::daemon::{Daemon, as_nobody};
use crate::home::{create_private, give_away};
use crate::tls::Pair;
use crate::wait::{eventually, until};

/// Owns the databases of tests. It is no superuser and has no right but those of an owner.
pub(super) const ROLE: &str = "mainstay";
pub(super) const PASSWORD: &str = "known-to-all-tests";

/// A server, running or not.
#[derive(Debug)]
pub struct PostgresNode {
    daemon: Daemon,
    port: u16,
}

impl PostgresNode {
    pub(super) fn new(daemon: Daemon, port: u16) -> Self {
        Self { daemon, port }
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How a client reaches a database of it, as an ordinary role with a password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        Postgres::url_at(SocketAddr::from(([127, 0, 0, 1], self.port)), database)
    }

    /// The same as the superuser `app`, without a password.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> String {
        superuser_url(self.port, database)
    }

    /// Runs statements as the superuser and answers what they print, a line per row, `|` between columns.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// Runs statements and answers what they print.
    ///
    /// # Errors
    /// The server's words.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        try_sql(self.port, database, sql)
    }

    /// Starts it again where it stopped or was killed, and waits until it answers.
    ///
    /// # Panics
    /// When it runs already or does not start.
    pub fn restart(&self) {
        self.start();
        self.wait_ready(START);
    }

    /// SIGKILL for the whole server, as when its machine dies.
    pub fn kill(&self) {
        self.daemon.kill();
        self.free_memory();
    }

    /// Ends it in order (a fast shutdown).
    pub fn stop(&self) {
        self.daemon.end(Signal::INT, START);
    }

    /// SIGSTOP for the whole server: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// SIGCONT for the whole server.
    pub fn resume(&self) {
        self.daemon.resume();
    }

    /// Makes a replica the primary and waits until it takes writes.
    ///
    /// # Panics
    /// When it does not.
    pub fn promote(&self) {
        assert_eq!(self.query("postgres", "SELECT pg_promote(true, 30)"), "t");
    }

    /// Whether it replays another server's log.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.query("postgres", "SELECT pg_is_in_recovery()") == "t"
    }

    /// Lets a replica replay what it receives only after this time (`recovery_min_apply_delay`).
    pub fn set_apply_delay(&self, delay: Duration) {
        self.alter("recovery_min_apply_delay", &format!("{}ms", delay.as_millis()));
    }

    /// Lets a replica that runs follow another primary.
    pub fn follow(&self, primary: &Self) {
        self.alter("primary_conninfo", &conninfo(primary.port));
    }

    /// Lets a replica that runs hear of nobody any more, and waits until it does.
    ///
    /// # Panics
    /// When it still hears.
    pub fn follow_nobody(&self) {
        self.alter("primary_conninfo", "");
        until("a replica that follows nobody", START, || {
            self.query("postgres", "SELECT count(*) FROM pg_stat_wal_receiver") == "0"
        });
    }

    /// Throws its data away and makes it a replica of `primary`: how a primary comes back that was replaced.
    ///
    /// # Panics
    /// When it runs, or the copy fails.
    pub fn rebuild_from(&self, primary: &Self) {
        let dir = self.daemon.dir();
        std::fs::remove_dir_all(dir).expect("a folder of ours");
        create_private(dir);
        let mut copy = Command::new(program("pg_basebackup"));
        copy.args(["-h", "127.0.0.1", "-U", "app", "-X", "stream", "-c", "fast", "-N", "-p"]);
        copy.arg(primary.port.to_string()).arg("-D").arg(dir);
        run(copy.current_dir(dir.parent().expect("a parent")));
        self.stand_by(primary.port);
        self.restart();
    }

    /// Offers TLS with this certificate, from now on.
    ///
    /// # Panics
    /// When it refuses it.
    pub fn serve_tls(&self, pair: &Pair) {
        let dir = self.daemon.dir();
        pair.write(dir);
        ["cert.pem", "key.pem"].iter().for_each(|name| give_away(&dir.join(name)));
        self.alter("ssl_cert_file", "cert.pem");
        self.alter("ssl_key_file", "key.pem");
        self.alter("ssl", "on");
    }

    /// Changes a setting for this server, at once where the setting allows it.
    ///
    /// # Panics
    /// When it refuses.
    pub fn alter(&self, setting: &str, value: &str) {
        let load_time = || self.query("postgres", "SELECT pg_conf_load_time()");
        let before = load_time();
        let value = value.replace('\'', "''");
        // Statements of their own: ALTER SYSTEM must not be part of a transaction.
        let _ = self.query("postgres", &format!("ALTER SYSTEM SET {setting} = '{value}'"));
        let _ = self.query("postgres", "SELECT pg_reload_conf()");
        until("settings read again", START, || load_time() != before);
    }

    /// Waits until it has replayed the log up to this place.
    ///
    /// # Panics
    /// When it has not `within` the time.
    pub fn wait_replayed(&self, lsn: &str, within: Duration) {
        let question = format!("SELECT pg_last_wal_replay_lsn() >= '{lsn}'");
        eventually("a replica that caught up", within, || {
            (self.try_sql("postgres", &question).ok()? == "t").then_some(())
        });
    }

    /// Everything it logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// A little shared memory outlives a killed server; its id is the last word of its lock file's seventh line.
    fn free_memory(&self) {
        let lock = std::fs::read_to_string(self.daemon.dir().join("postmaster.pid"));
        let lock = lock.unwrap_or_default();
        if let Some(id) = lock.lines().nth(6).and_then(|line| line.split_whitespace().last()) {
            drop(Command::new("ipcrm").args(["-m", id]).output());
        }
    }

    pub(super) fn start(&self) {
        self.daemon.start();
    }

    pub(super) fn wait_ready(&self, within: Duration) {
        until("a PostgreSQL that answers", within, || {
            self.daemon.assert_runs();
            self.try_sql("postgres", "SELECT 1").is_ok()
        });
    }

    /// Makes the data in its folder those of a replica.
    pub(super) fn stand_by(&self, primary: u16) {
        let dir = self.daemon.dir();
        let own = format!("primary_conninfo = '{}'\n", conninfo(primary));
        add(&dir.join("postgresql.auto.conf"), &own);
        add(&dir.join("standby.signal"), "");
    }
}

pub(super) fn superuser_url(port: u16, database: &str) -> String {
    format!("postgres://app@127.0.0.1:{port}/{database}")
}

pub(super) fn try_sql(port: u16, database: &str, sql: &str) -> Result<String, String> {
    let mut psql = Command::new(program("psql"));
    psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, &superuser_url(port, database)]);
    psql.env_clear().env("LC_ALL", "C.UTF-8").env("PGCONNECT_TIMEOUT", "5").current_dir("/");
    let output = as_nobody(&mut psql).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn conninfo(primary: u16) -> String {
    format!("host=127.0.0.1 port={primary} user=app")
}

fn add(path: &Path, text: &str) {
    use std::io::Write;
    let mut file = std::fs::File::options().create(true).append(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    give_away(path);
}
