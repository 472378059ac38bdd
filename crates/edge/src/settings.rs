//! Settings of the data plane: addresses, workers and every bound on what a client may make us hold.

use mainstay_base::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[edge]`: how requests come in and how much one client may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the public listener. Port 0 takes a free one.
    pub listen: String,
    /// Worker threads that carry connections. 0 = one per core.
    pub workers: usize,
    /// Path prefix of everything of ours on the public listener.
    pub prefix: String,
    /// Connections open at once, over all workers; further ones are closed at once and counted.
    pub connections_max: usize,
    /// Bytes of a request's head (request line and headers); more is answered 431. At least 8KiB.
    pub head_bytes_max: Size,
    /// Time a client has to send a complete request head.
    pub head_timeout: Span,
    /// Time a kept-alive connection may stay without a request.
    pub idle_timeout: Span,
    /// Time without a single byte accepted by the client after which a response is cut.
    pub write_timeout: Span,
    /// Time without progress after which a request in hand is cut.
    pub request_timeout: Span,
    /// Concurrent streams of one HTTP/2 connection.
    pub h2_streams_max: u32,
    /// Memory for file contents and their compressed variants, over all sites.
    pub cache_bytes_max: Size,
    /// Files up to this size are kept in memory; larger ones are streamed from disk.
    pub cache_file_max: Size,
    /// Distinct paths remembered per site, missing ones included.
    pub cache_paths_max: usize,
    /// How long a file is served without looking at the disk again.
    pub revalidate_after: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            workers: 0,
            prefix: "/_mainstay".into(),
            connections_max: 10_000,
            head_bytes_max: Size::kib(16),
            head_timeout: Span::seconds(10),
            idle_timeout: Span::seconds(60),
            write_timeout: Span::seconds(30),
            request_timeout: Span::seconds(60),
            h2_streams_max: 100,
            cache_bytes_max: Size::mib(128),
            cache_file_max: Size::mib(4),
            cache_paths_max: 20_000,
            revalidate_after: Span::seconds(1),
        }
    }
}
