//! The marks by which an answer shows which app made it. Pure; nothing here is trusted with more than choosing between reporting and enforcing.

use http::HeaderMap;
use http::header::VARY;

const POWERED_BY: &str = "x-powered-by";
const NEXT_CACHE: &str = "x-nextjs-cache";
const NEXT_PRERENDER: &str = "x-nextjs-prerender";

/// What an answer shows of its app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Signs {
    /// Next.js made it.
    pub(super) next: bool,
    /// It was made before this request, so it cannot carry our nonce. One made just now, to be kept from now on
    /// (`MISS`), does.
    pub(super) kept: bool,
}

impl Signs {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        // One walk: an answer has few headers, and each look-up of a name that is nobody's constant costs a digest of it.
        let (mut powered, mut cache, mut prerendered) = (false, None, false);
        for (name, value) in headers {
            match name.as_str() {
                POWERED_BY => {
                    powered |= value.to_str().is_ok_and(|value| value.contains("Next.js"));
                }
                NEXT_CACHE => cache = cache.or(value.to_str().ok()),
                NEXT_PRERENDER => prerendered = true,
                _ => {}
            }
        }
        let prerendered = prerendered || cache.is_some();
        let routed = || {
            let vary = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
            vary.flat_map(|value| value.split(','))
                .any(|one| one.trim().eq_ignore_ascii_case("next-router-state-tree"))
        };
        Self {
            next: powered || prerendered || routed(),
            kept: prerendered && cache != Some("MISS"),
        }
    }
}

/// Takes away what only tells strangers which software runs here.
pub(super) fn remove(headers: &mut HeaderMap) {
    headers.remove(POWERED_BY);
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn next_js_shows_itself_in_several_ways() {
        for (pairs, next, kept) in [
            (&[("x-powered-by", "Next.js")][..], true, false),
            (&[("vary", "rsc, next-router-state-tree, Accept-Encoding")], true, false),
            (&[("x-nextjs-cache", "HIT")], true, true),
            (&[("x-nextjs-cache", "STALE"), ("x-nextjs-prerender", "1")], true, true),
            (&[("x-nextjs-cache", "MISS"), ("x-nextjs-prerender", "1")], true, false),
            (&[("x-nextjs-prerender", "1")], true, true),
            (&[("x-powered-by", "Express"), ("vary", "Cookie")], false, false),
            (&[], false, false),
        ] {
            let headers = pairs.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            let headers: HeaderMap = headers.collect();
            assert_eq!(Signs::of(&headers), Signs { next, kept }, "{pairs:?}");
        }
    }
}
