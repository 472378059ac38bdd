//! The address of an upstream as people write it: `http://127.0.0.1:3000`. Never resolves a name.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS, verified.
    Https,
}

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    scheme: Scheme,
    host: Box<str>,
    port: u16,
    authority: Box<str>,
}

/// Why a text names no upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL.
    #[error("is not a URL such as http://127.0.0.1:3000")]
    NoUrl,
    /// Another scheme.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// A user or password in it.
    #[error("must not carry a user or password")]
    UserInfo,
    /// A path or query.
    #[error("must end after the port: paths are passed on as they come")]
    Path,
}

impl Target {
    /// Reads `http://host:port` or `https://host:port`; the port may be left out.
    ///
    /// # Errors
    /// [`TargetError`], a sentence that completes "The upstream …".
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let rest = text.split_once("://").ok_or(TargetError::NoUrl)?.1;
        // `Uri` drops a fragment without a word.
        if rest.contains(['?', '#']) {
            return Err(TargetError::Path);
        }
        let uri: Uri = text.parse().map_err(|_| TargetError::NoUrl)?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(TargetError::Scheme),
        };
        let authority = uri.authority().ok_or(TargetError::NoUrl)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::UserInfo);
        }
        if !matches!(uri.path(), "" | "/") {
            return Err(TargetError::Path);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let after_host = authority.as_str().strip_prefix(authority.host());
        let is_port = |rest: &str| rest.is_empty() || authority.port_u16().is_some_and(|p| p > 0);
        if host.is_empty() || !after_host.is_some_and(is_port) {
            return Err(TargetError::NoUrl);
        }
        let port = authority.port_u16().unwrap_or(scheme.default_port());
        let authority = authority.as_str().to_ascii_lowercase().into();
        Ok(Self { scheme, host: host.to_ascii_lowercase().into(), port, authority })
    }

    /// How it is spoken to.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or address, without brackets. Over TLS this is the name asked for and verified.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own when none was written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as written, in lower case: the upstream's own `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_read_as_people_write_them() {
        for (text, host, port, authority) in [
            ("http://127.0.0.1:3000", "127.0.0.1", 3000, "127.0.0.1:3000"),
            ("http://127.0.0.1:3000/", "127.0.0.1", 3000, "127.0.0.1:3000"),
            ("https://App.Example", "app.example", 443, "app.example"),
            ("https://app.example:8443", "app.example", 8443, "app.example:8443"),
            ("http://app", "app", 80, "app"),
            ("http://[::1]:3000", "::1", 3000, "[::1]:3000"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.host(), target.port()), (host, port), "{text}");
            assert_eq!(target.authority(), authority, "{text}");
            assert_eq!(Target::parse(&target.to_string()), Ok(target), "{text}");
        }
    }

    #[test]
    fn what_is_no_upstream_is_refused() {
        use TargetError::{NoUrl, Path, Scheme, UserInfo};
        for (text, why) in [
            ("", NoUrl),
            ("127.0.0.1:3000", NoUrl),
            ("http://", NoUrl),
            ("http://:3000", NoUrl),
            ("http://app:port", NoUrl),
            ("http://app:99999", NoUrl),
            ("http://app:0", NoUrl),
            ("http://app:", NoUrl),
            ("ftp://app", Scheme),
            ("unix:///run/app.sock", NoUrl),
            ("http://user:secret@app", UserInfo),
            ("http://app/path", Path),
            ("http://app?x=1", Path),
            ("http://app#x", Path),
        ] {
            assert_eq!(Target::parse(text), Err(why), "{text}");
        }
    }
}
