//! What the allocator keeps for later: nothing. Decides for the process, once, before anything runs.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// When mimalloc gives free memory back, in ms. Its own default is a second, and it looks only when memory is asked for:
/// an idle server kept 18 KB for each idle connection instead of 3. Without a delay no request cost more.
const DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Becomes the same program again, with the same process id, arguments and open files, where the environment says nothing
/// of the delay: the allocator reads it there alone, before `main`. Comes back where that is said, or cannot be done.
#[expect(clippy::disallowed_methods, reason = "the allocator's setting, not one of ours")]
pub fn give_back_at_once() {
    if std::env::var_os(DELAY).is_some() {
        return;
    }
    // Its own path, so that it keeps its name in lists of processes.
    let Ok(binary) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| binary.clone().into());
    // An error: memory is given back later, and everything else is as it would be.
    drop(Command::new(binary).arg0(name).args(arguments).env(DELAY, "0").exec());
}
