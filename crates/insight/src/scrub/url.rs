//! A web address taken apart into the parts that may be kept; never follows one and never keeps its query.

use std::borrow::Cow;

use mainstay_base::path::before_query;
use mainstay_telemetry::redact::named::hide_assigned;

use super::shorten;
use super::text::drop_credentials;

/// Longest web address that is read, in bytes.
pub const URL_BYTES_MAX: usize = 8_192;
/// Bytes kept of a path.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Longest host name (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// The parts of an http or https address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// Host in lower case, without port, user name and a leading `www.`.
    pub host: Cow<'a, str>,
    /// Path without query and fragment, `/about.html` as `/about`, `/x/index.html` as `/x/`.
    pub path: Cow<'a, str>,
    /// The query as it came, without `?` and fragment. For [`super::campaign`] only; never kept.
    pub query: &'a str,
}

/// Takes an address apart; `None` when it is not an http or https address or longer than [`URL_BYTES_MAX`].
#[must_use]
pub fn parse_http(url: &str) -> Option<Address<'_>> {
    if url.len() > URL_BYTES_MAX || url.bytes().any(|b| b.is_ascii_control()) {
        return None;
    }
    let rest = strip_prefix_ignore_case(url, "http")?;
    let rest = strip_prefix_ignore_case(rest, "s").unwrap_or(rest).strip_prefix("://")?;
    let is_end = |b: u8| matches!(b, b'/' | b'?' | b'#' | b'\\');
    let end = rest.bytes().position(is_end).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    Some(Address { host: host(authority)?, path: path(tail), query: query(tail) })
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn host(authority: &str) -> Option<Cow<'_, str>> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let valid =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(valid) {
        return None;
    }
    let host = strip_prefix_ignore_case(host, "www.").filter(|h| h.contains('.')).unwrap_or(host);
    Some(if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    })
}

/// The same page has one name: edge answers `/about.html` and `/about` with the same file.
fn path(tail: &str) -> Cow<'_, str> {
    let path = before_query(tail);
    if let Cow::Owned(hidden) = hide_assigned(path) {
        return Cow::Owned(page(&hidden).into_owned());
    }
    page(path)
}

fn page(path: &str) -> Cow<'_, str> {
    let path = shorten(path, PATH_BYTES_MAX);
    if path.is_empty() {
        return Cow::Borrowed("/");
    }
    if memchr::memchr2(b'\\', b'@', path.as_bytes()).is_some() {
        // Browsers read a backslash as a slash (WHATWG URL §4.4); a path may hold a whole address.
        return Cow::Owned(drop_credentials(path).replace('\\', "/"));
    }
    let path = match path.strip_suffix("/index.html") {
        Some(_) => &path[..path.len() - "index.html".len()],
        None => path.strip_suffix(".html").filter(|p| !p.ends_with('/')).unwrap_or(path),
    };
    Cow::Borrowed(path)
}

fn query(tail: &str) -> &str {
    let tail = tail.split_once('#').map_or(tail, |(before, _)| before);
    tail.split_once('?').map_or("", |(_, query)| query)
}
