//! A mail server of a test's own: a real one (aiosmtpd), which keeps what it takes and says how it was sent.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::daemon::Daemon;
use crate::home::{Home, give_away};
use crate::port::free_port;
use crate::tls::Pair;
use crate::wait::{eventually, until};

/// The system's: Debian's packages are there for no other.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = include_str!("mail.py");
/// Time it may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A mail server. Gone when it is dropped, and when the test is killed.
///
/// It refuses whoever begins with `nobody@` for good, `later@` for now, and never answers for `hangs@`.
#[derive(Debug)]
pub struct MailServer {
    daemon: Daemon,
    port: u16,
    dir: PathBuf,
    // Dropped last: its keeper ends what was begun.
    _home: Home,
}

/// A letter as the server took it, and as Python's library of mail reads it.
#[derive(Clone, Debug, Deserialize)]
pub struct Taken {
    /// The port it came from: the same for letters of one connection.
    pub connection: u16,
    /// Whether the connection was encrypted.
    pub tls: bool,
    /// Who had signed in.
    pub user: Option<String>,
    /// How.
    pub mechanism: Option<String>,
    /// Who sends, as the envelope says.
    pub from: String,
    /// Whom it is for, as the envelope says.
    pub to: Vec<String>,
    /// Names and values, decoded, in their order.
    pub headers: Vec<(String, String)>,
    /// The part that is text.
    pub text: Option<String>,
    /// The part that is HTML.
    pub html: Option<String>,
    /// What the library finds wrong with it.
    pub defects: Vec<String>,
    /// As it came over the wire.
    pub raw: String,
}

impl Taken {
    /// The value of a header.
    ///
    /// # Panics
    /// When it came more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(of, _)| of.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice: {:?}", self.headers);
        value
    }
}

impl MailServer {
    /// One without TLS that lets everybody in.
    ///
    /// # Panics
    /// When the Debian package `python3-aiosmtpd` is not installed, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(None, &[])
    }

    /// One with a certificate, for `starttls` or `smtps`, of which these words hold: `required` takes nothing without TLS,
    /// `login=USER:PASSWORD` nothing from others, `without=PLAIN` offers no such way to sign in, `utf8` takes addresses
    /// beyond ASCII.
    ///
    /// # Panics
    /// As [`MailServer::start`].
    #[must_use]
    pub fn start_with(pair: Option<&Pair>, words: &[&str]) -> Self {
        let there = Command::new(PYTHON).args(["-c", "import aiosmtpd"]).output();
        let there = there.is_ok_and(|output| output.status.success());
        assert!(there, "aiosmtpd is not installed: scripts/setup test");
        let (home, port) = (Home::new(), free_port());
        let dir = home.create_folder("mail");
        let script = dir.join("mail.py");
        std::fs::write(&script, SCRIPT).expect("a script");
        if let Some(pair) = pair {
            pair.write(&dir);
            give_away(&dir.join("key.pem"));
        }
        let mut arguments = vec![script.display().to_string(), port.to_string()];
        arguments.push(dir.display().to_string());
        arguments.extend(words.iter().map(|&word| word.to_owned()));
        let server =
            Self { daemon: Daemon::new(PYTHON.as_ref(), arguments, &dir), port, dir, _home: home };
        server.start_again();
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts one that was killed, at the same port.
    ///
    /// # Panics
    /// When it runs, or does not start.
    pub fn start_again(&self) {
        self.daemon.start();
        until("a mail server that answers", START, || {
            self.daemon.assert_runs();
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    /// Ends it at once, with every connection.
    pub fn kill(&self) {
        self.daemon.kill();
    }

    /// Everything it has taken so far, in order.
    ///
    /// # Panics
    /// When what it kept cannot be read.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        let entries = std::fs::read_dir(self.dir.join("letters")).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a letter").path()).collect();
        paths.retain(|path| path.extension().is_none());
        paths.sort();
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).expect("a letter");
            serde_json::from_str(&text).expect("a letter")
        };
        paths.iter().map(read).collect()
    }

    /// Waits for so many.
    ///
    /// # Panics
    /// When fewer come in time.
    pub fn wait_for(&self, count: usize, within: Duration) -> Vec<Taken> {
        eventually("letters", within, || Some(self.taken()).filter(|taken| taken.len() >= count))
    }
}
