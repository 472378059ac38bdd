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
    /// Kind of client, from its user agent.
    pub agent: AgentClass,
    /// Id of this request, as in `X-Request-Id`.
    pub request_id: u128,
    /// When the request's head was complete.
    pub received: Timestamp,
}
