//! The process as the operating system sees it, read from `/proc/self` at every scrape. Elsewhere than on Linux there is nothing to tell.

use std::fs;

use crate::metrics::Registry;
use crate::names;

/// The kernel reports times to programs in hundredths of a second (`USER_HZ`) on every platform we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/proc/self/stat` says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    started_after_boot: f64,
}

/// Adds the process's metrics to `registry`.
pub fn register(registry: &Registry) {
    registry.counter_fn(&names::PROCESS_CPU, &[], || or_nothing(cpu_seconds()));
    registry.gauge_fn(&names::PROCESS_MEMORY, &[], || or_nothing(resident_bytes()));
    registry.gauge_fn(&names::PROCESS_OPEN_FDS, &[], || or_nothing(open_fds()));
    registry.gauge_fn(&names::PROCESS_MAX_FDS, &[], || or_nothing(max_fds()));
    registry.gauge_fn(&names::PROCESS_THREADS, &[], || or_nothing(stat().map(|s| s.threads)));
    // A start does not change, and the boot time moves by a second when the clock is corrected.
    let started = or_nothing(started());
    registry.gauge_fn(&names::PROCESS_START, &[], move || started);
}

/// Processor time used so far, user and system, in seconds.
#[must_use]
pub fn cpu_seconds() -> Option<f64> {
    stat().map(|stat| stat.cpu_seconds)
}

/// Memory in RAM, in bytes.
#[must_use]
pub fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kib.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn open_fds() -> Option<f64> {
    // One of them is the folder being read.
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as f64)
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        soft => soft.parse().ok(),
    }
}

fn started() -> Option<f64> {
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + stat()?.started_after_boot)
}

fn stat() -> Option<Stat> {
    parse_stat(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// See proc_pid_stat(5). The second field is the program's name in parentheses, and may hold spaces and
/// parentheses itself; what follows the last one are fields 3 and up.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(Stat {
        cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
        threads: field(20)?,
        started_after_boot: field(22)? / TICKS_PER_SECOND,
    })
}

fn or_nothing(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_program_name_does_not_shift_the_fields() {
        let text = "7 (a) b 1 2) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 12345 1 2 3";
        let stat = parse_stat(text);
        let expected = Stat { cpu_seconds: 2.0, threads: 3.0, started_after_boot: 123.45 };
        assert_eq!(stat, Some(expected));
        assert_eq!(parse_stat(""), None);
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_seen() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1e6));
        assert!(open_fds().is_some_and(|open| max_fds().is_some_and(|max| open < max)));
        assert!(started().is_some_and(|at| at > 1.7e9));
        let file = fs::File::open("/proc/self/stat");
        let more = open_fds();
        drop(file);
        assert!(more > Some(2.0));
    }
}
