//! What a URL in a page means to a policy: this site's own path, another origin, or a scheme. Parsing is the URL standard's (crate `url`).

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

/// What a browser fetches a URL for; each has its own directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Scripts and modules.
    Script,
    /// Style sheets.
    Style,
    /// Images, icons, posters.
    Img,
    /// Fonts.
    Font,
    /// Audio, video, text tracks.
    Media,
    /// Frames.
    Frame,
    /// `fetch`, sockets, `ping`.
    Connect,
    /// Targets of forms.
    Form,
    /// Web app manifests.
    Manifest,
    /// The target of `<base href>`.
    Base,
}

/// An origin of another site, as a CSP host source. ASCII only: international names are in punycode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `https`, `http`, `wss`, `ws`; `None` for the page's own scheme (`//host/…`).
    scheme: Option<Box<str>>,
    /// `host` or `host:port`; never an IPv6 address, which CSP cannot name.
    authority: Box<str>,
}

impl Origin {
    /// Reads `https://host[:port]` (also http, wss, ws). `None` for anything with a path, query, user or wildcard.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare = url.path() == "/" || url.path().is_empty();
        let plain = bare && url.query().is_none() && url.fragment().is_none();
        if !plain || !url.username().is_empty() || url.password().is_some() || text.contains('*') {
            return None;
        }
        Self::of(&url)
    }

    /// The source expression on a page served over https (`true`) or plain http.
    ///
    /// Under https a page's `http:` URLs are upgraded before they are fetched, so the expression says https. On a plain
    /// page a bare host stands for the page's own scheme and everything safer (CSP3 section 6.7.2.8).
    #[must_use]
    pub fn expression(&self, https: bool) -> String {
        match (self.scheme.as_deref(), https) {
            (Some("http") | None, true) => format!("https://{}", self.authority),
            (Some("http") | None, false) => self.authority.to_string(),
            (Some("ws"), true) => format!("wss://{}", self.authority),
            (Some(scheme), _) => format!("{scheme}://{}", self.authority),
        }
    }

    fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "https" | "http" | "wss" | "ws") {
            return None;
        }
        let host = url.host_str().filter(|host| is_host_source(host))?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Some(Self { scheme: Some(url.scheme().into()), authority: authority.into() })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scheme {
            Some(scheme) => write!(f, "{scheme}://{}", self.authority),
            None => write!(f, "//{}", self.authority),
        }
    }
}

/// A source expression other than a hash or a keyword.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// `'self'`.
    Own,
    /// `data:`.
    Data,
    /// `blob:`.
    Blob,
    /// Another origin.
    Other(Origin),
}

impl Source {
    /// Reads a source of the settings: an origin (see [`Origin::parse`]), `data:` or `blob:`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "data:" => Some(Self::Data),
            "blob:" => Some(Self::Blob),
            _ => Origin::parse(text).map(Self::Other),
        }
    }

    /// The source expression; `https` as in [`Origin::expression`].
    #[must_use]
    pub fn expression(&self, https: bool) -> String {
        match self {
            Self::Own => "'self'".to_owned(),
            Self::Data => "data:".to_owned(),
            Self::Blob => "blob:".to_owned(),
            Self::Other(origin) => origin.expression(https),
        }
    }
}

/// Where a reference in a page leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A path of this site: absolute, percent-decoded, dot segments resolved, without query and fragment.
    Own(String),
    /// Another origin.
    Other(Origin),
    /// A `data:` URL.
    Data,
    /// A `blob:` URL.
    Blob,
    /// A `javascript:` URL, which no policy of ours allows.
    Javascript,
    /// Nothing a policy speaks about: `mailto:`, `about:`, a bare fragment, or no URL at all.
    Nothing,
}

impl Target {
    /// The source that allows it; `None` where there is nothing to allow.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Own(_) => Some(Source::Own),
            Self::Other(origin) => Some(Source::Other(origin.clone())),
            Self::Data => Some(Source::Data),
            Self::Blob => Some(Source::Blob),
            Self::Javascript | Self::Nothing => None,
        }
    }
}

/// What references of a page are relative to.
#[derive(Clone, Debug)]
pub struct Base {
    /// The base seen over plain http and over https: a reference whose result differs in scheme is scheme-relative.
    plain: Url,
    secure: Url,
    hosts: Vec<String>,
}

/// Stands for this site's host, which the files do not know. RFC 6761 keeps `.invalid` from ever being one.
const OWN_HOST: &str = "site.invalid";

impl Base {
    /// The base of the page or style sheet at the absolute URL path `path` (percent-encoded or not).
    ///
    /// `hosts` are the names under which the site is known to be reached (`example.com`, `example.com:8443`):
    /// absolute URLs of these are own paths.
    #[must_use]
    pub fn new(path: &str, hosts: &[String]) -> Option<Self> {
        let at = |scheme: &str| {
            let mut url = Url::parse(&format!("{scheme}://{OWN_HOST}/")).ok()?;
            url.set_path(path);
            Some(url)
        };
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Some(Self { plain: at("http")?, secure: at("https")?, hosts })
    }

    /// This base after `<base href>`; unchanged when `href` is no URL a base can be.
    #[must_use]
    pub fn joined(&self, href: &str) -> Self {
        match (self.plain.join(href), self.secure.join(href)) {
            (Ok(plain), Ok(secure)) if secure.has_host() => {
                Self { plain, secure, hosts: self.hosts.clone() }
            }
            _ => self.clone(),
        }
    }

    /// The own URL that `reference` leads to, without its origin: path, query and fragment as browsers serialise them,
    /// which is how they know a module. `None` where it leads elsewhere.
    #[must_use]
    pub fn address(&self, reference: &str) -> Option<String> {
        let url = self.secure.join(reference).ok().filter(|url| self.is_own(url))?;
        Some(url[url::Position::BeforePath..].to_owned())
    }

    /// Where `reference` (the attribute's value, character references decoded) leads.
    #[must_use]
    pub fn target(&self, reference: &str) -> Target {
        let (Ok(plain), Ok(secure)) = (self.plain.join(reference), self.secure.join(reference))
        else {
            return Target::Nothing;
        };
        match secure.scheme() {
            "data" => return Target::Data,
            "blob" => return Target::Blob,
            "javascript" => return Target::Javascript,
            _ => {}
        }
        if self.is_own(&secure) {
            return Target::Own(decoded_path(&secure));
        }
        let Some(mut origin) = Origin::of(&secure) else { return Target::Nothing };
        if plain.scheme() != secure.scheme() {
            origin.scheme = None;
        }
        Target::Other(origin)
    }

    fn is_own(&self, url: &Url) -> bool {
        let Some(host) = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) else {
            return false;
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        authority == OWN_HOST || self.hosts.contains(&authority)
    }
}

/// An encoded slash, backslash or NUL names no file of a folder: such a path stays as it is, and is looked up in vain.
fn decoded_path(url: &Url) -> String {
    let path = url.path();
    let lower = path.to_ascii_lowercase();
    if ["%2f", "%5c", "%00"].iter().any(|trick| lower.contains(trick)) {
        return path.to_owned();
    }
    percent_decode_str(path).decode_utf8().map_or_else(|_| path.to_owned(), Into::into)
}

/// Only what the grammar of a host source (CSP3 section 2.3.1) allows. The URL standard lets `;` and `,` pass in a
/// host, which would end the directive or the policy.
fn is_host_source(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests;
