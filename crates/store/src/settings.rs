//! What an operator may set about storage: one struct, no reading of files or environment.

use mainstay_base::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Storage on this machine: `core.db` and `insight.db` in the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Batches of visitor events that may wait for the disk; when it is full, further ones are refused with 503. Default 1024.
    pub recorder_queue_batches: u32,
    /// Most batches that share one transaction and one fsync. Default 256.
    pub commit_batches_max: u32,
    /// How long, at most, a busy recorder gathers batches for one commit; a quiet one commits at once. `"0ms"`: never. Default `"1ms"`.
    pub commit_gather: Span,
    /// How often a recorder that could not write tries whether the disk takes writes again. Default `"1s"`.
    pub recorder_probe_every: Span,
    /// Bytes of events that may wait on this machine's disk while PostgreSQL is away; then further ones are refused with
    /// 503. As many more may lie there until every standby has them. Default `"256MiB"`.
    pub spool_max: Size,
    /// How often a database file that could not be opened (damaged, disk full) is tried again. Default `"5s"`.
    pub reopen_every: Span,
    /// Connections for reading, per database file. Default 2.
    pub readers: u32,
    /// How long a statement waits for a lock on the file that another process holds, and a reader for a free connection. Default `"5s"`.
    pub busy_timeout: Span,
    /// Size of the write-ahead log at which it is copied into the database file, beside the commits. Kept alive by readers it may reach eight times as much; then commits wait until it is empty. Default `"32MiB"`.
    pub checkpoint_at: Size,
    /// Size to which a write-ahead log left large by a long read is cut. Default `"64MiB"`.
    pub wal_size_max: Size,
    /// Page cache of each writing connection, two of `insight.db` and one of `core.db`; readers get a quarter. Default `"4MiB"`.
    pub cache_size: Size,
    /// Size `insight.db` may reach; then events are refused until retention has made room. `"0B"` (default): no limit.
    pub insight_size_max: Size,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            recorder_queue_batches: 1_024,
            commit_batches_max: 256,
            commit_gather: Span(std::time::Duration::from_millis(1)),
            recorder_probe_every: Span::seconds(1),
            spool_max: Size::mib(256),
            reopen_every: Span::seconds(5),
            readers: 2,
            busy_timeout: Span::seconds(5),
            checkpoint_at: Size::mib(32),
            wal_size_max: Size::mib(64),
            cache_size: Size::mib(4),
            insight_size_max: Size(0),
        }
    }
}
