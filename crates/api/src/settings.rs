//! Settings of the private listener.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[admin]`: the private listener with console, reads, metrics and probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the private listener. Loopback only, as it speaks plain http. Port 0 takes a free one.
    pub listen: String,
    /// File whose trimmed text is accepted as a bearer token, for automation. Default: none.
    pub token_file: Option<PathBuf>,
    /// Further `Host` names the private listener answers to (a tunnel's or a private DNS name), without port.
    pub hosts: Vec<String>,
    /// Live streams open at once; further ones are answered 503.
    pub live_streams_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8081".into(),
            token_file: None,
            hosts: Vec::new(),
            live_streams_max: 200,
        }
    }
}
