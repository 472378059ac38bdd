//! Servers that a whole test run shares: the first test that asks starts them, their keeper ends them with the run. nextest runs every test as a process, so that nothing else can.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::home::{Home, run_folder, run_id};

/// What `start` said about the servers of this run, whoever started them.
///
/// # Panics
/// When they cannot be started.
pub(crate) fn find_or_start(purpose: &str, start: impl FnOnce(Home) -> String) -> String {
    let run = run_id();
    let folder = run_folder(run, purpose);
    find_or_make(&folder, "ready").unwrap_or_else(|turn| {
        let said = start(Home::of_run(&folder, run));
        turn.finish(&said);
        said
    })
}

/// What was said of something that is made once in a folder of the run, or the turn to make it.
///
/// # Panics
/// When the folder cannot be written.
pub(crate) fn find_or_make(folder: &Path, what: &str) -> Result<String, Turn> {
    std::fs::create_dir_all(folder).expect("a folder");
    // Tests ask at the same time: one makes it, the others wait. Who is killed meanwhile lets the next one try.
    let lock = File::create(folder.join(what).with_extension("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    let ready = folder.join(what);
    std::fs::read_to_string(&ready).map_err(|_| Turn { ready, _lock: lock })
}

/// Nobody else makes it meanwhile.
#[derive(Debug)]
pub(crate) struct Turn {
    ready: PathBuf,
    _lock: File,
}

impl Turn {
    /// It is there; this is what others are told.
    pub(crate) fn finish(self, said: &str) {
        write_whole(&self.ready, said);
    }
}

fn write_whole(path: &Path, text: &str) {
    let part = path.with_extension("part");
    std::fs::write(&part, text).expect("a file");
    std::fs::rename(&part, path).expect("a file");
}
