//! What a process tree costs: processor time and memory, from /proc. Starts and stops nothing.

use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

/// Memory of a process tree, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// What would be free if it ended: private pages, and its share of common ones.
    pub(super) pss: u64,
    /// Everything it has in RAM.
    pub(super) rss: u64,
}

/// The process and all its descendants that still live.
pub(super) fn tree(root: u32) -> Vec<u32> {
    let (mut found, mut open) = (Vec::new(), VecDeque::from([root]));
    while let Some(pid) = open.pop_front() {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        found.push(pid);
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            open.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found
}

/// User and system time of the trees so far, in steps of the kernel's tick (10 ms).
///
/// Taken per process and not per thread, so that threads and children that have ended still count; the kernel scales
/// it to the scheduler's exact run time.
pub(super) fn processor_time(roots: &[u32]) -> Duration {
    let ticks: u64 = roots.iter().flat_map(|root| tree(*root)).filter_map(ticks).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(ticks * (1_000_000_000 / per_second))
}

fn ticks(pid: u32) -> Option<u64> {
    parse_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 14 to 17 of proc_pid_stat(5): user, system, and the same of children that were waited for.
fn parse_ticks(stat: &str) -> Option<u64> {
    // The name, field 2, may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().skip(11).take(4).collect();
    if fields.len() < 4 {
        return None;
    }
    fields.iter().map(|field| field.parse::<u64>().ok()).sum()
}

/// Memory of the trees now.
pub(super) fn memory(roots: &[u32]) -> Memory {
    roots.iter().flat_map(|root| tree(*root)).fold(Memory::default(), |sum, pid| {
        let maps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        Memory { pss: sum.pss + field(&maps, "Pss:"), rss: sum.rss + field(&maps, "Rss:") }
    })
}

/// A row of smaps_rollup, given in kB.
fn field(maps: &str, name: &str) -> u64 {
    let row = maps.lines().find_map(|line| line.strip_prefix(name));
    let number = row.and_then(|row| row.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_children_count() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 2 3 4 10 20 300 4000 20 0 1 0 5 6 7";
        assert_eq!(parse_ticks(stat), Some(4330));
        assert_eq!(parse_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_running_process_has_a_tree_and_memory() {
        let own = std::process::id();
        assert!(tree(own).contains(&own));
        let memory = memory(&[own]);
        assert!(memory.pss > 0 && memory.rss >= memory.pss, "{memory:?}");
    }

    #[test]
    fn rows_are_found_by_their_whole_name() {
        let maps = "Rss:       2048 kB\nPss_Dirty:    8 kB\nPss:       1024 kB\n";
        assert_eq!(field(maps, "Pss:"), 1024 * 1024);
        assert_eq!(field(maps, "Swap:"), 0);
    }
}
