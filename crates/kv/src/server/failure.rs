//! Why the store did not answer, and whether that says that it is away.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::link::Link;

/// A call without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For people. Names no password.
    pub(super) reason: String,
    /// A lost connection or a time-out, as opposed to a refusal: only these say that the store is away.
    pub(super) is_outage: bool,
    /// A time-out of the caller's.
    pub(super) is_late: bool,
    /// The connection is of no use any more.
    pub(super) is_final: bool,
    /// Refused because the slot is on its way to another node.
    pub(super) is_moving: bool,
    /// Refused because the user may not ask this.
    pub(super) is_forbidden: bool,
    /// The server has to be sent the script's text.
    pub(super) is_unknown_script: bool,
}

impl Failure {
    /// No answer in time.
    pub(super) fn late(within: Duration) -> Self {
        Self {
            reason: format!("no answer within {within:?}"),
            is_outage: true,
            is_late: true,
            ..Self::unreadable()
        }
    }

    /// An answer that is not of the kind that was asked for.
    pub(super) fn unreadable() -> Self {
        let reason = "an answer of another kind".to_owned();
        Self {
            reason,
            is_outage: false,
            is_late: false,
            is_final: false,
            is_moving: false,
            is_forbidden: false,
            is_unknown_script: false,
        }
    }

    pub(super) fn of(error: &RedisError, link: &Link) -> Self {
        let is_outage = is_outage(error);
        Self {
            reason: tell(error),
            is_outage,
            is_late: false,
            // A cluster's connection mends itself, a single one does not.
            is_final: is_outage && link.is_single() && !error.is_timeout(),
            is_moving: is_redirection(error),
            is_forbidden: is_forbidden(error),
            is_unknown_script: error.kind() == ErrorKind::Server(ServerErrorKind::NoScript),
        }
    }
}

/// What went wrong, and what to do where that is known.
pub(super) fn tell(error: &RedisError) -> String {
    let said = error.to_string();
    if said.contains("not valid for name") {
        return format!("{said}: name the servers in redis.nodes as their certificates do");
    }
    if is_forbidden(error) {
        return format!("{said}: allow it in the ACL of the user, see docs/many-machines.md");
    }
    if said.contains("invalid peer certificate") {
        return format!("{said}: is the authority that issued it one of redis.ca_file?");
    }
    said
}

/// Whether a command was refused because its slot is on the way to another node.
pub(super) fn is_redirection(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    matches!(error.kind(), ErrorKind::Server(Ask | Moved | TryAgain))
}

/// Also within a script, where the refusal has other words in each version.
fn is_forbidden(error: &RedisError) -> bool {
    const IN_SCRIPTS: [&str; 3] =
        ["executing the script can't", "ACL failure in script", "can't run this command"];
    let said = || error.detail().unwrap_or_default();
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
        || IN_SCRIPTS.iter().any(|words| said().contains(words))
}

fn is_outage(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly};
    match error.kind() {
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => true,
        // What a failover looks like from outside.
        ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly) => true,
        _ => error.is_connection_dropped() || error.is_timeout(),
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    #[test]
    fn what_an_acl_forbids_is_known_wherever_it_is_said() {
        for (said, expected) in [
            ("NOPERM User app has no permissions to run the 'set' command", true),
            (
                "ERR The user executing the script can't run this command or subcommand script: f, on @user_script:1.",
                true,
            ),
            (
                "ERR ACL failure in script: User app has no permissions to run the 'incrby' command",
                true,
            ),
            ("MISCONF Redis is configured to save RDB snapshots", false),
            ("ERR value is not an integer or out of range", false),
        ] {
            let Ok(Value::ServerError(error)) =
                redis::parse_redis_value(format!("-{said}\r\n").as_bytes())
            else {
                panic!("{said}");
            };
            let error = RedisError::from(error);
            assert_eq!(is_forbidden(&error), expected, "{error}");
            assert_eq!(tell(&error).contains("many-machines.md"), expected);
            assert!(!is_outage(&error), "{error}");
        }
    }
}
