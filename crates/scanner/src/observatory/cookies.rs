//! Cookies as a browser would keep them (RFC 6265, and the prefixes of its successor), and the flags they lack.

use http::header;
use url::Url;

use super::Seen;
use super::outcome::Outcome;

/// From best to worst: a worse one takes the place of a better one.
const WORSE: [Outcome; 7] = [
    Outcome::CookiesInsecureButHsts,
    Outcome::CookiesInsecure,
    Outcome::CookiesSessionInsecureButHsts,
    Outcome::CookiesSameSiteInvalid,
    Outcome::CookiesCsrfWithoutSameSite,
    Outcome::CookiesSessionReadable,
    Outcome::CookiesSessionInsecure,
];
/// Set by a load balancer whatever the site does.
const IGNORED: &str = "heroku-session-affinity";
/// Public suffixes that nobody can register, which tests and home networks use.
const SPECIAL: [&str; 5] = ["local", "example", "invalid", "localhost", "test"];

/// A cookie that was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Sent by https alone.
    pub is_secure: bool,
    /// Hidden from scripts.
    pub is_http_only: bool,
    /// `strict`, `lax` or `none`; none when it was said in no way that a browser knows.
    pub same_site: Option<String>,
    /// By `Max-Age`.
    is_over: bool,
    domain: Option<String>,
    path: Option<String>,
}

/// What is kept of the cookies that were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jar(Vec<(Cookie, String, String)>);

impl Jar {
    /// Keeps a cookie that this URL set, in the place of an older one of its name.
    pub fn keep(&mut self, header: &str, url: &Url) {
        let Some(cookie) = parse(header) else { return };
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let path = cookie.path.clone().unwrap_or_else(|| default_path(url.path()));
        let Some(domain) = accept(&cookie, &host, &path) else { return };
        let is_same = |(old, old_domain, old_path): &(Cookie, String, String)| {
            old.name == cookie.name && *old_domain == domain && *old_path == path
        };
        self.0.retain(|old| !is_same(old));
        self.0.push((cookie, domain, path));
    }

    /// What happens when this URL is asked: those that would go along and are over are forgotten. Until then they are kept.
    pub fn send(&mut self, url: &Url) {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        self.0.retain(|(cookie, domain, path)| {
            let goes = is_within(&host, domain)
                && url.path().strip_prefix(path.as_str()).is_some_and(|rest| {
                    rest.is_empty() || path.ends_with('/') || rest.starts_with('/')
                });
            !(goes && cookie.is_over)
        });
    }

    /// Those that are kept.
    pub fn cookies(&self) -> impl Iterator<Item = &Cookie> {
        self.0.iter().map(|(cookie, _, _)| cookie)
    }
}

impl Cookie {
    /// Whether it says who is signed in, by its name.
    #[must_use]
    pub fn is_session(&self) -> bool {
        let name = self.name.to_lowercase();
        name.contains("login") || name.contains("sess")
    }

    fn is_token(&self) -> bool {
        self.name.to_lowercase().contains("csrf")
    }
}

pub(super) fn judge(seen: &Seen, hsts: Outcome) -> Outcome {
    let has_hsts = hsts == Outcome::HstsLong;
    let mut result = None;
    let mut add = |outcome| result = worst(result, outcome);
    let set = seen.page.headers.get_all(header::SET_COOKIE).iter();
    let mut set = set.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if set.any(|header| has_invalid_same_site(&header)) {
        add(Outcome::CookiesSameSiteInvalid);
    }
    let cookies: Vec<_> = seen.jar.cookies().filter(|cookie| cookie.name != IGNORED).collect();
    if cookies.is_empty() {
        return Outcome::CookiesNone;
    }
    for cookie in &cookies {
        list_faults(cookie, has_hsts).into_iter().for_each(&mut add);
    }
    let lax = if cookies.iter().all(|cookie| cookie.same_site.is_some()) {
        Outcome::CookiesSameSite
    } else {
        Outcome::CookiesSecure
    };
    result.unwrap_or(lax)
}

fn list_faults(cookie: &Cookie, has_hsts: bool) -> Vec<Outcome> {
    let mut faults = Vec::new();
    let is_session = cookie.is_session();
    if !cookie.is_secure {
        if cookie.same_site.as_deref() == Some("none") {
            faults.push(Outcome::CookiesSameSiteInvalid);
        }
        faults.push(match (is_session, has_hsts) {
            (true, true) => Outcome::CookiesSessionInsecureButHsts,
            (true, false) => Outcome::CookiesSessionInsecure,
            (false, true) => Outcome::CookiesInsecureButHsts,
            (false, false) => Outcome::CookiesInsecure,
        });
    }
    if cookie.is_token() && cookie.same_site.is_none() {
        faults.push(Outcome::CookiesCsrfWithoutSameSite);
    }
    if is_session && !cookie.is_http_only {
        faults.push(Outcome::CookiesSessionReadable);
    }
    faults
}

fn worst(old: Option<Outcome>, new: Outcome) -> Option<Outcome> {
    let rank = |outcome: Outcome| WORSE.iter().position(|known| *known == outcome);
    match old {
        Some(old) if rank(new) <= rank(old) => Some(old),
        _ => Some(new),
    }
}

fn has_invalid_same_site(header: &str) -> bool {
    header.split(';').any(|part| {
        let mut words = part.trim().split('=');
        let name = words.next().unwrap_or_default().trim();
        let value = words.next().unwrap_or_default().trim().to_lowercase();
        name.eq_ignore_ascii_case("samesite")
            && !matches!(value.as_str(), "lax" | "strict" | "none")
    })
}

fn parse(header: &str) -> Option<Cookie> {
    let mut parts = header.trim().split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || format!("{name}{value}").chars().any(|c| c.is_ascii_control()) {
        return None;
    }
    let mut cookie = Cookie {
        name: name.to_owned(),
        is_secure: false,
        is_http_only: false,
        same_site: None,
        is_over: false,
        domain: None,
        path: None,
    };
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "secure" => cookie.is_secure = true,
            "httponly" => cookie.is_http_only = true,
            "max-age" => cookie.is_over = value.parse::<i64>().is_ok_and(|seconds| seconds <= 0),
            "path" => {
                cookie.path = Some(value.to_owned()).filter(|path| path.starts_with('/'));
            }
            "domain" => {
                let domain = value.strip_prefix('.').unwrap_or(value).to_ascii_lowercase();
                if !domain.is_empty() {
                    cookie.domain = Some(domain);
                }
            }
            "samesite" => {
                let value = value.to_ascii_lowercase();
                let known = matches!(value.as_str(), "strict" | "lax" | "none");
                cookie.same_site = known.then_some(value);
            }
            _ => {}
        }
    }
    Some(cookie)
}

/// The domain it is kept for; none when a browser keeps none of it.
fn accept(cookie: &Cookie, host: &str, path: &str) -> Option<String> {
    if cookie.name.starts_with("__Secure-") && !cookie.is_secure {
        return None;
    }
    let is_bound = cookie.is_secure && cookie.domain.is_none() && path == "/";
    if cookie.name.starts_with("__Host-") && !is_bound {
        return None;
    }
    let Some(domain) = &cookie.domain else { return Some(host.to_owned()) };
    (is_within(host, domain) && !is_public_suffix(domain)).then(|| domain.clone())
}

fn is_within(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn is_public_suffix(domain: &str) -> bool {
    if SPECIAL.contains(&domain) {
        return true;
    }
    psl::suffix(domain.as_bytes()).is_some_and(|suffix| suffix.as_bytes() == domain.as_bytes())
}

/// RFC 6265 §5.1.4.
fn default_path(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(at) => path.get(..at).unwrap_or("/").to_owned(),
    }
}
