//! What is known of one request before anything is decided about it. Plain data: edge fills it in, api reads it as a request extension.

use std::net::IpAddr;
use std::sync::Arc;

use mainstay_base::Timestamp;
use mainstay_base::agent::AgentClass;

/// What is known of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The client's full address, behind trusted proxies only. Truncate before it is stored or logged.
    pub client: IpAddr,
    /// The client's own connection used TLS (to us, or to a trusted proxy that says so).
    pub https: bool,
    /// The `Host` header or `:authority`, lower case, port kept; `None` when the request had none.
    pub host: Option<Arc<str>>,
    /// Name of the site that answers (`default` when only one is configured).
    pub site: Arc<str>,
    /// Whose page sent it.
    pub origin: Origin,
    /// Kind of client, from its user agent.
    pub agent: AgentClass,
    /// Id of this request, as in `X-Request-Id`.
    pub request_id: u128,
    /// When the request's head was complete.
    pub received: Timestamp,
}

/// Whose page a request says it was sent from, by its `Origin` header (RFC 6454, section 7). Browsers cannot be made to
/// lie here by a page; anything else can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It does not say: no browser's POST, or an old one's.
    Unsaid,
    /// A page under a name of this site, or of an origin that CORS allows.
    Ours,
    /// Somebody else's page.
    Foreign,
}
