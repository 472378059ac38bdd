//! What an operator may set about shared state: one struct, no reading of files or environment.

use std::path::PathBuf;
use std::time::Duration;

use mainstay_base::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Redis or Valkey, a single server or a cluster. Without `nodes` the same state is kept in this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Servers to begin with, as `"host:port"`; the others of a cluster are found through them. Empty (default): everything is kept in this process.
    pub nodes: Vec<String>,
    /// User of Redis 6 or later. Not set: `default`.
    pub username: Option<String>,
    /// Password of the servers. Not set: none.
    #[schemars(extend("writeOnly" = true))]
    pub password: Option<String>,
    /// Whether the servers are spoken to by TLS. Default false.
    pub tls: bool,
    /// With `tls`: file in PEM with the certificate authorities that are trusted. Not set: those of this machine.
    pub ca_file: Option<PathBuf>,
    /// Begins every key and channel, so that others may use the same servers. Letters, digits, `-` and `_`. Default `"mainstay"`.
    pub namespace: String,
    /// How long a value is kept when its writer does not say. Default `"1h"`.
    pub ttl: Span,
    /// How long a call waits for Redis; then it is answered from memory. Longer waits outlast a failover, shorter ones keep pages fast. Default `"40ms"`.
    pub answer_within: Span,
    /// How long a call waits at most that nobody but Redis can answer: asking for a lease, renewing one, a step of deleting by pattern, repairing a failed write. How much of a failover it outlasts is for `retries` and `retry_delay` to say. Default `"2s"`.
    pub patience: Span,
    /// How long deleting by pattern may take in all. What is left in Redis by then is hidden: a new generation of values begins. Default `"60s"`.
    pub invalidate_within: Span,
    /// How long opening a connection may take. Default `"1s"`.
    pub connect_timeout: Span,
    /// How often a call that may wait (`patience`) is repeated when it met a failover. Any call whose key moves to another node is repeated until its time is over. Default 3.
    pub retries: u32,
    /// Pause before such a repetition. Default `"100ms"`.
    pub retry_delay: Span,
    /// Whether replicas answer reads that may be stale. Default true.
    pub replica_reads: bool,
    /// Lost connections and time-outs within `failure_window` after which Redis counts as away. Default 5.
    pub failures_max: u32,
    /// See `failures_max`. Default `"1s"`.
    pub failure_window: Span,
    /// How often one trial is made whether Redis is back. Default `"500ms"`.
    pub trial_every: Span,
    /// How often it is looked for changes that other processes made while they were cut off. Default `"1s"`.
    pub probe_every: Span,
    /// How often a channel without messages says that it is alive. Default `"1s"`.
    pub heartbeat_every: Span,
    /// Silence of a channel after which its subscribers must think that they missed something. Default `"5s"`.
    pub silence_max: Span,
    /// Longest key, name or pattern. Default `"1KiB"`.
    pub key_bytes_max: Size,
    /// Largest value or message. Default `"8MiB"`.
    pub value_bytes_max: Size,
    /// Memory for values kept in this process: all of them without Redis, those written while it is away otherwise. The least used go first. Default `"64MiB"`.
    pub memory_bytes_max: Size,
    /// Counters kept in this process; further names are refused until some expire. Default 100000.
    pub counters_max: u32,
    /// Leases kept in this process at a time; further names are refused. Default 10000.
    pub leases_max: u32,
    /// Channels with subscribers. Default 64.
    pub channels_max: u32,
    /// Messages that a slow subscriber may lag behind before it hears of a gap. Default 1024.
    pub channel_queue: u32,
    /// Keys of one question for many that are on their way at a time, and keys looked at, or deleted, in one step of a pattern. Default 256.
    pub batch_keys: u32,
    /// Keys whose write failed, remembered until they are deleted in Redis; more start a new generation. Default 10000.
    pub repairs_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            username: None,
            password: None,
            tls: false,
            ca_file: None,
            namespace: "mainstay".to_owned(),
            ttl: Span::seconds(3_600),
            answer_within: Span(Duration::from_millis(40)),
            patience: Span::seconds(2),
            invalidate_within: Span::seconds(60),
            connect_timeout: Span::seconds(1),
            retries: 3,
            retry_delay: Span(Duration::from_millis(100)),
            replica_reads: true,
            failures_max: 5,
            failure_window: Span::seconds(1),
            trial_every: Span(Duration::from_millis(500)),
            probe_every: Span::seconds(1),
            heartbeat_every: Span::seconds(1),
            silence_max: Span::seconds(5),
            key_bytes_max: Size::kib(1),
            value_bytes_max: Size::mib(8),
            memory_bytes_max: Size::mib(64),
            counters_max: 100_000,
            leases_max: 10_000,
            channels_max: 64,
            channel_queue: 1_024,
            batch_keys: 256,
            repairs_max: 10_000,
        }
    }
}

impl Settings {
    /// Keys that may be on their way at a time; at least one.
    pub(crate) fn batch(&self) -> usize {
        self.batch_keys.max(1) as usize
    }
}
