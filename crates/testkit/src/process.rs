//! A process of a test: dies with the test, its output gathered, its end awaited with a deadline.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::log::Log;
use crate::wait::eventually;

/// How a process ended, and everything it said.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: Option<ExitStatus>,
    /// Standard output.
    pub stdout: Log,
    /// Standard error.
    pub stderr: Log,
}

impl Process {
    /// A command whose process is killed by the kernel when the thread that starts it ends, however that ends: start
    /// it from the test's own thread. `setpriv` (util-linux) asks the kernel for this and becomes the program.
    #[must_use]
    pub fn command(program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program.as_ref());
        command
    }

    /// Starts a command.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{:?} cannot be started: {error}", command.get_program())
        });
        let stdout = Log::follow(child.stdout.take().expect("a pipe"));
        let stderr = Log::follow(child.stderr.take().expect("a pipe"));
        Self { child, ended: None, stdout, stderr }
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it cannot be started or is not done `within` the time.
    #[must_use]
    pub fn run(command: &mut Command, within: Duration) -> Ended {
        Self::start(command).wait(within)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a process of ours");
        }
        self.ended.is_none()
    }

    /// Sends a signal by its name (`TERM`, `KILL`).
    ///
    /// # Panics
    /// When `kill` cannot be run.
    pub fn signal(&self, name: &str) {
        // `kill` is a builtin of every shell; the standard library knows SIGKILL only.
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &self.id().to_string()])
            .stderr(Stdio::null())
            .status();
        sent.expect("a shell");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `within`.
    pub fn wait(&mut self, within: Duration) -> Ended {
        let status = eventually("the end of the process", within, || {
            self.is_running();
            self.ended
        });
        self.stdout.finish();
        self.stderr.finish();
        Ended {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    /// Ends it at once (SIGKILL) and waits until it is gone; the signal that ended it, none when it had ended by itself.
    pub fn kill(&mut self) -> Option<i32> {
        if self.is_running() {
            drop(self.child.kill());
            self.ended = self.child.wait().ok();
        }
        self.stdout.finish();
        self.stderr.finish();
        self.ended.and_then(|status| status.signal())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
