//! A server program of a test: run in the foreground in a folder of its own, never as root, killed and stopped with all its children.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::home::{NOBODY, is_root};
use crate::wait::until;

/// Time a killed server may take to be gone.
const GONE: Duration = Duration::from_secs(10);

/// A server, running or not.
#[derive(Debug)]
pub(crate) struct Daemon {
    program: PathBuf,
    arguments: Vec<String>,
    dir: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Daemon {
    /// One that is not running yet; it works in `dir`, which it owns.
    pub(crate) fn new(program: &Path, arguments: Vec<String>, dir: &Path) -> Self {
        let (program, dir) = (program.to_owned(), dir.to_owned());
        Self { program, arguments, dir, child: Mutex::new(None) }
    }

    /// Where it works.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts it. What it says is added to its log.
    ///
    /// # Panics
    /// When it runs already or cannot be started.
    pub(crate) fn start(&self) {
        let mut child = self.lock();
        assert!(child.is_none(), "{} runs already", self.program.display());
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log");
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.dir).env_clear().env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        // What ends the test by its group must leave the servers to their keeper.
        as_nobody(command.process_group(0));
        *child = Some(command.spawn().expect("a server program"));
    }

    /// SIGKILL for it and all its children, as when a machine dies; then it is gone.
    pub(crate) fn kill(&self) {
        let mut child = self.lock();
        let Some(mut running) = child.take() else { return };
        drop(running.kill());
        // Those that it had started work on in its folder until they notice.
        signal_all(&self.dir, Signal::KILL);
        drop(running.wait());
        until("a killed server is gone", GONE, || list_in(&self.dir).is_empty());
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn end(&self, signal: Signal, within: Duration) {
        let Some(mut running) = self.lock().take() else { return };
        let _ = kill_process(Pid::from_child(&running), signal);
        until("a server that was asked to end has ended", within, || {
            running.try_wait().expect("a process of ours").is_some()
        });
    }

    /// SIGSTOP for it and all its children: connections stay open and nothing answers.
    pub(crate) fn pause(&self) {
        // Itself first, so that it starts no further child meanwhile.
        if let Some(child) = &*self.lock() {
            let _ = kill_process(Pid::from_child(child), Signal::STOP);
        }
        signal_all(&self.dir, Signal::STOP);
    }

    /// SIGCONT for all that was stopped.
    pub(crate) fn resume(&self) {
        signal_all(&self.dir, Signal::CONT);
    }

    /// Fails the test when it has ended by itself.
    pub(crate) fn assert_runs(&self) {
        let ended = self.lock().as_mut().and_then(|child| child.try_wait().ok().flatten());
        assert!(ended.is_none(), "{} ended: {ended:?}\n{}", self.program.display(), self.log());
    }

    /// Everything it said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a command as who runs the servers.
pub(crate) fn as_nobody(command: &mut Command) -> &mut Command {
    // The standard library drops root's groups along with the id.
    if is_root() { command.uid(NOBODY).gid(NOBODY) } else { command }
}

fn signal_all(dir: &Path, signal: Signal) {
    for pid in list_in(dir) {
        // Gone already is as good.
        let _ = kill_process(pid, signal);
    }
}

/// Processes that work in `dir`. PostgreSQL's children leave its process group, so that this is how they are known.
fn list_in(dir: &Path) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let works_here = std::fs::read_link(entry.path().join("cwd")).ok()? == dir;
        works_here.then_some(Pid::from_raw(id)?)
    });
    ids.collect()
}
