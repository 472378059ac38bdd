//! Servers that a whole test run shares: the first test that asks starts them, their keeper ends them with the run. nextest runs every test as a process, so that nothing else can.

use std::fs::File;
use std::path::Path;

use crate::home::{Home, run_folder, run_id};

/// What `start` said about the servers of this run, whoever started them.
///
/// # Panics
/// When they cannot be started.
pub(crate) fn find_or_start(purpose: &str, start: impl FnOnce(Home) -> String) -> String {
    let run = run_id();
    let folder = run_folder(run, purpose);
    std::fs::create_dir_all(&folder).expect("a folder");
    // Tests ask at the same time: one starts them, the others wait. Who is killed meanwhile lets the next one try.
    let lock = File::create(folder.join("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    let ready = folder.join("ready");
    if let Ok(said) = std::fs::read_to_string(&ready) {
        return said;
    }
    let said = start(Home::of_run(&folder, run));
    write_whole(&ready, &said);
    said
}

fn write_whole(path: &Path, text: &str) {
    let part = path.with_extension("part");
    std::fs::write(&part, text).expect("a file");
    std::fs::rename(&part, path).expect("a file");
}
