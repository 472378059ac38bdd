//! What is counted of TLS. Decides nothing.

use std::sync::Arc;

use mainstay_base::Timestamp;
use mainstay_telemetry::metrics::{Counter, CounterFamily, Registry};
use mainstay_telemetry::names;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

/// Versions told apart: 1.2, 1.3.
const VERSIONS: [&str; 2] = ["1.2", "1.3"];
const KINDS: [&str; 2] = ["full", "resumed"];

#[derive(Clone, Debug)]
pub(super) struct Meters {
    /// By version, then kind.
    handshakes: [[Counter; 2]; 2],
    reloads: CounterFamily,
    pub(super) redirects: Counter,
    registry: Registry,
}

impl Meters {
    pub(super) fn new(registry: &Registry) -> Self {
        let handshakes = registry.counter_family(&names::TLS_HANDSHAKES);
        Self {
            handshakes: VERSIONS.map(|version| KINDS.map(|kind| handshakes.with(&[version, kind]))),
            reloads: registry.counter_family(&names::TLS_RELOADS),
            redirects: registry.counter(&names::HTTPS_REDIRECTS),
            registry: registry.clone(),
        }
    }

    /// Counts a completed handshake.
    pub(super) fn shook_hands(&self, session: &ServerConnection) {
        let newest = session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        self.handshakes[usize::from(newest)][usize::from(resumed)].inc();
    }

    /// Changed files of a site's pair (of that of `[tls]` where it is empty), by whether they were taken into use.
    pub(super) fn reloads(&self, site: &str) -> [Counter; 2] {
        ["done", "failed"].map(|outcome| self.reloads.with(&[outcome, site]))
    }

    /// Tells when a site's certificate ends, for as long as what is returned is kept; 0 where it does not say so in a way
    /// we can read.
    pub(super) fn tell(&self, site: &str, until: Option<Timestamp>) -> Arc<f64> {
        let told = Arc::new(until.map_or(0.0, |until| until.as_seconds() as f64));
        let read = Arc::downgrade(&told);
        let read = move || read.upgrade().map_or(f64::NAN, |until| *until);
        self.registry.gauge_fn(&names::TLS_CERTIFICATE_EXPIRY, &[site], read);
        told
    }
}
