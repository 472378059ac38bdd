//! What is counted of TLS. Decides nothing.

use mainstay_telemetry::metrics::{Counter, Gauge, Registry};
use mainstay_telemetry::names;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

/// Versions told apart: 1.2, 1.3.
const VERSIONS: [&str; 2] = ["1.2", "1.3"];
const KINDS: [&str; 2] = ["full", "resumed"];

#[derive(Clone, Debug)]
pub(super) struct Meters {
    /// By version, then kind.
    handshakes: [[Counter; 2]; 2],
    pub(super) expiry: Gauge,
    pub(super) reloaded: Counter,
    pub(super) reload_failed: Counter,
    pub(super) redirects: Counter,
}

impl Meters {
    pub(super) fn new(registry: &Registry) -> Self {
        let handshakes = registry.counter_family(&names::TLS_HANDSHAKES);
        let reloads = registry.counter_family(&names::TLS_RELOADS);
        Self {
            handshakes: VERSIONS.map(|version| KINDS.map(|kind| handshakes.with(&[version, kind]))),
            expiry: registry.gauge(&names::TLS_CERTIFICATE_EXPIRY),
            reloaded: reloads.with(&["done"]),
            reload_failed: reloads.with(&["failed"]),
            redirects: registry.counter(&names::HTTPS_REDIRECTS),
        }
    }

    /// Counts a completed handshake.
    pub(super) fn shook_hands(&self, session: &ServerConnection) {
        let newest = session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        self.handshakes[usize::from(newest)][usize::from(resumed)].inc();
    }
}
