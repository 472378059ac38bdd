//! Nothing is left of servers, however their owner ends.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use super::*;
use crate::wait::until;
use crate::{Postgres, Redis};

const WITHIN: Duration = Duration::from_secs(20);
/// Asks the test below for servers.
const HOLD: &str = "hold-servers";

/// Does nothing in a test run. Started by the test below, it is the process that will be killed.
#[test]
#[expect(clippy::print_stdout, reason = "tells the other process where its servers are")]
fn holds_servers_when_asked() {
    if !std::env::args().any(|word| word == HOLD) {
        return;
    }
    let (postgres, redis) = (Postgres::launch().replicas(1).start(), Redis::start());
    // One that cannot hear a signal to end.
    postgres.replicas()[0].pause();
    println!("{HOLD} {}", std::process::id());
    drop(std::io::stdin().read(&mut [0]));
    drop((postgres, redis));
}

fn list_folders(owner: u32) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let named = |path: &PathBuf| path.to_string_lossy().contains(&format!("{PREFIX}{owner}-"));
    entries.map(|entry| entry.path()).filter(named).collect()
}

fn count_processes_in(dir: &Path) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let dirs = entries.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    dirs.filter(|cwd| cwd.starts_with(dir)).count()
}

fn until_gone(dir: &Path) {
    until("the end of servers and folder", WITHIN, || {
        !dir.exists() && count_processes_in(dir) == 0
    });
}

#[test]
fn nothing_is_left_of_a_killed_test() {
    let mut holder = Command::new(std::env::current_exe().unwrap());
    holder.args(["--exact", "home::tests::holds_servers_when_asked", HOLD, "--nocapture"]);
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The harness prints the test's name before it, on the same line.
    let ready = lines.into_iter().find(|line| line.contains(HOLD)).unwrap();
    assert!(ready.ends_with(&holder.id().to_string()), "{ready}");
    let dirs = list_folders(holder.id());
    assert_eq!(dirs.len(), 2, "one of PostgreSQL, one of Redis");
    assert!(dirs.iter().all(|dir| count_processes_in(dir) > 0));
    holder.kill().unwrap();
    dirs.iter().for_each(|dir| until_gone(dir));
    holder.wait().unwrap();
}

#[test]
fn what_an_earlier_run_left_is_swept() {
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let dir = std::env::temp_dir().join(format!("{PREFIX}{}-left", gone.id()));
    std::fs::create_dir_all(dir.join("server")).unwrap();
    let mut left = Command::new("sleep").arg("60").current_dir(dir.join("server")).spawn().unwrap();
    let home = Home::new();
    until_gone(&dir);
    left.wait().unwrap();
    drop(home);
}

#[test]
fn a_value_takes_its_servers_along() {
    let redis = Redis::start();
    let dirs = list_folders(std::process::id());
    assert!(dirs.iter().any(|dir| count_processes_in(dir) > 0));
    drop(redis);
    assert!(dirs.iter().all(|dir| !dir.exists()));
}
