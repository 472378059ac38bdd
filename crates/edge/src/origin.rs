//! Whose page sent a request, as far as browsers tell (Fetch Metadata, `Origin`). Refuses nothing: who reads the answer decides.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, header};
use mainstay_guard::{Origin, cors};

use crate::site::{Plan, Site};
use crate::sites::{Sites, is_host, split_port};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whose page sent it. A site of which no name is known takes every page for its own that is no other site's: a proxy in
/// front of it may have changed the name.
pub(crate) fn find(
    sites: &Sites,
    site: &Arc<Site>,
    headers: &HeaderMap,
    host: Option<&str>,
) -> Origin {
    let is_ours = |name: &str| {
        host.is_some_and(|host| host.eq_ignore_ascii_case(name))
            || is_known(&site.plan, name)
            || (takes_names(&site.plan)
                && sites.find(Some(name)).is_ok_and(|found| Arc::ptr_eq(found, site)))
    };
    let is_listed =
        |origin: &str| site.cors().is_some_and(|settings| cors::is_listed(settings, origin));
    judge(headers, is_ours, is_listed)
}

/// A name without a port stands for it with any.
fn is_known(plan: &Plan, name: &str) -> bool {
    let is_it = |known: &String| {
        known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(split_port(name).0)
    };
    plan.known.iter().any(is_it)
}

/// Whether a name is the site's because requests by it reach the site. One that answers for all names of strangers, too,
/// owns none of them once its own is known.
fn takes_names(plan: &Plan) -> bool {
    !plan.hosts.is_empty() || plan.known.is_empty()
}

fn judge(
    headers: &HeaderMap,
    is_ours: impl Fn(&str) -> bool,
    is_listed: impl Fn(&str) -> bool,
) -> Origin {
    let relation = headers.get(SEC_FETCH_SITE).map(|value| value.as_bytes());
    // Under `Referrer-Policy: no-referrer` Firefox hides the origin of a page's own requests too (Fetch, section 3.2).
    if matches!(relation, Some(b"same-origin" | b"none")) {
        return Origin::Ours;
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return if relation.is_some() { Origin::Foreign } else { Origin::Unsaid };
    };
    let origin = origin.to_str().unwrap_or("");
    if origin == "null" && relation.is_none() {
        return Origin::Unsaid;
    }
    let named = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let ours = named.is_some_and(|name| is_host(name) && is_ours(name));
    if ours || is_listed(origin) { Origin::Ours } else { Origin::Foreign }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetch_metadata_counts_before_the_origin() {
        let ours = |name: &str| name == "example.org";
        let listed = |origin: &str| origin == "https://partner.test";
        for (relation, origin, said) in [
            (None, None, Origin::Unsaid),
            (None, Some("null"), Origin::Unsaid),
            (None, Some("https://example.org"), Origin::Ours),
            (None, Some("http://example.org"), Origin::Ours),
            (None, Some("https://partner.test"), Origin::Ours),
            (None, Some("http://partner.test"), Origin::Foreign),
            (None, Some("https://evil.test"), Origin::Foreign),
            (None, Some("https://example.org@evil.test"), Origin::Foreign),
            (None, Some("https://example.org/"), Origin::Foreign),
            (None, Some("ftp://example.org"), Origin::Foreign),
            (None, Some(""), Origin::Foreign),
            (Some("same-origin"), Some("null"), Origin::Ours),
            (Some("same-origin"), None, Origin::Ours),
            (Some("none"), None, Origin::Ours),
            (Some("cross-site"), Some("null"), Origin::Foreign),
            (Some("cross-site"), None, Origin::Foreign),
            (Some("cross-site"), Some("https://evil.test"), Origin::Foreign),
            (Some("cross-site"), Some("https://partner.test"), Origin::Ours),
            (Some("same-site"), Some("https://example.org"), Origin::Ours),
            (Some("same-site"), Some("https://evil.example.org"), Origin::Foreign),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(relation) = relation {
                headers.insert(SEC_FETCH_SITE, relation.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(judge(&headers, ours, listed), said, "{relation:?} {origin:?}");
        }
    }
}
