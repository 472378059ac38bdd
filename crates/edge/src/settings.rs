//! Settings of the data plane: addresses, workers and every bound on what a client may make us hold.

use std::time::Duration;

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
    /// Further paths that take browsers' reports (POST only), for policies that name them.
    pub report_paths: Vec<String>,
    /// Connections open at once, over all workers; further ones are closed at once and counted.
    pub connections_max: usize,
    /// Connections of one address open at once (of one /64 with IPv6). Addresses of this machine and of trusted proxies
    /// are not counted.
    pub connections_per_address_max: usize,
    /// Bytes of a request's head (request line and headers); more is answered 431. At least 8KiB.
    pub head_bytes_max: Size,
    /// Time a client has to send a complete request head.
    pub head_timeout: Span,
    /// Time a kept-alive connection may stay without a request.
    pub idle_timeout: Span,
    /// Time without a request after which a kept-alive HTTP/1.1 connection lets go of its buffers.
    pub park_after: Span,
    /// Time a client may lag behind `write_rate_min` while it is sent a response; then that response is cut.
    pub write_timeout: Span,
    /// Bytes of a response that a client has to take per second on average. "0B" = any byte will do.
    pub write_rate_min: Size,
    /// Time a client may lag behind `body_rate_min` while its request body is waited for; then that request is cut.
    pub body_timeout: Span,
    /// Bytes of a request body that a client has to send per second on average. "0B" = any byte will do.
    pub body_rate_min: Size,
    /// Time without progress after which a request in hand is cut. An app's time is `upstream.answer_timeout`.
    pub request_timeout: Span,
    /// Concurrent streams of one HTTP/2 connection.
    pub h2_streams_max: u32,
    /// Memory for file contents and their compressed variants, over all sites.
    pub cache_bytes_max: Size,
    /// Files up to this size are kept in memory; larger ones are streamed from disk.
    pub cache_file_max: Size,
    /// Threads per worker that read and compress files.
    pub file_threads_max: usize,
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
            report_paths: vec!["/api/security/csp-report".into()],
            connections_max: 10_000,
            connections_per_address_max: 256,
            head_bytes_max: Size::kib(16),
            head_timeout: Span::seconds(10),
            idle_timeout: Span::seconds(60),
            park_after: Span(Duration::from_millis(500)),
            write_timeout: Span::seconds(30),
            write_rate_min: Size::kib(1),
            body_timeout: Span::seconds(30),
            body_rate_min: Size(512),
            request_timeout: Span::seconds(90),
            h2_streams_max: 100,
            cache_bytes_max: Size::mib(128),
            cache_file_max: Size::mib(4),
            file_threads_max: 16,
            cache_paths_max: 20_000,
            revalidate_after: Span::seconds(1),
        }
    }
}
