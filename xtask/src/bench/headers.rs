//! The response headers that every peer is told to send: as many, of about as many bytes, as ours sends by itself.

/// Names and values.
pub(super) const HEADERS: [(&str, &str); 8] = [
    (
        "Content-Security-Policy",
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: https:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
    ),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains; preload"),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// One line per header.
pub(super) fn lines(line: impl Fn(&str, &str) -> String) -> String {
    HEADERS.iter().map(|(name, value)| line(name, value)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;

    use super::*;
    use crate::bench::nginx::Role;
    use crate::bench::tls::Pair;
    use crate::bench::{caddy, haproxy, nginx};

    #[test]
    fn every_peer_sends_all_of_them() {
        let (dir, nobody) = (Path::new("/d"), SocketAddr::from(([127, 0, 0, 1], 0)));
        let pair = Pair { cert: "/c".into(), key: "/k".into() };
        let peers = [
            nginx::config(dir, 0, &Role::Site),
            nginx::config(dir, 0, &Role::SiteOverTls(&pair)),
            nginx::config(dir, 0, &Role::Proxy(nobody)),
            haproxy::config(nobody, nobody),
            caddy::config(dir, 0, &pair),
        ];
        for config in peers {
            for (name, value) in HEADERS {
                assert!(config.contains(&format!("{name} \"{value}\"")), "{name} in {config}");
            }
        }
    }
}
