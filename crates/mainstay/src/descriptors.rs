//! The process's limit of open files, raised to what the settings promise: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the process needs besides its visitors' connections: databases, logs, site files being read, consoles.
const OWN_FILES: u64 = 1_024;

/// Raises the soft limit to fit `connections_max`, as far as the hard limit allows; says so when it does not.
pub(crate) fn raise_limit(connections_max: usize) {
    let wanted = connections_max as u64 + OWN_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let reached = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
    let raised =
        setrlimit(Resource::Nofile, Rlimit { current: Some(reached), maximum: limit.maximum });
    if raised.is_err() || reached < wanted {
        tracing::warn!(
            wanted,
            reached,
            "the limit of open files is below what edge.connections_max needs; raise it (LimitNOFILE=, ulimit -n)"
        );
    }
}
