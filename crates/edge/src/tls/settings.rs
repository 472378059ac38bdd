//! Settings of TLS on the public listener. Reads no file.

use std::path::PathBuf;

use mainstay_base::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Files;

/// `[site.tls]`: the certificate of one site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OfSite {
    /// Certificate chain in PEM for the names in `hosts`, the server's own first. Not set: `tls.cert`. One is enough for
    /// the public listener to speak TLS, for all sites: one without a certificate is then shown another's.
    #[schemars(extend("examples" = ["/etc/ssl/example.org/fullchain.pem"]))]
    pub cert: Option<PathBuf>,
    /// Private key of `cert` in PEM.
    #[schemars(extend("examples" = ["/etc/ssl/example.org/privkey.pem"]))]
    pub key: Option<PathBuf>,
}

/// `[tls]`: HTTPS on the public listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Certificate chain in PEM, the server's own first. With it the public listener speaks TLS 1.2 and 1.3, and
    /// sends plain http to https on the same port. Sites may have their own (`[site.tls]`); this one is for all others
    /// and for clients that ask for no name. Not set: the first site's own.
    #[schemars(extend("examples" = ["/etc/ssl/example.org/fullchain.pem"]))]
    pub cert: Option<PathBuf>,
    /// Private key of `cert` in PEM (PKCS #8, PKCS #1 or SEC 1).
    #[schemars(extend("examples" = ["/etc/ssl/example.org/privkey.pem"]))]
    pub key: Option<PathBuf>,
    /// For development: a certificate of our own for the sites' names and localhost, kept in the data dir. Browsers
    /// warn about it once. Not together with `cert`, here or of a site.
    pub self_signed: bool,
    /// A second address that speaks plain http and only sends visitors to https.
    #[schemars(extend("examples" = ["0.0.0.0:80"]))]
    pub redirect_listen: Option<String>,
    /// Time a client has to complete the handshake.
    pub handshake_timeout: Span,
    /// How often the files are looked at; a changed pair is taken into use without a restart.
    pub reload_every: Span,
    /// Sessions remembered for clients of TLS 1.2 that know no tickets.
    pub sessions_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cert: None,
            key: None,
            self_signed: false,
            redirect_listen: None,
            handshake_timeout: Span::seconds(10),
            reload_every: Span::seconds(10),
            sessions_max: 4_096,
        }
    }
}

impl Settings {
    /// Whether the public listener speaks TLS whatever the sites say.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.cert.is_some() || self.self_signed
    }
}

impl OfSite {
    /// Both files, where the site has a certificate of its own.
    #[must_use]
    pub fn files(&self) -> Option<Files> {
        Some(Files { cert: self.cert.clone()?, key: self.key.clone()? })
    }
}
