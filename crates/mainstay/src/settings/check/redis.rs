//! Whether the servers of shared state can be addresses. Connects to nobody.

use super::Check;
use crate::settings::place::KeyPath;

impl Check<'_> {
    pub(super) fn redis(&mut self) {
        let redis = &self.settings.redis;
        for node in &redis.nodes {
            let port = node.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
            if !matches!(port, Some((host, Ok(1..))) if !host.is_empty()) {
                let message = format!("must be \"host:port\", not {node:?}");
                self.complain(&KeyPath::dotted("redis.nodes"), message);
            }
        }
        if redis.ca_file.is_some() && !redis.tls {
            let message = "needs redis.tls = true: without it nothing is encrypted, and nobody's certificate is looked at";
            self.complain(&KeyPath::dotted("redis.ca_file"), message);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || ['-', '_'].contains(&c);
        if redis.namespace.is_empty() || !redis.namespace.chars().all(plain) {
            let message = "must be letters, digits, - and _, at least one";
            self.complain(&KeyPath::dotted("redis.namespace"), message);
        }
    }
}
