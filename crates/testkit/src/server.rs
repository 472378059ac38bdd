//! A server under test: where it listens, what it says, how it is stopped. Fails the test that drops it when it logged an error nobody expected.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::event::Batch;
use crate::http::{Connection, Exchange, Request, Response};
use crate::launch::{TOKEN, engines};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::process::{Ended, Process};
use crate::site::Site;
use crate::wait::eventually;

/// Time a stop may take.
const STOP: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Process,
    home: TempDir,
    site: Site,
    folder: Option<PathBuf>,
    data_dir: PathBuf,
    site_address: SocketAddr,
    admin_address: SocketAddr,
    expected: Vec<String>,
    /// What the site acknowledged last: what is read then includes it, whichever replica answers.
    seen: Mutex<Option<String>>,
}

/// Sent back on a read, it makes the answer include what was acknowledged with it.
const SEEN: &str = "x-mainstay-token";

impl Server {
    pub(crate) fn ready(
        mut process: Process,
        (home, site, folder): (TempDir, Site, Option<PathBuf>),
        data_dir: PathBuf,
        expected: Vec<String>,
        within: Duration,
    ) -> Self {
        let (site_address, admin_address) = eventually("a server that is ready", within, || {
            assert!(
                process.is_running(),
                "the server ended at its start:\n{}",
                process.stderr.text()
            );
            let status = ask_status(&data_dir)?;
            let address = |name: &str| {
                let (_scheme, address) = status[name].as_str()?.split_once("://")?;
                address.parse().ok()
            };
            // Behind a public URL the site's address is only the listener's own.
            let bound = || status["address"].as_str()?.parse().ok();
            let (site, admin) = (address("site").or_else(bound)?, address("admin")?);
            let ready =
                Connection::try_open(admin).ok()?.try_send(&Request::get("/readyz")).ok()?;
            (ready.status == 200).then_some((site, admin))
        });
        let seen = Mutex::default();
        Self { process, home, site, folder, data_dir, site_address, admin_address, expected, seen }
    }

    /// Address of the public listener.
    #[must_use]
    pub fn site_address(&self) -> SocketAddr {
        self.site_address
    }

    /// Address of the private listener.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// URL of a path of the site.
    #[must_use]
    pub fn site_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.site_address)
    }

    /// URL of a path of the admin side.
    #[must_use]
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin_address)
    }

    /// The site that was given to the launch, to be changed while it is served.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The folder that is served.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(self.site.dir())
    }

    /// Its data dir; there until the server is dropped, also after a stop.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its database on the servers of the whole test run; none when it has files.
    #[must_use]
    pub fn shared_database(&self) -> Option<String> {
        engines::find_database(&self.data_dir)
    }

    /// Writes the settings file anew, the one that was given to the launch.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_settings(&self, toml: &str) {
        std::fs::write(self.home.path().join("mainstay.toml"), toml).expect("a settings file");
    }

    /// Its process.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its event log (standard error).
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.process.stderr
    }

    /// Its standard output.
    #[must_use]
    pub fn stdout(&self) -> &Log {
        &self.process.stdout
    }

    /// A connection to the site.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.site_address)
    }

    /// Sends a request to the site on a connection of its own.
    #[must_use]
    pub fn send(&self, request: &Request) -> Response {
        let answer = self.connect().send(request);
        if let Some(token) = answer.header(SEEN) {
            *self.seen() = Some(token.to_owned());
        }
        answer
    }

    fn seen(&self) -> MutexGuard<'_, Option<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// GET of a path of the site.
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        self.send(&Request::get(path))
    }

    /// Sends bytes to the site as they are, and reads what comes back within `patience`. The client keeps its end
    /// open, so that an unfinished request stays unfinished.
    ///
    /// # Panics
    /// When the socket cannot be set up.
    #[must_use]
    pub fn send_raw(&self, bytes: &[u8], patience: Duration) -> Exchange {
        let mut connection = self.connect();
        // A server that closes early resets what is still being written: no fault.
        drop(connection.write(bytes));
        connection.socket().set_read_timeout(Some(patience)).expect("a socket");
        let response = connection.read("GET").ok();
        let kept = response.as_ref().is_some_and(|r| r.header("connection") != Some("close"));
        Exchange { response, closed: !kept && connection.is_closed_within(patience) }
    }

    /// Sends a request to the admin side with the operator's token, and with what the site acknowledged last.
    #[must_use]
    pub fn admin(&self, request: Request) -> Response {
        let request = request.header("authorization", &format!("Bearer {TOKEN}"));
        let seen = self.seen().clone();
        let request = seen.iter().fold(request, |request, seen| request.header(SEEN, seen));
        self.admin_stranger(&request)
    }

    /// Sends a request to the admin side as it is.
    #[must_use]
    pub fn admin_stranger(&self, request: &Request) -> Response {
        Connection::open(self.admin_address).send(request)
    }

    /// JSON of a read of the admin API.
    ///
    /// # Panics
    /// When it does not answer 200 with JSON.
    #[must_use]
    pub fn read(&self, path: &str) -> Value {
        let response = self.admin(Request::get(path));
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response.json()
    }

    /// The rows of a list of the admin API.
    ///
    /// # Panics
    /// When it is no list.
    #[must_use]
    pub fn rows(&self, path: &str) -> Vec<Value> {
        let answer = self.read(path);
        answer["data"].as_array().unwrap_or_else(|| panic!("{path}: no list: {answer}")).clone()
    }

    /// A scrape.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let response = self.admin_stranger(&Request::get("/metrics"));
        assert_eq!(response.status, 200, "{}", response.text());
        Metrics::parse(response.text())
    }

    /// Posts events and answers what came back.
    #[must_use]
    pub fn post(&self, batch: &Batch) -> Response {
        self.send(&batch.request())
    }

    /// Posts events that must be taken.
    ///
    /// # Panics
    /// When they are not.
    pub fn accept(&self, batch: &Batch) {
        let response = self.post(batch);
        assert_eq!(response.status, 204, "{}", response.text());
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub fn stop(&mut self) -> Ended {
        if self.process.is_running() {
            self.process.signal("TERM");
        }
        self.process.wait(STOP)
    }

    /// Ends it at once (SIGKILL); the signal that ended it, none when it had ended by itself.
    pub fn kill(&mut self) -> Option<i32> {
        self.process.kill()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
        let faults = self.process.stderr.list_faults(&self.expected);
        if std::thread::panicking() {
            let lines = self.process.stderr.lines();
            let last = lines.len().saturating_sub(30);
            // A failed test's output is shown; this is where its cause is read.
            drop(writeln!(std::io::stderr(), "server log:\n{}", lines[last..].join("\n")));
        } else {
            assert!(faults.is_empty(), "the server logged errors:\n{}", faults.join("\n"));
        }
    }
}

/// `GET /status` at the control socket (HTTP/1.0: the answer ends with the connection).
fn ask_status(data_dir: &Path) -> Option<Value> {
    let mut stream = UnixStream::connect(data_dir.join("control.sock")).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /status HTTP/1.0\r\nHost: control\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}
