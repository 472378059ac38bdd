//! Who may be asked. Says so only; what follows is decided in `check`.

use std::sync::Arc;

use url::Url;

/// Ports of the web, which strangers may name.
const WEB: [u16; 2] = [80, 443];

/// Who may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// These origins and no others: our own, which may be on private addresses.
    Ours(Arc<[Origin]>),
    /// Whoever somebody's URL names, on public addresses only.
    Stranger {
        /// Ports that may be named.
        ports: Arc<[u16]>,
    },
}

/// Scheme, host and port as a URL's origin (RFC 6454): compared, never resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Policy {
    /// These origins.
    #[must_use]
    pub fn ours(origins: impl IntoIterator<Item = Origin>) -> Self {
        Self::Ours(origins.into_iter().collect())
    }

    /// A stranger's URL, on the ports of the web.
    #[must_use]
    pub fn stranger() -> Self {
        Self::Stranger { ports: WEB.into() }
    }
}

impl Origin {
    /// The origin of a URL of the web; none of any other.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let scheme = url.scheme();
        let host = url.host_str()?;
        let host = host.strip_suffix('.').unwrap_or(host);
        let port = url.port_or_known_default()?;
        matches!(scheme, "http" | "https").then(|| Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port,
        })
    }
}
