//! Settings of the connections to the app behind us: patience, pool, checks and every bound. Nothing here connects.

use std::path::PathBuf;

use mainstay_base::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[upstream]`: how the app behind a site is asked. Certificates of https upstreams are always verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Time to connect, TLS handshake included.
    pub connect_timeout: Span,
    /// Time without progress until the head of the answer: counted from the request, or from the last piece of its body.
    pub answer_timeout: Span,
    /// Time without a byte of an answer's body after which it is broken off.
    pub body_timeout: Span,
    /// Time without a byte in either direction after which an upgraded connection (WebSocket) is closed.
    pub tunnel_timeout: Span,
    /// Time the upstream has to say `100 Continue` to a client that asks for it, before its body is sent anyway.
    pub continue_timeout: Span,
    /// Time an unused connection is kept; less where the upstream announces less (`Keep-Alive: timeout=`).
    pub pooled_timeout: Span,
    /// Unused connections kept per upstream by each worker.
    pub idle_per_worker: usize,
    /// Exchanges with one upstream at once, over all workers; further ones are answered 503. WebSockets do not count.
    pub in_flight_max: u32,
    /// Bytes of an answer's head; more is answered 502. At least 8KiB.
    pub head_bytes_max: Size,
    /// Host name the app is told. `auto`: the client's for http upstreams, the upstream's own for https ones.
    pub host_header: HostHeader,
    /// Path asked by checks; 2xx and 3xx are healthy. Without one, a check connects and no more.
    pub health_path: Option<String>,
    /// Time between two checks of an upstream.
    pub health_interval: Span,
    /// Time a check may take.
    pub health_timeout: Span,
    /// Failures in a row (of checks, or of requests) after which an upstream is no longer asked. Where all fail, those are
    /// asked on that take requests and leave some without an answer.
    pub fail_after: u32,
    /// Good checks in a row after which a failing upstream is asked again.
    pub recover_after: u32,
    /// Time over which a recovered upstream's share grows to the full one. "0s" = at once.
    pub slow_start: Span,
    /// PEM file of the authorities that may sign an https upstream's certificate. Without one, the system's.
    pub ca_file: Option<PathBuf>,
}

/// Which `Host` the app is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HostHeader {
    /// The client's for http upstreams, the upstream's own for https ones.
    #[default]
    Auto,
    /// What the client asked for.
    Client,
    /// The upstream's own host and port.
    Upstream,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Span::seconds(3),
            answer_timeout: Span::seconds(60),
            body_timeout: Span::seconds(60),
            tunnel_timeout: Span::seconds(600),
            continue_timeout: Span::seconds(1),
            pooled_timeout: Span::seconds(30),
            idle_per_worker: 64,
            in_flight_max: 1_024,
            head_bytes_max: Size::kib(64),
            host_header: HostHeader::Auto,
            health_path: None,
            health_interval: Span::seconds(5),
            health_timeout: Span::seconds(2),
            fail_after: 3,
            recover_after: 2,
            slow_start: Span::seconds(10),
            ca_file: None,
        }
    }
}
