//! Who is really asking: the client behind proxies we trust, from the connection and the headers they add. Pure; reads no socket.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::Scheme;

mod chain;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Most characters of a request id that a trusted proxy may give.
const REQUEST_ID_MAX: usize = 128;

/// `[trust]`: whose word about a client counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// Proxies in front of us, as addresses or CIDR ranges: their forwarded headers count, nobody else's.
    pub proxies: Vec<Network>,
    /// Header in which they tell the client. `auto`: X-Forwarded-For, or Forwarded where that is missing. Name the one
    /// your proxy sets if it passes the other on from clients.
    pub header: Told,
}

/// The header in which trusted proxies tell the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// `X-Forwarded-For`, or `Forwarded` where that is missing.
    #[default]
    Auto,
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The headers in which a trusted proxy told of a client. What it passes on in the other ones anybody may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// An address or a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// Not an address or a range.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not an address or a CIDR range such as 10.0.0.0/8")]
pub struct NetworkError(String);

/// Who is asking, as far as the connection and trusted proxies tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client's address: the right-most one in the chain that is no trusted proxy.
    pub address: IpAddr,
    /// Whether the client speaks TLS, to us or to a trusted proxy.
    pub https: bool,
    /// Host (and port) the client asked for.
    pub host: Option<Box<str>>,
    /// In which headers a trusted proxy told of the client; none where the connection is no trusted proxy's.
    pub told: Option<Dialect>,
    /// The request's id as a trusted proxy tells it, where it is one that logs can carry.
    pub request_id: Option<HeaderValue>,
}

/// What the connection itself tells.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// The other end of the connection.
    pub address: IpAddr,
    /// Whether the connection is TLS.
    pub scheme: Scheme,
    /// The request's `Host`, or `:authority`.
    pub host: Option<&'a str>,
}

impl Trust {
    /// Whether this address is a trusted proxy's.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxies.iter().any(|network| network.0.contains(&address))
    }
}

impl Client {
    /// Who is asking.
    #[must_use]
    pub fn find(peer: Peer<'_>, headers: &HeaderMap, trust: &Trust) -> Self {
        let address = peer.address.to_canonical();
        let own = Self {
            address,
            https: peer.scheme == Scheme::Https,
            host: peer.host.map(Into::into),
            told: None,
            request_id: None,
        };
        if !trust.contains(address) {
            return own;
        }
        let told = chain::find(address, headers, trust);
        Self {
            address: told.address,
            https: told.https.unwrap_or(own.https),
            host: told.host.filter(|host| is_host(host)).or(own.host),
            told: Some(told.dialect),
            request_id: kept_request_id(headers).cloned(),
        }
    }

    /// Whether the connection comes from a trusted proxy.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.told.is_some()
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

/// The first line counts: a proxy sends one.
fn kept_request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let is_safe = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b':');
    headers.get(&REQUEST_ID).filter(|value| {
        (1..=REQUEST_ID_MAX).contains(&value.len()) && value.as_bytes().iter().all(is_safe)
    })
}

fn is_host(text: &str) -> bool {
    !text.contains('@') && text.parse::<Authority>().is_ok()
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let fault = || NetworkError(text.to_owned());
        if text.contains('/') {
            let net: IpNet = text.parse().map_err(|_| fault())?;
            return Ok(Self(canonical(net.trunc())));
        }
        let address: IpAddr = text.parse().map_err(|_| fault())?;
        Ok(Self(address.to_canonical().into()))
    }
}

/// `::ffff:10.0.0.0/104` means the same addresses as `10.0.0.0/8`, and addresses are compared in their short form.
fn canonical(net: IpNet) -> IpNet {
    let bits = net.prefix_len();
    match net.addr().to_canonical() {
        IpAddr::V4(v4) if matches!(net, IpNet::V6(_)) && bits >= 96 => {
            ipnet::Ipv4Net::new(v4, bits - 96).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "An address or a CIDR range, such as 10.0.0.0/8." })
    }
}

#[cfg(test)]
mod tests;
