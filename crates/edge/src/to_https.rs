//! Where a request that came by plain http is sent. Decides nothing but the address.

use http::{HeaderValue, Uri};

use crate::sites::{is_host, split_port};

/// The https address that stands for a plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToHttps {
    /// Where the request came in, TLS is spoken too.
    SamePort,
    /// On another port.
    Port(u16),
}

impl ToHttps {
    /// The same host and path by https. `None`: nobody could tell the host.
    pub(crate) fn location(self, host: &str, uri: &Uri) -> Option<HeaderValue> {
        if !is_host(host) {
            return None;
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path } else { "/" };
        let location = match self {
            // The client's word for the port stays: what is in front of us may map it.
            Self::SamePort => format!("https://{host}{path}"),
            Self::Port(443) => format!("https://{}{path}", split_port(host).0),
            Self::Port(port) => format!("https://{}:{port}{path}", split_port(host).0),
        };
        HeaderValue::from_str(&location).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_stay() {
        for (way, host, uri, location) in [
            (ToHttps::SamePort, "a.test:8443", "/x?y=1", Some("https://a.test:8443/x?y=1")),
            (ToHttps::SamePort, "a.test", "/", Some("https://a.test/")),
            (ToHttps::Port(443), "a.test:80", "/x", Some("https://a.test/x")),
            (ToHttps::Port(8443), "[::1]:80", "/x", Some("https://[::1]:8443/x")),
            (ToHttps::Port(443), "a.test", "*", Some("https://a.test/")),
            (ToHttps::Port(443), "a.test", "http://b.test/x", Some("https://a.test/x")),
            (ToHttps::Port(443), "a.test/evil", "/", None),
            (ToHttps::Port(443), "user@a.test", "/", None),
            (ToHttps::Port(443), "", "/", None),
        ] {
            let uri = uri.parse().expect("a target");
            let found = way.location(host, &uri);
            assert_eq!(found.as_ref().and_then(|l| l.to_str().ok()), location, "{host} {uri}");
        }
    }
}
