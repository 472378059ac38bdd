//! Whether a URL and the addresses it leads to may be asked: pure. Opens nothing, resolves nothing.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use http::uri::PathAndQuery;
use mainstay_base::net::{Class, class};
use url::{Host, Url};

use super::error::{Error, Rule};
use super::policy::{Origin, Policy};

/// Names that every network gives to hosts of its own (RFC 6761, RFC 6762, RFC 8375, and ICANN's `.internal`).
const LOCAL: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "localdomain"];
/// Addresses of one name that are tried; whatever more it has is checked all the same.
const TRIED_MAX: usize = 4;

/// Where a request goes, after its URL was checked.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) place: Place,
    pub(super) port: u16,
    /// Path and query, as they are sent.
    pub(super) path: PathAndQuery,
    /// What stands in `Host`: the port only where it is not the scheme's own.
    pub(super) host: HeaderValue,
}

/// What stands where a URL has its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In lower case, without the dot at its end.
    Name(String),
    Address(IpAddr),
}

/// A URL as browsers read it: every notation of an IPv4 address is that address afterwards.
pub(super) fn parse(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|_| refuse(Rule::Url))
}

impl Target {
    pub(super) fn of(policy: &Policy, mut url: Url) -> Result<Self, Error> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(Rule::Scheme));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(Rule::UserInfo));
        }
        url.set_fragment(None);
        let place = match url.host() {
            Some(Host::Ipv4(address)) => Place::Address(address.into()),
            Some(Host::Ipv6(address)) => Place::Address(address.into()),
            Some(Host::Domain(name)) => Place::Name(name.strip_suffix('.').unwrap_or(name).into()),
            None => return Err(refuse(Rule::Url)),
        };
        let port = url.port_or_known_default().ok_or(refuse(Rule::Port))?;
        match policy {
            Policy::Ours(origins) => {
                if !Origin::of(&url).is_some_and(|origin| origins.contains(&origin)) {
                    return Err(refuse(Rule::NotOurs));
                }
            }
            Policy::Stranger { ports } => {
                if !ports.contains(&port) {
                    return Err(refuse(Rule::Port));
                }
                match &place {
                    Place::Name(name) if is_local(name) => return Err(refuse(Rule::LocalName)),
                    Place::Name(_) => {}
                    Place::Address(address) => judge(*address)?,
                }
            }
        }
        let path = path(&url).ok_or(refuse(Rule::Url))?;
        let host = host(&url, &place).ok_or(refuse(Rule::Url))?;
        Ok(Self { url, place, port, path, host })
    }
}

fn path(url: &Url) -> Option<PathAndQuery> {
    let path = url.path();
    let text = url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    text.parse().ok()
}

fn host(url: &Url, place: &Place) -> Option<HeaderValue> {
    let host = match place {
        Place::Name(name) => name.clone(),
        Place::Address(IpAddr::V4(address)) => address.to_string(),
        Place::Address(IpAddr::V6(address)) => format!("[{address}]"),
    };
    let text = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    HeaderValue::from_str(&text).ok()
}

/// Where to connect: all of a name's addresses may be asked, or none is. One that may not says what the others are worth.
pub(super) fn addresses(
    policy: &Policy,
    target: &Target,
    found: Vec<IpAddr>,
) -> Result<Vec<SocketAddr>, Error> {
    if let Policy::Stranger { .. } = policy {
        found.iter().try_for_each(|address| judge(*address))?;
    }
    if found.is_empty() {
        return Err(refuse(Rule::NoAddress));
    }
    let port = target.port;
    Ok(found.into_iter().take(TRIED_MAX).map(|ip| SocketAddr::new(ip, port)).collect())
}

fn refuse(rule: Rule) -> Error {
    Error::Refused(rule)
}

fn judge(address: IpAddr) -> Result<(), Error> {
    match class(address) {
        Class::Public => Ok(()),
        class => Err(refuse(Rule::Address(class))),
    }
}

fn is_local(name: &str) -> bool {
    let below = |zone: &str| {
        name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !name.contains('.') || LOCAL.iter().any(|zone| below(zone))
}
