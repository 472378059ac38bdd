//! The sites, and which of them answers for a host name. Opens them together; answers nothing but the refusal of a stranger's name.

use std::borrow::Cow;
use std::sync::Arc;

use mainstay_telemetry::http::{Refusal, Route};
use mainstay_upstream::Leaving;
use rustc_hash::FxHashMap;

use crate::files::UNMATCHED_ROUTE;
use crate::phases::{Answer, Asking};
use crate::site::{OpenError, Opening, Plan, Site};

/// Copies of apps that are left out, each with the name of its site.
pub(crate) type LeftOut = Vec<(Arc<str>, Leaving)>;

/// All sites, as they are served together.
pub(crate) struct Sites {
    by_host: ByHost<Site>,
    /// Pages for requests that reach no site, in the manner of the first.
    first: Arc<Site>,
    /// Route of those requests: they count for no site.
    unmatched: Arc<Route>,
}

impl Sites {
    /// Opens the sites; one whose plan did not change stays as it is, with all it remembers.
    pub(crate) fn open(
        plans: Vec<Plan>,
        before: Option<&Self>,
        with: &Opening<'_>,
    ) -> Result<Self, OpenError> {
        let mut by_host = ByHost::default();
        let mut first = None;
        for plan in plans {
            let named = |site: &&Arc<Site>| site.plan.name == plan.name;
            let before = before.and_then(|sites| sites.iter().find(named));
            let hosts = plan.hosts.clone();
            let site = match before {
                Some(site) if site.plan == plan && site.is_current() => Arc::clone(site),
                before => Arc::new(Site::open(plan, before.map(Arc::as_ref), with)?),
            };
            first.get_or_insert_with(|| Arc::clone(&site));
            by_host.add(&hosts, site);
        }
        let unmatched = with.http.nobody().resolve(UNMATCHED_ROUTE);
        Ok(Self { by_host, first: first.ok_or(OpenError::NoSite)?, unmatched })
    }

    /// Others are in force: lets go of what is not among them. Requests in hand end as they began; copies of apps that are
    /// left with them are returned, each with its site's name.
    pub(crate) fn give_way_to(&self, others: &Self) -> LeftOut {
        let stays = |site: &&Arc<Site>| others.iter().any(|other| Arc::ptr_eq(other, site));
        let gone = self.iter().filter(|site| !stays(site));
        let left = gone.filter_map(|site| {
            let next = others.iter().find(|other| other.name() == site.name());
            let next = next.and_then(|next| next.app()).map(|app| &app.upstreams);
            let leaving = site.app()?.upstreams.give_way_to(next);
            Some(leaving.into_iter().map(|copy| (Arc::clone(site.name()), copy)))
        });
        left.flatten().collect()
    }

    /// The site that answers for a host.
    pub(crate) fn find(&self, host: Option<&str>) -> Result<&Arc<Site>, Refusal> {
        self.by_host.find(host).ok_or(Refusal::Host)
    }

    /// The answer to a request that reaches no site.
    pub(crate) fn refuse(&self, refusal: Refusal, asking: &Asking) -> Answer {
        let page = match refusal {
            Refusal::Host => &self.first.pages.no_such_site,
            Refusal::Misdirected => &self.first.pages.misdirected,
            _ => &self.first.pages.bad_request,
        };
        Answer { route: Arc::clone(&self.unmatched), ..self.first.page(page, asking) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.by_host.iter()
    }
}

/// One thing per host name, with wildcards and at most one that answers for every other name.
#[derive(Debug)]
pub struct ByHost<T> {
    exact: FxHashMap<Box<str>, Arc<T>>,
    /// Suffixes with their dot, the longest first.
    below: Vec<(Box<str>, Arc<T>)>,
    any: Option<Arc<T>>,
    all: Vec<Arc<T>>,
}

impl<T> Default for ByHost<T> {
    fn default() -> Self {
        Self { exact: FxHashMap::default(), below: Vec::new(), any: None, all: Vec::new() }
    }
}

impl<T> ByHost<T> {
    /// Names as in the settings: `example.org`, `example.org:8443`, `*.example.org`; none = every other name. A name
    /// that is taken stays with whom it was given to first.
    pub fn add(&mut self, names: &[String], one: Arc<T>) {
        for name in names {
            let name = name.to_ascii_lowercase();
            match name.strip_prefix('*') {
                Some(suffix) => self.below.push((suffix.into(), Arc::clone(&one))),
                None => drop(self.exact.entry(name.into()).or_insert_with(|| Arc::clone(&one))),
            }
        }
        self.below.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        if names.is_empty() && self.any.is_none() {
            self.any = Some(Arc::clone(&one));
        }
        self.all.push(one);
    }

    /// Who answers for a `Host` header's text. `None` as `host`: the request named none (HTTP/1.0).
    #[must_use]
    pub fn find(&self, host: Option<&str>) -> Option<&Arc<T>> {
        let Some(host) = host.filter(|_| !self.exact.is_empty() || !self.below.is_empty()) else {
            return self.any.as_ref();
        };
        let host = lower(host);
        let (name, _) = split_port(&host);
        let exact = self.exact.get(&*host).or_else(|| self.exact.get(name));
        exact.or_else(|| self.find_below(name)).or(self.any.as_ref())
    }

    /// Everyone, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.all.iter()
    }

    fn find_below(&self, name: &str) -> Option<&Arc<T>> {
        // The dot itself is no name: `*.example.org` does not mean `.example.org`.
        let fits = |suffix: &str| name.len() > suffix.len() && name.ends_with(suffix);
        self.below.iter().find(|(suffix, _)| fits(suffix)).map(|(_, one)| one)
    }
}

/// A host name without the dot that makes it absolute, and its port with the colon, empty where there is none; brackets
/// of IPv6 stay.
#[must_use]
pub fn split_port(host: &str) -> (&str, &str) {
    let at = host.rfind(':').filter(|at| host[at + 1..].bytes().all(|b| b.is_ascii_digit()));
    let (name, port) = host.split_at(at.unwrap_or(host.len()));
    (name.strip_suffix('.').unwrap_or(name), port)
}

/// Whether a text can be a host and an optional port (RFC 3986 §3.2.2 without user information and percent-encoding,
/// which no client sends in `Host`).
#[must_use]
pub fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (None, rest),
            _ => return false,
        },
        None => {
            let at = text.bytes().position(|b| b == b':').unwrap_or(text.len());
            let (name, port) = text.split_at(at);
            (Some(name), port)
        }
    };
    // `-._~!$&'()*+,;=`, as ranges: this is asked of every byte of every request's host.
    let plain = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=')
    };
    name.is_none_or(|name| !name.is_empty() && name.bytes().all(plain))
        && (port.is_empty()
            || port.strip_prefix(':').is_some_and(|p| p.is_empty() || p.parse::<u16>().is_ok()))
}

/// In lower case.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&t| t.to_owned()).collect()
    }

    fn three() -> ByHost<&'static str> {
        let mut sites = ByHost::default();
        sites
            .add(&names(&["Example.org", "www.example.org", "example.org:8443"]), Arc::new("main"));
        sites.add(&names(&["*.example.org", "other.test"]), Arc::new("wild"));
        sites.add(&names(&["*.deep.example.org", "example.org:9000"]), Arc::new("deep"));
        sites
    }

    #[test]
    fn names_are_matched_whole_and_without_regard_to_case_port_and_final_dot() {
        let sites = three();
        for (host, site) in [
            ("example.org", Some("main")),
            ("EXAMPLE.org", Some("main")),
            ("example.org:80", Some("main")),
            ("example.org.", Some("main")),
            ("example.org.:443", Some("main")),
            ("example.org:9000", Some("deep")),
            ("a.example.org", Some("wild")),
            ("a.b.example.org", Some("wild")),
            ("a.deep.example.org", Some("deep")),
            ("deep.example.org", Some("wild")),
            ("other.test", Some("wild")),
            (".example.org", None),
            ("evilexample.org", None),
            ("example.org.evil.test", None),
            ("127.0.0.1", None),
            ("[::1]:80", None),
            ("", None),
        ] {
            assert_eq!(sites.find(Some(host)).map(|s| **s), site, "{host}");
        }
        assert_eq!(sites.find(None), None);
        assert_eq!(sites.iter().count(), 3);
    }

    #[test]
    fn a_site_without_names_answers_for_every_other_name() {
        let mut sites = three();
        sites.add(&[], Arc::new("rest"));
        for host in [Some("unknown.test"), Some(""), None] {
            assert_eq!(sites.find(host).map(|s| **s), Some("rest"), "{host:?}");
        }
        assert_eq!(sites.find(Some("example.org")).map(|s| **s), Some("main"));
    }

    #[test]
    fn what_cannot_be_a_host_is_known() {
        for host in [
            "example.org",
            "example.org:80",
            "example.org:",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "a_b.test",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "a b",
            "a/b",
            "user@host",
            "a:b",
            "a:99999",
            "[::1",
            "::1",
            "a\\b",
            "a?b",
            "[zz]",
            "[::1]x",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }
}
