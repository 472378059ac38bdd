//! A folder in which servers of a test work. However its owner ends, SIGKILL included, a keeper process ends the servers and deletes the folder.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Servers that refuse to run as root run as `nobody`, which owns nothing else.
pub(crate) const NOBODY: u32 = 65_534;

/// Begins the name of every such folder; the id of the owning process follows.
const PREFIX: &str = "mainstay-servers-";

/// What ends the servers, whoever asks for it: the end of a value, of a process or of a whole run.
const KEEPER: &str = include_str!("home.sh");

/// A folder and its keeper.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    keeper: Keeper,
}

#[derive(Debug)]
enum Keeper {
    /// Ends everything when this value is dropped.
    Value(Child),
    /// Ends everything when a process is gone, that of the test runner.
    Run,
}

impl Home {
    /// A folder that lives as long as the value.
    pub(crate) fn new() -> Self {
        sweep();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temp folder").keep();
        let keeper = Keeper::Value(start_keeper(&dir, "-", Stdio::piped()));
        open_to_nobody(&dir);
        Self { dir, keeper }
    }

    /// A folder that lives as long as the process `run`.
    pub(crate) fn of_run(parent: &Path, run: u32) -> Self {
        let dir = parent.join(std::process::id().to_string());
        std::fs::create_dir_all(&dir).expect("a folder");
        drop(start_keeper(parent, &run.to_string(), Stdio::null()));
        open_to_nobody(&dir);
        Self { dir, keeper: Keeper::Run }
    }

    /// A folder for one server, owned by who will run it.
    pub(crate) fn create_folder(&self, name: &str) -> PathBuf {
        let dir = self.dir.join(name);
        create_private(&dir);
        dir
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Keeper::Value(keeper) = &mut self.keeper {
            drop(keeper.stdin.take());
            drop(keeper.wait());
        }
    }
}

/// Where folders shared by a run are: one per run and purpose.
pub(crate) fn run_folder(run: u32, purpose: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{run}-{purpose}"))
}

/// The process whose end ends a run: nextest, which starts a process per test, or else this one.
#[expect(clippy::disallowed_methods, reason = "how a test was started is told by its environment")]
pub(crate) fn run_id() -> u32 {
    match std::env::var_os("NEXTEST_RUN_ID") {
        Some(_) => std::os::unix::process::parent_id(),
        None => std::process::id(),
    }
}

/// Whether this process is root, who must not run servers.
pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A new folder that only who runs servers may enter: PostgreSQL refuses others.
pub(crate) fn create_private(dir: &Path) {
    std::fs::create_dir(dir).expect("a new folder");
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).expect("a private folder");
    give_away(dir);
}

/// Lets `nobody` own what root made.
pub(crate) fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
    }
}

/// Temp folders are private; who runs the servers has to find theirs.
fn open_to_nobody(dir: &Path) {
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o711)).expect("permissions");
}

/// A session of its own: what ends the test's process group does not end the keeper. `setsid` becomes the shell, because
/// this process leads no group that it could be asked to leave.
fn start_keeper(dir: &Path, owner: &str, stdin: Stdio) -> Child {
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", KEEPER, "keeper"]).arg(dir).arg(owner);
    command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
    command.spawn().expect("setsid (package util-linux)")
}

/// Ends what is left of owners that are gone together with their keeper.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let owner = rest.split('-').next().unwrap_or_default();
        let is_gone =
            owner.parse::<u32>().is_ok_and(|owner| !Path::new(&format!("/proc/{owner}")).exists());
        if is_gone {
            drop(start_keeper(&entry.path(), owner, Stdio::null()));
        }
    }
}

#[cfg(test)]
mod tests;
