//! Label values for metrics, from closed sets or a bounded one; never a raw path, host or text of a browser.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

/// What a page is called once the metrics hold as many pages as they may.
pub(crate) const OTHER: &str = "other";
/// Bytes of a page's name in a metric.
const PAGE_BYTES_MAX: usize = 100;

/// The pages named in metrics, at most a fixed number: the most viewed ones of the past, then the first ones seen. A
/// page that has a name keeps it, because a counter must never go back.
#[derive(Debug)]
pub(crate) struct Pages {
    known: FxHashSet<Box<str>>,
    pages_max: usize,
}

impl Pages {
    pub(crate) fn new(pages_max: usize) -> Self {
        Self { known: FxHashSet::default(), pages_max }
    }

    /// The label of a path: its template, or `other`.
    pub(crate) fn label<'a>(&mut self, path: &'a str) -> Cow<'a, str> {
        // What is known is a template already.
        if self.known.contains(path) {
            return Cow::Borrowed(path);
        }
        let template = template(path);
        if self.known.contains(&*template) {
            return template;
        }
        if self.known.len() >= self.pages_max {
            return Cow::Borrowed(OTHER);
        }
        self.known.insert(template.as_ref().into());
        template
    }
}

/// The path with segments that look like ids replaced: `/orders/8731` as `/orders/{id}`.
pub(crate) fn template(path: &str) -> Cow<'_, str> {
    let path = crate::scrub::shorten(path, PAGE_BYTES_MAX);
    if !path.split('/').any(is_id) {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

/// Numbers, dates, hashes and UUIDs; long mixtures of letters and digits; percent-encoded text.
fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let bare = segment.bytes().filter(|b| !matches!(b, b'-' | b'_' | b'.')).count();
    segment.len() > 40
        || segment.contains('%')
        || (digits > 0 && digits == bare)
        || (segment.len() >= 8 && digits >= 2 && digits * 5 >= segment.len())
}

/// Where a page view came from, in the words of `page_views_total{referrer_type}`.
pub(crate) fn referrer_type(host: Option<&str>, is_internal: bool) -> &'static str {
    let Some(host) = host else { return if is_internal { "internal" } else { "direct" } };
    if host.split('.').any(|label| SEARCH.contains(&label)) {
        return "search";
    }
    let mut sites = std::iter::successors(Some(host), |site| Some(site.split_once('.')?.1));
    if sites.any(|site| SOCIAL.contains(&site)) { "social" } else { "external" }
}

/// Search engines by a label of their host, because they answer under many top-level domains.
const SEARCH: [&str; 16] = [
    "google",
    "bing",
    "duckduckgo",
    "yahoo",
    "yandex",
    "baidu",
    "ecosia",
    "qwant",
    "startpage",
    "brave",
    "kagi",
    "seznam",
    "naver",
    "sogou",
    "mojeek",
    "swisscows",
];

/// Social networks by their host.
const SOCIAL: [&str; 24] = [
    "facebook.com",
    "instagram.com",
    "threads.net",
    "threads.com",
    "x.com",
    "twitter.com",
    "t.co",
    "linkedin.com",
    "lnkd.in",
    "reddit.com",
    "pinterest.com",
    "youtube.com",
    "youtu.be",
    "tiktok.com",
    "bsky.app",
    "mastodon.social",
    "news.ycombinator.com",
    "lobste.rs",
    "vk.com",
    "weibo.com",
    "tumblr.com",
    "discord.com",
    "telegram.org",
    "whatsapp.com",
];

/// Error types that JavaScript and the DOM define (ECMA-262 §20.5, Web IDL §2.8); any other is `other`.
pub(crate) fn error_type(name: &str) -> &'static str {
    const KNOWN: [&str; 14] = [
        "Error",
        "TypeError",
        "ReferenceError",
        "RangeError",
        "SyntaxError",
        "EvalError",
        "URIError",
        "AggregateError",
        "AbortError",
        "NetworkError",
        "NotAllowedError",
        "QuotaExceededError",
        "SecurityError",
        "UnhandledRejection",
    ];
    KNOWN.into_iter().find(|known| *known == name).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_paths_become_one_template() {
        for (path, label) in [
            ("/", "/"),
            ("/about", "/about"),
            ("/blog/my-first-post", "/blog/my-first-post"),
            ("/orders/8731/items", "/orders/{id}/items"),
            ("/u/550e8400-e29b-41d4-a716-446655440000", "/u/{id}"),
            ("/2026-11-22/", "/{id}/"),
            ("/x/kj2h34kj23h4", "/x/{id}"),
            ("/top-10", "/top-10"),
            ("/web3", "/web3"),
            ("/caf%C3%A9", "/{id}"),
        ] {
            assert_eq!(template(path), label);
        }
    }

    #[test]
    fn invented_paths_cannot_add_pages_without_end() {
        let mut pages = Pages::new(3);
        let labels: FxHashSet<_> = (0..1_000u32)
            .map(|n| pages.label(&format!("/p{}", "x".repeat(n as usize % 90))).into_owned())
            .collect();
        assert_eq!(labels.len(), 4);
        assert!(labels.contains(OTHER));
        assert_eq!(pages.label("/p"), "/p");
    }

    #[test]
    fn referrers_fall_into_five_kinds() {
        for (host, kind) in [
            (None, "direct"),
            (Some("google.co.uk"), "search"),
            (Some("m.facebook.com"), "social"),
            (Some("t.co"), "social"),
            (Some("about.co"), "external"),
            (Some("notx.com"), "external"),
        ] {
            assert_eq!(referrer_type(host, false), kind, "{host:?}");
        }
        assert_eq!(referrer_type(None, true), "internal");
        assert_eq!((error_type("TypeError"), error_type("Mine")), ("TypeError", OTHER));
    }
}
