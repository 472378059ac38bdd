//! TimescaleDB for a test: PGlite with the extension, in the memory of a Node process that dies with the test. It takes one client at a time.

use std::time::Duration;

use crate::checkout;
use crate::port::free_port;
use crate::process::Process;

/// Time it may take to make its database.
const START: Duration = Duration::from_secs(60);

/// An empty database with TimescaleDB.
#[derive(Debug)]
pub struct Timescale {
    port: u16,
    _process: Process,
}

impl Timescale {
    /// Starts one. Call it from the test's own thread, with which it dies.
    ///
    /// # Panics
    /// When its packages are not installed (`scripts/setup test`), or it does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = checkout().join("e2e");
        let port = free_port();
        let mut command = Process::command("node");
        command.arg("timescale.mjs").arg(port.to_string()).current_dir(folder);
        let process = Process::start(&mut command);
        let _ = process.stdout.wait_for("ready", START);
        Self { port, _process: process }
    }

    /// How its one client reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres:postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}
