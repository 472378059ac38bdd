//! What a scan may cost. Only numbers and defaults.

use mainstay_base::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a scan of one's own site may cost (`mainstay scan`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Pages that are asked for, the front page included. Default 20.
    #[schemars(range(min = 1))]
    pub pages_max: usize,
    /// Requests in all. Default 200.
    #[schemars(range(min = 1))]
    pub requests_max: usize,
    /// Requests in a second. Default 20.
    #[schemars(range(min = 1))]
    pub requests_per_second: u32,
    /// Bytes of one answer; of what is longer the beginning is looked at. Default `4MiB`.
    pub body_bytes_max: Size,
    /// How long one answer may take, connecting included. Default `10s`.
    pub request_timeout: Span,
    /// How long all of it may take; a scan that did not get to its end says so. Default `2m`.
    pub total_timeout: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pages_max: 20,
            requests_max: 200,
            requests_per_second: 20,
            body_bytes_max: Size::mib(4),
            request_timeout: Span::seconds(10),
            total_timeout: Span::seconds(120),
        }
    }
}
