//! Addresses in reports made safe to keep and short to read: no query, no user name; a path where the host is the site's own.

use crate::label::template;
use crate::scrub::{parse_http, scrub_text};

/// Bytes kept of what is no http address: a keyword, a scheme, a relative path.
const WORD_BYTES_MAX: usize = 100;

/// An address as it is kept. Of other schemes than those of pages and WebSockets only the scheme is: what follows it may be a whole document
/// (`data:`), a program (`javascript:`) or a random number (`blob:`).
pub(super) fn clean(address: &str, own_host: Option<&str>) -> String {
    let address = address.trim();
    if let Some((scheme, like_http)) = web_socket(address)
        && let Some(parsed) = parse_http(&like_http)
    {
        // Never only a path, own host or not: that would be a page.
        let (_, authority) = origin(&like_http);
        return format!("{scheme}://{}{}", authority.to_ascii_lowercase(), parsed.path);
    }
    if let Some(parsed) = parse_http(address) {
        let (scheme, authority) = origin(address);
        if own_host.is_some_and(|own| own.eq_ignore_ascii_case(authority)) {
            return parsed.path.into_owned();
        }
        return format!("{scheme}://{}{}", authority.to_ascii_lowercase(), parsed.path);
    }
    match address.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => scheme.to_ascii_lowercase(),
        _ => scrub_text(address, WORD_BYTES_MAX),
    }
}

/// What decides whether two addresses are alike: ids in the path are left out.
pub(super) fn likeness(cleaned: &str) -> String {
    let path_at = cleaned.find("://").map_or(0, |at| at + 3);
    let slash = cleaned[path_at..].find('/').map_or(cleaned.len(), |at| path_at + at);
    format!("{}{}", &cleaned[..slash], template(&cleaned[slash..]))
}

/// An address of a WebSocket as the http address it is but for its scheme (RFC 6455 §3), and that scheme.
fn web_socket(address: &str) -> Option<(&'static str, String)> {
    let (scheme, rest) = address.split_once("://")?;
    let known = ["ws", "wss"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known))?;
    let like = if known == "wss" { "https" } else { "http" };
    Some((known, format!("{like}://{rest}")))
}

/// Scheme and authority of an address that is known to be http, the user name left out.
fn origin(address: &str) -> (&'static str, &str) {
    let secure = address.get(4..5).is_some_and(|c| c.eq_ignore_ascii_case("s"));
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host);
    (if secure { "https" } else { "http" }, authority)
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_users_and_contents_are_left_out() {
        for (address, cleaned) in [
            ("https://own.example:8443/a/b?token=s#f", "/a/b"),
            ("HTTPS://Own.Example:8443", "/"),
            ("https://own.example/a", "https://own.example/a"),
            ("https://user:pass@cdn.example/x.js?k=s", "https://cdn.example/x.js"),
            ("http://CDN.example:81", "http://cdn.example:81/"),
            ("wss://me:pass@Chat.example/socket?token=s", "wss://chat.example/socket"),
            ("WS://chat.example:81", "ws://chat.example:81/"),
            ("wss://own.example:8443/socket", "wss://own.example:8443/socket"),
            ("wss", "wss"),
            ("wss:", "wss"),
            ("data:text/html;base64,c2VjcmV0", "data"),
            ("javascript:alert(document.cookie)", "javascript"),
            ("blob:https://own.example/550e8400", "blob"),
            ("inline", "inline"),
            ("trusted-types-sink", "trusted-types-sink"),
            ("/app.js?secret=1", "/app.js"),
            ("", ""),
        ] {
            assert_eq!(clean(address, Some("own.example:8443")), cleaned, "{address}");
        }
        assert!(clean(&"x".repeat(10_000), None).len() <= WORD_BYTES_MAX);
        assert!(clean(&format!("https://h/{}", "é".repeat(2_000)), None).len() < 2_000);
    }

    #[test]
    fn ids_do_not_tell_addresses_apart() {
        assert_eq!(likeness("/orders/8731"), likeness("/orders/22"));
        assert_eq!(likeness("https://h7-55-11.example/a/1"), "https://h7-55-11.example/a/{id}");
        assert_eq!(likeness("inline"), "inline");
        assert_ne!(likeness("https://a.example/x"), likeness("https://b.example/x"));
        assert_ne!(likeness("wss://a.example/x"), likeness("wss://b.example/x"));
    }
}
