//! The headers of an app's answer made ours: each header that we own is there exactly once, and what no longer fits the bytes is gone. Pure.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, Entry, HeaderName,
    HeaderValue, LAST_MODIFIED, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_FRAME_OPTIONS,
};
use http::{HeaderMap, StatusCode};
use mainstay_base::coding::Coding;

use super::item;

/// Room for what is set after the security headers, so that a map grows once: policy, timing, variants, request id.
const ADDED_LATER: usize = 6;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What an answer is, as far as its headers and bytes are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// A page.
    Document,
    /// Server-sent events: every byte is passed on as it comes.
    Events,
    /// Data, or nothing at all: no document could be made of it.
    Data,
    /// A file that a browser may show or run by itself.
    File,
    /// 304: it describes bytes that the client has, whose type it seldom names.
    Unchanged,
}

impl Sort {
    pub(super) fn of(status: StatusCode, essence: &str) -> Self {
        match essence {
            _ if status == StatusCode::NOT_MODIFIED => Self::Unchanged,
            "text/html" | "application/xhtml+xml" => Self::Document,
            "text/event-stream" => Self::Events,
            "" | "application/json" | "text/x-component" => Self::Data,
            _ if essence.ends_with("+json") => Self::Data,
            _ => Self::File,
        }
    }
}

/// The media type of an answer: lower case, without parameters; empty when there is none.
pub(super) fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Whether anything may be inserted into a document: not when its `Content-Type` names an encoding in which ASCII
/// bytes are no ASCII characters, not when it is XML, and not when it is a file to be saved (RFC 6266 §4.2).
pub(super) fn is_insertable(headers: &HeaderMap) -> bool {
    let value = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(value) = value else { return false };
    let charset = value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let ascii = charset.is_none_or(|label| {
        encoding_rs::Encoding::for_label(label.as_bytes())
            .is_some_and(encoding_rs::Encoding::is_ascii_compatible)
    });
    ascii && essence(headers) == "text/html" && !is_download(headers)
}

fn is_download(headers: &HeaderMap) -> bool {
    let value = headers.get(http::header::CONTENT_DISPOSITION).map(HeaderValue::as_bytes);
    let kind = value.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"attachment")
}

/// `Cache-Control: no-transform`: the app wants its bytes to arrive as they are.
pub(super) fn forbids_changes(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|one| one.trim().eq_ignore_ascii_case("no-transform"))
    })
}

/// Sets what we own. Where the app asked for something stricter than we would, its value stays.
pub(super) fn set_security(
    headers: &mut HeaderMap,
    ours: &[(HeaderName, HeaderValue)],
    https: bool,
) {
    if !https {
        // Without TLS anybody could have written it (RFC 6797 section 7.2).
        headers.remove(STRICT_TRANSPORT_SECURITY);
    }
    headers.reserve(ours.len() + ADDED_LATER);
    for (name, value) in ours {
        match headers.entry(name) {
            Entry::Vacant(place) => drop(place.insert(value.clone())),
            Entry::Occupied(mut place) => {
                let own = Some(place.get()).filter(|own| is_stricter(name, own, value));
                let kept = own.unwrap_or(value).clone();
                place.insert(kept);
            }
        }
    }
}

fn is_stricter(name: &HeaderName, own: &HeaderValue, ours: &HeaderValue) -> bool {
    let lower =
        |value: &HeaderValue| value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match *name {
        X_FRAME_OPTIONS => lower(own) == "deny",
        REFERRER_POLICY => reticence(&lower(own)) > reticence(&lower(ours)),
        STRICT_TRANSPORT_SECURITY => max_age(&lower(own)) > max_age(&lower(ours)),
        _ if *name == OPENER_POLICY => aloofness(own) > aloofness(ours),
        _ => false,
    }
}

/// How little of an address a referrer policy gives away; 0 for what is none.
fn reticence(policy: &str) -> u8 {
    match policy {
        "no-referrer" => 5,
        "same-origin" => 4,
        "strict-origin" => 3,
        "strict-origin-when-cross-origin" => 2,
        _ => 0,
    }
}

/// How few windows an opener policy keeps in touch with; 0 for what browsers take for none. It is a structured field: a
/// word in small letters, and parameters, one of which may name where violations are reported (HTML §7.1.3.1).
fn aloofness(policy: &HeaderValue) -> u8 {
    match policy.to_str().ok().and_then(item::word) {
        Some("same-origin") => 4,
        Some("noopener-allow-popups") => 3,
        Some("same-origin-allow-popups") => 2,
        Some("unsafe-none") => 1,
        _ => 0,
    }
}

fn max_age(hsts: &str) -> u64 {
    let value = hsts.split(';').find_map(|one| one.trim().strip_prefix("max-age="));
    value.and_then(|value| value.trim_matches('"').parse().ok()).unwrap_or(0)
}

/// The bytes are no longer those that these headers describe.
pub(super) fn forget_bytes(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, ETAG, LAST_MODIFIED, ACCEPT_RANGES] {
        headers.remove(name);
    }
    for name in ["content-md5", "content-digest", "digest", "repr-digest"] {
        headers.remove(name);
    }
}

/// A page with a nonce is for one answer: nobody may keep it, nor ask whether it is still good.
pub(super) fn forbid_keeping(headers: &mut HeaderMap) {
    let value = match forbids_changes(headers) {
        true => "private, no-store, no-transform",
        false => "private, no-store",
    };
    headers.remove(ETAG);
    headers.remove(LAST_MODIFIED);
    // To the caches that heed them these outweigh Cache-Control (RFC 9213 §2.2).
    let is_targeted = |name: &&HeaderName| {
        let name = name.as_str();
        name.ends_with("-cache-control")
            || matches!(name, "surrogate-control" | "x-accel-expires" | "expires")
    };
    let targeted: Vec<_> = headers.keys().filter(is_targeted).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
}

/// The bytes are sent in this coding.
pub(super) fn set_coding(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    weaken_tag(headers);
    for name in [CONTENT_LENGTH, ACCEPT_RANGES] {
        headers.remove(name);
    }
    // The last covers the coding as well (RFC 9530 §3).
    for name in ["content-md5", "content-digest", "digest", "repr-digest"] {
        headers.remove(name);
    }
}

/// What the app's tag names is the same to a reader in each coding, but not byte for byte.
pub(super) fn weaken_tag(headers: &mut HeaderMap) {
    let weak = headers.get(ETAG).and_then(|tag| tag.to_str().ok()).and_then(|tag| match tag {
        _ if tag.starts_with("W/") => None,
        _ => HeaderValue::from_str(&format!("W/{tag}")).ok(),
    });
    if let Some(weak) = weak {
        headers.insert(ETAG, weak);
    }
}

/// Caches must tell answers apart by what the client accepts.
pub(super) fn vary_by_coding(headers: &mut HeaderMap) {
    let named = headers.get_all(VARY).iter().any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .any(|one| one == "*" || one.eq_ignore_ascii_case("accept-encoding"))
    });
    if !named {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
        headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect()
    }

    #[test]
    fn what_we_own_is_there_once_and_the_stricter_value_wins() {
        let ours = [
            (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
            (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
            (OPENER_POLICY, HeaderValue::from_static("same-origin-allow-popups")),
            (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=86400")),
        ];
        for (name, theirs, https, expected) in [
            ("x-frame-options", &["ALLOWALL", "SAMEORIGIN"][..], true, "SAMEORIGIN"),
            ("x-frame-options", &["Deny"], true, "Deny"),
            ("referrer-policy", &["unsafe-url"], true, "strict-origin-when-cross-origin"),
            ("referrer-policy", &["no-referrer"], true, "no-referrer"),
            ("cross-origin-opener-policy", &["unsafe-none"], true, "same-origin-allow-popups"),
            ("cross-origin-opener-policy", &["nonsense"], true, "same-origin-allow-popups"),
            (
                "cross-origin-opener-policy",
                &["same-origin; report-to=\"x\""],
                true,
                "same-origin; report-to=\"x\"",
            ),
            (
                "cross-origin-opener-policy",
                &["noopener-allow-popups"],
                true,
                "noopener-allow-popups",
            ),
            ("cross-origin-opener-policy", &["Same-Origin"], true, "same-origin-allow-popups"),
            ("cross-origin-opener-policy", &["same-origin; !!"], true, "same-origin-allow-popups"),
            (
                "cross-origin-opener-policy",
                &["same-origin ; report-to=\"x\""],
                true,
                "same-origin-allow-popups",
            ),
            (
                "cross-origin-opener-policy",
                &["same-origin; report-to=\"x\"; a=1"],
                true,
                "same-origin; report-to=\"x\"; a=1",
            ),
            ("strict-transport-security", &["max-age=0"], true, "max-age=86400"),
            ("strict-transport-security", &["max-age=99999999"], true, "max-age=99999999"),
            ("strict-transport-security", &["max-age=99999999"], false, "max-age=86400"),
        ] {
            let mut map = HeaderMap::new();
            for value in theirs {
                map.append(name, HeaderValue::from_static(value));
            }
            set_security(&mut map, &ours, https);
            assert_eq!(all(&map, name), [expected], "{theirs:?}");
        }
    }

    #[test]
    fn a_plain_answer_never_says_hsts_for_the_app() {
        let mut map = headers(&[("strict-transport-security", "max-age=1")]);
        set_security(&mut map, &[], false);
        assert!(map.is_empty());
        let mut map = headers(&[("strict-transport-security", "max-age=1")]);
        set_security(&mut map, &[], true);
        assert_eq!(all(&map, "strict-transport-security"), ["max-age=1"]);
    }

    #[test]
    fn answers_are_sorted_by_what_browsers_make_of_them() {
        for (status, kind, expected) in [
            (200, "Text/HTML; charset=utf-8", Sort::Document),
            (404, "text/html", Sort::Document),
            (200, "application/xhtml+xml", Sort::Document),
            (200, "text/event-stream", Sort::Events),
            (200, "application/problem+json", Sort::Data),
            (200, "text/x-component", Sort::Data),
            (200, "image/svg+xml", Sort::File),
            (304, "text/html", Sort::Unchanged),
        ] {
            let map = headers(&[("content-type", kind)]);
            let status = StatusCode::from_u16(status).expect("status");
            assert_eq!(Sort::of(status, &essence(&map)), expected, "{kind}");
        }
        assert_eq!(Sort::of(StatusCode::FOUND, &essence(&HeaderMap::new())), Sort::Data);
    }

    #[test]
    fn only_html_in_an_ascii_superset_takes_a_tag() {
        for (kind, expected) in [
            ("text/html", true),
            ("text/html; charset=UTF-8", true),
            ("text/html; charset=\"windows-1251\"", true),
            ("text/html;charset=shift_jis", true),
            ("text/html; charset=utf-16le", false),
            ("text/html; charset=iso-2022-jp", false),
            ("text/html; charset=nonsense", false),
            ("application/xhtml+xml", false),
        ] {
            assert_eq!(is_insertable(&headers(&[("content-type", kind)])), expected, "{kind}");
        }
        for (disposition, expected) in [
            ("inline", true),
            ("inline; filename=\"attachment\"", true),
            ("Attachment; filename=page.html", false),
            ("attachment", false),
        ] {
            let map =
                headers(&[("content-type", "text/html"), ("content-disposition", disposition)]);
            assert_eq!(is_insertable(&map), expected, "{disposition}");
        }
    }

    #[test]
    fn coded_answers_keep_a_weak_tag_and_say_what_they_depend_on() {
        let mut map = headers(&[
            ("etag", "\"a\""),
            ("content-length", "5"),
            ("accept-ranges", "bytes"),
            ("vary", "Cookie"),
        ]);
        set_coding(&mut map, Coding::Zstd);
        vary_by_coding(&mut map);
        vary_by_coding(&mut map);
        assert_eq!(all(&map, "etag"), ["W/\"a\""]);
        assert_eq!(all(&map, "content-encoding"), ["zstd"]);
        assert_eq!(all(&map, "vary"), ["Cookie", "accept-encoding"]);
        assert!(!map.contains_key("content-length") && !map.contains_key("accept-ranges"));
        assert!(forbids_changes(&headers(&[("cache-control", "max-age=1, No-Transform")])));
        assert!(!forbids_changes(&headers(&[("cache-control", "max-age=1")])));
    }
}
