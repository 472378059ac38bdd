//! Settings of logs and metrics. Never reads a file or the environment; the binary fills these in.

use mainstay_base::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that can be set about logs and metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Event log on standard error, and the access log.
    pub log: Log,
    /// The metrics registry.
    pub metrics: Metrics,
}

/// The event log on standard error, and the access log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Least severe level that is written: `error`, `warn`, `info`, `debug` or `trace`. Default `info`.
    pub level: Level,
    /// Shape of the event log: `auto` (text on a terminal, JSON lines elsewhere), `text` or `json`. Default `auto`.
    pub format: Format,
    /// Where the access log goes: `file` (`logs/access.log` under the data directory), `stdout` or `off`. Default `file`.
    pub access: Access,
    /// Size at which the access log file is rotated. Default `64MiB`.
    pub access_rotate: Size,
    /// Rotated access log files kept beside the current one. Default 5.
    pub access_keep: u32,
    /// Lines gathered by one worker before they are handed to the writer. Default `64KiB`.
    pub access_buffer: Size,
    /// Longest time a line waits in a worker's buffer. Default `1s`.
    pub access_flush: Span,
    /// Full buffers that may wait for the disk; further ones are dropped and counted. Default 64.
    pub access_queue: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: Format::Auto,
            access: Access::File,
            access_rotate: Size::mib(64),
            access_keep: 5,
            access_buffer: Size::kib(64),
            access_flush: Span::seconds(1),
            access_queue: 64,
        }
    }
}

/// The metrics registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Also export metrics whose conventional name we corrected under the name first published (`active_users_total`). Default false.
    pub roadmap_names: bool,
    /// Most series of one metric, as Prometheus counts them (a histogram with 9 buckets is 12). What does not fit is counted under `other`. Default 3000.
    pub max_series: usize,
    /// Most routes told apart; requests of further ones are counted under `{other}`. Default 200.
    pub max_routes: usize,
    /// Most sites told apart in traffic and latency, names that a reload took away included; requests of further ones
    /// are counted together. Default 100.
    pub max_sites: usize,
    /// Most metrics that the app may name by `POST /_mainstay/record`; further ones are left out. Default 50.
    pub app_names_max: usize,
    /// Most label combinations of one of them, and of the sign-ups, the revenue and the API usage it records; further ones
    /// are counted under `other`, those of gauges and revenue are left out. Default 50.
    pub app_series_max: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            roadmap_names: false,
            max_series: 3_000,
            max_routes: 200,
            max_sites: 100,
            app_names_max: 50,
            app_series_max: 50,
        }
    }
}

/// How much the event log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something failed and a person should look.
    Error,
    /// Something is off, and we carry on.
    Warn,
    /// Milestones: started, stopped, changed.
    Info,
    /// What a developer of ours wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// The shape of the event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text on a terminal, JSON lines elsewhere.
    Auto,
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where the access log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// `logs/access.log` under the data directory.
    File,
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
}
